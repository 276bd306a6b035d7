//! Spans, log records and traces, in OpenTelemetry's words.
//!
//! Not here: any wire format; those are codecs of their own (`otlp.rs`). The surprise: a span
//! without an end is not an error but a span that is still open.

use std::{borrow::Cow, collections::HashMap, fmt, str::FromStr, sync::Arc};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::semconv;

/// Nanoseconds since the Unix epoch, as OTLP counts time.
pub type UnixNanos = u64;

/// Identifies a trace: 16 bytes, not all zero, written as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// Identifies a span within its trace: 8 bytes, not all zero, written as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// The text is not an id: wrong length, not hex, or all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {digits} hex digits wanted, not all zero")]
pub struct InvalidId {
    what: &'static str,
    digits: usize,
}

macro_rules! id {
    ($name:ident, $len:literal, $what:literal) => {
        impl $name {
            /// From its bytes; `None` if they are all zero, which no format allows.
            pub fn from_bytes(bytes: [u8; $len]) -> Option<Self> {
                (bytes != [0; $len]).then_some(Self(bytes))
            }

            /// Its bytes, in network order.
            pub fn to_bytes(self) -> [u8; $len] {
                self.0
            }

            /// A new random id.
            pub fn random() -> Self {
                let mut bytes = [0; $len];
                fastrand::fill(&mut bytes);
                bytes[$len - 1] |= 1;
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; $len * 2];
                // Cannot fail: the buffer is twice as long as the id.
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { what: $what, digits: $len * 2 };
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| invalid)?;
                Self::from_bytes(bytes).ok_or(invalid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(TraceId, 16, "trace id");
id!(SpanId, 8, "span id");

/// Names one span of one trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: TraceId,
    /// The span in it.
    pub span_id: SpanId,
}

/// The value of an attribute. In JSON as a reader expects it: bytes as base64, which is read back
/// as text; the OTLP codec keeps the difference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A value that holds nothing.
    #[default]
    Empty,
    /// `boolValue`
    Bool(bool),
    /// `intValue`
    Int(i64),
    /// `doubleValue`. One that is not finite is stored as text, since JSON has no number for it.
    #[serde(serialize_with = "finite_or_text")]
    Double(f64),
    /// `stringValue`
    String(String),
    /// `arrayValue`
    Array(Vec<Value>),
    /// `kvlistValue`
    Map(Attributes),
    /// `bytesValue`
    #[serde(serialize_with = "base64")]
    Bytes(Vec<u8>),
}

impl Value {
    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a person reads it, and as it is searched for: a text as it is, anything else
    /// as JSON.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Empty => "".into(),
            Self::String(text) => text.into(),
            Self::Bool(value) => if *value { "true" } else { "false" }.into(),
            Self::Int(value) => value.to_string().into(),
            other => match serde_json::to_value(other) {
                Ok(serde_json::Value::String(text)) => text.into(),
                Ok(json) => json.to_string().into(),
                // A value has text keys only, so this does not happen.
                Err(_) => "".into(),
            },
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

#[allow(clippy::ptr_arg, reason = "serde calls it with a reference to the field")]
fn base64<S: serde::Serializer>(bytes: &Vec<u8>, s: S) -> Result<S::Ok, S::Error> {
    use ::base64::{Engine, engine::general_purpose::STANDARD};
    s.serialize_str(&STANDARD.encode(bytes))
}

fn finite_or_text<S: serde::Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { s.serialize_f64(*value) } else { s.collect_str(value) }
}

/// Attributes by name, in the order in which they were set.
pub type Attributes = IndexMap<String, Value>;

/// Who a span is between, as OpenTelemetry defines it.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// Within the process.
    #[default]
    Internal,
    /// Answers a remote caller.
    Server,
    /// Calls a remote service.
    Client,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing was said; as good as ok.
    #[default]
    Unset,
    /// Said to be ok.
    Ok,
    /// Failed, with a description.
    Error(String),
}

