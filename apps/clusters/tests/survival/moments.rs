//! The moments at which a server can die, and what counts them: its network and its two stores.
//!
//! Not here: who dies (`life.rs`). The surprise: once dead, nothing has an effect any more. Whatever
//! else was under way waits without end, until its task is dropped, as a dead process's would.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use fixpoint_aws::sandbox::Sandbox;
use fixpoint_server::store::{
    self as runs, Entry, Lease, Listing, RunStore, Scan, Version, Watch, Write,
};
use fixpoint_trace::{
    model::{LogRecord, Record, Span, Trace, TraceId},
    store::{self as traces, LogQuery, TracePage, TraceQuery, TraceStore, TraceSummary},
};
use tokio::sync::{Notify, broadcast};

/// Counts moments, and knows at which the server dies.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    passed: AtomicU64,
    /// 0: never.
    at: u64,
    dead: AtomicBool,
    /// While it is so, neither store can write.
    pub(crate) full: AtomicBool,
    died: Mutex<Option<Died>>,
    pub(crate) death: Notify,
}

/// Where a server died.
#[derive(Debug, Clone)]
pub(crate) struct Died {
    pub(crate) kind: &'static str,
    what: String,
}

impl fmt::Display for Died {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.what)
    }
}

impl Moments {
    /// Nobody dies.
    pub(crate) fn count() -> Self {
        Self::default()
    }

    /// The server dies at this one, from 1.
    pub(crate) fn die_at(at: u64) -> Self {
        Self { at, ..Self::default() }
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Relaxed)
    }

    pub(crate) fn died(&self) -> Option<Died> {
        self.died.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn pass(&self, kind: &'static str, what: &str) {
        if !self.dead.load(Relaxed) {
            if self.passed.fetch_add(1, Relaxed) + 1 != self.at {
                return;
            }
            let died = Died { kind, what: what.to_owned() };
            *self.died.lock().unwrap_or_else(PoisonError::into_inner) = Some(died);
            self.dead.store(true, Relaxed);
            self.death.notify_one();
        }
        std::future::pending::<()>().await;
    }
}

fn full() -> io::Error {
    io::ErrorKind::StorageFull.into()
}

/// The way to the cloud.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) sandbox: Sandbox,
    pub(crate) moments: Arc<Moments>,
    pub(crate) arrived: Arc<Mutex<Vec<Arrived>>>,
}

/// A request that the cloud has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// `RunInstances`
    pub(crate) action: String,
    /// All attempts of a call have the same.
    pub(crate) invocation: String,
}

impl HttpClient for Network {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.sandbox.http_connector(settings, components);
        SharedHttpConnector::new(Connector { network: self.clone(), connector })
    }
}

#[derive(Debug)]
struct Connector {
    network: Network,
    connector: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Network { moments, arrived, .. } = self.network.clone();
        let connector = self.connector.clone();
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let action = body.split('&').find_map(|pair| pair.strip_prefix("Action="));
        let action = action.unwrap_or("?").to_owned();
        let invocation = request.headers().get("amz-sdk-invocation-id").unwrap_or("?").to_owned();
        HttpConnectorFuture::new(async move {
            moments.pass("before a call", &action).await;
            let arrival = Arrived { action: action.clone(), invocation };
            arrived.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
            let answer = connector.call(request).await;
            moments.pass("after a call", &action).await;
            answer
        })
    }
}

/// A run store whose writes are moments.
#[derive(Debug)]
pub(crate) struct Runs {
    pub(crate) store: Arc<runs::MemoryStore>,
    pub(crate) moments: Arc<Moments>,
}

#[async_trait]
impl RunStore for Runs {
    async fn get(&self, key: &str) -> Result<Option<Entry>, runs::StoreError> {
        self.store.get(key).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, runs::StoreError> {
        if self.moments.full.load(Relaxed) {
            let (what, source) = ("write", Box::new(full()));
            return Err(runs::StoreError::Engine { what, source });
        }
        let key = writes.first().map(|write| write.key.clone()).unwrap_or_default();
        self.moments.pass("before a write of the run store", &key).await;
        let version = self.store.commit(writes).await?;
        self.moments.pass("after a write of the run store", &key).await;
        Ok(version)
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, runs::StoreError> {
        self.store.list(scan).await
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.store.watch(prefix)
    }

    async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, runs::StoreError> {
        self.store.lease(life).await
    }
}

/// A trace store whose writes are moments.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) store: Arc<traces::memory::MemoryStore>,
    pub(crate) moments: Arc<Moments>,
}

#[async_trait]
impl TraceStore for Traces {
    async fn append(&self, records: &[Record]) -> Result<(), traces::StoreError> {
        if self.moments.full.load(Relaxed) {
            return Err(traces::StoreError::new("append", full()));
        }
        let many = format!("of {} records", records.len());
        self.moments.pass("before a write of the trace store", &many).await;
        self.store.append(records).await?;
        self.moments.pass("after a write of the trace store", &many).await;
        Ok(())
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, traces::StoreError> {
        self.store.trace(id).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, traces::StoreError> {
        self.store.search(query).await
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, traces::StoreError> {
        self.store.find(id, tenant, limit).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, traces::StoreError> {
        self.store.open_spans().await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.store.follow()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, traces::StoreError> {
        self.store.logs(query).await
    }
}
