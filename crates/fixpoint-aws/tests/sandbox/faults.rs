//! Faults by rule, seen from outside.

use std::time::Duration;

use fixpoint_aws::sandbox::{Fault, Faults, SandboxOptions};

use super::{Cloud, network};

fn rules(json: serde_json::Value) -> Faults {
    serde_json::from_value(serde_json::json!({ "rules": json })).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_error_and_a_throttle_come_back_as_told() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.CreateVpc", "nth": [1], "fault": {"kind": "error", "code": "VpcLimitExceeded"}},
        {"operation": "E*.Describe*", "every": true, "fault": {"kind": "throttle"}},
    ])));
    cloud.ec2("CreateVpc&CidrBlock=10.0.0.0/16").await.refused("VpcLimitExceeded");
    cloud.ec2("CreateVpc&CidrBlock=10.0.0.0/16").await.ok();
    let busy = cloud.ec2("DescribeVpcs").await;
    busy.refused("RequestLimitExceeded");
    assert_eq!(busy.status, 503);
    cloud.elb("DescribeLoadBalancers").await.refused("Throttling");
    let fired = cloud.sandbox.fired();
    assert_eq!(fired.len(), 3);
    assert_eq!(fired[1].operation, "EC2.DescribeVpcs");
    assert_eq!(Some(&fired[1].request_id), busy.request_id.as_ref());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_its_effect() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.CreateVpc", "nth": [1], "fault": {"kind": "lost_answer"}},
    ])));
    let lost = cloud.try_send("ec2", "eu-west-1", "CreateVpc&CidrBlock=10.0.0.0/16").await;
    assert!(lost.is_none());
    cloud.pass(3).await;
    assert_eq!(cloud.ec2("DescribeVpcs").await.ok().all("vpcId").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timed_out_call_has_no_effect() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.CreateVpc", "fault": {"kind": "timeout"}},
    ])));
    let call = cloud.ec2("CreateVpc&CidrBlock=10.0.0.0/16");
    tokio::time::timeout(Duration::from_secs(60), call).await.unwrap_err();
    assert!(cloud.ec2("DescribeVpcs").await.ok().all("vpcId").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_swallowed_change_is_answered_and_not_made_and_its_id_is_nobody_elses() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.*", "nth": [1], "fault": {"kind": "swallowed"}},
    ])));
    let call = "CreateVpc&CidrBlock=10.0.0.0/16";
    let promised = cloud.ec2(call).await.ok().get("vpcId");
    cloud.pass(3).await;
    assert!(cloud.ec2("DescribeVpcs").await.ok().all("vpcId").is_empty());
    cloud.ec2(format!("DeleteVpc&VpcId={promised}")).await.refused("InvalidVpcID.NotFound");
    let made = cloud.ec2(call).await.ok().get("vpcId");
    assert_ne!(made, promised);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_would_be_refused_is_refused_though_it_is_to_be_swallowed() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "*", "fault": {"kind": "swallowed"}},
    ])));
    cloud.ec2("DeleteVpc&VpcId=vpc-0123456789abcdef0").await.refused("InvalidVpcID.NotFound");
    assert!(cloud.ec2("DescribeVpcs").await.ok().all("vpcId").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_is_no_error_and_a_stale_read_shows_the_past() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let call = format!("DescribeSubnets&SubnetId.1={}", net.subnets[0]);
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.DescribeSubnets", "nth": [1], "fault": {"kind": "empty_page"}},
        {"operation": "EC2.DescribeVpcs", "fault": {"kind": "stale_read"}},
    ])));
    let empty = cloud.ec2(&call).await.ok();
    assert!(empty.all("subnetId").is_empty());
    assert_eq!(cloud.ec2(&call).await.ok().all("subnetId").len(), 1);
    cloud.ec2(&call).await.ok();

    cloud.ec2(format!("CreateTags&ResourceId.1={}&Tag.1.Key=a&Tag.1.Value=b", net.vpc)).await.ok();
    let stale = cloud.ec2("DescribeVpcs").await.ok();
    assert!(stale.all("vpcId").len() == 1 && stale.all("key").is_empty(), "{}", stale.body);
}

#[tokio::test(start_paused = true)]
async fn a_read_of_long_ago_shows_what_was_deleted_since() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    cloud.pass(100).await;
    cloud.ec2(format!("DeleteSubnet&SubnetId={}", net.subnets[1])).await.ok();
    cloud.pass(10).await;
    assert_eq!(cloud.ec2("DescribeSubnets").await.ok().all("subnetId").len(), 1);
    cloud.sandbox.set_faults(rules(serde_json::json!([
        {"operation": "EC2.DescribeSubnets", "fault": {"kind": "stale_read", "seconds": 60}},
    ])));
    assert_eq!(cloud.ec2("DescribeSubnets").await.ok().all("subnetId").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_takes_a_multiple_of_its_latency() {
    let took = async |faults: Faults| {
        let cloud = Cloud::open(SandboxOptions { seed: 1, faults, ..Default::default() });
        let start = tokio::time::Instant::now();
        cloud.ec2("DescribeVpcs").await.ok();
        start.elapsed()
    };
    let usual = took(Faults::default()).await;
    assert!(usual > Duration::from_millis(40) && usual < Duration::from_millis(200), "{usual:?}");
    let slow = serde_json::json!([{"operation": "*", "fault": {"kind": "slow", "factor": 10.0}}]);
    let slow = took(rules(slow)).await;
    assert!(slow > Duration::from_millis(400), "{slow:?}");
}

#[tokio::test(start_paused = true)]
async fn request_limits_hold_when_they_are_switched_on() {
    let cloud = Cloud::fresh();
    cloud.sandbox.set_faults(Faults { throttling: true, ..Faults::default() });
    let mut refused = 0;
    for _ in 0..60 {
        refused += usize::from(cloud.ec2("CreateInternetGateway").await.status == 503);
    }
    assert_eq!(refused, 10);
    cloud.pass(2).await;
    cloud.ec2("CreateInternetGateway").await.ok();
}

#[test]
fn rules_can_be_written_down_and_read_again() {
    let faults = rules(serde_json::json!([
        {"operation": "ELBv2.DescribeTargetGroups", "where": {"LoadBalancerArn": "*umbrella*"},
         "every": true, "fault": {"kind": "empty_page"}},
        {"operation": "EC2.*", "probability": 0.1, "times": 3, "fault": {"kind": "slow"}},
    ]));
    assert_eq!(faults.rules[1].fault, Fault::Slow { factor: 10.0 });
    let text = serde_json::to_string(&faults).unwrap();
    assert_eq!(serde_json::from_str::<Faults>(&text).unwrap(), faults);
}
