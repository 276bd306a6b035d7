//! `settle`: seals and merges what a stopped server left, and tells what that cost.
//!
//! For `bench/ingest`: sealing is part of what a span costs and of how small it gets, and a server
//! puts it off until enough has come. Prints one line of JSON.

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use fixpoint_bench::{
    errors::exit_code,
    process::{Process, disk_bytes},
};
use fixpoint_trace::store::{
    TraceStore,
    engine::{Engine, Options},
};

/// Seal and merge a trace store that no server has open, and tell what that cost
#[derive(Debug, Parser)]
struct Args {
    /// The folder of the trace store
    folder: PathBuf,
}

/// What it came to.
#[derive(Debug, serde::Serialize)]
struct Settled {
    spans: u64,
    cpu_seconds: f64,
    disk: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let engine = Engine::open(&args.folder, Options::default())?;
    engine.settle().await?;
    let spans = engine.stats().await?.spans;
    drop(engine);
    let cpu_seconds = Process::own().cpu_seconds()?;
    let settled = Settled { spans, cpu_seconds, disk: disk_bytes(&args.folder)? };
    writeln!(io::stdout(), "{}", serde_json::to_string(&settled)?)?;
    Ok(())
}
