//! A resource's life: made, changed, run again, deleted; and what happens when it goes wrong.

use axum::http::StatusCode;
use fixpoint_client::{Resource, RunPage, RunState};
use serde_json::json;

use super::Harness;

#[tokio::test]
async fn a_resource_is_made_changed_and_deleted_each_by_a_run_of_its_own() {
    let server = Harness::new();
    let answer = server.post("/v1/toys", json!({"name": "car", "bricks": 2})).await;
    let accepted: Resource = answer.json();
    assert_eq!((accepted.generation, accepted.observed_generation), (1, 0));
    assert_eq!(accepted.run_state, Some(RunState::Pending));
    let run = server.ended(&answer.run_id()).await;
    assert_eq!((run.state, run.steps, run.iterations), (RunState::Converged, 2, 2));
    assert_eq!(run.plan, "build_toy");
    assert_eq!(run.plan_history[0].steps[1].key, "lay brick 1 of car");
    assert_eq!(run.plan_history[1].steps, []);
    assert_eq!(run.plan_history[1].seen[0].value, "2 of 2");

    let shown = server.get("/v1/toys/car").await;
    assert_eq!(shown.header("etag"), "\"1\"");
    let car: Resource = shown.json();
    assert_eq!((car.generation, car.observed_generation), (1, 1));
    assert_eq!(car.spec, json!({"bricks": 2}));
    assert_eq!(car.status, json!({"bricks": 2}));
    assert_eq!(car.trace_id, Some(run.trace_id));

    let run = server.patch("/v1/toys/car", json!({"bricks": 5})).await.run_id();
    assert_eq!(server.ended(&run).await.generation, 2);
    assert_eq!(server.world.bricks("car"), 5);

    let run = server.delete("/v1/toys/car").await.run_id();
    let run = server.ended(&run).await;
    assert_eq!((run.state, run.plan.as_str()), (RunState::Converged, "break_toy"));
    assert_eq!(server.world.bricks("car"), 0);
    assert_eq!(server.get("/v1/toys/car").await.status, StatusCode::NOT_FOUND);
    let runs: RunPage = server.get("/v1/runs?resource=toys/car").await.json();
    assert_eq!(runs.items.len(), 3, "runs stay readable");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_starts_no_run() {
    let server = Harness::new();
    let run = server.make(json!({"name": "car"})).await;
    let answer = server.patch("/v1/toys/car", json!({"name": "car", "bricks": null})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let car: Resource = answer.json();
    assert_eq!((car.generation, car.run_id), (1, Some(run.id)));
}

#[tokio::test]
async fn running_again_a_solved_plan_has_nothing_to_do() {
    let server = Harness::new();
    server.make(json!({"name": "car"})).await;
    let again = server.send(post("/v1/toys/car/runs")).await.run_id();
    let run = server.ended(&again).await;
    assert_eq!((run.state, run.steps, run.iterations), (RunState::Converged, 0, 1));
    assert_eq!(run.generation, 1);
}

#[tokio::test]
async fn a_preview_tells_the_steps_and_changes_nothing() {
    let server = Harness::new();
    let preview = server.post("/v1/toys?dry_run=true", json!({"name": "car", "bricks": 2})).await;
    assert_eq!(preview.status, StatusCode::OK);
    assert_eq!(preview.value()["steps"][0]["key"], "lay brick 0 of car");
    assert_eq!(preview.value()["trace_id"], preview.header("x-trace-id"));
    assert_eq!(server.get("/v1/toys/car").await.status, StatusCode::NOT_FOUND);

    server.make(json!({"name": "car", "bricks": 2})).await;
    assert_eq!(server.get("/v1/toys/car/plan").await.value()["steps"], json!([]));
    let more = server.patch("/v1/toys/car?dry_run=true", json!({"bricks": 3})).await;
    assert_eq!(more.value()["steps"][0]["key"], "lay brick 2 of car");
    let gone = server
        .send(axum::http::Request::delete("/v1/toys/car?dry_run=true").body("".into()).unwrap())
        .await;
    assert_eq!(gone.value()["plan"], "break_toy");
    let car: Resource = server.get("/v1/toys/car").await.json();
    assert_eq!((car.generation, car.deleting), (1, false));
    let runs: RunPage = server.get("/v1/runs").await.json();
    assert_eq!(runs.items.len(), 1);
}

#[tokio::test]
async fn a_waiting_run_says_what_it_waits_for_and_goes_on_when_it_is_there() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let run = server.run_when(&id, |run| run.state == RunState::Waiting).await;
    let waiting = run.active[0].waiting.as_ref().unwrap();
    assert_eq!((&*waiting.reason, &*waiting.wanted), ("paint to be there", "some"));
    assert_eq!(run.plan_history[0].withheld[0].why, "waits for paint");
    server.world.state().no_paint = false;
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.active), (RunState::Converged, vec![]));
}

