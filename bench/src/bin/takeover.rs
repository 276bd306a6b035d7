//! `takeover`: kills or stops the server that drives a run, again and again, and tells for how long
//! nobody drove it, and whether anybody wrote who should not.
//!
//! Starts one etcd and two servers, which are this program again. Every change in etcd is watched,
//! and each write of a run is held against who owned its resource at that revision: what the servers
//! believe of themselves counts for nothing. `docs/reliability.md` has the figures.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use clap::{Parser, Subcommand, ValueEnum};
use fixpoint::{BoxError, Context, Plan, Scheduler, Step, Steps};
use fixpoint_bench::{
    errors::exit_code,
    measure::Times,
    several::{
        Result,
        history::{History, Known},
        rest,
        worker::{Part, Worker, serve},
    },
};
use fixpoint_client::Client;
use fixpoint_server::{
    Invalid, Kind, ResourceRef, StatusCell,
    store::{EtcdStore, RunStore, testing::Etcd},
};
use serde_json::json;

/// Kill or stop the server that drives a run, and see how it goes on
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,
    /// How often
    #[arg(long, default_value_t = 50)]
    rounds: usize,
    /// What is done to the server
    #[arg(long, value_enum, default_value_t = How::Kill)]
    how: How,
    /// How long a lease lives, in seconds
    #[arg(long, default_value_t = 5)]
    life: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum How {
    /// `kill -9`
    Kill,
    /// SIGSTOP until another has taken over and two seconds longer, then SIGCONT
    Stop,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be one of the servers
    #[command(hide = true)]
    Server(Part),
}

const PREFIX: &str = "/takeover";
const RESOURCE: &str = "mills/one";

fn main() -> ExitCode {
    exit_code(run(Args::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(args: Args) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.command {
        Some(Role::Server(part)) => {
            let endless = Scheduler::default()
                .max_iterations(u32::MAX)
                .max_steps(u32::MAX)
                .max_wall(Duration::from_secs(86_400));
            runtime.block_on(serve(part, PREFIX, Mills, endless))
        }
        None => runtime.block_on(measure(&args)),
    }
}

/// A kind whose runs never end and write all the time.
struct Mills;

impl Kind for Mills {
    const NAME: &'static str = "mills";
    type Spec = HashMap<String, String>;

    fn validate(&self, _: &str, _: &Self::Spec, _: Option<&Self::Spec>) -> Vec<Invalid> {
        Vec::new()
    }

    fn plan(&self, _: &ResourceRef<'_, Self::Spec>, _: StatusCell) -> Box<dyn Plan> {
        Box::new(Mill(Mutex::new(0)))
    }
}

struct Mill(Mutex<u64>);

#[async_trait]
impl Plan for Mill {
    fn name(&self) -> &str {
        "mill"
    }

    async fn create(&self, _: &Context) -> std::result::Result<Steps, BoxError> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *turns += 1;
        let mut steps = Steps::none();
        steps.saw("turns", turns.to_string());
        for _ in 0..100 {
            steps.push(Grind);
        }
        Ok(steps)
    }
}

#[derive(Debug)]
struct Grind;

#[async_trait]
impl Step for Grind {
    fn name(&self) -> &str {
        "grind"
    }

    async fn run(&self, cx: &Context) -> std::result::Result<Steps, BoxError> {
        cx.sleep(Duration::from_millis(1)).await?;
        Ok(Steps::none())
    }
}

async fn measure(args: &Args) -> Result {
    let etcd = Etcd::start(1)?;
    let store = EtcdStore::open(etcd.options(PREFIX)).await?;
    let history = History::default();
    let listening = history.listen(store.watch(""));
    tokio::select! {
        result = listening => result,
        result = rounds(args, &etcd, &history) => result,
    }
}

async fn rounds(args: &Args, etcd: &Etcd, history: &History) -> Result {
    let mut started = 2;
    let (endpoints, life) = (etcd.options(PREFIX).endpoints.join(","), args.life.to_string());
    let arguments = [&*endpoints, &*life];
    let mut workers = [Worker::start(0, &arguments)?, Worker::start(1, &arguments)?];
    for worker in &workers {
        let has_come = |known: &Known| known.servers.get(&worker.name).copied();
        history.until("a server takes part", has_come).await?;
    }
    let client = Client::new(&format!("http://127.0.0.1:{}", workers[0].port))?;
    client.create("mills", &json!({"name": "one"})).await?;

    let (mut took, mut refused) = (Times::default(), 0);
    for _ in 0..args.rounds {
        let driver = history
            .until("somebody drives the run", |known| {
                let (driver, _) = known.drivers.get(RESOURCE).cloned()?;
                known.servers.contains_key(&driver).then_some(driver)
            })
            .await?;
        // At any moment of its work and of its lease.
        rest(Duration::from_millis(fastrand::u64(0..2000))).await;
        let at = workers.iter().position(|worker| worker.name == driver);
        let at = at.ok_or("a server drives that was not started")?;
        let before = workers[at].refused().await?;
        let since = Instant::now();
        match args.how {
            How::Kill => workers[at].kill()?,
            How::Stop => workers[at].signal("-STOP")?,
        }
        let next = history
            .until("another server takes over", |known| {
                known
                    .drivers
                    .get(RESOURCE)
                    .cloned()
                    .filter(|(now, _)| *now != driver)
                    .map(|(_, when)| when)
            })
            .await?;
        took.add(next.saturating_duration_since(since));
        match args.how {
            How::Kill => {
                workers[at] = Worker::start(started, &arguments)?;
                started += 1;
                let name = &workers[at].name;
                let has_come = |known: &Known| known.servers.get(name).copied();
                history.until("the new server takes part", has_come).await?;
            }
            How::Stop => {
                rest(Duration::from_secs(2)).await;
                workers[at].signal("-CONT")?;
                let has_come = |known: &Known| known.servers.get(&driver).copied();
                history.until("the stopped server takes part again", has_come).await?;
                refused += workers[at].refused().await? - before;
            }
        }
    }
    let took = took.summary();
    let known = history.known();
    println!("rounds {}, lease {} s, {:?}", took.count, args.life, args.how);
    println!("until another drove: {took}");
    println!("writes of the run {}, by others than its owner {}", known.writes, known.wrong.len());
    if args.how == How::Stop {
        println!("late writes that reached etcd and were refused: {refused}");
    }
    if known.wrong.is_empty() { Ok(()) } else { Err(known.wrong.join("\n").into()) }
}
