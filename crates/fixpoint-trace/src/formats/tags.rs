//! What OpenTelemetry writes as tags in formats that have no place for it, and takes back.
//!
//! For Zipkin and Jaeger, which know attributes (they call them tags) but neither scopes, nor
//! statuses, nor counts of what was left out. The surprise: a tag `error` is the status too, since
//! both formats have marked failures that way for longer than there is OpenTelemetry.
//!
//! <https://opentelemetry.io/docs/specs/otel/common/mapping-to-non-otlp/>

use std::sync::Arc;

use crate::{
    model::{Attributes, Scope, Span, Status, Value},
    semconv::special::{STATUS_CODE, STATUS_DESCRIPTION},
};

/// Marks a failure; its text, if it has one, says why.
pub(crate) const ERROR: &str = "error";
const SCOPE_NAME: &str = "otel.scope.name";
const SCOPE_VERSION: &str = "otel.scope.version";
/// What a scope was called until 2022.
const LIBRARY_NAME: &str = "otel.library.name";
const LIBRARY_VERSION: &str = "otel.library.version";
const DROPPED_ATTRIBUTES: &str = "otel.dropped_attributes_count";
const DROPPED_EVENTS: &str = "otel.dropped_events_count";
const DROPPED_LINKS: &str = "otel.dropped_links_count";
/// Not OpenTelemetry's own, but what its collector calls it.
const TRACE_STATE: &str = "w3c.tracestate";

/// The tags that stand for fields of a span; its status apart, which the formats write otherwise.
pub(crate) fn of_fields(span: &Span) -> Vec<(&'static str, Value)> {
    let text = |text: &str| (!text.is_empty()).then(|| Value::from(text));
    let count = |count: u32| (count != 0).then_some(Value::Int(count.into()));
    [
        (SCOPE_NAME, text(&span.scope.name)),
        (SCOPE_VERSION, text(&span.scope.version)),
        (DROPPED_ATTRIBUTES, count(span.dropped.attributes)),
        (DROPPED_EVENTS, count(span.dropped.events)),
        (DROPPED_LINKS, count(span.dropped.links)),
        (TRACE_STATE, text(&span.trace_state)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// Puts what tags say of a span's fields into these, and takes the tags off its attributes.
pub(crate) fn into_fields(span: &mut Span) {
    let tags = &mut span.attributes;
    let name = take_text(tags, SCOPE_NAME).or_else(|| take_text(tags, LIBRARY_NAME));
    let version = take_text(tags, SCOPE_VERSION).or_else(|| take_text(tags, LIBRARY_VERSION));
    if name.is_some() || version.is_some() {
        span.scope = Arc::new(Scope {
            name: name.unwrap_or_default(),
            version: version.unwrap_or_default(),
            attributes: Attributes::new(),
        });
    }
    span.dropped.attributes = take_count(tags, DROPPED_ATTRIBUTES);
    span.dropped.events = take_count(tags, DROPPED_EVENTS);
    span.dropped.links = take_count(tags, DROPPED_LINKS);
    span.trace_state = take_text(tags, TRACE_STATE).unwrap_or_default();
    span.status = take_status(tags);
}

fn take_status(tags: &mut Attributes) -> Status {
    let code = take_text(tags, STATUS_CODE).map(|code| code.to_ascii_uppercase());
    let why = take_text(tags, STATUS_DESCRIPTION);
    if code.as_deref() == Some("OK") {
        return Status::Ok;
    }
    let failed = code.as_deref() == Some("ERROR") || why.is_some();
    match tags.get(ERROR) {
        Some(Value::Bool(true)) => {
            tags.shift_remove(ERROR);
            Status::Error(why.unwrap_or_default())
        }
        // Says no more than that, and stays to be written the same again.
        Some(Value::String(text)) if text == "true" => Status::Error(why.unwrap_or_default()),
        Some(Value::String(text)) if text != "false" => {
            Status::Error(why.or_else(|| take_text(tags, ERROR)).unwrap_or_default())
        }
        _ if failed => Status::Error(why.unwrap_or_default()),
        _ => Status::Unset,
    }
}

fn take_text(tags: &mut Attributes, name: &str) -> Option<String> {
    let text = tags.get(name)?.as_str()?.to_owned();
    tags.shift_remove(name);
    Some(text)
}

/// A count, as number or text; 0 if there is none.
fn take_count(tags: &mut Attributes, name: &str) -> u32 {
    let count = match tags.get(name) {
        Some(Value::Int(count)) => u32::try_from(*count).ok(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    if count.is_some() {
        tags.shift_remove(name);
    }
    count.unwrap_or(0)
}
