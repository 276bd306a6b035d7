//! What is due of the load balancer, and of who is behind it.

use fixpoint_aws::ec2;

use super::{
    Draft,
    compute::{Nodes, ids},
};
use crate::{
    names::Group,
    observe::{Target, is_attached},
    steps::{
        CreateListener, CreateLoadBalancer, CreateTargetGroup, DeregisterClusterNodeFromLb,
        RegisterClusterNodeToLb, Targets, wait_for_draining, wait_for_healthy,
        wait_for_load_balancer,
    },
};

/// Load balancer, nodes' target group, and the listener between them.
pub(super) fn balancer(draft: &mut Draft<'_>, vpc: &str) {
    let seen = draft.seen;
    let targets = seen.target_group(&draft.cluster.names().node_targets());
    if targets.is_none() {
        let (cluster, vpc) = (draft.cluster(), vpc.into());
        draft.push(CreateTargetGroup { cluster, vpc, targets: Targets::Nodes });
    }
    let Some(balancer) = &seen.balancer else {
        create(draft, vpc);
        return;
    };
    draft.saw("load balancer", balancer.state.clone());
    match targets {
        Some(targets) if seen.listener.is_none() => draft.push(CreateListener {
            cluster: draft.cluster(),
            balancer: balancer.arn.clone(),
            target_group: targets.arn.clone(),
        }),
        None => draft.withhold("listener", "waits for the nodes' target group"),
        Some(_) => {}
    }
}

fn create(draft: &mut Draft<'_>, vpc: &str) {
    let seen = draft.seen;
    let gateway = seen.gateway(vpc).filter(|g| is_attached(g, vpc));
    match (seen.subnet_pair(vpc), seen.group(vpc, Group::Balancer), gateway) {
        ([Some(a), Some(b)], Some(group), Some(_)) => draft.push(CreateLoadBalancer {
            cluster: draft.cluster(),
            subnets: [a, b].map(|s| s.subnet_id.clone()),
            group: group.group_id.clone(),
        }),
        _ => draft
            .withhold("load balancer", "waits for subnets, security group and internet gateway"),
    }
}

/// Nodes into the target group and out of it. Registration does not wait for the balancer: targets
/// are checked from the moment they are registered, so the two waits pass side by side.
pub(super) fn membership(draft: &mut Draft<'_>) {
    let (seen, cluster) = (draft.seen, draft.cluster);
    let wanted = cluster.spec().nodes;
    let Some(group) = seen.target_group(&cluster.names().node_targets()) else { return };
    let (Some(balancer), Some(_)) = (&seen.balancer, &seen.listener) else { return };

    let nodes = Nodes::assign(seen, wanted);
    let target = |i: &&ec2::Instance| group.target(&i.instance_id);
    let is_registered = |i: &&ec2::Instance| target(i).is_some_and(|t| !t.is_draining());
    let (registered, outside): (Vec<_>, Vec<_>) = nodes.running().partition(is_registered);
    let ill: Vec<_> =
        registered.iter().copied().filter(|i| !target(i).is_some_and(Target::is_healthy)).collect();
    let healthy = registered.len() - ill.len();
    draft.saw("registered nodes", format!("{} of {wanted}", registered.len()));
    draft.saw("healthy nodes", format!("{healthy} of {wanted}"));

    if !outside.is_empty() {
        draft.push(RegisterClusterNodeToLb {
            cluster: draft.cluster(),
            balancer: balancer.arn.clone(),
            instances: ids(outside),
        });
    }
    if !balancer.is_active() {
        if nodes.running().count() > 0 {
            draft.push(wait_for_load_balancer(cluster));
        }
    } else if !ill.is_empty() {
        let what = format!("nodes of {cluster:?}");
        let (arn, ids) = (group.arn.clone(), ids(ill));
        draft.push(wait_for_healthy("wait_for_healthy_nodes", what, cluster, arn, ids));
    }

    // Whatever is in the group without being a node: nodes too many, and dead ones' targets.
    let is_node = |t: &&Target| nodes.keep.values().any(|i| i.instance_id == t.instance_id);
    let others: Vec<_> = group.targets.iter().filter(|t| !is_node(t)).collect();
    let (draining, staying): (Vec<_>, Vec<_>) = others.into_iter().partition(|t| t.is_draining());
    let target_ids = |targets: Vec<&Target>| -> Vec<String> {
        targets.into_iter().map(|t| t.instance_id.clone()).collect()
    };
    if !staying.is_empty() {
        draft.push(DeregisterClusterNodeFromLb {
            cluster: draft.cluster(),
            target_group: group.arn.clone(),
            instances: target_ids(staying),
        });
    }
    if !draining.is_empty() {
        draft.push(wait_for_draining(cluster, group.arn.clone(), target_ids(draining)));
    }
}
