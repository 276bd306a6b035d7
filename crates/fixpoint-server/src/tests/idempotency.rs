//! Asking twice: idempotency keys, preconditions, and requests that race.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use fixpoint_client::{RunPage, RunState};
use serde_json::{Value, json};

use super::{Answer, Harness};

async fn keyed(server: &Harness, key: &str, body: Value) -> Answer {
    let request = Request::post("/v1/toys")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()));
    server.send(request.unwrap()).await
}

#[tokio::test]
async fn the_same_key_and_body_get_the_same_run_also_after_it_has_ended() {
    let server = Harness::new();
    let body = json!({"name": "car"});
    let first = keyed(&server, "k1", body.clone()).await;
    server.ended(&first.run_id()).await;
    let second = keyed(&server, "k1", body.clone()).await;
    assert_eq!(second.run_id(), first.run_id());
    assert_eq!(second.text, first.text);
    let other = keyed(&server, "k1", json!({"name": "bus"})).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
    let unkeyed = server.post("/v1/toys", body).await;
    assert_eq!(unkeyed.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn requests_that_race_for_a_name_make_one_resource_and_one_run() {
    let server = Harness::new();
    let body = json!({"name": "car"});
    let (a, b, c) = tokio::join!(
        keyed(&server, "k1", body.clone()),
        keyed(&server, "k1", body.clone()),
        server.post("/v1/toys", body.clone()),
    );
    let accepted = [&a, &b, &c].into_iter().filter(|a| a.status == StatusCode::ACCEPTED);
    let runs: std::collections::HashSet<_> = accepted.map(Answer::run_id).collect();
    assert_eq!(runs.len(), 1, "{a:?} {b:?} {c:?}");
    let page: RunPage = server.get("/v1/runs").await.json();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn if_match_lets_only_one_of_two_changes_through() {
    let server = Harness::new();
    server.make(json!({"name": "car"})).await;
    let patch = |etag: &'static str, bricks: u32| {
        Request::patch("/v1/toys/car")
            .header("content-type", "application/merge-patch+json")
            .header("if-match", etag)
            .body(Body::from(json!({"bricks": bricks}).to_string()))
            .unwrap()
    };
    let first = server.send(patch("\"1\"", 4)).await;
    assert_eq!(first.header("etag"), "\"2\"");
    assert_eq!(server.ended(&first.run_id()).await.state, RunState::Converged);
    let stale = server.send(patch("\"1\"", 5)).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let weak = server.send(patch("W/\"2\"", 5)).await;
    assert_eq!(weak.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(server.send(patch("\"7\", \"2\"", 5)).await.status, StatusCode::ACCEPTED);
    assert_eq!(server.send(patch("*", 6)).await.status, StatusCode::ACCEPTED);
}
