//! What is due of the nodes' instances: which to start, which to end, which to wait for.

use std::collections::BTreeMap;

use fixpoint_aws::ec2;

use super::Draft;
use crate::{
    names::{Group, Part},
    observe::{self, Observed},
    steps::{CreateInstances, Place, TerminateInstances, wait_for_instances, wait_for_termination},
};

/// Which instance is which node.
#[derive(Debug, PartialEq)]
pub(crate) struct Nodes<'a> {
    /// The nodes, by number from 0.
    pub(crate) keep: BTreeMap<u32, &'a ec2::Instance>,
    /// Instances that are no node, or one too many: to be ended.
    pub(crate) surplus: Vec<&'a ec2::Instance>,
}

impl<'a> Nodes<'a> {
    /// Gives each of `wanted` numbers an instance. The oldest with a number has it; instances
    /// without one (made by hand) take the numbers that are left. So the newest go when a cluster
    /// shrinks, and none is ended only because its tag is missing.
    pub(crate) fn assign(seen: &'a Observed, wanted: u32) -> Self {
        let mut keep = BTreeMap::new();
        let mut surplus = Vec::new();
        let mut unnumbered = Vec::new();
        for instance in seen.live(Part::Node) {
            match observe::ordinal(instance) {
                Some(n) if n < wanted && !keep.contains_key(&n) => {
                    keep.insert(n, instance);
                }
                Some(_) => surplus.push(instance),
                None => unnumbered.push(instance),
            }
        }
        let free: Vec<_> = (0..wanted).filter(|n| !keep.contains_key(n)).collect();
        let mut unnumbered = unnumbered.into_iter();
        keep.extend(free.into_iter().zip(unnumbered.by_ref()));
        surplus.extend(unnumbered);
        Self { keep, surplus }
    }

    /// The nodes that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &'a ec2::Instance> {
        self.keep.values().copied().filter(|i| i.state.name == "running")
    }

    /// The first node that takes traffic.
    pub(crate) fn healthy(&self, seen: &Observed, group: &str) -> Option<&'a ec2::Instance> {
        let group = seen.target_group(group)?;
        let is_healthy = |i: &&ec2::Instance| {
            group.target(&i.instance_id).is_some_and(observe::Target::is_healthy)
        };
        self.running().find(is_healthy)
    }
}

pub(super) fn ids<'a>(instances: impl IntoIterator<Item = &'a ec2::Instance>) -> Vec<String> {
    instances.into_iter().map(|i| i.instance_id.clone()).collect()
}

/// Starts missing nodes, waits for starting ones, ends those that are too many once they are out of
/// the target group.
pub(super) fn nodes(draft: &mut Draft<'_>, vpc: &str) {
    let (seen, wanted) = (draft.seen, draft.cluster.spec().nodes);
    let nodes = Nodes::assign(seen, wanted);
    draft.saw("running nodes", format!("{} of {wanted}", nodes.running().count()));

    let missing: Vec<_> = (0..wanted).filter(|n| !nodes.keep.contains_key(n)).collect();
    if !missing.is_empty() {
        create(draft, vpc, &missing);
    }
    let starting: Vec<_> =
        nodes.keep.values().copied().filter(|i| i.state.name != "running").collect();
    if !starting.is_empty() {
        let what = format!("nodes of {:?}", draft.cluster);
        draft.push(wait_for_instances(draft.cluster, what, ids(starting)));
    }

    let targets = seen.target_group(&draft.cluster.names().node_targets());
    let is_target =
        |i: &&ec2::Instance| targets.is_some_and(|t| t.target(&i.instance_id).is_some());
    let (bound, free): (Vec<_>, Vec<_>) = nodes.surplus.iter().copied().partition(is_target);
    if !bound.is_empty() {
        let what = format!("termination of {} nodes", bound.len());
        draft.withhold(what, "waits until they are out of the target group");
    }
    if !free.is_empty() {
        draft.push(TerminateInstances { cluster: draft.cluster(), ids: ids(free) });
    }
    let leaving = ids(seen.leaving());
    if !leaving.is_empty() {
        draft.push(wait_for_termination(draft.cluster, leaving));
    }
}

fn create(draft: &mut Draft<'_>, vpc: &str, missing: &[u32]) {
    let places = missing.iter().map(|n| {
        let is_before =
            |i: &&ec2::Instance| Part::Node.is(&i.tags) && observe::ordinal(i) == Some(*n);
        place(draft, vpc, *n, Group::Node, is_before).map(|place| (*n, place))
    });
    match places.collect::<Result<Vec<_>, _>>() {
        Ok(nodes) => draft.push(CreateInstances { cluster: draft.cluster(), nodes }),
        Err(why) => draft.withhold(format!("{} nodes", missing.len()), why),
    }
}

/// Where to start the `n`th instance of its sort: every other one in the other zone. `is_before`
/// tells the instances that had its place. The error says what it waits for.
pub(super) fn place(
    draft: &Draft<'_>,
    vpc: &str,
    n: u32,
    group: Group,
    is_before: impl Fn(&&ec2::Instance) -> bool,
) -> Result<Place, String> {
    let seen = draft.seen;
    let pair = seen.subnet_pair(vpc);
    let subnet = pair[usize::from(!n.is_multiple_of(2))].filter(|s| s.map_public_ip_on_launch);
    let group = seen.group(vpc, group);
    let there = [
        ("a subnet", subnet.is_some()),
        ("the security group", group.is_some()),
        ("the key pair", !seen.key_pairs.is_empty()),
        ("the instance profile", seen.identity.is_complete()),
    ];
    match (subnet, group) {
        (Some(subnet), Some(group)) if there.iter().all(|(_, there)| *there) => {
            let mut before = ids(seen.instances.iter().filter(is_before));
            before.sort();
            Ok(Place {
                vpc: vpc.into(),
                subnet: subnet.subnet_id.clone(),
                group: group.group_id.clone(),
                before,
            })
        }
        _ => {
            let lacking = there.iter().filter(|(_, there)| !there).map(|(what, _)| *what);
            Err(format!("wait for {}", lacking.collect::<Vec<_>>().join(", ")))
        }
    }
}
