//! What AWS may do to a creation, and what then becomes of it.

use clusters::addons::Addon;
use fixpoint::{Error, Permanent};
use serde_json::json;

use crate::{
    whole::whole,
    world::{World, solve, spec},
};

#[tokio::test(start_paused = true)]
async fn a_swallowed_error_leaves_a_plan_that_does_not_converge_and_names_the_step() {
    let world = World::new();
    world.set_faults(json!({"rules": [{
        "operation": "ELBv2.DescribeTargetGroups",
        "where": {"LoadBalancerArn": "*idg*"},
        "fault": {"kind": "empty_page"},
    }]}));
    let error = solve(&world.creation(&spec(3, &[]))).await.unwrap_err();
    let Error::NotConverging { steps, seen, .. } = &error else { panic!("{error:?}") };
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["register_cluster_node_to_lb"]);
    let seen: Vec<_> = seen.iter().map(ToString::to_string).collect();
    assert!(seen.contains(&"registered nodes: 0 of 3".to_owned()), "{seen:?}");
    assert!(seen.contains(&"load balancer: active".to_owned()), "{seen:?}");
    // Everything is there: AWS reported no error.
    assert_eq!(world.counts(), whole(3, 0));

    world.set_faults(json!({"rules": []}));
    assert_eq!(world.create(&spec(3, &[])).await["healthy_nodes"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_any_creation_makes_nothing_twice() {
    let calls = [
        "EC2.CreateVpc",
        "EC2.CreateInternetGateway",
        "EC2.AttachInternetGateway",
        "EC2.CreateSubnet",
        "EC2.CreateRouteTable",
        "EC2.CreateRoute",
        "EC2.AssociateRouteTable",
        "EC2.CreateSecurityGroup",
        "EC2.AuthorizeSecurityGroupIngress",
        "EC2.AuthorizeSecurityGroupEgress",
        "EC2.CreateKeyPair",
        "EC2.RunInstances",
        "IAM.CreateRole",
        "IAM.CreateInstanceProfile",
        "IAM.AddRoleToInstanceProfile",
        "ELBv2.CreateLoadBalancer",
        "ELBv2.CreateTargetGroup",
        "ELBv2.CreateListener",
        "ELBv2.RegisterTargets",
        "ELBv2.CreateRule",
    ];
    let cluster = spec(1, &[Addon::Grafana]);
    for call in calls {
        let world = World::new();
        let fault = json!({"operation": call, "nth": [1], "fault": {"kind": "lost_answer"}});
        world.set_faults(json!({"rules": [fault]}));
        // A step whose answer was lost may end the run; whoever planned it plans it again.
        for _ in 0..3 {
            if solve(&world.creation(&cluster)).await.is_ok() {
                break;
            }
        }
        assert_eq!(world.sandbox.fired().len(), 1, "{call}");
        solve(&world.creation(&cluster)).await.unwrap();
        assert_eq!(world.counts(), whole(1, 1), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_only_slows_a_creation_down() {
    let world = World::new();
    world.set_faults(json!({"seed": 7, "rules": [
        {"operation": "*", "probability": 0.2, "fault": {"kind": "throttle"}},
    ]}));
    let cluster = spec(1, &[]);
    for _ in 0..10 {
        if solve(&world.creation(&cluster)).await.is_ok() {
            break;
        }
    }
    assert!(!world.sandbox.fired().is_empty());
    assert_eq!(world.counts(), whole(1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_permanent_and_says_what_to_do() {
    let world = World::new();
    world.set_faults(json!({"rules": [{
        "operation": "EC2.CreateVpc",
        "fault": {"kind": "error", "code": "UnauthorizedOperation", "status": 403},
    }]}));
    let error = solve(&world.creation(&spec(1, &[]))).await.unwrap_err();
    assert!(Permanent::is(&error));
    let text = fixpoint::Chain(&error).to_string();
    assert!(text.contains("could not create the VPC (these credentials may not"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_capacity_is_not_permanent() {
    let world = World::new();
    world.set_faults(json!({"rules": [{
        // The SDK itself tries four times, for each of two nodes.
        "operation": "EC2.RunInstances", "times": 8,
        "fault": {"kind": "error", "code": "InsufficientInstanceCapacity", "status": 500},
    }]}));
    let error = solve(&world.creation(&spec(2, &[]))).await.unwrap_err();
    assert!(!Permanent::is(&error), "{error:?}");
    world.create(&spec(2, &[])).await;
    assert_eq!(world.counts(), whole(2, 0));
}

#[tokio::test(start_paused = true)]
async fn an_instance_type_that_no_zone_offers_is_refused_before_anything_is_made() {
    let world = World::new();
    let cluster = clusters::ClusterSpec { instance_type: "t9.huge".into(), ..spec(1, &[]) };
    let error = solve(&world.creation(&cluster)).await.unwrap_err();
    assert!(Permanent::is(&error));
    assert!(world.counts().is_empty());
}
