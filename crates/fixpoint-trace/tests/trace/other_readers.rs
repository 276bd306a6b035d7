//! Writes a store for another program to read, and beside it what is in it.
//!
//! Not here: the reading, which `tests/format/` does. The surprise: what is expected is written
//! from the model and never from the files, so a mistake in the format cannot hide in both.

use std::{path::PathBuf, sync::Arc};

use fixpoint_trace::{
    model::{
        Attributes, Dropped, Event, Kind, Level, Link, LogRecord, Record, Resource, Scope, Span,
        SpanContext, SpanId, Status, TraceId, Value,
    },
    store::{
        TraceStore,
        engine::{Engine, Options},
    },
};
use proptest::{strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value as Json, json};

use crate::any;

/// Where the store goes, and the file that says what is in it.
const FOLDER: &str = "FIXPOINT_FORMAT_STORE";
const WRITTEN: &str = "FIXPOINT_FORMAT_WRITTEN";
const MINUTE: u64 = 60_000_000_000;
/// 2026-01-01, in nanoseconds.
const START: u64 = 1_767_225_600_000_000_000;

#[tokio::test]
#[ignore = "tests/format reads what it writes: scripts/test format"]
async fn other_readers() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let written = PathBuf::from(std::env::var(WRITTEN).unwrap());
    let records: Vec<Record> = runs().into_iter().chain(anything()).collect();
    // Few records a log, so that there are several segments, and merged ones among them.
    let options = Options { seal_records: 12, ..Options::default() };
    let store = Engine::open(&folder, options).unwrap();
    for batch in records.chunks(6) {
        store.append(batch).await.unwrap();
    }
    store.settle().await.unwrap();
    let stats = store.stats().await.unwrap();
    assert!(stats.segments > 1, "several segments are to be read");
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for record in &records {
        match record {
            Record::Span(span) => spans.push(json_of_span(span)),
            Record::Log(log) => logs.push(json_of_log(log)),
        }
    }
    assert_eq!((stats.spans, stats.logs), (spans.len() as u64, logs.len() as u64));
    let json = json!({ "spans": spans, "logs": logs });
    std::fs::write(written, json.to_string()).unwrap();
}

/// Runs as Fixpoint records them. In the third AWS refuses; the seventh lacks a call.
fn runs() -> Vec<Record> {
    let resource = |region: &str| {
        let pairs = [("service.name", "clusters"), ("cloud.region", region)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), Value::from(value)));
        Arc::new(pairs.into_iter().collect::<Resource>())
    };
    let regions = [resource("eu-west-1"), resource("us-east-1")];
    let mut records = Vec::new();
    for run in 0..10_u64 {
        let trace_id = TraceId::from_bytes([run as u8 + 1; 16]).unwrap();
        let start = START + run * MINUTE;
        let mut last = 0_u8;
        let mut span = |name: &str, kind: Kind, offset: u64, takes: u64| {
            last += 1;
            let span_id = SpanId::from_bytes([last; 8]).unwrap();
            let context = SpanContext { trace_id, span_id };
            Span {
                kind,
                parent: (last > 1).then(|| SpanId::from_bytes([1; 8]).unwrap()),
                end: Some(start + offset + takes),
                resource: Arc::clone(&regions[(run % 2) as usize]),
                scope: Arc::new(Scope::named("fixpoint")),
                ..Span::new(context, name, start + offset)
            }
        };
        let mut spans = vec![span("run clusters", Kind::Internal, 0, MINUTE / 2)];
        let calls = ["EC2.RunInstances", "ELBv2.DescribeTargetGroups", "ELBv2.RegisterTargets"];
        for (n, name) in (0_u64..).zip(calls) {
            if run == 6 && name == "ELBv2.RegisterTargets" {
                continue;
            }
            let takes = (run + 1) * 1_000_003 * (n + 1);
            let mut call = span(name, Kind::Client, (n + 1) * 1_000_000_000, takes);
            call.attributes = attributes([
                ("rpc.system", "aws-api".into()),
                ("http.response.status_code", Value::Int(200)),
                ("aws.request_id", format!("request-{run}-{n}").into()),
            ]);
            if run == 2 && n == 0 {
                call.status = Status::Error("no capacity".into());
                let code = "InsufficientInstanceCapacity";
                call.attributes.insert("error.type".into(), code.into());
            }
            spans.push(call);
        }
        for (n, span) in (0..).zip(&spans) {
            records.push(Record::Log(LogRecord {
                trace_id: Some(trace_id),
                span_id: Some(span.span_id),
                ..LogRecord::new(start + n, Level::Info, format!("{} began", span.name))
            }));
        }
        records.extend(spans.into_iter().map(Record::Span));
    }
    records
}

