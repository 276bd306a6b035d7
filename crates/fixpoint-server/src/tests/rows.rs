//! What the waterfall reads: columns of a trace, one span whole, and the search within.

use std::io::Read;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use fixpoint_trace::model::{
    Attributes, Event, Kind, Level, LogRecord, Record, Span, SpanContext, Status,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Harness;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// When the traces here start. Later than the server does, which closes what it finds open.
const START: u64 = 4_102_444_800_000_000_000;

fn span(id: u8, parent: Option<u8>, name: &str, start: u64, attributes: Value) -> Span {
    let digits = |id: u8| format!("{id:016x}").parse().unwrap();
    let context = SpanContext { trace_id: TRACE.parse().unwrap(), span_id: digits(id) };
    let mut span = Span::new(context, name, START + start);
    span.parent = parent.map(digits);
    span.attributes = serde_json::from_value::<Attributes>(attributes).unwrap();
    span
}

/// A trace with everything that a row can show.
async fn sample() -> Harness {
    let server = Harness::new();
    let mut run = span(1, None, "run clusters", 5, json!({"fixpoint.iteration": 7, "secret": "x"}));
    run.events.push(Event { time: run.start + 3, name: "woken".into(), ..Event::default() });
    let mut call = span(
        2,
        Some(1),
        "EC2.RunInstances",
        10,
        json!({"fixpoint.request": "{\"Vpc\":\"VPC-9\"}"}),
    );
    call.kind = Kind::Client;
    call.end = Some(call.start + 20);
    call.status = Status::Error("AccessDenied".into());
    let mut orphan = span(3, Some(9), "EC2.RunInstances", 30, json!({"rpc.system": "aws-api"}));
    orphan.end = Some(orphan.start);
    let mut line = LogRecord::new(run.start + 1, Level::Warn, "Throttled by EC2");
    line.trace_id = Some(run.trace_id);
    line.span_id = Some(orphan.span_id);
    let records =
        vec![Record::Span(run), Record::Span(call), Record::Span(orphan), Record::Log(line)];
    server.app.traces.whole().append(&records).await.unwrap();
    server
}

#[tokio::test]
async fn rows_are_columns_with_the_attributes_that_are_asked_for_and_no_others() {
    let server = sample().await;
    let path = format!("/v1/traces/{TRACE}/rows?attributes=fixpoint.iteration,rpc.system");
    assert_eq!(
        server.get(&path).await.value(),
        json!({
            "origin": "4102444800000000005",
            "partial": null,
            "names": ["run clusters", "EC2.RunInstances"],
            "services": [""],
            "ids": "000000000000000100000000000000020000000000000003",
            "parent": [-1, 0, -2],
            "missing": [[2, "0000000000000009"]],
            "name": [0, 1, 1],
            "service": [0, 0, 0],
            "kind": [1, 3, 1],
            "start": [0, 5, 25],
            "duration": [null, 20, 0],
            "failed": [[1, "AccessDenied"]],
            "attributes": {
                "fixpoint.iteration": {"values": [7], "at": [0], "value": [0]},
                "rpc.system": {"values": ["aws-api"], "at": [2], "value": [0]},
            },
            "events": [[0, 3, "woken"]],
        })
    );
    let many = vec!["a"; 33].join(",");
    assert_eq!(server.get(&format!("/v1/traces/{TRACE}/rows?attributes={many}")).await.status, 400);
    let other = TRACE.replace('4', "5");
    assert_eq!(server.get(&format!("/v1/traces/{other}/rows")).await.status, 404);
}

#[tokio::test]
async fn one_span_is_shown_whole() {
    let server = sample().await;
    let document = server.get(&format!("/v1/traces/{TRACE}/spans/0000000000000002")).await.value();
    let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().unwrap().len(), 1);
    assert_eq!(spans[0]["attributes"][0]["key"], "fixpoint.request");
    for (id, status) in [("0000000000000008", 404), ("8", 400)] {
        assert_eq!(server.get(&format!("/v1/traces/{TRACE}/spans/{id}")).await.status, status);
    }
}

#[tokio::test]
async fn words_are_found_in_names_attributes_messages_events_and_log_lines() {
    let server = sample().await;
    for (query, found) in [
        ("runinstances", vec![2, 3]),
        ("vpc-9", vec![2]),
        ("accessdenied runinstances", vec![2]),
        ("woken", vec![1]),
        ("throttled", vec![3]),
        ("RPC.system%3Daws", vec![3]),
        ("rpc.system%3Dvpc", vec![]),
        ("fixpoint.iteration%3D7", vec![1]),
        ("0000000000000003", vec![3]),
        ("(", vec![]),
    ] {
        let path = format!("/v1/traces/{TRACE}/matches?q={}", query.replace(' ', "+"));
        let ids: Vec<_> = found.iter().map(|id| format!("{id:016x}")).collect();
        assert_eq!(server.get(&path).await.value(), json!({ "spans": ids }), "{query}");
    }
    for query in ["+".to_owned(), "a+".repeat(17)] {
        let path = format!("/v1/traces/{TRACE}/matches?q={query}");
        assert_eq!(server.get(&path).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn many_rows_are_packed_for_those_who_can_unpack_them() {
    let server = Harness::new();
    let polls = (1..=2_000).map(|n| {
        let mut poll = span(1, None, "poll", n, json!({}));
        poll.span_id = format!("{n:016x}").parse().unwrap();
        Record::Span(poll)
    });
    server.app.traces.whole().append(&polls.collect::<Vec<_>>()).await.unwrap();
    let path = format!("/v1/traces/{TRACE}/rows");
    let request = Request::get(&path).header("accept-encoding", "br, gzip").body(Body::empty());
    let answer = server.router.clone().oneshot(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
    let plain = server.get(&path).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    assert_eq!(plain.text, text);
    assert!(packed.len() * 2 < text.len(), "{} of {}", packed.len(), text.len());
}
