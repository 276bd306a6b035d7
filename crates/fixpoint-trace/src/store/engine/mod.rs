//! The trace store on disk: a write-ahead log, a memtable, sealed segments.
//!
//! What comes is written to the log as it came, synced together with what comes at the same time,
//! and only then acknowledged; it can be read at once. A full log is sealed to a segment of plain
//! Parquet with an index, and segments are merged to larger ones. Not here: what a segment looks
//! like (`segment/`). The surprise: the engine has a thread of its own, for sealing and merging,
//! which ends when the last handle is dropped.
//!
//! | file | what it is |
//! | --- | --- |
//! | `manifest.json` | which segments there are, and up to which log all is sealed |
//! | `journal-*.log` | the write-ahead logs; one is written to, others wait to be sealed |
//! | `segment-*` | the segments: `docs/format.md` |
//! | `lock` | held by the process that has the store open |
//!
//! With a bucket, servers share their segments through object storage: the folder then holds what
//! is not there yet, and of the rest what is to be found fast.

mod arrived;
mod commit;
mod common;
mod exchange;
mod journal;
mod manifest;
mod memtable;
mod merge;
mod open;
mod read;
mod remote;
mod search;
mod split;
mod stats;
mod tend;
#[cfg(test)]
mod tests;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Notify, broadcast},
    task::spawn_blocking,
};

use self::{
    arrived::Arrived, commit::Commits, manifest::Manifest, memtable::Memtable, remote::Remote,
    split::Split,
};
use super::{
    Accepted, LogQuery, RateQuery, Rates, Signal, Stats, StoreError, TracePage, TraceQuery,
    TraceStore, TraceSummary, bucket::Bucket, segment::Segment,
};
use crate::model::{LogRecord, Record, Span, Trace, TraceId};

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: the log is synced to the disk before it is acknowledged.
    #[default]
    PowerLoss,
    /// The death of the process, also by `kill -9`: the log is with the operating system.
    ProcessDeath,
}

/// How a store is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// What an acknowledged record survives.
    pub durability: Durability,
    /// A log is sealed when it holds this many spans and lines,
    pub seal_records: usize,
    /// or this many bytes,
    pub seal_bytes: u64,
    /// or when the oldest of it came this long ago.
    pub seal_age: Duration,
    /// Traces that started longer ago are removed, a segment at a time.
    pub keep_for: Option<Duration>,
    /// When the segments take more bytes, the oldest are removed.
    pub keep_bytes: Option<u64>,
    /// How many bytes may wait for the disk before senders are told to come again.
    pub waiting_bytes: usize,
    /// Where sealed segments are kept, besides the folder, for other servers and for this one
    /// should it lose its folder.
    pub bucket: Option<Bucket>,
    /// How many bytes of rows of segments that are in the bucket may be here as well.
    pub cache_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            seal_records: 256 << 10,
            seal_bytes: 384 << 20,
            seal_age: Duration::from_secs(3600),
            keep_for: None,
            keep_bytes: None,
            waiting_bytes: 64 << 20,
            bucket: None,
            cache_bytes: 20 << 30,
        }
    }
}

/// A trace store in a folder of its own, which one process at a time may have open.
///
/// Its calls need a tokio runtime: the disk's work is done on the runtime's blocking threads.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    _tending: Arc<tend::Tending>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    options: Options,
    /// Held as long as the store is open.
    _lock: std::fs::File,
    state: RwLock<State>,
    /// Held while the log is written to or changed for another.
    writing: Mutex<()>,
    commits: Arc<Commits>,
    /// Held by whoever changes segments, for as long as that takes.
    tending: Mutex<()>,
    /// Held while the list of segments is changed.
    manifest: Mutex<Manifest>,
    remote: Option<Remote>,
    followers: broadcast::Sender<Arc<Vec<Record>>>,
    /// There is something to tend to.
    bell: Bell,
    /// A log was sealed, so there is room again.
    sealed: Notify,
    counts: Counts,
}

