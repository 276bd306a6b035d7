//! Nothing that the store on disk acknowledged is lost by `kill -9`, and nothing is there twice.
//!
//! The test runs itself again as a child that stores spans from several tasks, so that logs are
//! sealed and segments merged all the time, and prints each trace it was told is stored; kills it
//! at a random moment; and looks for what was printed. `bench/crash` kills a whole server under load.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use fixpoint_trace::{
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, TraceId},
    otlp,
    store::{
        LogQuery, RateQuery, Signal, TraceQuery, TraceStore,
        engine::{Engine, Options},
    },
};

/// Says to the child where to store.
const FOLDER: &str = "FIXPOINT_TRACE_TEST_FOLDER";
/// How often to kill.
const KILLS: &str = "FIXPOINT_CRASH_KILLS";
/// Spans of a trace; the first stays open. A line comes with them.
const SPANS: usize = 20;
const WRITERS: usize = 4;

/// A log is full after ten traces, and eight segments are merged.
fn options() -> Options {
    Options { seal_records: 10 * (SPANS + 1), ..Options::default() }
}

/// What was found after the kills.
#[derive(Debug, Default)]
struct Report {
    kills: usize,
    acknowledged: Vec<TraceId>,
    lost: usize,
    doubled: usize,
    recoveries: Vec<Duration>,
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    if let Ok(folder) = std::env::var(FOLDER) {
        store_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut report = Report {
        kills: std::env::var(KILLS).map_or(6, |kills| kills.parse().unwrap()),
        ..Report::default()
    };
    for _ in 0..report.kills {
        let acknowledged = run_and_kill(folder.path());
        check(folder.path(), &acknowledged, &mut report);
        report.acknowledged.extend(acknowledged);
    }
    check_all(folder.path(), &mut report);
    report.recoveries.sort_unstable();
    println!(
        "kills {}, acknowledged spans {}, lost {}, doubled {}, recovery median {:.1?}, max {:.1?}",
        report.kills,
        report.acknowledged.len() * SPANS,
        report.lost,
        report.doubled,
        report.recoveries[report.recoveries.len() / 2],
        report.recoveries[report.recoveries.len() - 1],
    );
    assert_eq!((report.lost, report.doubled), (0, 0));
}

/// The traces that the child was told are stored; there always are some.
fn run_and_kill(folder: &Path) -> Vec<TraceId> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::nothing_acknowledged_is_lost_or_doubled_by_kill_9",
            "--nocapture",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // What the test harness prints first is no trace id. Opening takes its time; the kill is to
    // come while spans are being stored.
    let parse = |line: std::io::Result<String>| line.ok()?.parse::<TraceId>().ok();
    let first = lines.by_ref().find_map(parse).expect("the child stores something");
    std::thread::sleep(Duration::from_micros(fastrand::u64(..150_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    [first].into_iter().chain(lines.filter_map(parse)).collect()
}

/// Looks for what the last child was told is stored.
#[tokio::main(flavor = "current_thread")]
async fn check(folder: &Path, acknowledged: &[TraceId], report: &mut Report) {
    let started = Instant::now();
    let store = Engine::open(folder, options()).unwrap();
    report.recoveries.push(started.elapsed());
    count_lost(&store, acknowledged, report).await;
}

async fn count_lost(store: &Engine, acknowledged: &[TraceId], report: &mut Report) {
    for id in acknowledged {
        let trace = store.trace(*id).await.unwrap().unwrap_or_default();
        assert_eq!(trace.partial, None);
        report.lost += SPANS.saturating_sub(trace.spans.len()) + usize::from(trace.logs.is_empty());
        report.doubled += trace.logs.len().saturating_sub(1);
    }
}

/// Looks at everything, as the last kill left it and when it is all in segments.
#[tokio::main(flavor = "current_thread")]
async fn check_all(folder: &Path, report: &mut Report) {
    let store = Engine::open(folder, options()).unwrap();
    let acknowledged = report.acknowledged.clone();
    for settled in [false, true] {
        count_lost(&store, &acknowledged, report).await;
        let query = TraceQuery { limit: usize::MAX, ..TraceQuery::default() };
        let listed = store.search(&query).await.unwrap().items;
        assert!(listed.len() >= acknowledged.len());
        for summary in listed.iter().step_by(listed.len().div_ceil(200)) {
            let found = store.find(&summary.trace_id.to_string(), None, 2).await.unwrap();
            assert_eq!(found.as_slice(), std::slice::from_ref(summary));
        }
        // A request that was not acknowledged is there whole or not at all, and so is its index.
        for summary in &listed {
            assert_eq!((summary.spans as usize, summary.open), (SPANS, 1), "{summary:?}");
        }
        assert_eq!(store.open_spans().await.unwrap().len(), listed.len());
        let query = LogQuery { limit: usize::MAX, ..LogQuery::default() };
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for line in store.logs(&query).await.unwrap() {
            *lines.entry(line.message().into_owned()).or_default() += 1;
        }
        report.doubled += lines.values().map(|count| count - 1).sum::<usize>();
        // The rates count a span as often as it is stored.
        let rates = store.rates(&RateQuery::default()).await.unwrap();
        let counted: u64 = rates.iter().flat_map(|it| &it.buckets).map(|it| it.spans).sum();
        report.doubled += (counted as usize).saturating_sub(listed.len() * (SPANS - 1));
        if settled {
            let stats = store.stats().await.unwrap();
            let stored = (stats.spans + stats.logs) as usize;
            report.doubled += stored.saturating_sub(listed.len() * SPANS + lines.len());
        }
        store.settle().await.unwrap();
    }
}

#[tokio::main(worker_threads = 2)]
async fn store_until_killed(folder: &Path) -> ! {
    let store = Engine::open(folder, options()).unwrap();
    let writers = (0..WRITERS).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            loop {
                let id = TraceId::random();
                if n % 2 == 0 {
                    append(&store, id).await;
                } else {
                    append_otlp(&store, id).await;
                }
                // One write, so that no line is torn.
                std::io::stdout().write_all(format!("{id}\n").as_bytes()).unwrap();
            }
        })
    });
    let ended = futures_util::future::join_all(writers).await;
    panic!("a writer ended: {ended:?}");
}

