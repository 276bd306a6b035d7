//! Traces and logs as OTLP JSON, and back: what the API answers and the command line reads.
//!
//! For pages, scripts and files; protobuf is the faster way in. Not here: envelopes that other
//! backends put around it. The surprise: a document may hold spans and log lines side by side.
//! OTLP has no such message, but its readers ignore fields that they do not know, so each takes
//! its half.

mod read;
mod scalar;
mod write;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Error, Value as Json};

use crate::{
    formats::{Decoded, FormatError, lenient::object},
    model::{LogRecord, Record, Resource, Scope, Span, Trace},
    store::Signal,
};

/// The spans of a trace as `{"resourceSpans": [...]}`.
pub fn to_json(trace: &Trace) -> Json {
    json(&spans_document(&trace.spans))
}

/// Log lines as `{"resourceLogs": [...]}`.
pub fn logs_to_json(logs: &[LogRecord]) -> Json {
    let resource_logs = Some(write::resource_logs(logs));
    json(&write::Document { resource_logs, ..Default::default() })
}

/// Spans as `{"resourceSpans": [...]}`, to be serialised straight from the model.
pub fn spans_document(spans: &[Span]) -> impl Serialize + '_ {
    let resource_spans = Some(write::resource_spans(spans));
    write::Document { resource_spans, ..Default::default() }
}

/// A trace with its log lines, which stand under `resourceLogs` if there are any.
pub fn trace_document(trace: &Trace) -> impl Serialize + '_ {
    let logs = (!trace.logs.is_empty()).then(|| write::resource_logs(&trace.logs));
    write::Document {
        resource_spans: Some(write::resource_spans(&trace.spans)),
        resource_logs: logs,
    }
}

fn json(document: &impl Serialize) -> Json {
    serde_json::to_value(document).expect("wire types have text keys and no failing serialiser")
}

/// Spans from OTLP JSON, in the order of a [`Trace`].
///
/// # Errors
/// If the shape is not OTLP's, or a span is not valid.
pub fn from_json(json: &Json) -> Result<Trace, FormatError> {
    let spans = spans(json.clone())
        .and_then(|spans| spans.into_iter().collect::<Result<Vec<_>, _>>())
        .map_err(|error| FormatError::new("OTLP spans", error))?;
    let mut trace = Trace { spans, ..Trace::default() };
    trace.sort();
    Ok(trace)
}

/// Log lines from OTLP JSON, by time.
///
/// # Errors
/// If the shape is not OTLP's, or a line is not valid.
pub fn logs_from_json(json: &Json) -> Result<Vec<LogRecord>, FormatError> {
    let mut logs = logs(json.clone())
        .and_then(|logs| logs.into_iter().collect::<Result<Vec<_>, _>>())
        .map_err(|error| FormatError::new("OTLP logs", error))?;
    logs.sort_by_key(|log| log.time);
    Ok(logs)
}

/// Reads an OTLP export request in JSON, or a file of `TracesData` or `LogsData`.
///
/// # Errors
/// If it is no such request at all. What is not valid in it is only counted.
pub fn decode_json(signal: Signal, request: &[u8]) -> Result<Decoded, FormatError> {
    let what = match signal {
        Signal::Traces => "OTLP spans in JSON",
        Signal::Logs => "OTLP logs in JSON",
    };
    serde_json::from_slice(request)
        .and_then(|json| decode_document(signal, json))
        .map_err(|error| FormatError::new(what, error))
}

/// The same, of a document that was parsed before.
pub(crate) fn decode_document(signal: Signal, json: Json) -> Result<Decoded, Error> {
    let mut decoded = Decoded::default();
    let mut take = |record: Result<Record, Error>| match record {
        Ok(record) => decoded.accept(record),
        Err(why) => decoded.reject(why),
    };
    match signal {
        Signal::Traces => {
            spans(json)?.into_iter().for_each(|span| take(span.map(Record::Span)));
        }
        Signal::Logs => logs(json)?.into_iter().for_each(|log| take(log.map(Record::Log))),
    }
    Ok(decoded)
}

fn spans(json: Json) -> Result<Vec<Result<Span, Error>>, Error> {
    let mut spans = Vec::new();
    for group in read::TracesData::deserialize(object(json)?)?.resource_spans {
        let resource = group.resource.read().map(Arc::new);
        for scoped in group.scope_spans {
            let around = Around::of(&resource, scoped.scope);
            spans.extend(scoped.spans.into_iter().map(|span| {
                let around = around.as_ref().map_err(again)?;
                let (resource, scope) = (around.resource.clone(), around.scope.clone());
                Ok(Span { resource, scope, ..read::span(span)? })
            }));
        }
    }
    Ok(spans)
}

fn logs(json: Json) -> Result<Vec<Result<LogRecord, Error>>, Error> {
    let mut logs = Vec::new();
    for group in read::LogsData::deserialize(object(json)?)?.resource_logs {
        let resource = group.resource.read().map(Arc::new);
        for scoped in group.scope_logs {
            let around = Around::of(&resource, scoped.scope);
            logs.extend(scoped.log_records.into_iter().map(|log| {
                let around = around.as_ref().map_err(again)?;
                let (resource, scope) = (around.resource.clone(), around.scope.clone());
                Ok(LogRecord { resource, scope, ..read::log(log)? })
            }));
        }
    }
    Ok(logs)
}

/// What the records of a group share.
struct Around {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

impl Around {
    fn of(resource: &Result<Arc<Resource>, Error>, scope: read::Scope) -> Result<Self, Error> {
        let resource = resource.as_ref().map_err(again)?.clone();
        Ok(Self { resource, scope: Arc::new(scope.read()?) })
    }
}

/// The same error for each record of a group.
fn again(error: &Error) -> Error {
    serde::de::Error::custom(error)
}
