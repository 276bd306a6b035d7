//! How a run ends, and what that means for its resource.
//!
//! Not here: what makes a run stop before its plan does (`work.rs`). The surprise: the order. First the
//! run's span ends and the trace is durable, then the record says so, in one commit with what
//! follows for the resource. Whoever sees a final state finds the whole trace.

use std::error::Error as StdError;

use fixpoint::{Chain, Error, Permanent, Report};
use fixpoint_client::{
    Act, Actor, ErrorReport, OnFailure, PlannedStep, RunState, Verb, WebhookEvent,
};
use fixpoint_trace::redact;
use jiff::Timestamp;
use tracing::Span;

use super::{
    Shared, backoff,
    span::{close, tell_end, tell_failure},
    tenure::Owned,
    turn::Stop,
};
use crate::{
    StatusCell,
    records::{ResourceKey, Stored, key, put},
    resource::ResourceRecord,
    run::{Cause, RunEvent, RunRecord},
    store::{Action, Precondition, StoreError, Write},
    webhook::{self, News},
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

/// Leaves a run as it is until an operator says so. Nothing of it is at work any more. `news` is
/// written with it.
pub(super) async fn pause(
    shared: &Shared,
    owned: &Owned,
    mut run: Stored<RunRecord>,
    span: Span,
    news: Vec<Write>,
) -> Result<(), StoreError> {
    move_on(&mut run.record, RunEvent::Paused)?;
    // Whoever takes it up again takes it from nobody.
    run.record.server = None;
    span.record("fixpoint.run.result", run.record.run.state.as_str());
    span.in_scope(|| tracing::info!("run {} is paused", run.record.run.id));
    close(shared, &run.record, span).await;
    let at = key::run(&run.record.run.id);
    let mut writes = vec![put(at, &run.record, Precondition::Version(run.version))?];
    writes.extend(news);
    owned.commit(writes).await.map(drop)
}

fn move_on(run: &mut RunRecord, event: RunEvent) -> Result<(), StoreError> {
    run.apply(event).map_err(|illegal| StoreError::Corrupt {
        key: key::run(&run.run.id),
        source: illegal.into(),
    })
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
    let mut resource = shared.records.resource(key).await?;
    if let Some(Stored { record, .. }) = &resource
        && policy(record, &run.record, &ending) == Some(OnFailure::Pause)
    {
        return halt(shared, owned, key, run, span, ending).await;
    }
    move_on(&mut run.record, ending.event)?;
    // Another server may have taken it up.
    run.record.server = Some(shared.tenure.server.clone());
    run.record.run.error.clone_from(&ending.error);
    // The clock may have been set back meanwhile.
    run.record.run.ended_at = Some(Timestamp::now().max(run.record.run.created_at));
    tell_end(&run.record, &span);
    close(shared, &run.record, span).await;
    loop {
        let mut record = run.record.clone();
        let follows = match resource {
            Some(stored) => follow_up(shared, key, stored, &mut record, &ending, worked_for)?,
            None => Vec::new(),
        };
        let id = &record.run.id;
        let mut writes = vec![
            put(key::run(id), &record, Precondition::Version(run.version))?,
            Write::delete(key::unfinished(key, id), Precondition::Any),
            Write::put(key::ended(record.run.state, id), "", Precondition::Any),
        ];
        if follows.iter().any(|write| write.what == Action::Delete) {
            writes.push(Write::delete(key::verification(key), Precondition::Any));
        }
        writes.extend(follows);
        match owned.commit(writes).await {
            // A request changed the resource; what follows must be decided anew. If somebody else
            // ended this run, that is an error.
            Err(StoreError::Conflict { key: at }) if at == key::resource(key) => {
                resource = shared.records.resource(key).await?;
            }
            result => {
                result?;
                shared.metrics.run_ended(&key.kind, record.run.state);
                shared.lessons.ended(&record.run);
                return Ok(());
            }
        }
    }
}

/// What a run's end means for its resource, and for whoever wants to be told.
fn follow_up(
    shared: &Shared,
    key: &ResourceKey,
    resource: Stored<ResourceRecord>,
    run: &mut RunRecord,
    ending: &Ending,
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
    let policy = policy(&record, run, ending);
    let roll_back = match policy {
        Some(OnFailure::RollBack) => roll_back(shared, &record, run),
        _ => None,
    };
    let event = match policy {
        Some(_) => Some(WebhookEvent::RunFailed),
        None => (converged && run.run.rolls_back).then_some(WebhookEvent::RolledBack),
    };
    if let Some(event) = event {
        let next = roll_back.as_ref().map(|run| &*run.run.id);
        writes = tell(shared, key, run, event, next)?;
    }
    if let Some(roll_back) = roll_back {
        record.run_id.clone_from(&roll_back.run.id);
        (record.failures, record.retry_at, record.rolled_back) = (0, None, true);
        writes.extend(roll_back.create(key)?);
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

/// The writes that tell of what became of a run.
fn tell(
    shared: &Shared,
    key: &ResourceKey,
    run: &RunRecord,
    event: WebhookEvent,
    next_run_id: Option<&str>,
) -> Result<Vec<Write>, StoreError> {
    let (span, run) = (run.span(), &run.run);
    webhook::tell(shared.webhook.as_ref(), &News { event, key, run, span, steps: &[], next_run_id })
}

/// What the resource's policy has to say to this end of its newest run: to one that is not tried
/// again, and was not cancelled.
fn policy(resource: &ResourceRecord, run: &RunRecord, ending: &Ending) -> Option<OnFailure> {
    let for_good = match ending.event {
        RunEvent::NotConverging => true,
        RunEvent::Failed => {
            let permanent = ending.error.as_ref().is_some_and(|error| error.permanent);
            permanent || backoff::delay(resource.failures + 1).is_none()
        }
        _ => false,
    };
    (for_good && resource.run_id == run.run.id).then_some(resource.on_failure)
}

/// The run that takes down what a failed one made, if there is something to take down. What has been
/// as wanted once is perhaps in use, and stays.
fn roll_back(shared: &Shared, resource: &ResourceRecord, run: &RunRecord) -> Option<RunRecord> {
    let wanted = !(resource.deleting || run.run.rolls_back) && resource.observed_generation == 0;
    let kind = shared.kinds.get(resource.kind.as_str()).filter(|_| wanted)?;
    let plan = kind.plan(&resource.taken_down(), StatusCell::default()).ok()?;
    let cause = Cause::RollBack(run.span()?);
    Some(RunRecord::rolling_back(resource, plan.name().to_owned(), cause))
}

/// Pauses a run that has failed for good, instead of ending it: its resource says so.
async fn halt(
    shared: &Shared,
    owned: &Owned,
    key: &ResourceKey,
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
    let news = tell(shared, key, &run.record, WebhookEvent::RunPaused, None)?;
    pause(shared, owned, run, span, news).await
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
