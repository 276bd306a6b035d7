//! The world as a whole: regions, durability, time, inventory, and the official clients above it.

use std::path::Path;

use fixpoint::Pace;
use fixpoint_aws::ec2::{DescribeInstances, Filter};
use fixpoint_aws::sandbox::{Sandbox, SandboxOptions};
use fixpoint_aws::{Aws, AwsOptions};

use super::{Cloud, launch, network};

fn kept(folder: &Path) -> SandboxOptions {
    let data = Some(folder.to_owned());
    SandboxOptions { data, seed: 7, latency: false, ..Default::default() }
}

#[tokio::test(start_paused = true)]
async fn regions_know_nothing_of_each_other() {
    let cloud = Cloud::fresh();
    network(&cloud).await;
    let there = cloud.try_send("ec2", "us-east-1", "DescribeVpcs").await.unwrap().ok();
    assert!(there.all("vpcId").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_world_outlives_the_process_and_draws_no_id_twice() {
    let folder = tempfile::tempdir().unwrap();
    let before = Cloud::open(kept(folder.path()));
    let net = network(&before).await;
    let call = format!("{}&ClientToken=once", launch(&net, 2));
    let first = before.ec2(&call).await.ok();
    // No farewell: what a killed process leaves is what the last answer left.
    std::mem::forget(before);

    let after = Cloud::open(kept(folder.path()));
    let second = after.ec2(&call).await.ok();
    assert_eq!(first.all("instanceId"), second.all("instanceId"));
    assert_eq!(after.sandbox.inventory()["counts"]["instance"], 2);
    let other = after.ec2("CreateInternetGateway").await.ok().get("internetGatewayId");
    assert_ne!(other, net.gateway);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_an_error_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbox.json");
    std::fs::write(&file, "{").unwrap();
    let error = Sandbox::open(kept(folder.path())).unwrap_err();
    assert!(error.to_string().starts_with("open the sandbox kept in"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{");
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let cloud = Cloud::open(kept(folder.path()));
    cloud.ec2("CreateInternetGateway").await.ok();
    let file = std::fs::metadata(folder.path().join("sandbox.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(start_paused = true)]
async fn a_fast_world_reaches_in_a_second_what_takes_a_minute() {
    let options = SandboxOptions { pace: Pace::times(60.0), latency: false, ..Default::default() };
    let cloud = Cloud::open(options);
    let net = network(&cloud).await;
    cloud.ec2(launch(&net, 1)).await.ok();
    cloud.pass(1).await;
    assert!(cloud.ec2("DescribeInstances").await.ok().body.contains("<name>running</name>"));
}

#[tokio::test(start_paused = true)]
async fn the_inventory_counts_by_kind_and_by_cluster_and_knows_what_was_asked() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    let tagged = format!(
        "{}&TagSpecification.1.ResourceType=instance\
         &TagSpecification.1.Tag.1.Key=fixpoint:cluster&TagSpecification.1.Tag.1.Value=idg",
        launch(&net, 2)
    );
    let made = cloud.ec2(tagged).await.ok();
    let inventory = cloud.sandbox.inventory();
    assert_eq!(inventory["counts"]["instance"], 2);
    assert_eq!(inventory["clusters"]["idg"]["instance"].as_array().unwrap().len(), 2);
    let terminate = format!("TerminateInstances&InstanceId.1={}", made.get("instanceId"));
    cloud.ec2(terminate).await.ok();
    cloud.pass(31).await;
    let inventory = cloud.sandbox.inventory();
    assert_eq!(inventory["counts"]["instance"], 1);
    assert_eq!(inventory["calls"]["EC2.RunInstances"], 1);
    assert_eq!(inventory["calls"]["EC2.TerminateInstances"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_official_clients_read_every_field_that_plans_need() {
    let cloud = Cloud::fresh();
    let net = network(&cloud).await;
    cloud.ec2(launch(&net, 2)).await.ok();
    cloud.pass(60).await;
    let aws =
        Aws::connect(AwsOptions { sandbox: Some(cloud.sandbox.clone()), ..Default::default() })
            .await;
    let who = aws.sts.get_caller_identity().send().await.unwrap();
    assert_eq!(who.account(), Some("123456789012"));
    let filters = vec![Filter { name: "vpc-id".into(), values: vec![net.vpc.clone()] }];
    let find = DescribeInstances { filters, ..Default::default() };
    assert_eq!(aws.ec2.send(find).await.unwrap().reservations.len(), 1);

    let [a, b] = &net.subnets;
    let made = aws.elb.create_load_balancer().name("idg").subnets(a).subnets(b).send().await;
    let lb = made.unwrap().load_balancers()[0].clone();
    assert_eq!(lb.state().unwrap().code().unwrap().as_str(), "provisioning");
    assert!(lb.dns_name().is_some() && lb.vpc_id() == Some(&net.vpc));
    assert!(lb.created_time().is_some() && lb.availability_zones().len() == 2);
    let twice = aws.elb.describe_load_balancers().names("other").send().await.unwrap_err();
    assert!(twice.into_service_error().is_load_balancer_not_found_exception());

    let role = aws.iam.create_role().role_name("r");
    let role = role.assume_role_policy_document(r#"{"Statement":[]}"#).send().await.unwrap();
    let role = role.role().unwrap();
    assert!(role.arn().ends_with("role/r") && role.create_date().secs() > 0);
    let gone = aws.iam.get_role().role_name("nobody").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_entity_exception());
}
