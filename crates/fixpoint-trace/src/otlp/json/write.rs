//! OTLP JSON as it is written: borrowed from the model, nothing copied.
//!
//! Field names are lowerCamelCase, ids hex, 64-bit integers text, enums numbers. The surprise:
//! lists that are always looked at (`attributes`, `events`, `links`) are there even when empty,
//! since many a page reads them without asking; whatever else says nothing is left out.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    model::{self, Attributes, SpanId, Status, TraceId},
    otlp::kind_number,
};

/// `{"resourceSpans": […], "resourceLogs": […]}`, without the one that is not asked for.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_spans: Option<Vec<ResourceSpans<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_logs: Option<Vec<ResourceLogs<'a>>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Debug, Serialize)]
struct ScopeSpans<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope<'a>>,
    spans: Vec<Span<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceLogs<'a> {
    resource: Resource<'a>,
    scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Scope<'a>>,
    log_records: Vec<LogRecord<'a>>,
}

/// The spans by resource and scope, in the order in which these first occur.
pub(super) fn resource_spans(spans: &[model::Span]) -> Vec<ResourceSpans<'_>> {
    let groups = grouped(spans, |span| (&span.resource, &span.scope));
    groups
        .into_iter()
        .map(|(resource, scopes)| ResourceSpans {
            resource: Resource { attributes: KeyValues(resource) },
            scope_spans: scopes
                .into_iter()
                .map(|(scope, spans)| ScopeSpans {
                    scope: Scope::of(scope),
                    spans: spans.into_iter().map(Span::of).collect(),
                })
                .collect(),
        })
        .collect()
}

/// The log lines likewise.
pub(super) fn resource_logs(logs: &[model::LogRecord]) -> Vec<ResourceLogs<'_>> {
    let groups = grouped(logs, |log| (&log.resource, &log.scope));
    groups
        .into_iter()
        .map(|(resource, scopes)| ResourceLogs {
            resource: Resource { attributes: KeyValues(resource) },
            scope_logs: scopes
                .into_iter()
                .map(|(scope, logs)| ScopeLogs {
                    scope: Scope::of(scope),
                    log_records: logs.into_iter().map(LogRecord::of).collect(),
                })
                .collect(),
        })
        .collect()
}

type Grouped<'a, T> = Vec<(&'a model::Resource, Vec<(&'a model::Scope, Vec<&'a T>)>)>;

/// Records by resource, then by scope. Records of one sender most often share both, so they are
/// told apart by address before they are compared.
fn grouped<T>(
    records: &[T],
    origin: impl Fn(&T) -> (&Arc<model::Resource>, &Arc<model::Scope>),
) -> Grouped<'_, T> {
    let mut groups: Grouped<'_, T> = Vec::new();
    let mut places = HashMap::new();
    for record in records {
        let (resource, scope) = origin(record);
        let (group, scoped) =
            *places.entry((Arc::as_ptr(resource), Arc::as_ptr(scope))).or_insert_with(|| {
                let group = place(&mut groups, resource.as_ref());
                (group, place(&mut groups[group].1, scope.as_ref()))
            });
        groups[group].1[scoped].1.push(record);
    }
    groups
}

/// Where the group of this key is; at the end, if it is new.
fn place<'a, K: PartialEq, T>(groups: &mut Vec<(&'a K, Vec<T>)>, key: &'a K) -> usize {
    groups.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
        groups.push((key, Vec::new()));
        groups.len() - 1
    })
}

#[derive(Debug, Serialize)]
struct Resource<'a> {
    attributes: KeyValues<'a>,
}

#[derive(Debug, Serialize)]
struct Scope<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    #[serde(skip_serializing_if = "KeyValues::is_empty")]
    attributes: KeyValues<'a>,
}

impl<'a> Scope<'a> {
    fn of(scope: &'a model::Scope) -> Option<Self> {
        (*scope != model::Scope::default()).then_some(Self {
            name: &scope.name,
            version: &scope.version,
            attributes: KeyValues(&scope.attributes),
        })
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<SpanId>,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
    name: &'a str,
    kind: u8,
    #[serde(serialize_with = "text")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    end_time_unix_nano: Option<u64>,
    attributes: KeyValues<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    events: Vec<Event<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_events_count: u32,
    links: Vec<Link<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_links_count: u32,
    status: Code<'a>,
}

impl<'a> Span<'a> {
    fn of(span: &'a model::Span) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            trace_state: &span.trace_state,
            parent_span_id: span.parent,
            flags: span.flags,
            name: &span.name,
            kind: kind_number(span.kind),
            start_time_unix_nano: span.start,
            end_time_unix_nano: span.end,
            attributes: KeyValues(&span.attributes),
            dropped_attributes_count: span.dropped.attributes,
            events: span.events.iter().map(Event::of).collect(),
            dropped_events_count: span.dropped.events,
            links: span.links.iter().map(Link::of).collect(),
            dropped_links_count: span.dropped.links,
            status: match &span.status {
                Status::Unset => Code { code: 0, message: "" },
                Status::Ok => Code { code: 1, message: "" },
                Status::Error(why) => Code { code: 2, message: why },
            },
        }
    }
}

