//! Termination, down to nothing.

use std::{collections::BTreeMap, path::Path};

use clusters::addons::Addon;
use fixpoint::{
    Context,
    testing::{assert_fixpoint, kill_everywhere, run_steps_twice},
};
use fixpoint_aws::sandbox::SandboxOptions;

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
    // Made once; each death gets a copy of it.
    let made = tempfile::tempdir().unwrap();
    let kept = |folder: &Path| SandboxOptions {
        data: Some(folder.to_owned()),
        latency: false,
        ..SandboxOptions::default()
    };
    World::with(kept(made.path())).create(&spec(1, &[])).await;
    let fresh = || {
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(made.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        (World::with(kept(copy.path())), copy)
    };
    let plan = |(world, _): &(World, _)| world.termination();
    let end = |(world, _): &(World, _)| world.counts();
    let kills = kill_everywhere(&Context::new(), fresh, plan, end).await;
    assert!(kills > 40, "only {kills} events in a termination");
}
