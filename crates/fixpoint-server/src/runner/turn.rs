//! One look at one resource: end what is superseded, run what is recorded, retry what is due.
//!
//! Not here: when to look (`mod.rs`) and what is written during a run (`ledger.rs`). The
//! surprise: a change of the spec does not wait for the run at hand. That run works towards what
//! nobody wants any more, so it is cancelled (its waits at once, its step at work finishes), and
//! a new one plans from what is there. DELETE of a resource that is being created is the same.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use fixpoint::{Context, Error, Permanent, Plan, Report};
use fixpoint_client::{ErrorReport, PlannedStep, RunState};
use fixpoint_trace::redact;
use jiff::Timestamp;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty};

use super::{
    Shared, backoff,
    ledger::{Ledger, SAVE_EVERY},
};
use crate::{
    StatusCell,
    records::{ResourceKey, Stored, key, put},
    resource::ResourceRecord,
    run::{Cause, RunEvent, RunRecord},
    store::{Precondition, StoreError, Write},
};

/// How long to wait when the run store fails: twice this at first, at most that.
const STORE_PAUSE: Duration = Duration::from_millis(500);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What to do after a turn.
enum Next {
    /// Look again at once.
    Look,
    /// Look when this time comes, or when woken.
    At(Timestamp),
    /// Nothing more is to be done; a wake starts a new task.
    Rest,
}

/// Why a run at work is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The server stops. The run goes on when there is a server again.
    Server,
    /// A newer run took its place.
    Superseded,
    /// A user asked for it.
    Asked,
}

