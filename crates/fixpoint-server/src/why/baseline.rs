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
    pub(super) profile: Arc<Profile>,
    /// Newest last.
    known: Vec<GoodOne>,
}

impl Good {
    /// The last of them that is not the one asked about.
    pub(super) fn last_but(&self, trace: &str) -> Option<&GoodOne> {
        self.known.iter().rev().find(|good| good.trace_id != trace)
    }

    fn has(&self, trace: &str) -> bool {
        self.known.iter().any(|good| good.trace_id == trace)
    }

    fn add(&mut self, good: GoodOne, trace: &Trace) {
        Arc::make_mut(&mut self.profile).add(trace);
        self.known.push(good);
    }
}

/// Profiles, by what they are of. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Baselines {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    goods: HashMap<Of, (u64, Arc<Mutex<Good>>)>,
    asked: u64,
}

impl Baselines {
    async fn slot(&self, of: &Of) -> Arc<Mutex<Good>> {
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

    /// The good runs of a plan, without the run asked about.
    pub(super) async fn of_plan(
        &self,
        of: &Of,
        records: &Records,
        traces: &dyn TraceStore,
        but: &Run,
    ) -> Result<Good, Unexplained> {
        let Of::Plan { kind, plan } = of else { return Ok(Good::default()) };
        let slot = self.slot(of).await;
        let mut good = slot.lock().await;
        if good.profile.traces() >= MOST {
            *good = Good::default();
        }
        // The run itself must not be among them. Taking a profile back out of another is not
        // possible, so such a profile is built for this answer alone.
        let itself = good.has(&but.trace_id);
        let mut alone = Good::default();
        let into = if itself { &mut alone } else { &mut *good };
        let known: HashSet<String> =
            into.known.iter().filter_map(|good| good.run_id.clone()).collect();
        for run in newest(records, kind, plan, &known).await? {
            if run.id == but.id {
                continue;
            }
            if let Some(trace) = trace_of(traces, &run).await? {
                into.add(good_run(&run), &trace);
            }
        }
        Ok(into.clone())
    }

    /// The good traces of an operation, without the trace asked about.
    pub(super) async fn of_operation(
        &self,
        of: &Of,
        traces: &dyn TraceStore,
        but: &TraceSummary,
    ) -> Result<Good, Unexplained> {
        let Of::Operation { service, name } = of else { return Ok(Good::default()) };
        let slot = self.slot(of).await;
        let mut good = slot.lock().await;
        if good.profile.traces() >= MOST {
            *good = Good::default();
        }
        let itself = good.has(&but.trace_id.to_string());
        let mut alone = Good::default();
        let into = if itself { &mut alone } else { &mut *good };
        // Near in time: how a service answers changes over days.
        for near in [(None, Some(but.start)), (Some(but.start), None)] {
            let found = similar(traces, service, name, near).await?;
            for summary in found.into_iter().rev() {
                let id = summary.trace_id.to_string();
                if summary.trace_id == but.trace_id || into.has(&id) || is_bad(&summary) {
                    continue;
                }
                if let Some(trace) = traces.trace(summary.trace_id).await? {
                    into.add(good_trace(&summary), &trace);
                }
            }
        }
        Ok(into.clone())
    }
}

/// The good runs of a plan that are not known yet, oldest first.
async fn newest(
    records: &Records,
    kind: &str,
    plan: &str,
    known: &HashSet<String>,
) -> Result<Vec<Run>, store::StoreError> {
    const PAGE: usize = 200;
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    let mut looked = 0;
    'pages: while looked < LOOKED_THROUGH {
        let page = records.runs(None, Some(RunState::Converged), before.as_deref(), PAGE).await?;
        looked += page.items.len();
        before = page.items.last().map(|run| run.id.clone());
        for run in page.items {
            // Newer ones are all looked at before older ones, so those beyond are known as well.
            if known.contains(&run.id) || found.len() >= FIRST {
                break 'pages;
            }
            let of_kind = run.resource.split_once('/').is_some_and(|(of, _)| of == kind);
            if of_kind && run.plan == plan && run.steps > 0 {
                found.push(run);
            }
        }
        if !page.more {
            break;
        }
    }
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

/// Traces with a root of this service and name, newest first.
async fn similar(
    traces: &dyn TraceStore,
    service: &str,
    name: &str,
    (since, until): (Option<UnixNanos>, Option<UnixNanos>),
) -> Result<Vec<TraceSummary>, StoreError> {
    // The span is there so that the index of names and services serves.
    let root = vec![Condition::equal(Field::Service, service), Condition::equal(Field::Name, name)];
    let filter = Query::of_span(root).and(TraceCondition::Root(Op::Equal, name.to_owned()));
    let query = TraceQuery { filter, since, until, limit: FIRST, before: None };
    let mut found = traces.search(&query).await?.items;
    found.retain(|summary| summary.service == service);
    Ok(found)
}
