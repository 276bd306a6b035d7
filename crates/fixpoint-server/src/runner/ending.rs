//! How a run ends, and what that means for its resource.
//!
//! Not here: what makes a run stop before its plan does (`work.rs`). The surprise: the order. First the
//! run's span ends and the trace is durable, then the record says so, in one commit with what
//! follows for the resource. Whoever sees a final state finds the whole trace.

use std::error::Error as StdError;

use fixpoint::{Chain, Error, Permanent, Report};
use fixpoint_client::{
    Act, Actor, ErrorReport, OnFailure, PlannedStep, Run, RunCause, RunState, Verb,
};
use fixpoint_trace::redact;
use jiff::Timestamp;
use tracing::{Span, field::Empty};

use super::{Shared, backoff, tenure::Owned, turn::Stop};
use crate::{
    StatusCell,
    records::{ResourceKey, Stored, key, put},
    resource::ResourceRecord,
    run::{Cause, RunEvent, RunRecord},
    store::{Action, Precondition, StoreError, Write},
};

/// How a run ends.
pub(super) struct Ending {
    event: RunEvent,
    error: Option<ErrorReport>,
}

impl Ending {
    pub(super) fn stopped(stop: Stop) -> Self {
        let message = match stop {
            Stop::Superseded => "a newer run took its place",
            Stop::Asked | Stop::Server | Stop::Lost | Stop::Paused | Stop::Replan => {
                "cancelled by request"
            }
        };
        let error = ErrorReport {
            message: message.to_owned(),
            causes: vec![],
            step: None,
            permanent: false,
        };
        Self { event: RunEvent::Cancelled, error: Some(error) }
    }

    pub(super) fn of(result: Result<Report, Error>) -> Self {
        match result {
            Ok(_) => Self { event: RunEvent::Converged, error: None },
            Err(error) => {
                let event = match &error {
                    Error::Cancelled(_) => RunEvent::Cancelled,
                    Error::NotConverging { .. } | Error::OverBound { .. } => {
                        RunEvent::NotConverging
                    }
                    _ => RunEvent::Failed,
                };
                Self { event, error: Some(report(&error)) }
            }
        }
    }
}

/// An error and its causes, for the run's record. It begins at the step that failed first.
fn report(error: &Error) -> ErrorReport {
    let redacted = |text: &str| redact::text(text).into_owned();
    let failed = error.failed_steps();
    let (failure, others) = failed.split_first().map_or((error, &[][..]), |(f, o)| (*f, o));
    let mut causes: Vec<_> = std::iter::successors(failure.source(), |cause| (*cause).source())
        .map(|cause| redacted(&cause.to_string()))
        .collect();
    let also: Vec<_> = others
        .iter()
        .filter_map(|error| match error {
            Error::Step { name, source, .. } => Some(format!("step {name}: {}", Chain(&**source))),
            _ => None,
        })
        .collect();
    if !also.is_empty() {
        causes.push(redacted(&format!("also failed: {}", also.join("; "))));
    }
    ErrorReport {
        message: redacted(&failure.to_string()),
        causes,
        step: match failure {
            Error::Step { name, key, .. } => {
                Some(PlannedStep { name: name.clone(), key: redacted(key) })
            }
            _ => None,
        },
        permanent: Permanent::is(error),
    }
}

/// Leaves a run as it is until an operator says so. Nothing of it is at work any more.
pub(super) async fn pause(
    shared: &Shared,
    owned: &Owned,
    mut run: Stored<RunRecord>,
    span: Span,
) -> Result<(), StoreError> {
    move_on(&mut run.record, RunEvent::Paused)?;
    // Whoever takes it up again takes it from nobody.
    run.record.server = None;
    span.record("fixpoint.run.result", run.record.run.state.as_str());
    span.in_scope(|| tracing::info!("run {} is paused", run.record.run.id));
    close(shared, &run.record, span).await;
    let at = key::run(&run.record.run.id);
    owned.commit(vec![put(at, &run.record, Precondition::Version(run.version))?]).await.map(drop)
}

fn move_on(run: &mut RunRecord, event: RunEvent) -> Result<(), StoreError> {
    run.apply(event).map_err(|illegal| StoreError::Corrupt {
        key: key::run(&run.run.id),
        source: illegal.into(),
    })
}

/// Ends the run's span. Whoever then sees what became of the run finds the whole trace. If the
/// traces cannot be stored, it has become so all the same.
async fn close(shared: &Shared, run: &RunRecord, span: Span) {
    drop(span);
    if shared.recorder.flush().await.is_err() {
        tracing::error!("the trace of run {} may be incomplete", run.run.id);
    }
}

