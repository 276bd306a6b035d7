//! Nothing that the store on disk acknowledged is lost by `kill -9`.
//!
//! The test runs itself again as a child that stores spans and prints each batch it was told is
//! stored, kills it at a random moment, and looks for what was printed.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use fixpoint_trace::{
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, TraceId},
    store::{
        LogQuery, TraceQuery, TraceStore,
        engine::{Engine, Options},
    },
};

/// Says to the child where to store.
const FOLDER: &str = "FIXPOINT_TRACE_TEST_FOLDER";
const BATCH: usize = 20;

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    if let Ok(folder) = std::env::var(FOLDER) {
        store_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<TraceId> = Vec::new();
    for _ in 0..6 {
        let before = acknowledged.len();
        while acknowledged.len() == before {
            acknowledged.extend(run_and_kill(folder.path()));
        }
        check(folder.path(), &acknowledged);
    }
}

/// The traces that the child was told are stored.
fn run_and_kill(folder: &Path) -> Vec<TraceId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::nothing_acknowledged_is_lost_by_kill_9", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // What the test harness prints first is no trace id. Opening takes its time; the kill is to
    // come while spans are being stored.
    let parse = |line: std::io::Result<String>| line.ok()?.parse::<TraceId>().ok();
    let first = lines.by_ref().find_map(parse);
    std::thread::sleep(Duration::from_micros(fastrand::u64(..80_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    first.into_iter().chain(lines.filter_map(parse)).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn check(folder: &Path, acknowledged: &[TraceId]) {
    let store = Engine::open(folder, Options::default()).unwrap();
    for id in acknowledged {
        let trace = store.trace(*id).await.unwrap().expect("an acknowledged trace is there");
        assert_eq!((trace.spans.len(), trace.logs.len()), (BATCH, 1));
    }
    // Batches that were not acknowledged are there whole or not at all, and so is their index.
    let query = TraceQuery { limit: usize::MAX, ..TraceQuery::default() };
    let listed = store.search(&query).await.unwrap().items;
    assert!(listed.len() >= acknowledged.len());
    for summary in &listed {
        assert_eq!(
            (summary.spans as usize, summary.open as usize, summary.logs),
            (BATCH, BATCH, 1)
        );
        let found = store.find(&summary.trace_id.to_string(), 2).await.unwrap();
        assert_eq!(found.as_slice(), std::slice::from_ref(summary));
    }
    assert_eq!(store.open_spans().await.unwrap().len(), listed.len() * BATCH);
    let logs = LogQuery { limit: usize::MAX, ..LogQuery::default() };
    assert_eq!(store.logs(&logs).await.unwrap().len(), listed.len());
}

#[tokio::main(flavor = "current_thread")]
async fn store_until_killed(folder: &Path) -> ! {
    let store = Engine::open(folder, Options::default()).unwrap();
    loop {
        let trace_id = TraceId::random();
        let mut records: Vec<_> = (0..BATCH).map(|_| Record::Span(span(trace_id))).collect();
        let line = LogRecord::new(1, Level::Info, "stored");
        records.push(Record::Log(LogRecord { trace_id: Some(trace_id), ..line }));
        store.append(records).await.unwrap();
        println!("{trace_id}");
        std::io::stdout().flush().unwrap();
    }
}

fn span(trace_id: TraceId) -> Span {
    let context = SpanContext { trace_id, span_id: SpanId::random() };
    Span::new(context, "span", fastrand::u64(..))
}
