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

use serde::Serialize;
use serde_json::{Error, Value as Json, value::RawValue};

use crate::{
    formats::{Decoded, FormatError, raw},
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
    let mut trace = Trace::default();
    let mut take = |span| {
        trace.spans.push(span?);
        Ok(())
    };
    let all = RawValue::from_string(json.to_string()).and_then(|json| spans(&json, &mut take));
    all.map_err(|error| FormatError::new("OTLP spans", error))?;
    trace.sort();
    Ok(trace)
}

/// Log lines from OTLP JSON, by time.
///
/// # Errors
/// If the shape is not OTLP's, or a line is not valid.
pub fn logs_from_json(json: &Json) -> Result<Vec<LogRecord>, FormatError> {
    let mut lines = Vec::new();
    let mut take = |log| {
        lines.push(log?);
        Ok(())
    };
    let all = RawValue::from_string(json.to_string()).and_then(|json| logs(&json, &mut take));
    all.map_err(|error| FormatError::new("OTLP logs", error))?;
    lines.sort_by_key(|log: &LogRecord| log.time);
    Ok(lines)
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
    raw::document(request)
        .and_then(|document| decode_document(signal, document))
        .map_err(|error| FormatError::new(what, error))
}

/// The same, of a document among others.
pub(crate) fn decode_document(signal: Signal, document: &RawValue) -> Result<Decoded, Error> {
    let mut decoded = Decoded::default();
    let mut take = |record: Result<Record, Error>| {
        match record {
            Ok(record) => decoded.accept(record),
            Err(why) => decoded.reject(why),
        }
        Ok(())
    };
    match signal {
        Signal::Traces => spans(document, &mut |span| take(span.map(Record::Span)))?,
        Signal::Logs => logs(document, &mut |log| take(log.map(Record::Log)))?,
    }
    Ok(decoded)
}

/// Hands over one span after the other.
fn spans(
    document: &RawValue,
    take: &mut dyn FnMut(Result<Span, Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    let traces: read::TracesData<'_> = raw::object(document)?;
    for group in traces.resource_spans.into_iter().flatten() {
        let group: read::ResourceSpans<'_> = raw::object(group)?;
        let resource = resource(group.resource);
        for scoped in group.scope_spans.into_iter().flatten() {
            let scoped: read::ScopeSpans<'_> = raw::object(scoped)?;
            let around = Around::of(&resource, scoped.scope);
            for span in scoped.spans.into_iter().flatten() {
                let read = |around: &Around| {
                    let (resource, scope) = (around.resource.clone(), around.scope.clone());
                    Ok(Span { resource, scope, ..read::span(span)? })
                };
                take(around.as_ref().map_err(again).and_then(read))?;
            }
        }
    }
    Ok(())
}

/// Likewise, of log lines.
fn logs(
    document: &RawValue,
    take: &mut dyn FnMut(Result<LogRecord, Error>) -> Result<(), Error>,
) -> Result<(), Error> {
    let logs: read::LogsData<'_> = raw::object(document)?;
    for group in logs.resource_logs.into_iter().flatten() {
        let group: read::ResourceLogs<'_> = raw::object(group)?;
        let resource = resource(group.resource);
        for scoped in group.scope_logs.into_iter().flatten() {
            let scoped: read::ScopeLogs<'_> = raw::object(scoped)?;
            let around = Around::of(&resource, scoped.scope);
            for log in scoped.log_records.into_iter().flatten() {
                let read = |around: &Around| {
                    let (resource, scope) = (around.resource.clone(), around.scope.clone());
                    Ok(LogRecord { resource, scope, ..read::log(log)? })
                };
                take(around.as_ref().map_err(again).and_then(read))?;
            }
        }
    }
    Ok(())
}

fn resource(raw: Option<&RawValue>) -> Result<Arc<Resource>, Error> {
    raw::parse::<read::Resource>(raw)?.read().map(Arc::new)
}

/// What the records of a group share.
struct Around {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
}

impl Around {
    fn of(
        resource: &Result<Arc<Resource>, Error>,
        scope: Option<&RawValue>,
    ) -> Result<Self, Error> {
        let resource = resource.as_ref().map_err(again)?.clone();
        Ok(Self { resource, scope: Arc::new(raw::parse::<read::Scope>(scope)?.read()?) })
    }
}

/// The same error for each record of a group.
fn again(error: &Error) -> Error {
    serde::de::Error::custom(error)
}