/// Something that happened at one moment of a span.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: UnixNanos,
    /// What.
    pub name: String,
    /// Details.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// How many attributes its sender left out.
    #[serde(default)]
    pub dropped_attributes: u32,
}

/// A span of this or another trace that has to do with a span, most often as its cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The span pointed to.
    pub to: SpanContext,
    /// Its `tracestate`, as W3C writes it.
    #[serde(default)]
    pub trace_state: String,
    /// Details.
    #[serde(default)]
    pub attributes: Attributes,
    /// How many attributes its sender left out.
    #[serde(default)]
    pub dropped_attributes: u32,
    /// W3C's trace flags, and OTLP's beside them.
    #[serde(default)]
    pub flags: u32,
}

impl From<SpanContext> for Link {
    fn from(to: SpanContext) -> Self {
        Self {
            to,
            trace_state: String::new(),
            attributes: Attributes::new(),
            dropped_attributes: 0,
            flags: 0,
        }
    }
}

/// What a sender says that it left out of a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// How many attributes.
    pub attributes: u32,
    /// How many events.
    pub events: u32,
    /// How many links.
    pub links: u32,
}

/// What produced the spans: `service.name` and the like.
pub type Resource = Attributes;

/// The library, or module, that made a span or wrote a log line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Its version, if it is known.
    #[serde(default)]
    pub version: String,
    /// Details.
    #[serde(default)]
    pub attributes: Attributes,
}

impl Scope {
    /// A scope of which only the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A span, open or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// Its parent; none for a root.
    pub parent: Option<SpanId>,
    /// Low cardinality: `create_security_group`, `EC2.RunInstances`.
    pub name: String,
    /// Who it is between.
    pub kind: Kind,
    /// When it opened.
    pub start: UnixNanos,
    /// When it ended; none while it is open.
    pub end: Option<UnixNanos>,
    /// How it ended.
    pub status: Status,
    /// What is known of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// What happened in it.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Spans that caused it, most often of other traces.
    #[serde(default)]
    pub links: Vec<Link>,
    /// What its sender left out of it.
    #[serde(default)]
    pub dropped: Dropped,
    /// W3C's `tracestate`, as it was sent.
    #[serde(default)]
    pub trace_state: String,
    /// W3C's trace flags, and OTLP's beside them.
    #[serde(default)]
    pub flags: u32,
    /// The library that made it. Shared like the resource.
    #[serde(default)]
    pub scope: Arc<Scope>,
    /// What produced it. Shared: one process, one resource.
    pub resource: Arc<Resource>,
}

impl Span {
    pub(crate) fn rank(&self) -> Rank {
        Rank::of(self.parent.is_none(), self.start, self.span_id)
    }

    /// An open span of which nothing more is known.
    pub fn new(context: SpanContext, name: impl Into<String>, start: UnixNanos) -> Self {
        Self {
            trace_id: context.trace_id,
            span_id: context.span_id,
            parent: None,
            name: name.into(),
            kind: Kind::Internal,
            start,
            end: None,
            status: Status::Unset,
            attributes: Attributes::new(),
            events: Vec::new(),
            links: Vec::new(),
            dropped: Dropped::default(),
            trace_state: String::new(),
            flags: 0,
            scope: Arc::default(),
            resource: Arc::default(),
        }
    }

    /// The service that produced it; empty if it did not say.
    pub fn service(&self) -> &str {
        self.resource.get(semconv::SERVICE_NAME).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it failed.
    pub fn failed(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// How long it took, in nanoseconds; none while it is open. A clock set back makes it zero.
    pub fn duration(&self) -> Option<u64> {
        self.end.map(|end| end.saturating_sub(self.start))
    }

    /// Whose it is, if it is a tenant's.
    pub fn tenant(&self) -> Option<&str> {
        tenant(&self.attributes, &self.resource)
    }

    /// Its trace and its id.
    pub fn context(&self) -> SpanContext {
        SpanContext { trace_id: self.trace_id, span_id: self.span_id }
    }
}

/// How grave a log line is, as `tracing` counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Finest.
    Trace,
    /// For developers.
    Debug,
    /// Normal life.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// The level of an OpenTelemetry severity number. 0, which says nothing, is normal life.
    pub fn of(severity: u8) -> Self {
        match severity {
            1..=4 => Self::Trace,
            5..=8 => Self::Debug,
            13..=16 => Self::Warn,
            17..=24 => Self::Error,
            _ => Self::Info,
        }
    }

    /// The lowest severity number of the level.
    pub fn severity(self) -> u8 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }

