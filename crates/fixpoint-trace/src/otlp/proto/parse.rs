//! Fills views from messages, and makes the model's types from the messages that views leave be.
//!
//! A view is checked whole, down to the last nested text, so that what was taken in can be read
//! for ever after. The surprise: a link to an impossible span is left out and counted as dropped
//! by its sender, since the span that holds it is sound.

use super::{
    Invalid, MAX_DEPTH,
    wire::{
        Field::{self, Bytes, Fixed32, Fixed64, Varint},
        Fields,
    },
};
use crate::{
    model::{
        Attributes, Dropped, Event, Kind, Link, Resource, Scope, SpanContext, SpanId, TraceId,
        Value,
    },
    otlp::{
        kind_of,
        view::{LogView, SpanView, Spare, ValueView},
    },
};

impl<'a> SpanView<'a> {
    /// Looks at a `Span` message. The lists are taken from `spare`; give them back with
    /// [`SpanView::recycle`].
    ///
    /// # Errors
    /// If it is no such message, or its ids, texts or values are not valid.
    pub(crate) fn parse(message: &'a [u8], spare: &mut Spare) -> Result<Self, Invalid> {
        let (mut attributes, mut events, mut links) =
            (spare.attributes(), spare.events(), spare.links());
        let (mut trace_id, mut span_id, mut parent): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut name, mut trace_state, mut status, mut status_message) = ("", "", 0, "");
        let (mut kind, mut start, mut end, mut flags) = (Kind::Internal, 0, 0, 0);
        let mut dropped = Dropped::default();
        for field in Fields::of(message) {
            match field? {
                (1, Bytes(id)) => trace_id = id,
                (2, Bytes(id)) => span_id = id,
                (3, Bytes(state)) => trace_state = text(state)?,
                (4, Bytes(id)) => parent = id,
                (5, Bytes(value)) => name = text(value)?,
                (6, Varint(number)) => kind = kind_of(number),
                (7, Fixed64(time)) => start = time,
                (8, Fixed64(time)) => end = time,
                (9, Bytes(pair)) => attributes.push(key_value(pair, 0)?),
                (10, Varint(count)) => dropped.attributes = count as u32,
                (11, Bytes(message)) => {
                    event_with(message, |_, _| {})?;
                    events.push(message);
                }
                (12, Varint(count)) => dropped.events = count as u32,
                (13, Bytes(message)) => match link_with(message, |_, _| {})? {
                    Some(_) => links.push(message),
                    None => dropped.links = dropped.links.saturating_add(1),
                },
                (14, Varint(count)) => {
                    dropped.links = dropped.links.saturating_add(count as u32);
                }
                (15, Bytes(message)) => (status, status_message) = status_of(message)?,
                (16, Fixed32(bits)) => flags = bits,
                _ => {}
            }
        }
        let parent = match parent {
            [] => None,
            id if id.len() == 8 => span_id_of(id),
            _ => return Err(Invalid::Id("parent span id")),
        };
        Ok(Self {
            trace_id: trace_id_of(trace_id).ok_or(Invalid::Id("trace id"))?,
            span_id: span_id_of(span_id).ok_or(Invalid::Id("span id"))?,
            parent,
            name,
            kind,
            start,
            end: (end != 0).then_some(end),
            status,
            status_message,
            attributes,
            events,
            links,
            dropped,
            trace_state,
            flags,
        })
    }
}

impl<'a> LogView<'a> {
    /// Looks at a `LogRecord` message. Ids that are not valid mean that the line belongs to no
    /// trace, and a line that says only when it was collected was written then, as OTLP has it.
    /// The list is taken from `spare`; give it back with [`LogView::recycle`].
    ///
    /// # Errors
    /// If it is no such message, or its texts or values are not valid.
    pub(crate) fn parse(message: &'a [u8], spare: &mut Spare) -> Result<Self, Invalid> {
        let mut log = Self {
            trace_id: None,
            span_id: None,
            time: 0,
            observed: 0,
            severity: 0,
            severity_text: "",
            body: ValueView::Empty,
            event_name: "",
            attributes: spare.attributes(),
            dropped_attributes: 0,
            flags: 0,
        };
        for field in Fields::of(message) {
            match field? {
                (1, Fixed64(time)) => log.time = time,
                (2, Varint(number)) => log.severity = number.try_into().unwrap_or(0),
                (3, Bytes(name)) => log.severity_text = text(name)?,
                (5, Bytes(value)) => log.body = ValueView::parse(value, 0)?,
                (6, Bytes(pair)) => log.attributes.push(key_value(pair, 0)?),
                (7, Varint(count)) => log.dropped_attributes = count as u32,
                (8, Fixed32(bits)) => log.flags = bits,
                (9, Bytes(id)) => log.trace_id = trace_id_of(id),
                (10, Bytes(id)) => log.span_id = span_id_of(id),
                (11, Fixed64(time)) => log.observed = time,
                (12, Bytes(name)) => log.event_name = text(name)?,
                _ => {}
            }
        }
        if log.time == 0 {
            log.time = log.observed;
        }
        Ok(log)
    }
}

