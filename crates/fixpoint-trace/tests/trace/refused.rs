//! A store that refuses for a while, as on a full disk: what is recorded meanwhile is kept, within
//! bounds, and stored when there is room.
//!
//! Not here: what waits for a store that is only slow (`recording.rs`).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use async_trait::async_trait;
use fixpoint_trace::{
    layer,
    model::{LogRecord, Record, Span, SpanContext, SpanId, Trace, TraceId},
    store::{
        LogQuery, StoreError, TracePage, TraceQuery, TraceStore, TraceSummary, memory::MemoryStore,
    },
    testing::tree,
};
use tokio::sync::broadcast;
use tracing::{info, info_span};

use crate::recording::Process;

/// Refuses what is to be stored as long as it is full.
#[derive(Debug, Default)]
struct Refusing {
    inner: MemoryStore,
    full: AtomicBool,
}

#[async_trait]
impl TraceStore for Refusing {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        match self.full.load(Relaxed) {
            true => Err(StoreError::new("store records", "disk full")),
            false => self.inner.append(records).await,
        }
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.inner.trace(id).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        self.inner.search(query).await
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        self.inner.find(id, tenant, limit).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        self.inner.open_spans().await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.inner.follow()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        self.inner.logs(query).await
    }
}

#[tokio::test]
async fn what_a_store_refuses_is_told_to_whoever_flushes_and_kept_until_there_is_room() {
    let store = Arc::new(Refusing::default());
    let process = Process::start(store.clone());
    let _guard = tracing::subscriber::set_default(process.subscriber());
    let before = info_span!("before", n = 1);
    let trace_id = layer::context(&before).unwrap().trace_id;
    process.recorder.flush().await.unwrap();

    store.full.store(true, Relaxed);
    let during = info_span!(parent: &before, "during");
    during.in_scope(|| info!("said meanwhile"));
    assert!(process.recorder.flush().await.is_err());
    assert!(process.recorder.flush().await.is_err(), "and to whoever comes after");
    drop(during);
    before.record("n", 2);
    drop(before);
    store.full.store(false, Relaxed);

    // Nobody records anything more: it is tried again all the same.
    while !store.open_spans().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    process.recorder.flush().await.unwrap();
    assert_eq!(process.recorder.dropped(), 0);
    let trace = store.trace(trace_id).await.unwrap().unwrap();
    insta::assert_snapshot!(tree(&trace, &["n"]), @r"
    before {n=2}
      during
    ");
    assert_eq!(trace.logs.len(), 1, "{:?}", trace.logs);
}

#[tokio::test]
async fn a_span_that_is_kept_can_be_opened_again() {
    let store = Arc::new(Refusing::default());
    store.full.store(true, Relaxed);
    let process = Process::start(store.clone());
    let _guard = tracing::subscriber::set_default(process.subscriber());
    let (trace_id, span_id) = (TraceId::random(), SpanId::random());
    let span = |n: i64| {
        let first = (n == 1).then_some(n);
        info_span!("run", fixpoint.trace_id = %trace_id, fixpoint.span_id = %span_id, first, n)
    };
    drop(span(1));
    assert!(process.recorder.flush().await.is_err());
    drop(span(2));
    store.full.store(false, Relaxed);
    while process.recorder.flush().await.is_err() {
        tokio::task::yield_now().await;
    }
    let trace = store.trace(trace_id).await.unwrap().unwrap();
    insta::assert_snapshot!(tree(&trace, &["first", "n"]), @"run {first=1, n=2}");
}

#[tokio::test]
async fn what_a_store_refuses_for_too_long_is_lost_and_counted_and_so_is_what_it_refuses_at_the_end()
 {
    let store = Arc::new(Refusing::default());
    store.full.store(true, Relaxed);
    let process = Process::start(store.clone());
    for _ in 0..40_000 {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        process.recorder.record(Record::Span(Span::new(context, "late", 1)));
    }
    assert!(process.recorder.flush().await.is_err());
    let recorder = process.recorder.clone();
    let lost = recorder.dropped();
    assert!((1..10_000).contains(&lost), "{lost}");
    process.stop().await;
    assert_eq!(recorder.dropped(), 40_000);
}
