//! Termination, down to nothing.

use std::collections::BTreeMap;

use clusters::addons::Addon;
use fixpoint::{
    Context,
    testing::{assert_fixpoint, kill_everywhere, run_steps_twice},
};

use crate::world::{World, solve, spec};

#[tokio::test(start_paused = true)]
async fn a_terminated_cluster_leaves_nothing_behind() {
    let world = World::new();
    world.create(&spec(3, &Addon::ALL)).await;
    assert_fixpoint(&world.termination(), &Context::new()).await;
    assert_eq!(world.counts(), BTreeMap::new());
    assert_eq!(world.sandbox.inventory()["counts"], serde_json::json!({}));
    assert_eq!(world.status.take().unwrap()["phase"], "gone");
}

#[tokio::test(start_paused = true)]
async fn every_step_of_a_termination_may_run_twice() {
    let world = World::new();
    world.create(&spec(1, &[Addon::Grafana])).await;
    run_steps_twice(&world.termination(), &Context::new()).await;
    assert_eq!(world.counts(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_the_same_name_can_be_made_again_at_once() {
    let world = World::new();
    let first = world.create(&spec(1, &[])).await;
    solve(&world.termination()).await.unwrap();
    let second = world.create(&spec(1, &[])).await;
    assert_ne!(first["vpc_id"], second["vpc_id"]);
    assert_ne!(first["nodes"], second["nodes"]);
}

#[tokio::test(start_paused = true)]
async fn a_termination_killed_anywhere_still_comes_to_nothing() {
    // An empty cluster's things, which take no time to make: what is killed is the termination.
    let cx = Context::new();
    let fresh = World::new;
    let there_and_back = |world: &World| ThereAndBack {
        creation: world.creation(&spec(1, &[])),
        termination: world.termination(),
        created: Default::default(),
    };
    let kills = kill_everywhere(&cx, fresh, there_and_back, World::counts).await;
    assert!(kills > 60, "only {kills} events");
}

/// A cluster that is made and then terminated, as one plan.
struct ThereAndBack {
    creation: clusters::plans::CreateCluster,
    termination: clusters::plans::TerminateCluster,
    created: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl fixpoint::Plan for ThereAndBack {
    fn name(&self) -> &str {
        "there_and_back"
    }

    async fn create(&self, cx: &Context) -> Result<fixpoint::Steps, fixpoint::BoxError> {
        use std::sync::atomic::Ordering::Relaxed;
        if !self.created.load(Relaxed) {
            let steps = self.creation.create(cx).await?;
            if !steps.is_empty() {
                return Ok(steps);
            }
            self.created.store(true, Relaxed);
        }
        self.termination.create(cx).await
    }
}
