//! What the store on disk does beyond the contract: it forgets what it should, and survives disks.
//!
//! Not here: `kill -9` (`crash.rs`), or what every store does (`stores.rs`). The surprise: a disk
//! that is full is played by a limit on the size of files, in a child process of this binary.

use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fastrand::Rng;
use fixpoint_trace::{
    model::{
        Level, LogRecord, Record, Resource, Span, SpanContext, SpanId, Status, Trace, TraceId,
        Value,
    },
    store::{
        LogQuery, RateQuery, StoreError, TraceQuery, TraceStore,
        engine::{Durability, Engine, Options},
        memory::MemoryStore,
    },
};

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;

/// Says to a child where to store, and what to do.
const FOLDER: &str = "FIXPOINT_TRACE_ENGINE_FOLDER";

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    since.as_nanos().try_into().unwrap()
}

fn sealing(records: usize) -> Options {
    let durability = Durability::ProcessDeath;
    Options { durability, seal_records: records, ..Options::default() }
}

/// A trace of spans that have ended, and a line.
fn records(trace_id: TraceId, start: u64, spans: u64) -> Vec<Record> {
    let resource = [("service.name".to_owned(), Value::from("test"))];
    let resource = Arc::new(resource.into_iter().collect::<Resource>());
    let mut records: Vec<Record> = Vec::new();
    for n in 0..spans {
        let context = SpanContext { trace_id, span_id: SpanId::random() };
        let mut span = Span::new(context, format!("step {n}"), start + n);
        span.end = Some(start + n + SECOND);
        span.resource = Arc::clone(&resource);
        span.attributes.insert("n".into(), Value::Int(n as i64));
        records.push(Record::Span(span));
    }
    let line = LogRecord::new(start, Level::Info, format!("began {trace_id}"));
    records.push(Record::Log(LogRecord { trace_id: Some(trace_id), ..line }));
    records
}

/// Waits for what the store does by itself.
#[allow(clippy::disallowed_methods, reason = "the store's thread goes by the real clock")]
pub(crate) async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within 20 s: {what}");
}

#[tokio::test]
async fn what_is_too_old_is_removed_but_for_pinned_traces() {
    let folder = tempfile::tempdir().unwrap();
    let [old, pinned, new] = [(); 3].map(|()| TraceId::random());
    {
        let store = Engine::open(folder.path(), sealing(10)).unwrap();
        store.append(&records(old, now() - 3 * HOUR, 4)).await.unwrap();
        store.append(&records(pinned, now() - 2 * HOUR, 4)).await.unwrap();
        let line = LogRecord::new(now() - 2 * HOUR, Level::Info, "of no trace");
        store.append(&[Record::Log(line)]).await.unwrap();
        store.settle().await.unwrap();
        store.append(&records(new, now(), 4)).await.unwrap();
        store.settle().await.unwrap();
        store.pin(pinned, true).await.unwrap();
    }
    let kept = Options { keep_for: Some(Duration::from_secs(3600)), ..sealing(10) };
    let store = Engine::open(folder.path(), kept).unwrap();
    until("the old trace is removed", async || store.trace(old).await.unwrap().is_none()).await;
    let shape = |trace: Option<Trace>| trace.map(|it| (it.spans.len(), it.logs.len()));
    assert_eq!(shape(store.trace(pinned).await.unwrap()), Some((4, 1)));
    assert_eq!(shape(store.trace(new).await.unwrap()), Some((4, 1)));
    // The pinned trace's and the new one's; the line of no trace goes with its segment, which may be
    // another one.
    let lines = async || store.logs(&LogQuery::default()).await.unwrap().len();
    until("the line of no trace is removed", async || lines().await == 2).await;
    until("what was removed is counted", async || store.stats().await.unwrap().expired >= 6).await;
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.expired, stats.spans, stats.logs), (6, 8, 2));

    store.pin(pinned, false).await.unwrap();
    until("it may go now", async || store.trace(pinned).await.unwrap().is_none()).await;
    until("that is counted", async || store.stats().await.unwrap().expired == 11).await;
    assert_eq!(shape(store.trace(new).await.unwrap()), Some((4, 1)));
}

