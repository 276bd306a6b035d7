//! What becomes of a resource whose run fails for good, by its failure policy.

use axum::http::StatusCode;
use fixpoint_client::{OnFailure, Run, RunCause, RunPage, RunState, Verb, Why};
use serde_json::json;

use super::Harness;

impl Harness {
    /// Has so many bricks fail, for good or in passing.
    fn fails(&self, times: u32, for_good: bool) {
        let mut world = self.world.state();
        (world.failing, world.for_good) = (times, for_good);
    }

    /// The toy's runs, newest first.
    async fn runs_of(&self, toy: &str) -> Vec<Run> {
        let page: RunPage = self.get(&format!("/v1/runs?resource=toys/{toy}")).await.json();
        page.items
    }
}

#[tokio::test]
async fn a_policy_is_given_shown_changed_without_a_run_and_checked() {
    let server = Harness::new();
    let run = server.make(json!({"name": "car", "on_failure": "pause"})).await;
    let car = server.toy("car").await;
    assert_eq!((car.on_failure, car.spec), (OnFailure::Pause, json!({"bricks": 3})));
    let answer = server.patch("/v1/toys/car", json!({"on_failure": "roll_back"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:#?}");
    let car = server.toy("car").await;
    assert_eq!((car.on_failure, car.generation), (OnFailure::RollBack, 1));
    assert_eq!(car.run_id, Some(run.id));
    let page = server.get("/toys/car").await.text;
    assert!(page.contains("<option value=\"roll_back\" selected>"), "{page}");
    let run = server.patch("/v1/toys/car", json!({"on_failure": null, "bricks": 4})).await.run_id();
    server.ended(&run).await;
    assert_eq!(server.toy("car").await.on_failure, OnFailure::Keep);
    for answer in [
        server.patch("/v1/toys/car", json!({"on_failure": "explode"})).await,
        server.post("/v1/toys", json!({"name": "ship", "on_failure": 7})).await,
    ] {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:#?}");
        assert_eq!(answer.value()["errors"][0]["pointer"], "/on_failure");
    }
}

#[tokio::test]
async fn a_creation_that_fails_for_good_is_rolled_back_and_can_be_applied_again() {
    let server = Harness::new();
    server.world.state().bricks.insert("car".to_owned(), 1);
    server.fails(1, true);
    let body = json!({"name": "car", "on_failure": "roll_back"});
    let failed = server.ended(&server.post("/v1/toys", body).await.run_id()).await;
    assert_eq!(failed.state, RunState::Failed);
    let runs = server.converged("toys/car").await;
    assert_eq!((runs.len(), &*runs[0].plan, runs[0].rolls_back), (2, "break_toy", true));
    assert_eq!(runs[0].cause, Some(RunCause::RollBack));
    assert!(server.get("/runs").await.text.contains("rolls back</span>"));
    assert_eq!(server.world.bricks("car"), 0, "what was there is gone");
    let car = server.toy("car").await;
    assert!(car.rolled_back && !car.deleting, "{car:#?}");
    assert_eq!((car.generation, car.observed_generation), (1, 0));
    assert!(server.get("/toys/car").await.text.contains("rolled back</span>"));

    // The same again is a new try.
    let again = server.patch("/v1/toys/car", json!({"bricks": 3})).await.run_id();
    assert_eq!(server.ended(&again).await.state, RunState::Converged);
    let car = server.toy("car").await;
    assert_eq!((car.rolled_back, car.observed_generation), (false, 1));
    assert_eq!(server.world.bricks("car"), 3);
}

#[tokio::test]
async fn a_roll_back_that_fails_is_tried_again_and_rolls_nothing_back_itself() {
    let server = Harness::new();
    server.world.state().bricks.insert("car".to_owned(), 1);
    server.fails(2, true);
    let body = json!({"name": "car", "on_failure": "roll_back"});
    let id = server.post("/v1/toys", body).await.run_id();
    server.ended(&id).await;
    let rolling = server.toy("car").await.run_id.unwrap();
    assert_ne!(rolling, id);
    let failed = server.ended(&rolling).await;
    assert_eq!((failed.state, failed.rolls_back), (RunState::Failed, true));
    assert_eq!(server.runs_of("car").await.len(), 2);
    let again = server.act(&rolling, Verb::Retry, "").await.run_id();
    let run = server.ended(&again).await;
    assert_eq!((run.state, run.rolls_back), (RunState::Converged, true));
    assert_eq!(server.world.bricks("car"), 0);
    assert!(server.toy("car").await.rolled_back);
}

#[tokio::test]
async fn what_has_been_in_use_is_not_taken_down_because_a_change_of_it_failed() {
    let server = Harness::new();
    server.make(json!({"name": "car", "on_failure": "roll_back"})).await;
    server.fails(1, true);
    let run = server.patch("/v1/toys/car", json!({"bricks": 5})).await.run_id();
    assert_eq!(server.ended(&run).await.state, RunState::Failed);
    assert_eq!(server.toy("car").await.run_id, Some(run));
    assert_eq!(server.world.bricks("car"), 3);
    // Nor is there anything to take down after a termination that failed.
    server.fails(1, true);
    let run = server.delete("/v1/toys/car").await.run_id();
    server.ended(&run).await;
    assert_eq!(server.toy("car").await.run_id, Some(run));
}

#[tokio::test]
async fn a_run_that_gets_nowhere_is_paused_and_goes_on_in_its_trace_once_that_is_mended() {
    let server = Harness::new();
    server.world.state().swallowed = true;
    let body = json!({"name": "car", "on_failure": "pause"});
    let id = server.post("/v1/toys", body).await.run_id();
    let run = server.run_when(&id, |run| run.state == RunState::Paused).await;
    assert_eq!(run.halted, Some(RunState::NotConverging));
    assert!(run.error.as_ref().unwrap().message.contains("does not converge"), "{run:#?}");
    assert_eq!(run.acts[0].by.name, "its failure policy");
    let why: Why = server.get(&format!("/v1/runs/{id}/why")).await.json();
    assert!(why.sentence.contains("without effect"), "{}", why.sentence);
    server.world.state().swallowed = false;
    assert_eq!(server.act(&id, Verb::Resume, "mended").await.run_id(), id);
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.error, run.halted), (RunState::Converged, None, None));
    assert_eq!(server.world.bricks("car"), 3);
}

#[tokio::test]
async fn a_run_is_tried_again_before_its_policy_has_a_say() {
    let server = Harness::new();
    server.fails(1, false);
    let body = json!({"name": "car", "on_failure": "pause"});
    let first = server.ended(&server.post("/v1/toys", body).await.run_id()).await;
    assert_eq!(first.state, RunState::Failed);
    let runs = server.converged("toys/car").await;
    assert_eq!(runs.len(), 2);
}
