//! `chaos`: three servers on three members of etcd, under load, while servers and members are killed,
//! stopped and cut off at random; and then, whether anything went wrong that must not.
//!
//! Not here: how long a takeover takes (`takeover.rs`). The surprise: it asks no server what it
//! believes. What was written is read from etcd's own history, what was done from the cloud that it
//! was done to. `docs/reliability.md` has the figures.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use fixpoint::Scheduler;
use fixpoint_bench::{
    errors::exit_code,
    several::{
        Result,
        breaking::{MEMBERS, SERVERS, Servers, break_member},
        history::{History, Known},
        load::Load,
        mills::Mills,
        rest,
        worker::{Part, serve},
        world::World,
    },
};
use fixpoint_client::{Client, RunQuery, RunState};
use fixpoint_server::store::{EtcdStore, RunStore, testing::Etcd};
use tokio::{net::TcpListener, task::JoinSet};

/// Break servers and etcd at random under load, and see what comes of it
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,
    /// For how long
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// What chance begins with, to have the same things broken again [default: another each time]
    #[arg(long)]
    seed: Option<u64>,
    /// How many mills are built, rebuilt and torn down all the time
    #[arg(long, default_value_t = 24)]
    mills: usize,
    /// How long a lease lives, in seconds
    #[arg(long, default_value_t = 2)]
    life: u64,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Be one of the servers
    #[command(hide = true)]
    Server {
        #[command(flatten)]
        part: Part,
        world: SocketAddr,
    },
}

const PREFIX: &str = "/chaos";

/// How long everything may take to come to rest once nothing is broken any more.
const SETTLE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    exit_code(run(Args::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(args: Args) -> Result {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.command {
        Some(Role::Server { part, world }) => {
            runtime.block_on(serve(part, PREFIX, Mills(world), Scheduler::default()))
        }
        None => runtime.block_on(story(&args)),
    }
}

async fn story(args: &Args) -> Result {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let etcd = Etcd::start(MEMBERS)?;
    let store = EtcdStore::open(etcd.options(PREFIX)).await?;
    let (history, world) = (History::default(), World::default());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listening = history.listen(store.watch(""));
    tokio::select! {
        result = listening => result,
        () = world.clone().serve(listener) => Err("the world has ended".into()),
        result = chaos(args, seed, etcd, &history, &world, address) => result,
    }
}

async fn chaos(
    args: &Args,
    seed: u64,
    mut etcd: Etcd,
    history: &History,
    world: &World,
    address: SocketAddr,
) -> Result {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut servers = Servers::start(&etcd, address, args.life).await?;
    let all = |known: &Known| (known.servers.len() == SERVERS).then_some(());
    history.until("the servers take part", all).await?;
    let load = Arc::new(Load { ports: Arc::clone(&servers.ports), ..Load::default() });
    let mut asking = JoinSet::new();
    for number in 0..args.mills {
        let (load, chance) = (Arc::clone(&load), chance.fork());
        asking.spawn(async move {
            let mill = format!("mill-{number}");
            load.keep_asking(&mill, chance).await.map(|parts| (mill, parts))
        });
    }

    let until = Instant::now() + Duration::from_secs(args.seconds);
    let broken = Mutex::new(BTreeMap::<&str, u32>::new());
    let count = |what| {
        *broken.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    };
    let mut other = chance.fork();
    let breaking_servers = async {
        while Instant::now() < until {
            rest(Duration::from_millis(chance.u64(200..2_000))).await;
            count(servers.break_one(&mut chance).await?);
        }
        Result::Ok(())
    };
    let breaking_members = async {
        while Instant::now() < until {
            rest(Duration::from_millis(other.u64(500..4_000))).await;
            count(break_member(&mut etcd, &mut other).await?);
        }
        Ok(())
    };
    tokio::try_join!(breaking_servers, breaking_members)?;
    println!("{} s are over: nothing is broken any more", args.seconds);
    load.stop.store(true, Relaxed);
    let mut wanted = BTreeMap::new();
    while let Some(asked) = asking.join_next().await {
        let (mill, parts) = asked??;
        wanted.insert(mill, (0..parts).collect::<BTreeSet<u32>>());
    }
    println!("all requests are answered");
    let client = load.client(&mut chance)?;
    let settled = Instant::now();
    let states = tokio::time::timeout(SETTLE, at_rest(&client, &load, &wanted, world)).await;
    let states = states.map_err(|_| format!("not at rest after {SETTLE:?}, seed {seed}"))??;

    let (known, world) = (history.known(), world.state());
    let broken = broken.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = |what: &BTreeMap<&str, u32>| {
        let each = what.iter().map(|(what, times)| format!("{what} {times}"));
        each.collect::<Vec<_>>().join(", ")
    };
    println!("{} s, lease {} s: {}", args.seconds, args.life, counted(&broken));
    println!("runs: {}; at rest after {:.1} s", counted(&states), settled.elapsed().as_secs_f64());
    println!(
        "writes of runs {}, by others than the owner {}; runs that changed their server {}",
        known.writes,
        known.wrong.len(),
        known.takeovers
    );
    println!(
        "changes of the world {}, made or taken twice {}, two at once {}",
        world.changes,
        world.twice.len(),
        world.together.len()
    );
    let wrong: Vec<_> = known.wrong.iter().chain(&world.twice).chain(&world.together).collect();
    let failed = states.keys().any(|state| *state != "converged" && *state != "cancelled");
    match wrong.is_empty() && !failed {
        true => Ok(()),
        false => Err(format!("seed {seed}: {wrong:?}, runs {states:?}").into()),
    }
}

/// Waits until every run has ended and everything is as wanted. Returns how many runs ended how.
async fn at_rest(
    client: &Client,
    load: &Load,
    wanted: &BTreeMap<String, BTreeSet<u32>>,
    world: &World,
) -> Result<BTreeMap<&'static str, u32>> {
    let answered = load.runs.lock().unwrap_or_else(PoisonError::into_inner).clone();
    loop {
        rest(Duration::from_millis(200)).await;
        // A server that is away is asked again.
        let Ok(runs) = all_runs(client).await else { continue };
        if let Some(lost) = answered.iter().find(|run| !runs.contains_key(*run)) {
            return Err(format!("run {lost} was lost").into());
        }
        let parts = |mill: &String| world.state().parts.get(mill).cloned().unwrap_or_default();
        let is_wanted = wanted.iter().all(|(mill, wanted)| parts(mill) == *wanted);
        if is_wanted && runs.values().all(|state| state.is_final()) {
            let mut states = BTreeMap::new();
            for state in runs.into_values() {
                *states.entry(state.as_str()).or_default() += 1;
            }
            return Ok(states);
        }
    }
}

/// How every run stands that the servers know of.
async fn all_runs(client: &Client) -> Result<HashMap<String, RunState>> {
    let mut query = RunQuery { limit: Some(200), ..RunQuery::default() };
    let mut runs = HashMap::new();
    loop {
        let page = client.runs(&query).await?;
        runs.extend(page.items.into_iter().map(|run| (run.id, run.state)));
        query.page_token = page.next_page_token;
        if query.page_token.is_none() {
            return Ok(runs);
        }
    }
}
