//! Makes the model's spans of Jaeger's.
//!
//! Not here: either shape itself. The surprise: a span that only follows from another one of its
//! trace is taken for its child, as Jaeger shows it; OpenTracing had two kinds of parents.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    CHILD_OF, EVENT, EVENT_DROPPED, KIND, OPEN, REF_TYPE, tag,
    wire::{self, RefType},
};
use crate::{
    formats::{
        lenient::{self, Int},
        tags,
    },
    model::{
        Attributes, Event, InvalidId, Kind, Link, Resource, Span, SpanContext, SpanId, TraceId,
        UnixNanos, Value,
    },
    semconv,
};

/// An answer with several traces, or one trace.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File<'a> {
    #[serde(borrow)]
    pub(super) data: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) spans: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    pub(super) processes: Option<&'a RawValue>,
}

/// The processes of a trace, as resources that their spans share.
#[derive(Debug)]
pub(super) struct Processes(HashMap<String, Arc<Resource>>);

impl Processes {
    pub(super) fn new(processes: IndexMap<String, wire::Process>) -> Self {
        let processes = processes.into_iter();
        Self(processes.map(|(id, process)| (id, Arc::new(resource(process)))).collect())
    }
}

pub(super) fn span(span: wire::Span, processes: &mut Processes) -> Result<Span, InvalidId> {
    let trace_id = lenient::trace_id(&span.trace_id)?;
    let span_id = lenient::span_id(&span.span_id)?;
    let (parent, links) = references(trace_id, &span.parent_span_id, span.references)?;
    let start = nanos(span.start_time);
    let open = span.warnings.iter().flatten().any(|warning| warning == OPEN);
    let resource = match span.process {
        Some(process) => Arc::new(resource(process)),
        None => processes.0.entry(span.process_id).or_default().clone(),
    };
    let mut attributes = tag::attributes(span.tags);
    let mut span = Span {
        parent,
        kind: take_kind(&mut attributes),
        end: (!open).then(|| start.saturating_add(nanos(span.duration))),
        attributes,
        events: span.logs.into_iter().map(event).collect(),
        links,
        flags: span.flags.0,
        resource,
        ..Span::new(SpanContext { trace_id, span_id }, span.operation_name, start)
    };
    tags::into_fields(&mut span);
    Ok(span)
}

fn nanos(micros: Int<u64>) -> UnixNanos {
    micros.0.saturating_mul(1000)
}

fn resource(process: wire::Process) -> Resource {
    let name = (!process.service_name.is_empty())
        .then(|| (semconv::SERVICE_NAME.to_owned(), Value::String(process.service_name)));
    name.into_iter().chain(tag::attributes(process.tags)).collect()
}

/// The parent, and what else the span points to. A reference to no possible span is left out.
fn references(
    trace_id: TraceId,
    parent_id: &str,
    references: Vec<wire::Reference>,
) -> Result<(Option<SpanId>, Vec<Link>), InvalidId> {
    let mut all: Vec<(RefType, SpanContext)> = references
        .into_iter()
        .filter_map(|reference| {
            let trace_id = lenient::trace_id(&reference.trace_id).ok()?;
            let span_id = lenient::span_id(&reference.span_id).ok()?;
            Some((reference.ref_type, SpanContext { trace_id, span_id }))
        })
        .collect();
    let mut parent = None;
    if parent_id.bytes().any(|digit| digit != b'0') {
        parent = Some(lenient::span_id(parent_id)?);
        all.retain(|&(_, to)| Some(to.span_id) != parent || to.trace_id != trace_id);
    }
    for wanted in [RefType::ChildOf, RefType::FollowsFrom] {
        let place = all.iter().position(|&(kind, to)| kind == wanted && to.trace_id == trace_id);
        if let (None, Some(place)) = (parent, place) {
            parent = Some(all.remove(place).1.span_id);
        }
    }
    Ok((parent, all.into_iter().map(link).collect()))
}

fn link((kind, to): (RefType, SpanContext)) -> Link {
    let mut link = Link::from(to);
    if kind == RefType::ChildOf {
        link.attributes.insert(REF_TYPE.to_owned(), CHILD_OF.into());
    }
    link
}

fn take_kind(tags: &mut Attributes) -> Kind {
    let kind = match tags.get(KIND).and_then(Value::as_str) {
        Some("server") => Kind::Server,
        Some("client") => Kind::Client,
        Some("producer") => Kind::Producer,
        Some("consumer") => Kind::Consumer,
        Some("internal") => Kind::Internal,
        _ => return Kind::Internal,
    };
    tags.shift_remove(KIND);
    kind
}

fn event(log: wire::Log) -> Event {
    let mut attributes = tag::attributes(log.fields);
    let name = attributes.get(EVENT).and_then(Value::as_str).map(str::to_owned);
    if name.is_some() {
        attributes.shift_remove(EVENT);
    }
    let dropped = match attributes.get(EVENT_DROPPED) {
        Some(Value::Int(count)) => u32::try_from(*count).ok(),
        _ => None,
    };
    if dropped.is_some() {
        attributes.shift_remove(EVENT_DROPPED);
    }
    Event {
        time: nanos(log.timestamp),
        name: name.unwrap_or_default(),
        attributes,
        dropped_attributes: dropped.unwrap_or(0),
    }
}
