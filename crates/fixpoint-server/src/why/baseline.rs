//! The good ones: a profile of what usually happens, for each plan and each operation.
//!
//! Built from the store when it is first asked for, and brought up to date whenever it is asked
//! for again; nothing is kept that the store could not give again. Not here: what differs. The
//! surprise: a run that had nothing to do is no example of how things are done, and is left out.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use fixpoint_client::{GoodOne, Run, RunState};
use fixpoint_trace::{
    compare::profile::Profile,
    model::{SpanId, Trace, TraceId, UnixNanos},
    query::{Condition, Field, Op, Query, TraceCondition},
    store::{StoreError, TraceQuery, TraceStore, TraceSummary},
};
use tokio::sync::Mutex;

use super::{Unexplained, own};
use crate::{http::timestamp, records::Records, store};

/// How many good ones a profile is first built from. More say little more, and take longer to read.
const FIRST: usize = 200;

/// How many runs are looked at together: more than go on at the same time.
const PAGE: usize = 100;

/// How many runs are looked through for good ones of a plan.
const LOOKED_THROUGH: usize = 2_000;

/// The most good ones in a profile before it is begun anew from the newest.
const MOST: u64 = 10_000;

/// How many profiles are kept. The one asked for longest ago goes first.
const KEPT: usize = 64;

/// What good ones have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Of {
    /// Runs of a plan, for a kind of resource.
    Plan { kind: String, plan: String },
    /// Traces whose root is an operation of a service.
    Operation { service: String, name: String },
}

impl std::fmt::Display for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plan { plan, .. } => f.write_str(plan),
            Self::Operation { service, name } if service.is_empty() => f.write_str(name),
            Self::Operation { service, name } => write!(f, "{service} {name}"),
        }
    }
}

/// Good ones, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Good {
    pub(super) profile: Profile,
    /// The one that ended last.
    pub(super) last: Option<GoodOne>,
    /// Runs by their ids, traces by theirs.
    ids: HashSet<String>,
}

impl Good {
    fn add(&mut self, good: GoodOne, trace: &Trace) {
        self.profile.add(trace);
        self.ids.insert(good.run_id.as_ref().unwrap_or(&good.trace_id).clone());
        if self.last.as_ref().is_none_or(|last| last.ended_at <= good.ended_at) {
            self.last = Some(good);
        }
    }
}

/// Where good ones are added for an answer about `but`, which must not be among them. One profile
/// cannot be taken out of another, so where it is among those kept, one is built for the answer
/// `alone`.
fn place<'a>(kept: &'a mut Arc<Good>, alone: &'a mut Arc<Good>, but: &str) -> &'a mut Arc<Good> {
    if kept.profile.traces() >= MOST {
        *kept = Arc::default();
    }
    if kept.ids.contains(but) { alone } else { kept }
}

/// Adds a good one where it stops nobody: counting what the answers of a trace hold takes a while.
async fn add(to: &mut Arc<Good>, good: GoodOne, trace: Trace) -> Result<(), Unexplained> {
    // Whoever goes away meanwhile leaves none behind, and then all are read again.
    let mut taken = std::mem::take(to);
    *to = tokio::task::spawn_blocking(move || {
        Arc::make_mut(&mut taken).add(good, &trace);
        taken
    })
    .await?;
    Ok(())
}

/// Profiles, by what they are of. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Baselines {
    kept: Arc<Mutex<Kept>>,
}

/// Good ones that somebody may be reading or adding to.
type Slot = Arc<Mutex<Arc<Good>>>;

#[derive(Debug, Default)]
struct Kept {
    goods: HashMap<Of, (u64, Slot)>,
    asked: u64,
}

impl Baselines {
    async fn slot(&self, of: &Of) -> Slot {
        let mut kept = self.kept.lock().await;
        kept.asked += 1;
        let now = kept.asked;
        if kept.goods.len() >= KEPT && !kept.goods.contains_key(of) {
            let oldest = kept.goods.iter().min_by_key(|(_, (asked, _))| *asked);
            if let Some(oldest) = oldest.map(|(of, _)| of.clone()) {
                kept.goods.remove(&oldest);
            }
        }
        let slot = kept.goods.entry(of.clone()).or_default();
        slot.0 = now;
        Arc::clone(&slot.1)
    }

