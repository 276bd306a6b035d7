//! An event as one text, which is all that Zipkin's annotations have: `"name": {"key": "value"}`.
//!
//! Not here: time. The surprise: the text is a member of a JSON object without its braces, so it
//! is read by putting them back.

use std::borrow::Cow;

use serde_json::Value as Json;

use crate::{
    model::{Attributes, Event, Value},
    otlp::proto::MAX_DEPTH,
};

/// The text of an event: its name alone, if it has no attributes.
pub(super) fn text(event: &Event) -> Cow<'_, str> {
    if event.attributes.is_empty() {
        return Cow::Borrowed(&event.name);
    }
    // Text, and maps with text for keys, always serialise.
    let name = serde_json::to_string(&event.name).unwrap_or_default();
    let attributes = serde_json::to_string(&event.attributes).unwrap_or_default();
    Cow::Owned(format!("{name}: {attributes}"))
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
    Some((name, map(attributes, 0)?))
}

/// None if values are nested deeper than they may be.
fn map(members: serde_json::Map<String, Json>, depth: usize) -> Option<Attributes> {
    members.into_iter().map(|(key, value)| Some((key, of_json(value, depth)?))).collect()
}

fn of_json(json: Json, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text),
        Json::Array(values) => {
            let values = values.into_iter().map(|value| of_json(value, depth + 1));
            Value::Array(values.collect::<Option<_>>()?)
        }
        Json::Object(members) => Value::Map(map(members, depth + 1)?),
    })
}
