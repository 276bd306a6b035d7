//! Makes Jaeger's traces of the model's.
//!
//! Not here: either shape itself. The surprise: Jaeger has no span without a duration, so one that
//! is still open has none to speak of and a warning that says why.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;

use super::{
    CHILD_OF, EVENT, EVENT_DROPPED, KIND, OPEN, REF_TYPE,
    tag::{tag, tags},
    wire::{self, RefType},
};
use crate::{
    formats::{
        lenient::{Int, short_trace_id},
        tags as otel,
    },
    model::{Event, Kind, Link, Resource, Span, SpanContext, Status, Trace, Value},
    semconv::{
        self,
        special::{STATUS_CODE, STATUS_DESCRIPTION},
    },
};

pub(super) fn trace(trace: &Trace) -> wire::Trace<wire::Span> {
    let mut processes = Processes::default();
    let spans = trace.spans.iter().map(|span| self::span(span, processes.of(&span.resource)));
    let spans: Vec<_> = spans.collect();
    let head = trace.spans.first().map(|span| short_trace_id(span.trace_id));
    wire::Trace {
        trace_id: head.unwrap_or_default(),
        spans,
        processes: processes.written(),
        warnings: trace.partial.clone().map(|why| vec![why]),
    }
}

/// The resources of a trace by the names that they get in it: `p1`, `p2`, …
#[derive(Default)]
struct Processes<'a> {
    resources: Vec<&'a Resource>,
    /// Spans mostly share their resource, so it is told by address before it is compared.
    places: HashMap<*const Resource, usize>,
}

impl<'a> Processes<'a> {
    fn of(&mut self, resource: &'a Arc<Resource>) -> String {
        let resources = &mut self.resources;
        let place = self.places.entry(Arc::as_ptr(resource)).or_insert_with(|| {
            let known = resources.iter().position(|known| **known == **resource);
            known.unwrap_or_else(|| {
                resources.push(resource);
                resources.len() - 1
            })
        });
        format!("p{}", *place + 1)
    }

    fn written(self) -> IndexMap<String, wire::Process> {
        let processes = self.resources.into_iter().enumerate();
        processes.map(|(place, resource)| (format!("p{}", place + 1), process(resource))).collect()
    }
}

fn process(resource: &Resource) -> wire::Process {
    let service = resource.get(semconv::SERVICE_NAME).and_then(Value::as_str);
    let rest =
        resource.iter().filter(|(name, _)| service.is_none() || *name != semconv::SERVICE_NAME);
    wire::Process {
        service_name: service.unwrap_or_default().to_owned(),
        tags: rest.map(|(key, value)| tag(key, value)).collect(),
    }
}

fn span(span: &Span, process_id: String) -> wire::Span {
    let parent = span.parent.map(|span_id| {
        reference(RefType::ChildOf, SpanContext { trace_id: span.trace_id, span_id })
    });
    wire::Span {
        trace_id: short_trace_id(span.trace_id),
        span_id: span.span_id.to_string(),
        parent_span_id: String::new(),
        flags: Int(span.flags),
        operation_name: span.name.clone(),
        references: parent.into_iter().chain(span.links.iter().map(link)).collect(),
        start_time: Int(span.start / 1000),
        duration: Int(span.duration().unwrap_or(0) / 1000),
        tags: span_tags(span),
        logs: span.events.iter().map(log).collect(),
        process_id,
        process: None,
        warnings: span.end.is_none().then(|| vec![OPEN.to_owned()]),
    }
}

fn reference(ref_type: RefType, to: SpanContext) -> wire::Reference {
    let (trace_id, span_id) = (short_trace_id(to.trace_id), to.span_id.to_string());
    wire::Reference { ref_type, trace_id, span_id }
}

fn link(link: &Link) -> wire::Reference {
    let child = link.attributes.get(REF_TYPE).and_then(Value::as_str) == Some(CHILD_OF);
    reference(if child { RefType::ChildOf } else { RefType::FollowsFrom }, link.to)
}

/// The attributes, then what the span's fields say.
fn span_tags(span: &Span) -> Vec<wire::Tag> {
    let mut all = tags(&span.attributes);
    let kind = match span.kind {
        Kind::Internal => None,
        Kind::Server => Some("server"),
        Kind::Client => Some("client"),
        Kind::Producer => Some("producer"),
        Kind::Consumer => Some("consumer"),
    };
    all.extend(kind.map(|kind| tag(KIND, &kind.into())));
    match &span.status {
        Status::Unset => {}
        Status::Ok => all.push(tag(STATUS_CODE, &"OK".into())),
        Status::Error(why) => {
            all.push(tag(STATUS_CODE, &"ERROR".into()));
            if !why.is_empty() {
                all.push(tag(STATUS_DESCRIPTION, &why.as_str().into()));
            }
            if !span.attributes.contains_key(otel::ERROR) {
                all.push(tag(otel::ERROR, &true.into()));
            }
        }
    }
    all.extend(otel::of_fields(span).iter().map(|(name, value)| tag(name, value)));
    all
}

fn log(event: &Event) -> wire::Log {
    let mut fields = Vec::new();
    if !event.attributes.contains_key(EVENT) {
        fields.push(tag(EVENT, &event.name.as_str().into()));
    }
    fields.extend(tags(&event.attributes));
    if event.dropped_attributes != 0 {
        fields.push(tag(EVENT_DROPPED, &Value::Int(event.dropped_attributes.into())));
    }
    wire::Log { timestamp: Int(event.time / 1000), fields }
}