/// Looks after one resource until there is nothing left to do for it.
pub(super) async fn look_after(shared: Arc<Shared>, resource: ResourceKey, look: Arc<Notify>) {
    let mut pause = STORE_PAUSE;
    while !shared.stopping.is_cancelled() {
        let wait = match turn(&shared, &resource, &look).await {
            Ok(Next::Rest) => return,
            Ok(Next::Look) => {
                pause = STORE_PAUSE;
                continue;
            }
            Ok(Next::At(time)) => {
                Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default()
            }
            Err(error) => {
                let error: &(dyn StdError + 'static) = &error;
                tracing::error!(error, "{resource} could not be looked after");
                pause = (pause * 2).min(STORE_PAUSE_MAX);
                pause
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            _ = time::timeout(wait, look.notified()) => {}
        }
    }
}

async fn turn(shared: &Shared, key: &ResourceKey, look: &Notify) -> Result<Next, StoreError> {
    let resource = shared.records.resource(key).await?.map(|stored| stored.record);
    let newest = resource.as_ref().map(|resource| resource.run_id.as_str());
    let mut current = None;
    for run in shared.records.unfinished(key).await? {
        if Some(run.record.run.id.as_str()) == newest {
            current = Some(run);
        } else {
            let span = run_span(key, &run.record);
            end(shared, key, run, span, Ending::stopped(Stop::Superseded), None).await?;
        }
    }
    let Some(resource) = resource else { return Ok(Next::Rest) };
    if let Some(run) = current {
        return execute(shared, &resource, run, look).await;
    }
    match resource.retry_at {
        Some(time) if time > Timestamp::now() => Ok(Next::At(time)),
        Some(_) => retry(shared, key).await,
        None => Ok(Next::Rest),
    }
}

/// Records a new run after one that failed.
async fn retry(shared: &Shared, key: &ResourceKey) -> Result<Next, StoreError> {
    let Some(Stored { mut record, version }) = shared.records.resource(key).await? else {
        return Ok(Next::Look);
    };
    let Some(last) = shared.records.run(&record.run_id).await? else { return Ok(Next::Rest) };
    let Some(span) = last.record.span() else { return Ok(Next::Rest) };
    let run = RunRecord::new(&record, last.record.run.plan, Cause::Retry(span));
    record.run_id.clone_from(&run.run.id);
    record.retry_at = None;
    let mut writes = run.create(key)?;
    writes.push(put(key::resource(key), &record, Precondition::Version(version))?);
    match shared.records.commit(writes).await {
        Err(error) if !error.is_conflict() => Err(error),
        // A request was first; its run is looked at instead.
        _ => Ok(Next::Look),
    }
}

/// Runs the plan for one recorded run, from wherever it stands.
async fn execute(
    shared: &Shared,
    resource: &ResourceRecord,
    mut run: Stored<RunRecord>,
    look: &Notify,
) -> Result<Next, StoreError> {
    let key = &resource.key();
    let id = run.record.run.id.clone();
    if shared.records.cancel_asked(&id).await? {
        let span = run_span(key, &run.record);
        end(shared, key, run, span, Ending::stopped(Stop::Asked), None).await?;
        return Ok(Next::Look);
    }
    let _permit = tokio::select! {
        permit = shared.room.acquire() => permit,
        () = shared.stopping.cancelled() => return Ok(Next::Rest),
        // Perhaps superseded or cancelled while it queued.
        () = look.notified() => return Ok(Next::Look),
    };
    let Some(kind) = shared.kinds.get(key.kind.as_str()) else {
        tracing::warn!("{key} is of a kind that this server does not serve");
        return Ok(Next::Rest);
    };
    let status = StatusCell::default();
    let plan = kind.plan(resource, status.clone());

    run.record.run.attempts += 1;
    if let Ok(plan) = &plan {
        plan.name().clone_into(&mut run.record.run.plan);
    }
    // `Pending`, `Running` and `Waiting` can all be taken up, and no other state is unfinished.
    let _taken_up = run.record.apply(RunEvent::TakenUp);
    let span = run_span(key, &run.record);
    let ledger = Arc::new(Ledger::new(
        shared.records.clone(),
        shared.recorder.clone(),
        Arc::clone(&shared.metrics),
        key.clone(),
        status,
        run,
    ));
    ledger.save().await?;
    let plan = match plan {
        Ok(plan) => plan,
        Err(source) => {
            let source = Permanent::because("the resource cannot be planned", source);
            let error = Error::Create { plan: key.kind.clone(), source: source.into() };
            let run = ledger.close().await?;
            end(shared, key, run, span, Ending::of(Err(error)), None).await?;
            return Ok(Next::Look);
        }
    };
    let (result, stop) =
        work(shared, key, &id, &*plan, &ledger, look).instrument(span.clone()).await;
    if stop == Some(Stop::Server) && matches!(result, Err(Error::Cancelled(_))) {
        span.record("fixpoint.run.result", "interrupted");
        span.in_scope(|| tracing::info!("the server stops; the run goes on when it is back"));
        ledger.save().await?;
        return Ok(Next::Rest);
    }
    let ending = match (result, stop) {
        (Err(Error::Cancelled(_)), Some(stop)) => Ending::stopped(stop),
        (result, _) => Ending::of(result),
    };
    ledger.save_status().await?;
    let run = ledger.close().await?;
    end(shared, key, run, span, ending, Some(resource)).await?;
    Ok(Next::Look)
}

/// Executes the plan, and listens meanwhile for reasons to stop.
async fn work(
    shared: &Shared,
    key: &ResourceKey,
    id: &str,
    plan: &dyn Plan,
    ledger: &Arc<Ledger>,
    look: &Notify,
) -> (Result<Report, Error>, Option<Stop>) {
    let cancel = CancellationToken::new();
    let cx = Context::new()
        .with_run_id(id)
        .with_cancel(cancel.clone())
        .with_observer(Arc::clone(ledger) as _)
        .with_pace(shared.pace);
    tracing::info!("run {id} of {key} works");
    // Beside each other and never one within another's turn: a save may wait for the store while
    // the run waits for that save's lock.
    let done = CancellationToken::new();
    let running = async {
        let result = shared.scheduler.execute(plan, &cx).await;
        done.cancel();
        result
    };
    let listening = async {
        tokio::select! {
            biased;
            () = done.cancelled() => None,
            stop = stop_wanted(shared, key, id, look) => {
                cancel.cancel();
                Some(stop)
            }
        }
    };
    let (result, stop, ()) = tokio::join!(running, listening, keep_saving(ledger, &done));
    (result, stop)
}

/// Saves what needs no saving at once, until the run is done.
async fn keep_saving(ledger: &Ledger, done: &CancellationToken) {
    let mut ticks = time::interval(SAVE_EVERY);
    loop {
        tokio::select! {
            biased;
            () = done.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = ledger.save().await {
            let error: &(dyn StdError + 'static) = &error;
            tracing::error!(error, "the run's record could not be saved");
        }
    }
}

/// Returns when the run is to stop, and says why.
async fn stop_wanted(shared: &Shared, key: &ResourceKey, id: &str, look: &Notify) -> Stop {
    loop {
        tokio::select! {
            () = shared.stopping.cancelled() => return Stop::Server,
            () = look.notified() => match reason_to_stop(shared, key, id).await {
                Ok(Some(stop)) => return stop,
                Ok(None) => {}
                Err(error) => {
                    let error: &(dyn StdError + 'static) = &error;
                    tracing::error!(error, "a wake could not be followed up");
                }
            },
        }
    }
}

async fn reason_to_stop(
    shared: &Shared,
    key: &ResourceKey,
    id: &str,
) -> Result<Option<Stop>, StoreError> {
    if shared.records.cancel_asked(id).await? {
        return Ok(Some(Stop::Asked));
    }
    let resource = shared.records.resource(key).await?;
    let superseded = resource.is_none_or(|stored| stored.record.run_id != id);
    Ok(superseded.then_some(Stop::Superseded))
}

/// How a run ends.
struct Ending {
    event: RunEvent,
    error: Option<ErrorReport>,
}

impl Ending {
    fn stopped(stop: Stop) -> Self {
        let message = match stop {
            Stop::Superseded => "a newer run took its place",
            Stop::Asked | Stop::Server => "cancelled by request",
        };
        let error = ErrorReport {
            message: message.to_owned(),
            causes: vec![],
            step: None,
            permanent: false,
        };
        Self { event: RunEvent::Cancelled, error: Some(error) }
    }

    fn of(result: Result<Report, Error>) -> Self {
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

/// An error and its causes, for the run's record.
fn report(error: &Error) -> ErrorReport {
    let text = |error: &dyn StdError| redact::text(&error.to_string()).into_owned();
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    ErrorReport {
        message: text(error),
        causes: causes.map(text).collect(),
        step: match error {
            Error::Step { name, key, .. } => {
                Some(PlannedStep { name: name.clone(), key: redact::text(key).into_owned() })
            }
            _ => None,
        },
        permanent: Permanent::is(error),
    }
}

/// Ends a run: first its span, then its record and what follows for its resource, in one commit.
/// `worked_for` is the resource as the run knew it, if it did any work.
async fn end(
    shared: &Shared,
    key: &ResourceKey,
    mut run: Stored<RunRecord>,
    span: Span,
    ending: Ending,
    worked_for: Option<&ResourceRecord>,
) -> Result<(), StoreError> {
    if let Err(illegal) = run.record.apply(ending.event) {
        return Err(StoreError::Corrupt {
            key: key::run(&run.record.run.id),
            source: illegal.into(),
        });
    }
    run.record.run.error = ending.error;
    run.record.run.ended_at = Some(Timestamp::now());
    close_span(&run.record, &span);
    drop(span);
    // Whoever sees the final state finds the whole trace. If the traces cannot be stored, the
    // run has ended all the same.
    if shared.recorder.flush().await.is_err() {
        tracing::error!("the trace of run {} may be incomplete", run.record.run.id);
    }
    loop {
        let resource = shared.records.resource(key).await?;
        let mut record = run.record.clone();
        let resource = resource
            .map(|stored| follow_up(shared, key, stored, &mut record, worked_for))
            .transpose()?;
        let id = &record.run.id;
        let mut writes = vec![
            put(key::run(id), &record, Precondition::Version(run.version))?,
            Write::delete(key::unfinished(key, id), Precondition::Any),
            Write::delete(key::cancel(id), Precondition::Any),
        ];
        writes.extend(resource);
        match shared.records.commit(writes).await {
            // A request changed the resource; what follows must be decided anew. If somebody else
            // ended this run, that is an error.
            Err(StoreError::Conflict { key: at }) if at == key::resource(key) => {}
            result => {
                result?;
                shared.metrics.run_ended(&key.kind, record.run.state);
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
) -> Result<Write, StoreError> {
    let Stored { mut record, version } = resource;
    let only = Precondition::Version(version);
    let converged = run.run.state == RunState::Converged;
    if converged && record.deleting && worked_for.is_some_and(|worked| worked.deleting) {
        return Ok(Write::delete(key::resource(key), only));
    }
    if converged {
        record.observed_generation = record.observed_generation.max(run.run.generation);
    }
    if record.run_id == run.run.id {
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
    put(key::resource(key), &record, only)
}

/// The run's span, with the ids from its record: a run taken up again goes on in the same span.
fn run_span(key: &ResourceKey, run: &RunRecord) -> Span {
    let link = run.link.map(|span| format!("{}-{}", span.trace_id, span.span_id));
    tracing::info_span!(
        parent: None,
        "run",
        otel.name = format!("run {}", key.kind),
        fixpoint.trace_id = run.run.trace_id,
        fixpoint.span_id = run.run.span_id,
        fixpoint.parent_id = run.parent.map(|id| id.to_string()),
        fixpoint.link = link,
        fixpoint.run.id = run.run.id,
        fixpoint.resource = run.run.resource,
        fixpoint.generation = run.run.generation,
        fixpoint.run.attempts = run.run.attempts,
        fixpoint.run.result = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

fn close_span(run: &RunRecord, span: &Span) {
    let state = run.run.state;
    span.record("fixpoint.run.result", state.as_str());
    let why = run.run.error.as_ref().map_or("", |error| error.message.as_str());
    if matches!(state, RunState::Failed | RunState::NotConverging) {
        span.record("error.type", state.as_str());
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", why);
    }
    span.in_scope(|| match state {
        RunState::Converged => tracing::info!("run {} converged", run.run.id),
        RunState::Cancelled => tracing::info!("run {} was cancelled: {why}", run.run.id),
        _ => tracing::error!("run {} ended {state}: {why}", run.run.id),
    });
}
