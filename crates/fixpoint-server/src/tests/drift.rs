//! Runs that go on, but not as good ones did: seen in the lists before they fail.
//!
//! Not here: the clock by which a server looks. The tests look when there is something to see.

use fixpoint_client::{Run, RunPage, RunState};
use serde_json::json;

use super::Harness;

impl Harness {
    /// Looks at the runs that go on, as a server does every few seconds.
    async fn look(&self) {
        self.recorder.flush().await.unwrap();
        self.app.explainer.look().await.unwrap();
    }

    /// Starts a toy that waits for paint.
    async fn waiting(&self, name: &str) -> String {
        self.world.state().no_paint = true;
        let run = self.post("/v1/toys", json!({"name": name, "bricks": 2})).await.run_id();
        self.run_when(&run, |run| run.state == RunState::Waiting).await;
        run
    }

    /// What the list says of a run.
    async fn listed(&self, id: &str) -> Run {
        let page: RunPage = self.get("/v1/runs").await.json();
        page.items.into_iter().find(|run| run.id == id).unwrap()
    }
}

#[tokio::test]
async fn a_run_that_does_what_no_good_one_did_is_marked_in_every_list_before_it_fails() {
    let server = Harness::new();
    server.good_toys(6).await;
    let run = server.waiting("car").await;
    assert_eq!(server.listed(&run).await.drift, None, "nobody has looked yet");
    server.look().await;

    let drift = "run toys came to wait_for_paint, which is not usual";
    assert_eq!(server.listed(&run).await.drift.as_deref(), Some(drift));
    let shown: Run = server.get(&format!("/v1/runs/{run}")).await.json();
    assert_eq!((shown.state, shown.drift.as_deref()), (RunState::Waiting, Some(drift)));
    let mark = format!("title=\"{drift}\">unusual</span>");
    for page in ["/", "/runs", "/toys/car"] {
        let text = server.get(page).await.text;
        assert_eq!(text.matches(&mark).count(), 1, "{page}: {text}");
    }
    let page = server.get(&format!("/runs/{run}")).await.text;
    assert!(page.contains("class=\"tag drift\"") && page.contains(drift), "{page}");

    // How it ends is another matter: then it is failed, and no longer only unusual.
    {
        let mut world = server.world.state();
        (world.failing, world.for_good, world.no_paint) = (1, true, false);
    }
    server.ended(&run).await;
    let listed = server.listed(&run).await;
    assert_eq!((listed.state, listed.drift), (RunState::Failed, None));
    server.look().await;
    assert!(!server.get("/runs").await.text.contains(drift));
}

#[tokio::test]
async fn a_run_that_does_what_good_ones_did_is_not_marked() {
    let server = Harness::new();
    for number in 0..6 {
        let run = server.waiting(&format!("good-{number}")).await;
        server.world.state().no_paint = false;
        assert_eq!(server.ended(&run).await.state, RunState::Converged);
    }
    let run = server.waiting("car").await;
    server.look().await;
    assert_eq!(server.listed(&run).await.drift, None);
}

#[tokio::test]
async fn beside_few_good_runs_nothing_is_unusual() {
    let server = Harness::new();
    server.good_toys(4).await;
    let run = server.waiting("car").await;
    server.look().await;
    assert_eq!(server.listed(&run).await.drift, None);
}
