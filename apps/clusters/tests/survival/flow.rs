//! What an operator asks for, and asks for again if he got no answer.
//!
//! Not here: whether it came out right (`evidence.rs`).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use fixpoint_client::{Client, Error, Run, RunQuery, RunState};
use serde_json::{Value, json};

/// The cluster that all flows are about.
pub(crate) const NAME: &str = "idg";

/// Longer than any flow takes on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// One flow: what is wanted, and what there is then.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) name: &'static str,
    /// None: no cluster at all.
    pub(crate) wanted: Option<Wanted>,
    creates: bool,
}

/// A cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) nodes: usize,
    pub(crate) addons: &'static [&'static str],
}

impl Flow {
    pub(crate) const CREATION: Self = Self {
        name: "creation",
        wanted: Some(Wanted { nodes: 2, addons: &["grafana"] }),
        creates: true,
    };
    /// What the others begin with.
    pub(crate) const FIRST: Self = Self {
        name: "preparation",
        wanted: Some(Wanted { nodes: 1, addons: &["kapacitor"] }),
        creates: true,
    };
    pub(crate) const SCALING: Self = Self {
        name: "scaling",
        wanted: Some(Wanted { nodes: 3, addons: &["kapacitor"] }),
        creates: false,
    };
    pub(crate) const ADDONS: Self = Self {
        name: "add-ons",
        wanted: Some(Wanted { nodes: 1, addons: &["grafana", "chronograf"] }),
        creates: false,
    };
    pub(crate) const TERMINATION: Self = Self { name: "termination", wanted: None, creates: false };

    pub(crate) fn begins_with_a_cluster(&self) -> bool {
        !self.creates
    }

    /// How many runs there are of the cluster in the end: one of this flow, one of what was before.
    pub(crate) fn runs(&self) -> usize {
        if self.creates { 1 } else { 2 }
    }
}

/// Asks for it and waits until it is there. The run that brought it.
pub(crate) async fn carry_out(client: &Client, flow: &Flow) -> Result<Run, String> {
    ask(client, flow).await?;
    let since = Instant::now();
    loop {
        let runs = runs(client).await?;
        let failed =
            runs.iter().find(|run| run.state.is_final() && run.state != RunState::Converged);
        if let Some(failed) = failed {
            return Err(format!("a run ended {}: {:?}", failed.state, failed.error));
        }
        match runs.first() {
            Some(run) if runs.len() == flow.runs() && run.state == RunState::Converged => {
                return Ok(run.clone());
            }
            _ if since.elapsed() > PATIENCE => return Err(format!("it hangs: {runs:#?}")),
            _ => pause().await,
        }
    }
}

/// The cluster's runs, newest first.
pub(crate) async fn runs(client: &Client) -> Result<Vec<Run>, String> {
    let query = RunQuery { resource: Some(format!("clusters/{NAME}")), ..RunQuery::default() };
    Ok(client.runs(&query).await.map_err(|error| error.to_string())?.items)
}

/// Asks for what is not as wanted and was not asked for yet.
pub(crate) async fn ask(client: &Client, flow: &Flow) -> Result<(), String> {
    let found = match client.resource("clusters", NAME).await {
        Ok(found) => Some(found),
        Err(error) if error.status() == Some(404) => None,
        Err(error) => return Err(error.to_string()),
    };
    let asked: Result<_, Error> = match (&flow.wanted, found) {
        (Some(wanted), None) => client.create("clusters", &wanted.body(true)).await,
        (Some(wanted), Some(found)) => {
            if wanted.is_in(&found.spec) {
                return Ok(());
            }
            client.patch("clusters", NAME, &wanted.body(false), None).await
        }
        (None, Some(found)) if !found.deleting => client.delete("clusters", NAME).await,
        (None, _) => return Ok(()),
    };
    asked.map(|_| ()).map_err(|error| error.to_string())
}

impl Wanted {
    /// Whether it is what the spec asks for.
    fn is_in(&self, spec: &Value) -> bool {
        let asked = spec["addons"].as_array().into_iter().flatten().filter_map(Value::as_str);
        spec["nodes"].as_u64() == Some(self.nodes as u64)
            && asked.collect::<BTreeSet<_>>() == self.addons.iter().copied().collect()
    }

    fn body(&self, named: bool) -> Value {
        let mut body = json!({"nodes": self.nodes, "addons": self.addons});
        if named {
            body["name"] = NAME.into();
        }
        body
    }
}

#[expect(clippy::disallowed_methods, reason = "no run of ours is involved")]
pub(crate) async fn pause() {
    tokio::time::sleep(Duration::from_millis(3)).await;
}
