//! Reads good ones from the stores, and counts them where it stops nobody.
//!
//! Not here: when (`learn.rs`). The surprise: a run that had nothing to do is no example of how
//! things are done, and is left out.

use std::{collections::HashMap, sync::Arc};

use fixpoint_client::{GoodOne, Run, RunState};
use fixpoint_trace::{
    model::{SpanId, Status, Trace, TraceId, UnixNanos},
    query::{Condition, Field, Op, Query, TraceCondition},
    store::{StoreError, TraceQuery, TraceStore, TraceSummary},
};

use super::{
    FIRST, Good, Of, id_of,
    kept::{Claim, Slot},
};
use crate::{
    access::Scope,
    http::timestamp,
    records::{self, Records},
    why::{Unexplained, own},
};

/// How many runs are looked at together: more than go on at the same time.
const PAGE: usize = 100;

/// How many runs are looked through for good ones.
const LOOKED_THROUGH: usize = 2_000;

/// How many traces are read at once: enough that what they share is read once, and few enough
/// that an answer that cannot wait for all has many of them.
const AT_ONCE: usize = 10;

/// Where good ones come from. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    pub(super) records: Records,
    pub(super) traces: Arc<dyn TraceStore>,
}

/// A good one that can be read.
#[derive(Debug, Clone)]
pub(super) struct Lesson {
    good: GoodOne,
    trace: TraceId,
    /// The span of the run; the whole trace counts if there is none.
    run: Option<SpanId>,
    /// Of whose part of the trace it is.
    scope: Scope,
    /// What the trace must still be like.
    noted: Option<TraceSummary>,
}

impl Lesson {
    /// What a run has to teach; nothing if it is no example, or has no trace.
    pub(super) fn of_run(scope: &Scope, run: &Run) -> Option<Self> {
        let good = GoodOne {
            trace_id: run.trace_id.clone(),
            run_id: Some(run.id.clone()),
            resource: Some(run.resource.clone()),
            ended_at: run.ended_at.unwrap_or(run.created_at),
        };
        let (trace, span) = (run.trace_id.parse().ok()?, run.span_id.parse().ok()?);
        let (run_span, scope) = (Some(span), scope.clone());
        run.is_example().then_some(Self { good, trace, run: run_span, scope, noted: None })
    }

    /// What a trace has to teach; nothing if its root failed, or it goes on.
    pub(super) fn of_trace(scope: &Scope, summary: &TraceSummary) -> Option<Self> {
        if summary.open > 0 || matches!(summary.status, Status::Error(_)) {
            return None;
        }
        let good = GoodOne {
            trace_id: summary.trace_id.to_string(),
            run_id: None,
            resource: None,
            ended_at: timestamp(summary.end.unwrap_or(summary.start)),
        };
        let (trace, scope) = (summary.trace_id, scope.clone());
        Some(Self { good, trace, run: None, scope, noted: None })
    }

    /// The same, unless something has come to the trace since it was like this.
    pub(super) fn at_rest(self, noted: TraceSummary) -> Self {
        Self { noted: Some(noted), ..self }
    }

    pub(super) fn id(&self) -> &str {
        id_of(&self.good)
    }
}

impl Reader {
    /// Reads all of a list that is not known yet, in its order.
    pub(super) async fn catch_up(
        &self,
        slot: &Arc<Slot>,
        list: impl Future<Output = Result<Vec<Lesson>, Unexplained>>,
    ) -> Result<(), Unexplained> {
        let _reading = slot.reading.lock().await;
        let mut lessons = list.await?;
        let known = slot.held().good;
        lessons.retain(|lesson| !known.knows(lesson.id()));
        // While it is read, others may add to it, and must not have to copy it.
        drop(known);
        let mut left = lessons.len();
        slot.left(left);
        for some in lessons.chunks(AT_ONCE) {
            self.read(slot, some).await?;
            left -= some.len();
            slot.left(left);
        }
        Ok(())
    }

    /// Reads one, unless it is known.
    pub(super) async fn read_one(
        &self,
        slot: &Arc<Slot>,
        lesson: Lesson,
    ) -> Result<(), Unexplained> {
        let _reading = slot.reading.lock().await;
        self.read(slot, &[lesson]).await
    }

    async fn read(&self, slot: &Arc<Slot>, lessons: &[Lesson]) -> Result<(), Unexplained> {
        let claim = slot.claim(lessons.iter().map(Lesson::id));
        let mut lessons: Vec<Lesson> =
            lessons.iter().filter(|lesson| claim.has(lesson.id())).cloned().collect();
        // Several runs may be in one trace.
        lessons.sort_by_key(|lesson| lesson.trace);
        let mut ids: Vec<TraceId> = lessons.iter().map(|lesson| lesson.trace).collect();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let traces = self.traces.traces(&ids).await?;
        let traces: HashMap<TraceId, Option<Trace>> = ids.into_iter().zip(traces).collect();
        // Whoever gives up waiting meanwhile has it counted all the same.
        tokio::task::spawn_blocking(move || count(claim, lessons, traces)).await?;
        Ok(())
    }

