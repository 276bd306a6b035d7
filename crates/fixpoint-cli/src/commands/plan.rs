//! `fixpoint plan`: the steps that would be taken now. Nothing is changed.

use std::path::PathBuf;

use fixpoint_client::PlanPreview;

use crate::{
    Session,
    document::{self, DEFAULT_KIND},
    error::Result,
    output::Paint,
};

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
            let (kind, name) = name.split_once('/').unwrap_or((DEFAULT_KIND, name));
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
    let mut lines = vec![format!("{} ({plan}): {left}", paint.bold(key))];
    for step in &iteration.steps {
        let key = if step.key == step.name { "" } else { &step.key };
        lines.push(format!("  + {}  {}", paint.good(&step.name), paint.dim(key)));
    }
    for held in &iteration.withheld {
        lines.push(format!("  - {}: {}", paint.busy(&held.what), held.why));
    }
    for fact in &iteration.seen {
        lines.push(format!("  {} {}: {}", paint.dim("saw"), fact.what, fact.value));
    }
    lines.push(paint.dim(format!("  trace {trace_id}")));
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}