#[tokio::test]
async fn what_is_too_much_is_removed_oldest_first_but_for_pinned_traces() {
    const KEEP: u64 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { keep_bytes: Some(KEEP), ..sealing(10) };
    let store = Engine::open(folder.path(), options).unwrap();
    let traces: Vec<TraceId> = (0..60).map(|_| TraceId::random()).collect();
    store.pin(traces[0], true).await.unwrap();
    for (n, &trace) in (0..).zip(&traces) {
        store.append(&records(trace, now() - HOUR + n * SECOND, 10)).await.unwrap();
    }
    store.settle().await.unwrap();
    let total = traces.len() as u64 * 11;
    until("it takes no more than it may", async || {
        let stats = store.stats().await.unwrap();
        stats.bytes <= KEEP && stats.expired + stats.spans + stats.logs == total
    })
    .await;
    let mut there = Vec::new();
    for &trace in &traces {
        match store.trace(trace).await.unwrap() {
            Some(trace) => {
                assert_eq!((trace.spans.len(), trace.logs.len()), (10, 1), "whole or not at all");
                there.push(true);
            }
            None => there.push(false),
        }
    }
    assert!(there[0], "the pinned one stays");
    let oldest = there[1..].iter().position(|there| *there).unwrap();
    assert!(oldest > 0, "something was removed");
    assert!(there[1 + oldest..].iter().all(|there| *there), "the oldest go: {there:?}");
}