/// Ends a run. `worked_for` is the resource as the run knew it, if it did any work.
pub(super) async fn end(
    shared: &Shared,
    owned: &Owned,
    key: &ResourceKey,
    mut run: Stored<RunRecord>,
    span: Span,
    ending: Ending,
    worked_for: Option<&ResourceRecord>,
) -> Result<(), StoreError> {
    let resource = shared.records.resource(key).await?.map(|stored| stored.record);
    if resource.is_some_and(|resource| policy(&resource, &run.record, &ending) == OnFailure::Pause)
    {
        return halt(shared, owned, run, span, ending).await;
    }
    move_on(&mut run.record, ending.event)?;
    // Another server may have taken it up.
    run.record.server = Some(shared.tenure.server.clone());
    run.record.run.error = ending.error;
    run.record.run.ended_at = Some(Timestamp::now());
    tell_end(&run.record, &span);
    close(shared, &run.record, span).await;
    loop {
        let resource = shared.records.resource(key).await?;
        let mut record = run.record.clone();
        let resource = resource
            .map(|stored| follow_up(shared, key, stored, &mut record, worked_for))
            .transpose()?
            .unwrap_or_default();
        let id = &record.run.id;
        let mut writes = vec![
            put(key::run(id), &record, Precondition::Version(run.version))?,
            Write::delete(key::unfinished(key, id), Precondition::Any),
        ];
        if resource.iter().any(|write| write.what == Action::Delete) {
            writes.push(Write::delete(key::verification(key), Precondition::Any));
        }
        writes.extend(resource);
        match owned.commit(writes).await {
            // A request changed the resource; what follows must be decided anew. If somebody else
            // ended this run, that is an error.
            Err(StoreError::Conflict { key: at }) if at == key::resource(key) => {}
            result => {
                result?;
                shared.metrics.run_ended(&key.kind, record.run.state);
                shared.lessons.ended(&record.run);
                return Ok(());
            }
        }
    }
}

/// What a run's end means for its resource.
fn follow_up(
    shared: &Shared,
    key: &ResourceKey,
    resource: Stored<ResourceRecord>,
    run: &mut RunRecord,
    worked_for: Option<&ResourceRecord>,
) -> Result<Vec<Write>, StoreError> {
    let Stored { mut record, version } = resource;
    let only = Precondition::Version(version);
    // What was left out is still missing, whatever a run has made of the rest.
    let converged = run.run.state == RunState::Converged && run.run.skipped.is_empty();
    if converged && record.deleting && worked_for.is_some_and(|worked| worked.deleting) {
        return Ok(vec![Write::delete(key::resource(key), only)]);
    }
    if converged && !run.run.rolls_back {
        record.observed_generation = record.observed_generation.max(run.run.generation);
    }
    let mut writes = Vec::new();
    let roll_back = roll_back(shared, &record, run);
    if let Some(roll_back) = roll_back {
        record.run_id.clone_from(&roll_back.run.id);
        (record.failures, record.retry_at, record.rolled_back) = (0, None, true);
        writes = roll_back.create(key)?;
    } else if record.run_id == run.run.id {
        record.failures = match run.run.state {
            RunState::Failed => record.failures + 1,
            _ => 0,
        };
        let retry = run.run.state == RunState::Failed
            && !run.run.error.as_ref().is_some_and(|error| error.permanent);
        record.retry_at = retry
            .then(|| backoff::delay(record.failures))
            .flatten()
            .and_then(|delay| Timestamp::now().checked_add(shared.pace.wall(delay)).ok());
        run.run.retry_at = record.retry_at;
    }
    writes.push(put(key::resource(key), &record, only)?);
    Ok(writes)
}

/// What the resource's policy has to say to this end of its newest run. It has nothing to say as long
/// as the run is tried again, and to one that is cancelled.
fn policy(resource: &ResourceRecord, run: &RunRecord, ending: &Ending) -> OnFailure {
    let for_good = match ending.event {
        RunEvent::NotConverging => true,
        RunEvent::Failed => {
            let permanent = ending.error.as_ref().is_some_and(|error| error.permanent);
            permanent || backoff::delay(resource.failures + 1).is_none()
        }
        _ => false,
    };
    if for_good && resource.run_id == run.run.id { resource.on_failure } else { OnFailure::Keep }
}

/// The run that takes down what a failed one made, if the resource's policy wants that. What has been
/// as wanted once is perhaps in use, and stays.
fn roll_back(shared: &Shared, resource: &ResourceRecord, run: &RunRecord) -> Option<RunRecord> {
    let ending = Ending { event: event_of(run.run.state)?, error: run.run.error.clone() };
    let wanted = policy(resource, run, &ending) == OnFailure::RollBack
        && !(resource.deleting || run.run.rolls_back)
        && resource.observed_generation == 0;
    let kind = shared.kinds.get(resource.kind.as_str()).filter(|_| wanted)?;
    let plan = kind.plan(&resource.taken_down(), StatusCell::default()).ok()?;
    let cause = Cause::Retry(run.span()?);
    Some(RunRecord::rolling_back(resource, plan.name().to_owned(), cause))
}

