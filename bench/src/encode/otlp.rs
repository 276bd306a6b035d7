//! OTLP in protobuf. Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`.

use super::{Placed, text};
use crate::{
    data::{Failure, Text, Value},
    template::{Patch, Template},
};

/// Wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

pub(super) fn request(service: &str, spans: &[Placed<'_>]) -> Template {
    let mut resource = Template::default();
    attribute(&mut resource, 1, "service.name", &service.into());
    attribute(&mut resource, 1, "telemetry.sdk.language", &"rust".into());
    let mut scope = Template::default();
    bytes(&mut scope, 1, "com.example.instrumentation");
    let mut scope_spans = Template::default();
    message(&mut scope_spans, 1, &scope);
    for placed in spans {
        message(&mut scope_spans, 2, &span(placed));
    }
    let mut group = Template::default();
    message(&mut group, 1, &resource);
    message(&mut group, 2, &scope_spans);
    let mut request = Template::default();
    message(&mut request, 1, &group);
    request
}

fn span(placed: &Placed<'_>) -> Template {
    let Placed { trace, span, .. } = placed;
    let mut to = Template::default();
    tag(&mut to, 1, BYTES);
    varint(&mut to, 16);
    to.patch(Patch::Id(trace.id[0], 0));
    to.patch(Patch::Id(trace.id[1], 1));
    id(&mut to, 2, span.id);
    if let Some(parent) = span.parent {
        id(&mut to, 4, parent);
    }
    bytes(&mut to, 5, span.name);
    tag(&mut to, 6, VARINT);
    varint(&mut to, u64::from(span.kind));
    for (field, after) in [(7, span.start), (8, span.end)] {
        tag(&mut to, field, FIXED64);
        to.patch(Patch::Nanos(placed.time(after)));
    }
    for (key, value) in &span.attributes {
        attribute(&mut to, 9, key, value);
    }
    if let Some(failure) = &span.failure {
        let mut event = Template::default();
        tag(&mut event, 1, FIXED64);
        event.patch(Patch::Nanos(placed.time(span.end)));
        exception(&mut event, failure);
        message(&mut to, 11, &event);
        let mut status = Template::default();
        message(&mut status, 2, &plain(&failure.message));
        tag(&mut status, 3, VARINT);
        varint(&mut status, 2);
        message(&mut to, 15, &status);
    }
    to
}

fn exception(event: &mut Template, failure: &Failure) {
    bytes(event, 2, "exception");
    attribute(event, 3, "exception.type", &failure.kind.into());
    attribute(event, 3, "exception.message", &Value::Text(failure.message.clone()));
    attribute(event, 3, "exception.stacktrace", &failure.stack.clone().into());
}

fn attribute(to: &mut Template, field: u64, key: &str, value: &Value) {
    let mut any = Template::default();
    match value {
        Value::Text(text) => message(&mut any, 1, &plain(text)),
        Value::Int(value) => {
            tag(&mut any, 3, VARINT);
            varint(&mut any, value.cast_unsigned());
        }
        Value::Double(value) => {
            tag(&mut any, 4, FIXED64);
            any.patch(Patch::Double(*value));
        }
    }
    let mut pair = Template::default();
    bytes(&mut pair, 1, key);
    message(&mut pair, 2, &any);
    message(to, field, &pair);
}

fn plain(it: &Text) -> Template {
    let mut to = Template::default();
    text(&mut to, it, str::to_owned);
    to
}

fn id(to: &mut Template, field: u64, id: u64) {
    tag(to, field, BYTES);
    varint(to, 8);
    to.patch(Patch::Id(id, 0));
}

fn message(to: &mut Template, field: u64, inner: &Template) {
    tag(to, field, BYTES);
    varint(to, inner.len() as u64);
    to.append(inner);
}

fn bytes(to: &mut Template, field: u64, text: &str) {
    tag(to, field, BYTES);
    varint(to, text.len() as u64);
    to.push(text);
}

fn tag(to: &mut Template, field: u64, wire: u64) {
    varint(to, field << 3 | wire);
}

fn varint(to: &mut Template, mut value: u64) {
    while value > 127 {
        to.push([value as u8 | 128]);
        value >>= 7;
    }
    to.push([value as u8]);
}
