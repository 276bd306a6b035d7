//! Runs that go on, but not as good ones did: seen in the lists before they fail.
//!
//! Not here: the clock by which a server looks. The tests look when there is something to see.

use fixpoint_client::{Run, RunPage, RunState};
use fixpoint_trace::model::UnixNanos;
use serde_json::json;

use super::Harness;
use crate::runner::now;

const HOUR: UnixNanos = 3_600_000_000_000;

impl Harness {
    /// Looks at the runs that go on, this one among them, as a server does every few seconds; once
    /// all good ones have been read, for which a busy machine may need more than one look.
    async fn look(&self, run: &str, now: UnixNanos) {
        self.why(run).await;
        self.app.explainer.look(now).await.unwrap();
    }

    /// Starts a toy whose first brick takes as long as the world says.
    async fn stuck(&self, name: &str) -> String {
        self.world.state().stuck = true;
        let run = self.post("/v1/toys", json!({"name": name, "bricks": 2})).await.run_id();
        self.run_when(&run, |run| run.active.iter().any(|step| step.name == "lay_brick")).await;
        run
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
async fn a_run_that_is_stuck_is_marked_in_every_list_before_it_fails() {
    let server = Harness::new();
    server.good_toys(6).await;
    let run = server.stuck("car").await;
    assert_eq!(server.listed(&run).await.unusual, None, "nobody has looked yet");
    server.look(&run, now() + HOUR).await;

    let unusual = server.listed(&run).await.unusual.unwrap();
    assert!(unusual.starts_with("lay_brick in run toys has not ended after 1 h"), "{unusual}");
    assert!(unusual.contains(", usually "), "{unusual}");
    let shown: Run = server.get(&format!("/v1/runs/{run}")).await.json();
    assert_eq!((shown.state, shown.unusual.as_ref()), (RunState::Running, Some(&unusual)));
    let mark = format!("title=\"{unusual}\">unusual</span>");
    for page in ["/", "/runs", "/toys/car"] {
        let text = server.get(page).await.text;
        assert_eq!(text.matches(&mark).count(), 1, "{page}: {text}");
    }
    let page = server.get(&format!("/runs/{run}")).await.text;
    assert!(page.contains("class=\"tag unusual\"") && page.contains(&unusual), "{page}");

    // How it ends is another matter: then it is failed, and no longer only unusual.
    {
        let mut world = server.world.state();
        (world.failing, world.for_good, world.stuck) = (1, true, false);
    }
    server.ended(&run).await;
    let listed = server.listed(&run).await;
    assert_eq!((listed.state, listed.unusual), (RunState::Failed, None));
    server.look(&run, now() + HOUR).await;
    assert!(!server.get("/runs").await.text.contains(&unusual));
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
    server.look(&run, now()).await;
    assert_eq!(server.listed(&run).await.unusual, None);
}

/// Which steps a run needs depends on the world: good ones that found more of it had no need to wait.
#[tokio::test]
async fn a_run_that_comes_to_another_step_is_marked_only_if_that_takes_longer_than_whole_good_runs()
{
    let server = Harness::new();
    server.good_toys(6).await;
    let run = server.waiting("car").await;
    server.look(&run, 0).await;
    assert_eq!(server.listed(&run).await.unusual, None);
    server.look(&run, now() + HOUR).await;
    let unusual = server.listed(&run).await.unusual.unwrap();
    assert!(unusual.starts_with("wait_for_paint in run toys has not ended after 1 h"), "{unusual}");
}

#[tokio::test]
async fn beside_few_good_runs_nothing_is_unusual() {
    let server = Harness::new();
    server.good_toys(4).await;
    let run = server.stuck("car").await;
    server.look(&run, now() + HOUR).await;
    assert_eq!(server.listed(&run).await.unusual, None);
}
