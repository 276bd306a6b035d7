//! `steps`: steps that do nothing, on a whole Fixpoint server in this process, for `bench/engines`.
//!
//! Not here: what is measured (`rounds.rs`), or the peers (`bench/services`). The surprise: everything
//! is as `fixpoint serve` has it, with traces, log lines, profiles and the API, through which each
//! workflow is asked for and followed to its end. The kind is the only thing that `serve` has not.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use async_trait::async_trait;
use clap::Parser;
use fixpoint::{BoxError, Context, Plan, Step, Steps, Together};
use fixpoint_bench::{
    errors::exit_code,
    rounds::{Begins, Failure, Shape, Workflow, play},
    whole::Whole,
};
use fixpoint_client::{Client, RunState};
use fixpoint_server::{
    Invalid, Kind, ResourceRef, StatusCell,
    store::{DiskStore, EtcdOptions, EtcdStore, RunStore},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Run steps that do nothing, as standard input asks for
#[derive(Debug, Parser)]
struct Args {
    /// The folder of everything that is to survive
    data: PathBuf,
    /// Keep resources and runs in etcd, at this HOST:PORT, rather than in the folder
    #[arg(long)]
    etcd: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(args: Args) -> Result<(), Failure> {
    let runs: Arc<dyn RunStore> = match args.etcd {
        None => Arc::new(DiskStore::open(args.data.join("runs"))?),
        Some(address) => {
            let endpoints = vec![format!("http://{address}")];
            let (prefix, rest) = ("/steps".to_owned(), EtcdOptions::default());
            Arc::new(EtcdStore::open(EtcdOptions { endpoints, prefix, ..rest }).await?)
        }
    };
    let begins = Begins::default();
    let chains = Chains(begins.clone());
    let server = Whole::start(&args.data, runs, |server, _| server.kind(chains)).await?;
    let client = Client::new(&server.url)?;
    let played = play(begins, move |workflow| converge(client.clone(), workflow)).await;
    server.stop().await?;
    played
}

/// Asks for a workflow, and returns when the server has told of its end.
async fn converge(client: Client, workflow: Workflow) -> Result<(), Failure> {
    let Workflow { id, shape, steps } = workflow;
    let together = shape == Shape::Together;
    // Those of an earlier start are still there.
    let name = format!("w{:016x}", fastrand::u64(..));
    let body = json!({"name": name, "id": id, "steps": steps, "together": together});
    let accepted = client.create(Chains::NAME, &body).await?;
    let mut run = client.follow(&accepted.run_id.ok_or("no run was begun")?);
    let mut state = None;
    while let Some(next) = run.next().await {
        state = Some(next?.state);
    }
    match state {
        Some(RunState::Converged) => Ok(()),
        state => Err(format!("{id} ended {state:?}").into()),
    }
}

/// Resources that are there once their steps have begun.
struct Chains(Begins);

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Chain {
    id: u64,
    steps: usize,
    together: bool,
}

impl Kind for Chains {
    const NAME: &'static str = "chains";
    type Spec = Chain;

    fn validate(&self, _: &str, _: &Chain, _: Option<&Chain>) -> Vec<Invalid> {
        Vec::new()
    }

    fn plan(&self, resource: &ResourceRef<'_, Chain>, _: StatusCell) -> Box<dyn Plan> {
        Box::new(Begin { begins: self.0.clone(), chain: resource.spec.clone() })
    }
}

struct Begin {
    begins: Begins,
    chain: Chain,
}

#[async_trait]
impl Plan for Begin {
    fn name(&self) -> &str {
        "begin"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        let Chain { id, steps, together } = self.chain;
        let begun = self.begins.count(id);
        let mut left = Steps::none();
        for number in begun..steps {
            left.push(Noop { number, id, begins: self.begins.clone() });
        }
        Ok(if together && !left.is_empty() {
            Steps::none().with(Together::new(left).limit(steps))
        } else {
            left
        })
    }
}

struct Noop {
    number: usize,
    id: u64,
    begins: Begins,
}

impl std::fmt::Debug for Noop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Noop").field(&self.number).finish()
    }
}

#[async_trait]
impl Step for Noop {
    fn name(&self) -> &str {
        "noop"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        self.begins.note(self.id);
        Ok(Steps::none())
    }
}
