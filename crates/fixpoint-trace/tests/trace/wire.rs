//! OTLP JSON: the exact shape that goes out, and any trace back from it.

use std::sync::Arc;

use fixpoint_trace::{
    model::{
        Attributes, Event, Kind, Level, LogRecord, Resource, Scope, Span, SpanContext, SpanId,
        Status, Trace, TraceId, Value,
    },
    otlp,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::json;

#[test]
fn a_span_has_the_shape_of_otlp_json() {
    let context = SpanContext {
        trace_id: "5b8efff798038103d269b633813fc60c".parse().unwrap(),
        span_id: "eee19b7ec3c1b174".parse().unwrap(),
    };
    let span = Span {
        parent: Some("eee19b7ec3c1b173".parse().unwrap()),
        kind: Kind::Client,
        end: Some(1_544_712_661_000_000_000),
        status: Status::Error("UnauthorizedOperation".into()),
        attributes: Attributes::from([
            ("text".into(), Value::String("value".into())),
            ("int".into(), Value::Int(-7)),
            ("double".into(), Value::Double(0.5)),
            ("nan".into(), Value::Double(f64::NAN)),
            ("bool".into(), Value::Bool(true)),
            ("array".into(), Value::Array(vec![Value::Int(1)])),
        ]),
        events: vec![Event { time: 5, name: "retry".into(), ..Event::default() }],
        links: vec![
            SpanContext {
                trace_id: "5b8efff798038103d269b633813fc60d".parse().unwrap(),
                span_id: "eee19b7ec3c1b175".parse().unwrap(),
            }
            .into(),
        ],
        resource: Arc::new(Resource::from([("service.name".into(), Value::String("f".into()))])),
        ..Span::new(context, "EC2.RunInstances", 1_544_712_660_000_000_000)
    };
    let mut open = span.clone();
    open.span_id = "eee19b7ec3c1b176".parse().unwrap();
    open.parent = None;
    open.end = None;
    open.status = Status::Unset;
    (open.attributes, open.events, open.links) = Default::default();
    let trace = Trace { spans: vec![span, open], ..Trace::default() };
    assert_eq!(
        otlp::to_json(&trace),
        json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "f"}}]},
            "scopeSpans": [{
                "scope": {"name": "fixpoint"},
                "spans": [
                    {
                        "traceId": "5b8efff798038103d269b633813fc60c",
                        "spanId": "eee19b7ec3c1b174",
                        "parentSpanId": "eee19b7ec3c1b173",
                        "name": "EC2.RunInstances",
                        "kind": 3,
                        "startTimeUnixNano": "1544712660000000000",
                        "endTimeUnixNano": "1544712661000000000",
                        "attributes": [
                            {"key": "text", "value": {"stringValue": "value"}},
                            {"key": "int", "value": {"intValue": "-7"}},
                            {"key": "double", "value": {"doubleValue": 0.5}},
                            {"key": "nan", "value": {"doubleValue": "NaN"}},
                            {"key": "bool", "value": {"boolValue": true}},
                            {"key": "array", "value": {"arrayValue": {"values": [{"intValue": "1"}]}}},
                        ],
                        "events": [{"timeUnixNano": "5", "name": "retry", "attributes": []}],
                        "links": [{
                            "traceId": "5b8efff798038103d269b633813fc60d",
                            "spanId": "eee19b7ec3c1b175",
                        }],
                        "status": {"code": 2, "message": "UnauthorizedOperation"},
                    },
                    {
                        "traceId": "5b8efff798038103d269b633813fc60c",
                        "spanId": "eee19b7ec3c1b176",
                        "name": "EC2.RunInstances",
                        "kind": 3,
                        "startTimeUnixNano": "1544712660000000000",
                        "attributes": [],
                        "events": [],
                        "links": [],
                        "status": {},
                    },
                ],
            }],
        }]})
    );
}

