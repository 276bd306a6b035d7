//! A store whose records are copied: what it stores is put into the queue before it is
//! acknowledged.
//!
//! For whoever writes to a store and need not know of the copy; the engine does not know of it
//! either. The surprise: a queue that fails costs the copy, counted, and never the store.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::broadcast, task::spawn_blocking};

use super::{
    Queues,
    outgoing::{self, Outgoing},
};
use crate::{
    model::{LogRecord, Record, Span, Trace, TraceId},
    store::{
        Accepted, LogQuery, RateQuery, Rates, Signal, Stats, StoreError, TracePage, TraceQuery,
        TraceStore, TraceSummary,
    },
};

/// A trace store, and a copy of what it stores from now on.
#[derive(Debug)]
pub struct Copying<S> {
    pub(super) store: S,
    pub(super) queues: Arc<Queues>,
}

impl<S: TraceStore> Copying<S> {
    /// Queues what was stored. Returns when it is with the operating system.
    async fn copy(&self, outgoing: Vec<Outgoing>) {
        if outgoing.is_empty() {
            return;
        }
        let queues = self.queues.clone();
        // It does not panic, and is not cancelled: nobody has its handle.
        let _done = spawn_blocking(move || queues.put(&outgoing)).await;
    }
}

impl Queues {
    fn put(&self, outgoing: &[Outgoing]) {
        for Outgoing { signal, request, records } in outgoing {
            let Some(queue) = self.of(*signal) else { continue };
            match queue.put(request, *records) {
                Ok(()) => self.disk_fails.store(false, Relaxed),
                Err(error) if !self.disk_fails.swap(true, Relaxed) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "records could not be queued for export");
                }
                Err(_) => {}
            }
        }
    }
}

#[async_trait]
impl<S: TraceStore> TraceStore for Copying<S> {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let outgoing = outgoing::of_records(records);
        self.store.append(records).await?;
        self.copy(outgoing).await;
        Ok(())
    }

    async fn append_otlp(&self, signal: Signal, request: Bytes) -> Result<Accepted, StoreError> {
        let accepted = self.store.append_otlp(signal, request.clone()).await?;
        if self.queues.of(signal).is_some() {
            self.copy(outgoing::of_request(signal, &request)).await;
        }
        Ok(accepted)
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.store.trace(id).await
    }

    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Option<Trace>>, StoreError> {
        self.store.traces(ids).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        self.store.search(query).await
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        self.store.find(id, tenant, limit).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        self.store.open_spans().await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.store.follow()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        self.store.logs(query).await
    }

    async fn rates(&self, query: &RateQuery) -> Result<Vec<Rates>, StoreError> {
        self.store.rates(query).await
    }

    async fn attributes(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.store.attributes(name, limit).await
    }

    async fn pin(&self, id: TraceId, pinned: bool) -> Result<(), StoreError> {
        self.store.pin(id, pinned).await
    }

    async fn pins(&self) -> Result<Vec<TraceId>, StoreError> {
        self.store.pins().await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.store.stats().await
    }
}
