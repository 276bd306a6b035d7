//! Creation from nothing.

use std::sync::Arc;

use clusters::addons::Addon;
use fixpoint::{
    Context,
    testing::{Recording, assert_fixpoint, kill_everywhere, run_steps_twice},
};

use crate::{
    whole::whole,
    world::{World, solve, spec},
};

#[tokio::test(start_paused = true)]
async fn a_cluster_is_created_whole_and_then_nothing_is_left_to_do() {
    let world = World::new();
    assert_fixpoint(&world.creation(&spec(3, &[Addon::Grafana])), &Context::new()).await;
    assert_eq!(world.counts(), whole(3, 1));
}

#[tokio::test(start_paused = true)]
async fn the_status_holds_the_ids_of_what_was_made() {
    let world = World::new();
    let status = world.create(&spec(2, &[Addon::Kapacitor])).await;
    assert_eq!(status["phase"], "ready");
    assert!(status["vpc_id"].as_str().unwrap().starts_with("vpc-"));
    assert_eq!(status["subnet_ids"].as_array().unwrap().len(), 2);
    assert_eq!(status["healthy_nodes"], 2);
    let zones = ["idg-node-0", "idg-node-1"].map(|name| &status["nodes"][name]["zone"]);
    assert_ne!(zones[0], zones[1], "nodes are spread over two zones");
    let url = status["addons"]["kapacitor"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://") && url.ends_with("/kapacitor/"), "{url}");
}

#[tokio::test(start_paused = true)]
async fn independent_steps_run_together_and_waits_say_what_for() {
    let world = World::new();
    let recording = Arc::new(Recording::default());
    let cx = Context::new().with_observer(recording.clone());
    assert_fixpoint(&world.creation(&spec(3, &[])), &cx).await;
    let lines = recording.lines();
    assert_eq!(lines[0], "planned together");
    let waits = |what: &str, seen: &str| {
        lines.iter().any(|line| line.starts_with(what) && line.contains(seen))
    };
    // How many there are depends on how soon AWS lists them.
    assert!(waits("waiting for nodes of idg: 0 running, ", " pending, wanted "), "{lines:#?}");
    let balancer = "waiting for load balancer idg-lb: ";
    assert!(waits(balancer, "provisioning, wanted active"), "{lines:#?}");
}

#[tokio::test(start_paused = true)]
async fn every_step_may_run_twice() {
    let world = World::new();
    run_steps_twice(&world.creation(&spec(2, &[Addon::Grafana])), &Context::new()).await;
    assert_eq!(world.counts(), whole(2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_creation_killed_anywhere_is_completed_with_nothing_made_twice() {
    let plan = |world: &World| world.creation(&spec(1, &[]));
    let kills = kill_everywhere(&Context::new(), World::new, plan, World::counts).await;
    assert!(kills > 60, "only {kills} events in a creation");
}

#[tokio::test(start_paused = true)]
async fn two_clusters_live_side_by_side() {
    let world = World::new();
    let other = clusters::Cluster::new(world.aws.clone(), "acme", spec(1, &[]));
    let other = clusters::plans::CreateCluster::new(other, Default::default());
    let (idg, spec) = (world.creation(&spec(1, &[])), spec(1, &[]));
    let (a, b) = tokio::join!(solve(&idg), solve(&other));
    a.unwrap();
    b.unwrap();
    assert_eq!(world.counts(), whole(1, 0));
    assert!(world.create(&spec).await["vpc_id"].is_string());
}
