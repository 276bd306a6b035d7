//! OTLP JSON as it is read: whatever the protocol lets a sender write.
//!
//! Unknown fields are ignored; integers may be numbers or text, enums numbers or names, ids hex of
//! either case. The surprise: spans and log lines come out of their groups undecoded, so that one
//! that is not valid does not cost the others.
//!
//! <https://protobuf.dev/programming-guides/json/>

use serde::{Deserialize, de::Error as _};
use serde_json::{Error, value::RawValue};

use super::scalar::{Base64, Double, Number, Whole, kind, severity, status_code};
use crate::{
    formats::{lenient::Int, raw},
    model::{self, Attributes, Dropped, SpanContext, SpanId, Status, Value},
    otlp::proto::{Invalid, MAX_DEPTH},
};

/// `TracesData`, or an `ExportTraceServiceRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TracesData<'a> {
    #[serde(borrow)]
    pub(super) resource_spans: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceSpans<'a> {
    #[serde(borrow)]
    pub(super) resource: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) scope_spans: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ScopeSpans<'a> {
    #[serde(borrow)]
    pub(super) scope: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) spans: Option<Vec<&'a RawValue>>,
}

/// `LogsData`, or an `ExportLogsServiceRequest`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct LogsData<'a> {
    #[serde(borrow)]
    pub(super) resource_logs: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ResourceLogs<'a> {
    #[serde(borrow)]
    pub(super) resource: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) scope_logs: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ScopeLogs<'a> {
    #[serde(borrow)]
    pub(super) scope: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) log_records: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource {
    attributes: Vec<KeyValue>,
}

