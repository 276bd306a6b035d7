//! JSON that is read one record at a time, whichever format it is.
//!
//! Not here: anything that a format says. The surprise: JSON takes up to a hundred times more
//! memory once it is parsed than it did on the wire (`{},` is three bytes). So a document is taken
//! apart as text, and what one record, or what stands around several, holds is bounded.

use serde::{Deserialize, de::DeserializeOwned, de::Error as _};
use serde_json::{Error, Value as Json, value::RawValue};

use super::lenient::drop_nulls;

/// How many values a record may hold, or what several share. One of a mebibyte has some 100,000.
const MAX_VALUES: usize = 256 << 10;

/// How deep a document may be nested, as for most readers of JSON.
const MAX_DEPTH: usize = 128;

/// A JSON document, not parsed.
pub(crate) fn document(text: &[u8]) -> Result<&RawValue, Error> {
    let document: &RawValue = serde_json::from_slice(text)?;
    check_depth(document)?;
    Ok(document)
}

/// The same, where it is one of several.
pub(crate) fn check_depth(document: &RawValue) -> Result<(), Error> {
    match Shape::of(document.get().as_bytes()).depth > MAX_DEPTH {
        true => Err(Error::custom(format_args!("nested more than {MAX_DEPTH} levels deep"))),
        false => Ok(()),
    }
}

/// An object's fields that are wanted, each as the text that it is.
pub(crate) fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, Error> {
    if !raw.get().starts_with('{') {
        return Err(Error::custom("not a JSON object"));
    }
    serde_json::from_str(raw.get())
}

/// Parses one record, or what stands around several. One that is not there has its defaults.
pub(crate) fn parse<T: DeserializeOwned + Default>(raw: Option<&RawValue>) -> Result<T, Error> {
    let Some(raw) = raw else { return Ok(T::default()) };
    if Shape::of(raw.get().as_bytes()).values > MAX_VALUES {
        return Err(Error::custom(format_args!("more than {MAX_VALUES} values")));
    }
    let mut json: Json = serde_json::from_str(raw.get())?;
    drop_nulls(&mut json);
    T::deserialize(json)
}

/// About how much memory a request's records take once they are read, whatever format it has.
pub fn cost(request: &[u8]) -> usize {
    const VALUE: usize = 32;
    let first = request.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{' | b'[') => request.len() + VALUE * Shape::of(request).values,
        _ => request.len(),
    }
}

/// What can be told of a JSON text without parsing it.
#[derive(Debug, Default)]
struct Shape {
    /// No fewer than there are, at most twice as many.
    values: usize,
    depth: usize,
}

impl Shape {
    fn of(json: &[u8]) -> Self {
        let mut shape = Self::default();
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        for &byte in json {
            if in_text {
                in_text = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => {
                    shape.values += 1;
                    depth += 1;
                    shape.depth = shape.depth.max(depth);
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => shape.values += 1,
                _ => {}
            }
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_but_not_those_in_texts() {
        for (json, values, depth) in [
            ("1", 0, 0),
            ("[1,2]", 2, 1),
            (r#"{"a":[{},{}]}"#, 5, 3),
            (r#"["a,{[\",\\",{"b\\\"{":1}]"#, 3, 2),
        ] {
            let shape = Shape::of(json.as_bytes());
            assert_eq!((shape.values, shape.depth), (values, depth), "{json}");
        }
    }
}
