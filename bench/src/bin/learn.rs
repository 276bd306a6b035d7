//! `learn`: what profiles of good traces cost, built from a store and kept while spans come in.
//!
//! Not here: what counting a trace in memory costs (`cargo bench -p fixpoint-trace --bench profile`).
//! The surprise: reading and counting are timed apart, since most of the time goes into reading.

use std::{
    collections::HashMap,
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use clap::Parser;
use clusters::Clusters;
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Sandbox, SandboxOptions},
};
use fixpoint_bench::{
    data::DataSet,
    encode::Encoding,
    errors::exit_code,
    fill::fill,
    process::Process,
    source::{Clock, Options, Source, now},
};
use fixpoint_server::{Server, store::MemoryStore};
use fixpoint_trace::{
    compare::profile::Profile,
    record::Recorder,
    store::{
        TraceQuery, TraceStore,
        engine::{Engine, Options as StoreOptions},
    },
};
use tokio::{net::TcpListener, time::Instant};

type BoxError = Box<dyn Error + Send + Sync>;

/// Measure what profiles of good traces cost
#[derive(Debug, Parser)]
struct Args {
    /// Where; a store in its folder `stored` is used again
    folder: PathBuf,
    /// Build profiles from so many stored spans; 0 for none
    #[arg(long, default_value_t = 1_000_000)]
    stored: u64,
    /// Take in so many spans with and without a server that learns; 0 for none
    #[arg(long, default_value_t = 2_000_000)]
    taken_in: u64,
    /// At most so many a second
    #[arg(long)]
    rate: Option<u64>,
    /// So often, by turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Which spans
    #[arg(long, value_enum, default_value = "provisioning")]
    data: DataSet,
}

/// How many traces are listed, and read, at once.
const AT_ONCE: usize = 500;

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(args: Args) -> Result<(), BoxError> {
    if args.stored > 0 {
        stored(&args).await?;
    }
    if args.taken_in > 0 {
        taken_in(&args).await?;
    }
    Ok(())
}

fn source(data: DataSet, clock: Clock) -> Arc<Source> {
    let options = Options { data, encoding: Encoding::Otlp, batch: 512, round: 65_536, seed: 1 };
    Arc::new(Source::new(options, clock))
}

/// Builds the profile of each operation from all traces of a store, one trace after another.
async fn stored(args: &Args) -> Result<(), BoxError> {
    let engine = Engine::open(args.folder.join("stored"), StoreOptions::default())?;
    let store: Arc<dyn TraceStore> = Arc::new(engine.clone());
    if store.stats().await?.spans < args.stored {
        let start = now().saturating_sub(args.stored.saturating_mul(1_000_000_000) / 1160);
        let source = source(args.data, Clock::Steady { start, per_second: 1160 });
        fill(&store, &source, &Arc::new(AtomicU64::new(0)), args.stored, 8, None).await?;
    }
    engine.settle().await?;

    let mut profiles: HashMap<(String, String), Profile> = HashMap::new();
    let [mut listing, mut reading, mut counting] = [Duration::ZERO; 3];
    let cpu = Process::own().cpu_seconds()?;
    let mut query = TraceQuery { limit: AT_ONCE, ..TraceQuery::default() };
    let mut spans = 0;
    loop {
        let start = Instant::now();
        let page = store.search(&query).await?;
        let listed = Instant::now();
        let ids: Vec<_> = page.items.iter().map(|summary| summary.trace_id).collect();
        let traces = store.traces(&ids).await?;
        let read = Instant::now();
        for (summary, trace) in page.items.into_iter().zip(traces) {
            let profile = profiles.entry((summary.service, summary.name)).or_default();
            if let Some(trace) = trace {
                profile.add(&trace);
                spans += trace.spans.len();
            }
        }
        listing += listed - start;
        reading += read - listed;
        counting += read.elapsed();
        query.before = page.next;
        if query.before.is_none() {
            break;
        }
    }
    let cpu = Process::own().cpu_seconds()? - cpu;
    let paths: usize = profiles.values().map(|profile| profile.paths().len()).sum();
    let bytes: usize = profiles.values().map(Profile::bytes).sum();
    let mut out = io::stdout().lock();
    writeln!(out, "{spans} stored spans: {} profiles of {paths} paths", profiles.len())?;
    writeln!(out, "{:.1} MB in memory; {cpu:.1} s of CPU", ratio(bytes, 1e6))?;
    for (what, took) in [("listing", listing), ("reading", reading), ("counting", counting)] {
        let seconds = took.as_secs_f64();
        writeln!(out, "{what:>9} {seconds:6.1} s, {:.0} spans/s", ratio(spans, seconds))?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio(count: usize, of: f64) -> f64 {
    count as f64 / of
}

/// Takes the same spans in with and without a server that learns from them, by turns.
async fn taken_in(args: &Args) -> Result<(), BoxError> {
    let own = Process::own();
    let source = self::source(args.data, Clock::now());
    // Making the requests is not taking them in.
    let (cpu, start) = (own.cpu_seconds()?, Instant::now());
    let rounds = args.taken_in.div_ceil(source.spans_in_round());
    for number in 0..rounds * source.requests_in_round() {
        std::hint::black_box(source.request(number));
    }
    let making = own.cpu_seconds()? - cpu;
    writeln!(io::stdout(), "making the requests: {making:.2} s of CPU in {:?}", start.elapsed())?;
    let mut took: [Vec<f64>; 2] = Default::default();
    for round in 0..args.rounds {
        for learns in [round % 2 == 0, round % 2 == 1] {
            let folder = args.folder.join(format!("taken-in-{round}-{learns}"));
            let cpu = once(args, &folder, learns).await? - making;
            std::fs::remove_dir_all(&folder)?;
            writeln!(io::stdout(), "learning {learns}: {cpu:.2} s of CPU")?;
            took[usize::from(learns)].push(cpu);
        }
    }
    let [without, with] = took.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    });
    writeln!(
        io::stdout(),
        "medians: {without:.2} s without, {with:.2} s with: {:+.1} %",
        (with / without - 1.0) * 100.0
    )?;
    Ok(())
}

/// How much CPU it takes to take all in; with sealing and merging.
async fn once(args: &Args, folder: &Path, learns: bool) -> Result<f64, BoxError> {
    let own = Process::own();
    let engine = Engine::open(folder, StoreOptions::default())?;
    let store: Arc<dyn TraceStore> = Arc::new(engine.clone());
    let source = source(args.data, Clock::now());
    let (recorder, writer) = Recorder::new(Arc::clone(&store));
    let writing = tokio::spawn(writer.run(std::future::pending()));
    let sandbox = Sandbox::open(SandboxOptions::default())?;
    let aws = AwsOptions { sandbox: Some(sandbox), ..AwsOptions::default() };
    let server = Server::builder()
        .runs(Arc::new(MemoryStore::new()))
        .traces(Arc::clone(&store), recorder)
        .kind(Clusters::new(Aws::connect(aws).await))
        .build()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let cpu = own.cpu_seconds()?;
    let serving = learns.then(|| tokio::spawn(server.run(listener, std::future::pending())));
    fill(&store, &source, &Arc::new(AtomicU64::new(0)), args.taken_in, 8, args.rate).await?;
    engine.settle().await?;
    let cpu = own.cpu_seconds()? - cpu;
    if let Some(serving) = serving {
        serving.abort();
        let _ended = serving.await;
    }
    writing.abort();
    Ok(cpu)
}
