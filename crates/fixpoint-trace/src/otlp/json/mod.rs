//! Traces and logs as OTLP JSON, and back: what the API answers and the command line reads.
//!
//! Not here: protobuf. The surprise: a span that is still open has no `endTimeUnixNano`, where
//! OTLP otherwise always has one.

mod wire;

use std::sync::Arc;

use serde_json::Value as Json;

use crate::{
    formats::FormatError,
    model::{
        Attributes, Event, Kind, Level, LogRecord, Resource, Scope, Span, SpanContext, Status,
        Trace, Value,
    },
};

/// The scope that our spans name as the library which made them.
const SCOPE: &str = "fixpoint";

/// The spans of a trace as `{"resourceSpans": [...]}`.
pub fn to_json(trace: &Trace) -> Json {
    let mut data = wire::TracesData::default();
    let mut of: Vec<&Resource> = Vec::new();
    for span in &trace.spans {
        let place = of.iter().position(|resource| **resource == *span.resource);
        let place = place.unwrap_or_else(|| {
            of.push(&span.resource);
            data.resource_spans.push(wire::ResourceSpans {
                resource: wire::Resource { attributes: key_values(&span.resource) },
                scope_spans: vec![wire::ScopeSpans {
                    scope: wire::Scope { name: SCOPE.into() },
                    spans: Vec::new(),
                }],
            });
            of.len() - 1
        });
        data.resource_spans[place].scope_spans[0].spans.push(span_out(span));
    }
    json(&data)
}

/// Log lines as `{"resourceLogs": [...]}`, one scope for each module that wrote some.
pub fn logs_to_json(logs: &[LogRecord]) -> Json {
    let mut scopes: Vec<wire::ScopeLogs> = Vec::new();
    for log in logs {
        let place = scopes.iter().position(|scope| scope.scope.name == log.target());
        let place = place.unwrap_or_else(|| {
            let scope = wire::Scope { name: log.target().to_owned() };
            scopes.push(wire::ScopeLogs { scope, log_records: Vec::new() });
            scopes.len() - 1
        });
        scopes[place].log_records.push(log_out(log));
    }
    let resource_logs = if scopes.is_empty() {
        Vec::new()
    } else {
        vec![wire::ResourceLogs { resource: wire::Resource::default(), scope_logs: scopes }]
    };
    json(&wire::LogsData { resource_logs })
}

/// Spans from OTLP JSON, in the order of a [`Trace`].
///
/// # Errors
/// If the shape is not OTLP's, or an id is malformed.
pub fn from_json(json: &Json) -> Result<Trace, FormatError> {
    let data: wire::TracesData = serde::Deserialize::deserialize(json)
        .map_err(|error| FormatError::new("OTLP spans", error))?;
    let mut trace = Trace::default();
    for group in data.resource_spans {
        let resource = Arc::new(attributes(group.resource.attributes));
        let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        trace.spans.extend(spans.map(|span| span_in(span, resource.clone())));
    }
    trace.sort();
    Ok(trace)
}

/// Log lines from OTLP JSON, by time.
///
/// # Errors
/// If the shape is not OTLP's, or an id is malformed.
pub fn logs_from_json(json: &Json) -> Result<Vec<LogRecord>, FormatError> {
    let data: wire::LogsData = serde::Deserialize::deserialize(json)
        .map_err(|error| FormatError::new("OTLP logs", error))?;
    let scopes = data.resource_logs.into_iter().flat_map(|group| group.scope_logs);
    let mut logs: Vec<_> = scopes
        .flat_map(|scope| {
            let target = scope.scope.name;
            scope.log_records.into_iter().map(move |log| log_in(log, target.clone()))
        })
        .collect();
    logs.sort_by_key(|log| log.time);
    Ok(logs)
}

fn json(data: &impl serde::Serialize) -> Json {
    serde_json::to_value(data).expect("wire types have text keys and no failing serialiser")
}

fn span_out(span: &Span) -> wire::Span {
    let (code, message) = match &span.status {
        Status::Unset => (0, String::new()),
        Status::Ok => (1, String::new()),
        Status::Error(why) => (2, why.clone()),
    };
    wire::Span {
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent_span_id: span.parent,
        name: span.name.clone(),
        kind: match span.kind {
            Kind::Internal => 1,
            Kind::Server => 2,
            Kind::Client => 3,
            Kind::Producer => 4,
            Kind::Consumer => 5,
        },
        start_time_unix_nano: wire::Int(span.start),
        end_time_unix_nano: wire::Int(span.end.unwrap_or(0)),
        attributes: key_values(&span.attributes),
        events: span.events.iter().map(event_out).collect(),
        links: span
            .links
            .iter()
            .map(|link| wire::Link { trace_id: link.to.trace_id, span_id: link.to.span_id })
            .collect(),
        status: wire::Status { code, message },
    }
}

