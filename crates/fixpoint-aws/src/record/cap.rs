//! Keeps what is recorded of a call short, and valid JSON all the same.
//!
//! The surprise: what is cut is the middle of things, not the end of the text: long lists lose
//! their later items, long texts their ends, so that the shape stays readable.

use serde_json::{Value, json};

/// Bytes of JSON that are recorded of a request or an answer.
const LONGEST: usize = 16 * 1024;
/// Bytes of an answer above which it is not even looked at.
pub(super) const LARGEST_READ: usize = 4 * 1024 * 1024;

const MARK: &str = "truncated";

/// What stands for something too large to be looked at.
pub(super) fn only_size(bytes: usize) -> Value {
    json!({ MARK: format!("{bytes} bytes") })
}

/// The value as JSON text of at most 16 KiB, marked `truncated` if something was cut.
pub(super) fn to_text(mut value: Value) -> String {
    let text = value.to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let size = text.len();
    for (items, chars) in [(64, 2048), (16, 512), (4, 256), (2, 64), (1, 16)] {
        shrink(&mut value, items, chars);
        let marked = match &mut value {
            Value::Object(members) => {
                members.insert(MARK.into(), format!("{size} bytes").into());
                value.to_string()
            }
            other => json!({ MARK: format!("{size} bytes"), "value": other }).to_string(),
        };
        if marked.len() <= LONGEST {
            return marked;
        }
    }
    only_size(size).to_string()
}

fn shrink(value: &mut Value, items: usize, chars: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(chars) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(list) => {
            list.truncate(items);
            list.iter_mut().for_each(|item| shrink(item, items, chars));
        }
        Value::Object(members) => members.values_mut().for_each(|m| shrink(m, items, chars)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_untouched() {
        assert_eq!(to_text(json!({"a": [1, "x"]})), r#"{"a":[1,"x"]}"#);
    }

    #[test]
    fn what_is_too_long_stays_valid_json_with_a_mark_and_its_beginning() {
        let image = |n| json!({"imageId": format!("ami-{n}"), "name": "x".repeat(500)});
        let many: Vec<_> = (0..1000).map(image).collect();
        let text = to_text(json!({"imagesSet": many}));
        assert!(text.len() <= LONGEST);
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["imagesSet"][0]["imageId"], "ami-0");
        assert!(read["truncated"].as_str().unwrap().ends_with(" bytes"));
    }

    #[test]
    fn a_single_long_text_and_a_wide_object_are_capped_too() {
        let text = to_text(json!("ü".repeat(100_000)));
        assert!(text.len() <= LONGEST && text.contains(MARK));
        let wide: serde_json::Map<_, _> =
            (0..10_000).map(|n| (format!("member{n}"), n.into())).collect();
        let text = to_text(Value::Object(wide));
        assert!(text.len() <= LONGEST && text.contains(MARK));
    }
}
