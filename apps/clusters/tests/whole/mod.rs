//! What a whole cluster is made of, as the sandbox counts it.

use std::collections::BTreeMap;

/// What a cluster with so many nodes and add-ons is made of.
pub(crate) fn whole(nodes: usize, addons: usize) -> BTreeMap<String, usize> {
    let instances = nodes + addons;
    let mut counts = BTreeMap::from([
        ("vpc", 1),
        ("subnet", 2),
        ("internet-gateway", 1),
        ("route-table", 1),
        ("security-group", 3),
        ("key-pair", 1),
        ("role", 1),
        ("instance-profile", 1),
        ("instance", instances),
        ("volume", instances),
        ("load-balancer", 1),
        ("target-group", 1 + addons),
        ("listener", 1),
    ]);
    if addons > 0 {
        counts.insert("listener-rule", addons);
    }
    counts.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect()
}
