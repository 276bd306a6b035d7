//! `fixpoint find`: where any id occurs.

use fixpoint_client::Hit;

use super::{nowhere, state_word, time};
use crate::{Session, error::Result, output::table};

/// Find where any id occurs: of a trace, a run, an instance, an AWS request
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id, or a cluster's name
    id: String,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint find i-0a1b2c3d4e5f60718
  fixpoint find d572232a -o json";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let found = session.client.find(&self.id).await?;
        if found.hits.is_empty() {
            return Err(nowhere(&self.id));
        }
        if output.is_json() {
            return Ok(output.json(&found)?);
        }
        let rows: Vec<Vec<String>> = found.hits.iter().map(row).collect();
        let head = ["WHAT", "NAME", "STATE", "TIME", "TRACE"];
        Ok(output.text(table(&head, &rows, |row, column, cell| match (row, column) {
            (0, _) => output.out.dim(cell),
            (_, 2) => state_word(cell, output.out),
            _ => cell.to_owned(),
        }))?)
    }
}

fn row(hit: &Hit) -> Vec<String> {
    let [what, name, state, at, trace] = match hit {
        Hit::Run(run) => [
            "run".into(),
            format!("{} {}", run.resource, run.id),
            run.state.to_string(),
            time(run.created_at),
            run.trace_id.clone(),
        ],
        Hit::Resource(resource) => [
            "resource".into(),
            format!("{}/{}", resource.kind, resource.name),
            resource.run_state.map(|state| state.to_string()).unwrap_or_default(),
            time(resource.updated_at),
            resource.trace_id.clone().unwrap_or_default(),
        ],
        Hit::Trace(trace) => [
            "trace".into(),
            trace.name.clone(),
            if trace.failed { "failed".into() } else { String::new() },
            time(trace.started_at),
            trace.trace_id.clone(),
        ],
    };
    vec![what, name, state, at, trace]
}
