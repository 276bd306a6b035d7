//! `sustain`: the highest rate of runs at which a server with a thousand resources answers everything
//! in time, and ten minutes of it.
//!
//! Not here: what is asked (`sustained/`). The surprise: the server is this program once more, as a
//! process of its own, so that its memory and its share of the two cores are told apart from those of
//! whoever asks. `docs/reliability.md` has the figures.

use std::{
    io::{self, BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};
use fixpoint_bench::{
    errors::exit_code,
    process::{Process, disk_bytes},
    sustained::{
        Result,
        asking::Asking,
        plants::serve,
        round::{Played, Round},
    },
};

/// Find the highest rate of runs at which everything is answered in time, and keep it up
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,
    /// How long the rate that was found is kept up
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How long each rate is tried before
    #[arg(long, default_value_t = 30)]
    probe: u64,
    /// How many resources there are
    #[arg(long, default_value_t = 1000)]
    resources: u64,
    /// How many questions are asked in a second, besides changes and followers
    #[arg(long, default_value_t = 40.0)]
    questions: f64,
    /// Keep up so many runs a second, rather than look for the highest rate
    #[arg(long)]
    rate: Option<f64>,
    /// Where the server keeps its folder [default: /var/tmp, removed at the end]
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be the server
    #[command(hide = true)]
    Server { data: PathBuf },
}

/// The first rate that is tried, in runs a second.
const FIRST: f64 = 16.0;

/// How often the gap between a rate that holds and one that does not is halved.
const HALVINGS: u32 = 3;

/// What is kept up is so much of the highest rate that held: a probe is short, and fewer things happen
/// in it.
const OF_HIGHEST: f64 = 0.9;

/// How long the runs of a rate that did not hold may take to end.
const QUIET: Duration = Duration::from_secs(300);

fn main() -> ExitCode {
    exit_code(run(Args::parse()))
}

fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.command {
        Some(Role::Server { data }) => runtime.block_on(serve(data)).map(|()| ExitCode::SUCCESS),
        None => runtime.block_on(story(&args)),
    }
}

/// The server as a process. Ends with this.
struct Beside {
    process: Child,
    url: String,
}

impl Beside {
    fn start(data: &std::path::Path) -> Result<Self> {
        let log = std::fs::File::create(data.join("log"))?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg("server")
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut url)?;
        Ok(Self { process, url: url.trim().to_owned() })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _gone_already = self.process.wait();
    }
}

async fn story(args: &Args) -> Result<ExitCode> {
    let folder = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        // Where files are on a disk, and syncing costs what it costs.
        None => tempfile::tempdir_in("/var/tmp")?,
    };
    let server = Beside::start(folder.path())?;
    let process = Process::new(server.process.id());
    let asking = Arc::new(Asking::new(&server.url, args.resources)?);
    asking.create().await?;
    asking.quiet(QUIET).await?;
    say(&format!("{} resources are there", args.resources))?;

    let round = |runs, seconds| Round {
        runs,
        questions: args.questions,
        length: Duration::from_secs(seconds),
    };
    let probe = async |runs: f64| -> Result<bool> {
        let played = round(runs, args.probe).play(&asking, &process).await?;
        say(&played.line())?;
        asking.quiet(QUIET).await?;
        Ok(played.broke().is_none())
    };
    let mut rate = match args.rate {
        Some(rate) => rate,
        None => highest(probe).await? * OF_HIGHEST,
    };
    let played: Played = loop {
        let played = round(rate, args.seconds).play(&asking, &process).await?;
        say(&played.line())?;
        if args.rate.is_some() || played.broke().is_none() {
            break played;
        }
        asking.quiet(QUIET).await?;
        rate *= OF_HIGHEST;
    };
    say(&format!("\n{played}"))?;
    #[allow(clippy::cast_precision_loss, reason = "megabytes")]
    let disk = |name| disk_bytes(&folder.path().join(name)).map(|bytes| bytes as f64 / 1e6);
    say(&format!("on disk, MB: runs {:.0}, traces {:.0}", disk("runs")?, disk("traces")?))?;
    Ok(if played.broke().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Doubles the rate until it does not hold, and then looks between the two.
async fn highest(holds: impl AsyncFn(f64) -> Result<bool>) -> Result<f64> {
    let (mut low, mut high) = (0.0, FIRST);
    while holds(high).await? {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if holds(middle).await? {
            low = middle;
        } else {
            high = middle;
        }
    }
    if low > 0.0 { Ok(low) } else { Err(format!("not even {high} runs/s hold").into()) }
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
