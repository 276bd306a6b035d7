//! Why a run, or a trace, went as it did: one first cause, what it is concluded from, and the rest.
//!
//! A run is asked first: which step failed, had no effect, or waits in vain (`plan.rs`). Then it is
//! held against the good ones (`baseline/`, `compared.rs`). Not here: the comparison itself, which
//! is `fixpoint_trace::compare`. The surprise: what happened in the blamed step counts before what
//! is more unusual elsewhere; a run ends where it is stuck, and other differences follow from that.

mod baseline;
mod claims;
mod compared;
mod effect;
mod own;
mod passing;
mod plan;
mod rank;
mod repeats;
mod unusual;
mod view;

use std::sync::Arc;

use fixpoint_client::{Baseline, Cause, CauseKind, Conclusion, Run, RunState, Why, WhyRun};
use fixpoint_trace::{
    compare::explain::{Limits, explain},
    model::{Trace, TraceId},
    store::{self as trace_store, TraceStore, TraceSummary},
};

pub(crate) use self::baseline::{Learner, Lessons, Size};
pub(crate) use self::own::without_bookkeeping;
use self::{
    baseline::{Baselines, Held, Of, trace_of},
    compared::Found,
    plan::Blame,
    unusual::Unusual,
    view::View,
};
use crate::{
    access::Scope,
    records::{Records, ResourceKey},
    store,
};

/// Says of a kind of error (`error.type` of a span) what an operator can do about it.
pub type Hints = fn(&str) -> Option<&'static str>;

/// Explains runs and traces. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Explainer {
    records: Records,
    traces: Arc<dyn TraceStore>,
    baselines: Baselines,
    unusual: Unusual,
    hints: Hints,
}

