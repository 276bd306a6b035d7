//! Security groups, key pairs, tags.

use super::{Cloud, launch, network};

#[tokio::test(start_paused = true)]
async fn a_group_name_is_unique_in_its_vpc_and_the_default_group_stays() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let again = format!("CreateSecurityGroup&GroupName=nodes&GroupDescription=x&VpcId={}", net.vpc);
    cloud.ec2(again).await.refused("InvalidGroup.Duplicate");
    let default = format!(
        "DescribeSecurityGroups&Filter.1.Name=group-name&Filter.1.Value.1=default\
         &Filter.2.Name=vpc-id&Filter.2.Value.1={}",
        net.vpc
    );
    let default = cloud.ec2(default).await.ok().get("groupId");
    cloud.ec2(format!("DeleteSecurityGroup&GroupId={default}")).await.refused("CannotDelete");
}

#[tokio::test(start_paused = true)]
async fn rules_are_unique_and_revoked_exactly() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let rule = |verb: &str, port: u16| {
        format!(
            "{verb}SecurityGroupIngress&GroupId={}&IpPermissions.1.IpProtocol=tcp\
             &IpPermissions.1.FromPort={port}&IpPermissions.1.ToPort={port}\
             &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0",
            net.group
        )
    };
    let made = cloud.ec2(rule("Authorize", 80)).await.ok();
    assert!(made.get("securityGroupRuleId").starts_with("sgr-0"));
    cloud.ec2(rule("Authorize", 80)).await.refused("InvalidPermission.Duplicate");
    cloud.ec2(rule("Revoke", 81)).await.refused("InvalidPermission.NotFound");
    let rules =
        format!("DescribeSecurityGroupRules&Filter.1.Name=group-id&Filter.1.Value.1={}", net.group);
    // The new one, and the one that lets everything out.
    assert_eq!(cloud.ec2(&rules).await.ok().all("securityGroupRuleId").len(), 2);
    cloud.ec2(rule("Revoke", 80)).await.ok();
    assert_eq!(cloud.ec2(&rules).await.ok().all("securityGroupRuleId").len(), 1);
    let bad = rule("Authorize", 80).replace("0.0.0.0/0", "10.0.0.1/24");
    cloud.ec2(bad).await.refused("InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_others_refer_to_cannot_be_deleted() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let lb = format!("CreateSecurityGroup&GroupName=lb&GroupDescription=lb&VpcId={}", net.vpc);
    let lb = cloud.ec2(lb).await.ok().get("groupId");
    let refer = |verb: &str| {
        format!(
            "{verb}SecurityGroupIngress&GroupId={}&IpPermissions.1.IpProtocol=-1\
             &IpPermissions.1.Groups.1.GroupId={lb}",
            net.group
        )
    };
    cloud.ec2(refer("Authorize")).await.ok();
    let delete = format!("DeleteSecurityGroup&GroupId={lb}");
    cloud.ec2(&delete).await.refused("DependencyViolation");
    cloud.ec2(refer("Revoke")).await.ok();
    cloud.ec2(&delete).await.ok();
}

#[tokio::test(start_paused = true)]
async fn a_private_key_is_shown_once_and_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = Some(folder.path().to_owned());
    let cloud = Cloud::open(fixpoint_aws::sandbox::SandboxOptions {
        data,
        latency: false,
        ..Default::default()
    });
    let made = cloud.ec2("CreateKeyPair&KeyName=k&KeyType=ed25519").await.ok();
    let material = made.get("keyMaterial");
    assert!(material.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
    cloud.ec2("CreateKeyPair&KeyName=k").await.refused("InvalidKeyPair.Duplicate");
    cloud.ec2("DescribeKeyPairs&KeyName.1=other").await.refused("InvalidKeyPair.NotFound");
    let file = std::fs::read_to_string(folder.path().join("sandbox.json")).unwrap();
    let line = material.lines().nth(1).unwrap();
    assert!(!file.contains(line) && !format!("{:?}", cloud.sandbox).contains(line));
    cloud.ec2("DeleteKeyPair&KeyName=k").await.ok();
    cloud.ec2("DeleteKeyPair&KeyName=k").await.ok();
}

#[tokio::test(start_paused = true)]
async fn tags_have_limits_and_are_found_by_page() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let tags = |count: usize, prefix: &str| {
        let tags = (1..=count).map(|n| format!("&Tag.{n}.Key={prefix}{n:02}&Tag.{n}.Value=v"));
        format!("CreateTags&ResourceId.1={}{}", net.vpc, tags.collect::<String>())
    };
    cloud.ec2(tags(51, "k")).await.refused("TagLimitExceeded");
    cloud.ec2(tags(1, "aws:")).await.refused("InvalidParameterValue");
    cloud
        .ec2("CreateTags&ResourceId.1=vpc-00000000000000000&Tag.1.Key=a")
        .await
        .refused("InvalidVpcID.NotFound");
    cloud.ec2(tags(12, "k")).await.ok();
    let mut call = String::from("DescribeTags&MaxResults=5");
    let mut keys = Vec::new();
    loop {
        let page = cloud.ec2(&call).await.ok();
        keys.extend(page.all("key").into_iter().map(str::to_owned));
        let Some(token) = page.all("nextToken").first().map(|token| (*token).to_owned()) else {
            break;
        };
        assert_eq!(page.all("key").len(), 5);
        call = format!("DescribeTags&MaxResults=5&NextToken={token}");
    }
    assert_eq!(keys.len(), 12);
    let wrong = format!("{}&TagSpecification.1.ResourceType=subnet", launch(&net, 1));
    cloud.ec2(wrong).await.refused("InvalidParameterValue");
}
