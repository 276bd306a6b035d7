//! How long a creation takes in the sandbox, against what it cannot do without.
//!
//! `cargo bench -p clusters` makes clusters with steps running together and with the same steps one
//! after another, with real latencies at a pace of [`PACE`], and reads from the traces where the
//! time went. Printed in world time, as means over [`SEEDS`], since the sandbox draws how long
//! things take. The critical path is the sum over iterations of the longest branch of calls and
//! waits: what would be left if looking at the world and scheduling took no time. The surprise:
//! the two kinds of runs draw other delays (a load balancer takes 20 to 120 s), so for a fair
//! speed-up the branches of the first kind are also added up as if they had run in turn.

use std::{collections::HashMap, sync::Arc, time::Duration};

use clusters::{Cluster, ClusterSpec, addons::Addon, plans::CreateCluster};
use fixpoint::{Context, Pace, Scheduler};
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Sandbox, SandboxOptions},
};
use fixpoint_server::StatusCell;
use fixpoint_trace::{
    layer::RecordLayer,
    model::{Kind, Span, SpanId, Trace},
    record::Recorder,
    store::{TraceQuery, TraceStore, memory::MemoryStore},
};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

/// World seconds per second. More would measure this program's computing rather than the waiting.
const PACE: f64 = 10.0;
/// Each gives other delays.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=3;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mean = |limit| {
        let runs = SEEDS.map(|seed| runtime.block_on(measure(seed, limit)));
        runs.reduce(|a, b| a.plus(b)).expect("a seed").over(SEEDS.count())
    };
    let (together, sequence) = (mean(None), mean(Some(1)));
    println!("creation of 3 nodes and Grafana, in world time at pace {PACE}");
    for (name, run) in [("together", &together), ("one after another", &sequence)] {
        let Measured { wall, calls, looking, .. } = run;
        println!("{name:>18}: {wall:6.1} s, {calls:.0} calls, {looking:5.1} s looking");
    }
    let ratio = together.wall / together.critical;
    println!("{:>18}: {:6.1} s, ratio {ratio:.3}", "critical path", together.critical);
    let in_turn = together.wall - together.critical + together.in_turn;
    println!("{:>18}: {in_turn:6.1} s, speed-up {:.2}", "same, in turn", in_turn / together.wall);
}

struct Measured {
    wall: f64,
    looking: f64,
    critical: f64,
    in_turn: f64,
    calls: f64,
}

impl Measured {
    fn plus(self, other: Self) -> Self {
        Self {
            wall: self.wall + other.wall,
            looking: self.looking + other.looking,
            critical: self.critical + other.critical,
            in_turn: self.in_turn + other.in_turn,
            calls: self.calls + other.calls,
        }
    }

    fn over(self, n: usize) -> Self {
        let n = n as f64;
        Self {
            wall: self.wall / n,
            looking: self.looking / n,
            critical: self.critical / n,
            in_turn: self.in_turn / n,
            calls: self.calls / n,
        }
    }
}

async fn measure(seed: u64, limit: Option<usize>) -> Measured {
    let pace = Pace::times(PACE);
    let options = SandboxOptions { pace, seed, ..SandboxOptions::default() };
    let sandbox = Some(Sandbox::open(options).expect("a sandbox in memory"));
    let aws = Aws::connect(AwsOptions { sandbox, pace, ..AwsOptions::default() }).await;
    let addons = [Addon::Grafana].into();
    let cluster = Cluster::new(aws, "idg", ClusterSpec { addons, ..ClusterSpec::default() });
    let cluster = match limit {
        Some(limit) => cluster.with_limit(limit),
        None => cluster,
    };
    let plan = CreateCluster::new(cluster, StatusCell::default());

    let store = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::new(store.clone());
    let layer = RecordLayer::new(recorder, Default::default());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let run = tracing::info_span!("run clusters");
    let cx = Context::new().with_pace(pace);
    let solved = Scheduler::default().execute(&plan, &cx).instrument(run).await;
    drop(guard);
    solved.expect("a cluster");
    writer.run(async {}).await;

    let found = store.search(&TraceQuery::default()).await.expect("a list");
    let trace = store.trace(found.items[0].trace_id).await.expect("a trace").expect("the trace");
    Tree::of(&trace).measured()
}

struct Tree<'a> {
    root: &'a Span,
    children: HashMap<SpanId, Vec<&'a Span>>,
}

impl<'a> Tree<'a> {
    fn of(trace: &'a Trace) -> Self {
        let mut children: HashMap<_, Vec<_>> = HashMap::new();
        for span in &trace.spans {
            if let Some(parent) = span.parent {
                children.entry(parent).or_default().push(span);
            }
        }
        let root = trace.spans.iter().find(|s| s.parent.is_none()).expect("a root");
        Self { root, children }
    }

    fn below(&self, span: &Span) -> impl Iterator<Item = &'a Span> {
        self.children.get(&span.span_id).into_iter().flatten().copied()
    }

    fn measured(&self) -> Measured {
        let looks = self.below(self.root).filter(|s| s.name == "create");
        let steps = || self.below(self.root).filter(|s| s.name != "create");
        Measured {
            wall: took(self.root),
            looking: looks.map(took).sum(),
            critical: steps().map(|s| self.cost(s, f64::max)).sum(),
            in_turn: steps().map(|s| self.cost(s, |a, b| a + b)).sum(),
            calls: self.children.values().flatten().filter(|s| is_call(s)).count() as f64,
        }
    }

    /// What a step cannot do without: its waits whole, and otherwise its calls and inner steps.
    /// `join` says what branches that run together cost.
    fn cost(&self, step: &Span, join: fn(f64, f64) -> f64) -> f64 {
        if is_call(step) || step.name.starts_with("wait_for") {
            return took(step);
        }
        let below = self.below(step).map(|s| self.cost(s, join));
        if step.name == "together" {
            return below.fold(0.0, join);
        }
        // A creation that waits to be visible waits between its calls.
        let waits = step.attributes.contains_key("fixpoint.wait.reason");
        let own = self.below(step).filter(|s| is_call(s)).filter_map(|s| s.end).max();
        match own.filter(|_| waits) {
            Some(end) => {
                let inner = self.below(step).filter(|s| !is_call(s)).map(|s| self.cost(s, join));
                world(end.saturating_sub(step.start)) + inner.sum::<f64>()
            }
            None => below.sum(),
        }
    }
}

fn is_call(span: &Span) -> bool {
    span.kind == Kind::Client && span.name.contains('.')
}

fn took(span: &Span) -> f64 {
    world(span.end.unwrap_or(span.start).saturating_sub(span.start))
}

/// Nanoseconds on the wall to seconds in the world.
fn world(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * PACE
}