/// Why something could not be explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unexplained {
    /// The runs could not be read.
    #[error("the runs could not be read")]
    Runs(#[from] store::StoreError),
    /// The traces could not be read.
    #[error("the traces could not be read")]
    Traces(#[from] trace_store::StoreError),
    /// Comparing broke off.
    #[error("the comparison broke off")]
    BrokeOff(#[from] tokio::task::JoinError),
}

impl Explainer {
    /// What explains, and what learns for it once it runs.
    pub(crate) fn new(
        records: Records,
        traces: Arc<dyn TraceStore>,
        hints: Hints,
    ) -> (Self, Learner) {
        let (baselines, learner) = Baselines::new(records.clone(), Arc::clone(&traces));
        (Self { records, traces, baselines, unusual: Unusual::default(), hints }, learner)
    }

    /// Where to tell of runs that have ended.
    pub(crate) fn lessons(&self) -> Lessons {
        self.baselines.lessons().clone()
    }

    /// What the profiles of good ones take.
    pub(crate) fn size(&self) -> Size {
        self.baselines.size()
    }

    /// Why a run went as it did, or goes as it does, from what is in a scope. The run must be read
    /// with its history.
    pub(crate) async fn of_run(&self, scope: &Scope, run: &Run) -> Result<Why, Unexplained> {
        let held = self.baselines.of_plan(&Of::plan(scope, run)).await?;
        self.answer(self.case_of(scope, run, held).await?, plan::blame).await
    }

    async fn case_of(&self, scope: &Scope, run: &Run, held: Held) -> Result<Case, Unexplained> {
        let trace = trace_of(&*self.traces, scope, run).await?.unwrap_or_default();
        Ok(Case {
            of: Of::plan(scope, run),
            held,
            trace,
            run: Some(run.clone()),
            id: run.trace_id.clone(),
        })
    }

    /// Why a trace went as it did: of the run that it is of, if it is of one. None if nothing of
    /// it is known.
    pub(crate) async fn of_trace(
        &self,
        scope: &Scope,
        id: TraceId,
    ) -> Result<Option<Why>, Unexplained> {
        let mut runs = self.records.runs_in(&id.to_string()).await?;
        runs.retain(|run| ResourceKey::parse(&run.resource).is_some_and(|key| scope.holds(&key)));
        // The last run of a trace is how the trace ended.
        if let Some(run) = runs.last()
            && let Some(run) = self.records.run_with_history(&run.id).await?
        {
            return self.of_run(scope, &run).await.map(Some);
        }
        let trace = self.traces.trace(id).await?.and_then(|trace| scope.part(trace));
        let Some(trace) = trace else { return Ok(None) };
        let trace = without_bookkeeping(trace);
        let summary = TraceSummary::of(id, &trace);
        let held = self.baselines.of_operation(scope, &summary).await?;
        let of = Of::operation(scope, &summary);
        let case = Case { of, held, trace, run: None, id: id.to_string() };
        self.answer(case, |_, _| Blame::default()).await.map(Some)
    }

    /// Notes on a run that goes on whether it goes otherwise than good ones.
    pub(crate) fn mark(&self, run: &mut Run) {
        self.unusual.mark(run);
    }

    /// Answers where it stops nobody: comparing keeps a core busy for a tenth of a second.
    async fn answer(
        &self,
        mut case: Case,
        blame: impl FnOnce(&Run, &View) -> Blame + Send + 'static,
    ) -> Result<Why, Unexplained> {
        let hints = self.hints;
        Ok(tokio::task::spawn_blocking(move || {
            case.leave_itself_out();
            case.answer(blame, hints)
        })
        .await?)
    }
}

/// What is asked about, and the good ones that it is held against.
struct Case {
    of: Of,
    held: Held,
    /// A run's own part of it, if it is of a run.
    trace: Trace,
    run: Option<Run>,
    /// The trace's id.
    id: String,
}

impl Case {
    /// What is asked about may be one of the good ones itself.
    fn leave_itself_out(&mut self) {
        let id = self.run.as_ref().map_or(&self.id, |run| &run.id);
        if self.held.good.knows(id) && !self.trace.spans.is_empty() {
            Arc::make_mut(&mut self.held.good).leave_out(id, &self.trace);
        }
    }

    fn answer(&self, blame: impl FnOnce(&Run, &View) -> Blame, hints: Hints) -> Why {
        let Self { of, held, trace, run, id } = self;
        let good = &held.good;
        let run = run.as_ref();
        let view = View::new(trace);
        let blame = run.map(|run| blame(run, &view)).unwrap_or_default();
        let what = self.what();
        let count = good.profile.traces();
        let mut causes = self.causes(blame, &view).into_iter().map(|mut cause| {
            if let Some(run) = run {
                own::with_name(&mut cause, &run.resource);
            }
            repeats::fold(&mut cause);
            cause.hint = cause.error_type.as_deref().and_then(hints).map(str::to_owned);
            cause
        });
        let cause = causes.next();
        let well = run.map_or_else(|| !failed(trace), |run| !went_wrong(run.outcome()));
        let (conclusion, sentence) = match &cause {
            Some(cause) => (Conclusion::Cause, cause.sentence.clone()),
            None if well && count > 0 => (
                Conclusion::NothingDiffers,
                format!("nothing differs from {}", many(count, &format!("good {what}"))),
            ),
            None if well => (
                Conclusion::NothingDiffers,
                match held.unread {
                    Some(0) => {
                        format!("nothing failed; there is no good {what} to compare it with")
                    }
                    _ => format!("nothing failed; no good {what} has been read yet"),
                },
            ),
            None => (
                Conclusion::Unknown,
                format!("the {what} did not go well, and nothing in its trace says why"),
            ),
        };
        Why {
            trace_id: id.clone(),
            run: run.map(|run| WhyRun {
                id: run.id.clone(),
                resource: run.resource.clone(),
                plan: run.plan.clone(),
                state: run.state,
            }),
            conclusion,
            sentence,
            cause,
            others: causes.collect(),
            baseline: Baseline { of: of.to_string(), good: count, last: good.last().cloned() },
            unknown: self.unknown(),
        }
    }

    /// `run` or `trace`
    fn what(&self) -> &'static str {
        if self.run.is_some() { "run" } else { "trace" }
    }

    /// All causes, the first one first.
    fn causes(&self, blame: Blame, view: &View) -> Vec<Cause> {
        let telling = Limits::default();
        // In what is blamed, less has to be unusual to be told.
        let bits = if blame.causes.is_empty() { telling.bits } else { A_HINT };
        let limits = Limits { bits, ..telling };
        let explained = explain(&self.held.good.profile, std::slice::from_ref(&self.trace), limits);
        let mut found = compared::causes(&explained, view, self.what());
        if let Some(run) = &self.run {
            // A call that took some milliseconds more is no reason why a run of minutes went wrong. One
            // that reached what it was for is held only against what it called, and whether it took
            // much longer: which steps it needed and how often it looked depends on the world.
            let took = length(&self.trace);
            let reached = run.state == RunState::Converged;
            let enough = (took / if reached { LARGE_SHARE } else { SHARE }).max(NOTICED);
            Found::keep(&mut found, &|found| match found.lost {
                // In a run that has ended, what has not is a sign, however short it was.
                Some(_) if found.cause.kind == CauseKind::Unfinished && run.state.is_final() => {
                    !reached
                }
                Some(lost) => lost >= enough,
                None => !reached || found.tells_of_a_call(),
            });
        }
        if self.held.good.profile.traces() < FEW {
            // What is usual is uncertain: only what is blamed may be explained by it.
            found.retain(|found| !blame.causes.is_empty() || found.cause.kind == CauseKind::Failed);
        }
        let ranked = rank::rank(blame, found, view, telling.bits);
        let decided = self.run.as_ref().map(plan::decided).unwrap_or_default();
        // Of a run that went wrong, what was decided is not why.
        match self.run.as_ref().is_some_and(|run| went_wrong(run.outcome())) {
            true => ranked.into_iter().chain(decided).collect(),
            false => decided.into_iter().chain(ranked).collect(),
        }
    }

    /// What cannot be known, and why.
    fn unknown(&self) -> Vec<String> {
        let Self { of, held, trace, run, .. } = self;
        let (what, good) = (self.what(), held.good.profile.traces());
        let mut unknown = Vec::new();
        if trace.spans.is_empty() {
            unknown.push(
                "the trace is not stored (any more): only the run's record was read".to_owned(),
            );
        }
        if let Some(unread @ 1..) = held.unread {
            unknown.push(format!(
                "only {good} of {} have been read so far; ask again in a moment",
                many(good + unread as u64, &format!("good {what}"))
            ));
        } else if held.unread.is_none() {
            unknown.push(format!(
                "not all good {what}s of {of} have been looked through yet; ask again in a moment"
            ));
        } else if good == 0 {
            unknown.push(format!(
                "no good {what} of {of} is stored: whether a call is missing, or slow, or answered \
                 otherwise than usual cannot be told"
            ));
        } else if good < FEW {
            unknown.push(format!(
                "only {} of {of} {} stored: what is usual is uncertain",
                many(good, &format!("good {what}")),
                if good == 1 { "is" } else { "are" }
            ));
        }
        if let Some(why) = &trace.partial {
            unknown.push(format!("a part of the trace could not be read: {why}"));
        }
        if run.as_ref().is_some_and(|run| !run.state.is_final()) {
            unknown.push("the run goes on: what is not there yet may still come".to_owned());
        }
        unknown
    }
}

/// Of a run, less time than this is not worth a word, in nanoseconds,
const NOTICED: u64 = 50_000_000;

/// and less than one part in so many of all its time.
const SHARE: u64 = 20;

/// or, of a run that converged, in so many.
const LARGE_SHARE: u64 = 4;

/// How surprising a difference in what is blamed must be, in bits. Nearly nothing: there must be a
/// reason, and with one good run the best of what differs is all there is.
const A_HINT: f64 = 0.1;

/// With fewer good ones than this an answer says how few there are.
const FEW: u64 = 5;

/// Whether a run ended without reaching what it was for.
pub(crate) fn went_wrong(state: RunState) -> bool {
    matches!(state, RunState::Failed | RunState::NotConverging | RunState::Cancelled)
}

/// From the first start to the last moment that is known, in nanoseconds.
fn length(trace: &Trace) -> u64 {
    let spans = &trace.spans;
    let first = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let last = spans.iter().map(|span| span.end.unwrap_or(span.start)).max().unwrap_or(0);
    last.saturating_sub(first)
}

fn failed(trace: &Trace) -> bool {
    trace.head().is_some_and(fixpoint_trace::model::Span::failed)
}

/// `1 good run`, `50 good runs`.
pub(crate) fn many(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
