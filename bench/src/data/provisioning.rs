//! Provisioning: a run that calls AWS some hundred times, one service, a request id in each call.
//!
//! What Fixpoint itself records, without the bodies.

use super::{Span, Text, Trace, duration, pick};

const SPANS: usize = 120;
const STEPS: [&str; 8] = [
    "create_network",
    "create_security_groups",
    "create_load_balancer",
    "create_cluster_nodes",
    "register_cluster_node_to_lb",
    "create_addon_grafana",
    "wait_for_healthy_targets",
    "tag_resources",
];
const CALLS: [(&str, &str, &str); 12] = [
    ("EC2.DescribeInstances", "DescribeInstances", "ec2.eu-west-1.amazonaws.com"),
    ("EC2.RunInstances", "RunInstances", "ec2.eu-west-1.amazonaws.com"),
    ("EC2.DescribeVolumes", "DescribeVolumes", "ec2.eu-west-1.amazonaws.com"),
    ("EC2.CreateTags", "CreateTags", "ec2.eu-west-1.amazonaws.com"),
    ("EC2.DescribeSecurityGroups", "DescribeSecurityGroups", "ec2.eu-west-1.amazonaws.com"),
    ("EC2.DescribeSubnets", "DescribeSubnets", "ec2.eu-west-1.amazonaws.com"),
    ("ELBv2.DescribeTargetGroups", "DescribeTargetGroups", LOAD_BALANCING),
    ("ELBv2.DescribeTargetHealth", "DescribeTargetHealth", LOAD_BALANCING),
    ("ELBv2.RegisterTargets", "RegisterTargets", LOAD_BALANCING),
    ("ELBv2.DescribeLoadBalancers", "DescribeLoadBalancers", LOAD_BALANCING),
    ("IAM.GetInstanceProfile", "GetInstanceProfile", "iam.amazonaws.com"),
    ("STS.GetCallerIdentity", "GetCallerIdentity", "sts.eu-west-1.amazonaws.com"),
];
const LOAD_BALANCING: &str = "elasticloadbalancing.eu-west-1.amazonaws.com";

/// A run: its root, its steps, and the calls of each step one after another.
pub(super) fn trace(rng: &mut fastrand::Rng) -> Trace {
    let id = [rng.u64(..), rng.u64(..)];
    let run = Text::default().plain("run_").hex(rng, 16);
    let resource = format!("clusters/customer-{:04}", rng.u16(..2000));
    let mut spans: Vec<Span> = Vec::with_capacity(SPANS);
    spans.push(inner(rng, None, "run clusters", 0));
    let mut now = 0;
    let mut step = 0;
    let mut key = String::new();
    while spans.len() < SPANS {
        if spans.len() == 1 || rng.u8(..14) == 0 {
            step = spans.len();
            let name = pick(rng, &STEPS);
            key = format!("{name} {{ cluster: \"customer\", node: {} }}", rng.u8(..9));
            spans.push(inner(rng, Some(spans[0].id), name, now));
            continue;
        }
        let (name, method, address) = pick(rng, &CALLS);
        let end = now + duration(rng, 20.0, 800.0);
        spans.push(Span {
            id: rng.u64(..),
            parent: Some(spans[step].id),
            service: "clusters",
            name,
            kind: 3,
            start: now,
            end,
            attributes: vec![
                ("rpc.system.name", "aws-api".into()),
                ("rpc.method", method.into()),
                ("server.address", address.into()),
                ("cloud.region", "eu-west-1".into()),
                ("aws.request_id", Text::default().uuid(rng).into()),
                ("http.response.status_code", super::Value::Int(200)),
                ("fixpoint.run.id", run.clone().into()),
                ("fixpoint.resource", resource.clone().into()),
                ("fixpoint.step.key", key.clone().into()),
                ("fixpoint.attempt", super::Value::Int(1 + i64::from(rng.u8(..40) == 0))),
            ],
            failure: None,
        });
        spans[step].end = end;
        now = end + duration(rng, 0.05, 5.0);
    }
    spans[0].end = now;
    Trace { id, spans }
}

fn inner(rng: &mut fastrand::Rng, parent: Option<u64>, name: &'static str, start: u64) -> Span {
    Span {
        id: rng.u64(..),
        parent,
        service: "clusters",
        name,
        kind: 1,
        start,
        end: start + 1,
        attributes: Vec::new(),
        failure: None,
    }
}
