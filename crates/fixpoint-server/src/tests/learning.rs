//! Good runs are read as they end and at the start, and who asks waits for none of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use fixpoint_client::{Conclusion, Why};
use fixpoint_trace::{
    model::{LogRecord, Record, Span, Trace, TraceId},
    store::{
        LogQuery, StoreError, TracePage, TraceQuery, TraceStore, TraceSummary, memory::MemoryStore,
    },
};
use serde_json::json;
use tokio::sync::{Semaphore, broadcast};

use super::{Harness, PATIENCE, pause};
use crate::store;

/// A store that reads several traces only as long as it is told to, and counts them.
#[derive(Debug)]
struct Gated {
    inner: MemoryStore,
    gate: Semaphore,
    asked: AtomicUsize,
    read: AtomicUsize,
}

impl Gated {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryStore::default(),
            gate: Semaphore::new(0),
            asked: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
        })
    }

    fn open(&self) {
        self.gate.add_permits(1);
    }

    async fn close(&self) {
        self.gate.acquire().await.unwrap().forget();
    }

    async fn have_read(&self, traces: usize) {
        comes_to(&self.read, traces).await;
    }
}

async fn comes_to(count: &AtomicUsize, traces: usize) {
    let polling = async {
        while count.load(SeqCst) < traces {
            pause().await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.expect("they are read in time");
}

#[async_trait]
impl TraceStore for Gated {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        self.inner.append(records).await
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.inner.trace(id).await
    }

    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Option<Trace>>, StoreError> {
        self.asked.fetch_add(ids.len(), SeqCst);
        let _open = self.gate.acquire().await.unwrap();
        let found = self.inner.traces(ids).await?;
        self.read.fetch_add(found.len(), SeqCst);
        Ok(found)
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

fn server(runs: &Arc<store::MemoryStore>, traces: &Arc<Gated>) -> Harness {
    Harness::with(Arc::clone(runs) as _, Arc::clone(traces) as _, Arc::default())
}

async fn toys(server: &Harness, names: std::ops::Range<usize>) -> String {
    let mut last = String::new();
    for number in names {
        last = server.make(json!({"name": format!("toy-{number}"), "bricks": 2})).await.id;
    }
    last
}

async fn why(server: &Harness, run: &str) -> Why {
    server.recorder.flush().await.unwrap();
    server.get(&format!("/v1/runs/{run}/why")).await.json()
}

fn unread(why: &Why) -> Option<&str> {
    why.unknown.iter().find(|text| text.contains("so far")).map(String::as_str)
}

#[tokio::test]
async fn who_asks_gets_an_answer_although_no_good_run_can_be_read_yet() {
    let (runs, traces) = (Arc::default(), Gated::new());
    let server = server(&runs, &traces);
    let last = toys(&server, 0..4).await;
    let answer = why(&server, &last).await;
    let said = "only 0 of 4 good runs have been read so far; ask again in a moment";
    assert_eq!(unread(&answer), Some(said), "{:?}", answer.unknown);
    assert_eq!(answer.conclusion, Conclusion::NothingDiffers);
    assert_eq!(answer.sentence, "nothing failed; no good run has been read yet");
    traces.open();
    let answer = why(&server, &last).await;
    assert_eq!((answer.baseline.good, unread(&answer)), (3, None));
    assert_eq!(traces.read.load(SeqCst), 4);
}

#[tokio::test]
async fn a_run_that_converged_is_read_before_anybody_asks() {
    let (runs, traces) = (Arc::default(), Gated::new());
    let mut server = server(&runs, &traces);
    traces.open();
    server.learn();
    let last = toys(&server, 0..4).await;
    traces.have_read(4).await;
    traces.close().await;
    let answer = why(&server, &last).await;
    assert_eq!((answer.baseline.good, unread(&answer)), (3, None));
    assert_eq!(server.app.explainer.size().profiles, 1);
}

#[tokio::test]
async fn an_answer_for_which_nobody_could_look_in_time_says_so() {
    let (runs, traces) = (Arc::default(), Gated::new());
    let mut server = server(&runs, &traces);
    traces.open();
    server.learn();
    let last = toys(&server, 0..4).await;
    traces.have_read(4).await;
    traces.close().await;
    assert_eq!(unread(&why(&server, &last).await), None);
    // The fifth is being read, and until it is nobody else looks.
    toys(&server, 4..5).await;
    comes_to(&traces.asked, 5).await;
    let answer = why(&server, &last).await;
    let said = "not all good runs of build_toy have been looked through yet; ask again in a moment";
    assert!(answer.unknown.iter().any(|text| text == said), "{:?}", answer.unknown);
    assert_eq!(answer.baseline.good, 3);
}

#[tokio::test]
async fn what_was_not_waited_for_is_read_later() {
    let (runs, traces) = (Arc::default(), Gated::new());
    let mut server = server(&runs, &traces);
    let last = toys(&server, 0..4).await;
    assert!(unread(&why(&server, &last).await).is_some());
    server.learn();
    traces.open();
    traces.have_read(4).await;
    traces.close().await;
    assert_eq!(why(&server, &last).await.baseline.good, 3);
}

#[tokio::test]
async fn a_server_that_starts_reads_the_good_runs_of_the_one_before() {
    let (runs, traces) = (Arc::default(), Gated::new());
    traces.open();
    let last = toys(&server(&runs, &traces), 0..4).await;
    assert_eq!(traces.read.load(SeqCst), 0);
    let mut next = server(&runs, &traces);
    next.learn();
    traces.have_read(4).await;
    traces.close().await;
    let answer = why(&next, &last).await;
    assert_eq!((answer.baseline.good, unread(&answer)), (3, None));
}
