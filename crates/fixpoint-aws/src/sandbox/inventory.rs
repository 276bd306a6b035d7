//! What lives in the sandbox, for people and for tests that count.
//!
//! Not for plans, which must look through the API. The surprise: what is on its way out, such as
//! an instance shutting down, still counts; a terminated one does not.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::Time;
use super::entities::{Entity, Tags};
use super::world::{Table, World};

/// The tag that says which cluster a resource belongs to.
const CLUSTER: &str = "fixpoint:cluster";

/// Ids by kind.
type Kinds = BTreeMap<&'static str, Vec<String>>;

#[derive(Default)]
struct Count {
    all: Kinds,
    clusters: BTreeMap<String, Kinds>,
}

impl Count {
    fn add(&mut self, kind: &'static str, id: &str, tags: &Tags) {
        self.all.entry(kind).or_default().push(id.to_owned());
        if let Some(cluster) = tags.get(CLUSTER) {
            let kinds = self.clusters.entry(cluster.clone()).or_default();
            kinds.entry(kind).or_default().push(id.to_owned());
        }
    }

    fn table<T: Entity>(&mut self, table: &Table<T>) {
        for entity in table.values() {
            self.add(T::KIND, entity.id(), entity.tags());
        }
    }
}

/// Lists counts and ids of live resources by kind, and ids by cluster and kind.
pub(super) fn list(world: &World, now: Time) -> Value {
    let mut count = Count::default();
    for region in world.regions.values() {
        count.table(&region.vpcs);
        count.table(&region.subnets);
        count.table(&region.gateways);
        count.table(&region.route_tables);
        count.table(&region.groups);
        count.table(&region.keys);
        count.table(&region.volumes);
        count.table(&region.interfaces);
        count.table(&region.balancers);
        count.table(&region.target_groups);
        count.table(&region.listeners);
        count.table(&region.rules);
        for instance in region.instances.values().filter(|one| !one.is_terminated(now)) {
            count.add("instance", &instance.id, &instance.tags);
        }
    }
    for role in world.iam.roles.values() {
        count.add("role", &role.name, &role.tags);
    }
    for profile in world.iam.profiles.values() {
        count.add("instance-profile", &profile.name, &profile.tags);
    }
    let counts: BTreeMap<_, _> = count.all.iter().map(|(kind, ids)| (kind, ids.len())).collect();
    json!({ "time": now.iso(), "counts": counts, "ids": count.all, "clusters": count.clusters })
}
