//! `load`: sends spans to a server and tells how fast they were acknowledged.
//!
//! Not here: starting servers (`bench/ingest`). The surprise: with `--pid`, it goes on watching the
//! server's CPU after the last answer, since sealing and indexes are part of what a span costs.

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Parser;
use fixpoint_bench::{
    data::DataSet,
    drive::{Ledger, Outcome, Plan, drive},
    errors::exit_code,
    process::Process,
    send::Protocol,
    source::{Clock, Options, Source, now},
};

/// Send spans to a tracing backend, and tell how fast they are acknowledged
#[derive(Debug, Parser)]
struct Args {
    /// Where to: 127.0.0.1:4317
    address: String,
    /// By which protocol
    #[arg(long, value_enum, default_value = "otlp-grpc")]
    protocol: Protocol,
    /// Which spans
    #[arg(long, value_enum, default_value = "wide")]
    data: DataSet,
    /// How many spans
    #[arg(long, default_value_t = 1_000_000)]
    spans: u64,
    /// Stop after so many seconds even so
    #[arg(long)]
    seconds: Option<f64>,
    /// So many spans first that are not measured
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// At most this many spans in a request
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Over so many connections, each with one request under way
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// So many spans a second, rather than as fast as they are acknowledged
    #[arg(long)]
    rate: Option<f64>,
    /// Have spans say they came in at so many a second and ended just now, rather than when sent
    #[arg(long)]
    per_second: Option<u64>,
    /// Send a request that is refused or lost again, for so many seconds
    #[arg(long, default_value_t = 10.0)]
    patience: f64,
    /// Where the ids come from: the same seed, the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write each trace's id there, how many of its spans were acknowledged, and how many sent
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// The server's process: tell its CPU time and memory
    #[arg(long)]
    pid: Option<u32>,
    /// Wait no longer than so many seconds until it rests
    #[arg(long, default_value_t = 60.0)]
    rest: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What it has cost the server.
#[derive(Debug, serde::Serialize)]
struct Cost {
    /// Seconds of CPU until the last answer.
    cpu_seconds: f64,
    /// And until it came to rest.
    cpu_seconds_at_rest: f64,
    /// Whether it did.
    at_rest: bool,
    /// Spans acknowledged for each second of CPU until it came to rest.
    spans_per_core_second: f64,
    /// The most memory it had, in bytes.
    peak_memory: u64,
}

#[derive(Debug, serde::Serialize)]
struct Report {
    protocol: Protocol,
    data: DataSet,
    batch: usize,
    connections: usize,
    /// Spans acknowledged in all, before the measuring too.
    acknowledged: u64,
    #[serde(flatten)]
    outcome: Outcome,
    server: Option<Cost>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await)
}

async fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let options = Options {
        data: args.data,
        encoding: args.protocol.encoding(),
        batch: args.batch,
        round: 65_536,
        seed: args.seed,
    };
    let clock = args.per_second.map_or_else(Clock::now, |per_second| {
        let per_second = per_second.max(1);
        let length = (args.warm_up + args.spans).saturating_mul(1_000_000_000) / per_second;
        Clock::Steady { start: now().saturating_sub(length), per_second }
    });
    let source = Arc::new(Source::new(options, clock));
    let ledger = args.ids.is_some().then(|| Arc::new(Mutex::new(Ledger::new())));
    let mut plan = Plan {
        protocol: args.protocol,
        address: args.address.clone(),
        first: 0,
        spans: args.warm_up,
        at_most: None,
        connections: args.connections,
        rate: None,
        patience: Duration::try_from_secs_f64(args.patience)?,
    };
    let mut acknowledged = 0;
    if args.warm_up > 0 {
        let warm = drive(&source, &plan, ledger.as_ref()).await?;
        (plan.first, acknowledged) = (warm.next, warm.spans);
    }
    plan.spans = args.spans;
    plan.rate = args.rate;
    plan.at_most = args.seconds.map(Duration::try_from_secs_f64).transpose()?;

    let server = args.pid.map(Process::new);
    let before = server.as_ref().map(Process::cpu_seconds).transpose()?;
    let outcome = drive(&source, &plan, ledger.as_ref()).await?;
    acknowledged += outcome.spans;
    let server = match server.zip(before) {
        Some((server, before)) => {
            let cpu_seconds = server.cpu_seconds()? - before;
            let at_rest = server.rest(Duration::try_from_secs_f64(args.rest)?).await?;
            let cpu_seconds_at_rest = server.cpu_seconds()? - before;
            #[allow(clippy::cast_precision_loss, reason = "a rate")]
            let spans_per_core_second = outcome.spans as f64 / cpu_seconds_at_rest;
            let peak_memory = server.peak_memory()?;
            Some(Cost {
                cpu_seconds,
                cpu_seconds_at_rest,
                at_rest,
                spans_per_core_second,
                peak_memory,
            })
        }
        None => None,
    };

    if let Some((path, ledger)) = args.ids.zip(ledger) {
        let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        for (id, (acknowledged, sent)) in &*ledger {
            writeln!(file, "{:032x} {acknowledged} {sent}", u128::from_be_bytes(*id))?;
        }
        file.flush()?;
    }
    let failed = outcome.failed > 0;
    let Args { protocol, data, batch, connections, .. } = args;
    let report = Report { protocol, data, batch, connections, acknowledged, outcome, server };
    tell(&report, args.json)?;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(report: &Report, json: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
        return Ok(());
    }
    let it = &report.outcome;
    writeln!(
        out,
        "{} spans in {} requests acknowledged in {:.1} s: {:.0} spans/s",
        it.spans, it.requests, it.seconds, it.spans_per_second
    )?;
    writeln!(out, "acknowledgement {}", it.acknowledgement_ms)?;
    if it.refused + it.lost + it.left_out + it.failed > 0 {
        writeln!(
            out,
            "{} refused for now, {} lost, {} sent again, {} spans left out, {} requests given up",
            it.refused, it.lost, it.retried, it.left_out, it.failed
        )?;
    }
    if let Some(why) = &it.first_failure {
        writeln!(out, "the first was given up since {why}")?;
    }
    if let Some(server) = &report.server {
        writeln!(
            out,
            "server: {:.1} s of CPU, {:.1} s until {}: {:.0} spans per core and second; at most {} MB",
            server.cpu_seconds,
            server.cpu_seconds_at_rest,
            if server.at_rest { "it rested" } else { "patience ended, not at rest" },
            server.spans_per_core_second,
            server.peak_memory / 1_000_000,
        )?;
    }
    Ok(())
}
