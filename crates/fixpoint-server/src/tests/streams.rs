//! Following runs and traces while they happen.

use axum::{body::Body, http::Request};
use fixpoint_client::{Run, RunState};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time;
use tower::ServiceExt;

use super::{Harness, PATIENCE};

/// Events of a stream, read one by one.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn open(server: &Harness, path: &str) -> Self {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = server.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(response.headers().contains_key("x-trace-id"));
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next event's name and data; none at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name).map(|l| l.trim().to_owned()))
                };
                let (name, data) = (field("event:"), field("data:"));
                self.text = rest.to_owned();
                if let (Some(name), Some(data)) = (name, data) {
                    return Some((name, serde_json::from_str(&data).unwrap()));
                }
                continue;
            }
            let chunk =
                time::timeout(PATIENCE, self.body.next()).await.expect("an event in time")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_run_is_told_at_once_on_every_change_and_to_its_end() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let mut events = Events::open(&server, &format!("/v1/runs/{id}/events")).await;
    let mut states = Vec::new();
    while let Some((name, run)) = events.next().await {
        assert_eq!(name, "run");
        let run: Run = serde_json::from_value(run).unwrap();
        if run.state == RunState::Waiting {
            server.world.state().no_paint = false;
        }
        states.push(run.state);
    }
    states.dedup();
    assert_eq!(states.last(), Some(&RunState::Converged), "{states:?}");
    assert!(states.contains(&RunState::Waiting), "{states:?}");
    let mut events = Events::open(&server, &format!("/v1/runs/{id}/events")).await;
    assert_eq!(events.next().await.unwrap().1["state"], "converged");
    assert_eq!(events.next().await, None, "a run that has ended is told once");
}

#[tokio::test]
async fn a_trace_is_told_whole_and_then_span_by_span() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let run = server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.recorder.flush().await.unwrap();
    let mut events = Events::open(&server, &format!("/v1/traces/{}/events", run.trace_id)).await;
    let (name, first) = events.next().await.unwrap();
    assert_eq!(name, "spans");
    assert!(names(&first).contains(&"wait_for_paint".to_owned()));
    server.world.state().no_paint = false;
    let (mut seen, mut lines) = (Vec::new(), Vec::new());
    while !seen.contains(&"lay_brick".to_owned()) || lines.is_empty() {
        let (name, data) = events.next().await.unwrap();
        match name.as_str() {
            "spans" => seen.extend(names(&data)),
            "logs" => lines.extend(data["logs"].as_array().unwrap().clone()),
            other => panic!("{other}"),
        }
    }
    assert!(lines.iter().all(|line| line["trace_id"] == *run.trace_id));
}

#[tokio::test]
async fn who_has_read_a_trace_is_told_of_changes_only() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let run = server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.recorder.flush().await.unwrap();
    let path = format!("/v1/traces/{}/events?from=now", run.trace_id);
    let mut events = Events::open(&server, &path).await;
    server.world.state().no_paint = false;
    let mut seen = Vec::new();
    while !seen.contains(&"lay_brick".to_owned()) {
        let (name, data) = events.next().await.unwrap();
        seen.extend((name == "spans").then(|| names(&data)).into_iter().flatten());
    }
    assert!(!seen.contains(&"POST /v1/toys".to_owned()), "{seen:?}");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let run = server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.recorder.flush().await.unwrap();
    let mut of_run = Events::open(&server, &format!("/v1/runs/{id}/events")).await;
    let mut of_trace = Events::open(&server, &format!("/v1/traces/{}/events", run.trace_id)).await;
    server.app.stopping.cancel();
    while of_run.next().await.is_some() {}
    while of_trace.next().await.is_some() {}
}

fn names(otlp: &Value) -> Vec<String> {
    let groups = otlp["resourceSpans"].as_array().unwrap().iter();
    let scopes = groups.flat_map(|group| group["scopeSpans"].as_array().unwrap());
    let spans = scopes.flat_map(|scope| scope["spans"].as_array().unwrap());
    spans.map(|span| span["name"].as_str().unwrap().to_owned()).collect()
}