/// What is read from, all of one moment.
#[derive(Debug, Clone)]
struct State {
    /// Old to new; the last one is written to, the others wait to be sealed.
    tables: Vec<Arc<RwLock<Memtable>>>,
    /// Old to new.
    segments: Arc<Vec<Arc<Segment>>>,
    /// Traces that lie in several segments.
    split: Arc<Vec<Split>>,
    /// Segments in the bucket that cannot be read here yet.
    absent: Arc<Vec<u64>>,
    /// The bucket was not read since the start, so there may be others.
    unread: bool,
}

#[derive(Debug, Default)]
struct Counts {
    rejected: AtomicU64,
    overloaded: AtomicU64,
    expired: AtomicU64,
}

/// Wakes the thread that tends to the store.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.heard.notify_all();
    }

    /// Returns when it is rung, or after a while.
    fn wait(&self, at_most: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.heard.wait_timeout_while(rung, at_most, |rung| !*rung);
        *wait.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Engine {
    /// Opens the store in a folder, creating it if need be. Blocks while it reads logs that were
    /// not sealed.
    ///
    /// # Errors
    /// If the folder cannot be written, is open elsewhere, or holds something else.
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let folder = folder.as_ref();
        let shared = Shared::open(folder, options)
            .map_err(|why| StoreError::new(format!("open {}", folder.display()), why))?;
        let shared = Arc::new(shared);
        let tending = Arc::new(tend::Tending::start(&shared)?);
        Ok(Self { shared, _tending: tending })
    }

    /// Seals what has come and merges segments as far as it helps; for measurements and backups.
    /// With a bucket, publishes them, and reads what other servers have published.
    ///
    /// # Errors
    /// If the disk or the bucket refuses.
    pub async fn settle(&self) -> Result<(), StoreError> {
        self.blocking(|shared| shared.settle().map_err(|why| StoreError::new("settle", why))).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let done = spawn_blocking(move || work(&shared)).await;
        done.unwrap_or_else(|died| Err(StoreError::new("do its work", died)))
    }
}

impl Shared {
    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TraceStore for Engine {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let arrived = Arrived::of_records(records)?;
        // What this process does is not turned away: it waits for room.
        self.shared.room().await;
        write::commit(&self.shared, arrived).await
    }

    async fn append_otlp(&self, signal: Signal, request: Bytes) -> Result<Accepted, StoreError> {
        let shared = &self.shared;
        let refused = shared.refuse_if_full().inspect_err(|_| {
            shared.counts.overloaded.fetch_add(1, Relaxed);
        });
        refused?;
        let arrived = Arrived::look_through(signal, request)?;
        let accepted = arrived.accepted.clone();
        shared.counts.rejected.fetch_add(accepted.rejected, Relaxed);
        if !arrived.is_empty() {
            write::commit(shared, vec![arrived]).await?;
        }
        Ok(accepted)
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.blocking(move |shared| Ok(shared.state().trace(id))).await
    }

    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Option<Trace>>, StoreError> {
        let ids = ids.to_vec();
        self.blocking(move |shared| Ok(shared.state().traces(&ids))).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let query = query.clone();
        self.blocking(move |shared| shared.state().search(&query)).await
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        let (word, tenant) = (super::tokens::normal(id).into_owned(), tenant.map(str::to_owned));
        self.blocking(move |shared| shared.state().find(&word, tenant.as_deref(), limit)).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        self.blocking(|shared| shared.state().open_spans()).await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.shared.followers.subscribe()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        let query = query.clone();
        self.blocking(move |shared| shared.state().logs(&query)).await
    }

    async fn rates(&self, query: &RateQuery) -> Result<Vec<Rates>, StoreError> {
        let query = query.clone();
        self.blocking(move |shared| shared.state().rates(&query)).await
    }

    async fn attributes(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let name = name.map(str::to_owned);
        self.blocking(move |shared| shared.state().attributes(name.as_deref(), limit)).await
    }

    async fn pin(&self, id: TraceId, pinned: bool) -> Result<(), StoreError> {
        self.blocking(move |shared| shared.pin(id, pinned)).await
    }

    async fn pins(&self) -> Result<Vec<TraceId>, StoreError> {
        Ok(self.shared.manifest().pins.iter().copied().collect())
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.blocking(|shared| Ok(shared.stats())).await
    }
}
