//! Jaeger's typed tags from the model's values, and back.
//!
//! Not here: what a tag means. The surprise: a whole number beyond what JavaScript counts exactly
//! is written as text, as Jaeger does, its type still saying that it is a number.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value as Json;

use super::wire::Tag;
use crate::{
    formats::lenient::Int,
    model::{Attributes, Value},
};

/// The largest whole number that a JavaScript number holds with all before it.
const SAFE: u64 = (1 << 53) - 1;

pub(super) fn tag(key: &str, value: &Value) -> Tag {
    let (of_type, value) = match value {
        Value::Bool(value) => ("bool", Json::Bool(*value)),
        Value::Int(value) if value.unsigned_abs() <= SAFE => ("int64", (*value).into()),
        Value::Int(value) => ("int64", value.to_string().into()),
        Value::Double(value) if value.is_finite() => ("float64", (*value).into()),
        Value::Double(value) => ("float64", value.to_string().into()),
        Value::Bytes(bytes) => ("binary", STANDARD.encode(bytes).into()),
        Value::String(text) => ("string", text.as_str().into()),
        Value::Empty | Value::Array(_) | Value::Map(_) => {
            ("string", value.to_text().into_owned().into())
        }
    };
    Tag { key: key.to_owned(), r#type: of_type.to_owned(), value }
}

pub(super) fn tags(attributes: &Attributes) -> Vec<Tag> {
    attributes.iter().map(|(key, value)| tag(key, value)).collect()
}

/// Attributes of tags. One that is not what its type says is kept as the text that it has.
pub(super) fn attributes(tags: Vec<Tag>) -> Attributes {
    tags.into_iter().map(|tag| (tag.key, value(&tag.r#type, tag.value))).collect()
}

fn value(of_type: &str, json: Json) -> Value {
    let typed = match (of_type, &json) {
        ("int64", _) => Int::<i64>::of(&json).map(|int| Value::Int(int.0)),
        ("float64", Json::String(text)) => text.parse().ok().map(Value::Double),
        ("float64", _) => json.as_f64().map(Value::Double),
        ("binary", Json::String(text)) => STANDARD.decode(text).ok().map(Value::Bytes),
        _ => None,
    };
    typed.unwrap_or_else(|| match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(value),
        Json::String(text) => Value::String(text),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        other => Value::String(other.to_string()),
    })
}
