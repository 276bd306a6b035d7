//! Attributes as text that people and other programs read, from which exactly what was sent is
//! made again.
//!
//! The surprise: a map of texts says nothing of types, so a second text has a letter for each
//! value that is not a text; it is empty for a span whose attributes all are.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use super::super::SegmentError;
use crate::model::{Attributes, Event, Link, Scope, SpanContext, Value};

/// JSON of no attributes, and of no events. Not an empty text: readers expect JSON in each row.
const NO_MEMBERS: &str = "{}";
const NO_ITEMS: &str = "[]";

/// The letter of a value's type, and the value as text.
pub(super) fn text_of(value: &Value) -> (char, String) {
    match value {
        Value::String(text) => ('s', text.clone()),
        Value::Int(value) => ('i', value.to_string()),
        Value::Bool(value) => ('b', value.to_string()),
        // Shortest text that reads back as the same number.
        Value::Double(value) => ('d', format!("{value:?}")),
        Value::Empty => ('e', String::new()),
        Value::Bytes(bytes) => ('y', hex::encode(bytes)),
        Value::Array(_) | Value::Map(_) => ('j', json_of(value).to_string()),
    }
}

/// The value of a letter and a text.
pub(super) fn value_of(letter: u8, text: String) -> Result<Value, SegmentError> {
    let damaged = |_| SegmentError::DAMAGED;
    Ok(match letter {
        b's' => Value::String(text),
        b'i' => Value::Int(text.parse().map_err(|_| SegmentError::DAMAGED)?),
        b'b' => Value::Bool(text == "true"),
        b'd' => Value::Double(text.parse().map_err(|_| SegmentError::DAMAGED)?),
        b'e' => Value::Empty,
        b'y' => Value::Bytes(hex::decode(text).map_err(|_| SegmentError::DAMAGED)?),
        b'j' => value_of_json(serde_json::from_str(&text).map_err(damaged)?)?,
        _ => return Err(SegmentError::DAMAGED),
    })
}

/// As JSON; what JSON cannot say is an object of one member whose name begins with `$`.
fn json_of(value: &Value) -> Json {
    let special =
        |name: &str, value: Json| Json::Object(Map::from_iter([(name.to_owned(), value)]));
    match value {
        Value::Empty => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => special("$double", format!("{value:?}").into()),
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(json_of).collect(),
        Value::Bytes(bytes) => special("$bytes", hex::encode(bytes).into()),
        Value::Map(map) => {
            let json = json_of_map(map);
            // So that a map that looks like one of ours is not taken for it.
            if map.len() == 1 && map.keys().any(|name| name.starts_with('$')) {
                special("$map", json)
            } else {
                json
            }
        }
    }
}

/// Attributes as a JSON object.
fn json_of_map(attributes: &Attributes) -> Json {
    attributes
        .iter()
        .map(|(name, value)| (name.clone(), json_of(value)))
        .collect::<Map<_, _>>()
        .into()
}

fn value_of_json(json: Json) -> Result<Value, SegmentError> {
    Ok(match json {
        Json::Null => Value::Empty,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => Value::Int(number.as_i64().ok_or(SegmentError::DAMAGED)?),
        Json::String(text) => Value::String(text),
        Json::Array(values) => {
            Value::Array(values.into_iter().map(value_of_json).collect::<Result<_, _>>()?)
        }
        Json::Object(map) => {
            let only = if map.len() == 1 { map.iter().next() } else { None };
            match only.map(|(name, value)| (name.as_str(), value)) {
                Some(("$double", Json::String(text))) => return value_of(b'd', text.clone()),
                Some(("$bytes", Json::String(text))) => return value_of(b'y', text.clone()),
                Some(("$map", Json::Object(map))) => Value::Map(map_of_json(map.clone())?),
                _ => Value::Map(map_of_json(map)?),
            }
        }
    })
}

fn map_of_json(map: Map<String, Json>) -> Result<Attributes, SegmentError> {
    map.into_iter().map(|(name, value)| Ok((name, value_of_json(value)?))).collect()
}

/// Attributes as a JSON text.
pub(super) fn attributes(attributes: &Attributes) -> String {
    json_of_map(attributes).to_string()
}

/// Attributes of such a text.
pub(super) fn attributes_of(text: &str) -> Result<Attributes, SegmentError> {
    map_of_json(object(text)?)
}

/// A scope as a JSON text.
pub(super) fn scope(scope: &Scope) -> String {
    let mut json = Map::new();
    if !scope.name.is_empty() {
        json.insert("name".into(), scope.name.as_str().into());
    }
    if !scope.version.is_empty() {
        json.insert("version".into(), scope.version.as_str().into());
    }
    if !scope.attributes.is_empty() {
        json.insert("attributes".into(), json_of_map(&scope.attributes));
    }
    Json::Object(json).to_string()
}

