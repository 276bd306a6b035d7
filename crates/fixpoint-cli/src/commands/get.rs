//! `fixpoint get`: lists resources, or shows one.

use fixpoint_client::Resource;
use serde_json::{Value, json};

use super::{state_word, time};
use crate::{Session, document::DEFAULT_KIND, error::Result, output::table};

/// List clusters, or show one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The kind of resource
    #[arg(default_value = DEFAULT_KIND)]
    kind: String,
    /// Only this one, with its spec and status
    #[arg(conflicts_with = "drifted")]
    name: Option<String>,
    /// Only those that are not as wanted any more, though no run is at them
    #[arg(long)]
    drifted: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint get
  fixpoint get clusters idg
  fixpoint get --drifted
  fixpoint get clusters idg -o json | jq .status";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let (kind, name) = match self.kind.split_once('/') {
            Some((kind, name)) if self.name.is_none() => (kind, Some(name)),
            _ => (self.kind.as_str(), self.name.as_deref()),
        };
        let output = &session.output;
        if let Some(name) = name {
            let resource = session.client.resource(kind, name).await?;
            return match output.is_json() {
                true => Ok(output.json(&resource)?),
                false => Ok(output.text(yaml(&resource))?),
            };
        }
        let resources = match self.drifted {
            true => session.client.all_drifted(kind).await?,
            false => session.client.all_resources(kind).await?,
        };
        if output.is_json() {
            return Ok(output.json(&json!({ "items": resources }))?);
        }
        if resources.is_empty() && self.drifted {
            output.note(format!("no {kind} were seen to have drifted"));
            return Ok(());
        }
        if resources.is_empty() {
            output.note(format!("no {kind} yet; create one with `fixpoint apply -f FILE`"));
            return Ok(());
        }
        let rows: Vec<Vec<String>> = resources.iter().map(row).collect();
        let head = ["NAME", "GENERATION", "RUN", "CHANGED", "VERIFIED", "TRACE"];
        Ok(output.text(table(&head, &rows, |row, column, cell| match (row, column) {
            (0, _) => output.out.dim(cell),
            (_, 2) => state_word(cell, output.out),
            (_, 4) if cell.starts_with(DRIFTED) => output.out.busy(cell),
            _ => cell.to_owned(),
        }))?)
    }
}

fn row(resource: &Resource) -> Vec<String> {
    let Resource { generation, observed_generation, .. } = resource;
    let reached = if generation == observed_generation {
        generation.to_string()
    } else {
        format!("{generation} ({observed_generation} reached)")
    };
    let state = resource.run_state.map(|state| state.to_string()).unwrap_or_default();
    let name = resource.name.clone();
    let name = match (resource.deleting, resource.rolled_back) {
        (true, _) => format!("{name} (deleting)"),
        (_, true) => format!("{name} (rolled back)"),
        _ => name,
    };
    let trace = resource.trace_id.clone().unwrap_or_default();
    vec![name, reached, state, time(resource.updated_at), verified(resource), trace]
}

const DRIFTED: &str = "drifted since ";

/// When it was last as wanted, or since when it is not.
fn verified(resource: &Resource) -> String {
    let Some(seen) = &resource.verification else { return String::new() };
    match (&seen.drift, &seen.error) {
        (Some(drift), _) => format!("{DRIFTED}{}", time(drift.since)),
        (None, None) => time(seen.verified_at),
        (None, Some(_)) => format!("{}, not since", time(seen.verified_at)),
    }
}

/// The resource as YAML, without what is empty.
fn yaml(resource: &Resource) -> String {
    let value = match serde_json::to_value(resource) {
        Ok(Value::Object(fields)) => {
            fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
        }
        Ok(other) => other,
        Err(error) => return error.to_string(),
    };
    // An ARN stays on the line of its name, so that both are found together.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    // What JSON can say, YAML can say as well.
    let text = serde_saphyr::to_string_with_options(&value, options);
    text.unwrap_or_else(|error| error.to_string())
}