#[derive(Debug, Serialize)]
struct Code<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    code: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    #[serde(serialize_with = "text")]
    time_unix_nano: u64,
    name: &'a str,
    attributes: KeyValues<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
}

impl<'a> Event<'a> {
    fn of(event: &'a model::Event) -> Self {
        Self {
            time_unix_nano: event.time,
            name: &event.name,
            attributes: KeyValues(&event.attributes),
            dropped_attributes_count: event.dropped_attributes,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(skip_serializing_if = "str::is_empty")]
    trace_state: &'a str,
    #[serde(skip_serializing_if = "KeyValues::is_empty")]
    attributes: KeyValues<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
}

impl<'a> Link<'a> {
    fn of(link: &'a model::Link) -> Self {
        Self {
            trace_id: link.to.trace_id,
            span_id: link.to.span_id,
            trace_state: &link.trace_state,
            attributes: KeyValues(&link.attributes),
            dropped_attributes_count: link.dropped_attributes,
            flags: link.flags,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'a> {
    #[serde(serialize_with = "text")]
    time_unix_nano: u64,
    #[serde(serialize_with = "some_text", skip_serializing_if = "Option::is_none")]
    observed_time_unix_nano: Option<u64>,
    severity_number: u8,
    severity_text: &'a str,
    body: AnyValue<'a>,
    #[serde(skip_serializing_if = "str::is_empty")]
    event_name: &'a str,
    attributes: KeyValues<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    dropped_attributes_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    flags: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<SpanId>,
}

impl<'a> LogRecord<'a> {
    fn of(log: &'a model::LogRecord) -> Self {
        Self {
            time_unix_nano: log.time,
            observed_time_unix_nano: (log.observed != 0).then_some(log.observed),
            severity_number: log.severity,
            severity_text: &log.severity_text,
            body: AnyValue(&log.body),
            event_name: &log.event_name,
            attributes: KeyValues(&log.attributes),
            dropped_attributes_count: log.dropped_attributes,
            flags: log.flags,
            trace_id: log.trace_id,
            span_id: log.span_id,
        }
    }
}

/// A list of keys with their values.
#[derive(Debug)]
struct KeyValues<'a>(&'a Attributes);

impl KeyValues<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for KeyValues<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct KeyValue<'a> {
            key: &'a str,
            value: AnyValue<'a>,
        }
        s.collect_seq(self.0.iter().map(|(key, value)| KeyValue { key, value: AnyValue(value) }))
    }
}

/// `{"stringValue": "…"}` and the like; `{}` for a value that holds nothing.
#[derive(Debug)]
struct AnyValue<'a>(&'a model::Value);

impl Serialize for AnyValue<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Values<T> {
            values: T,
        }
        use model::Value;
        let mut map = s.serialize_map(None)?;
        match self.0 {
            Value::Empty => {}
            Value::String(text) => map.serialize_entry("stringValue", text)?,
            Value::Bool(value) => map.serialize_entry("boolValue", value)?,
            Value::Int(value) => map.serialize_entry("intValue", &value.to_string())?,
            Value::Double(value) => match nonfinite(*value) {
                None => map.serialize_entry("doubleValue", value)?,
                Some(name) => map.serialize_entry("doubleValue", name)?,
            },
            Value::Array(values) => {
                let values: Vec<_> = values.iter().map(AnyValue).collect();
                map.serialize_entry("arrayValue", &Values { values })?;
            }
            Value::Map(pairs) => {
                map.serialize_entry("kvlistValue", &Values { values: KeyValues(pairs) })?;
            }
            Value::Bytes(bytes) => map.serialize_entry("bytesValue", &STANDARD.encode(bytes))?,
        }
        map.end()
    }
}

/// What a double is called for which JSON has no number.
fn nonfinite(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_finite() => None,
        value if value.is_nan() => Some("NaN"),
        value if value > 0.0 => Some("Infinity"),
        _ => Some("-Infinity"),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn text<S: Serializer>(number: &u64, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(number)
}

fn some_text<S: Serializer>(number: &Option<u64>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&number.unwrap_or(0))
}
