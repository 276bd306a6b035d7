//! OTLP JSON: the exact shape that goes out, and any trace back from it.

use std::sync::Arc;

use fixpoint_trace::{
    model::{Attributes, Event, Kind, Record, Resource, Span, SpanContext, Status, Trace, Value},
    otlp,
    store::Signal,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;

use crate::any;

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
    assert_eq!((span.scope.name.as_str(), span.scope.version.as_str()), ("x", "1"));
    assert_eq!((span.trace_state.as_str(), span.flags, span.dropped.attributes), ("a=b", 257, 1));
    assert_eq!(span.attributes["int"], Value::Int(7));
    assert_eq!(span.attributes["map"], Value::Map(Attributes::new()));
    assert_eq!(span.attributes["bytes"], Value::Bytes(vec![0, 1]));
    assert_eq!(span.attributes["none"], Value::Empty);
}

#[test]
fn numbers_enums_and_bytes_are_read_in_each_of_their_spellings() {
    let trace = otlp::from_json(&json!({"resourceSpans": [{"resource": null, "scopeSpans": [{
        "scope": null,
        "spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "parentSpanId": null,
            "kind": "SPAN_KIND_CONSUMER",
            "startTimeUnixNano": 1.5e18,
            "flags": "257",
            "status": {"code": "STATUS_CODE_ERROR"},
            "attributes": [
                {"key": "url-safe", "value": {"bytesValue": "_-8"}},
                {"key": "infinite", "value": {"doubleValue": "-Infinity"}},
                {"key": "whole", "value": {"doubleValue": 3}},
                {"key": "null", "value": {"stringValue": null}},
                {"key": "beyond 64 bits", "value": {"intValue": 1.5e300}},
            ],
        }],
    }]}]}))
    .unwrap();
    let [span] = &trace.spans[..] else { panic!("{trace:?}") };
    assert_eq!(
        (span.kind, span.start, span.flags),
        (Kind::Consumer, 1_500_000_000_000_000_000, 257)
    );
    assert_eq!(span.status, Status::Error(String::new()));
    assert_eq!(span.attributes["url-safe"], Value::Bytes(vec![0xff, 0xef]));
    assert_eq!(span.attributes["infinite"], Value::Double(f64::NEG_INFINITY));
    assert_eq!(span.attributes["whole"], Value::Double(3.0));
    assert_eq!(span.attributes["null"], Value::Empty);
    assert_eq!(span.attributes["beyond 64 bits"], Value::Double(1.5e300));
}

#[test]
fn a_severity_is_read_by_name_and_a_line_without_time_is_as_old_as_its_collection() {
    let logs = otlp::logs_from_json(&json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"severityNumber": "SEVERITY_NUMBER_FATAL4", "observedTimeUnixNano": "8"},
        {"severityNumber": "SEVERITY_NUMBER_WARN", "observedTimeUnixNano": "9", "traceId": "x"},
        {"severityNumber": "SEVERITY_NUMBER_HUGE", "observedTimeUnixNano": "10"},
    ]}]}]}))
    .unwrap();
    let told: Vec<_> = logs.iter().map(|log| (log.severity, log.time, log.trace_id)).collect();
    assert_eq!(told, [(24, 8, None), (13, 9, None), (0, 10, None)]);
}

#[test]
fn a_span_that_is_not_valid_is_counted_and_costs_the_others_nothing() {
    let good = json!({"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"});
    for (field, bad, why) in [
        ("traceId", json!("00000000000000000000000000000000"), "trace id"),
        ("spanId", json!("eee1"), "span id"),
        ("parentSpanId", json!("eee1"), "span id"),
        ("name", json!(5), "invalid type"),
        ("startTimeUnixNano", json!("soon"), "no such integer"),
        ("flags", json!(-1), "no such integer"),
        ("attributes", json!([{"key": "b", "value": {"bytesValue": "?"}}]), "Invalid symbol"),
        ("attributes", json!([{"key": "deep", "value": nested(25)}]), "deeper than 24 levels"),
    ] {
        let mut span = good.clone();
        span[field] = bad;
        let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span, good]}]}]});
        let decoded = otlp::decode_json(Signal::Traces, request.to_string().as_bytes()).unwrap();
        let told = &decoded.accepted;
        assert_eq!((told.accepted, told.rejected, decoded.records.len()), (1, 1, 1), "{field}");
        assert!(told.message.contains(why), "{}", told.message);
    }
}

/// A list in a list in a list …
fn nested(depth: usize) -> serde_json::Value {
    let list = |inner| json!({"arrayValue": {"values": [inner]}});
    (0..depth).fold(json!({}), |inner, _| list(inner))
}

#[test]
fn json_too_deep_to_be_read_is_refused_whole() {
    for (open, close) in [("[", "]"), (r#"{"resourceSpans":"#, "}")] {
        let bomb = open.repeat(100_000) + &close.repeat(100_000);
        let error = otlp::decode_json(Signal::Traces, bomb.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "could not read OTLP spans in JSON");
    }
}

#[test]
fn json_that_is_not_otlp_is_refused_with_its_reason() {
    for (json, reason) in [
        (json!({"resourceSpans": 1}), "invalid type"),
        (json!([]), "not a JSON object"),
        (json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "x"}]}]}]}), "trace id"),
    ] {
        let error = otlp::from_json(&json).unwrap_err();
        assert_eq!(error.to_string(), "could not read OTLP spans");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(reason), "{source}");
    }
}

proptest! {
    #[test]
    fn any_trace_comes_back_from_otlp_as_it_was(spans in vec(any::span(), 0..5)) {
        let mut trace = Trace { spans, ..Trace::default() };
        trace.sort();
        prop_assert_eq!(otlp::from_json(&otlp::to_json(&trace)).unwrap(), trace);
    }

    #[test]
    fn any_log_lines_come_back_from_otlp_as_they_were(mut logs in vec(any::log(), 0..5)) {
        logs.sort_by_key(|log| log.time);
        prop_assert_eq!(otlp::logs_from_json(&otlp::logs_to_json(&logs)).unwrap(), logs);
    }

    #[test]
    fn a_document_of_both_is_read_as_either(
        spans in vec(any::span(), 1..3),
        logs in vec(any::log(), 1..3),
    ) {
        let trace = Trace { spans, logs, ..Trace::default() };
        let document = serde_json::to_vec(&otlp::trace_document(&trace)).unwrap();
        let records = |signal| otlp::decode_json(signal, &document).unwrap().records;
        let spans: Vec<_> = trace.spans.into_iter().map(Record::Span).collect();
        let logs: Vec<_> = trace.logs.into_iter().map(Record::Log).collect();
        prop_assert_eq!(records(Signal::Traces), spans);
        prop_assert_eq!(records(Signal::Logs), logs);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(
        spans in vec(any::span(), 1..3),
        hits in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let trace = Trace { spans, ..Trace::default() };
        let mut document = serde_json::to_vec(&otlp::to_json(&trace)).unwrap();
        for (place, to) in hits {
            let at = place.index(document.len());
            document[at] = to;
        }
        for signal in [Signal::Traces, Signal::Logs] {
            if let Ok(decoded) = otlp::decode_json(signal, &document) {
                prop_assert!(decoded.records.len() <= trace.spans.len());
            }
        }
    }
}
