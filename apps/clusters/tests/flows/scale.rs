//! More nodes, fewer nodes, lost nodes.

use fixpoint::{Context, testing::assert_fixpoint};
use fixpoint_aws::ec2;

use crate::{
    whole::whole,
    world::{World, spec},
};

fn node_ids(status: &serde_json::Value) -> Vec<String> {
    let nodes = status["nodes"].as_object().unwrap();
    nodes.values().map(|n| n["instance_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_grows_without_touching_the_nodes_it_has() {
    let world = World::new();
    let before = node_ids(&world.create(&spec(2, &[])).await);
    assert_fixpoint(&world.creation(&spec(5, &[])), &Context::new()).await;
    let after = node_ids(&world.status.take().unwrap());
    assert_eq!(after[..2], before[..]);
    assert_eq!(world.counts(), whole(5, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_shrinks_by_its_newest_nodes() {
    let world = World::new();
    let before = node_ids(&world.create(&spec(4, &[])).await);
    let status = world.create(&spec(1, &[])).await;
    assert_eq!(node_ids(&status), before[..1]);
    assert_eq!(status["healthy_nodes"], 1);
    assert_eq!(world.counts(), whole(1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_lost_is_replaced() {
    let world = World::new();
    let before = node_ids(&world.create(&spec(2, &[])).await);
    let lost = ec2::TerminateInstances { instance_ids: vec![before[1].clone()] };
    world.aws.ec2.send(lost).await.unwrap();
    let after = node_ids(&world.create(&spec(2, &[])).await);
    assert_eq!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(world.counts(), whole(2, 0));
}