    /// The good runs of the plan of a run, without that run.
    pub(super) async fn of_plan(
        &self,
        of: &Of,
        records: &Records,
        traces: &dyn TraceStore,
        but: &Run,
    ) -> Result<Arc<Good>, Unexplained> {
        let slot = self.slot(of).await;
        let (mut kept, mut alone) = (slot.lock().await, Arc::default());
        let into = place(&mut kept, &mut alone, &but.id);
        for run in unknown(records, but, &into.ids).await? {
            if let Some(trace) = trace_of(traces, &run).await? {
                add(into, good_run(&run), trace).await?;
            }
        }
        Ok(Arc::clone(into))
    }

    /// The good traces of the operation of a trace, without that trace.
    pub(super) async fn of_operation(
        &self,
        of: &Of,
        traces: &dyn TraceStore,
        but: &TraceSummary,
    ) -> Result<Arc<Good>, Unexplained> {
        let slot = self.slot(of).await;
        let (mut kept, mut alone) = (slot.lock().await, Arc::default());
        let into = place(&mut kept, &mut alone, &but.trace_id.to_string());
        // Near in time: how a service answers changes over days.
        for near in [(None, Some(but.start)), (Some(but.start), None)] {
            for summary in similar(traces, but, near).await?.into_iter().rev() {
                let id = summary.trace_id.to_string();
                if summary.trace_id == but.trace_id || into.ids.contains(&id) || is_bad(&summary) {
                    continue;
                }
                if let Some(trace) = traces.trace(summary.trace_id).await? {
                    add(into, good_trace(&summary), trace).await?;
                }
            }
        }
        Ok(Arc::clone(into))
    }
}

/// The good runs that a run can be held against and that are not known yet, oldest first.
async fn unknown(
    records: &Records,
    but: &Run,
    known: &HashSet<String>,
) -> Result<Vec<Run>, store::StoreError> {
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    let mut looked = 0;
    while looked < LOOKED_THROUGH && found.len() < FIRST {
        let page = records.runs(None, Some(RunState::Converged), before.as_deref(), PAGE).await?;
        looked += page.items.len();
        before = page.items.last().map(|run| run.id.clone());
        let (old, new): (Vec<_>, Vec<_>) = page
            .items
            .into_iter()
            .filter(|run| run.is_example_for(but))
            .partition(|run| known.contains(&run.id));
        // Runs converge in another order than they were asked for, but not by more than this.
        let reached = new.is_empty() && !old.is_empty();
        found.extend(new);
        if reached || !page.more {
            break;
        }
    }
    found.truncate(FIRST);
    found.reverse();
    Ok(found)
}

/// A run's part of its trace in a form that can be compared, if it is still stored.
pub(super) async fn trace_of(
    traces: &dyn TraceStore,
    run: &Run,
) -> Result<Option<Trace>, StoreError> {
    let (Ok(trace), Ok(span)) = (run.trace_id.parse::<TraceId>(), run.span_id.parse::<SpanId>())
    else {
        return Ok(None);
    };
    let whole = traces.trace(trace).await?;
    Ok(whole
        .map(|trace| own::part(&trace, span, &run.resource))
        .filter(|trace| !trace.spans.is_empty()))
}

fn good_run(run: &Run) -> GoodOne {
    GoodOne {
        trace_id: run.trace_id.clone(),
        run_id: Some(run.id.clone()),
        resource: Some(run.resource.clone()),
        ended_at: run.ended_at.unwrap_or(run.created_at),
    }
}

fn good_trace(summary: &TraceSummary) -> GoodOne {
    GoodOne {
        trace_id: summary.trace_id.to_string(),
        run_id: None,
        resource: None,
        ended_at: timestamp(summary.end.unwrap_or(summary.start)),
    }
}

/// Whether a trace is no example of a good one: its root failed, or it goes on.
fn is_bad(summary: &TraceSummary) -> bool {
    summary.open > 0 || matches!(summary.status, fixpoint_trace::model::Status::Error(_))
}

/// Traces with a root of the same service and name, newest first.
async fn similar(
    traces: &dyn TraceStore,
    to: &TraceSummary,
    (since, until): (Option<UnixNanos>, Option<UnixNanos>),
) -> Result<Vec<TraceSummary>, StoreError> {
    // The span is there so that the index of names and services serves.
    let root = vec![
        Condition::equal(Field::Service, &*to.service),
        Condition::equal(Field::Name, &*to.name),
    ];
    let filter = Query::of_span(root).and(TraceCondition::Root(Op::Equal, to.name.clone()));
    let query = TraceQuery { filter, since, until, limit: FIRST, before: None };
    let mut found = traces.search(&query).await?.items;
    found.retain(|summary| summary.service == to.service);
    Ok(found)
}
