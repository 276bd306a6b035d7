//! `fixpoint apis`: whether AWS answers, and who waits for it.
//!
//! The surprise: it is the view of the server that is asked; another one on the same account has
//! its own.

use fixpoint_client::{Api, Circuit};

use crate::{
    Session,
    error::Result,
    output::{Paint, table},
};

/// List the APIs that plans call: whether calls are sent, and how many wait
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

const EXAMPLES: &str = "\
Examples:
  fixpoint apis
  fixpoint apis -o json | jq '.items[] | select(.circuit != \"closed\")'

A circuit opens when an API has not answered eight attempts in a row. Calls wait then, and one at a
time tries whether it answers again. Calls also wait for AWS's quotas (`serve --aws-share`).";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let page = session.client.apis().await?;
        if output.is_json() {
            return Ok(output.json(&page)?);
        }
        if page.items.is_empty() {
            return Ok(output.text("No API has been called since the server started.")?);
        }
        Ok(output.text(listed(&page.items, output.out))?)
    }
}

fn listed(apis: &[Api], paint: Paint) -> String {
    let rows: Vec<Vec<String>> = apis
        .iter()
        .map(|api| {
            let queues = api.waiting.iter().filter(|(_, count)| **count > 0);
            let queues: Vec<_> = queues.map(|(class, count)| format!("{count} {class}")).collect();
            let waiting = if queues.is_empty() { "-".to_owned() } else { queues.join(", ") };
            let circuit = api.circuit.as_str().to_owned();
            vec![api.name.clone(), circuit, api.unanswered.to_string(), waiting]
        })
        .collect();
    table(&["API", "CIRCUIT", "UNANSWERED", "WAITING"], &rows, |row, column, cell| {
        match (row, column) {
            (0, _) => paint.dim(cell),
            (row, 1) if apis[row - 1].circuit != Circuit::Closed => paint.bad(cell),
            _ => cell.to_owned(),
        }
    })
}
