//! A run at work: it is taken up, its plan is executed, and reasons to stop are listened for.
//!
//! Not here: whose the resource is (`turn.rs`), what is written down meanwhile (`ledger.rs`), and
//! how a run ends (`ending.rs`). The surprise: a run does not end because a store failed or
//! because the resource went to another server. It is left as it is, for whoever takes it up.

use std::{error::Error as StdError, sync::Arc};

use fixpoint::{Context, Error, Permanent, Plan, Report};
use fixpoint_trace::record::NotDurable;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    Shared,
    ending::{Ending, end, pause},
    ledger::{Ledger, SAVE_EVERY},
    span::run_span,
    tenure::{Owned, working_for},
    turn::{Held, Next, Stop},
};
use crate::{
    StatusCell,
    acts::Acts,
    records::{ResourceKey, Stored},
    resource::ResourceRecord,
    run::{RunEvent, RunRecord},
    store::StoreError,
};

/// Runs the plan for one recorded run, from wherever it stands. `acts` is what operators had done to
/// it when it was read.
pub(super) async fn execute<'a>(
    shared: &'a Shared,
    held: &mut Held<'a>,
    resource: &ResourceRecord,
    mut run: Stored<RunRecord>,
    mut acts: Acts,
    look: &Notify,
) -> Result<Next, StoreError> {
    let (key, owned) = (&resource.key(), &held.owned);
    let id = run.record.run.id.clone();
    if held.room.is_none() {
        held.room = tokio::select! {
            room = shared.room.acquire() => room.ok(),
            () = shared.stopping.cancelled() => return Ok(Next::Rest),
            // Perhaps superseded, paused or cancelled while it queued.
            () = look.notified() => return Ok(Next::Look),
        };
    }
    let Some(kind) = shared.kinds.get(key.kind.as_str()) else { return Ok(Next::Rest) };
    let status = StatusCell::default();
    let plan = match run.record.run.rolls_back {
        true => kind.plan(&resource.taken_down(), status.clone()),
        false => kind.plan(resource, status.clone()),
    };

    let before = run.record.server.replace(shared.tenure.server.clone());
    let at_work: Vec<_> = run.record.run.active.iter().map(|step| step.name.clone()).collect();
    run.record.run.attempts += 1;
    // What it was paused for, if it was, is tried again.
    (run.record.run.error, run.record.run.halted) = (None, None);
    if let Ok(plan) = &plan {
        plan.name().clone_into(&mut run.record.run.plan);
    }
    // Every state that is not final can be taken up.
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
    let (result, stop) = loop {
        let job = Job { shared, owned, key, id: &id, plan: &*plan, ledger: &ledger };
        let (result, stop) = job.work(&acts, look).instrument(span.clone()).await;
        match (&result, stop) {
            (Err(Error::Cancelled(_)), Some(Stop::Replan)) => {
                acts = shared.records.acts(&id).await?;
                ledger.look_again();
            }
            _ => break (result, stop),
        }
    };
    if let Some(error) = ledger.take_broken() {
        left(shared, owned, &span, &id);
        return Err(error);
    }
    if result.as_ref().is_err_and(is_untraced) {
        left(shared, owned, &span, &id);
        return Ok(Next::Later);
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
        Some(Stop::Paused) if matches!(result, Err(Error::Cancelled(_))) => {
            ledger.save_status().await?;
            let run = ledger.close().await?;
            pause(shared, owned, run, span, Vec::new()).await?;
            return Ok(Next::Look);
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

/// Whether the plan was stopped since its spans could not be stored. Like a record that cannot be
/// saved, that is not the run's own end.
fn is_untraced(error: &Error) -> bool {
    let steps = error.failed_steps();
    std::iter::once(error).chain(steps).any(|error| {
        let error: &(dyn StdError + 'static) = error;
        let mut causes = std::iter::successors(Some(error), |cause| (*cause).source());
        causes.any(|cause| cause.is::<NotDurable>())
    })
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

/// A run at work.
struct Job<'a> {
    shared: &'a Shared,
    owned: &'a Owned,
    key: &'a ResourceKey,
    id: &'a str,
    plan: &'a dyn Plan,
    ledger: &'a Arc<Ledger>,
}

impl Job<'_> {
    /// Executes the plan, and listens meanwhile for reasons to stop.
    async fn work(&self, acts: &Acts, look: &Notify) -> (Result<Report, Error>, Option<Stop>) {
        let Self { shared, owned, key, id, plan, ledger } = self;
        let (cancel, skips) = (CancellationToken::new(), acts.skips());
        let cx = Context::new()
            .with_run_id(*id)
            .with_cancel(cancel.clone())
            .with_observer(Arc::clone(ledger) as _)
            .with_skips(move |step| skips.skip(step))
            .with_pace(shared.pace);
        tracing::info!("run {id} of {key} works");
        // Beside each other and never one within another's turn: a save may wait for the store while
        // the run waits for that save's lock.
        let done = CancellationToken::new();
        let running = async {
            let executing = shared.scheduler.execute(*plan, &cx);
            let result = working_for((*owned).clone(), executing).await;
            done.cancel();
            result
        };
        let listening = async {
            tokio::select! {
                biased;
                () = done.cancelled() => None,
                stop = self.stop_wanted(acts.looks(), look) => {
                    cancel.cancel();
                    Some(stop)
                }
            }
        };
        let (result, stop, ()) = tokio::join!(running, listening, keep_saving(ledger, &done));
        (result, stop)
    }

    /// Returns when the run is to stop, and says why.
    async fn stop_wanted(&self, looks: usize, look: &Notify) -> Stop {
        loop {
            tokio::select! {
                () = self.owned.lost() => return Stop::Lost,
                () = self.shared.stopping.cancelled() => return Stop::Server,
                () = look.notified() => match self.reason_to_stop(looks).await {
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

    async fn reason_to_stop(&self, looks: usize) -> Result<Option<Stop>, StoreError> {
        let Self { shared, key, id, .. } = self;
        let acts = shared.records.acts(id).await?;
        if acts.cancel() {
            return Ok(Some(Stop::Asked));
        }
        let resource = shared.records.resource(key).await?;
        if resource.is_none_or(|stored| stored.record.run_id != *id) {
            return Ok(Some(Stop::Superseded));
        }
        if acts.pause().is_some() {
            return Ok(Some(Stop::Paused));
        }
        Ok((acts.looks() > looks).then_some(Stop::Replan))
    }
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
