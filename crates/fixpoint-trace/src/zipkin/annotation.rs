//! An event as one text, which is all that Zipkin's annotations have: `"name": {"key": "value"}`.
//!
//! Not here: time. The surprise: the text is a member of a JSON object without its braces, so it
//! is read by putting them back.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::model::{Attributes, Event, Value};

/// The text of an event: its name alone, if it has no attributes.
pub(super) fn text(event: &Event) -> Cow<'_, str> {
    if event.attributes.is_empty() {
        return Cow::Borrowed(&event.name);
    }
    let json = |value| serde_json::to_string(value).unwrap_or_default();
    // A map of text has no failing serialiser, nor has a text.
    let attributes = serde_json::to_string(&event.attributes).unwrap_or_default();
    Cow::Owned(format!("{}: {attributes}", json(&event.name)))
}

/// Name and attributes of an event; of any text that is not as above, the text and none.
pub(super) fn event(text: String) -> (String, Attributes) {
    parse(&text).unwrap_or_else(|| (text, Attributes::new()))
}

fn parse(text: &str) -> Option<(String, Attributes)> {
    if !text.starts_with('"') || !text.ends_with('}') {
        return None;
    }
    let Json::Object(members) = serde_json::from_str(&format!("{{{text}}}")).ok()? else {
        return None;
    };
    let mut members = members.into_iter();
    let (Some((name, Json::Object(attributes))), None) = (members.next(), members.next()) else {
        return None;
    };
    let attributes = attributes.into_iter().map(|(key, value)| (key, of_json(value)));
    Some((name, attributes.collect()))
}

fn of_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text),
        Json::Array(values) => Value::Array(values.into_iter().map(of_json).collect()),
        Json::Object(members) => {
            Value::Map(members.into_iter().map(|(key, value)| (key, of_json(value))).collect())
        }
    }
}