    /// The good runs of a plan, the newest first, as far back as those go that are not known.
    pub(super) async fn runs(&self, of: &Of, slot: &Slot) -> Result<Vec<Lesson>, Unexplained> {
        let known = slot.held().good;
        let mut found = Vec::new();
        let mut before: Option<String> = None;
        let mut looked = 0;
        while looked < LOOKED_THROUGH && found.len() < FIRST {
            let page = self.converged(&of.scope, before.as_deref()).await?;
            looked += page.items.len();
            before = page.items.last().map(|run| run.id.clone());
            let (old, new): (Vec<_>, Vec<_>) = page
                .items
                .iter()
                .filter(|run| Of::plan(&of.scope, run) == *of)
                .filter_map(|run| Lesson::of_run(&of.scope, run))
                .partition(|lesson| known.knows(lesson.id()));
            // Runs converge in another order than they were asked for, but not by more than this.
            let reached = new.is_empty() && !old.is_empty();
            found.extend(new);
            if reached || !page.more {
                break;
            }
        }
        found.truncate(FIRST);
        Ok(found)
    }

    /// What runs are examples of, that of the newest first.
    pub(super) async fn plans(&self) -> Result<Vec<Of>, Unexplained> {
        let plan = |run: &Run| Of::plan(&Scope::WHOLE, run);
        let mut found: Vec<Of> = Vec::new();
        let mut before: Option<String> = None;
        let mut looked = 0;
        while looked < LOOKED_THROUGH {
            let page = self.converged(&Scope::WHOLE, before.as_deref()).await?;
            looked += page.items.len();
            before = page.items.last().map(|run| run.id.clone());
            for of in page.items.iter().filter(|run| run.is_example()).map(plan) {
                if !found.contains(&of) {
                    found.push(of);
                }
            }
            if !page.more {
                break;
            }
        }
        Ok(found)
    }

    async fn converged(
        &self,
        scope: &Scope,
        before: Option<&str>,
    ) -> Result<records::Page<Run>, Unexplained> {
        let of = records::Of::Scope(scope);
        Ok(self.records.runs(of, Some(RunState::Converged), before, PAGE).await?)
    }

    /// The good traces of the operation of a trace, near it in time: how a service answers changes
    /// over days.
    pub(super) async fn near(
        &self,
        scope: &Scope,
        to: &TraceSummary,
    ) -> Result<Vec<Lesson>, Unexplained> {
        let mut found = Vec::new();
        for (since, until) in [(None, Some(to.start)), (Some(to.start), None)] {
            let similar = self.similar(scope, to, since, until).await?;
            found.extend(similar.iter().filter_map(|near| Lesson::of_trace(scope, near)));
        }
        Ok(found)
    }

    /// Traces with a root of the same service and name, newest first.
    async fn similar(
        &self,
        scope: &Scope,
        to: &TraceSummary,
        since: Option<UnixNanos>,
        until: Option<UnixNanos>,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        // The span is there so that the index of names and services serves.
        let root = vec![
            Condition::equal(Field::Service, &*to.service),
            Condition::equal(Field::Name, &*to.name),
        ];
        let filter = Query::of_span(root).and(TraceCondition::Root(Op::Equal, to.name.clone()));
        let tenant = scope.tenant().map(str::to_owned);
        let query = TraceQuery { filter, since, until, limit: FIRST, before: None, tenant };
        let mut found = self.traces.search(&query).await?.items;
        found.retain(|summary| summary.service == to.service);
        Ok(found)
    }
}

/// Counts what was read: in a profile of its own, so that nobody waits for it who asks meanwhile.
/// Lessons of one trace stand together.
fn count(claim: Claim, lessons: Vec<Lesson>, mut traces: HashMap<TraceId, Option<Trace>>) {
    let mut read = Good::default();
    let mut lessons = lessons.into_iter().peekable();
    while let Some(lesson) = lessons.next() {
        let once_more = lessons.peek().is_some_and(|next| next.trace == lesson.trace);
        let trace = if once_more {
            traces.get(&lesson.trace).cloned().flatten()
        } else {
            traces.remove(&lesson.trace).flatten()
        };
        let trace = trace.and_then(|trace| lesson.scope.part(trace));
        let changed = |noted: &TraceSummary| {
            let now = trace.as_ref().map(|trace| TraceSummary::of(lesson.trace, trace));
            now.as_ref() != Some(noted)
        };
        // What cannot be read just now may be read later.
        let away = trace.as_ref().is_some_and(|trace| trace.partial.is_some());
        if away || lesson.noted.as_ref().is_some_and(changed) {
            continue;
        }
        let resource = lesson.good.resource.as_deref().unwrap_or_default();
        let part = match lesson.run {
            Some(run) => trace.map(|trace| own::part(trace, run, resource)),
            None => trace.map(own::without_bookkeeping),
        };
        let part = part.filter(|part| !part.spans.is_empty());
        read.add(lesson.good, part.as_ref());
    }
    claim.fulfil(&read);
}

/// A run's part of its trace in a form that can be compared, if it is still stored.
pub(in crate::why) async fn trace_of(
    traces: &dyn TraceStore,
    scope: &Scope,
    run: &Run,
) -> Result<Option<Trace>, StoreError> {
    let (Ok(trace), Ok(span)) = (run.trace_id.parse::<TraceId>(), run.span_id.parse::<SpanId>())
    else {
        return Ok(None);
    };
    let seen = traces.trace(trace).await?.and_then(|trace| scope.part(trace));
    Ok(seen
        .map(|trace| own::part(trace, span, &run.resource))
        .filter(|trace| !trace.spans.is_empty()))
}
