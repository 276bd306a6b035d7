//! Jaeger's JSON: as its page and Grafana read it, and back from a file that was downloaded.

use std::sync::Arc;

use fixpoint_trace::{
    jaeger,
    model::{Attributes, Event, Kind, Link, Record, Scope, Span, Status, Trace, Value},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value as Json, json};

use crate::any;

fn decode(json: &Json) -> Vec<Span> {
    let decoded = jaeger::decode(json.to_string().as_bytes()).unwrap();
    assert_eq!(decoded.accepted.rejected, 0, "{}", decoded.accepted.message);
    let span = |record| match record {
        Record::Span(span) => span,
        Record::Log(log) => panic!("no span: {log:?}"),
    };
    decoded.records.into_iter().map(span).collect()
}

fn sample() -> Trace {
    let to = |span_id: &str| fixpoint_trace::model::SpanContext {
        trace_id: "5982fe77008310cc80f1da5e10147517".parse().unwrap(),
        span_id: span_id.parse().unwrap(),
    };
    let cause = fixpoint_trace::model::SpanContext {
        trace_id: "000000000000000080f1da5e10147518".parse().unwrap(),
        ..to("00000000000000cc")
    };
    let root = Span {
        kind: Kind::Server,
        end: Some(9_000_000),
        status: Status::Error("refused".into()),
        attributes: Attributes::from([
            ("int".to_owned(), Value::Int(7)),
            ("large".to_owned(), Value::Int(i64::MAX)),
            ("double".to_owned(), Value::Double(0.5)),
            ("bytes".to_owned(), Value::Bytes(vec![0, 1])),
        ]),
        events: vec![Event {
            time: 5_000_000,
            name: "retry".into(),
            attributes: Attributes::from([("attempt".to_owned(), Value::Int(2))]),
            dropped_attributes: 1,
        }],
        links: vec![Link::from(cause)],
        scope: Arc::new(Scope::named("lib")),
        resource: Arc::new(Attributes::from([
            ("service.name".to_owned(), "shop".into()),
            ("host.name".to_owned(), "h".into()),
        ])),
        ..Span::new(to("00000000000000aa"), "GET /", 4_000_000)
    };
    let open = Span {
        parent: Some(root.span_id),
        resource: root.resource.clone(),
        ..Span::new(to("00000000000000bb"), "work", 5_000_000)
    };
    Trace { spans: vec![root, open], partial: Some("a file is gone".into()), ..Trace::default() }
}

#[test]
fn a_trace_has_the_shape_that_jaeger_gives_it() {
    assert_eq!(
        jaeger::to_json(&[sample()]),
        json!({
            "data": [{
                "traceID": "5982fe77008310cc80f1da5e10147517",
                "spans": [
                    {
                        "traceID": "5982fe77008310cc80f1da5e10147517",
                        "spanID": "00000000000000aa",
                        "flags": 0,
                        "operationName": "GET /",
                        "references": [{
                            "refType": "FOLLOWS_FROM",
                            "traceID": "80f1da5e10147518",
                            "spanID": "00000000000000cc",
                        }],
                        "startTime": 4000,
                        "duration": 5000,
                        "tags": [
                            {"key": "int", "type": "int64", "value": 7},
                            {"key": "large", "type": "int64", "value": "9223372036854775807"},
                            {"key": "double", "type": "float64", "value": 0.5},
                            {"key": "bytes", "type": "binary", "value": "AAE="},
                            {"key": "span.kind", "type": "string", "value": "server"},
                            {"key": "otel.status_code", "type": "string", "value": "ERROR"},
                            {"key": "otel.status_description", "type": "string", "value": "refused"},
                            {"key": "error", "type": "bool", "value": true},
                            {"key": "otel.scope.name", "type": "string", "value": "lib"},
                        ],
                        "logs": [{"timestamp": 5000, "fields": [
                            {"key": "event", "type": "string", "value": "retry"},
                            {"key": "attempt", "type": "int64", "value": 2},
                            {"key": "otel.event.dropped_attributes_count", "type": "int64", "value": 1},
                        ]}],
                        "processID": "p1",
                        "warnings": null,
                    },
                    {
                        "traceID": "5982fe77008310cc80f1da5e10147517",
                        "spanID": "00000000000000bb",
                        "flags": 0,
                        "operationName": "work",
                        "references": [{
                            "refType": "CHILD_OF",
                            "traceID": "5982fe77008310cc80f1da5e10147517",
                            "spanID": "00000000000000aa",
                        }],
                        "startTime": 5000,
                        "duration": 0,
                        "tags": [],
                        "logs": [],
                        "processID": "p1",
                        "warnings": ["This span had not ended yet."],
                    },
                ],
                "processes": {"p1": {"serviceName": "shop", "tags": [
                    {"key": "host.name", "type": "string", "value": "h"},
                ]}},
                "warnings": ["a file is gone"],
            }],
            "total": 1,
            "limit": 0,
            "offset": 0,
            "errors": null,
        })
    );
}

#[test]
fn what_was_written_is_read_as_it_was() {
    assert_eq!(decode(&jaeger::to_json(&[sample()])), sample().spans);
}

#[test]
fn one_trace_of_an_answer_is_read_by_itself() {
    let answer = jaeger::to_json(&[sample()]);
    assert_eq!(decode(&answer["data"][0]), sample().spans);
}