fn span_in(span: wire::Span, resource: Arc<Resource>) -> Span {
    let context = SpanContext { trace_id: span.trace_id, span_id: span.span_id };
    Span {
        parent: span.parent_span_id,
        kind: match span.kind {
            2 => Kind::Server,
            3 => Kind::Client,
            4 => Kind::Producer,
            5 => Kind::Consumer,
            _ => Kind::Internal,
        },
        end: Some(span.end_time_unix_nano.0).filter(|&end| end != 0),
        status: match span.status.code {
            1 => Status::Ok,
            2 => Status::Error(span.status.message),
            _ => Status::Unset,
        },
        attributes: attributes(span.attributes),
        events: span
            .events
            .into_iter()
            .map(|event| Event {
                time: event.time_unix_nano.0,
                name: event.name,
                attributes: attributes(event.attributes),
                ..Event::default()
            })
            .collect(),
        links: span
            .links
            .into_iter()
            .map(|link| SpanContext { trace_id: link.trace_id, span_id: link.span_id }.into())
            .collect(),
        resource,
        ..Span::new(context, span.name, span.start_time_unix_nano.0)
    }
}

fn event_out(event: &Event) -> wire::Event {
    wire::Event {
        time_unix_nano: wire::Int(event.time),
        name: event.name.clone(),
        attributes: key_values(&event.attributes),
    }
}

fn log_out(log: &LogRecord) -> wire::LogRecord {
    wire::LogRecord {
        time_unix_nano: wire::Int(log.time),
        severity_number: log.severity.into(),
        severity_text: log.severity_text.clone(),
        body: value_out(&log.body),
        attributes: key_values(&log.attributes),
        trace_id: log.trace_id,
        span_id: log.span_id,
    }
}

fn log_in(log: wire::LogRecord, target: String) -> LogRecord {
    LogRecord {
        severity: log.severity_number.try_into().unwrap_or(0),
        severity_text: log.severity_text,
        body: value_in(log.body),
        scope: Arc::new(Scope::named(target)),
        trace_id: log.trace_id,
        span_id: log.span_id,
        attributes: attributes(log.attributes),
        ..LogRecord::new(log.time_unix_nano.0, Level::Info, "")
    }
}

fn key_values(attributes: &Attributes) -> Vec<wire::KeyValue> {
    attributes
        .iter()
        .map(|(key, value)| wire::KeyValue { key: key.clone(), value: value_out(value) })
        .collect()
}

fn attributes(pairs: Vec<wire::KeyValue>) -> Attributes {
    pairs.into_iter().map(|pair| (pair.key, value_in(pair.value))).collect()
}

fn value_out(value: &Value) -> wire::AnyValue {
    let mut out = wire::AnyValue::default();
    match value {
        Value::Bool(value) => out.bool_value = Some(*value),
        Value::Int(value) => out.int_value = Some(wire::Int(*value)),
        Value::Double(value) => out.double_value = Some(wire::Double(*value)),
        Value::String(value) => out.string_value = Some(value.clone()),
        Value::Array(values) => {
            let values = values.iter().map(value_out).collect();
            out.array_value = Some(wire::ArrayValue { values });
        }
        Value::Empty | Value::Map(_) | Value::Bytes(_) => {
            out.string_value = Some(value.to_text().into_owned());
        }
    }
    out
}

/// An empty value is an empty text.
fn value_in(value: wire::AnyValue) -> Value {
    use wire::AnyValue as Any;
    match value {
        Any { string_value: Some(text), .. } | Any { bytes_value: Some(text), .. } => {
            Value::String(text)
        }
        Any { bool_value: Some(value), .. } => Value::Bool(value),
        Any { int_value: Some(int), .. } => Value::Int(int.0),
        Any { double_value: Some(double), .. } => Value::Double(double.0),
        Any { array_value: Some(array), .. } => {
            Value::Array(array.values.into_iter().map(value_in).collect())
        }
        Any { kvlist_value: Some(map), .. } => Value::String(map.to_string()),
        Any { .. } => Value::String(String::new()),
    }
}
