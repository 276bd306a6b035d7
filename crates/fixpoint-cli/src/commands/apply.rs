//! `fixpoint apply`: creates or changes what a file describes.
//!
//! Not for deleting: a resource that a file no longer names stays. The surprise: a field that the
//! document does not name stays as it is, because the change is sent as a merge patch.

use std::path::PathBuf;

use fixpoint_client::Accepted;
use serde_json::json;

use super::wait;
use crate::{
    Session,
    document::{self, Document},
    error::Result,
};

/// Create or change what a file describes
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file with one or more documents, YAML or JSON; `-` for stdin
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// Stay until the runs have ended, and show their steps
    #[arg(short, long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint apply -f examples/cluster.yaml --wait
  echo '{\"name\": \"idg\", \"nodes\": 5}' | fixpoint apply -f -

A document, several of them parted by a line `---`:
  kind: clusters          # may be left out
  name: idg
  spec:                   # or its fields flat, beside the name
    nodes: 3
    addons: [grafana]
  on_failure: pause       # keep (the default), roll_back or pause
  mend: true              # drift is mended by itself; may be left out

A resource that exists is changed: the fields named get the values given, others stay as they are.
If nothing had to change, --wait stays for the run that is going on, if one is.";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let documents = document::read(&self.file)?;
        let mut run_ids = Vec::new();
        for document in &documents {
            let (done, accepted) = apply(session, document).await?;
            let newest = accepted.run_id.as_ref().or(accepted.resource.run_id.as_ref()).cloned();
            // With --wait the runs' ends are the data; what was accepted is only news.
            let line = said(session, done, &accepted);
            match (self.wait, session.output.is_json()) {
                (true, _) => session.output.note(line),
                (false, true) => session.output.json(&json!({
                    "done": done,
                    "run_id": accepted.run_id,
                    "trace_id": accepted.trace_id,
                    "resource": accepted.resource,
                }))?,
                (false, false) => session.output.text(line)?,
            }
            run_ids.extend(newest);
        }
        if self.wait { wait(session, &run_ids).await } else { Ok(()) }
    }
}

async fn apply(session: &Session, document: &Document) -> Result<(&'static str, Accepted)> {
    let Document { kind, name, .. } = document;
    match session.client.resource(kind, name).await {
        Ok(before) => {
            let new = session.client.patch(kind, name, &document.patch(), None).await?;
            let changed = new.run_id.is_some() || new.resource.mend != before.mend;
            Ok((if changed { "changed" } else { "unchanged" }, new))
        }
        Err(error) if error.status() == Some(404) => {
            Ok(("created", session.client.create(kind, &document.body()).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Under the name that it goes by, which for a tenant is longer than that in the file.
fn said(session: &Session, done: &str, accepted: &Accepted) -> String {
    let (paint, resource) = (session.output.out, &accepted.resource);
    let key = format!("{}/{}", resource.kind, resource.name);
    let mut line = format!("{} {}", paint.bold(key), done);
    if let Some(run) = &accepted.run_id {
        line += &format!("  run {run}");
        if let Some(trace) = &accepted.trace_id {
            line += &paint.dim(format!("  trace {trace}"));
        }
    }
    line
}