/// Whatever the model can hold, always the same.
fn anything() -> Vec<Record> {
    use proptest::strategy::Strategy;
    let mut runner = TestRunner::deterministic();
    let mut records: Vec<Record> = Vec::new();
    for _ in 0..150 {
        let mut span = any::span().new_tree(&mut runner).unwrap().current();
        // A segment holds what has ended. Not every reader knows times after 2262.
        span.start >>= 1;
        span.end = Some(span.end.unwrap_or(span.start) >> 1);
        records.push(Record::Span(span));
        let mut log = any::log().new_tree(&mut runner).unwrap().current();
        (log.time, log.observed) = ((log.time >> 1).max(1), log.observed >> 1);
        records.push(Record::Log(log));
    }
    records
}

fn attributes<const N: usize>(pairs: [(&str, Value); N]) -> Attributes {
    pairs.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}

fn json_of_span(span: &Span) -> Json {
    let Dropped { attributes, events, links } = span.dropped;
    let (status, message) = match &span.status {
        Status::Unset => ("unset", ""),
        Status::Ok => ("ok", ""),
        Status::Error(message) => ("error", message.as_str()),
    };
    json!({
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent": span.parent,
        "name": span.name,
        "service": span.service(),
        "kind": format!("{:?}", span.kind).to_lowercase(),
        "start": span.start,
        "end": span.end,
        "status": status,
        "status_message": message,
        "attributes": map(&span.attributes),
        "events": span.events.iter().map(json_of_event).collect::<Vec<_>>(),
        "links": span.links.iter().map(json_of_link).collect::<Vec<_>>(),
        "dropped_attributes": attributes,
        "dropped_events": events,
        "dropped_links": links,
        "trace_state": span.trace_state,
        "flags": span.flags,
        "scope": json_of_scope(&span.scope),
        "resource": map(&span.resource),
    })
}

fn json_of_log(log: &LogRecord) -> Json {
    let service = log.resource.get("service.name").and_then(Value::as_str);
    json!({
        "trace_id": log.trace_id,
        "span_id": log.span_id,
        "time": log.time,
        "observed": log.observed,
        "severity": log.severity,
        "severity_text": log.severity_text,
        "service": service.unwrap_or_default(),
        "body": typed(&log.body),
        "event_name": log.event_name,
        "flags": log.flags,
        "attributes": map(&log.attributes),
        "dropped_attributes": log.dropped_attributes,
        "scope": json_of_scope(&log.scope),
        "resource": map(&log.resource),
    })
}

fn json_of_event(event: &Event) -> Json {
    json!({
        "time": event.time,
        "name": event.name,
        "attributes": map(&event.attributes),
        "dropped": event.dropped_attributes,
    })
}

fn json_of_link(link: &Link) -> Json {
    json!({
        "trace_id": link.to.trace_id,
        "span_id": link.to.span_id,
        "trace_state": link.trace_state,
        "flags": link.flags,
        "attributes": map(&link.attributes),
        "dropped": link.dropped_attributes,
    })
}

fn json_of_scope(scope: &Scope) -> Json {
    json!({
        "name": scope.name,
        "version": scope.version,
        "attributes": map(&scope.attributes),
    })
}

fn map(attributes: &Attributes) -> Json {
    attributes
        .iter()
        .map(|(name, value)| (name.clone(), typed(value)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The value with its type, such that nothing is alike that differs.
fn typed(value: &Value) -> Json {
    match value {
        Value::Empty => json!(["empty", null]),
        Value::Bool(value) => json!(["bool", value]),
        Value::Int(value) => json!(["int", value]),
        Value::Double(value) => json!(["double", format!("{:016x}", value.to_bits())]),
        Value::String(text) => json!(["string", text]),
        Value::Bytes(bytes) => json!(["bytes", bytes]),
        Value::Array(values) => json!(["array", values.iter().map(typed).collect::<Vec<_>>()]),
        Value::Map(values) => json!(["map", map(values)]),
    }
}
