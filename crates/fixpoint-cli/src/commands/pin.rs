//! `fixpoint pin` and `fixpoint unpin`: traces that are kept past the retention.
//!
//! The surprise: any id that occurs in a trace names it, as everywhere.

use serde_json::json;

use super::trace_id;
use crate::{Session, error::Result};

/// Keep a trace past the retention, or list those that are kept
#[derive(Debug, clap::Args)]
#[command(after_help = PIN_EXAMPLES)]
pub(crate) struct PinArgs {
    /// The id of a trace or a run, a cluster's name, or any id that occurs in a trace
    trace: Option<String>,
}

/// Keep a trace no longer than others
#[derive(Debug, clap::Args)]
#[command(after_help = UNPIN_EXAMPLES)]
pub(crate) struct UnpinArgs {
    /// The id of a trace or a run, a cluster's name, or any id that occurs in a trace
    trace: String,
}

const PIN_EXAMPLES: &str = "\
Examples:
  fixpoint pin RUN
  fixpoint pin                list those that are pinned";

const UNPIN_EXAMPLES: &str = "\
Examples:
  fixpoint unpin d572232a";

impl PinArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let Some(trace) = self.trace else {
            let pins = session.client.pins().await?;
            if output.is_json() {
                return Ok(output.json(&pins)?);
            }
            match pins.trace_ids.is_empty() {
                true => output.note("no trace is pinned"),
                false => output.text(pins.trace_ids.join("\n"))?,
            }
            return Ok(());
        };
        let id = trace_id(session, &trace).await?;
        session.client.pin(&id).await?;
        said(session, &id, true)
    }
}

impl UnpinArgs {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let id = trace_id(session, &self.trace).await?;
        session.client.unpin(&id).await?;
        said(session, &id, false)
    }
}

fn said(session: &Session, id: &str, pinned: bool) -> Result {
    let output = &session.output;
    if output.is_json() {
        return Ok(output.json(&json!({ "trace_id": id, "pinned": pinned }))?);
    }
    let word = if pinned { output.out.good("pinned") } else { "unpinned".to_owned() };
    Ok(output.text(format!("trace {id} {word}"))?)
}