impl Resource {
    pub(super) fn read(self) -> Result<model::Resource, Error> {
        attributes(self.attributes)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    name: String,
    version: String,
    attributes: Vec<KeyValue>,
}

impl Scope {
    pub(super) fn read(self) -> Result<model::Scope, Error> {
        let attributes = attributes(self.attributes)?;
        Ok(model::Scope { name: self.name, version: self.version, attributes })
    }
}

/// The span, but for its resource and scope.
pub(super) fn span(raw: &RawValue) -> Result<model::Span, Error> {
    let span: Span = raw::parse(Some(raw))?;
    let context = SpanContext {
        trace_id: span.trace_id.parse().map_err(Error::custom)?,
        span_id: span.span_id.parse().map_err(Error::custom)?,
    };
    let sent = span.links.len();
    let links = span.links.into_iter().filter_map(Link::read).collect::<Result<Vec<_>, _>>()?;
    // One that points to no possible span is as good as dropped by its sender.
    let lost = u32::try_from(sent - links.len()).unwrap_or(u32::MAX);
    Ok(model::Span {
        parent: parent(&span.parent_span_id)?,
        kind: kind(span.kind),
        end: Some(span.end_time_unix_nano.0).filter(|&end| end != 0),
        status: match status_code(span.status.code) {
            1 => Status::Ok,
            2 => Status::Error(span.status.message),
            _ => Status::Unset,
        },
        attributes: attributes(span.attributes)?,
        events: span.events.into_iter().map(Event::read).collect::<Result<_, _>>()?,
        links,
        dropped: Dropped {
            attributes: span.dropped_attributes_count.0,
            events: span.dropped_events_count.0,
            links: span.dropped_links_count.0.saturating_add(lost),
        },
        trace_state: span.trace_state,
        flags: span.flags.0,
        ..model::Span::new(context, span.name, span.start_time_unix_nano.0)
    })
}

/// None if it is left out, empty, or all zero.
fn parent(id: &str) -> Result<Option<SpanId>, Error> {
    let none = id.is_empty() || id == "0000000000000000";
    if none { Ok(None) } else { id.parse().map(Some).map_err(Error::custom) }
}

/// The line, but for its resource and scope. Ids that are not valid mean that it belongs to no
/// trace, and if it says only when it was collected it was written then, as OTLP has it.
pub(super) fn log(raw: &RawValue) -> Result<model::LogRecord, Error> {
    let log: LogRecord = raw::parse(Some(raw))?;
    let observed = log.observed_time_unix_nano.0;
    Ok(model::LogRecord {
        time: Some(log.time_unix_nano.0).filter(|&time| time != 0).unwrap_or(observed),
        observed,
        severity: severity(log.severity_number),
        severity_text: log.severity_text,
        body: log.body.read(0)?,
        event_name: log.event_name,
        trace_id: log.trace_id.parse().ok(),
        span_id: log.span_id.parse().ok(),
        flags: log.flags.0,
        attributes: attributes(log.attributes)?,
        dropped_attributes: log.dropped_attributes_count.0,
        scope: Default::default(),
        resource: Default::default(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Span {
    trace_id: String,
    span_id: String,
    trace_state: String,
    parent_span_id: String,
    flags: Int<u32>,
    name: String,
    kind: Number,
    start_time_unix_nano: Int<u64>,
    end_time_unix_nano: Int<u64>,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: Int<u32>,
    events: Vec<Event>,
    dropped_events_count: Int<u32>,
    links: Vec<Link>,
    dropped_links_count: Int<u32>,
    status: Code,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Code {
    code: Number,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    time_unix_nano: Int<u64>,
    name: String,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: Int<u32>,
}

impl Event {
    fn read(self) -> Result<model::Event, Error> {
        Ok(model::Event {
            time: self.time_unix_nano.0,
            name: self.name,
            attributes: attributes(self.attributes)?,
            dropped_attributes: self.dropped_attributes_count.0,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Link {
    trace_id: String,
    span_id: String,
    trace_state: String,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: Int<u32>,
    flags: Int<u32>,
}

impl Link {
    /// None if it points to no possible span.
    fn read(self) -> Option<Result<model::Link, Error>> {
        let trace_id = self.trace_id.parse().ok()?;
        let span_id = self.span_id.parse().ok()?;
        Some(attributes(self.attributes).map(|attributes| model::Link {
            to: SpanContext { trace_id, span_id },
            trace_state: self.trace_state,
            attributes,
            dropped_attributes: self.dropped_attributes_count.0,
            flags: self.flags.0,
        }))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogRecord {
    time_unix_nano: Int<u64>,
    observed_time_unix_nano: Int<u64>,
    severity_number: Number,
    severity_text: String,
    body: AnyValue,
    event_name: String,
    attributes: Vec<KeyValue>,
    dropped_attributes_count: Int<u32>,
    flags: Int<u32>,
    trace_id: String,
    span_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

/// A value: at most one of the fields is set, and none means that it holds nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AnyValue {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<Whole>,
    double_value: Option<Double>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
    bytes_value: Option<Base64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ArrayValue {
    values: Vec<AnyValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct KeyValueList {
    values: Vec<KeyValue>,
}

impl AnyValue {
    fn read(self, depth: usize) -> Result<Value, Error> {
        if depth > MAX_DEPTH {
            return Err(Error::custom(Invalid::TooDeep));
        }
        Ok(match self {
            Self { string_value: Some(text), .. } => Value::String(text),
            Self { bool_value: Some(value), .. } => Value::Bool(value),
            Self { int_value: Some(Whole::Int(Int(value))), .. } => Value::Int(value),
            Self { int_value: Some(Whole::Larger(value)), .. } => Value::Double(value),
            Self { double_value: Some(Double(value)), .. } => Value::Double(value),
            Self { bytes_value: Some(Base64(bytes)), .. } => Value::Bytes(bytes),
            Self { array_value: Some(array), .. } => {
                let values = array.values.into_iter().map(|value| value.read(depth + 1));
                Value::Array(values.collect::<Result<_, _>>()?)
            }
            Self { kvlist_value: Some(map), .. } => Value::Map(pairs(map.values, depth + 1)?),
            Self { .. } => Value::Empty,
        })
    }
}

fn attributes(values: Vec<KeyValue>) -> Result<Attributes, Error> {
    pairs(values, 0)
}

fn pairs(values: Vec<KeyValue>, depth: usize) -> Result<Attributes, Error> {
    values.into_iter().map(|pair| Ok((pair.key, pair.value.read(depth)?))).collect()
}
