//! VPCs, subnets, gateways, routes.

use super::{Cloud, launch, network};

#[tokio::test(start_paused = true)]
async fn a_vpc_is_pending_then_available_and_first_not_seen_at_all() {
    let cloud = Cloud::fresh();
    let made = cloud
        .ec2(
            "CreateVpc&CidrBlock=10.0.0.0/16&TagSpecification.1.ResourceType=vpc\
                          &TagSpecification.1.Tag.1.Key=fixpoint:cluster\
                          &TagSpecification.1.Tag.1.Value=idg",
        )
        .await
        .ok();
    assert_eq!(made.get("state"), "pending");
    let describe = format!("DescribeVpcs&VpcId.1={}", made.get("vpcId"));
    cloud.ec2(&describe).await.refused("InvalidVpcID.NotFound");
    cloud.pass(3).await;
    assert_eq!(cloud.ec2(&describe).await.ok().get("state"), "available");
    let by_tag = "DescribeVpcs&Filter.1.Name=tag:fixpoint:cluster&Filter.1.Value.1=i?g";
    assert_eq!(cloud.ec2(by_tag).await.ok().all("vpcId").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bad_network_input_is_refused_with_awss_codes() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let (vpc, subnet) = (&net.vpc, &net.subnets[0]);
    for (call, code) in [
        ("CreateVpc&CidrBlock=10.0.0.0/8".into(), "InvalidVpc.Range"),
        ("CreateVpc&CidrBlock=10.0.0.0/29".into(), "InvalidVpc.Range"),
        ("CreateVpc&CidrBlock=ten".into(), "InvalidParameterValue"),
        ("CreateVpc".into(), "MissingParameter"),
        (
            "CreateSubnet&VpcId=vpc-00000000000000000&CidrBlock=10.0.9.0/24".into(),
            "InvalidVpcID.NotFound",
        ),
        ("CreateSubnet&VpcId=vpc-xyz&CidrBlock=10.0.9.0/24".into(), "InvalidVpcID.Malformed"),
        (format!("CreateSubnet&VpcId={vpc}&CidrBlock=10.9.0.0/24"), "InvalidSubnet.Range"),
        (format!("CreateSubnet&VpcId={vpc}&CidrBlock=10.0.9.0/30"), "InvalidSubnet.Range"),
        (format!("CreateSubnet&VpcId={vpc}&CidrBlock=10.0.1.128/25"), "InvalidSubnet.Conflict"),
        (
            format!("CreateSubnet&VpcId={vpc}&CidrBlock=10.0.9.0/24&AvailabilityZone=eu-west-9z"),
            "InvalidParameterValue",
        ),
        ("DescribeVpcs&Filter.1.Name=colour&Filter.1.Value.1=red".into(), "InvalidParameterValue"),
        (format!("DescribeVpcs&VpcId.1={vpc}&MaxResults=5"), "InvalidParameterCombination"),
        ("DescribeVpcs&MaxResults=2".into(), "InvalidParameterValue"),
        ("DescribeVpcs&MaxResults=5&NextToken=nonsense".into(), "InvalidNextToken"),
        (
            format!("AttachInternetGateway&VpcId={vpc}&InternetGatewayId={}", net.gateway),
            "Resource.AlreadyAssociated",
        ),
        (format!("DeleteSubnet&SubnetId={subnet}&DryRun=true"), "DryRunOperation"),
        ("MakeCoffee".into(), "InvalidAction"),
    ] as [(String, &str); 17]
    {
        cloud.ec2(call).await.refused(code);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_answers_412_and_changes_nothing() {
    let cloud = Cloud::fresh();
    let answer = cloud.ec2("CreateVpc&CidrBlock=10.0.0.0/16&DryRun=true").await;
    answer.refused("DryRunOperation");
    assert_eq!(answer.status, 412);
    cloud.pass(3).await;
    assert!(cloud.ec2("DescribeVpcs").await.ok().all("vpcId").is_empty());
}

#[tokio::test(start_paused = true)]
async fn routes_and_associations_are_unique_and_hold_their_table() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let table = format!("CreateRouteTable&VpcId={}&ClientToken=t", net.vpc);
    let id = cloud.ec2(&table).await.ok().get("routeTableId");
    assert_eq!(cloud.ec2(&table).await.ok().get("routeTableId"), id, "the token was not honoured");

    let route = format!(
        "CreateRoute&RouteTableId={id}&DestinationCidrBlock=0.0.0.0/0\
                         &GatewayId={}",
        net.gateway
    );
    cloud.ec2(&route).await.ok();
    cloud.ec2(&route).await.refused("RouteAlreadyExists");

    let associate = |table: &str| {
        format!("AssociateRouteTable&RouteTableId={table}&SubnetId={}", net.subnets[0])
    };
    let association = cloud.ec2(associate(&id)).await.ok().get("associationId");
    assert_eq!(cloud.ec2(associate(&id)).await.ok().get("associationId"), association);
    let other = format!("CreateRouteTable&VpcId={}", net.vpc);
    let other = cloud.ec2(other).await.ok().get("routeTableId");
    cloud.ec2(associate(&other)).await.refused("Resource.AlreadyAssociated");

    let delete = format!("DeleteRouteTable&RouteTableId={id}");
    cloud.ec2(&delete).await.refused("DependencyViolation");
    cloud.ec2(format!("DisassociateRouteTable&AssociationId={association}")).await.ok();
    cloud.ec2(&delete).await.ok();
    cloud.ec2(&delete).await.refused("InvalidRouteTableID.NotFound");
}

#[tokio::test(start_paused = true)]
async fn a_route_whose_gateway_left_is_a_blackhole() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let main = "DescribeRouteTables&Filter.1.Name=association.main&Filter.1.Value.1=true";
    let table = cloud.ec2(main).await.ok().get("routeTableId");
    let route = format!(
        "CreateRoute&RouteTableId={table}&DestinationCidrBlock=0.0.0.0/0\
                         &GatewayId={}",
        net.gateway
    );
    cloud.ec2(route).await.ok();
    let detach =
        format!("DetachInternetGateway&VpcId={}&InternetGatewayId={}", net.vpc, net.gateway);
    cloud.ec2(detach).await.ok();
    assert!(cloud.ec2(main).await.ok().body.contains("<state>blackhole</state>"));
    cloud
        .ec2(format!("DeleteRouteTable&RouteTableId={table}"))
        .await
        .refused("DependencyViolation");
}

#[tokio::test(start_paused = true)]
async fn a_network_is_taken_down_in_dependency_order_only() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let instance = cloud.ec2(launch(&net, 1)).await.ok().get("instanceId");
    cloud.pass(30).await;
    let detach =
        format!("DetachInternetGateway&VpcId={}&InternetGatewayId={}", net.vpc, net.gateway);
    let deletions = [
        format!("DeleteSecurityGroup&GroupId={}", net.group),
        format!("DeleteSubnet&SubnetId={}", net.subnets[0]),
        format!("DeleteInternetGateway&InternetGatewayId={}", net.gateway),
        format!("DeleteVpc&VpcId={}", net.vpc),
        detach.clone(),
    ];
    for call in &deletions {
        cloud.ec2(call).await.refused("DependencyViolation");
    }
    cloud.ec2(format!("TerminateInstances&InstanceId.1={instance}")).await.ok();
    cloud.ec2(&deletions[0]).await.refused("DependencyViolation");
    cloud.pass(31).await;
    cloud.ec2(&detach).await.ok();
    for call in &deletions[..3] {
        cloud.ec2(call).await.ok();
    }
    cloud.ec2(&deletions[3]).await.refused("DependencyViolation");
    cloud.ec2(format!("DeleteSubnet&SubnetId={}", net.subnets[1])).await.ok();
    cloud.ec2(&deletions[3]).await.ok();
    assert_eq!(cloud.sandbox.inventory()["counts"], serde_json::json!({}));
}

#[tokio::test(start_paused = true)]
async fn free_addresses_fall_with_every_instance() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let describe = format!("DescribeSubnets&SubnetId.1={}", net.subnets[0]);
    assert_eq!(cloud.ec2(&describe).await.ok().get("availableIpAddressCount"), "251");
    cloud.ec2(launch(&net, 3)).await.ok();
    assert_eq!(cloud.ec2(&describe).await.ok().get("availableIpAddressCount"), "248");
}
