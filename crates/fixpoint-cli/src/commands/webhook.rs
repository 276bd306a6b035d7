//! `fixpoint webhook`: whether the server's webhook works.
//!
//! Not here: naming it, which `serve --webhook` does. The surprise: a ping is sent once. Real news is
//! sent again until it is taken.

use fixpoint_client::WebhookTest;

use crate::{
    Session,
    error::{CliError, Result},
};

/// Try out the webhook that the server tells of what went wrong
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint webhook test
  fixpoint webhook test -o json | jq .status

It wants an administrator's token. What became of real news: fixpoint runs RUN. docs/operating.md";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Have the server send a ping, and show the answer
    Test,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let Command::Test = self.command;
        let output = &session.output;
        let test = session.client.test_webhook().await?;
        if output.is_json() {
            output.json(&test)?;
        }
        let WebhookTest { to, delivered, status, answer, error, took_ms, .. } = &test;
        if *delivered {
            let status = status.map(|status| format!(", {status}")).unwrap_or_default();
            let answer = answer.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
            return match output.is_json() {
                true => Ok(()),
                false => Ok(output.text(format!("{to} took it in {took_ms} ms{status}{answer}"))?),
            };
        }
        let failed = CliError::failed(format!("{to} did not take the ping"));
        let details = error.iter().chain(answer).fold(failed, |failed, why| failed.detail(why));
        Err(details.trace(&test.trace_id))
    }
}
