//! Any span, any log line: all that the model can hold.

use std::sync::Arc;

use fixpoint_trace::model::{
    Attributes, Dropped, Event, Kind, Link, LogRecord, Scope, Span, SpanContext, SpanId, Status,
    TraceId, Value,
};
use proptest::{collection::vec, option, prelude::*};

/// Mostly short and plain, as names are, sometimes anything.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z.]{0,6}", 1 => any::<String>()]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Empty),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::Double),
        Just(Value::Double(f64::INFINITY)),
        Just(Value::Double(-0.0)),
        text().prop_map(Value::String),
        vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
    ];
    plain.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((text(), inner), 0..4).prop_map(|pairs| Value::Map(pairs.into_iter().collect())),
        ]
    })
}

pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    vec((text(), value()), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

/// Mostly 0, as they mostly are.
fn count() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

prop_compose! {
    pub(crate) fn trace_id()(bytes in any::<[u8; 16]>()) -> TraceId {
        TraceId::from_bytes(bytes).unwrap_or_else(TraceId::random)
    }
}

prop_compose! {
    pub(crate) fn span_id()(bytes in any::<[u8; 8]>()) -> SpanId {
        SpanId::from_bytes(bytes).unwrap_or_else(SpanId::random)
    }
}

prop_compose! {
    fn event()(
        time in any::<u64>(),
        name in text(),
        attributes in attributes(),
        dropped_attributes in count(),
    ) -> Event {
        Event { time, name, attributes, dropped_attributes }
    }
}

prop_compose! {
    fn link()(
        (trace_id, span_id) in (trace_id(), span_id()),
        trace_state in "|a=b",
        attributes in attributes(),
        (dropped_attributes, flags) in (count(), count()),
    ) -> Link {
        let to = SpanContext { trace_id, span_id };
        Link { to, trace_state, attributes, dropped_attributes, flags }
    }
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::default()),
        ("lib|", "1|", attributes()).prop_map(|(name, version, attributes)| Scope {
            name,
            version,
            attributes
        }),
    ]
}

pub(crate) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Internal),
        Just(Kind::Server),
        Just(Kind::Client),
        Just(Kind::Producer),
        Just(Kind::Consumer)
    ]
}

prop_compose! {
    pub(crate) fn span()(
        (trace_id, span_id, parent) in (trace_id(), span_id(), option::of(span_id())),
        name in text(),
        kind in kind(),
        (start, end) in (any::<u64>(), option::of(1..u64::MAX)),
        status in prop_oneof![
            Just(Status::Unset), Just(Status::Ok), text().prop_map(Status::Error)
        ],
        (attributes, resource, scope) in (attributes(), attributes(), scope()),
        (events, links) in (vec(event(), 0..3), vec(link(), 0..3)),
        dropped in (count(), count(), count()),
        (trace_state, flags) in ("|a=b", count()),
    ) -> Span {
        Span {
            parent,
            kind,
            end,
            status,
            attributes,
            events,
            links,
            dropped: Dropped { attributes: dropped.0, events: dropped.1, links: dropped.2 },
            trace_state,
            flags,
            scope: Arc::new(scope),
            resource: Arc::new(resource),
            ..Span::new(SpanContext { trace_id, span_id }, name, start)
        }
    }
}

prop_compose! {
    pub(crate) fn log()(
        // A line that says only when it was collected comes back as written then.
        (time, observed) in (1..u64::MAX, any::<u64>()),
        (severity, severity_text) in (any::<u8>(), "|INFO"),
        (body, event_name) in (value(), "|event"),
        (trace_id, span_id, flags) in (option::of(trace_id()), option::of(span_id()), count()),
        (attributes, dropped_attributes) in (attributes(), count()),
        (scope, resource) in (scope(), attributes()),
    ) -> LogRecord {
        LogRecord {
            time,
            observed,
            severity,
            severity_text,
            body,
            event_name,
            trace_id,
            span_id,
            flags,
            attributes,
            dropped_attributes,
            scope: Arc::new(scope),
            resource: Arc::new(resource),
        }
    }
}
