//! OTLP in protobuf, looked at where it lies: no field is copied, no message is built.
//!
//! For the store, which takes in and seals far more spans than anybody reads. Whoever wants to
//! own a span takes the model's, by [`SpanView::to_span`]. The surprise: a view's lists come from a
//! [`Spare`] and go back to it, so that they are allocated once for thousands of spans.

use std::sync::Arc;

use super::proto::{Invalid, owned};
pub(crate) use super::proto::{event, link, value};
use crate::model::{
    Dropped, Kind, LogRecord, Resource, Scope, Span, SpanId, Status, TraceId, UnixNanos, Value,
};

/// The value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ValueView<'a> {
    /// No value at all.
    Empty,
    /// `boolValue`
    Bool(bool),
    /// `intValue`
    Int(i64),
    /// `doubleValue`
    Double(f64),
    /// `stringValue`
    Str(&'a str),
    /// `bytesValue`
    Bytes(&'a [u8]),
    /// `arrayValue` or `kvlistValue`: the `AnyValue` message, not decoded.
    Nested(&'a [u8]),
}

/// Attributes in the order in which they were sent.
pub(crate) type AttributesView<'a> = Vec<(&'a str, ValueView<'a>)>;

/// A span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SpanView<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) start: UnixNanos,
    /// None while it is open, which OTLP writes as 0.
    pub(crate) end: Option<UnixNanos>,
    /// 0 unset, 1 ok, 2 error.
    pub(crate) status: u8,
    pub(crate) status_message: &'a str,
    pub(crate) attributes: AttributesView<'a>,
    /// The `Event` messages, not decoded.
    pub(crate) events: Vec<&'a [u8]>,
    /// The `Link` messages, not decoded.
    pub(crate) links: Vec<&'a [u8]>,
    pub(crate) dropped: Dropped,
    pub(crate) trace_state: &'a str,
    pub(crate) flags: u32,
}

/// A log line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LogView<'a> {
    pub(crate) trace_id: Option<TraceId>,
    pub(crate) span_id: Option<SpanId>,
    pub(crate) time: UnixNanos,
    pub(crate) observed: UnixNanos,
    pub(crate) severity: u8,
    pub(crate) severity_text: &'a str,
    pub(crate) body: ValueView<'a>,
    pub(crate) event_name: &'a str,
    pub(crate) attributes: AttributesView<'a>,
    pub(crate) dropped_attributes: u32,
    pub(crate) flags: u32,
}

impl SpanView<'_> {
    /// The span to own.
    ///
    /// # Errors
    /// If something in it was not parsed with it.
    pub(crate) fn to_span(
        &self,
        resource: Arc<Resource>,
        scope: Arc<Scope>,
    ) -> Result<Span, Invalid> {
        Ok(Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent: self.parent,
            name: self.name.to_owned(),
            kind: self.kind,
            start: self.start,
            end: self.end,
            status: match self.status {
                1 => Status::Ok,
                2 => Status::Error(self.status_message.to_owned()),
                _ => Status::Unset,
            },
            attributes: owned(&self.attributes)?,
            events: self.events.iter().map(|message| event(message)).collect::<Result<_, _>>()?,
            links: self.links.iter().map(|message| link(message)).collect::<Result<_, _>>()?,
            dropped: self.dropped,
            trace_state: self.trace_state.to_owned(),
            flags: self.flags,
            scope,
            resource,
        })
    }

    /// Gives the lists back, for the next view.
    pub(crate) fn recycle(self, spare: &mut Spare) {
        spare.attributes = emptied(self.attributes);
        spare.events = emptied(self.events);
        spare.links = emptied(self.links);
    }
}

impl LogView<'_> {
    /// The line to own.
    ///
    /// # Errors
    /// If something in it was not parsed with it.
    pub(crate) fn to_log(
        &self,
        resource: Arc<Resource>,
        scope: Arc<Scope>,
    ) -> Result<LogRecord, Invalid> {
        Ok(LogRecord {
            time: self.time,
            observed: self.observed,
            severity: self.severity,
            severity_text: self.severity_text.to_owned(),
            body: self.body.to_value()?,
            event_name: self.event_name.to_owned(),
            trace_id: self.trace_id,
            span_id: self.span_id,
            flags: self.flags,
            attributes: owned(&self.attributes)?,
            dropped_attributes: self.dropped_attributes,
            scope,
            resource,
        })
    }

    /// Gives the list back, for the next view.
    pub(crate) fn recycle(self, spare: &mut Spare) {
        spare.attributes = emptied(self.attributes);
    }
}

impl ValueView<'_> {
    /// The value to own.
    ///
    /// # Errors
    /// If it is a nested one that was not parsed with its view.
    pub(crate) fn to_value(self) -> Result<Value, Invalid> {
        Ok(match self {
            Self::Empty => Value::Empty,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Str(text) => Value::String(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Nested(message) => value(message)?,
        })
    }
}

/// Empty lists for the next view.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    attributes: AttributesView<'static>,
    events: Vec<&'static [u8]>,
    links: Vec<&'static [u8]>,
}

impl Spare {
    pub(super) fn attributes<'a>(&mut self) -> AttributesView<'a> {
        std::mem::take(&mut self.attributes)
    }

    pub(super) fn events<'a>(&mut self) -> Vec<&'a [u8]> {
        std::mem::take(&mut self.events)
    }

    pub(super) fn links<'a>(&mut self) -> Vec<&'a [u8]> {
        std::mem::take(&mut self.links)
    }
}

/// The list without its items. Collecting from a list into one of like items keeps its memory,
/// which is what makes this worth while; that items of another lifetime go in then is safe, as
/// there are none.
fn emptied<A, B>(mut list: Vec<A>) -> Vec<B> {
    list.clear();
    list.into_iter().filter_map(|_| None).collect()
}
