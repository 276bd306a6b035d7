//! Writes spans and log lines as OTLP export requests.
//!
//! For the store's own journal of what this process recorded, and for sending. The surprise: an
//! open span has end 0, which no other sender writes; readers of OTLP take it for one of unknown
//! end.

use super::wire::Writer;
use crate::{
    model::{Attributes, Event, Link, LogRecord, Resource, Scope, Span, Status, Value},
    otlp::kind_number,
};

/// The spans as an `ExportTraceServiceRequest`, in order; neighbours of one resource and scope
/// share them.
pub fn encode_spans(spans: &[&Span]) -> Vec<u8> {
    request(spans, |span| (&span.resource, &span.scope), write_span)
}

/// The log lines as an `ExportLogsServiceRequest`, in order; neighbours of one resource and scope
/// share them.
pub fn encode_logs(logs: &[&LogRecord]) -> Vec<u8> {
    request(logs, |log| (&log.resource, &log.scope), write_log)
}

/// `Span` or `LogRecord` messages as they were read, as an export request: groups of one resource
/// and scope.
pub(crate) fn encode_messages<'a, M: IntoIterator<Item = &'a [u8]>>(
    groups: impl IntoIterator<Item = (&'a Resource, &'a Scope, M)>,
) -> Vec<u8> {
    let mut out = Writer::default();
    for (resource, scope, messages) in groups {
        out.message(1, |out| {
            write_resource(out, resource);
            out.message(2, |out| {
                write_scope(out, scope);
                messages.into_iter().for_each(|message| out.member_bytes(2, message));
            });
        });
    }
    out.finish()
}

/// A span as a `Span` message.
pub(crate) fn encode_span(span: &Span) -> Vec<u8> {
    let mut out = Writer::default();
    write_span(&mut out, span);
    out.finish()
}

/// A log line as a `LogRecord` message.
pub(crate) fn encode_log(log: &LogRecord) -> Vec<u8> {
    let mut out = Writer::default();
    write_log(&mut out, log);
    out.finish()
}

fn request<T>(
    records: &[&T],
    origin: impl Fn(&T) -> (&Resource, &Scope),
    write: impl Fn(&mut Writer, &T),
) -> Vec<u8> {
    let mut out = Writer::default();
    for group in records.chunk_by(|a, b| origin(a).0 == origin(b).0) {
        out.message(1, |out| {
            write_resource(out, origin(group[0]).0);
            for scoped in group.chunk_by(|a, b| origin(a).1 == origin(b).1) {
                out.message(2, |out| {
                    write_scope(out, origin(scoped[0]).1);
                    for record in scoped {
                        out.message(2, |out| write(out, record));
                    }
                });
            }
        });
    }
    out.finish()
}

fn write_resource(out: &mut Writer, resource: &Resource) {
    if !resource.is_empty() {
        out.message(1, |out| write_attributes(out, 1, resource));
    }
}

fn write_scope(out: &mut Writer, scope: &Scope) {
    if *scope != Scope::default() {
        out.message(1, |out| {
            out.bytes(1, scope.name.as_bytes());
            out.bytes(2, scope.version.as_bytes());
            write_attributes(out, 3, &scope.attributes);
        });
    }
}

fn write_span(out: &mut Writer, span: &Span) {
    out.bytes(1, &span.trace_id.to_bytes());
    out.bytes(2, &span.span_id.to_bytes());
    out.bytes(3, span.trace_state.as_bytes());
    if let Some(id) = span.parent {
        out.bytes(4, &id.to_bytes());
    }
    out.bytes(5, span.name.as_bytes());
    out.varint(6, kind_number(span.kind).into());
    out.fixed64(7, span.start);
    out.fixed64(8, span.end.unwrap_or(0));
    write_attributes(out, 9, &span.attributes);
    out.varint(10, span.dropped.attributes.into());
    for event in &span.events {
        out.message(11, |out| write_event(out, event));
    }
    out.varint(12, span.dropped.events.into());
    for link in &span.links {
        out.message(13, |out| write_link(out, link));
    }
    out.varint(14, span.dropped.links.into());
    match &span.status {
        Status::Unset => {}
        Status::Ok => out.message(15, |out| out.varint(3, 1)),
        Status::Error(why) => out.message(15, |out| {
            out.bytes(2, why.as_bytes());
            out.varint(3, 2);
        }),
    }
    out.fixed32(16, span.flags);
}

fn write_event(out: &mut Writer, event: &Event) {
    out.fixed64(1, event.time);
    out.bytes(2, event.name.as_bytes());
    write_attributes(out, 3, &event.attributes);
    out.varint(4, event.dropped_attributes.into());
}

fn write_link(out: &mut Writer, link: &Link) {
    out.bytes(1, &link.to.trace_id.to_bytes());
    out.bytes(2, &link.to.span_id.to_bytes());
    out.bytes(3, link.trace_state.as_bytes());
    write_attributes(out, 4, &link.attributes);
    out.varint(5, link.dropped_attributes.into());
    out.fixed32(6, link.flags);
}

fn write_log(out: &mut Writer, log: &LogRecord) {
    out.fixed64(1, log.time);
    out.varint(2, log.severity.into());
    out.bytes(3, log.severity_text.as_bytes());
    if log.body != Value::Empty {
        out.message(5, |out| write_value(out, &log.body));
    }
    write_attributes(out, 6, &log.attributes);
    out.varint(7, log.dropped_attributes.into());
    out.fixed32(8, log.flags);
    if let Some(id) = log.trace_id {
        out.bytes(9, &id.to_bytes());
    }
    if let Some(id) = log.span_id {
        out.bytes(10, &id.to_bytes());
    }
    out.fixed64(11, log.observed);
    out.bytes(12, log.event_name.as_bytes());
}

fn write_attributes(out: &mut Writer, number: u32, attributes: &Attributes) {
    for (key, value) in attributes {
        out.message(number, |out| {
            out.bytes(1, key.as_bytes());
            out.message(2, |out| write_value(out, value));
        });
    }
}

fn write_value(out: &mut Writer, value: &Value) {
    match value {
        Value::Empty => {}
        Value::String(text) => out.member_bytes(1, text.as_bytes()),
        Value::Bool(value) => out.member_varint(2, (*value).into()),
        Value::Int(value) => out.member_varint(3, *value as u64),
        Value::Double(value) => out.member_fixed64(4, value.to_bits()),
        Value::Array(values) => out.message(5, |out| {
            for value in values {
                out.message(1, |out| write_value(out, value));
            }
        }),
        Value::Map(map) => out.message(6, |out| write_attributes(out, 1, map)),
        Value::Bytes(bytes) => out.member_bytes(7, bytes),
    }
}
