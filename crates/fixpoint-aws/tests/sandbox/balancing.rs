//! Load balancers, target groups, listeners, rules.

use super::{Answer, Cloud, Net, launch, network};

fn balancer(net: &Net, name: &str) -> String {
    format!(
        "CreateLoadBalancer&Name={name}&Subnets.member.1={}&Subnets.member.2={}\
         &SecurityGroups.member.1={}",
        net.subnets[0], net.subnets[1], net.group
    )
}

fn group(net: &Net, name: &str) -> String {
    format!(
        "CreateTargetGroup&Name={name}&Protocol=HTTP&Port=8086&VpcId={}\
         &HealthCheckIntervalSeconds=10&HealthyThresholdCount=2",
        net.vpc
    )
}

async fn health(cloud: &Cloud, group: &str) -> Answer {
    cloud.elb(format!("DescribeTargetHealth&TargetGroupArn={group}")).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_is_provisioned_then_active() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let made = cloud.elb(balancer(&net, "idg")).await.ok();
    assert!(made.body.contains("<Code>provisioning</Code>"));
    let arn = made.get("LoadBalancerArn");
    let describe = format!("DescribeLoadBalancers&LoadBalancerArns.member.1={arn}");
    cloud.pass(3).await;
    assert!(cloud.elb(&describe).await.ok().body.contains("<Code>provisioning</Code>"));
    cloud.pass(120).await;
    let active = cloud.elb("DescribeLoadBalancers&Names.member.1=idg").await.ok();
    assert!(active.body.contains("<Code>active</Code>"));
    assert_eq!(active.all("ZoneName").len(), 2);
    cloud.elb("DescribeLoadBalancers&Names.member.1=no").await.refused("LoadBalancerNotFound");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_load_balancer_holds_its_subnets_for_a_while() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let arn = cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn");
    cloud.pass(3).await;
    let interfaces =
        "DescribeNetworkInterfaces&Filter.1.Name=description&Filter.1.Value.1=ELB app/idg/*";
    assert_eq!(cloud.ec2(interfaces).await.ok().all("networkInterfaceId").len(), 2);
    let delete = format!("DeleteLoadBalancer&LoadBalancerArn={arn}");
    cloud.elb(&delete).await.ok();
    cloud.elb(&delete).await.ok();
    let subnet = format!("DeleteSubnet&SubnetId={}", net.subnets[0]);
    let security = format!("DeleteSecurityGroup&GroupId={}", net.group);
    let detach =
        format!("DetachInternetGateway&VpcId={}&InternetGatewayId={}", net.vpc, net.gateway);
    for call in [&subnet, &security, &detach] {
        cloud.ec2(call).await.refused("DependencyViolation");
    }
    cloud.pass(61).await;
    for call in [&subnet, &security, &detach] {
        cloud.ec2(call).await.ok();
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_is_unused_then_initial_then_healthy_then_draining() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let id = cloud.ec2(launch(&net, 1)).await.ok().get("instanceId");
    let lb = cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn");
    let tg = cloud.elb(group(&net, "idg")).await.ok().get("TargetGroupArn");
    cloud.pass(121).await;
    let targets = format!("TargetGroupArn={tg}&Targets.member.1.Id={id}");
    cloud.elb(format!("RegisterTargets&{targets}")).await.ok();
    let unused = health(&cloud, &tg).await;
    assert_eq!(
        (unused.get("State"), unused.get("Reason")),
        ("unused".into(), "Target.NotInUse".into())
    );

    let listener = format!(
        "CreateListener&LoadBalancerArn={lb}&Port=80&Protocol=HTTP\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={tg}"
    );
    cloud.elb(listener).await.ok();
    assert_eq!(health(&cloud, &tg).await.get("State"), "initial");
    cloud.pass(19).await;
    assert_eq!(health(&cloud, &tg).await.get("State"), "initial");
    cloud.pass(2).await;
    assert_eq!(health(&cloud, &tg).await.get("State"), "healthy");

    let attached = format!("DescribeTargetGroups&LoadBalancerArn={lb}");
    assert_eq!(cloud.elb(attached).await.ok().get("TargetGroupArn"), tg);
    let attribute = format!(
        "ModifyTargetGroupAttributes&TargetGroupArn={tg}&Attributes.member.1.Value=30\
         &Attributes.member.1.Key=deregistration_delay.timeout_seconds"
    );
    cloud.elb(attribute).await.ok();
    cloud.elb(format!("DeregisterTargets&{targets}")).await.ok();
    assert_eq!(health(&cloud, &tg).await.get("State"), "draining");
    cloud.pass(31).await;
    assert!(health(&cloud, &tg).await.all("State").is_empty());
    let named = cloud.elb(format!("DescribeTargetHealth&{targets}")).await.ok();
    assert_eq!(named.get("Reason"), "Target.NotRegistered");
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_instance_ended_is_unused() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let id = cloud.ec2(launch(&net, 1)).await.ok().get("instanceId");
    let lb = cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn");
    let tg = cloud.elb(group(&net, "idg")).await.ok().get("TargetGroupArn");
    let targets = format!("RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id={id}");
    cloud.elb(&targets).await.ok();
    cloud
        .elb(format!(
            "CreateListener&LoadBalancerArn={lb}&Port=80&Protocol=HTTP\
         &DefaultActions.member.1.Type=forward&DefaultActions.member.1.TargetGroupArn={tg}"
        ))
        .await
        .ok();
    cloud.pass(200).await;
    assert_eq!(health(&cloud, &tg).await.get("State"), "healthy");
    cloud.ec2(format!("TerminateInstances&InstanceId.1={id}")).await.ok();
    let state = health(&cloud, &tg).await;
    assert_eq!(state.get("Reason"), "Target.InvalidState");
    cloud.elb(&targets).await.refused("InvalidTarget");
}

#[tokio::test(start_paused = true)]
async fn a_group_in_use_is_not_deleted_and_the_default_rule_stays() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let lb = cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn");
    let tg = cloud.elb(group(&net, "idg")).await.ok().get("TargetGroupArn");
    let listener = cloud
        .elb(format!(
            "CreateListener&LoadBalancerArn={lb}&Port=80&Protocol=HTTP\
         &DefaultActions.member.1.Type=fixed-response\
         &DefaultActions.member.1.FixedResponseConfig.StatusCode=404"
        ))
        .await
        .ok()
        .get("ListenerArn");
    let rule = format!(
        "CreateRule&ListenerArn={listener}&Priority=10&Conditions.member.1.Field=path-pattern\
         &Conditions.member.1.Values.member.1=/api/*&Actions.member.1.Type=forward\
         &Actions.member.1.TargetGroupArn={tg}"
    );
    let made = cloud.elb(&rule).await.ok().get("RuleArn");
    cloud.elb(&rule).await.refused("PriorityInUse");
    let delete = format!("DeleteTargetGroup&TargetGroupArn={tg}");
    cloud.elb(&delete).await.refused("ResourceInUse");
    cloud.pass(3).await;
    let rules = cloud.elb(format!("DescribeRules&ListenerArn={listener}")).await.ok();
    assert_eq!(rules.all("Priority"), ["10", "default"]);
    let default = rules.all("RuleArn")[1].to_owned();
    cloud.elb(format!("DeleteRule&RuleArn={default}")).await.refused("OperationNotPermitted");
    cloud.elb(format!("DeleteRule&RuleArn={made}")).await.ok();
    cloud.elb(&delete).await.ok();
}

