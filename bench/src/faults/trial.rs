//! One trial: creates one cluster, on a server and a sandbox of its own, and asks `why`.
//!
//! Not here: which faults (`plan.rs`) and whether the answer is right (`judge.rs`). The surprise: a
//! trial needs a thread of its own, with a runtime that uses no other. Where spans go is a matter
//! of the thread, and so two trials at the same time share neither stores nor spans.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use clusters::Clusters;
use fixpoint::Pace;
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Faults, Sandbox, SandboxOptions},
};
use fixpoint_client::{Client, Run, RunState, Why};
use fixpoint_server::{
    Access, Hosts, Server,
    store::{Entry, MemoryStore, Precondition, RunStore, Scan, Write},
};
use fixpoint_trace::{
    layer::RecordLayer,
    model::{Trace, Value},
    record::Recorder,
    store::{
        TraceStore,
        engine::{Durability, Engine, Options},
    },
};
use serde_json::json;
use tokio::net::TcpListener;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt};

/// Anything that keeps a trial from being made; what the faults do is no such thing.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What is created each time.
const NODES: u32 = 3;
const ADDON: &str = "grafana";

/// How often a run is looked at, on the wall.
const LOOK: Duration = Duration::from_millis(20);

/// What has not converged in so many runs does not get better by the next: what a passing fault
/// broke is mended by then.
const RUNS: u32 = 3;

/// How many entries of a run store are written at once.
const AT_ONCE: usize = 100;

/// What all trials have in common.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How much faster than real the world's clock goes.
    pub pace: Pace,
    /// How long a run may take, in world time, before it counts as hanging.
    pub patience: Duration,
}

/// The good runs that a trial starts from.
#[derive(Debug, Default)]
pub struct Past {
    /// What the run store holds.
    pub records: Vec<Entry>,
    /// Their traces, settled in a folder.
    pub traces: Option<tempfile::TempDir>,
}

/// What is to be tried.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// The cluster's name.
    pub name: String,
    /// Of the sandbox's chances.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Faults,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The first run: as it ended, or as it was when the patience was over.
    pub run: Run,
    /// Its trace.
    pub trace: Trace,
    /// How long it took, in world time.
    pub took: Duration,
    /// Request ids of the calls that the fault happened to.
    pub hit: Vec<String>,
    /// What `why` said of the first run; none if it was not asked.
    pub why: Option<Result<Why, String>>,
    /// How long that took, with nothing read before.
    pub why_took: Duration,
    /// What became of the cluster after a failed run.
    pub later: Later,
    /// What there is of the cluster in the end, counted by kind.
    pub made: BTreeMap<String, usize>,
    /// What the run store holds in the end.
    pub records: Vec<Entry>,
}

/// What became of a cluster after its first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Later {
    /// The first run converged.
    Nothing,
    /// A later run converged, with the fault still in force.
    Converged {
        /// How many runs it took in all.
        runs: u32,
    },
    /// The server gave up, or has tried often enough to show that it will not help.
    NotConverged {
        /// How many runs there were.
        runs: u32,
    },
    /// The patience was over first.
    GoingOn,
}

