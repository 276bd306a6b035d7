//! `faults`: the fault matrix. Breaks each call of a creation in each way that the sandbox knows,
//! and checks that the run converges without help or that `why` names the broken call first.
//!
//! What it does, part by part, is in `bench/src/faults`. The surprise: nothing about the creation
//! is written down here. Which calls it makes is learnt from good runs at the start.

use std::{
    error::Error,
    fs,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::Parser;
use fixpoint::Pace;
use fixpoint_bench::{
    errors::exit_code,
    faults::{
        judge::Judged,
        plan::{Column, Occurrence, cells},
        pool::make_all,
        report::{Report, Row, Totals, false_alarms, json},
        trial::{Past, Setting, Trial},
        usual::{keep, learn},
    },
};
use fixpoint_client::RunState;

/// Break each call of a creation in each way, and check what `why` says
#[derive(Debug, Parser)]
struct Args {
    /// Only this call: EC2.RunInstances; may be given several times
    #[arg(long, value_name = "CALL")]
    only: Vec<String>,
    /// Only these faults
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FAULT")]
    faults: Vec<Column>,
    /// Only these of a call's occurrences
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHICH")]
    occurrences: Vec<Occurrence>,
    /// So many good runs to learn from
    #[arg(long, default_value_t = 50, value_name = "N")]
    learn: usize,
    /// So many good runs more, in which any cause told is a false alarm
    #[arg(long, default_value_t = 200, value_name = "N")]
    good: usize,
    /// So many creations at the same time
    #[arg(long, default_value_t = 6, value_name = "N")]
    jobs: usize,
    /// How many times faster than real the world goes
    #[arg(long, default_value_t = 60.0, value_name = "N")]
    time_scale: f64,
    /// A run that takes longer hangs, in minutes of world time
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    patience: u64,
    /// Which chances the sandboxes take: the same seed, the same cells
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write each cell there as a line of JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report there
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit_code(run(Args::parse()))
}

fn run(args: Args) -> Result<ExitCode, Box<dyn Error + Send + Sync>> {
    let started = Instant::now();
    if !(args.time_scale.is_finite() && args.time_scale > 0.0) {
        return Err("the time scale must be a positive number".into());
    }
    let pace = Pace::times(args.time_scale);
    let setting = Setting { pace, patience: Duration::from_secs(args.patience * 60) };

    let trial =
        |name: String, seed: u64| Trial { name, seed: seed + args.seed, ..Trial::default() };
    let seeded = |prefix: &str, from: usize, n: usize| -> Vec<Trial> {
        (0..n).map(|at| trial(format!("{prefix}{at:04}"), (from + at) as u64)).collect()
    };
    let learning = seeded("past", 0, args.learn);
    let progress = Progress::new("learning", learning.len());
    let good = make_all(&learning, args.jobs, setting, &Past::default(), |_, outcome| {
        progress.one();
        outcome
    })?;
    progress.done();
    if let Some(bad) = good.iter().find(|outcome| outcome.run.state != RunState::Converged) {
        return Err(
            format!("a run without fault ended {}: {:?}", bad.run.state, bad.run.error).into()
        );
    }
    let usual = learn(&good)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let past = runtime.block_on(keep(good))?;

    let columns = if args.faults.is_empty() { Column::ALL.to_vec() } else { args.faults };
    let occurrences =
        if args.occurrences.is_empty() { Occurrence::ALL.to_vec() } else { args.occurrences };
    let cells = cells(&usual, &columns, &occurrences, &args.only);
    let trials: Vec<Trial> = cells
        .iter()
        .zip(seeded("cell", 10_000, cells.len()))
        .map(|(cell, trial)| Trial { faults: cell.faults(), ..trial })
        .collect();
    let progress = Progress::new("cells", trials.len());
    let rows = make_all(&trials, args.jobs, setting, &past, |at, outcome| {
        progress.one();
        let judged = Judged::of(&outcome, Some(&cells[at].call.operation), &usual.made);
        Row::new(&cells[at], judged)
    })?;
    progress.done();

    let trials = seeded("good", 20_000, args.good);
    let progress = Progress::new("good runs", trials.len());
    let good = make_all(&trials, args.jobs, setting, &past, |_, outcome| {
        progress.one();
        Judged::of(&outcome, None, &usual.made)
    })?;
    progress.done();

    if let Some(path) = &args.json {
        json(&rows, &good, io::BufWriter::new(fs::File::create(path)?))?;
    }
    let command = format!(
        "cargo run --release -p fixpoint-bench --bin faults -- {}",
        std::env::args().skip(1).collect::<Vec<_>>().join(" ")
    );
    let learnt = args.learn;
    let report =
        Report { rows: &rows, good: &good, learnt, command: command.trim(), calls: &usual.calls };
    let text = report.markdown();
    if let Some(path) = &args.markdown {
        fs::write(path, &text)?;
    }
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    writeln!(io::stderr(), "{:.0} s", started.elapsed().as_secs_f64())?;
    let totals = Totals::of(&rows);
    let met = totals.right() >= 98.0
        && totals.unexplained == 0
        && totals.hung == 0
        && false_alarms(&good).count() == 0;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Says on stderr how far it is.
struct Progress {
    what: &'static str,
    all: usize,
    done: AtomicUsize,
    live: bool,
}

impl Progress {
    fn new(what: &'static str, all: usize) -> Self {
        Self { what, all, done: AtomicUsize::new(0), live: io::stderr().is_terminal() }
    }

    fn one(&self) {
        let done = self.done.fetch_add(1, Relaxed) + 1;
        if self.live {
            // Nobody may be looking any more.
            let _ = write!(io::stderr(), "\r{}: {done} of {}", self.what, self.all);
        }
    }

    fn done(&self) {
        let start = if self.live { "\r" } else { "" };
        let _ = writeln!(io::stderr(), "{start}{}: {}      ", self.what, self.all);
    }
}
