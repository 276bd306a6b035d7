//! Servers that share a bucket: what one has sealed the others read, and nothing is lost or there
//! twice, whatever fails, and whenever.
//!
//! Not here: what an engine does by itself (`engine.rs`). The surprise: a crash is played by a copy
//! of the folder and of the bucket, made in the middle of a call to the bucket; the engine that
//! made the call goes on.

#[cfg(feature = "s3")]
mod s3;
mod shaky;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fastrand::Rng;
use fixpoint_trace::{
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, TraceId},
    store::{
        LogQuery, RateQuery, TraceQuery, TraceStore,
        bucket::Bucket,
        engine::{Durability, Engine, Options},
    },
    testing,
};
use futures_util::TryStreamExt;
use object_store::{ObjectStore, memory::InMemory};
use tempfile::TempDir;

use self::shaky::{Call, Fate, Shaky};
use crate::engine::until;

const SECOND: u64 = 1_000_000_000;
/// Spans of a trace; a line comes with them.
const SPANS: u64 = 4;

fn sharing(store: Arc<dyn ObjectStore>, seal_records: usize) -> Options {
    let bucket = Some(Bucket::new("memory://test", store, "some/where"));
    Options { durability: Durability::ProcessDeath, seal_records, bucket, ..Options::default() }
}

fn memory() -> Arc<InMemory> {
    Arc::default()
}

/// A whole trace.
fn records(trace_id: TraceId, start: u64) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for n in 0..SPANS {
        let context = SpanContext { trace_id, span_id: SpanId::random() };
        let mut span = Span::new(context, format!("step {n}"), start + n);
        span.end = Some(start + n + SECOND);
        records.push(Record::Span(span));
    }
    let line = LogRecord::new(start, Level::Info, format!("began {trace_id}"));
    records.push(Record::Log(LogRecord { trace_id: Some(trace_id), ..line }));
    records
}

async fn store_some(store: &Engine, count: u64, known: &mut Vec<TraceId>) {
    for _ in 0..count {
        let id = TraceId::random();
        store.append(&records(id, (known.len() as u64 + 1) * SECOND)).await.unwrap();
        known.push(id);
    }
}

/// Everything is there, once.
async fn assert_has(store: &Engine, known: &[TraceId], context: &str) {
    for &id in known {
        let trace = store.trace(id).await.unwrap().unwrap_or_default();
        assert_eq!(trace.partial, None, "{context}");
        assert_eq!((trace.spans.len() as u64, trace.logs.len()), (SPANS, 1), "{context}");
    }
    let query = TraceQuery { limit: known.len() + 10, ..TraceQuery::default() };
    let page = store.search(&query).await.unwrap();
    assert_eq!((page.items.len(), page.partial), (known.len(), None), "{context}");
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    let query = LogQuery { limit: 10 * known.len() + 10, ..LogQuery::default() };
    for line in store.logs(&query).await.unwrap() {
        *lines.entry(line.message().into_owned()).or_default() += 1;
    }
    assert_eq!(lines.len(), known.len(), "{context}");
    assert!(lines.values().all(|count| *count == 1), "{context}");
    let rates = store.rates(&RateQuery::default()).await.unwrap();
    let counted: u64 = rates.iter().flat_map(|it| &it.buckets).map(|it| it.spans).sum();
    assert_eq!(counted, SPANS * known.len() as u64, "{context}");
}

async fn bucket_of(store: &Engine) -> fixpoint_trace::store::BucketStats {
    store.stats().await.unwrap().bucket.unwrap()
}