#[tokio::test]
async fn a_failed_run_is_planned_again_by_a_new_run_until_it_converges() {
    let server = Harness::new();
    server.world.state().failing = 2;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let first = server.ended(&id).await;
    assert_eq!(first.state, RunState::Failed);
    let error = first.error.unwrap();
    assert_eq!(error.step.unwrap().name, "lay_brick");
    assert!(!error.causes[0].contains("hunter2"), "{:?}", error.causes);
    assert!(first.retry_at.is_some());
    let runs = server.converged("toys/car").await;
    assert_eq!(runs.len(), 3, "two fail, the third converges");
    let traces: std::collections::HashSet<_> = runs.iter().map(|run| &run.trace_id).collect();
    assert_eq!(traces.len(), 3, "a retry starts a trace of its own");
    assert_eq!(server.world.bricks("car"), 3);
}

#[tokio::test]
async fn a_permanent_failure_and_a_plan_that_gets_nowhere_are_not_tried_again() {
    for permanent in [true, false] {
        let server = Harness::new();
        {
            let mut world = server.world.state();
            (world.for_good, world.swallowed) = (permanent, !permanent);
            world.failing = u32::from(permanent);
        }
        let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
        let run = server.ended(&id).await;
        let state = if permanent { RunState::Failed } else { RunState::NotConverging };
        assert_eq!(run.state, state);
        assert_eq!(run.retry_at, None);
        assert_eq!(run.error.unwrap().permanent, permanent);

        server.world.state().swallowed = false;
        let again = server.send(post("/v1/toys/car/runs")).await.run_id();
        assert_eq!(server.ended(&again).await.state, RunState::Converged);
    }
}

#[tokio::test]
async fn a_change_and_a_deletion_cancel_the_run_at_hand_and_start_their_own() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let first = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.run_when(&first, |run| run.state == RunState::Waiting).await;
    let second = server.patch("/v1/toys/car", json!({"bricks": 4})).await.run_id();
    let cancelled = server.ended(&first).await;
    assert_eq!(cancelled.state, RunState::Cancelled);
    assert_eq!(cancelled.error.unwrap().message, "a newer run took its place");
    server.run_when(&second, |run| run.state == RunState::Waiting).await;
    let third = server.delete("/v1/toys/car").await.run_id();
    let again = server.delete("/v1/toys/car").await.run_id();
    assert_eq!(third, again, "one wish to delete is enough");
    assert_eq!(server.ended(&second).await.state, RunState::Cancelled);
    server.world.state().no_paint = false;
    assert_eq!(server.ended(&third).await.state, RunState::Converged);
    assert_eq!(server.world.state().made, 0, "nothing was made for a toy that was to go");
}

#[tokio::test]
async fn a_cancelled_run_ends_at_once_and_is_not_tried_again() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.run_when(&id, |run| run.state == RunState::Waiting).await;
    let cancel = format!("/v1/runs/{id}/cancel");
    assert_eq!(server.send(post(&cancel)).await.status, StatusCode::ACCEPTED);
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.retry_at), (RunState::Cancelled, None));
    assert_eq!(run.error.unwrap().message, "cancelled by request");
    assert_eq!(server.send(post(&cancel)).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn no_more_runs_go_on_than_there_is_room_for() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(server.post("/v1/toys", json!({"name": format!("t{n}")})).await.run_id());
    }
    for id in &ids[..4] {
        server.run_when(id, |run| run.state == RunState::Waiting).await;
    }
    assert_eq!(server.get(&format!("/v1/runs/{}", ids[4])).await.value()["state"], "pending");
    server.world.state().no_paint = false;
    assert_eq!(server.ended(&ids[4]).await.state, RunState::Converged);
}

fn post(path: &str) -> axum::http::Request<axum::body::Body> {
    axum::http::Request::post(path).body("".into()).unwrap()
}