fn event_of(state: RunState) -> Option<RunEvent> {
    match state {
        RunState::Failed => Some(RunEvent::Failed),
        RunState::NotConverging => Some(RunEvent::NotConverging),
        _ => None,
    }
}

/// Pauses a run that has failed for good, instead of ending it: its resource says so.
async fn halt(
    shared: &Shared,
    owned: &Owned,
    mut run: Stored<RunRecord>,
    span: Span,
    ending: Ending,
) -> Result<(), StoreError> {
    run.record.run.halted = Some(match ending.event {
        RunEvent::NotConverging => RunState::NotConverging,
        _ => RunState::Failed,
    });
    run.record.run.error = ending.error;
    let act = Act {
        verb: Verb::Pause,
        at: Timestamp::now(),
        step: None,
        by: Actor { name: "its failure policy".to_owned(), role: None, token_id: None },
        reason: run
            .record
            .run
            .error
            .as_ref()
            .map(|error| error.message.clone())
            .unwrap_or_default(),
        trace_id: None,
    };
    let id = run.record.run.id.clone();
    loop {
        let write = shared.records.acts(&id).await?.add(&id, &act)?;
        match owned.commit(vec![write]).await {
            // An operator was first.
            Err(error) if error.is_conflict() => {}
            result => {
                result?;
                break;
            }
        }
    }
    tell_failure(&run.record.run, run.record.run.outcome(), &span);
    pause(shared, owned, run, span).await
}

/// The run's span, with the ids from its record: a run taken up again goes on in the same span.
pub(super) fn run_span(key: &ResourceKey, run: &RunRecord) -> Span {
    let link = run.link.map(|span| format!("{}-{}", span.trace_id, span.span_id));
    tracing::info_span!(
        parent: None,
        "run",
        otel.name = format!("run {}", key.kind),
        fixpoint.trace_id = run.run.trace_id,
        fixpoint.span_id = run.run.span_id,
        fixpoint.parent_id = run.parent.map(|id| id.to_string()),
        fixpoint.link = link,
        fixpoint.tenant = key.tenant(),
        fixpoint.run.id = run.run.id,
        fixpoint.resource = run.run.resource,
        fixpoint.generation = run.run.generation,
        fixpoint.run.cause = run.run.cause.map(RunCause::as_str),
        fixpoint.run.attempts = run.run.attempts,
        fixpoint.server = run.server,
        fixpoint.run.result = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Marks the run's span as that of a run which went so.
fn tell_failure(run: &Run, outcome: RunState, span: &Span) {
    let why = run.error.as_ref().map_or("", |error| error.message.as_str());
    span.record("error.type", outcome.as_str());
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why);
}

fn tell_end(run: &RunRecord, span: &Span) {
    let state = run.run.state;
    span.record("fixpoint.run.result", state.as_str());
    let why = run.run.error.as_ref().map_or("", |error| error.message.as_str());
    if matches!(state, RunState::Failed | RunState::NotConverging) {
        tell_failure(&run.run, state, span);
    }
    span.in_scope(|| match state {
        RunState::Converged if run.run.skipped.is_empty() => {
            tracing::info!("run {} converged", run.run.id);
        }
        RunState::Converged => {
            let left =
                run.run.skipped.iter().map(|step| &*step.name).collect::<Vec<_>>().join(", ");
            tracing::warn!("run {} converged without {left}, skipped", run.run.id);
        }
        RunState::Cancelled => tracing::info!("run {} was cancelled: {why}", run.run.id),
        _ => tracing::error!("run {} ended {state}: {why}", run.run.id),
    });
}

#[cfg(test)]
mod tests {
    use fixpoint::{BoxError, TogetherFailed};

    use super::*;

    fn failed(name: &str, source: impl Into<BoxError>) -> Error {
        Error::Step { name: name.into(), key: format!("{name} key"), source: source.into() }
    }

    #[test]
    fn a_failure_among_steps_that_ran_together_is_told_by_the_step_itself() {
        let denied = Permanent::because("cannot create instances", "token=hunter2 is denied");
        let together = TogetherFailed {
            of: 3,
            first: Box::new(failed("create_instances", denied)),
            others: vec![failed("create_subnet", "throttled"), failed("create_role", "no quota")],
        };
        let report = report(&failed("together", together));
        assert_eq!(report.message, "step create_instances failed");
        assert_eq!(report.step.map(|step| step.key).as_deref(), Some("create_instances key"));
        assert!(report.permanent);
        let causes: Vec<_> = report.causes.iter().map(String::as_str).collect();
        let [what, why, also] = causes[..] else { panic!("{causes:?}") };
        assert_eq!(what, "cannot create instances");
        assert!(!why.contains("hunter2"), "{why}");
        assert_eq!(also, "also failed: step create_subnet: throttled; step create_role: no quota");
    }
}