#[test]
fn what_other_senders_write_is_read() {
    let trace = otlp::from_json(&json!({
        "resourceSpans": [{
            "schemaUrl": "https://opentelemetry.io/schemas/1.44.0",
            "scopeSpans": [{"scope": {"name": "x", "version": "1"}, "spans": [{
                "traceId": "5B8EFFF798038103D269B633813FC60C",
                "spanId": "eee19b7ec3c1b174",
                "parentSpanId": "",
                "traceState": "a=b",
                "flags": 257,
                "kind": 2,
                "startTimeUnixNano": 15,
                "endTimeUnixNano": "20",
                "droppedAttributesCount": 1,
                "attributes": [
                    {"key": "int", "value": {"intValue": 7}},
                    {"key": "map", "value": {"kvlistValue": {"values": []}}},
                    {"key": "bytes", "value": {"bytesValue": "AAE="}},
                    {"key": "none", "value": {}},
                ],
            }]}],
        }],
    }))
    .unwrap();
    let [span] = &trace.spans[..] else { panic!("{trace:?}") };
    assert_eq!((span.parent, span.kind, span.start, span.end), (None, Kind::Server, 15, Some(20)));
    let texts = ["map", "bytes", "none"].map(|key| span.attributes[key].clone());
    assert_eq!(texts, [r#"{"values":[]}"#, "AAE=", ""].map(|text| Value::String(text.into())));
    assert_eq!(span.attributes["int"], Value::Int(7));
}

#[test]
fn json_that_is_not_otlp_is_refused_with_its_reason() {
    for (json, reason) in [
        (json!({"resourceSpans": 1}), "invalid type"),
        (json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}), "trace id"),
    ] {
        let error = otlp::from_json(&json).unwrap_err();
        assert_eq!(error.to_string(), "could not read OTLP spans");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(reason), "{source}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e300..1e300).prop_map(Value::Double),
        Just(Value::Double(f64::INFINITY)),
        any::<String>().prop_map(Value::String),
    ];
    plain.prop_recursive(2, 8, 4, |inner| vec(inner, 0..4).prop_map(Value::Array))
}

fn attributes() -> impl Strategy<Value = Attributes> {
    vec((any::<String>(), value()), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

prop_compose! {
    fn trace_id()(bytes in any::<[u8; 16]>()) -> TraceId {
        TraceId::from_bytes(bytes).unwrap_or_else(TraceId::random)
    }
}

prop_compose! {
    fn span_id()(bytes in any::<[u8; 8]>()) -> SpanId {
        SpanId::from_bytes(bytes).unwrap_or_else(SpanId::random)
    }
}

prop_compose! {
    fn span()(
        (trace_id, span_id, parent) in (trace_id(), span_id(), option::of(span_id())),
        name in any::<String>(),
        kind in prop_oneof![
            Just(Kind::Internal), Just(Kind::Server), Just(Kind::Client), Just(Kind::Producer),
            Just(Kind::Consumer)
        ],
        (start, end) in (any::<u64>(), option::of(1..u64::MAX)),
        status in prop_oneof![
            Just(Status::Unset), Just(Status::Ok), any::<String>().prop_map(Status::Error)
        ],
        (own, of_event, of_resource) in (attributes(), attributes(), attributes()),
        link in option::of((trace_id(), span_id())),
    ) -> Span {
        Span {
            parent,
            kind,
            end,
            status,
            attributes: own,
            events: vec![Event {
                time: start,
                name: name.clone(),
                attributes: of_event,
                ..Event::default()
            }],
            links: link.map(|(trace_id, span_id)| SpanContext { trace_id, span_id }.into())
                .into_iter().collect(),
            resource: Arc::new(of_resource),
            ..Span::new(SpanContext { trace_id, span_id }, name, start)
        }
    }
}

prop_compose! {
    fn log()(
        time in any::<u64>(),
        level in prop_oneof![
            Just(Level::Trace), Just(Level::Debug), Just(Level::Info), Just(Level::Warn),
            Just(Level::Error)
        ],
        (message, target) in (any::<String>(), any::<String>()),
        trace_id in option::of(trace_id()),
        span_id in option::of(span_id()),
        attributes in attributes(),
    ) -> LogRecord {
        LogRecord {
            trace_id,
            span_id,
            attributes,
            scope: Arc::new(Scope::named(target)),
            ..LogRecord::new(time, level, message)
        }
    }
}

proptest! {
    #[test]
    fn any_trace_comes_back_from_otlp_as_it_was(spans in vec(span(), 0..5)) {
        let mut trace = Trace { spans, ..Trace::default() };
        trace.sort();
        prop_assert_eq!(otlp::from_json(&otlp::to_json(&trace)).unwrap(), trace);
    }

    #[test]
    fn any_log_lines_come_back_from_otlp_as_they_were(mut logs in vec(log(), 0..5)) {
        logs.sort_by_key(|log| log.time);
        prop_assert_eq!(otlp::logs_from_json(&otlp::logs_to_json(&logs)).unwrap(), logs);
    }
}