impl<'a> ValueView<'a> {
    /// Looks at an `AnyValue` message that stands in so many others.
    fn parse(message: &'a [u8], depth: usize) -> Result<Self, Invalid> {
        if depth > MAX_DEPTH {
            return Err(Invalid::TooDeep);
        }
        let mut value = Self::Empty;
        for field in Fields::of(message) {
            value = match field? {
                (5, Bytes(list)) => {
                    for item in items(list) {
                        Self::parse(item?, depth + 1)?;
                    }
                    Self::Nested(message)
                }
                (6, Bytes(map)) => {
                    for pair in items(map) {
                        key_value(pair?, depth + 1)?;
                    }
                    Self::Nested(message)
                }
                field => Self::plain(field)?.unwrap_or(value),
            }
        }
        Ok(value)
    }

    /// What a field of an `AnyValue` says, unless that is several values, or nothing.
    fn plain((number, field): (u64, Field<'a>)) -> Result<Option<Self>, Invalid> {
        Ok(Some(match (number, field) {
            (1, Bytes(bytes)) => Self::Str(text(bytes)?),
            (2, Varint(number)) => Self::Bool(number != 0),
            (3, Varint(number)) => Self::Int(number as i64),
            (4, Fixed64(bits)) => Self::Double(f64::from_bits(bits)),
            (7, Bytes(bytes)) => Self::Bytes(bytes),
            _ => return Ok(None),
        }))
    }
}

/// The value of an `AnyValue` message, as [`ValueView::Nested`] holds one.
///
/// # Errors
/// If it is no such message, or a text in it is not UTF-8.
pub(crate) fn value(message: &[u8]) -> Result<Value, Invalid> {
    nested(message, 0)
}

fn nested(message: &[u8], depth: usize) -> Result<Value, Invalid> {
    if depth > MAX_DEPTH {
        return Err(Invalid::TooDeep);
    }
    let mut value = Value::Empty;
    for field in Fields::of(message) {
        match field? {
            (5, Bytes(list)) => {
                let values = items(list).map(|item| nested(item?, depth + 1));
                value = Value::Array(values.collect::<Result<_, _>>()?);
            }
            (6, Bytes(map)) => {
                let pairs = items(map).map(|pair| {
                    let (key, message) = key_and_message(pair?)?;
                    Ok((key.to_owned(), nested(message, depth + 1)?))
                });
                value = Value::Map(pairs.collect::<Result<_, _>>()?);
            }
            field => {
                if let Some(plain) = ValueView::plain(field)? {
                    value = plain.to_value()?;
                }
            }
        }
    }
    Ok(value)
}

/// The attributes of a `Resource` message.
///
/// # Errors
/// If it is no such message, or its texts or values are not valid.
pub(crate) fn resource(message: &[u8]) -> Result<Resource, Invalid> {
    let mut resource = Resource::new();
    for field in Fields::of(message) {
        if let (1, Bytes(pair)) = field? {
            insert(&mut resource, key_value(pair, 0)?)?;
        }
    }
    Ok(resource)
}

/// What an `InstrumentationScope` message says.
///
/// # Errors
/// If it is no such message, or its texts or values are not valid.
pub(crate) fn scope(message: &[u8]) -> Result<Scope, Invalid> {
    let mut scope = Scope::default();
    for field in Fields::of(message) {
        match field? {
            (1, Bytes(name)) => scope.name = text(name)?.to_owned(),
            (2, Bytes(version)) => scope.version = text(version)?.to_owned(),
            (3, Bytes(pair)) => insert(&mut scope.attributes, key_value(pair, 0)?)?,
            _ => {}
        }
    }
    Ok(scope)
}

/// What an `Event` message says, as [`SpanView::events`] holds one.
///
/// # Errors
/// If it is no such message, or its texts or values are not valid.
pub(crate) fn event(message: &[u8]) -> Result<Event, Invalid> {
    let mut attributes = Vec::new();
    let (time, name, dropped_attributes) =
        event_with(message, |key, value| attributes.push((key, value)))?;
    Ok(Event { time, name: name.to_owned(), attributes: owned(&attributes)?, dropped_attributes })
}

/// What a `Link` message says, as [`SpanView::links`] holds one.
///
/// # Errors
/// If it is no such message, or its ids, texts or values are not valid.
pub(crate) fn link(message: &[u8]) -> Result<Link, Invalid> {
    let mut attributes = Vec::new();
    let link = link_with(message, |key, value| attributes.push((key, value)))?;
    let link = link.ok_or(Invalid::Id("link"))?;
    Ok(Link { attributes: owned(&attributes)?, ..link })
}

/// The attributes to own. Of several by one name the last counts.
///
/// # Errors
/// As [`ValueView::to_value`].
pub(crate) fn owned(attributes: &[(&str, ValueView<'_>)]) -> Result<Attributes, Invalid> {
    let mut owned = Attributes::with_capacity(attributes.len());
    for &pair in attributes {
        insert(&mut owned, pair)?;
    }
    Ok(owned)
}

fn insert(into: &mut Attributes, (key, value): (&str, ValueView<'_>)) -> Result<(), Invalid> {
    into.insert(key.to_owned(), value.to_value()?);
    Ok(())
}

/// Time, name, and the count of dropped attributes; the attributes go to the function.
fn event_with<'a>(
    message: &'a [u8],
    mut attribute: impl FnMut(&'a str, ValueView<'a>),
) -> Result<(u64, &'a str, u32), Invalid> {
    let (mut time, mut name, mut dropped) = (0, "", 0);
    for field in Fields::of(message) {
        match field? {
            (1, Fixed64(nanos)) => time = nanos,
            (2, Bytes(bytes)) => name = text(bytes)?,
            (3, Bytes(pair)) => {
                let (key, value) = key_value(pair, 0)?;
                attribute(key, value);
            }
            (4, Varint(count)) => dropped = count as u32,
            _ => {}
        }
    }
    Ok((time, name, dropped))
}

/// A link without its attributes, which go to the function; none if it points to no possible span.
fn link_with<'a>(
    message: &'a [u8],
    mut attribute: impl FnMut(&'a str, ValueView<'a>),
) -> Result<Option<Link>, Invalid> {
    let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
    let (mut trace_state, mut dropped_attributes, mut flags) = ("", 0, 0);
    for field in Fields::of(message) {
        match field? {
            (1, Bytes(id)) => trace_id = id,
            (2, Bytes(id)) => span_id = id,
            (3, Bytes(state)) => trace_state = text(state)?,
            (4, Bytes(pair)) => {
                let (key, value) = key_value(pair, 0)?;
                attribute(key, value);
            }
            (5, Varint(count)) => dropped_attributes = count as u32,
            (6, Fixed32(bits)) => flags = bits,
            _ => {}
        }
    }
    let (Some(trace_id), Some(span_id)) = (trace_id_of(trace_id), span_id_of(span_id)) else {
        return Ok(None);
    };
    let trace_state = trace_state.to_owned();
    let to = SpanContext { trace_id, span_id };
    Ok(Some(Link { trace_state, dropped_attributes, flags, ..Link::from(to) }))
}

fn status_of(message: &[u8]) -> Result<(u8, &str), Invalid> {
    let (mut code, mut why) = (0, "");
    for field in Fields::of(message) {
        match field? {
            (2, Bytes(bytes)) => why = text(bytes)?,
            (3, Varint(number @ 0..=2)) => code = number as u8,
            _ => {}
        }
    }
    Ok((code, why))
}

fn key_value(message: &[u8], depth: usize) -> Result<(&str, ValueView<'_>), Invalid> {
    let (key, value) = key_and_message(message)?;
    Ok((key, ValueView::parse(value, depth)?))
}

fn key_and_message(message: &[u8]) -> Result<(&str, &[u8]), Invalid> {
    let (mut key, mut value): (&str, &[u8]) = ("", &[]);
    for field in Fields::of(message) {
        match field? {
            (1, Bytes(bytes)) => key = text(bytes)?,
            (2, Bytes(message)) => value = message,
            _ => {}
        }
    }
    Ok((key, value))
}

/// The messages of an `ArrayValue` or a `KeyValueList`.
fn items(list: &[u8]) -> impl Iterator<Item = Result<&[u8], Invalid>> {
    Fields::of(list).filter_map(|field| match field {
        Ok((1, Field::Bytes(item))) => Some(Ok(item)),
        Ok(_) => None,
        Err(why) => Some(Err(why)),
    })
}

fn text(bytes: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(bytes).map_err(|_| Invalid::Text)
}

fn trace_id_of(bytes: &[u8]) -> Option<TraceId> {
    TraceId::from_bytes(bytes.try_into().ok()?)
}

fn span_id_of(bytes: &[u8]) -> Option<SpanId> {
    SpanId::from_bytes(bytes.try_into().ok()?)
}
