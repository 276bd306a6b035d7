//! A run at work: it is taken up, its plan is executed, and reasons to stop are listened for.
//!
//! Not here: whose the resource is (`turn.rs`), what is written down meanwhile (`ledger.rs`), and
//! how a run ends (`ending.rs`). The surprise: a run does not end because the run store failed or
//! because the resource went to another server. It is left as it is, for whoever takes it up.

use std::{error::Error as StdError, sync::Arc};

use fixpoint::{Context, Error, Permanent, Plan, Report};
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    Shared,
    ending::{Ending, end, run_span},
    ledger::{Ledger, SAVE_EVERY},
    tenure::{Owned, working_for},
    turn::{Held, Next, Stop},
};
use crate::{
    StatusCell,
    records::{ResourceKey, Stored},
    resource::ResourceRecord,
    run::{RunEvent, RunRecord},
    store::StoreError,
};

/// Runs the plan for one recorded run, from wherever it stands.
pub(super) async fn execute<'a>(
    shared: &'a Shared,
    held: &mut Held<'a>,
    resource: &ResourceRecord,
    mut run: Stored<RunRecord>,
    look: &Notify,
) -> Result<Next, StoreError> {
    let (key, owned) = (&resource.key(), &held.owned);
    let id = run.record.run.id.clone();
    if shared.records.cancel_asked(&id).await? {
        let (span, ending) = (run_span(key, &run.record), Ending::stopped(Stop::Asked));
        end(shared, owned, key, run, span, ending, None).await?;
        return Ok(Next::Look);
    }
    if held.room.is_none() {
        held.room = tokio::select! {
            room = shared.room.acquire() => room.ok(),
            () = shared.stopping.cancelled() => return Ok(Next::Rest),
            // Perhaps superseded or cancelled while it queued.
            () = look.notified() => return Ok(Next::Look),
        };
    }
    let Some(kind) = shared.kinds.get(key.kind.as_str()) else { return Ok(Next::Rest) };
    let status = StatusCell::default();
    let plan = kind.plan(resource, status.clone());

    let before = run.record.server.replace(shared.tenure.server.clone());
    let at_work: Vec<_> = run.record.run.active.iter().map(|step| step.name.clone()).collect();
    run.record.run.attempts += 1;
    if let Ok(plan) = &plan {
        plan.name().clone_into(&mut run.record.run.plan);
    }
    // `Pending`, `Running` and `Waiting` can all be taken up, and no other state is unfinished.
    let _taken_up = run.record.apply(RunEvent::TakenUp);
    shared.strays.take(&id);
    let span = run_span(key, &run.record);
    let ledger = Arc::new(Ledger::new(shared, owned.clone(), key.clone(), status, run));
    match before.filter(|before| *before != shared.tenure.server) {
        Some(before) => {
            let taking = take_over(shared, &span, &before, &at_work);
            ledger.save().instrument(taking).await?;
        }
        None => ledger.save().instrument(span.clone()).await?,
    }
    let plan = match plan {
        Ok(plan) => plan,
        Err(source) => {
            let source = Permanent::because("the resource cannot be planned", source);
            let error = Error::Create { plan: key.kind.clone(), source: source.into() };
            let run = ledger.close().await?;
            end(shared, owned, key, run, span, Ending::of(Err(error)), None).await?;
            return Ok(Next::Look);
        }
    };
    let working = work(shared, owned, key, &id, &*plan, &ledger, look);
    let (result, stop) = working.instrument(span.clone()).await;
    if let Some(error) = ledger.take_broken() {
        left(shared, owned, &span, &id);
        return Err(error);
    }
    match stop {
        Some(Stop::Lost) => {
            left(shared, owned, &span, &id);
            return Err(StoreError::LeaseLost);
        }
        Some(Stop::Server) if matches!(result, Err(Error::Cancelled(_))) => {
            span.record("fixpoint.run.result", "interrupted");
            span.in_scope(|| tracing::info!("the server stops; the run is left to be taken up"));
            ledger.save().instrument(span).await?;
            return Ok(Next::Rest);
        }
        _ => {}
    }
    let ending = match (result, stop) {
        (Err(Error::Cancelled(_)), Some(stop)) => Ending::stopped(stop),
        (result, _) => Ending::of(result),
    };
    let ended = async {
        ledger.save_status().await?;
        let run = ledger.close().await?;
        end(shared, owned, key, run, span, ending, Some(resource)).await
    };
    let ended = ended.await;
    if let Err(StoreError::LeaseLost) = ended {
        shared.strays.add(&id);
    }
    ended.map(|()| Next::Look)
}

/// Tells of a run that another server, or this one before it was started again, had taken up.
fn take_over(shared: &Shared, span: &Span, before: &str, at_work: &[String]) -> Span {
    let (now, steps) = (&shared.tenure.server, at_work.join(", "));
    shared.metrics.takeover();
    let taking = tracing::info_span!(
        parent: span,
        "take_over",
        fixpoint.takeover.from = before,
        fixpoint.takeover.to = now,
        fixpoint.takeover.steps = steps,
    );
    taking.in_scope(|| tracing::info!("server {now} takes over from server {before}"));
    taking
}

/// The run is left to another server, or to this one when it can write again.
fn left(shared: &Shared, owned: &Owned, span: &Span, id: &str) {
    span.record("fixpoint.run.result", "interrupted");
    if owned.is_lost() {
        shared.strays.add(id);
        span.in_scope(|| tracing::warn!("run {id} is left to another server"));
    } else {
        span.in_scope(|| tracing::warn!("run {id} is left until it can be written down again"));
    }
}

/// Executes the plan, and listens meanwhile for reasons to stop.
async fn work(
    shared: &Shared,
    owned: &Owned,
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
        let result = working_for(owned.clone(), shared.scheduler.execute(plan, &cx)).await;
        done.cancel();
        result
    };
    let listening = async {
        tokio::select! {
            biased;
            () = done.cancelled() => None,
            stop = stop_wanted(shared, owned, key, id, look) => {
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
async fn stop_wanted(
    shared: &Shared,
    owned: &Owned,
    key: &ResourceKey,
    id: &str,
    look: &Notify,
) -> Stop {
    loop {
        tokio::select! {
            () = owned.lost() => return Stop::Lost,
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
