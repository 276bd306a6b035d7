//! What a server does first: it takes over what a dead one left behind.
//!
//! Not here: taking up its runs, which every wake does. The surprise: a run's own span stays
//! open, because the run goes on in it. All other open spans that a server recorded belonged to
//! work that nobody does any more, and are closed with `error.type = fixpoint.worker_lost`. Those
//! of other programs are left to them.

use std::collections::HashSet;

use fixpoint_trace::{
    model::{Record, Span, Status, UnixNanos, Value},
    semconv,
    store::{StoreError as TraceError, TraceStore},
};
use jiff::Timestamp;

use crate::{
    records::{Records, ResourceKey},
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
/// resources that want a look. `born` is when this server started; later spans are its own.
pub(super) async fn take_over(
    records: &Records,
    traces: &dyn TraceStore,
    born: UnixNanos,
) -> Result<Vec<ResourceKey>, TakeoverError> {
    let unfinished = records.with_unfinished_runs().await?;
    let mut going_on = HashSet::new();
    for (_, run) in &unfinished {
        if let Some(span) = records.run(run).await?.and_then(|run| run.record.span()) {
            going_on.insert(span);
        }
    }
    let mut lost = Vec::new();
    for span in traces.open_spans().await? {
        if is_ours(&span) && span.start < born && !going_on.contains(&span.context()) {
            lost.push(Record::Span(close(span)));
        }
    }
    if !lost.is_empty() {
        tracing::warn!("{} spans were left open by a server that died", lost.len());
        traces.append(lost).await?;
    }
    drop_old_keys(records).await?;

    let mut keys: Vec<_> = unfinished.into_iter().map(|(resource, _)| resource).collect();
    keys.extend(records.with_retry().await?);
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
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
        records.commit(writes.to_vec()).await?;
    }
    Ok(())
}