pub(super) fn scope_of(text: &str) -> Result<Scope, SegmentError> {
    let mut json = object(text)?;
    Ok(Scope {
        name: text_in(&mut json, "name"),
        version: text_in(&mut json, "version"),
        attributes: map_in(&mut json, "attributes")?,
    })
}

/// Events as a JSON list.
pub(super) fn events(events: &[Event]) -> Cow<'static, str> {
    let one = |event: &Event| {
        let mut json = Map::new();
        json.insert("time".into(), event.time.into());
        json.insert("name".into(), event.name.as_str().into());
        put_rest(&mut json, &event.attributes, event.dropped_attributes);
        Json::Object(json)
    };
    if events.is_empty() {
        NO_ITEMS.into()
    } else {
        events.iter().map(one).collect::<Json>().to_string().into()
    }
}

pub(super) fn events_of(text: &str) -> Result<Vec<Event>, SegmentError> {
    let one = |mut json: Map<String, Json>| {
        Ok(Event {
            time: number_in(&json, "time"),
            name: text_in(&mut json, "name"),
            dropped_attributes: number_in(&json, "dropped") as u32,
            attributes: map_in(&mut json, "attributes")?,
        })
    };
    list(text)?.into_iter().map(one).collect()
}

/// Links as a JSON list.
pub(super) fn links(links: &[Link]) -> Cow<'static, str> {
    let one = |link: &Link| {
        let mut json = Map::new();
        json.insert("trace_id".into(), link.to.trace_id.to_string().into());
        json.insert("span_id".into(), link.to.span_id.to_string().into());
        if !link.trace_state.is_empty() {
            json.insert("trace_state".into(), link.trace_state.as_str().into());
        }
        if link.flags != 0 {
            json.insert("flags".into(), link.flags.into());
        }
        put_rest(&mut json, &link.attributes, link.dropped_attributes);
        Json::Object(json)
    };
    if links.is_empty() {
        NO_ITEMS.into()
    } else {
        links.iter().map(one).collect::<Json>().to_string().into()
    }
}

pub(super) fn links_of(text: &str) -> Result<Vec<Link>, SegmentError> {
    let one = |mut json: Map<String, Json>| {
        let to = SpanContext {
            trace_id: text_in(&mut json, "trace_id").parse().map_err(|_| SegmentError::DAMAGED)?,
            span_id: text_in(&mut json, "span_id").parse().map_err(|_| SegmentError::DAMAGED)?,
        };
        Ok(Link {
            trace_state: text_in(&mut json, "trace_state"),
            flags: number_in(&json, "flags") as u32,
            dropped_attributes: number_in(&json, "dropped") as u32,
            attributes: map_in(&mut json, "attributes")?,
            to,
        })
    };
    list(text)?.into_iter().map(one).collect()
}

fn put_rest(json: &mut Map<String, Json>, attributes: &Attributes, dropped: u32) {
    if !attributes.is_empty() {
        json.insert("attributes".into(), json_of_map(attributes));
    }
    if dropped != 0 {
        json.insert("dropped".into(), dropped.into());
    }
}

/// What few spans have, as a JSON text.
pub(super) fn extra(numbers: &[(&str, u32)], trace_state: &str) -> Cow<'static, str> {
    let mut json = Map::new();
    for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
        json.insert((*name).to_owned(), (*number).into());
    }
    if !trace_state.is_empty() {
        json.insert("trace_state".into(), trace_state.into());
    }
    if json.is_empty() { NO_MEMBERS.into() } else { Json::Object(json).to_string().into() }
}

/// What few spans have.
pub(super) struct Extra(Map<String, Json>);

impl Extra {
    pub(super) fn of(text: &str) -> Result<Self, SegmentError> {
        object(text).map(Self)
    }

    pub(super) fn number(&self, name: &str) -> u32 {
        number_in(&self.0, name) as u32
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        text_in(&mut self.0, name)
    }
}

fn object(text: &str) -> Result<Map<String, Json>, SegmentError> {
    if text == NO_MEMBERS {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| SegmentError::DAMAGED)
}

fn list(text: &str) -> Result<Vec<Map<String, Json>>, SegmentError> {
    if text == NO_ITEMS {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|_| SegmentError::DAMAGED)
}

fn number_in(json: &Map<String, Json>, name: &str) -> u64 {
    json.get(name).and_then(Json::as_u64).unwrap_or_default()
}

fn text_in(json: &mut Map<String, Json>, name: &str) -> String {
    match json.remove(name) {
        Some(Json::String(text)) => text,
        _ => String::new(),
    }
}

fn map_in(json: &mut Map<String, Json>, name: &str) -> Result<Attributes, SegmentError> {
    match json.remove(name) {
        Some(Json::Object(map)) => map_of_json(map),
        _ => Ok(Attributes::new()),
    }
}
