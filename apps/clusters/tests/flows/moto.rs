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
    let filters = vec![ec2::Filter::tag(CLUSTER_TAG, &name)];
    let tags = ec2::DescribeTags { filters, ..Default::default() };
    let left = aws.ec2.all(tags).await.unwrap();
    let left: Vec<_> = left.iter().filter(|t| t.resource_type != "instance").collect();
    assert!(left.is_empty(), "left by tag: {left:?}");
}
