//! Instances from launch to an hour after their end.

use super::{Cloud, IMAGE, Net, launch, network};

async fn states(cloud: &Cloud) -> Vec<String> {
    let answer = cloud.ec2("DescribeInstances").await.ok();
    let states = answer.all("instanceState");
    states.iter().map(|state| state.split("<name>").nth(1).unwrap()[..7].to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_instance_lives_through_its_states() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let made = cloud.ec2(launch(&net, 1)).await.ok();
    assert!(made.body.contains("<name>pending</name>"));
    let id = made.get("instanceId");
    cloud.pass(3).await;
    assert_eq!(states(&cloud).await, ["pending"]);
    let status = format!("DescribeInstanceStatus&InstanceId.1={id}");
    assert!(cloud.ec2(&status).await.ok().all("status").is_empty(), "only running ones have one");
    cloud.pass(18).await;
    assert_eq!(states(&cloud).await, ["running"]);
    assert!(cloud.ec2(&status).await.ok().body.contains("<status>initializing</status>"));
    cloud.pass(30).await;
    assert!(cloud.ec2(&status).await.ok().body.contains("<status>ok</status>"));

    let ended = cloud.ec2(format!("TerminateInstances&InstanceId.1={id}")).await.ok();
    assert!(ended.body.contains("<name>shutting-down</name>"));
    cloud.pass(31).await;
    let gone = cloud.ec2(format!("DescribeInstances&InstanceId.1={id}")).await.ok();
    assert!(gone.body.contains("<name>terminated</name>"));
    for field in ["privateIpAddress", "ipAddress", "subnetId", "vpcId", "networkInterfaceId"] {
        assert!(gone.all(field).is_empty(), "{field} is still there");
    }
    assert!(cloud.ec2("DescribeVolumes").await.ok().all("volumeId").is_empty());
    assert!(cloud.ec2("DescribeNetworkInterfaces").await.ok().all("networkInterfaceId").is_empty());
    cloud.pass(3601).await;
    assert!(states(&cloud).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_token_gives_the_same_instances_and_no_other_order() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let call = format!("{}&ClientToken=idg-nodes-1", launch(&net, 3));
    let first = cloud.ec2(&call).await.ok();
    let second = cloud.ec2(&call).await.ok();
    assert_eq!(first.all("instanceId").len(), 3);
    assert_eq!(first.all("instanceId"), second.all("instanceId"));
    let other = call.replace("t3.small", "t3.large");
    cloud.ec2(other).await.refused("IdempotentParameterMismatch");
    cloud.pass(3).await;
    assert_eq!(states(&cloud).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_launch_has_addresses_interfaces_volumes_and_its_user_data() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let call = format!(
        "{}&UserData=aGVsbG8=&MetadataOptions.HttpTokens=required\
         &BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=20\
         &BlockDeviceMapping.1.Ebs.Encrypted=true&TagSpecification.1.ResourceType=volume\
         &TagSpecification.1.Tag.1.Key=a&TagSpecification.1.Tag.1.Value=b",
        launch(&net, 1)
    );
    let id = cloud.ec2(call).await.ok().get("instanceId");
    cloud.pass(3).await;
    let seen = cloud.ec2(format!("DescribeInstances&InstanceId.1={id}")).await.ok();
    assert!(seen.get("privateIpAddress").starts_with("10.0.0."));
    assert_eq!(seen.get("httpTokens"), "required");
    assert!(!seen.all("ipAddress").is_empty() && !seen.all("networkInterfaceId").is_empty());
    let attribute = format!("DescribeInstanceAttribute&InstanceId={id}&Attribute=userData");
    assert_eq!(cloud.ec2(attribute).await.ok().get("value"), "aGVsbG8=");
    let volumes = "DescribeVolumes&Filter.1.Name=tag:a&Filter.1.Value.1=b";
    let volumes = cloud.ec2(volumes).await.ok();
    assert_eq!((volumes.get("size"), volumes.get("encrypted")), ("20".into(), "true".into()));
}

#[tokio::test(start_paused = true)]
async fn bad_orders_are_refused_with_awss_codes() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let good = launch(&net, 1);
    let swap = |from: &str, to: &str| good.replace(from, to);
    let add = |more: &str| format!("{good}&{more}");
    let long = format!("UserData={}", "QUFB".repeat(5_500));
    let id = "i-00000000000000000";
    let cases: [(String, &str); 18] = [
        (swap(IMAGE, "ami-00000000000000000"), "InvalidAMIID.NotFound"),
        (swap(IMAGE, "ami-nope"), "InvalidAMIID.Malformed"),
        (swap("t3.small", "z9.huge"), "InvalidParameterValue"),
        (swap("t3.small", "t4g.small"), "InvalidParameterValue"),
        (swap(&net.subnets[0], "subnet-00000000000000000"), "InvalidSubnetID.NotFound"),
        (swap(&net.group, "sg-00000000000000000"), "InvalidGroup.NotFound"),
        (swap("MinCount=1", "MinCount=2"), "InvalidParameterValue"),
        (add("KeyName=nobody"), "InvalidKeyPair.NotFound"),
        (add("IamInstanceProfile.Name=nobody"), "InvalidParameterValue"),
        (add("UserData=%%%"), "InvalidParameterValue"),
        (add(&long), "InvalidParameterValue"),
        (add("DryRun=true"), "DryRunOperation"),
        (
            add("BlockDeviceMapping.1.DeviceName=/dev/xvda&BlockDeviceMapping.1.Ebs.VolumeSize=1"),
            "InvalidBlockDeviceMapping",
        ),
        (
            launch(&Net { subnets: [String::new(), String::new()], ..net.clone() }, 1),
            "MissingInput",
        ),
        (format!("DescribeInstances&InstanceId.1={id}"), "InvalidInstanceID.NotFound"),
        ("DescribeInstances&InstanceId.1=i-nope".into(), "InvalidInstanceID.Malformed"),
        (format!("TerminateInstances&InstanceId.1={id}"), "InvalidInstanceID.NotFound"),
        ("DescribeInstances&Filter.1.Name=mood&Filter.1.Value.1=x".into(), "InvalidParameterValue"),
    ];
    for (call, code) in cases {
        cloud.ec2(call).await.refused(code);
    }
    cloud.pass(3).await;
    assert!(states(&cloud).await.is_empty(), "a refused order left an instance");
}

#[tokio::test(start_paused = true)]
async fn a_protected_instance_is_not_terminated() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let call = format!("{}&DisableApiTermination=true", launch(&net, 1));
    let id = cloud.ec2(call).await.ok().get("instanceId");
    let terminate = format!("TerminateInstances&InstanceId.1={id}");
    cloud.ec2(&terminate).await.refused("OperationNotPermitted");
    let free = format!("ModifyInstanceAttribute&InstanceId={id}&DisableApiTermination.Value=false");
    cloud.ec2(free).await.ok();
    cloud.ec2(&terminate).await.ok();
}

#[tokio::test(start_paused = true)]
async fn pages_count_instances_and_hold_each_once() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    cloud.ec2(launch(&net, 7)).await.ok();
    cloud.pass(3).await;
    let first = cloud.ec2("DescribeInstances&MaxResults=5").await.ok();
    assert_eq!(first.all("instanceId").len(), 5);
    let more = format!("DescribeInstances&MaxResults=5&NextToken={}", first.get("nextToken"));
    let second = cloud.ec2(more).await.ok();
    assert_eq!(second.all("instanceId").len(), 2);
    assert!(second.all("nextToken").is_empty());
    let mut ids = [first.all("instanceId"), second.all("instanceId")].concat();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}