/// Makes a trial, on this thread, from `past`.
///
/// # Errors
/// If server or sandbox cannot be started, or do not answer.
pub fn make(trial: &Trial, setting: Setting, past: &Past) -> Result<Outcome, Failure> {
    fixpoint_trace::testing::watch_all_places();
    let folder = tempfile::tempdir()?;
    if let Some(traces) = &past.traces {
        copy_files(traces.path(), folder.path())?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(play(trial, setting, past, folder.path()))
}

async fn play(
    trial: &Trial,
    setting: Setting,
    past: &Past,
    folder: &Path,
) -> Result<Outcome, Failure> {
    let Setting { pace, patience } = setting;
    let runs = Arc::new(MemoryStore::new());
    for entries in past.records.chunks(AT_ONCE) {
        let put = |e: &Entry| Write::put(e.key.clone(), e.value.clone(), Precondition::Any);
        runs.commit(entries.iter().map(put).collect()).await?;
    }
    let traces = Arc::new(Engine::open(folder, store_options())?);
    let (recorder, writer) = Recorder::new(traces.clone());
    let service = [("service.name".to_owned(), Value::String("fixpoint".into()))];
    let layer = RecordLayer::new(recorder.clone(), service.into_iter().collect());
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new("info")).with(layer);
    let _recording = tracing::subscriber::set_default(subscriber);
    let writing = tokio::spawn(writer.run(std::future::pending()));

    let sandbox = Sandbox::open(SandboxOptions {
        pace,
        seed: trial.seed,
        faults: trial.faults.clone(),
        ..SandboxOptions::default()
    })?;
    let aws = AwsOptions { sandbox: Some(sandbox.clone()), pace, ..AwsOptions::default() };
    let server = Server::builder()
        .runs(runs.clone())
        .traces(traces.clone(), recorder)
        .pace(pace)
        .hints(fixpoint_aws::hint)
        .access(Access::Anyone(Hosts::default()))
        .kind(Clusters::new(Aws::connect(aws).await))
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(&format!("http://{}", listener.local_addr()?))?;
    let serving = tokio::spawn(server.run(listener, std::future::pending()));

    let body = json!({"name": trial.name, "nodes": NODES, "addons": [ADDON]});
    let created = client.create("clusters", &body).await?;
    let id = created.run_id.ok_or("creating a cluster started no run")?;
    let limit = Instant::now() + pace.wall(patience);
    let run = followed(&client, &id, limit).await?;
    let hit = sandbox.fired().into_iter().map(|fired| fired.request_id).collect();

    let asked = Instant::now();
    // Without a past there is nothing to compare with, and the run is one to learn from.
    let why = match past.traces {
        Some(_) => Some(client.run_why(&id).await.map_err(|e| crate::errors::chain(&e))),
        None => None,
    };
    let why_took = asked.elapsed();
    let trace_id = run.trace_id.parse().map_err(|_| "the run has no trace")?;
    let trace = traces.trace(trace_id).await?.unwrap_or_default();
    let later = what_then(&client, &trial.name, &run, limit).await?;
    let records = runs.list(&Scan::prefix("").limit(usize::MAX - 1)).await?.entries;
    serving.abort();
    writing.abort();

    let ended = run.ended_at.unwrap_or_else(jiff::Timestamp::now);
    let wall = Duration::try_from(ended.duration_since(run.created_at)).unwrap_or_default();
    let made = made(&sandbox.inventory(), &trial.name);
    Ok(Outcome { took: pace.world(wall), run, trace, hit, why, why_took, later, made, records })
}

/// The run, when it has ended or the time is over.
async fn followed(client: &Client, id: &str, limit: Instant) -> Result<Run, Failure> {
    loop {
        let run = client.run(id).await?;
        if run.state.is_final() || Instant::now() >= limit {
            return Ok(run);
        }
        pause().await;
    }
}

/// Waits for what the server does about a failed run by itself.
async fn what_then(
    client: &Client,
    name: &str,
    first: &Run,
    limit: Instant,
) -> Result<Later, Failure> {
    if first.state == RunState::Converged {
        return Ok(Later::Nothing);
    }
    let (mut last, mut runs) = (first.clone(), 1);
    loop {
        if !last.state.is_final() {
            return Ok(Later::GoingOn);
        }
        if last.state == RunState::Converged {
            return Ok(Later::Converged { runs });
        }
        if last.retry_at.is_none() || runs == RUNS {
            return Ok(Later::NotConverged { runs });
        }
        let resource = client.resource("clusters", name).await?;
        match resource.run_id.filter(|id| *id != last.id) {
            Some(id) => {
                last = followed(client, &id, limit).await?;
                runs += 1;
            }
            None if Instant::now() >= limit => return Ok(Later::GoingOn),
            None => pause().await,
        }
    }
}

/// Counts what there is of a cluster, by kind.
fn made(inventory: &serde_json::Value, name: &str) -> BTreeMap<String, usize> {
    let kinds = inventory["clusters"][name].as_object().cloned().unwrap_or_default();
    let count = |ids: serde_json::Value| ids.as_array().map_or(0, Vec::len);
    kinds.into_iter().map(|(kind, ids)| (kind, count(ids))).collect()
}

/// Nothing needs to survive a trial, so nothing waits for the disk.
pub(crate) fn store_options() -> Options {
    Options { durability: Durability::ProcessDeath, seal_bytes: 64 << 20, ..Options::default() }
}

fn copy_files(from: &Path, to: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // Links share the bytes: what is settled is never written to again.
        let name = entry.file_name();
        let is_settled = name.to_string_lossy().starts_with("segment-");
        if !(is_settled && fs::hard_link(entry.path(), to.join(&name)).is_ok()) {
            fs::copy(entry.path(), to.join(&name))?;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "no run of ours is involved")]
async fn pause() {
    tokio::time::sleep(LOOK).await;
}
