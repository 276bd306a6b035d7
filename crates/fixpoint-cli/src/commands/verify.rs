//! `fixpoint verify`: whether a solved cluster is still as wanted, looked at now.
//!
//! Not for a cluster that a run is at, or has failed at: `fixpoint plan` shows what is left to do
//! there. The surprise: drift is exit code 1, so that a script can ask.

use fixpoint_client::{Accepted, Drift};

use super::{plan::answer, time, wait};
use crate::{
    Session, document,
    error::{CliError, Result},
    output::Paint,
};

/// Look now whether a cluster is still as wanted; exit code 1 if not
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The cluster's name, also as clusters/NAME
    name: String,
    /// If it is mended by itself, stay until that run has ended, and show its steps
    #[arg(short, long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint verify idg
  fixpoint verify idg -o json | jq .verification
  fixpoint get --drifted                          those that were seen to have drifted

Its plan is asked what is left to do, and does nothing of it. A cluster with `mend: true` is mended
by a run then, within the server's budget.";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let (kind, name) = document::meant(&self.name);
        let Accepted { resource, run_id, .. } = session.client.verify(kind, name).await?;
        let (key, output) = (format!("{kind}/{name}"), &session.output);
        // A run may have come between the look and the answer.
        let Some(seen) = &resource.verification else {
            return match &run_id {
                Some(run) => self.mended(session, &key, run).await,
                None => Err(CliError::failed(format!("{key} is being worked on"))
                    .hint(format!("ask `fixpoint runs --resource {key}`"))),
            };
        };
        if output.is_json() {
            output.json(&resource)?;
        } else if let Some(drift) = &seen.drift {
            output.text(text(&key, drift, &seen.trace_id, output.out))?;
        } else if seen.error.is_none() {
            let (good, at) = (output.out.good("as wanted"), time(seen.verified_at));
            let trace = output.out.dim(format!("trace {}", seen.trace_id));
            output.text(format!(
                "{} is {good}, verified at {at} UTC  {trace}",
                output.out.bold(&key)
            ))?;
        }
        match (&seen.error, &seen.drift) {
            (Some(error), _) => Err(CliError::failed(format!("{key} could not be looked at"))
                .detail(error)
                .trace(&seen.trace_id)),
            (None, Some(_)) => Err(CliError::said()),
            (None, None) => Ok(()),
        }
    }

    /// It has drifted, and a run mends it.
    async fn mended(&self, session: &Session, key: &str, run: &str) -> Result {
        let said = format!("{key} has drifted; run {run} mends it");
        if self.wait {
            session.output.note(said);
            return wait(session, &[run.to_owned()]).await;
        }
        match session.output.is_json() {
            true => session.output.json(&session.client.run(run).await?)?,
            false => session.output.text(said)?,
        }
        Err(CliError::said())
    }
}

/// Drift, and what would mend it.
fn text(key: &str, drift: &Drift, trace_id: &str, paint: Paint) -> String {
    let what = match (drift.waits, drift.steps.len()) {
        (true, _) => "there is nothing to do but to wait".to_owned(),
        (false, 1) => "1 step would mend it".to_owned(),
        (false, count) => format!("{count} steps would mend it"),
    };
    let (drifted, since) = (paint.busy("drifted"), time(drift.since));
    let mut lines = vec![format!("{} has {drifted} since {since} UTC: {what}", paint.bold(key))];
    lines.extend(answer(&drift.steps, &drift.withheld, &drift.seen, paint));
    if let Some(held) = &drift.held {
        lines.push(format!("  not mended by itself: {held}"));
    }
    lines.push(paint.dim(format!("  trace {trace_id}")));
    lines.join("\n")
}
