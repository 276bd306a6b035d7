//! What recording a span costs the thread that emits it: ours, `fastrace` and
//! `tracing-opentelemetry` with a batch exporter, in one run, with the same four fields.
//!
//! Only opening and closing is timed, in bursts of [`BURST`] spans; between bursts the background
//! halves catch up, so that no contender wins by dropping spans. Each one's far end does its work
//! and then forgets the spans.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use criterion::{Criterion, criterion_group, criterion_main};
use fixpoint_trace::{
    layer::RecordLayer,
    model::{LogRecord, Record, Resource, Span, Trace, TraceId},
    record::Recorder,
    store::{LogQuery, StoreError, TracePage, TraceQuery, TraceStore, TraceSummary},
};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::{error::OTelSdkResult, trace as sdk};
use tokio::sync::broadcast;
use tracing_subscriber::layer::SubscriberExt;

/// Less than any of the queues holds by default.
const BURST: u64 = 1000;

fn spans(count: u64) {
    for n in 0..count {
        let span = tracing::info_span!(
            "EC2.RunInstances",
            rpc.system = "aws-api",
            rpc.method = "RunInstances",
            cloud.region = "eu-west-1",
            fixpoint.attempt = n,
        );
        let _entered = black_box(span.entered());
    }
}

fn fastrace_spans(count: u64) {
    let root = fastrace::Span::root("root", fastrace::collector::SpanContext::random());
    for n in 0..count {
        let span = fastrace::Span::enter_with_parent("EC2.RunInstances", &root);
        let _span = span.with_properties(|| properties(n));
    }
}

fn fastrace_local_spans(count: u64) {
    let root = fastrace::Span::root("root", fastrace::collector::SpanContext::random());
    let _guard = root.set_local_parent();
    for n in 0..count {
        let span = fastrace::local::LocalSpan::enter_with_local_parent("EC2.RunInstances");
        let _span = span.with_properties(|| properties(n));
    }
}

/// Texts that are copied, as `tracing` has to, and a number, which `fastrace` only has as text.
fn properties(n: u64) -> [(&'static str, String); 4] {
    [
        ("rpc.system", "aws-api".to_owned()),
        ("rpc.method", "RunInstances".to_owned()),
        ("cloud.region", "eu-west-1".to_owned()),
        ("fixpoint.attempt", n.to_string()),
    ]
}

/// Times bursts of `emit`, and lets `settle` run untimed between them.
fn bursts(spans: u64, emit: impl Fn(u64), settle: impl Fn()) -> Duration {
    let mut total = Duration::ZERO;
    let mut left = spans;
    while left > 0 {
        let burst = left.min(BURST);
        let start = Instant::now();
        emit(burst);
        total += start.elapsed();
        settle();
        left -= burst;
    }
    total
}

fn record(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("starts a runtime");
    let mut group = criterion.benchmark_group("span with 4 fields");

    let (recorder, writer) = Recorder::new(Arc::new(Nowhere::default()));
    let running = runtime.spawn(writer.run(std::future::pending()));
    let ours = tracing_subscriber::registry()
        .with(RecordLayer::new(recorder.clone(), Resource::default()));
    tracing::subscriber::with_default(ours, || {
        group.bench_function("fixpoint", |bencher| {
            bencher.iter_custom(|count| {
                bursts(count, spans, || runtime.block_on(recorder.flush()).expect("flushes"))
            });
        });
    });
    assert_eq!(recorder.dropped(), 0);
    running.abort();

    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        group.bench_function("bare registry", |bencher| {
            bencher.iter_custom(|count| bursts(count, spans, || ()));
        });
    });

    let sent = Arc::new(AtomicU64::new(0));
    fastrace::set_reporter(
        Counting(sent.clone()),
        fastrace::collector::Config::default().report_interval(Duration::from_millis(1)),
    );
    // As ours and the next, this one may be held across an await and change threads ...
    group.bench_function("fastrace", |bencher| {
        bencher.iter_custom(|count| bursts(count, fastrace_spans, fastrace::flush));
    });
    // ... and this one is bound to its thread's stack.
    group.bench_function("fastrace, local", |bencher| {
        bencher.iter_custom(|count| bursts(count, fastrace_local_spans, fastrace::flush));
    });
    assert!(sent.load(Relaxed) > 0, "fastrace reports");

    let provider = {
        let _guard = runtime.enter();
        sdk::SdkTracerProvider::builder().with_batch_exporter(Forgetting).build()
    };
    let theirs = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(provider.tracer("bench")));
    tracing::subscriber::with_default(theirs, || {
        group.bench_function("tracing-opentelemetry", |bencher| {
            bencher.iter_custom(|count| {
                bursts(count, spans, || provider.force_flush().expect("flushes"))
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = record
}
criterion_main!(benches);

#[derive(Debug)]
struct Forgetting;

impl sdk::SpanExporter for Forgetting {
    async fn export(&self, batch: Vec<sdk::SpanData>) -> OTelSdkResult {
        black_box(batch);
        Ok(())
    }
}

struct Counting(Arc<AtomicU64>);

impl fastrace::collector::Reporter for Counting {
    fn report(&mut self, spans: Vec<fastrace::collector::SpanRecord>) {
        self.0.fetch_add(spans.len() as u64, Relaxed);
    }
}

/// Takes records and forgets them.
#[derive(Debug)]
struct Nowhere(broadcast::Sender<Arc<Vec<Record>>>);

impl Default for Nowhere {
    fn default() -> Self {
        Self(broadcast::Sender::new(1))
    }
}

#[async_trait]
impl TraceStore for Nowhere {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        black_box(records);
        Ok(())
    }

    async fn trace(&self, _: TraceId) -> Result<Option<Trace>, StoreError> {
        Ok(None)
    }

    async fn search(&self, _: &TraceQuery) -> Result<TracePage, StoreError> {
        Ok(TracePage::default())
    }

    async fn find(
        &self,
        _: &str,
        _: Option<&str>,
        _: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        Ok(Vec::new())
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        Ok(Vec::new())
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.0.subscribe()
    }

    async fn logs(&self, _: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        Ok(Vec::new())
    }
}
