//! A run as it is stored, and its state machine.
//!
//! Not here: executing it (`runner/`). The surprise: a run's trace and span ids are drawn and
//! stored before its span opens, so that whoever takes it up after a crash goes on in the same span.

use fixpoint_client::{Run, RunCause, RunState};
use fixpoint_trace::model::{SpanContext, SpanId, TraceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    records::{ResourceKey, key, put},
    resource::ResourceRecord,
    store::{Precondition, StoreError, Write},
};

/// What is stored of a run: what the API shows (but for `plan_history`), and where its span hangs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    #[serde(flatten)]
    pub(crate) run: Run,
    /// The request's span that asked for the run, in the same trace.
    pub(crate) parent: Option<SpanId>,
    /// The run before or the look, if the runner started this one by itself.
    pub(crate) link: Option<SpanContext>,
    /// The server that worked on it last: that took it up, or ended it.
    #[serde(default)]
    pub(crate) server: Option<String>,
}

/// Why there is a run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause {
    /// A request asked for it; its span, if requests are traced.
    Request(Option<SpanContext>),
    /// A request asked for it because of the run before: that request's span, and that run's.
    Again(Option<SpanContext>, Option<SpanContext>),
    /// The run before this one failed.
    Retry(SpanContext),
    /// The run before this one failed for good, and what it made is taken down.
    RollBack(SpanContext),
    /// A look found that the resource is not as wanted any more; the look's span.
    Drift(SpanContext),
}

impl RunRecord {
    /// A new run for the resource as it now is.
    pub(crate) fn new(resource: &ResourceRecord, plan: String, cause: Cause) -> Self {
        let (trace_id, parent, link) = match cause {
            Cause::Request(Some(span)) => (span.trace_id, Some(span.span_id), None),
            Cause::Request(None) => (TraceId::random(), None, None),
            Cause::Again(Some(span), last) => (span.trace_id, Some(span.span_id), last),
            Cause::Again(None, last) => (TraceId::random(), None, last),
            Cause::Retry(span) | Cause::RollBack(span) | Cause::Drift(span) => {
                (TraceId::random(), None, Some(span))
            }
        };
        let cause = match cause {
            Cause::Request(_) | Cause::Again(..) => RunCause::Request,
            Cause::Retry(_) => RunCause::Retry,
            Cause::RollBack(_) => RunCause::RollBack,
            Cause::Drift(_) => RunCause::Drift,
        };
        let now = Timestamp::now();
        let run = Run {
            id: new_id(now),
            resource: resource.key().to_string(),
            generation: resource.generation,
            plan,
            cause: Some(cause),
            state: RunState::Pending,
            halted: None,
            rolls_back: false,
            trace_id: trace_id.to_string(),
            span_id: SpanId::random().to_string(),
            iterations: 0,
            steps: 0,
            attempts: 0,
            created_at: now,
            ended_at: None,
            active: Vec::new(),
            plan_history: Vec::new(),
            acts: Vec::new(),
            notifications: Vec::new(),
            skipped: Vec::new(),
            error: None,
            unusual: None,
            retry_at: None,
        };
        Self { run, parent, link, server: None }
    }

    /// A new run that takes down what an earlier one made.
    pub(crate) fn rolling_back(resource: &ResourceRecord, plan: String, cause: Cause) -> Self {
        let mut record = Self::new(resource, plan, cause);
        record.run.rolls_back = true;
        record
    }

    /// The run's own span.
    pub(crate) fn span(&self) -> Option<SpanContext> {
        let (trace_id, span_id) = (self.run.trace_id.parse().ok()?, self.run.span_id.parse().ok()?);
        Some(SpanContext { trace_id, span_id })
    }

    /// The writes that record a new run.
    pub(crate) fn create(&self, resource: &ResourceKey) -> Result<Vec<Write>, StoreError> {
        let id = &self.run.id;
        let mut writes = vec![
            put(key::run(id), self, Precondition::Absent)?,
            Write::put(key::unfinished(resource, id), "", Precondition::Any),
            Write::put(key::run_of(resource, id), "", Precondition::Any),
            Write::put(key::run_in(&self.run.trace_id, id), "", Precondition::Any),
        ];
        let by = resource.tenant().map(|tenant| key::run_by(tenant, id));
        writes.extend(by.map(|key| Write::put(key, "", Precondition::Any)));
        Ok(writes)
    }