#[tokio::test]
async fn lines_of_no_trace_outlive_merging() {
    let folder = tempfile::tempdir().unwrap();
    let store = Engine::open(folder.path(), sealing(2)).unwrap();
    for n in 0..40 {
        let line = LogRecord::new(n + 1, Level::Info, n.to_string());
        store.append(&[Record::Log(line)]).await.unwrap();
    }
    store.settle().await.unwrap();
    let messages: Vec<String> = store
        .logs(&LogQuery::default())
        .await
        .unwrap()
        .iter()
        .map(|log| log.message().into_owned())
        .collect();
    assert_eq!(messages, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// Everything that can be asked, so that it can be compared.
type Answers = Vec<(&'static str, Result<String, StoreError>)>;

async fn answers(store: &Engine, traces: &[TraceId]) -> Answers {
    let mut answers = Answers::new();
    for &id in traces {
        answers.push((
            "trace",
            store.trace(id).await.map(|trace| match trace {
                Some(Trace { partial: Some(_), .. }) => PARTIAL.to_owned(),
                trace => format!("{trace:?}"),
            }),
        ));
        let found = store.find(&id.to_string(), None, 10).await;
        answers.push(("find", found.map(|found| format!("{found:?}"))));
    }
    for filter in
        ["", "error", "service = test", "\"step 1\"", "n = 3", "log ~ began", "missing(\"step 3\")"]
    {
        let filter = filter.parse().unwrap();
        let page = store.search(&TraceQuery { filter, limit: 1000, ..TraceQuery::default() }).await;
        answers.push((
            "search",
            page.map(|page| match page.partial {
                Some(_) => PARTIAL.to_owned(),
                None => format!("{page:?}"),
            }),
        ));
    }
    let rates = store.rates(&RateQuery::default()).await;
    answers.push(("rates", rates.map(|rates| format!("{rates:?}"))));
    for name in [None, Some("n")] {
        let names = store.attributes(name, 1000).await;
        answers.push(("attributes", names.map(|names| format!("{names:?}"))));
    }
    let logs = store.logs(&LogQuery { limit: 10_000, ..LogQuery::default() }).await;
    answers.push(("logs", logs.map(|logs| format!("{logs:?}"))));
    answers
}

const PARTIAL: &str = "not all of it could be read";

/// A panic in the disk's work is told as an error, which must not be taken for an honest one.
fn assert_no_panic(error: &StoreError, context: &str) {
    let mut at: Option<&dyn std::error::Error> = Some(error);
    while let Some(why) = at {
        assert!(!why.to_string().contains("panicked"), "{context}: {why}");
        at = why.source();
    }
}

#[tokio::test]
async fn a_damaged_file_of_a_segment_gives_errors_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let traces: Vec<TraceId> = (0..150).map(|_| TraceId::random()).collect();
    {
        let store = Engine::open(folder.path(), sealing(250)).unwrap();
        for (n, &trace) in (0..).zip(&traces) {
            let mut records = records(trace, HOUR + n * SECOND, n % 5 + 1);
            if let (Record::Span(span), 0) = (&mut records[0], n % 7) {
                span.status = Status::Error("refused".into());
            }
            store.append(&records).await.unwrap();
        }
        store.settle().await.unwrap();
    }
    // Enough of them to have several blocks of each kind; asking for each would take long.
    let asked: Vec<TraceId> = traces.iter().copied().step_by(30).collect();
    let open = |at: &Path| Engine::open(at, Options::default());
    let expected = answers(&open(folder.path()).unwrap(), &asked).await;
    let mut random = Rng::with_seed(7);
    let mut silent = 0;
    for (end, trials) in [(".index", 32), (".logs.parquet", 8), (".parquet", 8)] {
        for trial in 0..trials {
            let copy = tempfile::tempdir().unwrap();
            let mut files = copy_store(folder.path(), copy.path());
            files.retain(|name| name.split_once('.').is_some_and(|it| end == format!(".{}", it.1)));
            let path = copy.path().join(&files[random.usize(..files.len())]);
            let mut bytes = std::fs::read(&path).unwrap();
            let at = random.usize(..bytes.len());
            if trial % 4 == 0 {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << random.u8(..8);
            }
            std::fs::write(&path, bytes).unwrap();
            let context = format!("{}, trial {trial}, at {at}", path.display());
            let store = match open(copy.path()) {
                Ok(store) => store,
                Err(error) => {
                    assert_no_panic(&error, &context);
                    continue;
                }
            };
            let found = answers(&store, &asked).await;
            for ((what, found), (_, right)) in found.into_iter().zip(&expected) {
                match found {
                    Err(error) => assert_no_panic(&error, &context),
                    Ok(found) if found == PARTIAL || found == *right.as_ref().unwrap() => {}
                    Ok(found) => {
                        assert!(end != ".index", "{context}: {what} is wrong: {found}");
                        silent += 1;
                    }
                }
            }
        }
    }
    // Parquet's pages have no checksum, so what changes a value is not noticed.
    assert!(silent > 0, "if it never is, this test should ask for more");
}

/// The names of the files that were copied, the manifest last.
fn copy_store(from: &Path, to: &Path) -> Vec<String> {
    let names = std::fs::read_dir(from).unwrap().map(|it| it.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort_by_key(|name| name == "manifest.json");
    names.retain(|name| std::fs::copy(from.join(name), to.join(name)).is_ok());
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_the_store_is_written_to_has_what_was_acknowledged_before() {
    const SPANS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let store = Engine::open(folder.path(), Options::default()).unwrap();
    let (done, known) =
        (Arc::new(AtomicBool::new(false)), Arc::new(std::sync::Mutex::new(Vec::new())));
    let writer = tokio::spawn({
        let (store, done, known) = (store.clone(), Arc::clone(&done), Arc::clone(&known));
        async move {
            while !done.load(Relaxed) {
                let id = TraceId::random();
                store.append(&records(id, SECOND, SPANS)).await.unwrap();
                known.lock().unwrap().push(id);
            }
        }
    });
    for round in 1..=8 {
        until("something more is stored", async || known.lock().unwrap().len() > 10 * round).await;
        let before = known.lock().unwrap().clone();
        let copy = tempfile::tempdir().unwrap();
        copy_store(folder.path(), copy.path());
        let copied = Engine::open(copy.path(), Options::default()).unwrap();
        for id in before {
            let trace = copied.trace(id).await.unwrap().expect("what was acknowledged is there");
            assert_eq!((trace.spans.len() as u64, trace.logs.len()), (SPANS, 1));
        }
        let all = copied.search(&TraceQuery { limit: 100_000, ..TraceQuery::default() }).await;
        for summary in all.unwrap().items {
            assert_eq!(u64::from(summary.spans), SPANS, "whole or not at all");
        }
    }
    done.store(true, Relaxed);
    writer.await.unwrap();
}

/// Random batches to both stores, and random searches, each of which goes on page by page while
/// more arrives. What arrives meanwhile may change a trace, so each page is compared by itself.
#[tokio::test]
async fn a_search_is_exact_over_pages_while_spans_arrive_and_segments_are_sealed() {
    const FILTERS: [&str; 8] = [
        "",
        "error",
        "service = b",
        "describe",
        "service = a and duration > 20ns",
        "missing(register) after describe",
        "log ~ began",
        "n = 3",
    ];
    for (seed, records) in (0..8).zip([2, 6, 40, 150].into_iter().cycle()) {
        let (mut random, folder) = (Rng::with_seed(seed), tempfile::tempdir().unwrap());
        let memory = MemoryStore::default();
        let disk = Engine::open(folder.path(), sealing(records)).unwrap();
        let (mut known, mut time) = (Vec::new(), 0);
        let mut going_on: Vec<TraceQuery> = Vec::new();
        for step in 0..40 {
            let batch = some_batch(&mut random, &mut known, &mut time);
            memory.append(&batch).await.unwrap();
            disk.append(&batch).await.unwrap();
            if random.u8(..12) == 0 {
                disk.settle().await.unwrap();
            }
            for _ in 0..2 {
                let new = TraceQuery {
                    filter: FILTERS[random.usize(..FILTERS.len())].parse().unwrap(),
                    since: random.bool().then(|| random.u64(..1500)),
                    until: random.bool().then(|| random.u64(500..2500)),
                    limit: random.usize(1..6),
                    before: None,
                    tenant: None,
                };
                let mut query = match going_on.is_empty() || random.bool() {
                    true => new,
                    false => going_on.swap_remove(random.usize(..going_on.len())),
                };
                let expected = memory.search(&query).await.unwrap();
                let found = disk.search(&query).await.unwrap();
                let context = format!("seed {seed}, step {step}, {query:?}");
                assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{context}");
                if found.next.is_some() {
                    query.before = found.next;
                    going_on.push(query);
                }
            }
            let id = some_trace(&mut random);
            let (found, expected) =
                (disk.trace(id).await.unwrap(), memory.trace(id).await.unwrap());
            assert_eq!(found, expected, "seed {seed}, step {step}");
        }
    }
}

fn some_trace(random: &mut Rng) -> TraceId {
    TraceId::from_bytes([random.u8(1..40); 16]).unwrap()
}

/// New spans, spans that end or come again, and lines.
fn some_batch(random: &mut Rng, known: &mut Vec<Span>, time: &mut u64) -> Vec<Record> {
    let resources = ["a", "b"].map(|name| {
        let pair = ("service.name".to_owned(), Value::from(name));
        Arc::new([pair].into_iter().collect::<Resource>())
    });
    let mut batch = Vec::new();
    for _ in 0..random.usize(1..9) {
        *time += 1;
        let trace_id = some_trace(random);
        match random.u8(..6) {
            0 => batch.push(Record::Log(LogRecord {
                trace_id: Some(trace_id),
                ..LogRecord::new(random.u64(1..200) * 10_000 + *time, Level::Info, "began")
            })),
            1 if !known.is_empty() => {
                let at = random.usize(..known.len());
                known[at].end = Some(known[at].start + random.u64(..50));
                known[at].attributes.insert("n".into(), Value::Int(random.i64(..5)));
                if random.u8(..3) == 0 {
                    known[at].status = Status::Error("refused".into());
                }
                batch.push(Record::Span(known[at].clone()));
            }
            _ => {
                let span_id = SpanId::from_bytes(random.u64(1..).to_be_bytes()).unwrap();
                let name = ["run", "describe", "register"][random.usize(..3)];
                let context = SpanContext { trace_id, span_id };
                let mut span = Span::new(context, name, random.u64(1..2000));
                span.resource = Arc::clone(&resources[random.usize(..2)]);
                span.end = random.bool().then(|| span.start + random.u64(..50));
                span.parent = random.bool().then(SpanId::random);
                known.push(span.clone());
                batch.push(Record::Span(span));
            }
        }
    }
    batch
}

/// Runs one test of this file again, as a child whose files cannot grow beyond some size. Writing
/// more is an error to it, as on a full disk.
#[cfg(unix)]
fn on_a_full_disk(test: &str, folder: &Path, blocks: u32) -> Vec<String> {
    // Without the trap the child would be killed instead.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("engine::{test}"), "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(str::to_owned).collect()
}

/// Spans whose texts do not shrink.
fn bulky(trace_id: TraceId, spans: u64) -> Vec<Record> {
    let mut records = records(trace_id, SECOND, spans);
    for record in &mut records {
        if let Record::Span(span) = record {
            let bytes = std::iter::repeat_with(|| fastrand::u8(..)).take(10_000).collect();
            span.attributes.insert("body".into(), Value::Bytes(bytes));
        }
    }
    records
}

#[cfg(unix)]
#[test]
fn a_disk_that_refuses_a_write_loses_nothing_of_what_was_acknowledged() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return store_on_a_full_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "a_disk_that_refuses_a_write_loses_nothing_of_what_was_acknowledged";
    let lines = on_a_full_disk(test, folder.path(), 512);
    let said = |word: &str| -> BTreeSet<TraceId> {
        let of = |line: &String| line.strip_prefix(word)?.trim().parse().ok();
        lines.iter().filter_map(of).collect()
    };
    let (kept, refused) = (said("kept"), said("refused"));
    assert!(kept.len() > 10 && refused.len() > 3, "{} and {}", kept.len(), refused.len());
    all_are_there(folder.path(), &kept);
}

#[tokio::main(flavor = "current_thread")]
async fn store_on_a_full_disk(folder: &Path) {
    let store = Engine::open(folder, sealing(64)).unwrap();
    for n in 0..30 {
        let id = TraceId::random();
        // Every fifth is larger than a file can be.
        let stored = store.append(&bulky(id, if n % 5 == 4 { 60 } else { 5 })).await;
        println!("{} {id}", if stored.is_ok() { "kept" } else { "refused" });
    }
}

#[tokio::main(flavor = "current_thread")]
async fn all_are_there(folder: &Path, kept: &BTreeSet<TraceId>) {
    let store = Engine::open(folder, sealing(64)).unwrap();
    for settled in [false, true] {
        let all = store.search(&TraceQuery { limit: 1000, ..TraceQuery::default() }).await;
        let all: BTreeSet<TraceId> = all.unwrap().items.iter().map(|it| it.trace_id).collect();
        assert_eq!(all, *kept, "settled: {settled}");
        for &id in kept {
            let trace = store.trace(id).await.unwrap().unwrap();
            assert_eq!((trace.spans.len(), trace.logs.len(), trace.partial), (5, 1, None));
        }
        store.settle().await.unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_not_filled_with_unfinished_segments() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return settle_on_a_full_disk(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = store_some(folder.path());
    let lines =
        on_a_full_disk("a_full_disk_is_not_filled_with_unfinished_segments", folder.path(), 64);
    assert!(lines.iter().any(|line| line == "refused"), "{lines:?}");
    let left = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("segment-")).collect();
    assert!(left.is_empty(), "{left:?}");
    all_are_there(folder.path(), &kept);
}

#[tokio::main(flavor = "current_thread")]
async fn store_some(folder: &Path) -> BTreeSet<TraceId> {
    let store = Engine::open(folder, Options::default()).unwrap();
    let ids: BTreeSet<TraceId> = (0..5).map(|_| TraceId::random()).collect();
    for &id in &ids {
        store.append(&bulky(id, 5)).await.unwrap();
    }
    ids
}

#[tokio::main(flavor = "current_thread")]
async fn settle_on_a_full_disk(folder: &Path) {
    let store = Engine::open(folder, Options::default()).unwrap();
    for _ in 0..3 {
        println!("{}", if store.settle().await.is_err() { "refused" } else { "done" });
    }
}
