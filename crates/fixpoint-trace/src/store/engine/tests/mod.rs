//! What happens between two logs, step by step: no thread tends to the store here.

mod merging;

use std::{path::Path, sync::Arc, time::Duration};

use object_store::{ObjectStoreExt, memory::InMemory};

use super::{Options, Shared, arrived::Arrived, write};
use crate::{
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, TraceId},
    store::{LogQuery, bucket::Bucket},
};

/// Up to four records of a trace move into the next log.
fn open(folder: &Path) -> Arc<Shared> {
    let options = Options { seal_records: 64, ..Options::default() };
    Arc::new(Shared::open(folder, options).unwrap())
}

async fn store(shared: &Arc<Shared>, trace_id: TraceId, spans: u64) {
    let mut records = Vec::new();
    for start in 0..spans {
        let context = SpanContext { trace_id, span_id: SpanId::random() };
        records.push(Record::Span(Span { end: Some(9), ..Span::new(context, "step", start) }));
    }
    let line = LogRecord::new(1, Level::Info, "line");
    records.push(Record::Log(LogRecord { trace_id: Some(trace_id), ..line }));
    let requests = Arrived::of_records(&records).unwrap();
    write::commit(shared, requests).await.unwrap();
}

/// How many spans and lines there are of the trace, and lines in all.
fn there(shared: &Shared, id: TraceId) -> (usize, usize, usize) {
    let state = shared.state();
    let trace = state.trace(id).unwrap();
    let lines = state.logs(&LogQuery::default()).unwrap();
    (trace.spans.len(), trace.logs.len(), lines.len())
}

#[tokio::test]
async fn what_an_older_log_has_of_a_trace_that_moves_on_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let (shared, id) = (open(folder.path()), TraceId::random());
    // Too large to move.
    store(&shared, id, 10).await;
    shared.next_log(shared.moves()).unwrap();
    store(&shared, id, 2).await;
    assert_eq!(there(&shared, id), (12, 2, 2));
    shared.next_log(shared.moves()).unwrap();
    assert_eq!(there(&shared, id), (12, 2, 2));
    drop(shared);
    assert_eq!(there(&open(folder.path()), id), (12, 2, 2), "after a crash, too");
}

#[tokio::test]
async fn traces_read_together_are_those_read_one_by_one_wherever_they_lie() {
    let folder = tempfile::tempdir().unwrap();
    let (shared, ids) = (open(folder.path()), [(); 6].map(|()| TraceId::random()));
    for (at, &id) in ids.iter().enumerate() {
        store(&shared, id, 10 + at as u64).await;
    }
    settle(&shared).await;
    // One lies in two segments then, one in a segment and the log, one in the log alone.
    store(&shared, ids[1], 1).await;
    settle(&shared).await;
    store(&shared, ids[2], 1).await;
    let young = TraceId::random();
    store(&shared, young, 3).await;
    let asked = [ids[5], young, ids[2], TraceId::random(), ids[1], ids[0]];
    let state = shared.state();
    let found = state.traces(&asked);
    let spans = found.iter().map(|trace| trace.as_ref().map_or(0, |trace| trace.spans.len()));
    assert_eq!(spans.collect::<Vec<_>>(), [15, 3, 13, 0, 12, 10]);
    assert_eq!(found, asked.map(|id| state.trace(id)));
}

#[tokio::test]
async fn a_log_that_a_crash_left_half_written_hides_nothing_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (shared, id) = (open(folder.path()), TraceId::random());
    store(&shared, id, 2).await;
    let path = |name: &str| folder.path().join(name);
    // A crash before the next log was complete leaves it under this name, with as much as was
    // written: the spans that moved, but not the line.
    shared.next_log(shared.moves()).unwrap();
    std::fs::rename(path("journal-00000002.log"), path("journal-00000002.new")).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path("journal-00000002.new")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    drop(shared);
    let shared = open(folder.path());
    assert_eq!(there(&shared, id), (2, 1, 1));
    shared.next_log(shared.moves()).unwrap();
    assert_eq!(there(&shared, id), (2, 1, 1));
}

#[tokio::test]
async fn files_that_nobody_needs_any_more_go_from_the_bucket_and_no_others() {
    let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(InMemory::new()));
    let bucket = Some(Bucket::new("test", store.clone(), "traces"));
    let options = Options { bucket, ..Options::default() };
    let shared = Arc::new(Shared::open(folder.path(), options).unwrap());
    let id = TraceId::random();
    for _ in 0..8 {
        self::store(&shared, id, 1).await;
        settle(&shared).await;
    }
    let remote = shared.remote.as_ref().unwrap();
    let files = || remote.connection.list().unwrap().len();
    assert_eq!(shared.state().segments.len(), 1, "eight were merged to one");
    assert_eq!(files(), 1 + 3 * 9, "those that were merged are still there");
    shared.clear_away(remote, Duration::from_secs(60)).unwrap();
    assert_eq!(files(), 1 + 3 * 9, "for a minute at least");
    shared.clear_away(remote, Duration::ZERO).unwrap();
    assert_eq!(files(), 1 + 3);
    assert!(remote.known().common.removed.is_empty());

    // A crash left a file there; one of another server is on its way.
    let path = |name: &str| object_store::path::Path::from(format!("traces/{name}"));
    for name in ["segment-1000000000000001.index", "segment-x", "notes.txt"] {
        store.put(&path(name), "left".into()).await.unwrap();
    }
    let sweep = |age| {
        let mut known = remote.known();
        (known.swept, known.modified) = (None, known.modified.max(crate::model::now() as i64));
        drop(known);
        shared.sweep(remote, age).unwrap();
    };
    remote.known().modified = 0;
    shared.sweep(remote, Duration::from_secs(60)).unwrap();
    assert_eq!(files(), 1 + 3 + 3, "younger than the manifest");
    sweep(Duration::from_secs(60));
    assert_eq!(files(), 1 + 3 + 2);
    assert_eq!(there(&shared, id), (8, 8, 8));
}

async fn settle(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || shared.settle().unwrap()).await.unwrap();
}