    /// Moves to the state that follows from `event`.
    pub(crate) fn apply(&mut self, event: RunEvent) -> Result<(), IllegalEvent> {
        self.run.state = next(self.run.state, event)?;
        Ok(())
    }
}

/// Something that moves a run from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEvent {
    /// A runner took the run up, for the first time or after a crash.
    TakenUp,
    /// All that runs now waits for the world.
    Waits,
    /// Something other than waiting goes on.
    Moves,
    /// Somebody paused it, and its step at work has finished.
    Paused,
    /// The plan is solved.
    Converged,
    /// It ended with an error.
    Failed,
    /// The plan went round in circles, or over a budget.
    NotConverging,
    /// A user or a newer run ended it.
    Cancelled,
}

/// The event cannot happen in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {state} cannot take the event {event:?}")]
pub(crate) struct IllegalEvent {
    state: RunState,
    event: RunEvent,
}

/// The state machine.
pub(crate) fn next(state: RunState, event: RunEvent) -> Result<RunState, IllegalEvent> {
    use RunState::{
        Cancelled, Converged, Failed, NotConverging, Paused, Pending, Running, Waiting,
    };
    match (state, event) {
        (Pending | Running | Waiting | Paused, RunEvent::TakenUp) => Ok(Running),
        (Running | Waiting, RunEvent::Waits) => Ok(Waiting),
        (Running | Waiting, RunEvent::Moves) => Ok(Running),
        (Running | Waiting, RunEvent::Converged) => Ok(Converged),
        (Running | Waiting, RunEvent::NotConverging) => Ok(NotConverging),
        // Also before it is taken up: it may be paused while it queues, not be readable, superseded.
        (Pending | Running | Waiting, RunEvent::Paused) => Ok(Paused),
        (Pending | Running | Waiting | Paused, RunEvent::Failed) => Ok(Failed),
        (Pending | Running | Waiting | Paused, RunEvent::Cancelled) => Ok(Cancelled),
        _ => Err(IllegalEvent { state, event }),
    }
}

/// A run id that sorts by the time of its making: `run-`, milliseconds since 1970 in 12 hex
/// digits, 12 random ones.
fn new_id(now: Timestamp) -> String {
    format!("run-{:012x}{:012x}", now.as_millisecond(), fastrand::u64(0..1 << 48))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [RunEvent; 8] = [
        RunEvent::TakenUp,
        RunEvent::Waits,
        RunEvent::Moves,
        RunEvent::Paused,
        RunEvent::Converged,
        RunEvent::Failed,
        RunEvent::NotConverging,
        RunEvent::Cancelled,
    ];

    #[test]
    fn no_event_leaves_a_final_state() {
        for state in RunState::ALL.into_iter().filter(|state| state.is_final()) {
            for event in EVENTS {
                assert_eq!(next(state, event), Err(IllegalEvent { state, event }));
            }
        }
    }

    #[test]
    fn a_pending_run_must_be_taken_up_before_it_can_converge() {
        assert!(next(RunState::Pending, RunEvent::Converged).is_err());
        assert!(next(RunState::Pending, RunEvent::Waits).is_err());
        let running = next(RunState::Pending, RunEvent::TakenUp);
        assert_eq!(running, Ok(RunState::Running));
        assert_eq!(next(RunState::Running, RunEvent::Converged), Ok(RunState::Converged));
    }

    #[test]
    fn every_unfinished_state_can_be_taken_up_cancelled_and_failed() {
        for state in RunState::ALL.into_iter().filter(|state| !state.is_final()) {
            assert_eq!(next(state, RunEvent::TakenUp), Ok(RunState::Running));
            assert_eq!(next(state, RunEvent::Cancelled), Ok(RunState::Cancelled));
            assert_eq!(next(state, RunEvent::Failed), Ok(RunState::Failed));
        }
    }

    #[test]
    fn a_paused_run_does_nothing_until_it_is_taken_up() {
        for event in [RunEvent::Waits, RunEvent::Moves, RunEvent::Converged, RunEvent::Paused] {
            assert!(next(RunState::Paused, event).is_err(), "{event:?}");
        }
    }

    #[test]
    fn run_ids_sort_by_the_time_of_their_making() {
        let early = new_id(Timestamp::from_second(1_700_000_000).unwrap());
        let late = new_id(Timestamp::from_second(1_800_000_000).unwrap());
        assert!(early < late);
        assert_eq!(early.len(), 28);
    }
}
