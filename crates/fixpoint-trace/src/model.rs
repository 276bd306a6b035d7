//! Spans, log records and traces, in OpenTelemetry's words.
//!
//! Not here: any wire format; those are codecs of their own (`otlp.rs`). The surprise: a span
//! without an end is not an error but a span that is still open.

use std::{collections::HashMap, fmt, str::FromStr, sync::Arc};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

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

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
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
}

fn finite_or_text<S: serde::Serializer>(value: &f64, s: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { s.serialize_f64(*value) } else { s.collect_str(value) }
}

/// Attributes by name, in the order in which they were set.
pub type Attributes = IndexMap<String, Value>;

/// Who a span is between, as OpenTelemetry defines it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub time: UnixNanos,
    /// What.
    pub name: String,
    /// Details.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
}

/// What produced the spans: `service.name` and the like.
pub type Resource = Attributes;

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
    /// Spans of other traces that caused it.
    #[serde(default)]
    pub links: Vec<SpanContext>,
    /// What produced it. Shared: one process, one resource.
    pub resource: Arc<Resource>,
}

impl Span {
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

/// A log line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// When it was written.
    pub time: UnixNanos,
    /// How grave it is.
    pub level: Level,
    /// What happened.
    pub message: String,
    /// The module that wrote it.
    pub target: String,
    /// The trace it belongs to, if any.
    pub trace_id: Option<TraceId>,
    /// The span it was written in, if any.
    pub span_id: Option<SpanId>,
    /// Everything else the line says.
    #[serde(default)]
    pub attributes: Attributes,
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
}

impl Trace {
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
/// sender can make, is cut open somewhere.
fn depths(spans: &[Span]) -> HashMap<SpanId, usize> {
    let parents: HashMap<_, _> = spans.iter().map(|span| (span.span_id, span.parent)).collect();
    let mut depths = HashMap::with_capacity(spans.len());
    let mut path = Vec::new();
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