/// The names of what lies in the bucket.
async fn objects(store: &dyn ObjectStore) -> Vec<String> {
    let all: Vec<_> = store.list(None).try_collect().await.unwrap();
    all.iter().map(|object| object.location.filename().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_store_with_a_bucket_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    // Without room, rows are given up as soon as they were read.
    for (seal, cache_bytes) in [(2, 0), (7, 0), (7, 1 << 30)] {
        testing::contract(async || {
            count.set(count.get() + 1);
            let options = Options { cache_bytes, ..sharing(memory(), seal) };
            let store = Engine::open(folder.path().join(count.get().to_string()), options).unwrap();
            store.settle().await.unwrap();
            store
        })
        .await;
    }
}

#[tokio::test]
async fn a_new_machine_with_an_empty_folder_sees_all_that_was_sealed() {
    let (bucket, mut known) = (memory(), Vec::new());
    let folders: [TempDir; 2] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let first = Engine::open(folders[0].path(), sharing(bucket.clone(), 30)).unwrap();
    store_some(&first, 60, &mut known).await;
    first.pin(known[3], true).await.unwrap();
    first.settle().await.unwrap();
    let second = Engine::open(folders[1].path(), sharing(bucket.clone(), 30)).unwrap();
    until("all indexes were fetched", async || {
        second.search(&TraceQuery::default()).await.unwrap().partial.is_none()
    })
    .await;
    assert_has(&second, &known, "a new machine").await;
    assert_eq!(second.pins().await.unwrap(), [known[3]]);

    store_some(&second, 10, &mut known).await;
    second.settle().await.unwrap();
    second.pin(known[3], false).await.unwrap();
    first.settle().await.unwrap();
    assert_has(&first, &known, "the first one sees what the second has sealed").await;
    assert_eq!(first.pins().await.unwrap(), []);
    drop(first);
    drop(second);
    let again = Engine::open(folders[0].path(), sharing(bucket, 30)).unwrap();
    again.settle().await.unwrap();
    assert_has(&again, &known, "started again").await;
}

#[tokio::test]
async fn rows_that_have_no_room_are_fetched_when_they_are_read() {
    let (bucket, folder, mut known) = (memory(), tempfile::tempdir().unwrap(), Vec::new());
    let options = Options { cache_bytes: 0, ..sharing(bucket.clone(), 40) };
    let store = Engine::open(folder.path(), options).unwrap();
    store_some(&store, 40, &mut known).await;
    store.settle().await.unwrap();
    until("rows are given up", async || bucket_of(&store).await.held == 0).await;
    let rows = |name: &str| name.ends_with(".parquet");
    let here = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    assert!(!here.into_iter().any(|name| rows(name.to_str().unwrap())));
    assert_has(&store, &known, "fetched again").await;
    assert!(bucket_of(&store).await.held > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_servers_that_write_at_once_lose_nothing() {
    let bucket = memory();
    let folders: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let options = sharing(bucket.clone(), 20);
    let stores = folders.each_ref().map(|it| Engine::open(it.path(), options.clone()).unwrap());
    let writers = stores.clone().map(|store| {
        tokio::spawn(async move {
            let mut known = Vec::new();
            for _ in 0..20 {
                store_some(&store, 5, &mut known).await;
                store.settle().await.unwrap();
            }
            known
        })
    });
    let mut known = Vec::new();
    for writer in writers {
        known.extend(writer.await.unwrap());
    }
    for store in &stores {
        store.settle().await.unwrap();
    }
    for store in &stores {
        store.settle().await.unwrap();
        assert_has(store, &known, "each of them").await;
        let segments = store.stats().await.unwrap().segments;
        assert!(segments < 60, "{segments} segments of 60 logs: they were merged");
    }
}

/// What fails is tried again; what was done, though nobody heard of it, is not done twice.
#[tokio::test]
async fn a_bucket_that_fails_again_and_again_gets_everything_once() {
    for seed in 0..6 {
        let mut random = Rng::with_seed(seed);
        let shaky = Arc::new(Shaky::new(move |_| match random.u8(..6) {
            0 => Fate::Refused,
            1 => Fate::Unheard,
            _ => Fate::Done,
        }));
        let folders: [TempDir; 3] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let options = Options { cache_bytes: 2000, ..sharing(shaky.clone(), 20) };
        let stores = [0, 1].map(|n| Engine::open(folders[n].path(), options.clone()).unwrap());
        let mut known = Vec::new();
        let mut failed = 0;
        for n in 0..40 {
            let store = &stores[n % 2];
            store_some(store, 3, &mut known).await;
            failed += usize::from(store.settle().await.is_err());
        }
        assert!(failed > 5, "{failed} of 40 met a failure");
        shaky.set(|_| Fate::Done);
        for store in stores.iter().chain(&stores) {
            store.settle().await.unwrap();
        }
        let new = Engine::open(folders[2].path(), options.clone()).unwrap();
        new.settle().await.unwrap();
        for store in stores.iter().chain([&new]) {
            store.settle().await.unwrap();
            let context = format!("seed {seed}");
            assert_has(store, &known, &context).await;
            assert_eq!(bucket_of(store).await.unpublished, 0, "{context}");
        }
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_reached_stops_neither_appends_nor_reads() {
    let shaky = Arc::new(Shaky::new(|_| Fate::Refused));
    let (folder, mut known) = (tempfile::tempdir().unwrap(), Vec::new());
    let options = Options { cache_bytes: 0, ..sharing(shaky.clone(), 20) };
    let store = Engine::open(folder.path(), options.clone()).unwrap();
    store_some(&store, 100, &mut known).await;
    until("its failure is seen", async || bucket_of(&store).await.error.is_some()).await;
    until("logs are sealed all the same", async || bucket_of(&store).await.unpublished > 20).await;
    let stats = bucket_of(&store).await;
    assert_eq!((stats.name.as_str(), stats.absent), ("memory://test", 0));
    assert!(stats.failures > 0 && stats.error.unwrap().contains("the connection was lost"));
    let page = store.search(&TraceQuery { limit: 1000, ..TraceQuery::default() }).await.unwrap();
    assert_eq!(page.items.len(), known.len());
    let why = page.partial.expect("there may be more in the bucket");
    assert!(why.contains("the bucket could not be read yet"), "{why}");
    drop(store);

    let store = Engine::open(folder.path(), options).unwrap();
    store_some(&store, 1, &mut known).await;
    shaky.set(|_| Fate::Done);
    store.settle().await.unwrap();
    assert_has(&store, &known, "all of it was published").await;
    until("rows are given up", async || bucket_of(&store).await.held == 0).await;

    // Now they can be read only from there.
    for (fate, failed) in [(Fate::Refused, true), (Fate::Unheard, true), (Fate::Done, false)] {
        shaky.set(move |call| if call == Call::Get { fate } else { Fate::Done });
        let trace = store.trace(known[0]).await.unwrap().unwrap();
        assert_eq!(trace.partial.is_some(), failed, "{fate:?}: {:?}", trace.partial);
        let said = trace.partial.unwrap_or_default();
        assert!(!failed || said.contains("could not be fetched from the bucket"), "{said}");
    }
    assert_has(&store, &known, "it can be reached again").await;
}

/// The folder and the bucket as a crash would have left them.
struct Crash {
    folder: TempDir,
    bucket: InMemory,
    acknowledged: usize,
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

#[tokio::test]
async fn a_crash_in_any_call_to_the_bucket_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let known: Arc<Mutex<Vec<TraceId>>> = Arc::default();
    let crashes: Arc<Mutex<Vec<Crash>>> = Arc::default();
    let shaky = Arc::new(Shaky::new(|_| Fate::Done));
    let taking: PathBuf = folder.path().to_owned();
    let (seen, kept, watched) = (Arc::clone(&known), Arc::clone(&crashes), Arc::downgrade(&shaky));
    // Before each call and, one call later, after it.
    shaky.set(move |_| {
        // First: more may be acknowledged while the folder is copied.
        let acknowledged = seen.lock().unwrap().len();
        let bucket = watched.upgrade().unwrap().inner.fork();
        let crash = Crash { folder: copy(&taking), bucket, acknowledged };
        kept.lock().unwrap().push(crash);
        Fate::Done
    });
    let store = Engine::open(folder.path(), sharing(shaky.clone(), 20)).unwrap();
    for _ in 0..12 {
        let mut some = known.lock().unwrap().clone();
        store_some(&store, 5, &mut some).await;
        *known.lock().unwrap() = some;
        store.settle().await.unwrap();
    }
    drop(store);
    let known = known.lock().unwrap().clone();
    let crashes = std::mem::take(&mut *crashes.lock().unwrap());
    assert!(crashes.len() > 60, "{} calls", crashes.len());
    for (n, crash) in crashes.into_iter().enumerate() {
        let store = Engine::open(crash.folder.path(), sharing(Arc::new(crash.bucket), 20)).unwrap();
        store.settle().await.unwrap();
        // What is acknowledged here is not yet in the list.
        let listed = store.search(&TraceQuery { limit: 1000, ..TraceQuery::default() }).await;
        let listed = listed.unwrap().items.len();
        assert!(listed >= crash.acknowledged, "call {n}: {listed} of {}", crash.acknowledged);
        assert_has(&store, &known[..listed], &format!("call {n}")).await;
    }
}

#[tokio::test]
async fn a_folder_that_was_used_alone_is_published_and_belongs_to_the_bucket_from_then_on() {
    let (bucket, mut known) = (memory(), Vec::new());
    let folders: [TempDir; 2] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let alone = Options { bucket: None, ..sharing(bucket.clone(), 20) };
    // Both have counted their segments from 1.
    for folder in &folders {
        let store = Engine::open(folder.path(), alone.clone()).unwrap();
        store_some(&store, 30, &mut known).await;
        store.settle().await.unwrap();
        store.pin(known[known.len() - 1], true).await.unwrap();
    }
    let [first, second] =
        folders.each_ref().map(|it| Engine::open(it.path(), sharing(bucket.clone(), 20)).unwrap());
    for store in [&first, &second, &first] {
        store.settle().await.unwrap();
    }
    for store in [first, second] {
        assert_has(&store, &known, "both").await;
        assert_eq!(store.pins().await.unwrap().len(), 2);
    }
    for options in [alone, Options { bucket: Some(other()), ..sharing(bucket.clone(), 20) }] {
        let error = Engine::open(folders[0].path(), options).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("its segments lie in memory://test"), "{why}");
    }
}

fn other() -> Bucket {
    Bucket::new("memory://other", memory(), "")
}

#[tokio::test]
async fn a_bucket_that_was_emptied_empties_nothing_here() {
    let (bucket, folder, mut known) = (memory(), tempfile::tempdir().unwrap(), Vec::new());
    let store = Engine::open(folder.path(), sharing(bucket.clone(), 20)).unwrap();
    store_some(&store, 30, &mut known).await;
    store.settle().await.unwrap();
    let all: Vec<_> = bucket.list(None).map_ok(|it| it.location).try_collect().await.unwrap();
    for location in all {
        object_store::ObjectStoreExt::delete(&*bucket, &location).await.unwrap();
    }
    let error = store.settle().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("its manifest is gone"), "{why}");
    assert_has(&store, &known, "still here").await;
}

#[tokio::test]
async fn what_is_too_old_is_removed_for_all_but_for_pinned_traces() {
    let bucket = memory();
    let folders: [TempDir; 2] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let options =
        Options { keep_for: Some(Duration::from_secs(3600)), ..sharing(bucket.clone(), 20) };
    let patient = Engine::open(folders[0].path(), sharing(bucket.clone(), 20)).unwrap();
    let (mut known, removed) = (Vec::new(), Arc::new(AtomicBool::new(false)));
    store_some(&patient, 30, &mut known).await;
    patient.pin(known[7], true).await.unwrap();
    patient.settle().await.unwrap();
    let strict = Engine::open(folders[1].path(), options).unwrap();
    until("the old ones are removed", async || {
        let all = strict.search(&TraceQuery::default()).await.unwrap();
        removed.store(all.partial.is_none() && all.items.len() == 1, Relaxed);
        removed.load(Relaxed)
    })
    .await;
    patient.settle().await.unwrap();
    assert!(patient.trace(known[0]).await.unwrap().is_none());
    let pinned = patient.trace(known[7]).await.unwrap().unwrap();
    assert_eq!((pinned.spans.len() as u64, pinned.logs.len()), (SPANS, 1));
    // Their files stay for a while, for servers that have not read the manifest since.
    assert!(objects(&*bucket).await.len() > 4);
}
