//! Clusters of which something is there already: made by hand, broken off, or partly lost.

use clusters::{
    Cluster,
    names::{Names, Part},
    steps::AttachInternetGateway,
};
use fixpoint::{Context, Scheduler, Step, testing::assert_fixpoint};
use fixpoint_aws::ec2;
use serde_json::json;

use crate::{
    whole::whole,
    world::{IDG, World, solve, spec},
};

fn names() -> Names {
    Names::new(IDG, "eu-west-1", &spec(1, &[]))
}

#[tokio::test(start_paused = true)]
async fn a_network_made_by_hand_with_the_right_tags_is_taken_over() {
    let world = World::new();
    let ec2 = &world.aws.ec2;
    let vpc = ec2::CreateVpc {
        cidr_block: "10.40.0.0/16".into(),
        tag_specifications: names().specification("vpc", Part::Vpc),
    };
    let vpc = ec2.send(vpc).await.unwrap().vpc.vpc_id;
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let subnet = ec2::CreateSubnet {
        vpc_id: vpc.clone(),
        cidr_block: "10.40.16.0/20".into(),
        availability_zone: Some("eu-west-1a".into()),
        tag_specifications: names().specification("subnet", Part::Subnet(1)),
    };
    let subnet = ec2.send(subnet).await.unwrap().subnet.subnet_id;
    let gateway = ec2::CreateInternetGateway {
        tag_specifications: names().specification("internet-gateway", Part::InternetGateway),
    };
    ec2.send(gateway).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;

    let status = world.create(&spec(2, &[])).await;
    assert_eq!(status["vpc_id"], vpc.as_str());
    assert!(status["subnet_ids"].as_array().unwrap().iter().any(|s| s == subnet.as_str()));
    assert_eq!(world.counts(), whole(2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_broken_off_after_any_iteration_is_completed() {
    for iterations in 1..=6 {
        let world = World::new();
        let plan = world.creation(&spec(2, &[]));
        let broken_off = Scheduler::default().max_iterations(iterations);
        broken_off.execute(&plan, &Context::new()).await.unwrap_err();
        assert_fixpoint(&plan, &Context::new()).await;
        assert_eq!(world.counts(), whole(2, 0), "broken off after {iterations} iterations");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_was_broken_off_after_any_iteration_can_be_terminated() {
    for iterations in 1..=6 {
        let world = World::new();
        let broken_off = Scheduler::default().max_iterations(iterations);
        let plan = world.creation(&spec(1, &[]));
        broken_off.execute(&plan, &Context::new()).await.unwrap_err();
        solve(&world.termination()).await.unwrap();
        assert_eq!(world.sandbox.inventory()["counts"], serde_json::json!({}), "{iterations}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_took_away_is_made_again() {
    let world = World::new();
    let cluster = spec(1, &[]);
    let status = world.create(&cluster).await;
    let elb = &world.aws.elb;
    let balancer = status["load_balancer"]["arn"].as_str().unwrap();
    elb.delete_load_balancer().load_balancer_arn(balancer).send().await.unwrap();
    let key_name = status["key_pair"].as_str().map(str::to_owned);
    world.aws.ec2.send(ec2::DeleteKeyPair { key_name, key_pair_id: None }).await.unwrap();
    world
        .aws
        .ec2
        .send(ec2::DeleteRoute {
            route_table_id: status["route_table_ids"][0].as_str().unwrap().into(),
            destination_cidr_block: "0.0.0.0/0".into(),
        })
        .await
        .unwrap();

    assert_fixpoint(&world.creation(&cluster), &Context::new()).await;
    assert_eq!(world.counts(), whole(1, 0));
}

/// AWS refuses by what it knows, and lists what has come round since.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_a_refusal_tells_of_need_not_be_listed_yet() {
    let world = World::new();
    let ec2 = &world.aws.ec2;
    let tag_specifications = names().specification("vpc", Part::Vpc);
    let vpc = ec2::CreateVpc { cidr_block: "10.40.0.0/16".into(), tag_specifications };
    let vpc_id = ec2.send(vpc).await.unwrap().vpc.vpc_id;
    let mut gateways = Vec::new();
    for _ in 0..2 {
        let tag_specifications = names().specification("internet-gateway", Part::InternetGateway);
        let made = ec2.send(ec2::CreateInternetGateway { tag_specifications }).await.unwrap();
        gateways.push(made.internet_gateway.internet_gateway_id);
    }
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    let attach = ec2::AttachInternetGateway {
        internet_gateway_id: gateways[0].clone(),
        vpc_id: vpc_id.clone(),
    };
    ec2.send(attach).await.unwrap();
    world.set_faults(json!({"rules": [
        {"operation": "EC2.DescribeInternetGateways", "fault": {"kind": "empty_page"}},
    ]}));
    for gateway in gateways {
        let cluster = Cluster::new(world.aws.clone(), IDG, spec(1, &[]));
        let step = AttachInternetGateway { cluster, gateway, vpc: vpc_id.clone() };
        assert!(step.run(&Context::new()).await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_accident_made_twice_is_there_once_in_the_end() {
    let world = World::new();
    let ec2 = &world.aws.ec2;
    for _ in 0..2 {
        let tag_specifications = names().specification("vpc", Part::Vpc);
        let cidr_block = "10.40.0.0/16".into();
        ec2.send(ec2::CreateVpc { cidr_block, tag_specifications }).await.unwrap();
        let tag_specifications = names().specification("internet-gateway", Part::InternetGateway);
        ec2.send(ec2::CreateInternetGateway { tag_specifications }).await.unwrap();
    }
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    world.create(&spec(1, &[])).await;
    assert_eq!(world.counts(), whole(1, 0));
}

#[tokio::test(start_paused = true)]
async fn rules_that_somebody_added_stay_and_rules_that_somebody_took_come_back() {
    let world = World::new();
    let cluster = spec(1, &[]);
    let status = world.create(&cluster).await;
    let groups = ec2::DescribeSecurityGroups {
        filters: names().filters(Part::Group(clusters::names::Group::Node)),
        ..Default::default()
    };
    let group = world.aws.ec2.all(groups.clone()).await.unwrap().remove(0);
    let ssh = ec2::IpPermission::tcp(22).with_cidr("203.0.113.7/32");
    let (group_id, added) = (group.group_id.clone(), vec![ssh.clone()]);
    world
        .aws
        .ec2
        .send(ec2::AuthorizeSecurityGroupIngress {
            group_id: group_id.clone(),
            ip_permissions: added,
            ..Default::default()
        })
        .await
        .unwrap();
    world
        .aws
        .ec2
        .send(ec2::RevokeSecurityGroupIngress {
            group_id,
            ip_permissions: group.ip_permissions.clone(),
            ..Default::default()
        })
        .await
        .unwrap();

    world.create(&cluster).await;
    let now = world.aws.ec2.all(groups).await.unwrap().remove(0);
    assert!(now.ip_permissions.contains(&ssh), "{:?}", now.ip_permissions);
    assert_eq!(now.ip_permissions.len(), group.ip_permissions.len() + 1);
    assert!(status["vpc_id"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_load_balancer_of_that_name_without_the_tag_is_not_touched() {
    let world = World::new();
    let arn =
        world.create(&spec(1, &[])).await["load_balancer"]["arn"].as_str().unwrap().to_owned();
    let untag = world.aws.elb.remove_tags().resource_arns(&arn).tag_keys("fixpoint:cluster");
    untag.send().await.unwrap();
    let error = solve(&world.creation(&spec(2, &[]))).await.unwrap_err();
    assert!(fixpoint::Permanent::is(&error), "{error:?}");
    let error = solve(&world.termination()).await.unwrap_err();
    assert!(fixpoint::Permanent::is(&error), "{error:?}");
    assert_eq!(world.counts()["instance"], 1);
}
