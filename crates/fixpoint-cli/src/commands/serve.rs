//! `fixpoint serve`: a server on real AWS.
//!
//! Not for trying things out, for which `dev` costs nothing. The surprise: it wants an API token
//! with every request, on loopback too, where other users of the machine are.

use fixpoint_aws::limits::Share;

use super::{
    dev::{Auth, Shared},
    running::Running,
};
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
    #[arg(long, value_name = "REGION", help_heading = "AWS")]
    region: Option<String>,
    /// One address for all AWS services: a simulator
    #[arg(long, value_name = "URL", help_heading = "AWS")]
    endpoint_url: Option<String>,
    /// How much of the account's API quotas this server may use: 0.5 is half of what AWS documents
    #[arg(long, value_name = "SHARE", default_value_t, help_heading = "AWS")]
    aws_share: Share,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint serve --region eu-west-1 --data /var/lib/fixpoint
  fixpoint serve --endpoint-url http://127.0.0.1:5000 --time-scale 60     on a simulator
  fixpoint serve --traces s3://example-traces/production                  traces on S3, shared
  fixpoint serve --runs etcd://10.0.0.1:2379,10.0.0.2:2379/production     runs in etcd, shared

Credentials are found as the AWS command line finds them. Log lines go to stdout as JSON, each
with its trace_id; traces are copied to a collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.
Requests want an API token: docs/access.md. The first start writes an administrator's to the file
admin-token in the folder of --data: export FIXPOINT_TOKEN=$(cat /var/lib/fixpoint/admin-token)";

impl Args {
    pub(crate) async fn run(self, output: Output) -> Result {
        if self.shared.faults.is_some() {
            return Err(CliError::usage("--faults are for the sandbox, and this is no sandbox")
                .hint("start one with `fixpoint dev --faults FILE`"));
        }
        let Self { shared, running, region, endpoint_url, aws_share } = self;
        let (runs, life) = (running.place().await?, running.take_over_after());
        if running.is_shared() && !shared.shares_traces() {
            output.note(
                "warning: runs are shared and traces are not: each server knows only what it \
                 recorded itself. Give all of them --traces s3://BUCKET/PREFIX",
            );
        }
        let cloud = Cloud::Aws { region, endpoint_url, share: aws_share };
        shared.serve(cloud, runs, Some(life), Auth::On, output).await
    }
}
