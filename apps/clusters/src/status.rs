//! What a customer is shown of a cluster: how far it is, and the ids of what was made.
//!
//! Not a second source of truth: it is written after each look, and nothing ever reads it back.

use fixpoint::Steps;
use fixpoint_aws::ec2;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Cluster,
    addons::Addon,
    diff::Nodes,
    names::{Group, Part},
    observe::{Observed, Target, TargetGroup},
};

/// How far a cluster is, in a word or two.
pub(crate) fn phase(seen: &Observed, due: &Steps) -> &'static str {
    if due.is_empty() {
        "ready"
    } else if seen.subnets.len() < 2 || seen.groups.len() < Group::ALL.len() {
        "building network"
    } else if seen.live(Part::Node).is_empty() {
        "starting nodes"
    } else if seen.listener.is_none() || seen.target_groups.is_empty() {
        "building load balancer"
    } else {
        "converging"
    }
}

#[derive(Serialize)]
struct InstanceStatus<'a> {
    instance_id: &'a str,
    state: &'a str,
    zone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_ip: Option<&'a str>,
    /// What the load balancer thinks of it.
    health: &'a str,
}

impl<'a> InstanceStatus<'a> {
    fn of(instance: &'a ec2::Instance, group: Option<&'a TargetGroup>) -> Self {
        let target = group.and_then(|g| g.target(&instance.instance_id));
        Self {
            instance_id: &instance.instance_id,
            state: &instance.state.name,
            zone: &instance.placement.availability_zone,
            private_ip: instance.private_ip_address.as_deref(),
            public_ip: instance.public_ip_address.as_deref(),
            health: target.map_or("not registered", |t| t.state.as_str()),
        }
    }
}

/// The whole status.
pub(crate) fn of(cluster: &Cluster, seen: &Observed, phase: &str) -> Value {
    let names = cluster.names();
    let group = seen.target_group(&names.node_targets());
    let nodes = Nodes::assign(seen, cluster.spec().nodes);
    let by_name: serde_json::Map<_, _> = nodes
        .keep
        .iter()
        .map(|(n, instance)| (names.node(*n), json!(InstanceStatus::of(instance, group))))
        .collect();
    let healthy = group.map_or(0, |g| g.targets.iter().filter(|t| t.is_healthy()).count());
    let endpoint = seen.balancer.as_ref().map(|b| format!("http://{}", b.dns_name));
    let addons: serde_json::Map<_, _> = Addon::ALL
        .into_iter()
        .filter_map(|addon| Some((addon.to_string(), self::addon(cluster, seen, addon)?)))
        .collect();
    let mut status = json!({
        "phase": phase,
        "healthy_nodes": healthy,
        "endpoint": endpoint,
        "vpc_id": seen.vpc().map(|v| &v.vpc_id),
        "subnet_ids": seen.subnets.iter().map(|s| &s.subnet_id).collect::<Vec<_>>(),
        "internet_gateway_ids":
            seen.gateways.iter().map(|g| &g.internet_gateway_id).collect::<Vec<_>>(),
        "route_table_ids": seen.route_tables.iter().map(|t| &t.route_table_id).collect::<Vec<_>>(),
        "security_group_ids": seen.groups.iter().map(|g| &g.group_id).collect::<Vec<_>>(),
        "key_pair": seen.key_pairs.first(),
        "instance_profile": seen.identity.profile.then(|| names.identity()),
        "nodes": by_name,
        "load_balancer": seen.balancer.as_ref().map(|b| json!({
            "arn": b.arn,
            "dns_name": b.dns_name,
            "state": b.state,
        })),
        "target_group_arns": seen.target_groups.iter().map(|t| &t.arn).collect::<Vec<_>>(),
        "addons": addons,
    });
    // What is not there yet is left out rather than null.
    if let Value::Object(fields) = &mut status {
        fields.retain(|_, value| !value.is_null());
    }
    status
}

fn addon(cluster: &Cluster, seen: &Observed, addon: Addon) -> Option<Value> {
    let group = seen.target_group(&cluster.names().addon_targets(addon));
    let instance = *seen.live(Part::Addon(addon)).first()?;
    let is_healthy =
        group.and_then(|g| g.target(&instance.instance_id)).is_some_and(Target::is_healthy);
    let url = seen.balancer.as_ref().filter(|_| is_healthy);
    let mut value = json!(InstanceStatus::of(instance, group));
    if let (Value::Object(fields), Some(balancer)) = (&mut value, url) {
        fields.insert("url".into(), format!("http://{}/{addon}/", balancer.dns_name).into());
    }
    Some(value)
}