#[test]
fn what_older_tracers_wrote_is_read() {
    let spans = decode(&json!({"data": [{"traceID": "1", "spans": [
        {"traceID": "1", "spanID": "2", "parentSpanID": "0", "operationName": "root",
         "startTime": 1, "duration": 1, "tags": [
            {"key": "error", "value": "boom"}, {"key": "n", "value": 1}, {"key": "x"},
            {"key": "span.kind", "value": "client"}, {"key": "f", "type": "float64", "value": "NaN"}],
         "logs": [{"timestamp": 1, "fields": [{"key": "message", "value": "hi"}]}],
         "process": {"serviceName": "inline"}},
        {"traceID": "1", "spanID": "3", "parentSpanID": "2", "references": [
            {"refType": "CHILD_OF", "traceID": "1", "spanID": "2"}]},
        {"traceID": "1", "spanID": "4", "references": [
            {"refType": "FOLLOWS_FROM", "traceID": "1", "spanID": "2"}]},
        {"traceID": "1", "spanID": "5", "references": [
            {"refType": "CHILD_OF", "traceID": "1", "spanID": "3"},
            {"refType": "CHILD_OF", "traceID": "1", "spanID": "2"}]},
    ]}]}));
    let parents: Vec<_> = spans.iter().map(|span| span.parent.map(|id| id.to_bytes()[7])).collect();
    assert_eq!(parents, [None, Some(2), Some(2), Some(3)]);
    assert_eq!((spans[0].service(), spans[0].kind), ("inline", Kind::Client));
    assert_eq!(spans[0].status, Status::Error("boom".into()));
    assert_eq!(spans[0].attributes["n"], Value::Int(1));
    assert_eq!(spans[0].attributes["x"], Value::Empty);
    assert!(matches!(spans[0].attributes["f"], Value::Double(double) if double.is_nan()));
    assert_eq!(spans[0].events[0].attributes["message"], "hi".into());
    let again = jaeger::to_json(&[Trace { spans: spans.clone(), ..Trace::default() }]);
    let links = spans.iter().map(|span| span.links.len()).collect::<Vec<_>>();
    assert_eq!(links, [0, 0, 0, 1]);
    assert_eq!(again["data"][0]["spans"][3]["references"][1]["refType"], "CHILD_OF");
}

#[test]
fn a_span_that_is_not_valid_is_counted_and_costs_the_others_nothing() {
    let good = json!({"traceID": "1", "spanID": "2"});
    for (field, bad, why) in [
        ("traceID", json!("g"), "trace id"),
        ("spanID", json!(""), "span id"),
        ("startTime", json!("soon"), "no such integer"),
        ("references", json!([{"refType": "COUSIN_OF", "traceID": "1", "spanID": "2"}]), "variant"),
    ] {
        let mut span = good.clone();
        span[field] = bad;
        let file = json!({"data": [{"spans": [span, good]}]}).to_string();
        let told = jaeger::decode(file.as_bytes()).unwrap().accepted;
        assert_eq!((told.accepted, told.rejected), (1, 1), "{field}");
        assert!(told.message.contains(why), "{}", told.message);
    }
    let error = jaeger::decode(b"[]").unwrap_err();
    assert_eq!(error.to_string(), "could not read Jaeger spans");
}

#[test]
fn version_3_is_otlp_in_an_envelope() {
    let trace = sample();
    let answer = serde_json::to_value(jaeger::v3_document(&trace.spans)).unwrap();
    assert_eq!(answer["result"], fixpoint_trace::otlp::to_json(&trace));
}

/// What of a span Jaeger has no place for, taken away.
fn without_what_is_lost(mut span: Span) -> Span {
    let micros = |nanos: u64| nanos / 1000 * 1000;
    let plain = |value: &Value| match value {
        Value::Empty | Value::Array(_) | Value::Map(_) => value.to_text().into_owned().into(),
        other => other.clone(),
    };
    let flat = |attributes: &Attributes| -> Attributes {
        attributes.iter().map(|(key, value)| (key.clone(), plain(value))).collect()
    };
    let start = micros(span.start);
    span.end = span.duration().map(|duration| start.saturating_add(micros(duration)));
    span.start = start;
    span.attributes = flat(&span.attributes);
    span.resource = Arc::new(flat(&span.resource));
    let scope = Scope { attributes: Attributes::new(), ..(*span.scope).clone() };
    span.scope = Arc::new(scope);
    for event in &mut span.events {
        event.time = micros(event.time);
        event.attributes = flat(&event.attributes);
    }
    span.links = span.links.into_iter().map(|link| Link::from(link.to)).collect();
    span
}

proptest! {
    #[test]
    fn any_span_comes_back_but_for_what_jaeger_has_no_place_for(spans in vec(any::span(), 0..4)) {
        let trace = Trace { spans: spans.clone(), ..Trace::default() };
        let expected: Vec<_> = spans.into_iter().map(without_what_is_lost).collect();
        prop_assert_eq!(decode(&jaeger::to_json(&[trace])), expected);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        spans in vec(any::span(), 1..3),
        hits in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let trace = Trace { spans, ..Trace::default() };
        let mut file = jaeger::to_json(std::slice::from_ref(&trace)).to_string().into_bytes();
        for (place, to) in hits {
            let at = place.index(file.len());
            file[at] = to;
        }
        if let Ok(decoded) = jaeger::decode(&file) {
            prop_assert!(decoded.records.len() <= trace.spans.len());
        }
    }
}