#[tokio::test(start_paused = true)]
async fn bad_load_balancing_input_is_refused_with_awss_codes() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let lb = cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn");
    let tg = cloud.elb(group(&net, "idg")).await.ok().get("TargetGroupArn");
    let listener = format!(
        "CreateListener&LoadBalancerArn={lb}&Port=80&Protocol=HTTP\
         &DefaultActions.member.1.Type=fixed-response\
         &DefaultActions.member.1.FixedResponseConfig.StatusCode=404"
    );
    cloud.elb(&listener).await.ok();
    // The same order again is answered with what there is.
    assert_eq!(cloud.elb(balancer(&net, "idg")).await.ok().get("LoadBalancerArn"), lb);
    assert_eq!(cloud.elb(group(&net, "idg")).await.ok().get("TargetGroupArn"), tg);
    let long = "x".repeat(33);
    let one = format!("CreateLoadBalancer&Name=one&Subnets.member.1={}", net.subnets[0]);
    let stranger = "i-00000000000000000";
    let cases: [(String, &str); 13] = [
        (one, "ValidationError"),
        (balancer(&net, &long), "ValidationError"),
        (balancer(&net, "-a"), "ValidationError"),
        (balancer(&net, "b").replace(&net.group, "sg-00000000000000000"), "InvalidSecurityGroup"),
        (balancer(&net, "b").replace(&net.subnets[1], "subnet-0"), "SubnetNotFound"),
        (format!("{}&Scheme=internal", balancer(&net, "idg")), "DuplicateLoadBalancerName"),
        (group(&net, "idg").replace("8086", "8087"), "DuplicateTargetGroupName"),
        (group(&net, &long), "ValidationError"),
        (listener, "DuplicateListener"),
        (
            format!("RegisterTargets&TargetGroupArn={tg}&Targets.member.1.Id={stranger}"),
            "InvalidTarget",
        ),
        (
            format!("RegisterTargets&TargetGroupArn={tg}x&Targets.member.1.Id={stranger}"),
            "TargetGroupNotFound",
        ),
        (
            format!("DescribeTargetGroups&Names.member.1=idg&LoadBalancerArn={lb}"),
            "ValidationError",
        ),
        (
            format!("ModifyTargetGroupAttributes&TargetGroupArn={tg}&Attributes.member.1.Key=a"),
            "ValidationError",
        ),
    ];
    for (call, code) in cases {
        cloud.elb(call).await.refused(code);
    }
    let protect = format!(
        "ModifyLoadBalancerAttributes&LoadBalancerArn={lb}&Attributes.member.1.Value=true\
         &Attributes.member.1.Key=deletion_protection.enabled"
    );
    cloud.elb(protect).await.ok();
    cloud
        .elb(format!("DeleteLoadBalancer&LoadBalancerArn={lb}"))
        .await
        .refused("OperationNotPermitted");
}

#[tokio::test(start_paused = true)]
async fn page_size_is_honoured() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    for n in 0..3 {
        cloud.elb(group(&net, &format!("g{n}"))).await.ok();
    }
    cloud.pass(3).await;
    let first = cloud.elb("DescribeTargetGroups&PageSize=2").await.ok();
    assert_eq!(first.all("TargetGroupArn").len(), 2);
    let more = format!("DescribeTargetGroups&PageSize=2&Marker={}", first.get("NextMarker"));
    let second = cloud.elb(more).await.ok();
    assert_eq!(second.all("TargetGroupArn").len(), 1);
    assert!(second.all("NextMarker").is_empty());
}
