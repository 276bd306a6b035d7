//! The shape of a JSON text: how long its lists are, and its plain values.
//!
//! For answers of calls: "answered with no target group where good ones had one". Not here: which
//! values are usual. The surprise: all elements of a list share one place, and what they hold is
//! put together, so that a shape is as large as the schema and not as the answer.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::compare::label::without_ids;

/// Deeper than this nothing is looked at. Answers of AWS have what matters above it.
const DEEPEST: usize = 6;
/// More places than this are not told apart.
const MOST_PLACES: usize = 64;
/// Longer texts are taken for prose.
const LONGEST_TEXT: usize = 64;
/// More different values than this in one list's elements are not listed.
const MOST_VALUES: usize = 4;

/// What a text holds, by place: `TargetGroups` → `2 items`, `TargetGroups[].State` → `active`.
/// None if it is no JSON object or list.
pub fn shape(text: &str) -> Option<BTreeMap<String, String>> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let json: Value = serde_json::from_str(text).ok()?;
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut todo = vec![(String::new(), 0, &json)];
    while let Some((place, depth, value)) = todo.pop() {
        if depth > DEEPEST || places.len() >= MOST_PLACES {
            continue;
        }
        let said = match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let dot = if place.is_empty() { "" } else { "." };
                    todo.push((format!("{place}{dot}{name}"), depth + 1, field));
                }
                continue;
            }
            Value::Array(items) => {
                todo.extend(items.iter().map(|item| (format!("{place}[]"), depth + 1, item)));
                match items.len() {
                    1 => "1 item".to_owned(),
                    n => format!("{n} items"),
                }
            }
            Value::String(text) if text.len() > LONGEST_TEXT => "a long text".to_owned(),
            Value::String(text) => without_ids(text).into_owned(),
            plain => plain.to_string(),
        };
        places.entry(place).or_default().insert(said);
    }
    let together = |values: BTreeSet<String>| {
        if values.len() > MOST_VALUES {
            return "many values".to_owned();
        }
        values.into_iter().collect::<Vec<_>>().join(", ")
    };
    Some(places.into_iter().map(|(place, values)| (place, together(values))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<(String, String)> {
        shape(text).unwrap().into_iter().collect()
    }

    fn named(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|&(place, value)| (place.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn lists_have_lengths_and_their_elements_one_place() {
        let text = r#"{"TargetGroups":[{"State":"active","Port":80},{"State":"draining"}]}"#;
        let expected = [
            ("TargetGroups", "2 items"),
            ("TargetGroups[].Port", "80"),
            ("TargetGroups[].State", "active, draining"),
        ];
        assert_eq!(of(text), named(&expected));
        assert_eq!(of(r#"{"TargetGroups":[]}"#), named(&[("TargetGroups", "0 items")]));
    }

    #[test]
    fn ids_and_long_texts_are_not_told_apart() {
        let text = r#"{"Id":"i-0abc12345def67890","Ok":true,"Why":null}"#;
        assert_eq!(of(text), named(&[("Id", "*"), ("Ok", "true"), ("Why", "null")]));
        let prose = format!(r#"["{}"]"#, "word ".repeat(40));
        assert_eq!(of(&prose), named(&[("", "1 item"), ("[]", "a long text")]));
    }

    #[test]
    fn what_is_no_json_has_no_shape() {
        assert_eq!(shape("plain"), None);
        assert_eq!(shape(r#"{"cut": ["#), None);
    }

    #[test]
    fn a_deep_text_has_an_end() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        assert!(of(&deep).len() <= DEEPEST + 1);
    }
}