    /// `TRACE` to `ERROR`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// A log line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it was written.
    pub time: UnixNanos,
    /// When it was collected, if that was said; 0 otherwise.
    #[serde(default)]
    pub observed: UnixNanos,
    /// OpenTelemetry's severity number, 1 to 24; 0 says nothing.
    pub severity: u8,
    /// How its writer calls the severity; may be empty.
    #[serde(default)]
    pub severity_text: String,
    /// What happened: a text, most often.
    pub body: Value,
    /// The name of the event, if the line is one.
    #[serde(default)]
    pub event_name: String,
    /// The trace it belongs to, if any.
    pub trace_id: Option<TraceId>,
    /// The span it was written in, if any.
    pub span_id: Option<SpanId>,
    /// W3C's trace flags.
    #[serde(default)]
    pub flags: u32,
    /// Everything else the line says.
    #[serde(default)]
    pub attributes: Attributes,
    /// How many attributes its sender left out.
    #[serde(default)]
    pub dropped_attributes: u32,
    /// The module that wrote it.
    #[serde(default)]
    pub scope: Arc<Scope>,
    /// What produced it.
    #[serde(default)]
    pub resource: Arc<Resource>,
}

impl LogRecord {
    /// A line of which nothing more is known.
    pub fn new(time: UnixNanos, level: Level, message: impl Into<String>) -> Self {
        Self {
            time,
            observed: 0,
            severity: level.severity(),
            severity_text: level.as_str().to_owned(),
            body: Value::String(message.into()),
            event_name: String::new(),
            trace_id: None,
            span_id: None,
            flags: 0,
            attributes: Attributes::new(),
            dropped_attributes: 0,
            scope: Arc::default(),
            resource: Arc::default(),
        }
    }

    /// How grave it is. One that does not say is normal life.
    pub fn level(&self) -> Level {
        Level::of(self.severity)
    }

    /// What happened, as text.
    pub fn message(&self) -> Cow<'_, str> {
        self.body.to_text()
    }

    /// Whose it is, if it is a tenant's.
    pub fn tenant(&self) -> Option<&str> {
        tenant(&self.attributes, &self.resource)
    }

    /// The module that wrote it; may be empty.
    pub fn target(&self) -> &str {
        &self.scope.name
    }
}

/// One thing to store. The same span may come twice or more: when it opens, when something is
/// learnt of it, and when it ends; each time whole, and the last one counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// A span as it now is.
    Span(Span),
    /// A log line.
    Log(LogRecord),
}

impl Record {
    /// The trace that it belongs to; a log line may have none.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self {
            Self::Span(span) => Some(span.trace_id),
            Self::Log(log) => log.trace_id,
        }
    }

    /// Whose it is, if it is a tenant's.
    pub fn tenant(&self) -> Option<&str> {
        match self {
            Self::Span(span) => span.tenant(),
            Self::Log(log) => log.tenant(),
        }
    }
}

/// Whose something is; found where queries look for any attribute.
fn tenant<'a>(attributes: &'a Attributes, resource: &'a Resource) -> Option<&'a str> {
    attributes.get(semconv::TENANT).or_else(|| resource.get(semconv::TENANT))?.as_str()
}

/// The time now.
pub(crate) fn now() -> UnixNanos {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    // Overflows in the year 2554.
    since.as_nanos() as UnixNanos
}

