//! `query`: asks a running server what SREs ask, and tells how long the answers take over HTTP.
//!
//! The traces come from `load --ids`. Not here: a store in this process (`grow`).

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::Parser;
use fixpoint_bench::{
    errors::exit_code,
    questions::{OverHttp, ask, make, table},
};
use fixpoint_trace::model::TraceId;

/// Ask a running server questions, and tell how long the answers take
#[derive(Debug, Parser)]
struct Args {
    /// The server: http://127.0.0.1:7171
    url: String,
    /// The traces that are there, as `load --ids` writes them
    #[arg(long, value_name = "FILE")]
    ids: PathBuf,
    /// Ask each question so often, each time of another trace
    #[arg(long, default_value_t = 200)]
    times: usize,
    /// The server's folder: ask once more with its files out of the kernel's cache
    #[arg(long, value_name = "DIR")]
    cold: Option<PathBuf>,
    /// Which traces are asked for
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(args: Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = std::fs::read_to_string(&args.ids)?;
    let mut ids: Vec<TraceId> =
        text.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    // The ledger has no order, and the seed is to decide.
    ids.sort_unstable();
    fastrand::Rng::with_seed(args.seed).shuffle(&mut ids);
    let (known, others) = ids.split_at(args.times.min(ids.len() / 2));
    let samples = &others[..known.len()];

    let answerer = OverHttp::new(&args.url)?;
    let asked = make(&answerer, known, samples).await?;
    let mut rows = ask(&answerer, &asked, None).await?;
    if let Some(folder) = &args.cold {
        rows.extend(ask(&answerer, &asked, Some(folder)).await?);
    }
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&rows)?)?;
    } else {
        table(&rows, &mut out)?;
    }
    Ok(())
}
