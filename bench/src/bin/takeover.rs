//! `takeover`: kills or stops the server that drives a run, again and again, and tells for how long
//! nobody drove it, and whether anybody wrote who should not.
//!
//! Starts one etcd and two servers, which are this program again. Every change in etcd is watched,
//! and each write of a run is held against who owned its resource at that revision: what the servers
//! believe of themselves counts for nothing. `docs/reliability.md` has the figures.

use std::{
    collections::HashMap,
    error::Error,
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use clap::{Parser, Subcommand, ValueEnum};
use fixpoint::{BoxError, Context, Plan, Scheduler, Step, Steps};
use fixpoint_bench::{errors::exit_code, measure::Times};
use fixpoint_client::Client;
use fixpoint_server::{
    Access, Hosts, Invalid, Kind, ResourceRef, Server, StatusCell,
    store::{EtcdOptions, EtcdStore, RunStore, Watch, Watched, testing::Etcd},
};
use fixpoint_trace::{record::Recorder, store::memory::MemoryStore};
use serde_json::{Value, json};

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
    Server { name: String, port: u16, etcd: String, life: u64 },
}

type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PREFIX: &str = "/takeover";
const RESOURCE: &str = "mills/one";

/// Longer than this, and something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    exit_code(run(Args::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(args: Args) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.command {
        Some(Role::Server { name, port, etcd, life }) => {
            runtime.block_on(serve(name, port, etcd, life))
        }
        None => runtime.block_on(measure(&args)),
    }
}

async fn serve(name: String, port: u16, etcd: String, life: u64) -> Result {
    let runs = EtcdStore::open(EtcdOptions {
        endpoints: etcd.split(',').map(str::to_owned).collect(),
        prefix: PREFIX.to_owned(),
        ..EtcdOptions::default()
    })
    .await?;
    let traces = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::new(Arc::clone(&traces) as _);
    tokio::spawn(writer.run(std::future::pending()));
    let scheduler = Scheduler::default()
        .max_iterations(u32::MAX)
        .max_steps(u32::MAX)
        .max_wall(Duration::from_secs(86_400));
    let server = Server::builder()
        .kind(Mills)
        .name(name)
        .runs(Arc::new(runs))
        .traces(traces, recorder)
        .access(Access::Anyone(Hosts::default()))
        .scheduler(scheduler)
        .take_over_after(Duration::from_secs(life))
        .build()?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(server.run(listener, std::future::pending()).await?)
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

/// What every write in etcd says, in order.
#[derive(Debug, Default)]
struct History {
    owner: Option<String>,
    /// Who wrote the run last, and when that was seen.
    driver: Option<(String, Instant)>,
    /// Which servers have said that they take part, and at which revision.
    servers: HashMap<String, u64>,
    writes: u64,
    /// Writes of a run by somebody who did not own its resource.
    wrong: Vec<String>,
}

impl History {
    fn take(&mut self, change: &fixpoint_server::store::Change) -> Result {
        let text = |value: &Value| value["server"].as_str().map(str::to_owned);
        let value = change.value.as_deref().filter(|value| !value.is_empty());
        let value: Option<Value> = value.map(serde_json::from_slice).transpose()?;
        if change.key == format!("owners/{RESOURCE}") {
            self.owner = value.as_ref().and_then(text);
        } else if let Some(server) = change.key.strip_prefix("servers/") {
            match value {
                Some(_) => drop(self.servers.insert(server.to_owned(), change.version)),
                None => drop(self.servers.remove(server)),
            }
        } else if change.key.starts_with("runs/")
            && let Some(server) = value.as_ref().and_then(text)
        {
            self.writes += 1;
            if self.owner.as_ref() != Some(&server) {
                let what =
                    format!("{} wrote at {}, owner {:?}", server, change.version, self.owner);
                self.wrong.push(what);
            }
            if self.driver.as_ref().is_none_or(|(driver, _)| *driver != server) {
                self.driver = Some((server, Instant::now()));
            }
        }
        Ok(())
    }
}

/// A server that this program started.
struct Worker {
    name: String,
    port: u16,
    process: Child,
}

impl Worker {
    fn start(number: usize, etcd: &Etcd, life: u64) -> Result<Self> {
        let name = format!("server-{number}");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let etcd = etcd.options(PREFIX).endpoints.join(",");
        let process = Command::new(std::env::current_exe()?)
            .args(["server", &name, &port.to_string(), &etcd, &life.to_string()])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self { name, port, process })
    }

    fn signal(&self, signal: &str) -> Result {
        let sent = Command::new("kill").args([signal, &self.process.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("{} is gone", self.name).into()) }
    }

    /// How many late writes etcd has refused it.
    async fn refused(&self) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.port);
        let text = reqwest::get(url).await?.text().await?;
        let name = "fixpoint_late_writes_refused_total ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.ok_or("no such metric")?.parse()?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _gone_already = self.process.wait();
    }
}

