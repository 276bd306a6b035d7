//! `fixpoint plan`: the steps that would be taken now. Nothing is changed.

use std::path::PathBuf;

use fixpoint_client::{Iteration, PlanPreview, PlannedStep, SeenFact, WithheldStep};

use crate::{Session, document, error::Result, output::Paint};

/// Show the steps that would be taken now; changes nothing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A cluster that exists, also as clusters/NAME
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// What `fixpoint apply -f FILE` would do; `-` for stdin
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint plan idg
  fixpoint plan -f examples/cluster.yaml

Only the steps that the plan returns at first are shown: what comes after them depends on what
they find.";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let client = &session.client;
        if let Some(name) = &self.name {
            let (kind, name) = document::meant(name);
            return show(session, &format!("{kind}/{name}"), &client.plan(kind, name).await?);
        }
        for document in document::read(&self.file.unwrap_or_default())? {
            let (kind, name) = (&document.kind, &document.name);
            let preview = match client.plan_patch(kind, name, &document.patch()).await {
                Err(error) if error.status() == Some(404) => {
                    client.plan_create(kind, &document.body()).await
                }
                other => other,
            };
            show(session, &document.key(), &preview?)?;
        }
        Ok(())
    }
}

fn show(session: &Session, key: &str, preview: &PlanPreview) -> Result {
    match session.output.is_json() {
        true => Ok(session.output.json(preview)?),
        false => Ok(session.output.text(text(key, preview, session.output.out))?),
    }
}

pub(crate) fn text(key: &str, preview: &PlanPreview, paint: Paint) -> String {
    let PlanPreview { plan, trace_id, iteration } = preview;
    let count = iteration.steps.len();
    let left = match count {
        0 => paint.good("nothing left to do"),
        1 => "1 step to take first".to_owned(),
        _ => format!("{count} steps to take first"),
    };
    let Iteration { steps, withheld, seen, .. } = iteration;
    let mut lines = vec![format!("{} ({plan}): {left}", paint.bold(key))];
    lines.extend(answer(steps, withheld, seen, paint));
    lines.push(paint.dim(format!("  trace {trace_id}")));
    lines.join("\n")
}

/// What a plan answered: the steps that it wants, what it withholds, and what it saw.
pub(super) fn answer(
    steps: &[PlannedStep],
    withheld: &[WithheldStep],
    seen: &[SeenFact],
    paint: Paint,
) -> Vec<String> {
    let steps = steps.iter().map(|step| {
        let key = if step.key == step.name { "" } else { &step.key };
        format!("  + {}  {}", paint.good(&step.name), paint.dim(key))
    });
    let withheld =
        withheld.iter().map(|held| format!("  - {}: {}", paint.busy(&held.what), held.why));
    let seen =
        seen.iter().map(|fact| format!("  {} {}: {}", paint.dim("saw"), fact.what, fact.value));
    let lines = steps.chain(withheld).chain(seen);
    lines.map(|line| line.trim_end().to_owned()).collect()
}
