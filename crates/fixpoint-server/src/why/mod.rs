//! Why a run, or a trace, went as it did: one first cause, what it is concluded from, and the rest.
//!
//! A run is asked first: which step failed, had no effect, or waits in vain (`plan.rs`). Then it is
//! held against the good ones (`baseline.rs`, `compared.rs`). Not here: the comparison itself, which
//! is `fixpoint_trace::compare`. The surprise: what happened in the blamed step counts before what
//! is more unusual elsewhere; a run ends where it is stuck, and other differences follow from that.

mod baseline;
mod compared;
mod drift;
mod own;
mod plan;
mod rank;
mod view;

use std::sync::Arc;

use fixpoint_client::{Baseline, CauseKind, Conclusion, Run, RunState, Why, WhyRun};
use fixpoint_trace::{
    compare::explain::{Limits, explain},
    model::{Trace, TraceId},
    store::{self as trace_store, TraceStore, TraceSummary},
};

use self::{
    baseline::{Baselines, Good, Of, trace_of},
    compared::Found,
    drift::Drifts,
    plan::Blame,
    view::View,
};
use crate::{records::Records, store};

/// Says of a kind of error (`error.type` of a span) what an operator can do about it.
pub type Hints = fn(&str) -> Option<&'static str>;

/// Explains runs and traces. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Explainer {
    records: Records,
    traces: Arc<dyn TraceStore>,
    baselines: Baselines,
    drifts: Drifts,
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
}

impl Explainer {
    pub(crate) fn new(records: Records, traces: Arc<dyn TraceStore>, hints: Hints) -> Self {
        let (baselines, drifts) = <_>::default();
        Self { records, traces, baselines, drifts, hints }
    }

    /// Why a run went as it did, or goes as it does. The run must be read with its history.
    pub(crate) async fn of_run(&self, run: &Run) -> Result<Why, Unexplained> {
        let (of, good, trace) = self.run_and_good(run).await?;
        let view = View::new(&trace);
        let blame = plan::blame(run, &view);
        Ok(self.answer(&of, &good, &trace, &view, blame, Some(run), &run.trace_id))
    }

    /// What of a run is not as in the good ones, whatever it says of itself.
    async fn against_good(&self, run: &Run) -> Result<Why, Unexplained> {
        let (of, good, trace) = self.run_and_good(run).await?;
        let view = View::new(&trace);
        Ok(self.answer(&of, &good, &trace, &view, Blame::default(), Some(run), &run.trace_id))
    }

    async fn run_and_good(&self, run: &Run) -> Result<(Of, Good, Trace), Unexplained> {
        let kind = run.resource.split_once('/').map_or("", |(kind, _)| kind).to_owned();
        let of = Of::Plan { kind, plan: run.plan.clone() };
        let trace = trace_of(&*self.traces, run).await?.unwrap_or_default();
        let good = self.baselines.of_plan(&of, &self.records, &*self.traces, run).await?;
        Ok((of, good, trace))
    }

    /// Why a trace went as it did: of the run that it is of, if it is of one. None if nothing of
    /// it is known.
    pub(crate) async fn of_trace(&self, id: TraceId) -> Result<Option<Why>, Unexplained> {
        let runs = self.records.runs_in(&id.to_string()).await?;
        // The last run of a trace is how the trace ended.
        if let Some(run) = runs.last()
            && let Some(run) = self.records.run_with_history(&run.id).await?
        {
            return self.of_run(&run).await.map(Some);
        }
        let Some(trace) = self.traces.trace(id).await? else { return Ok(None) };
        let summary = TraceSummary::of(id, &trace);
        let of = Of::Operation { service: summary.service.clone(), name: summary.name.clone() };
        let good = self.baselines.of_operation(&of, &*self.traces, &summary).await?;
        let view = View::new(&trace);
        let id = id.to_string();
        Ok(Some(self.answer(&of, &good, &trace, &view, Blame::default(), None, &id)))
    }

    /// Notes on a run that goes on whether it goes otherwise than good ones.
    pub(crate) fn mark(&self, run: &mut Run) {
        self.drifts.mark(run);
    }

    #[allow(clippy::too_many_arguments, reason = "all that an answer is made of, once")]
    fn answer(
        &self,
        of: &Of,
        good: &Good,
        trace: &Trace,
        view: &View,
        blame: Blame,
        run: Option<&Run>,
        id: &str,
    ) -> Why {
        let what = if run.is_some() { "run" } else { "trace" };
        let telling = Limits::default();
        // In what is blamed, less has to be unusual to be told.
        let bits = if blame.causes.is_empty() { telling.bits } else { A_HINT };
        let limits = Limits { bits, ..telling };
        let explained = explain(&good.profile, std::slice::from_ref(trace), limits);
        let mut found = compared::causes(&explained, view, what);
        if let Some(run) = run {
            // A call that took some milliseconds more is no reason why a run of minutes went wrong. One
            // that reached what it was for is held only against what it called, and whether it took
            // much longer: which steps it needed and how often it looked depends on the world.
            let took = trace.duration().unwrap_or(0);
            let reached = run.state == RunState::Converged;
            let enough = (took / if reached { LARGE_SHARE } else { SHARE }).max(NOTICED);
            Found::keep(&mut found, &|found| match found.lost {
                Some(lost) => lost >= enough,
                None => !reached || found.tells_of_a_call(),
            });
        }
        if good.profile.traces() < FEW {
            // What is usual is uncertain: only what is blamed may be explained by it.
            found.retain(|found| !blame.causes.is_empty() || found.cause.kind == CauseKind::Failed);
        }
        let mut causes = rank::rank(blame, found, view, telling.bits);
        for cause in &mut causes {
            if let Some(run) = run {
                own::with_name(cause, &run.resource);
            }
            cause.hint = cause.error_type.as_deref().and_then(self.hints).map(str::to_owned);
        }
        let mut causes = causes.into_iter();
        let cause = causes.next();
        let well = run.map_or_else(|| !failed(trace), |run| !went_wrong(run.state));
        let count = good.profile.traces();
        let (conclusion, sentence) = match &cause {
            Some(cause) => (Conclusion::Cause, cause.sentence.clone()),
            None if well && count > 0 => (
                Conclusion::NothingDiffers,
                format!("nothing differs from {}", many(count, &format!("good {what}"))),
            ),
            None if well => (
                Conclusion::NothingDiffers,
                format!("nothing failed; there is no good {what} to compare it with"),
            ),
            None => (
                Conclusion::Unknown,
                format!("the {what} did not go well, and nothing in its trace says why"),
            ),
        };
        Why {
            trace_id: id.to_owned(),
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
            baseline: Baseline {
                of: of.to_string(),
                good: count,
                last: good.last_but(id).cloned(),
            },
            unknown: unknown(of, count, trace, run),
        }
    }
}

/// What cannot be known, and why.
fn unknown(of: &Of, good: u64, trace: &Trace, run: Option<&Run>) -> Vec<String> {
    let mut unknown = Vec::new();
    let what = if run.is_some() { "run" } else { "trace" };
    if trace.spans.is_empty() {
        unknown
            .push("the trace is not stored (any more): only the run's record was read".to_owned());
    }
    if good == 0 {
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
    if run.is_some_and(|run| !run.state.is_final()) {
        unknown.push("the run goes on: what is not there yet may still come".to_owned());
    }
    unknown
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

fn failed(trace: &Trace) -> bool {
    trace.head().is_some_and(fixpoint_trace::model::Span::failed)
}

/// `1 good run`, `50 good runs`.
fn many(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
