//! Tempo's answers: traces by id, and what a search finds.

use base64::{Engine, engine::general_purpose::STANDARD};
use fixpoint_trace::{
    model::{Attributes, Kind, Record, Span, SpanContext, Status, Trace, Value},
    otlp,
    store::{Signal, TraceSummary},
    tempo::{self, Found},
};
use prost::Message;
use serde_json::{Value as Json, json};

fn sample() -> Trace {
    let context = SpanContext {
        trace_id: "5982fe77008310cc80f1da5e10147517".parse().unwrap(),
        span_id: "00000000000000aa".parse().unwrap(),
    };
    let span = Span {
        kind: Kind::Server,
        end: Some(45_000_000),
        status: Status::Error("no".into()),
        // Named like a field of OTLP, which must not mislead anybody.
        attributes: Attributes::from([
            ("traceId".to_owned(), Value::from("00000000000000aa")),
            ("kind".to_owned(), Value::Int(2)),
        ]),
        ..Span::new(context, "GET /", 4_000_000)
    };
    let child = Span {
        parent: Some(context.span_id),
        ..Span::new(SpanContext { span_id: "00000000000000bb".parse().unwrap(), ..context }, "x", 5)
    };
    Trace { spans: vec![span, child], ..Trace::default() }
}

#[test]
fn a_trace_in_json_has_base64_ids_and_enums_by_name() {
    let base64 = |hex: &str| Json::from(STANDARD.encode(hex::decode(hex).unwrap()));
    let answer = tempo::trace_json(&sample());
    let spans = &answer["batches"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans[0]["traceId"], base64("5982fe77008310cc80f1da5e10147517"));
    assert_eq!(spans[0]["spanId"], base64("00000000000000aa"));
    assert_eq!(spans[1]["parentSpanId"], spans[0]["spanId"]);
    assert_eq!(spans[0]["kind"], "SPAN_KIND_SERVER");
    assert_eq!(spans[0]["status"], json!({"code": "STATUS_CODE_ERROR", "message": "no"}));
    assert_eq!(
        spans[0]["attributes"],
        json!([
            {"key": "traceId", "value": {"stringValue": "00000000000000aa"}},
            {"key": "kind", "value": {"intValue": "2"}},
        ])
    );
    let v2 = tempo::trace_json_v2(&sample());
    assert_eq!(v2["trace"]["resourceSpans"], answer["batches"]);
    assert_eq!(v2.get("status"), None);
}

#[test]
fn a_trace_in_protobuf_is_otlp() {
    let decoded = otlp::decode(Signal::Traces, &tempo::trace_protobuf(&sample())).unwrap();
    let spans: Vec<_> = sample().spans.into_iter().map(Record::Span).collect();
    assert_eq!(decoded.records, spans);
}

#[test]
fn a_trace_that_is_not_all_there_is_says_so() {
    #[derive(Message)]
    struct Answer {
        #[prost(bytes = "vec", tag = "1")]
        trace: Vec<u8>,
        #[prost(int32, tag = "3")]
        status: i32,
        #[prost(string, tag = "4")]
        message: String,
    }
    let mut trace = sample();
    for (partial, status) in [(None, 0), (Some("a file is gone".to_owned()), 1)] {
        trace.partial = partial.clone();
        let answer = Answer::decode(&tempo::trace_protobuf_v2(&trace)[..]).unwrap();
        assert_eq!((answer.status, answer.message), (status, partial.unwrap_or_default()));
        assert_eq!(answer.trace, tempo::trace_protobuf(&trace));
    }
    let json = tempo::trace_json_v2(&trace);
    assert_eq!((&json["status"], &json["message"]), (&json!("PARTIAL"), &json!("a file is gone")));
}

#[test]
fn a_search_answers_what_grafana_lists() {
    let trace = sample();
    let summary = TraceSummary {
        trace_id: trace.spans[0].trace_id,
        root: Some(trace.spans[0].span_id),
        name: "GET /".into(),
        service: "shop".into(),
        start: 4_000_000,
        end: Some(45_000_000),
        status: Status::Unset,
        spans: 2,
        open: 0,
        errors: 0,
        logs: 0,
    };
    let found = Found { summary: &summary, spans: vec![&trace.spans[0]], matched: 2 };
    assert_eq!(
        tempo::search_answer(&[found]),
        json!({
            "traces": [{
                "traceID": "5982fe77008310cc80f1da5e10147517",
                "rootServiceName": "shop",
                "rootTraceName": "GET /",
                "startTimeUnixNano": "4000000",
                "durationMs": 41,
                "spanSets": [{
                    "spans": [{
                        "spanID": "00000000000000aa",
                        "name": "GET /",
                        "startTimeUnixNano": "4000000",
                        "durationNanos": "41000000",
                    }],
                    "matched": 2,
                }],
            }],
            "metrics": {"inspectedTraces": 1},
        })
    );
}
