//! One flow of calls, creation and termination of a cluster, checked against what AWS documents.
//!
//! It runs against our sandbox and against moto server, a simulator of other people: where the two
//! agree with the documentation, our wire format and our sandbox are right. Known differences
//! stand in `accepted.md`, each with its reason; any other difference fails, and so does one that
//! is gone. The surprise: the same id means the same call and check for every backend.

mod accepted;
mod balancing;
mod compute;
mod journal;
mod network;
mod termination;

use std::time::Duration;

use aws_credential_types::Credentials;
use fixpoint::Pace;
use fixpoint_aws::sandbox::{Sandbox, SandboxOptions};
use fixpoint_aws::{Aws, AwsOptions};
use journal::Journal;

/// What the flow has made so far.
#[derive(Default)]
struct Made {
    name: String,
    vpc: String,
    gateway: String,
    subnets: Vec<String>,
    route_table: String,
    associations: Vec<String>,
    lb_group: String,
    node_group: String,
    image: String,
    root_device: String,
    instances: Vec<String>,
    load_balancer: String,
    target_group: String,
    listener: String,
    rule: String,
}

async fn flow(aws: &Aws, mut journal: Journal) -> Journal {
    let mut made = Made { name: format!("conf{:08x}", fastrand::u32(..)), ..Made::default() };
    network::preflight(aws, &mut journal, &mut made).await;
    network::create(aws, &mut journal, &mut made).await;
    network::groups(aws, &mut journal, &mut made).await;
    compute::identity(aws, &mut journal, &made).await;
    compute::create(aws, &mut journal, &mut made).await;
    compute::observe(aws, &mut journal, &made).await;
    balancing::create(aws, &mut journal, &mut made).await;
    termination::probe_order(aws, &mut journal, &made).await;
    termination::balancing(aws, &mut journal, &made).await;
    termination::compute(aws, &mut journal, &made).await;
    termination::network(aws, &mut journal, &made).await;
    termination::nothing_left(aws, &mut journal, &made).await;
    journal
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_answers_as_aws_documents() {
    let pace = Pace::times(300.0);
    let sandbox = Sandbox::open(SandboxOptions { pace, ..SandboxOptions::default() }).unwrap();
    let options = AwsOptions { sandbox: Some(sandbox), pace, ..AwsOptions::default() };
    let journal = Journal::new(Duration::from_millis(10), Duration::from_secs(20));
    let journal = flow(&Aws::connect(options).await, journal).await;
    accepted::compare("sandbox", &journal);
}

/// `scripts/test` starts moto and sets the variable. Without it the test has nothing to talk to;
/// it is ignored, visibly, unless asked for by `--ignored` or `--include-ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn moto_answers_as_aws_documents_but_for_the_differences_accepted() {
    let url = std::env::var("FIXPOINT_MOTO_URL").expect("FIXPOINT_MOTO_URL is not set");
    let options = AwsOptions {
        region: Some("eu-west-1".into()),
        endpoint_url: Some(url),
        credentials: Some(Credentials::from_keys("test", "test", None)),
        ..AwsOptions::default()
    };
    // Moto's states do not change with time, only with calls.
    let journal = Journal::new(Duration::from_millis(50), Duration::from_millis(500));
    let journal = flow(&Aws::connect(options).await, journal).await;
    accepted::compare("moto", &journal);
}
