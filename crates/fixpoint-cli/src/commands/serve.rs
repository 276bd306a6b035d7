//! `fixpoint serve`: a server on real AWS.
//!
//! Not for trying things out, for which `dev` costs nothing. The surprise: there is no sign-in
//! yet, so it refuses an address that others can reach unless told so in so many words.

use super::{dev::Shared, running::Running};
use crate::{
    error::{CliError, Result},
    host::Cloud,
    output::Output,
};

/// Start a server on real AWS, which costs money
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    running: Running,
    /// The AWS region; that of the environment or the profile if not given
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// One address for all AWS services: a simulator
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint serve --region eu-west-1 --data /var/lib/fixpoint
  fixpoint serve --endpoint-url http://127.0.0.1:5000 --time-scale 60     on a simulator
  fixpoint serve --traces s3://example-traces/production                  traces on S3, shared
  fixpoint serve --runs etcd://10.0.0.1:2379,10.0.0.2:2379/production     runs in etcd, shared

Credentials are found as the AWS command line finds them. Log lines go to stdout as JSON, each
with its trace_id; traces are copied to a collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.
There is no sign-in: whoever reaches the address can create and delete clusters.";

impl Args {
    pub(crate) async fn run(self, output: Output) -> Result {
        if self.shared.faults.is_some() {
            return Err(CliError::usage("--faults are for the sandbox, and this is no sandbox")
                .hint("start one with `fixpoint dev --faults FILE`"));
        }
        let Self { shared, running, region, endpoint_url } = self;
        let (runs, life) = (running.place().await?, running.take_over_after());
        if running.is_shared() && !shared.shares_traces() {
            output.note(
                "warning: runs are shared and traces are not: each server knows only what it \
                 recorded itself. Give all of them --traces s3://BUCKET/PREFIX",
            );
        }
        shared.serve(Cloud::Aws { region, endpoint_url }, runs, Some(life), output).await
    }
}
