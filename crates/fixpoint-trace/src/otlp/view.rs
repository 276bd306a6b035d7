//! OTLP in protobuf, looked at where it lies: no field is copied, no message is built.
//!
//! For the store, which takes in and seals far more spans than anybody reads. Whoever wants to
//! own a span takes the model's, by [`SpanView::to_span`]. The surprise: a view may be filled
//! again and again, so that its lists are allocated once for thousands of spans.

use crate::model::{Dropped, Kind, SpanId, TraceId, UnixNanos};

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
