//! One look at a solved resource: its plan is asked what is left to do, and the answer recorded.
//!
//! Not here: when (`schedule.rs`), and what is done about the answer (`mend.rs`). The surprise: what
//! the look found, and the run that mends it, are recorded in one commit, on the condition that the
//! resource is still as it was read. So nothing is ever said of a spec that has changed meanwhile.

use std::{pin::pin, time::Duration};

use fixpoint::{Chain, Context, Steps};
use fixpoint_client::{Drift, Verification, WebhookEvent};
use fixpoint_trace::{layer, model::SpanContext, redact};
use jiff::Timestamp;
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    VerificationRecord,
    case::{Case, still_due},
    due::Answer,
    mend::{self, Decision},
    only_looking, span,
};
use crate::{
    StatusCell,
    kinds::AnyKind,
    records::{ResourceKey, Stored, key, put},
    run::{Cause, RunRecord},
    runner::{Held, Next, Owned, Shared, show_iteration, working_for},
    store::{Precondition, StoreError, Write},
    webhook::{self, News},
};

/// How long a look may take. A run may take longer; what only looks should not.
pub(crate) const LOOK_TIME: Duration = Duration::from_secs(60);

/// Looks at a resource that no run is at, if it is due.
pub(crate) async fn in_turn<'a>(
    shared: &'a Shared,
    key: &ResourceKey,
    look: &Notify,
    held: &mut Option<Held<'a>>,
) -> Result<Next, StoreError> {
    let verifier = &shared.verifier;
    if still_due(shared, key).await?.is_none() {
        return Ok(Next::Rest);
    }
    let _room = tokio::select! {
        room = verifier.room.acquire() => room,
        () = shared.stopping.cancelled() => return Ok(Next::Rest),
        // Perhaps a run was asked for.
        () = look.notified() => return Ok(Next::Look),
    };
    let owned = match held {
        Some(held) => held.owned.clone(),
        None => {
            let claimed = tokio::select! {
                claimed = shared.tenure.claim(key) => claimed?,
                () = shared.stopping.cancelled() => return Ok(Next::Rest),
            };
            // Once its owner lets go of it, this server is woken.
            let Some(owned) = claimed else { return Ok(Next::Rest) };
            *held = Some(Held { owned: owned.clone(), room: None });
            owned
        }
    };
    let Some((wanted, case)) = still_due(shared, key).await? else { return Ok(Next::Rest) };
    let Some(kind) = shared.kinds.get(key.kind.as_str()) else { return Ok(Next::Rest) };
    let began = Timestamp::now();
    let span = span::open(shared, key, &case, wanted);
    let looked = ask(shared, &owned, &**kind, &case, &span, look).await?;
    let Some(looked) = looked else {
        span.record("fixpoint.verify.result", "interrupted");
        span.in_scope(|| tracing::info!("{key} is left to a run, or to another look"));
        return Ok(Next::Look);
    };
    conclude(shared, &owned, key, case, began, span, looked).await
}

/// What the plan said.
struct Looked {
    plan: String,
    answer: Result<Steps, String>,
    status: Option<serde_json::Value>,
}

/// Asks the plan; no answer if something else is to be done first.
async fn ask(
    shared: &Shared,
    owned: &Owned,
    kind: &dyn AnyKind,
    case: &Case,
    span: &Span,
    look: &Notify,
) -> Result<Option<Looked>, StoreError> {
    let (resource, cell) = (&case.resource.record, StatusCell::default());
    let failed = |error: &(dyn std::error::Error + 'static)| {
        redact::text(&Chain(error).to_string()).into_owned()
    };
    let plan = match kind.plan(resource, cell.clone()) {
        Ok(plan) => plan,
        Err(error) => {
            let plan = case.run.run.plan.clone();
            return Ok(Some(Looked { plan, answer: Err(failed(&*error)), status: None }));
        }
    };
    // Ends what the plan may have left waiting.
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let cx = Context::new().with_pace(shared.pace).with_cancel(cancel);
    let asked = time::timeout(LOOK_TIME, shared.scheduler.ask(&*plan, &cx));
    let mut asked = pin!(working_for(owned.clone(), only_looking(asked)).instrument(span.clone()));
    let answer = loop {
        tokio::select! {
            answer = &mut asked => break answer,
            () = owned.lost() => return Err(StoreError::LeaseLost),
            () = shared.stopping.cancelled() => return Ok(None),
            () = look.notified() => {
                let now = shared.records.resource(&resource.key()).await?;
                if now.is_none_or(|now| now.version != case.resource.version) {
                    return Ok(None);
                }
            }
        }
    };
    let answer = match answer {
        Ok(Ok(steps)) => Ok(steps),
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(format!("the look took more than {LOOK_TIME:?}")),
    };
    Ok(Some(Looked { plan: plan.name().to_owned(), answer, status: cell.take() }))
}