/// A whole trace: its spans by start time, its log lines by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// By start, parents before children that start with them.
    pub spans: Vec<Span>,
    /// By time.
    pub logs: Vec<LogRecord>,
    /// Why this is not all there is, if it is not: a file that could not be read, say.
    pub partial: Option<String>,
}

/// How early a span comes among those that a trace may go by: a root before others, the earliest
/// first, and of those that start together always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    below: bool,
    start: UnixNanos,
    span_id: SpanId,
}

impl Rank {
    pub(crate) fn of(root: bool, start: UnixNanos, span_id: SpanId) -> Self {
        Self { below: !root, start, span_id }
    }
}

impl Trace {
    /// The span that the trace goes by: its earliest root or, if it has none here (it was
    /// continued from a caller elsewhere, or the root has not come), its earliest span.
    pub fn head(&self) -> Option<&Span> {
        self.spans.iter().min_by_key(|span| span.rank())
    }

    /// From the earliest start to the latest end, in nanoseconds; none while a span is open.
    pub fn duration(&self) -> Option<u64> {
        let start = self.spans.iter().map(|span| span.start).min()?;
        let end = self.spans.iter().map(|span| span.end).max()??;
        let open = self.spans.iter().any(|span| span.end.is_none());
        (!open).then(|| end.saturating_sub(start))
    }

    /// What of it is a tenant's, as if there were nothing else; none if nothing is.
    #[must_use]
    pub fn part_of(mut self, tenant: &str) -> Option<Self> {
        self.spans.retain(|span| span.tenant() == Some(tenant));
        self.logs.retain(|log| log.tenant() == Some(tenant));
        (!self.spans.is_empty() || !self.logs.is_empty()).then_some(self)
    }

    /// Puts spans and log lines in the order that the fields promise.
    pub fn sort(&mut self) {
        let depths = depths(&self.spans);
        self.spans.sort_by_cached_key(|span| {
            (span.start, depths.get(&span.span_id).copied().unwrap_or(0), span.span_id)
        });
        self.logs.sort_by_key(|log| log.time);
    }
}

/// How many ancestors each span has among the spans. A circle of parents, which only a foreign
/// sender can make, is cut open at the same place in whatever order the spans come.
fn depths(spans: &[Span]) -> HashMap<SpanId, usize> {
    let parents: HashMap<_, _> = spans.iter().map(|span| (span.span_id, span.parent)).collect();
    let mut depths = HashMap::with_capacity(spans.len());
    let mut path = Vec::new();
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_unstable_by_key(|span| (span.start, span.span_id));
    for span in spans {
        let mut at = Some(span.span_id);
        while let Some(id) = at.filter(|id| parents.contains_key(id) && !depths.contains_key(id)) {
            // Provisional, so that a circle ends here.
            depths.insert(id, 0);
            path.push(id);
            at = parents.get(&id).copied().flatten();
        }
        let mut depth = at.and_then(|id| depths.get(&id)).map_or(0, |depth| depth + 1);
        while let Some(id) = path.pop() {
            depths.insert(id, depth);
            depth += 1;
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_are_each_others_parents_have_one_order_in_whatever_order_they_come() {
        let trace_id = TraceId::random();
        let [a, b, c] = [1, 2, 3].map(|n| SpanId::from_bytes([n; 8]).unwrap());
        let span = |span_id, parent| {
            let span = Span::new(SpanContext { trace_id, span_id }, "step", 7);
            Span { parent: Some(parent), ..span }
        };
        let (ab, ba, ca) = (span(a, b), span(b, a), span(c, a));
        let sorted = |spans: [&Span; 3]| {
            let mut trace = Trace { spans: spans.map(Clone::clone).into(), ..Trace::default() };
            trace.sort();
            trace.spans.iter().map(|span| span.span_id).collect::<Vec<_>>()
        };
        let once = sorted([&ab, &ba, &ca]);
        for others in [[&ba, &ab, &ca], [&ca, &ba, &ab], [&ca, &ab, &ba]] {
            assert_eq!(sorted(others), once);
        }
    }
}