async fn append(store: &Engine, id: TraceId) {
    let spans = spans(id).into_iter().map(Record::Span);
    let records: Vec<Record> = spans.chain([Record::Log(line(id))]).collect();
    store.append(&records).await.unwrap();
}

/// The spans in one request, the line in another, as a sender does.
async fn append_otlp(store: &Engine, id: TraceId) {
    let spans = spans(id);
    let request = otlp::encode_spans(&spans.iter().collect::<Vec<_>>());
    send(store, Signal::Traces, request.into()).await;
    send(store, Signal::Logs, otlp::encode_logs(&[&line(id)]).into()).await;
}

/// Again and again while the store is overloaded, as it says.
#[allow(clippy::disallowed_methods, reason = "the store's thread goes by the real clock")]
async fn send(store: &Engine, signal: Signal, request: Bytes) {
    while let Err(error) = store.append_otlp(signal, request.clone()).await {
        assert_eq!(error.fault(), fixpoint_trace::store::Fault::Overload, "{error}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn spans(trace_id: TraceId) -> Vec<Span> {
    let mut spans = Vec::with_capacity(SPANS);
    for n in 0..SPANS {
        let context = SpanContext { trace_id, span_id: SpanId::random() };
        let mut span = Span::new(context, "span", fastrand::u64(..1 << 60));
        span.end = (n > 0).then_some(span.start + 1);
        spans.push(span);
    }
    spans
}

fn line(trace_id: TraceId) -> LogRecord {
    let line = LogRecord::new(1, Level::Info, format!("stored {trace_id}"));
    LogRecord { trace_id: Some(trace_id), ..line }
}
