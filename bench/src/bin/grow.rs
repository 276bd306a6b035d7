//! `grow`: fills a store in this process to one size after another, and asks it questions at each.
//!
//! How the cost grows with the store, without a network. The surprise: spans say that they came in
//! at a steady rate and that the last came in just now, so an hour is the same number of spans at
//! each size; a store that had seen everything within a minute would answer no question about an
//! hour.

use std::{
    error::Error,
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use clap::Parser;
use fixpoint_bench::{
    data::DataSet,
    encode::Encoding,
    errors::exit_code,
    fill::fill,
    process::{Process, disk_bytes},
    questions::{InProcess, Row, ask, make, table},
    source::{Clock, Options, Source, now},
};
use fixpoint_trace::{
    model::TraceId,
    store::{
        TraceStore,
        engine::{Engine, Options as StoreOptions},
    },
};
use tokio::time::Instant;

type BoxError = Box<dyn Error + Send + Sync>;

/// Fill a store to one size after another, and ask it questions at each
#[derive(Debug, Parser)]
struct Args {
    /// Where; the folder must be empty or missing
    folder: PathBuf,
    /// How many spans, one size after another
    #[arg(long, value_delimiter = ',', default_value = "1000000,10000000")]
    to: Vec<u64>,
    /// Which spans
    #[arg(long, value_enum, default_value = "provisioning")]
    data: DataSet,
    /// How many spans a second they say came in
    #[arg(long, default_value_t = 1160)]
    per_second: u64,
    /// At most this many spans in a request
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 8)]
    at_once: usize,
    /// Ask each question so often, each time of another trace
    #[arg(long, default_value_t = 200)]
    times: usize,
    /// Add a line of JSON for each size to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A store of one size.
#[derive(Debug, serde::Serialize)]
struct Size {
    data: DataSet,
    spans: u64,
    /// Spans a second while it grew from the size before.
    spans_per_second: f64,
    /// The same, for each second of CPU, until all was sealed and merged; making the requests is
    /// counted too.
    spans_per_core_second: f64,
    bytes_per_span: f64,
    segments: u64,
    /// The memory that the store has taken, the requests to be sent left out.
    memory: u64,
    peak_memory: u64,
    questions: Vec<Row>,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code(run(Args::parse()).await.map(|()| ExitCode::SUCCESS))
}

async fn run(args: Args) -> Result<(), BoxError> {
    if args.folder.exists() && args.folder.read_dir()?.next().is_some() {
        return Err(format!("{} is not empty", args.folder.display()).into());
    }
    let per_second = args.per_second.max(1);
    let most = args.to.iter().copied().max().unwrap_or_default();
    let length = most.saturating_mul(1_000_000_000) / per_second;
    let options = Options {
        data: args.data,
        encoding: Encoding::Otlp,
        batch: args.batch,
        round: 65_536,
        seed: 1,
    };
    let clock = Clock::Steady { start: now().saturating_sub(length), per_second };
    let source = Arc::new(Source::new(options, clock));
    let own = Process::own();
    let requests_memory = own.memory()?;
    let engine = Engine::open(&args.folder, StoreOptions::default())?;
    let store: Arc<dyn TraceStore> = Arc::new(engine.clone());
    let next = Arc::new(AtomicU64::new(0));
    let mut before = 0;
    for &wanted in &args.to {
        let (start, cpu) = (Instant::now(), own.cpu_seconds()?);
        fill(&store, &source, &next, wanted, args.at_once, None).await?;
        let seconds = start.elapsed().as_secs_f64();
        engine.settle().await?;
        let cpu = own.cpu_seconds()? - cpu;
        let spans = source.spans_before(next.load(Relaxed));
        let rounds = spans / source.spans_in_round();
        let questions = question(&store, &source, rounds, &args).await?;
        let size = Size {
            data: args.data,
            spans,
            spans_per_second: ratio(spans - before, seconds),
            spans_per_core_second: ratio(spans - before, cpu),
            bytes_per_span: ratio(disk_bytes(&args.folder)?, ratio(spans, 1.0)),
            segments: store.stats().await?.segments,
            memory: own.memory()?.saturating_sub(requests_memory),
            peak_memory: own.peak_memory()?,
            questions,
        };
        before = spans;
        tell(&size, args.json.as_deref())?;
    }
    Ok(())
}

async fn question(
    store: &Arc<dyn TraceStore>,
    source: &Source,
    rounds: u64,
    args: &Args,
) -> Result<Vec<Row>, BoxError> {
    let mut rng = fastrand::Rng::with_seed(rounds);
    let mut any = || TraceId::from_bytes(source.any_trace(rounds, &mut rng));
    let known: Vec<_> = (0..args.times).filter_map(|_| any()).collect();
    let samples: Vec<_> = (0..args.times).filter_map(|_| any()).collect();
    let answerer = InProcess::new(Arc::clone(store));
    let asked = make(&answerer, &known, &samples).await?;
    let mut rows = ask(&answerer, &asked, None).await?;
    rows.extend(ask(&answerer, &asked, Some(&args.folder)).await?);
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "a ratio")]
fn ratio(count: u64, of: f64) -> f64 {
    count as f64 / of
}

fn tell(size: &Size, json: Option<&Path>) -> Result<(), BoxError> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\n{} spans: grew by {:.0} spans/s, {:.0} per core; {:.1} bytes a span in {} segments; \
         {} MB of memory, at most {} MB",
        size.spans,
        size.spans_per_second,
        size.spans_per_core_second,
        size.bytes_per_span,
        size.segments,
        size.memory / 1_000_000,
        size.peak_memory / 1_000_000,
    )?;
    table(&size.questions, &mut out)?;
    if let Some(path) = json {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        writeln!(file, "{}", serde_json::to_string(size)?)?;
    }
    Ok(())
}
