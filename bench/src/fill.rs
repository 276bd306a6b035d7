//! Fills a store of this process, without a network.
//!
//! For programs that measure a store from within. The surprise: a store that is overloaded is asked
//! again, as a sender would, so the speed is that which the store can keep up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use fixpoint_trace::store::{Fault, Signal, StoreError, TraceStore};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::source::Source;

/// Adds whole rounds, beginning with request `next`, until there are `wanted` spans; no more than
/// `rate` a second, if that is given.
///
/// # Errors
/// If the store cannot take them, for another reason than that it has too much to do.
pub async fn fill(
    store: &Arc<dyn TraceStore>,
    source: &Arc<Source>,
    next: &Arc<AtomicU64>,
    wanted: u64,
    at_once: usize,
    rate: Option<u64>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let last = wanted.div_ceil(source.spans_in_round()) * source.requests_in_round();
    let (start, first) = (Instant::now(), source.spans_before(next.load(Relaxed)));
    let mut workers = JoinSet::new();
    for _ in 0..at_once.max(1) {
        let (store, source, next) = (Arc::clone(store), Arc::clone(source), Arc::clone(next));
        workers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= last {
                    return Ok::<(), StoreError>(());
                }
                if let Some(rate) = rate {
                    let before = source.spans_before(number).saturating_sub(first);
                    let due = Duration::from_micros(before.saturating_mul(1_000_000) / rate.max(1));
                    sleep_until(start + due).await;
                }
                append(&*store, &source, number).await?;
            }
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    // Each worker took a number beyond the last before it ended.
    next.store(last, Relaxed);
    Ok(())
}

async fn append(store: &dyn TraceStore, source: &Source, number: u64) -> Result<(), StoreError> {
    let request = source.request(number);
    loop {
        match store.append_otlp(Signal::Traces, request.clone()).await {
            Err(error) if error.fault() == Fault::Overload => {
                sleep_until(Instant::now() + Duration::from_millis(20)).await;
            }
            done => return done.map(|_| ()),
        }
    }
}
