//! All flows against moto server, a simulator of other people: over HTTP, with their idea of AWS.
//!
//! `scripts/test` starts moto and sets `FIXPOINT_MOTO_URL`. Without it the test has nothing to talk
//! to; it is ignored, visibly, unless asked for by `--ignored` or `--include-ignored`.

use aws_credential_types::Credentials;
use clusters::{
    Cluster, ClusterSpec,
    addons::Addon,
    names::CLUSTER_TAG,
    plans::{CreateCluster, TerminateCluster},
};
use fixpoint::{Context, Pace, testing::assert_fixpoint};
use fixpoint_aws::{Aws, AwsOptions, ec2};
use fixpoint_server::StatusCell;

use crate::world::spec;

#[tokio::test]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn moto_sees_a_cluster_created_scaled_changed_and_gone() {
    let url = std::env::var("FIXPOINT_MOTO_URL").expect("FIXPOINT_MOTO_URL is not set");
    let aws = Aws::connect(AwsOptions {
        region: Some("eu-west-1".into()),
        endpoint_url: Some(url),
        credentials: Some(Credentials::from_keys("test", "test", None)),
        ..AwsOptions::default()
    })
    .await;
    // Moto keeps what earlier tests made.
    let name = format!("moto-{}", std::process::id());
    // Its world moves on at each look, so there is nothing to wait for.
    let cx = Context::new().with_pace(Pace::times(50.0));
    let cluster = |spec: ClusterSpec| Cluster::new(aws.clone(), &name, spec);

    let flow = [spec(3, &[Addon::Grafana]), spec(5, &Addon::ALL), spec(1, &[Addon::Kapacitor])];
    for wanted in flow {
        let status = StatusCell::default();
        let plan = CreateCluster::new(cluster(wanted.clone()), status.clone());
        assert_fixpoint(&plan, &cx).await;
        let status = status.take().unwrap();
        assert_eq!(status["healthy_nodes"], wanted.nodes, "{status:#}");
        assert_eq!(status["addons"].as_object().unwrap().len(), wanted.addons.len());
    }

    let plan = TerminateCluster::new(cluster(ClusterSpec::default()), Default::default());
    assert_fixpoint(&plan, &cx).await;
    assert_eq!(left_by_tag(&aws, &name).await, Vec::<String>::new());
}

/// Everything of the cluster that a look finds. Not by `DescribeTags`: moto goes on listing the
/// tags of what was deleted.
async fn left_by_tag(aws: &Aws, name: &str) -> Vec<String> {
    let mut left = Vec::new();
    macro_rules! look {
        ($($operation:ident . $id:ident),+) => {$(
            let filters = vec![ec2::Filter::tag(CLUSTER_TAG, name)];
            let found = aws.ec2.all(ec2::$operation { filters, ..Default::default() }).await;
            left.extend(found.unwrap().into_iter().map(|it| it.$id));
        )+};
    }
    look!(
        DescribeVpcs.vpc_id,
        DescribeSubnets.subnet_id,
        DescribeInternetGateways.internet_gateway_id,
        DescribeRouteTables.route_table_id,
        DescribeSecurityGroups.group_id,
        DescribeVolumes.volume_id
    );
    let filters = vec![
        ec2::Filter::tag(CLUSTER_TAG, name),
        ec2::Filter::new("instance-state-name", ["pending", "running", "stopping", "stopped"]),
    ];
    let live = ec2::DescribeInstances { filters, ..Default::default() };
    left.extend(aws.ec2.all(live).await.unwrap().into_iter().map(|i| i.instance_id));
    let filters = vec![ec2::Filter::tag(CLUSTER_TAG, name)];
    let keys = ec2::DescribeKeyPairs { filters, ..Default::default() };
    left.extend(aws.ec2.send(keys).await.unwrap().key_pairs.into_iter().map(|k| k.key_name));
    let balancers = aws.elb.describe_load_balancers().send().await.unwrap();
    left.extend(balancers.load_balancers().iter().filter_map(|b| b.load_balancer_arn.clone()));
    let groups = aws.elb.describe_target_groups().send().await.unwrap();
    left.extend(groups.target_groups().iter().filter_map(|g| g.target_group_arn.clone()));
    let roles = aws.iam.list_roles().path_prefix("/fixpoint/").send().await.unwrap();
    left.extend(roles.roles().iter().map(|r| r.arn.clone()));
    let profiles = aws.iam.list_instance_profiles().path_prefix("/fixpoint/").send().await.unwrap();
    left.extend(profiles.instance_profiles().iter().map(|p| p.arn.clone()));
    // Balancing and IAM things of other tests' clusters are not this one's.
    left.retain(|id| !id.starts_with("arn:") || id.contains(name));
    left
}
