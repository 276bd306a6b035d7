//! `fixpoint cancel`, `pause`, `resume`, `retry`, `replan` and `skip`: what operators do to runs.
//!
//! Not here: changing what is wanted, which `apply` does. The surprise: a cluster's name will do; its
//! newest run is meant then.

use fixpoint_client::{ActRequest, Run, SkipRequest, Verb};

use super::{state, wait};
use crate::{Session, document, error::Result};

/// What all of them take.
#[derive(Debug, clap::Args)]
pub(crate) struct Act {
    /// The run's id, or the cluster's name, whose newest run is meant
    run: String,
    /// Why, for whoever reads the run's trace
    #[arg(short, long, value_name = "TEXT")]
    reason: Option<String>,
}

/// What those take after which a run goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct GoOn {
    #[command(flatten)]
    act: Act,
    /// Stay until the run has ended, and show its steps
    #[arg(short, long)]
    wait: bool,
}

/// End a run; its step at work finishes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint cancel idg --reason 'wrong region'
  fixpoint cancel run-01a214ce718a0885969d1824")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    act: Act,
}

/// Let a run's step at work finish, and leave it as it is
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint pause idg --reason 'AWS has an incident in eu-central-1'

It stays paused, over restarts too, until `fixpoint resume` or `cancel`, or a change of the cluster.")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    act: Act,
}

/// Let a paused run go on, in the same trace
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint resume idg
  fixpoint resume idg --reason 'the incident is over' --wait")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    on: GoOn,
}

/// Try again at once what did not go well, by a new run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint retry idg --wait
  fixpoint retry idg --reason 'the quota was raised'")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    on: GoOn,
}

/// Have a run look at the world again at once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint replan idg
  fixpoint replan idg --reason 'registered the node by hand' --wait

A run that goes on ends its waits and asks its plan again; after one that has converged a new run
starts.")]
pub(crate) struct ReplanArgs {
    #[command(flatten)]
    on: GoOn,
}

/// Leave out a step of a run
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fixpoint skip idg create_dns_record --reason 'the zone is being moved; made by hand later' --wait

The step is not run, in this run and its retries; the plan is asked again. A run that failed is
tried again at once without it. A run that converges without a step says so, and its cluster has
not reached what is wanted. `fixpoint replan` has the step run again.")]
pub(crate) struct SkipArgs {
    /// The run's id, or the cluster's name, whose newest run is meant
    run: String,
    /// The step: its name, or its key if only one of that name is meant
    step: String,
    /// Why, for whoever reads the run's trace
    #[arg(short, long, value_name = "TEXT")]
    reason: String,
    /// Stay until the run has ended, and show its steps
    #[arg(short, long)]
    wait: bool,
}

impl SkipArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let id = newest(session, &self.run).await?;
        let skip = SkipRequest { step: self.step, reason: self.reason };
        let run = session.client.skip(&id, &skip).await?;
        tell(session, Verb::Skip, &run, self.wait).await
    }
}

impl CancelArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        self.act.run(session, Verb::Cancel, false).await
    }
}

impl PauseArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        self.act.run(session, Verb::Pause, false).await
    }
}

impl ResumeArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        self.on.act.run(session, Verb::Resume, self.on.wait).await
    }
}

impl RetryArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        self.on.act.run(session, Verb::Retry, self.on.wait).await
    }
}

impl ReplanArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        self.on.act.run(session, Verb::Replan, self.on.wait).await
    }
}

impl Act {
    async fn run(self, session: &Session, verb: Verb, waits: bool) -> Result {
        let id = newest(session, &self.run).await?;
        let run = session.client.act(&id, verb, &ActRequest { reason: self.reason }).await?;
        tell(session, verb, &run, waits).await
    }
}

/// Says what was done, and follows what comes of it if that is wanted.
async fn tell(session: &Session, verb: Verb, run: &Run, waits: bool) -> Result {
    let output = session.output;
    let line = said(session, verb, run);
    match (waits, output.is_json()) {
        (true, _) => {
            output.note(line);
            wait(session, std::slice::from_ref(&run.id)).await
        }
        (false, true) => Ok(output.json(run)?),
        (false, false) => Ok(output.text(line)?),
    }
}

/// The run that is meant: one by its id, or the newest of a cluster.
async fn newest(session: &Session, meant: &str) -> Result<String> {
    let (kind, name) = document::meant(meant);
    // No name of a resource has 24 digits after `run-`, for it could not be told from a run's id.
    let is_run = meant.strip_prefix("run-").is_some_and(|digits| {
        digits.len() == 24 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    if is_run {
        return Ok(meant.to_owned());
    }
    let resource = session.client.resource(kind, name).await?;
    Ok(resource.run_id.unwrap_or_default())
}

fn said(session: &Session, verb: Verb, run: &Run) -> String {
    let paint = session.output.out;
    let what = match verb {
        Verb::Cancel => "is being cancelled: its step at work finishes",
        Verb::Pause => "is being paused: its step at work finishes",
        Verb::Resume => "goes on",
        Verb::Retry => "is tried again",
        Verb::Replan => "looks at the world again",
        Verb::Skip => "goes on without the step",
    };
    let was = state(run.state, paint);
    let ids = paint.dim(format!("trace {}", run.trace_id));
    format!("{} {what}  run {} {was}  {ids}", paint.bold(&run.resource), run.id)
}
