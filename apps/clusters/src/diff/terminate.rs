//! What is due to make a cluster nothing, in the order in which AWS lets go of things.
//!
//! Everything with the cluster's tag goes, also what a creation would not have used. The surprise:
//! the order is not written down as a sequence. Each thing says what must be gone before it, so
//! whatever is half gone is taken apart from where it stands.

use fixpoint::Steps;

use super::{Draft, compute::ids};
use crate::{
    Cluster,
    observe::{Observed, is_live},
    rules,
    steps::{
        Delete, Doomed, RevokeReferences, TerminateInstances, wait_for_leftovers,
        wait_for_termination,
    },
};

/// What is due to leave nothing of the cluster.
pub fn terminate(cluster: &Cluster, seen: &Observed) -> Steps {
    let mut draft = Draft::new(cluster, seen);
    users(&mut draft);
    if has_users(seen) {
        let rest = seen.groups.len() + seen.subnets.len() + seen.vpcs.len();
        if rest > 0 {
            draft.withhold("network", "waits until nothing uses it");
        }
    } else {
        network(&mut draft);
    }
    draft.saw("left", count(seen));
    draft.finish()
}

/// True while something has a network interface in the VPC, or is about to give one back.
fn has_users(seen: &Observed) -> bool {
    seen.balancer.is_some()
        || seen.instances.iter().any(is_live)
        || seen.leaving().next().is_some()
        || !seen.leftovers.is_empty()
}

/// What uses the network, and what needs nothing.
fn users(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let delete = |draft: &mut Draft<'_>, what| {
        let cluster = draft.cluster();
        draft.push(Delete { cluster, what });
    };
    let live = ids(seen.instances.iter().filter(|i| is_live(i)));
    let leaving = ids(seen.leaving());
    let has_instances = !live.is_empty() || !leaving.is_empty();
    if !live.is_empty() {
        draft.push(TerminateInstances { cluster: draft.cluster(), ids: live });
    }
    if !leaving.is_empty() {
        draft.push(wait_for_termination(draft.cluster, leaving));
    }

    match (&seen.listener, &seen.balancer) {
        (Some(listener), _) => {
            delete(draft, Doomed::Listener(listener.arn.clone()));
            draft.withhold("load balancer and target groups", "wait for the listener to be gone");
        }
        (None, balancer) => {
            if let Some(balancer) = balancer {
                delete(draft, Doomed::LoadBalancer(balancer.arn.clone()));
            }
            for group in &seen.target_groups {
                delete(draft, Doomed::TargetGroup(group.arn.clone()));
            }
        }
    }
    for name in &seen.key_pairs {
        delete(draft, Doomed::KeyPair(name.clone()));
    }
    if !seen.identity.is_gone() {
        if has_instances {
            draft.withhold("instance profile", "waits for the instances to be gone");
        } else {
            let policies = seen.identity.policies.clone();
            let attached = seen.identity.attached;
            delete(draft, Doomed::InstanceProfile { policies, attached });
        }
    }
    // While instances and balancer are there, so are their volumes and interfaces.
    if !seen.leftovers.is_empty() && !has_instances && seen.balancer.is_none() {
        draft.push(wait_for_leftovers(draft.cluster, seen.leftovers.len()));
    }
}

fn network(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let mut doomed = Vec::new();
    let references: Vec<_> = seen
        .groups
        .iter()
        .map(|g| {
            let ingress = rules::references(&g.ip_permissions);
            (g, ingress, rules::references(&g.ip_permissions_egress))
        })
        .collect();
    if references.iter().all(|(_, i, e)| i.is_empty() && e.is_empty()) {
        let groups = seen.groups.iter();
        doomed.extend(groups.map(|g| Doomed::SecurityGroup(g.group_id.clone())));
    } else {
        draft.withhold("security groups", "wait until no rule names another group");
        for (group, ingress, egress) in references {
            if !(ingress.is_empty() && egress.is_empty()) {
                let (cluster, group_id) = (draft.cluster(), group.group_id.clone());
                draft.push(RevokeReferences { cluster, group_id, ingress, egress });
            }
        }
    }

    for table in &seen.route_tables {
        let bound = table.associations.iter().filter(|a| !a.main);
        let bound: Vec<_> = bound.map(|a| a.route_table_association_id.clone()).collect();
        if bound.is_empty() {
            doomed.push(Doomed::RouteTable(table.route_table_id.clone()));
        } else {
            draft.withhold("route table", "waits until no subnet uses it");
            doomed.extend(bound.into_iter().map(Doomed::RouteTableAssociation));
        }
    }
    doomed.extend(seen.subnets.iter().map(|s| Doomed::Subnet(s.subnet_id.clone())));
    for gateway in &seen.gateways {
        let id = &gateway.internet_gateway_id;
        if gateway.attachments.is_empty() {
            doomed.push(Doomed::InternetGateway(id.clone()));
        }
        doomed.extend(gateway.attachments.iter().map(|a| Doomed::InternetGatewayAttachment {
            gateway: id.clone(),
            vpc: a.vpc_id.clone(),
        }));
    }
    let is_empty = seen.groups.is_empty()
        && seen.route_tables.is_empty()
        && seen.subnets.is_empty()
        && seen.gateways.is_empty()
        && seen.target_groups.is_empty();
    if is_empty {
        doomed.extend(seen.vpcs.iter().map(|v| Doomed::Vpc(v.vpc_id.clone())));
    } else if !seen.vpcs.is_empty() {
        draft.withhold("VPC", "waits until it is empty");
    }
    for what in doomed {
        draft.push(Delete { cluster: draft.cluster(), what });
    }
}

/// What is left, in a line.
fn count(seen: &Observed) -> String {
    let alive = seen.instances.iter().filter(|i| is_live(i)).count() + seen.leaving().count();
    let network = seen.groups.len()
        + seen.subnets.len()
        + seen.gateways.len()
        + seen.route_tables.len()
        + seen.vpcs.len();
    let balancing = seen.target_groups.len() + usize::from(seen.balancer.is_some());
    let identity = usize::from(!seen.identity.is_gone()) + seen.key_pairs.len();
    let leftovers = seen.leftovers.len();
    format!(
        "{alive} instances, {balancing} of balancing, {network} of network, \
         {identity} of identity, {leftovers} others"
    )
}
