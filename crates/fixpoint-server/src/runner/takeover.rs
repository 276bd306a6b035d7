//! What a server does first: it puts in order what an earlier one left behind in its trace store.
//!
//! Not here: taking up runs, which every wake does. The surprise: a run's own span stays open,
//! because the run goes on in it, here or on another server; once it has ended elsewhere, it is
//! closed here as its record says. All other open spans that a server recorded belonged to work
//! that nobody does any more, and are closed with `error.type = fixpoint.worker_lost`. Those of
//! other programs are left to them.

use fixpoint_client::RunState;
use fixpoint_trace::{
    model::{Record, Span, Status, UnixNanos, Value},
    semconv,
    store::StoreError as TraceError,
};
use jiff::Timestamp;

use super::Shared;
use crate::{
    records::{Records, ResourceKey},
    run::RunRecord,
    store::{StoreError, Write},
};

/// The work of a dead server could not be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TakeoverError {
    #[error("what was left unfinished could not be read")]
    Runs(#[from] StoreError),
    #[error("spans that were left open could not be closed")]
    Spans(#[from] TraceError),
}

/// For how long an idempotency key is good. Clients retry within minutes.
const KEYS_LIVE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Closes the spans that a dead server left open, drops old idempotency keys, and returns the
/// resources that want a look.
pub(super) async fn take_over(shared: &Shared) -> Result<Vec<ResourceKey>, TakeoverError> {
    let Shared { records, traces, strays, born, .. } = shared;
    let mut lost = Vec::new();
    for span in traces.open_spans().await? {
        if !is_ours(&span) || span.start >= *born {
            continue;
        }
        let run = match span.attributes.get(semconv::RUN_ID).and_then(Value::as_str) {
            Some(run) => records.run(run).await?.map(|run| run.record),
            None => None,
        };
        match run.filter(|run| run.span() == Some(span.context())) {
            Some(run) if run.run.state.is_final() => lost.push(Record::Span(as_told(span, &run))),
            Some(run) => strays.add(&run.run.id),
            None => lost.push(Record::Span(close(span))),
        }
    }
    if !lost.is_empty() {
        tracing::warn!("{} spans were left open by a server that died", lost.len());
        traces.append(&lost).await?;
    }
    drop_old_keys(records).await?;

    Ok(unfinished_business(records).await?)
}

/// The resources of any kind that want a look.
pub(super) async fn unfinished_business(records: &Records) -> Result<Vec<ResourceKey>, StoreError> {
    let unfinished = records.with_unfinished_runs().await?;
    let mut keys: Vec<_> = unfinished.into_iter().map(|(resource, _)| resource).collect();
    keys.extend(records.with_retry().await?);
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Closes this server's copy of the span of a run that has ended on another.
pub(super) async fn settle(shared: &Shared, run: &str) -> Result<(), TakeoverError> {
    let Shared { records, traces, .. } = shared;
    let Some(run) = records.run(run).await?.map(|run| run.record) else { return Ok(()) };
    let Some(at) = run.span().filter(|_| run.run.state.is_final()) else { return Ok(()) };
    let Some(trace) = traces.trace(at.trace_id).await? else { return Ok(()) };
    if let Some(span) = trace.spans.into_iter().find(|span| span.span_id == at.span_id) {
        traces.append(&[Record::Span(as_told(span, &run))]).await?;
    }
    Ok(())
}

/// The span of a run, as the run's record says that it ended.
fn as_told(mut span: Span, run: &RunRecord) -> Span {
    let ended = run.run.ended_at.map(|at| UnixNanos::try_from(at.as_nanosecond()));
    span.end = Some(ended.and_then(Result::ok).unwrap_or_else(super::now).max(span.start));
    let state = run.run.state;
    let mut set = |name: &str, value: &str| {
        span.attributes.insert(name.to_owned(), Value::String(value.to_owned()));
    };
    set(semconv::RUN_RESULT, state.as_str());
    span.status = Status::Unset;
    if matches!(state, RunState::Failed | RunState::NotConverging) {
        set(semconv::ERROR_TYPE, state.as_str());
        let why = run.run.error.as_ref().map(|error| error.message.clone());
        span.status = Status::Error(why.unwrap_or_default());
    }
    span
}

/// Whether a server recorded the span, and not some other program that sent it here and may still
/// be at work on it.
fn is_ours(span: &Span) -> bool {
    let sdk = span.resource.get(semconv::TELEMETRY_SDK_NAME).and_then(Value::as_str);
    sdk == Some(semconv::OUR_SDK)
}

fn close(mut span: Span) -> Span {
    span.end = Some(super::now());
    span.status = Status::Error("the server that worked on this died".to_owned());
    span.attributes
        .insert(semconv::ERROR_TYPE.to_owned(), Value::String(semconv::WORKER_LOST.to_owned()));
    span
}

async fn drop_old_keys(records: &Records) -> Result<(), StoreError> {
    let limit = Timestamp::now().checked_sub(KEYS_LIVE).unwrap_or(Timestamp::MIN);
    let mut old = Vec::new();
    records
        .each("idempotency/", |entry| {
            let stored = crate::records::decode::<crate::intents::Remembered>(entry)?;
            if stored.record.at < limit {
                let only = crate::store::Precondition::Version(stored.version);
                old.push(Write::delete(&*entry.key, only));
            }
            Ok(())
        })
        .await?;
    // In pieces that any store takes in one transaction.
    for writes in old.chunks(100) {
        match records.commit(writes.to_vec()).await {
            // Another server does the same.
            Err(error) if !error.is_conflict() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