/// Records what was seen, and the run that mends it if one is to.
async fn conclude(
    shared: &Shared,
    owned: &Owned,
    key: &ResourceKey,
    case: Case,
    began: Timestamp,
    span: Span,
    looked: Looked,
) -> Result<Next, StoreError> {
    let settings = &shared.verifier.settings;
    let at = layer::context(&span);
    let Case { resource: Stored { record: before, version }, run, known, .. } = case;
    // What only waits may pass by itself.
    let is_news = |drift: &&Drift| !drift.waits;
    let was_told = known.drift.as_ref().filter(is_news).is_some();
    let mut mends = case.before.as_ref().map(|it| it.record.mends.clone()).unwrap_or_default();
    mend::forget_old(&mut mends, began);
    let mut shown = judge(known, began, at, looked.answer);
    let mut after = before.clone();
    if let Some(status) = looked.status.filter(|status| *status != after.status) {
        after.status = status;
        after.updated_at = Timestamp::now();
    }
    let mut writes = Vec::new();
    let mut mended_by = None;
    let decision = match (&shown.drift, &shown.error) {
        (Some(drift), None) => {
            mend::decide(&shared.records, settings, &before, drift, &mends).await?
        }
        _ => Decision::Show,
    };
    match &decision {
        Decision::Show => {}
        Decision::Hold(why) => hold(&mut shown, why),
        Decision::Mend(place) => {
            let cause = at.map_or(Cause::Request(None), Cause::Drift);
            let run = RunRecord::new(&after, looked.plan, cause);
            after.run_id.clone_from(&run.run.id);
            (after.failures, after.retry_at) = (0, None);
            mends.push(began);
            writes.extend(run.create(key)?);
            writes.push(place.taken_by(&run.run.id)?);
            mended_by = Some(run.run.id);
        }
    }
    if let Some(drift) = shown.drift.as_ref().filter(is_news).filter(|_| !was_told) {
        let (event, next_run_id) = (WebhookEvent::Drifted, mended_by.as_deref());
        let news = News { event, key, run: &run.run, span: at, steps: &drift.steps, next_run_id };
        writes.extend(webhook::tell(shared.webhook.as_ref(), &news)?);
    }
    let result = span::close(&span, key, &shown, mended_by.as_deref());
    drop(span);
    // Whoever sees the result finds the whole trace.
    if shared.recorder.flush().await.is_err() {
        tracing::error!("the trace of a verification of {key} may be incomplete");
    }
    let unchanged = Write::check(key::resource(key), Precondition::Version(version));
    let changed = put(key::resource(key), &after, Precondition::Version(version))?;
    let only = match &case.before {
        Some(before) => Precondition::Version(before.version),
        None => Precondition::Absent,
    };
    let record = VerificationRecord { run_id: run.run.id, shown, mends };
    writes.push(put(key::verification(key), &record, only)?);
    writes.push(if after == before { unchanged } else { changed });
    match owned.commit(writes).await {
        // The resource has changed, or its place for mending was taken: it is looked at again.
        Err(error) if error.is_conflict() => return Ok(Next::Look),
        result => result?,
    };
    shared.metrics.verified(&key.kind, result);
    if let Decision::Mend(_) | Decision::Hold(_) = decision {
        let outcome = if mended_by.is_some() { "begun" } else { "held" };
        shared.metrics.mend(&key.kind, outcome);
    }
    let done = shared.verifier.due.answer(key, began, &Answer::Looked(mended_by.clone()));
    Ok(if done && mended_by.is_none() { Next::Rest } else { Next::Look })
}

/// What is known of the resource after the look.
fn judge(
    known: Verification,
    began: Timestamp,
    at: Option<SpanContext>,
    answer: Result<Steps, String>,
) -> Verification {
    let trace_id = at.map(|at| at.trace_id.to_string()).unwrap_or_default();
    let known = Verification { looked_at: began, trace_id, error: None, ..known };
    match answer {
        Ok(steps) if steps.is_empty() => Verification { verified_at: began, drift: None, ..known },
        Ok(steps) => {
            let since = known.drift.map_or(began, |drift| drift.since);
            let seen = show_iteration(1, &steps);
            let drift = Drift {
                since,
                steps: seen.steps,
                withheld: seen.withheld,
                seen: seen.seen,
                waits: steps.only_wait(),
                held: None,
            };
            Verification { drift: Some(drift), ..known }
        }
        Err(error) => Verification { error: Some(error), ..known },
    }
}

fn hold(shown: &mut Verification, why: &str) {
    if let Some(drift) = &mut shown.drift {
        drift.held = Some(why.to_owned());
    }
}
