//! Every answer names its trace, and the trace has what happened.

use axum::{body::Body, http::Request};
use fixpoint_client::LogPage;
use fixpoint_trace::{model::Trace, testing};
use serde_json::json;

use super::{Answer, Harness};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

impl Harness {
    async fn trace(&self, id: &str) -> Trace {
        self.recorder.flush().await.unwrap();
        self.app.traces.whole().trace(id.parse().unwrap()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_trace_leads_from_the_request_to_the_last_step() {
    let server = Harness::new();
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    let trace = server.trace(&run.trace_id).await;
    insta::assert_snapshot!(testing::tree(&trace, &["fixpoint.run.result", "fixpoint.steps"]), @r"
    POST /v1/toys server
      run toys {fixpoint.run.result=converged}
        create {fixpoint.steps=lay_brick, lay_brick}
        lay_brick
        lay_brick
        create {fixpoint.steps=}
    ");
    let logs: LogPage = server.get(&format!("/v1/logs?trace_id={}", run.trace_id)).await.json();
    let lines: Vec<_> = logs.logs.iter().map(|line| line.message.as_str()).collect();
    assert!(lines.contains(&"POST /v1/toys 202"), "{lines:?}");
    assert!(lines.contains(&"lay brick 1 of car"), "{lines:?}");
    assert!(lines.contains(&format!("run {} converged", run.id).as_str()), "{lines:?}");
    assert!(logs.logs.iter().all(|line| line.span_id.is_some()));
}

#[tokio::test]
async fn a_run_that_the_runner_started_links_to_the_one_before() {
    let server = Harness::new();
    server.world.state().failing = 1;
    let first = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let first = server.ended(&first).await;
    let second = server.converged("toys/car").await.remove(0);
    let trace = server.trace(&second.trace_id).await;
    let root = trace.spans.iter().find(|span| span.parent.is_none()).unwrap();
    assert_eq!(root.name, "run toys");
    assert_eq!(root.links[0].to.trace_id.to_string(), first.trace_id);
    assert_eq!(root.links[0].to.span_id.to_string(), first.span_id);
}

#[tokio::test]
async fn a_callers_trace_is_continued_whatever_format_it_comes_in() {
    let server = Harness::new();
    for (name, value) in [
        ("traceparent", format!("00-{TRACE}-{SPAN}-01")),
        ("b3", format!("{TRACE}-{SPAN}-1")),
        ("uber-trace-id", format!("{TRACE}:{SPAN}:0:1")),
    ] {
        let request = Request::get("/v1/toys/none").header(name, value).body(Body::empty());
        let answer = server.send(request.unwrap()).await;
        assert_eq!(answer.header("x-trace-id"), TRACE, "{name}");
        assert_eq!(answer.value()["trace_id"], TRACE, "{name}");
    }
    let trace = server.trace(TRACE).await;
    assert_eq!(trace.spans.len(), 3);
    for span in &trace.spans {
        assert_eq!(span.parent.unwrap().to_string(), SPAN);
        assert_eq!(span.name, "GET /v1/toys/{name}");
    }
}

#[tokio::test]
async fn every_answer_names_its_trace_errors_and_panics_included() {
    let server = Harness::new();
    let large = Request::post("/v1/toys")
        .header("content-type", "application/json")
        .body(Body::from(vec![b' '; 300 << 10]))
        .unwrap();
    let request = |method: &str, path: &str| {
        Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
    };
    let answers = [
        (200, server.get("/v1/toys").await),
        (404, server.get("/nothing/here").await),
        (405, server.send(request("PUT", "/v1/toys/car")).await),
        (413, server.send(large).await),
        (500, server.post("/v1/toys", json!({"name": "panic"})).await),
    ];
    for (status, answer) in &answers {
        assert_eq!(answer.status, *status, "{answer:?}");
        names_its_trace(answer);
        if *status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.value()["trace_id"], answer.header("x-trace-id"));
            assert_eq!(answer.value()["status"], *status);
        }
    }
    assert!(answers[2].1.header("allow").contains("PATCH"), "{answers:?}");
    let panic = &answers[4].1;
    assert!(!panic.text.contains("own mistake"), "nothing of ours is told: {panic:?}");
    let trace = server.trace(panic.header("x-trace-id")).await;
    assert!(trace.logs.iter().any(|line| line.message().contains("a kind's own mistake")));
    assert_eq!(server.get("/v1/toys").await.status, 200, "the server lives on");
}

fn names_its_trace(answer: &Answer) {
    let id = answer.header("x-trace-id");
    assert_eq!(id.len(), 32);
    assert!(answer.header("traceresponse").contains(id));
    assert!(answer.header("server-timing").contains(id));
}

#[tokio::test]
async fn the_openapi_document_is_the_golden_one() {
    let server = Harness::new();
    let document = server.get("/v1/openapi.json").await.value();
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    insta::assert_snapshot!("openapi", text);
}

/// Each kind has a path beside these.
#[tokio::test]
async fn no_kind_can_have_the_name_of_a_path_that_is_documented() {
    let document = Harness::new().get("/v1/openapi.json").await.value();
    let paths = document["paths"].as_object().unwrap().keys();
    let mut names: Vec<&str> = paths
        .filter_map(|path| path.strip_prefix("/v1/")?.split('/').next())
        .filter(|name| *name != "toys")
        .collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, crate::http::TAKEN);
}

#[tokio::test]
async fn metrics_count_requests_runs_and_steps() {
    let server = Harness::new();
    server.make(json!({"name": "car", "bricks": 2})).await;
    let text = server.get("/metrics").await.text;
    for wanted in [
        "fixpoint_runs_total{kind=\"toys\",state=\"converged\"} 1",
        "fixpoint_step_duration_seconds_count{kind=\"toys\",outcome=\"done\"} 2",
        "fixpoint_open_runs{state=\"running\"} 0",
        "fixpoint_trace_records_dropped_total 0",
    ] {
        assert!(text.lines().any(|line| line == wanted), "{wanted} is not in\n{text}");
    }
    let route = "method=\"POST\",route=\"/v1/toys\",status=\"202\"";
    assert!(text.contains(route), "{text}");
    assert_eq!(server.get("/healthz").await.value()["status"], "ok");
}

#[tokio::test]
async fn controls_are_turned_under_dev() {
    let server = Harness::new();
    let set = server.with_body("PUT", "/dev/world", &json!({"made": 7})).await;
    assert_eq!((set.status.as_u16(), set.value()), (200, json!({"made": 7})));
    assert_eq!(server.get("/dev/world").await.value(), json!({"made": 7}));
    assert_eq!(server.with_body("PUT", "/dev/world", &json!({"made": "x"})).await.status, 422);
    assert_eq!(server.delete("/dev/world").await.status, 405);
    assert_eq!(server.get("/dev/other").await.status, 404);
}
