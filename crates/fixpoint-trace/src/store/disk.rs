//! Traces on the local disk, in an embedded key-value store.
//!
//! The simplest layout that is durable and answers what the API asks: a keyspace for each thing
//! below. Not here: retention, or any search by attributes beyond ids. The surprise: the records
//! of one `append` are one atomic write, so a reader never sees a child without its parent.
//!
//! | keyspace | key | value |
//! | --- | --- | --- |
//! | `spans` | trace, span | the span, JSON |
//! | `open` | trace, span | nothing; there while the span is open |
//! | `logs` | trace or zeros, time, sequence | the line, JSON |
//! | `log_times` | time, sequence | the trace or zeros |
//! | `traces` | trace | the summary, JSON |
//! | `starts` | start, trace | nothing |
//! | `words` | word, 0, trace | nothing |
//!
//! Numbers are big-endian, so that keys sort by them.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use indexmap::IndexMap;
use tokio::{sync::broadcast, task::spawn_blocking};

use super::{
    FOLLOW, LogQuery, StoreError, TracePage, TraceQuery, TraceStore, TraceSummary, summary::Tally,
    tokens,
};
use crate::model::{self, LogRecord, Record, Span, SpanContext, Trace, TraceId, UnixNanos};

/// Reopening reads what is in the journal, so it must not grow without bound.
const JOURNAL: u64 = 128 << 20;

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: the journal is synced to the disk before `append` returns.
    #[default]
    PowerLoss,
    /// The death of the process, also by `kill -9`: the journal is with the operating system.
    ProcessDeath,
}

/// A trace store in a directory of its own, which one process at a time may have open.
///
/// Its calls need a tokio runtime: the disk's work is done on the runtime's blocking threads.
#[derive(Debug, Clone)]
pub struct DiskStore {
    shared: Arc<Shared>,
}

struct Shared {
    db: Database,
    mode: PersistMode,
    spans: Keyspace,
    open: Keyspace,
    logs: Keyspace,
    log_times: Keyspace,
    traces: Keyspace,
    starts: Keyspace,
    words: Keyspace,
    /// The next log line's sequence number; held while writing, as summaries are read and written.
    writing: Mutex<u64>,
    followers: broadcast::Sender<Arc<Vec<Record>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("mode", &self.mode).finish_non_exhaustive()
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl DiskStore {
    /// Opens the store in a directory, creating it if need be. What it acknowledges survives the
    /// loss of power. Blocks while it reads the journal of a store that was not closed.
    ///
    /// # Errors
    /// If the directory cannot be written, is open elsewhere, or holds something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::default())
    }

    /// The same, with another durability.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn open_with(path: impl AsRef<Path>, durability: Durability) -> Result<Self, StoreError> {
        let path = path.as_ref();
        Shared::open(path, durability)
            .map(|shared| Self { shared: Arc::new(shared) })
            .map_err(|source| StoreError::new(format!("open {}", path.display()), source))
    }

    /// Does blocking work off the async threads.
    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Shared) -> Result<T, BoxError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        spawn_blocking(move || work(&shared))
            .await
            .map_err(BoxError::from)
            .and_then(|result| result)
            .map_err(|source| StoreError::new(what, source))
    }
}

#[async_trait]
impl TraceStore for DiskStore {
    async fn append(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.run("store records", move |shared| shared.append(records)).await
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.run("read a trace", move |shared| shared.trace(id)).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let query = query.clone();
        self.run("search traces", move |shared| shared.list(&query)).await
    }

    async fn find(&self, id: &str, limit: usize) -> Result<Vec<TraceSummary>, StoreError> {
        let word = tokens::normal(id);
        self.run("look up an id", move |shared| shared.find(&word, limit)).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        self.run("list open spans", Shared::open_spans).await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.shared.followers.subscribe()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        let query = query.clone();
        self.run("read log lines", move |shared| shared.logs(&query)).await
    }
}

impl Shared {
    fn open(path: &Path, durability: Durability) -> Result<Self, BoxError> {
        let db = Database::builder(path).max_journaling_size(JOURNAL).worker_threads(1).open();
        let db = db.map_err(|error| match error {
            fjall::Error::Locked => BoxError::from("another Fixpoint server is using this folder"),
            other => other.into(),
        })?;
        let keyspace = |name| db.keyspace(name, KeyspaceCreateOptions::default);
        Ok(Self {
            mode: match durability {
                Durability::PowerLoss => PersistMode::SyncData,
                Durability::ProcessDeath => PersistMode::Buffer,
            },
            spans: keyspace("spans")?,
            open: keyspace("open")?,
            logs: keyspace("logs")?,
            log_times: keyspace("log_times")?,
            traces: keyspace("traces")?,
            starts: keyspace("starts")?,
            words: keyspace("words")?,
            // Above every number given before, unless the clock was set back by more than lines
            // were written; and then the time in the key still differs.
            writing: Mutex::new(model::now()),
            followers: broadcast::Sender::new(FOLLOW),
            db,
        })
    }