/// What of the history is waited for.
async fn until<T>(
    history: &Mutex<History>,
    what: &str,
    ready: impl Fn(&History) -> Option<T>,
) -> Result<T> {
    let waiting = async {
        loop {
            if let Some(found) = ready(&history.lock().unwrap_or_else(PoisonError::into_inner)) {
                return found;
            }
            tokio::task::yield_now().await;
            rest(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| format!("{what}: not in time").into())
}

async fn rest(pause: Duration) {
    let _elapsed = tokio::time::timeout(pause, std::future::pending::<()>()).await;
}

async fn listen(mut watch: Watch, history: Arc<Mutex<History>>) -> Result {
    while let Some(watched) = watch.next().await {
        let Watched::Changed(change) = watched else { return Err("changes were missed".into()) };
        history.lock().unwrap_or_else(PoisonError::into_inner).take(&change)?;
    }
    Ok(())
}

async fn measure(args: &Args) -> Result {
    let etcd = Etcd::start(1)?;
    let store = EtcdStore::open(etcd.options(PREFIX)).await?;
    let history = Arc::new(Mutex::new(History::default()));
    let listening = listen(store.watch(""), Arc::clone(&history));
    tokio::select! {
        result = listening => result.and_then(|()| Err("etcd has closed".into())),
        result = rounds(args, &etcd, &history) => result,
    }
}

async fn rounds(args: &Args, etcd: &Etcd, history: &Mutex<History>) -> Result {
    let mut started = 2;
    let mut workers = [Worker::start(0, etcd, args.life)?, Worker::start(1, etcd, args.life)?];
    for worker in &workers {
        let has_come = |history: &History| history.servers.get(&worker.name).copied();
        until(history, "a server takes part", has_come).await?;
    }
    let client = Client::new(&format!("http://127.0.0.1:{}", workers[0].port))?;
    client.create("mills", &json!({"name": "one"})).await?;

    let (mut took, mut refused) = (Times::default(), 0);
    for _ in 0..args.rounds {
        let driver = until(history, "somebody drives the run", |history| {
            let (driver, _) = history.driver.clone()?;
            history.servers.contains_key(&driver).then_some(driver)
        })
        .await?;
        // At any moment of its work and of its lease.
        rest(Duration::from_millis(fastrand::u64(0..2000))).await;
        let at = workers.iter().position(|worker| worker.name == driver);
        let at = at.ok_or("a server drives that was not started")?;
        let before = workers[at].refused().await?;
        let since = Instant::now();
        match args.how {
            How::Kill => workers[at].process.kill()?,
            How::Stop => workers[at].signal("-STOP")?,
        }
        let next = until(history, "another server takes over", |history| {
            history.driver.clone().filter(|(now, _)| *now != driver).map(|(_, when)| when)
        })
        .await?;
        took.add(next.saturating_duration_since(since));
        match args.how {
            How::Kill => {
                workers[at] = Worker::start(started, etcd, args.life)?;
                started += 1;
                let name = &workers[at].name;
                let has_come = |history: &History| history.servers.get(name).copied();
                until(history, "the new server takes part", has_come).await?;
            }
            How::Stop => {
                rest(Duration::from_secs(2)).await;
                workers[at].signal("-CONT")?;
                let has_come = |history: &History| history.servers.get(&driver).copied();
                until(history, "the stopped server takes part again", has_come).await?;
                refused += workers[at].refused().await? - before;
            }
        }
    }
    let took = took.summary();
    let history = history.lock().unwrap_or_else(PoisonError::into_inner);
    println!("rounds {}, lease {} s, {:?}", took.count, args.life, args.how);
    println!("until another drove: {took}");
    println!(
        "writes of the run {}, by others than its owner {}",
        history.writes,
        history.wrong.len()
    );
    if args.how == How::Stop {
        println!("late writes that reached etcd and were refused: {refused}");
    }
    if history.wrong.is_empty() { Ok(()) } else { Err(history.wrong.join("\n").into()) }
}
