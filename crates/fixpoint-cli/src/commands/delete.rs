//! `fixpoint delete`: asks for a resource to go, with all that was made for it.

use super::wait;
use crate::{Session, document, error::Result};

/// Delete a cluster and all that was made for it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The cluster's name, also as clusters/NAME
    name: String,
    /// Stay until it is gone, and show the steps
    #[arg(short, long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint delete idg --wait
  fixpoint delete clusters/idg";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let (kind, name) = document::meant(&self.name);
        let accepted = session.client.delete(kind, name).await?;
        let run = accepted.run_id.as_deref().unwrap_or_default();
        let line = format!("{kind}/{name} is being deleted  run {run}");
        if !self.wait {
            return match session.output.is_json() {
                true => Ok(session.output.json(&accepted.resource)?),
                false => Ok(session.output.text(line)?),
            };
        }
        session.output.note(line);
        wait(session, accepted.run_id.as_slice()).await
    }
}