    fn append(&self, records: Vec<Record>) -> Result<(), BoxError> {
        let mut sequence = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = self.db.batch().durability(Some(self.mode));
        let mut changes = Changes::default();
        // A key may occur only once in a batch: of a span's records, the last one counts.
        let mut spans: IndexMap<SpanContext, &Span> = IndexMap::new();
        for record in &records {
            match record {
                Record::Span(span) => {
                    spans.insert(span.context(), span);
                }
                Record::Log(log) => {
                    *sequence += 1;
                    let (time, trace) = (log.time.to_be_bytes(), trace_key(log.trace_id));
                    let order = [time, sequence.to_be_bytes()].concat();
                    batch.insert(&self.log_times, order.as_slice(), trace);
                    let key = [trace.as_slice(), &order].concat();
                    batch.insert(&self.logs, key, serde_json::to_vec(log)?);
                    if let Some(id) = log.trace_id {
                        self.tally(&mut changes, id)?.log(log.time);
                    }
                }
            }
            if let Some(trace) = trace_of(record) {
                tokens::words(record, &mut |word| {
                    if !word.is_empty() && !word.contains('\0') {
                        changes.words.insert(word_key(word, trace));
                    }
                });
            }
        }
        for (context, span) in spans {
            let key = span_key(context);
            let before: Option<Span> = read(self.spans.get(key)?)?;
            let was_open = before.as_ref().is_some_and(|span| span.end.is_none());
            match (was_open, span.end.is_none()) {
                (false, true) => batch.insert(&self.open, key, []),
                (true, false) => batch.remove(&self.open, key),
                _ => {}
            }
            batch.insert(&self.spans, key, serde_json::to_vec(span)?);
            self.tally(&mut changes, context.trace_id)?.span(before.as_ref(), span);
        }
        self.index(&mut batch, changes)?;
        batch.commit()?;
        // Still under the lock, so that followers hear of records in the order of the store.
        // Nobody may be following.
        let _ = self.followers.send(Arc::new(records));
        Ok(())
    }

