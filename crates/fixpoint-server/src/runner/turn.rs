//! One look at one resource: end what is superseded, run what is recorded, retry what is due.
//!
//! Not here: when to look (`mod.rs`), what is written during a run (`ledger.rs`), and how one ends
//! (`ending.rs`). The surprise: a change of the spec does not wait for the run at hand. That run
//! works towards what nobody wants any more, so it is cancelled (its waits at once, its step at
//! work finishes), and a new one plans from what is there. DELETE of a resource that is being
//! created is the same.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use fixpoint::{Context, Error, Permanent, Plan, Report};
use jiff::Timestamp;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Shared,
    ending::{Ending, end, run_span},
    ledger::{Ledger, SAVE_EVERY},
};
use crate::{
    StatusCell,
    records::{ResourceKey, Stored, key, put},
    resource::ResourceRecord,
    run::{Cause, RunEvent, RunRecord},
    store::{Precondition, StoreError},
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
pub(super) enum Stop {
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
