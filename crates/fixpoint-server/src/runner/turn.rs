//! One look at one resource: own it if there is something to do, end what is superseded, run what
//! is recorded, retry what is due, and if nothing is to be done, verify that it is so (`verify/`).
//!
//! Not here: when to look (`mod.rs`), and how a run goes on (`work.rs`) and ends (`ending.rs`). The
//! surprise: a change of the spec does not wait for the run at hand. That run works towards what
//! nobody wants any more, so it is cancelled (its waits at once, its step at work finishes), and a
//! new one plans from what is there. DELETE of a resource that is being created is the same.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use fixpoint_client::RunState;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, SemaphorePermit},
    time,
};

use super::{
    Shared, backoff,
    ending::{Ending, end, pause},
    span::run_span,
    tenure::Owned,
    work,
};
use crate::{
    acts::Acts,
    records::{ResourceKey, Stored, key, put},
    resource::ResourceRecord,
    run::{Cause, RunRecord},
    store::{Precondition, StoreError},
    verify,
};

/// How long to wait when a store fails: twice this at first, at most that.
const STORE_PAUSE: Duration = Duration::from_millis(500);
const STORE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What to do after a turn.
pub(crate) enum Next {
    /// Look again at once.
    Look,
    /// Look when this time comes, or when woken.
    At(Timestamp),
    /// Spans cannot be stored just now. Look again after a pause, a longer one each time.
    Later,
    /// Nothing more is to be done here; a wake starts a new task.
    Rest,
}

/// Why a run at work is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The server stops. The run goes on when there is a server again.
    Server,
    /// The resource is no longer this server's. The run goes on on another.
    Lost,
    /// A newer run took its place.
    Superseded,
    /// An operator asked for its end.
    Asked,
    /// An operator asked for a pause. It goes on once they say so.
    Paused,
    /// An operator asked for a new look at the world, or for a step to be left out. It goes on at
    /// once.
    Replan,
}

/// A resource at work.
pub(crate) struct Held<'a> {
    pub(crate) owned: Owned,
    /// The room that its run takes, once it has one.
    pub(crate) room: Option<SemaphorePermit<'a>>,
}