    fn tally<'a>(
        &self,
        changes: &'a mut Changes,
        trace: TraceId,
    ) -> Result<&'a mut Tally, BoxError> {
        use std::collections::hash_map::Entry;
        match changes.tallies.entry(trace) {
            Entry::Occupied(entry) => Ok(&mut entry.into_mut().1),
            Entry::Vacant(entry) => {
                let stored: Option<Tally> = read(self.traces.get(trace.to_bytes())?)?;
                let start = stored.as_ref().map(|tally| tally.summary().start);
                let tally = stored.unwrap_or_else(|| Tally::new(trace));
                Ok(&mut entry.insert((start, tally)).1)
            }
        }
    }

    fn index(&self, batch: &mut OwnedWriteBatch, changes: Changes) -> Result<(), BoxError> {
        for (trace, (before, tally)) in changes.tallies {
            let start = tally.summary().start;
            if before != Some(start) {
                if let Some(before) = before {
                    batch.remove(&self.starts, start_key(before, trace));
                }
                batch.insert(&self.starts, start_key(start, trace), []);
            }
            batch.insert(&self.traces, trace.to_bytes(), serde_json::to_vec(&tally)?);
        }
        for key in changes.words {
            // The same instance is described again and again: written once is enough.
            if !self.words.contains_key(&key)? {
                batch.insert(&self.words, key, []);
            }
        }
        Ok(())
    }

    fn trace(&self, id: TraceId) -> Result<Option<Trace>, BoxError> {
        let mut trace = Trace::default();
        for entry in self.spans.prefix(id.to_bytes()) {
            trace.spans.push(serde_json::from_slice(&entry.value()?)?);
        }
        for entry in self.logs.prefix(id.to_bytes()) {
            trace.logs.push(serde_json::from_slice(&entry.value()?)?);
        }
        trace.sort();
        Ok((trace != Trace::default()).then_some(trace))
    }

    fn list(&self, query: &TraceQuery) -> Result<TracePage, BoxError> {
        let limit = query.limit();
        let mut page = TracePage::default();
        let from = query.since.unwrap_or(0).to_be_bytes().to_vec();
        let entries = match query.before {
            Some((start, trace)) if start_key(start, trace).to_vec() <= from => return Ok(page),
            Some((start, trace)) => self.starts.range(from..start_key(start, trace).to_vec()),
            None => self.starts.range(from..),
        };
        for entry in entries.rev() {
            let Some(trace) = last_trace(&entry.key()?) else { continue };
            let Some(summary) = self.summary(trace)? else { continue };
            if !query.filter.any.is_empty()
                && !self.trace(trace)?.is_some_and(|trace| query.filter.matches(&trace))
            {
                continue;
            }
            if page.items.len() == limit {
                page.next = page.items.last().map(|last| (last.start, last.trace_id));
                break;
            }
            page.items.push(summary);
        }
        Ok(page)
    }

    fn find(&self, word: &str, limit: usize) -> Result<Vec<TraceSummary>, BoxError> {
        if word.is_empty() {
            return Ok(Vec::new());
        }
        let mut start = word.as_bytes().to_vec();
        if word.len() < tokens::PREFIX {
            start.push(0);
        }
        let mut traces = HashSet::new();
        for entry in self.words.prefix(start) {
            traces.extend(last_trace(&entry.key()?));
        }
        let mut found = Vec::with_capacity(traces.len());
        for trace in traces {
            found.extend(self.summary(trace)?);
        }
        found.sort_by_key(|summary| std::cmp::Reverse((summary.start, summary.trace_id)));
        found.truncate(limit);
        Ok(found)
    }

    fn open_spans(&self) -> Result<Vec<Span>, BoxError> {
        let mut spans = Vec::new();
        for entry in self.open.iter() {
            let span: Option<Span> = read(self.spans.get(entry.key()?)?)?;
            spans.extend(span);
        }
        spans.sort_by_key(|span| span.start);
        Ok(spans)
    }

    fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, BoxError> {
        let limit = query.limit();
        let mut logs = Vec::new();
        let mut keep = |line: Option<LogRecord>| {
            logs.extend(
                line.filter(|line| query.span_id.is_none_or(|id| line.span_id == Some(id))),
            );
            logs.len() < limit
        };
        if let Some(trace) = query.trace_id {
            for entry in self.logs.prefix(trace.to_bytes()).rev() {
                if !keep(read(Some(entry.value()?))?) {
                    break;
                }
            }
        } else {
            for entry in self.log_times.iter().rev() {
                let (order, trace) = entry.into_inner()?;
                if !keep(read(self.logs.get([&trace[..], &order].concat())?)?) {
                    break;
                }
            }
        }
        logs.reverse();
        Ok(logs)
    }

    fn summary(&self, trace: TraceId) -> Result<Option<TraceSummary>, BoxError> {
        let tally: Option<Tally> = read(self.traces.get(trace.to_bytes())?)?;
        Ok(tally.map(Tally::into_summary))
    }
}

/// What a batch changes beside the records themselves.
#[derive(Default)]
struct Changes {
    /// By trace: the start it was listed under so far, and its tally.
    tallies: HashMap<TraceId, (Option<UnixNanos>, Tally)>,
    /// Keys of `words`.
    words: HashSet<Vec<u8>>,
}

fn read<T: serde::de::DeserializeOwned>(
    value: Option<fjall::Slice>,
) -> Result<Option<T>, BoxError> {
    value.map(|value| serde_json::from_slice(&value)).transpose().map_err(Into::into)
}

fn trace_of(record: &Record) -> Option<TraceId> {
    match record {
        Record::Span(span) => Some(span.trace_id),
        Record::Log(log) => log.trace_id,
    }
}

/// Zeros, which no trace has, for what belongs to none.
fn trace_key(id: Option<TraceId>) -> [u8; 16] {
    id.map_or([0; 16], TraceId::to_bytes)
}

fn span_key(context: SpanContext) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&context.trace_id.to_bytes());
    key[16..].copy_from_slice(&context.span_id.to_bytes());
    key
}

fn start_key(start: UnixNanos, trace: TraceId) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&start.to_be_bytes());
    key[8..].copy_from_slice(&trace.to_bytes());
    key
}

fn word_key(word: &str, trace: TraceId) -> Vec<u8> {
    [word.as_bytes(), &[0], &trace.to_bytes()].concat()
}

/// The trace that a key ends with.
fn last_trace(key: &[u8]) -> Option<TraceId> {
    key.last_chunk().copied().and_then(TraceId::from_bytes)
}
