//! Add-ons come and go.

use clusters::addons::Addon;
use fixpoint::{Context, testing::assert_fixpoint};

use crate::{
    whole::whole,
    world::{World, spec},
};

#[tokio::test(start_paused = true)]
async fn addons_are_added_to_a_cluster_and_removed_from_it() {
    let world = World::new();
    world.create(&spec(1, &[])).await;
    for addons in [&Addon::ALL[..], &[Addon::Grafana], &[]] {
        assert_fixpoint(&world.creation(&spec(1, addons)), &Context::new()).await;
        assert_eq!(world.counts(), whole(1, addons.len()), "{addons:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_addon_has_its_address_once_it_is_healthy() {
    let world = World::new();
    let status = world.create(&spec(1, &[Addon::Chronograf])).await;
    let addon = &status["addons"]["chronograf"];
    assert_eq!(addon["health"], "healthy");
    assert!(addon["url"].as_str().unwrap().ends_with("/chronograf/"));
}