/// Looks after one resource until there is nothing left to do for it, or another server does it.
pub(super) async fn look_after(shared: Arc<Shared>, resource: ResourceKey, look: Arc<Notify>) {
    let mut held = None;
    let mut pause = STORE_PAUSE;
    while !shared.stopping.is_cancelled() {
        let wait = match turn(&shared, &resource, &look, &mut held).await {
            Ok(Next::Rest) => break,
            Ok(Next::Look) => {
                pause = STORE_PAUSE;
                continue;
            }
            Ok(Next::At(time)) => {
                Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default()
            }
            // Whoever owns it now goes on.
            Err(StoreError::LeaseLost) => {
                held = None;
                continue;
            }
            Ok(Next::Later) => {
                pause = (pause * 2).min(STORE_PAUSE_MAX);
                pause
            }
            Err(error) => {
                let error: &(dyn StdError + 'static) = &error;
                tracing::error!(error, "{resource} could not be looked after");
                pause = (pause * 2).min(STORE_PAUSE_MAX);
                pause
            }
        };
        // Others may run meanwhile.
        held.iter_mut().for_each(|held: &mut Held<'_>| held.room = None);
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            _ = time::timeout(wait, look.notified()) => {}
        }
    }
    if let Some(held) = held
        && let Err(error) = held.owned.release().await
    {
        let error: &(dyn StdError + 'static) = &error;
        tracing::warn!(error, "{resource} could not be given up; it is still this server's");
    }
}

async fn turn<'a>(
    shared: &'a Shared,
    key: &ResourceKey,
    look: &Notify,
    held: &mut Option<Held<'a>>,
) -> Result<Next, StoreError> {
    if held.as_ref().is_some_and(|held| held.owned.is_lost()) {
        *held = None;
    }
    // What somebody else owns is theirs to look at. Once they let go of it, everybody is woken.
    if held.is_none() && shared.tenure.is_anothers(key).await? {
        return Ok(Next::Rest);
    }
    // In this order: a run that is asked for in between is not seen, and so not taken for an old one.
    let unfinished = shared.records.unfinished(key).await?;
    let resource = shared.records.resource(key).await?.map(|stored| stored.record);
    let newest = resource.as_ref().map(|resource| resource.run_id.as_str());
    let (current, superseded): (Vec<_>, Vec<_>) =
        unfinished.into_iter().partition(|run| Some(run.record.run.id.as_str()) == newest);
    let current = current.into_iter().next();
    let acts = match &current {
        Some(run) => shared.records.acts(&run.record.run.id).await?,
        None => Acts::default(),
    };
    let paused = current.as_ref().is_some_and(|run| run.record.run.state == RunState::Paused);
    let retry_at = resource.as_ref().and_then(|resource| resource.retry_at);
    let idle = current.is_some() && paused && acts.pause().is_some() && !acts.cancel();
    if idle && superseded.is_empty() {
        return Ok(Next::Rest);
    }
    if current.is_none() && superseded.is_empty() && retry_at.is_none() {
        return verify::in_turn(shared, key, look, held).await;
    }
    if !shared.kinds.contains_key(key.kind.as_str()) {
        tracing::warn!("{key} is of a kind that this server does not serve");
        return Ok(Next::Rest);
    }
    let Some(held) = held else {
        // Room first: what waits for room here could run elsewhere.
        let room = match &current {
            Some(_) if !acts.rest() => tokio::select! {
                room = shared.room.acquire() => room.ok(),
                () = shared.stopping.cancelled() => return Ok(Next::Rest),
                // Perhaps superseded, paused, cancelled or another's while it queued.
                () = look.notified() => return Ok(Next::Look),
            },
            _ => None,
        };
        let claimed = tokio::select! {
            claimed = shared.tenure.claim(key) => claimed?,
            () = shared.stopping.cancelled() => return Ok(Next::Rest),
        };
        let Some(owned) = claimed else { return Ok(Next::Rest) };
        *held = Some(Held { owned, room });
        // What was read before is perhaps no longer so.
        return Ok(Next::Look);
    };
    for run in superseded {
        let (span, ending) = (run_span(key, &run.record), Ending::stopped(Stop::Superseded));
        end(shared, &held.owned, key, run, span, ending, None).await?;
    }
    match (resource, current) {
        (Some(_), Some(_)) if idle => Ok(Next::Look),
        (Some(_), Some(run)) if acts.cancel() => {
            let (span, ending) = (run_span(key, &run.record), Ending::stopped(Stop::Asked));
            end(shared, &held.owned, key, run, span, ending, None).await?;
            Ok(Next::Look)
        }
        (Some(_), Some(run)) if acts.pause().is_some() => {
            let span = run_span(key, &run.record);
            pause(shared, &held.owned, run, span, Vec::new()).await?;
            Ok(Next::Look)
        }
        (Some(resource), Some(run)) => {
            work::execute(shared, held, &resource, run, acts, look).await
        }
        (Some(resource), None) => match resource.retry_at {
            Some(time) if backoff::is_to_come(time, Timestamp::now(), shared.pace) => {
                Ok(Next::At(time))
            }
            Some(_) => retry(shared, &held.owned, key).await,
            None => Ok(Next::Look),
        },
        (None, _) => Ok(Next::Look),
    }
}

/// Records a new run after one that failed.
async fn retry(shared: &Shared, owned: &Owned, key: &ResourceKey) -> Result<Next, StoreError> {
    let Some(Stored { mut record, version }): Option<Stored<ResourceRecord>> =
        shared.records.resource(key).await?
    else {
        return Ok(Next::Look);
    };
    let Some(last) = shared.records.run(&record.run_id).await? else { return Ok(Next::Rest) };
    let Some(span) = last.record.span() else { return Ok(Next::Rest) };
    let mut run = RunRecord::new(&record, last.record.run.plan.clone(), Cause::Retry(span));
    run.run.rolls_back = last.record.run.rolls_back;
    record.run_id.clone_from(&run.run.id);
    record.retry_at = None;
    let mut writes = run.create(key)?;
    writes.push(put(key::resource(key), &record, Precondition::Version(version))?);
    // What an operator left out stays left out.
    let skips = shared.records.acts(&last.record.run.id).await?.skips();
    writes.extend(skips.create(&run.run.id)?);
    match owned.commit(writes).await {
        Err(error) if !error.is_conflict() => Err(error),
        // A request was first; its run is looked at instead.
        _ => Ok(Next::Look),
    }
}
