//! From `tracing` to the store: what is recorded, in what shape, and what never is.

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use fixpoint_trace::{
    layer::{self, JsonLines, RecordLayer},
    model::{
        LogRecord, Record, Resource, Span, SpanContext, SpanId, Status, Trace, TraceId, Value,
    },
    record::Recorder,
    semconv,
    store::{
        LogQuery, TraceQuery, TraceStore,
        engine::{Engine, Options},
        memory::MemoryStore,
    },
    testing::tree,
};
use tokio::sync::oneshot;
use tracing::{Instrument, error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

/// A process that records: everything emitted in `run` is stored when it returns.
pub(crate) struct Process<S> {
    store: Arc<S>,
    pub(crate) recorder: Recorder,
    stop: oneshot::Sender<()>,
    writer: tokio::task::JoinHandle<()>,
    lines: Lines,
}

#[derive(Debug, Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<S: TraceStore + 'static> Process<S> {
    pub(crate) fn start(store: Arc<S>) -> Self {
        fixpoint_trace::testing::watch_all_places();
        let (recorder, writer) = Recorder::new(store.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let writer = tokio::spawn(writer.run(async { drop(stopped.await) }));
        Self { store, recorder, stop, writer, lines: Lines::default() }
    }

    pub(crate) fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        let service = Value::String("test".into());
        let resource = Resource::from([(semconv::SERVICE_NAME.to_owned(), service)]);
        tracing_subscriber::registry()
            .with(RecordLayer::new(self.recorder.clone(), resource))
            .with(JsonLines::to(self.lines.clone()))
    }

    async fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let result = tracing::subscriber::with_default(self.subscriber(), work);
        self.recorder.flush().await.unwrap();
        result
    }

    async fn only_trace(&self) -> Trace {
        let page = self.store.search(&TraceQuery::default()).await.unwrap();
        assert_eq!(page.items.len(), 1, "{:?}", page.items);
        self.store.trace(page.items[0].trace_id).await.unwrap().unwrap()
    }

    async fn logs(&self) -> Vec<LogRecord> {
        self.store.logs(&LogQuery::default()).await.unwrap()
    }

    fn printed(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.writer.await.unwrap();
    }
}

fn in_memory() -> Process<MemoryStore> {
    Process::start(Arc::default())
}

#[tokio::test]
async fn a_run_becomes_one_tree_of_spans() {
    let process = in_memory();
    process
        .run(|| {
            let run = info_span!("run clusters", fixpoint.run.id = "r1", fixpoint.iteration = 3u64);
            run.in_scope(|| {
                info_span!("create", fixpoint.steps = tracing::field::Empty)
                    .record("fixpoint.steps", "create_vpc");
                let step = info_span!("step", otel.name = "register_cluster_node_to_lb");
                let call = info_span!(
                    parent: &step,
                    "call",
                    otel.name = "ELBv2.RegisterTargets",
                    otel.kind = "client",
                    otel.status_code = tracing::field::Empty,
                    otel.status_description = tracing::field::Empty,
                );
                call.record("otel.status_description", "target group is gone");
                call.record("otel.status_code", "ERROR");
                info_span!(parent: &run, "after", ok = true, half = 0.5, r#type = ?Some(1));
            });
        })
        .await;
    let trace = process.only_trace().await;
    insta::assert_snapshot!(
        tree(&trace, &["fixpoint.iteration", "fixpoint.steps", "ok", "half", "type"]),
        @r"
    run clusters {fixpoint.iteration=3}
      create {fixpoint.steps=create_vpc}
      register_cluster_node_to_lb
        ELBv2.RegisterTargets client error: target group is gone
      after {ok=true, half=0.5, type=Some(1)}
    "
    );
    for span in &trace.spans {
        assert!(span.end >= Some(span.start), "{span:?}");
        assert_eq!(span.resource["service.name"], Value::String("test".into()));
        assert!(!span.attributes.keys().any(|name| name.starts_with("otel.")), "{span:?}");
    }
    process.stop().await;
}

#[tokio::test]
async fn a_span_is_stored_when_it_opens_when_it_changes_and_when_it_closes() {
    let process = in_memory();
    let subscriber = process.subscriber();
    let _guard = tracing::subscriber::set_default(subscriber);
    let span = info_span!("wait", fixpoint.wait.seen = tracing::field::Empty);
    let now = async || {
        process.recorder.flush().await.unwrap();
        process.only_trace().await.spans.remove(0)
    };
    let opened = now().await;
    assert_eq!((opened.name.as_str(), opened.end), ("wait", None));
    span.record("fixpoint.wait.seen", "pending");
    span.record("fixpoint.wait.seen", "running");
    let changed = now().await;
    assert_eq!(changed.attributes["fixpoint.wait.seen"], Value::String("running".into()));
    assert_eq!(changed.end, None);
    drop(span);
    let closed = now().await;
    assert!(closed.end.is_some());
    assert_eq!((closed.span_id, closed.start), (opened.span_id, opened.start));
    assert!(process.store.open_spans().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_records_to_be_durable_waits_for_no_timer() {
    let process = in_memory();
    // Between two of the timer's ticks, where any timeout takes until the next one.
    tokio::time::advance(Duration::from_micros(500)).await;
    let before = tokio::time::Instant::now();
    for _ in 0..3 {
        process.run(|| drop(info_span!("step"))).await;
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    process.stop().await;
}

#[tokio::test]
async fn a_parent_is_never_stored_after_its_child() {
    let process = in_memory();
    let mut heard = process.store.follow();
    process
        .run(|| {
            for _ in 0..50 {
                let parent = info_span!("parent");
                let child = info_span!(parent: &parent, "child");
                drop(parent);
                info_span!(parent: &child, "grandchild");
            }
        })
        .await;
    let mut known = std::collections::HashSet::new();
    while let Ok(batch) = heard.try_recv() {
        for record in batch.iter() {
            let Record::Span(span) = record else { continue };
            assert!(span.parent.is_none_or(|parent| known.contains(&parent)), "{span:?}");
            known.insert(span.span_id);
        }
    }
    assert_eq!(known.len(), 150);
}

#[tokio::test]
async fn a_caller_can_say_which_trace_span_and_parent_it_is() {
    let process = in_memory();
    let caller = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let own = SpanId::random();
    let cause = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let (inside, outside) = process
        .run(|| {
            let _other = info_span!("another trace").entered();
            let span = info_span!(
                "PATCH",
                fixpoint.trace_id = %caller.trace_id,
                fixpoint.span_id = %own,
                fixpoint.parent_id = %caller.span_id,
                fixpoint.link = format!("{}-{}", cause.trace_id, cause.span_id),
            );
            let inside = span.in_scope(|| {
                let (child, cause) = (info_span!("child"), info_span!("cause"));
                child.follows_from(&cause);
                layer::current()
            });
            (inside, layer::context(&span))
        })
        .await;
    assert_eq!(inside, Some(SpanContext { trace_id: caller.trace_id, span_id: own }));
    assert_eq!(outside, inside);
    let trace = process.store.trace(caller.trace_id).await.unwrap().unwrap();
    let [patch, child, followed] = &trace.spans[..] else { panic!("{trace:?}") };
    assert_eq!((patch.span_id, patch.parent), (own, Some(caller.span_id)));
    assert_eq!(patch.links, [cause.into()]);
    assert!(patch.attributes.is_empty());
    assert_eq!(child.parent, Some(own));
    assert_eq!(child.links, [followed.context().into()]);
}

#[tokio::test]
async fn a_malformed_id_is_kept_as_an_attribute() {
    let process = in_memory();
    process.run(|| drop(info_span!("odd", fixpoint.trace_id = "nonsense"))).await;
    let trace = process.only_trace().await;
    assert_eq!(trace.spans[0].attributes["fixpoint.trace_id"], Value::String("nonsense".into()));
}

#[tokio::test]
async fn a_span_goes_on_after_the_death_of_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let open = |second: bool| {
        info_span!(
            "run clusters",
            fixpoint.trace_id = %run.trace_id,
            fixpoint.span_id = %run.span_id,
            first = tracing::field::Empty,
            second,
        )
    };
    let before = {
        let process =
            Process::start(Arc::new(Engine::open(folder.path(), Options::default()).unwrap()));
        process
            .run(|| {
                let span = open(false);
                span.record("first", 1);
                span.in_scope(|| info_span!("step before"));
                // As after a kill: its end is never told.
                std::mem::forget(span);
            })
            .await;
        let before = process.only_trace().await.spans.remove(0);
        process.stop().await;
        before
    };
    assert_eq!(before.end, None);
    let process =
        Process::start(Arc::new(Engine::open(folder.path(), Options::default()).unwrap()));
    let mut lost = process.store.open_spans().await.unwrap().remove(0);
    lost.end = Some(lost.start + 1);
    lost.status = Status::Error("its process died".into());
    lost.attributes.insert("error.type".into(), Value::String("fixpoint.worker_lost".into()));
    process.recorder.record(Record::Span(lost.clone()));
    process.recorder.flush().await.unwrap();
    assert_eq!(process.only_trace().await.spans[0], lost);
    process.run(|| open(true).in_scope(|| drop(info_span!("step after")))).await;
    let trace = process.only_trace().await;
    insta::assert_snapshot!(tree(&trace, &["first", "second", "error.type"]), @r"
    run clusters {first=1, second=true}
      step before
      step after
    ");
    assert_eq!(trace.spans[0].start, before.start);
}

#[tokio::test]
async fn events_become_log_lines_of_their_span_stored_and_printed() {
    let process = in_memory();
    let context = process
        .run(|| {
            info!(count = 2, "before any span");
            let span = info_span!("step").entered();
            let error = std::io::Error::other("disk full");
            error!(error = &error as &dyn std::error::Error, level = "mine", "failed with {}", 7);
            layer::context(&span)
        })
        .await
        .unwrap();
    let [before, failed] = &process.logs().await[..] else { panic!("two lines") };
    assert_eq!((before.message().as_ref(), before.trace_id), ("before any span", None));
    assert_eq!(before.attributes["count"], Value::Int(2));
    assert_eq!(failed.message(), "failed with 7");
    assert_eq!(failed.trace_id, Some(context.trace_id));
    assert_eq!(failed.span_id, Some(context.span_id));
    assert_eq!(failed.attributes["error"], Value::String("disk full".into()));

    let printed = process.printed();
    let lines: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{printed}");
    assert_eq!(lines[0]["message"], "before any span");
    assert!(lines[0].get("trace_id").is_none());
    assert_eq!(lines[1]["level"], "ERROR");
    assert_eq!(lines[1]["field.level"], "mine");
    assert_eq!(lines[1]["trace_id"], context.trace_id.to_string());
    assert_eq!(lines[1]["span_id"], context.span_id.to_string());
    assert_eq!(lines[1]["error"], "disk full");
    assert!(lines[1]["time"].as_str().unwrap().ends_with('Z'), "{printed}");
}

#[tokio::test]
async fn a_planted_secret_is_nowhere_on_disk_or_stdout() {
    const CANARY: &str = "Canary7hunter2";
    let folder = tempfile::tempdir().unwrap();
    let process =
        Process::start(Arc::new(Engine::open(folder.path(), Options::default()).unwrap()));
    process
        .run(|| {
            let span = info_span!(
                "call",
                otel.name = format!("GET https://u:{CANARY}@host/"),
                password = CANARY,
                fixpoint.request = format!(r#"{{"UserData":"{CANARY}","Name":"x"}}"#),
                fixpoint.response = tracing::field::Empty,
                otel.status_description = format!("token={CANARY} was refused"),
            );
            span.record("fixpoint.response", format!(r#"{{"KeyMaterial": "{CANARY} cut"#));
            span.in_scope(|| {
                info!(api_key = CANARY, "connecting with secret={CANARY}");
                let trace: &'static str = "aws_smithy_runtime";
                tracing::event!(target: "aws_smithy_runtime", tracing::Level::INFO, "{CANARY}");
                tracing::trace!(target: "hyper::proto", trace, "{CANARY}");
            });
            drop(info_span!(target: "aws_sdk_iam", "CreateAccessKey", CANARY));
        })
        .await;
    let trace = process.only_trace().await;
    insta::assert_snapshot!(tree(&trace, &["fixpoint.request"]), @r#"GET https://u:[redacted]@host/ error: token=[redacted] was refused {fixpoint.request={"UserData":"[redacted]","Name":"x"}}"#);
    assert_eq!(trace.logs.len(), 1);
    assert!(!process.printed().contains(CANARY), "{}", process.printed());
    process.stop().await;
    let mut files = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).unwrap();
            let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn what_still_waits_is_stored_at_shutdown_and_nothing_is_taken_after() {
    let process = in_memory();
    tracing::subscriber::with_default(process.subscriber(), || {
        for _ in 0..10_000 {
            info_span!("last");
        }
    });
    let (store, recorder) = (process.store.clone(), process.recorder.clone());
    process.stop().await;
    let page = store.search(&TraceQuery { limit: 20_000, ..TraceQuery::default() }).await.unwrap();
    assert_eq!(page.items.len(), 10_000);
    assert!(page.items.iter().all(|item| item.open == 0));
    assert_eq!(recorder.dropped(), 0);
    recorder.record(Record::Span(page_span()));
    assert_eq!(recorder.dropped(), 1);
    assert!(recorder.flush().await.is_err());
}

#[tokio::test]
async fn records_beyond_the_limit_are_dropped_and_counted_but_never_an_end() {
    let store = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::with_limit(store.clone(), 4096);
    let layers = tracing_subscriber::registry()
        .with(RecordLayer::new(recorder.clone(), Resource::default()));
    // Nobody writes yet, so everything waits.
    tracing::subscriber::with_default(layers, || {
        let kept = info_span!("kept").entered();
        for _ in 0..100 {
            info!("{}", "x".repeat(100));
        }
        drop(kept);
    });
    let dropped = recorder.dropped();
    assert!((60..100).contains(&dropped), "{dropped}");
    let (stop, stopped) = oneshot::channel::<()>();
    let writer = tokio::spawn(writer.run(async { drop(stopped.await) }));
    recorder.flush().await.unwrap();
    stop.send(()).unwrap();
    writer.await.unwrap();
    let summary = &store.search(&TraceQuery::default()).await.unwrap().items[0];
    assert_eq!((summary.spans, summary.open), (1, 0));
    assert_eq!(u64::from(summary.logs) + dropped, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_at_the_same_time_keep_their_spans_apart() {
    let process = in_memory();
    let _guard = tracing::subscriber::set_default(process.subscriber());
    let root = info_span!("root");
    let tasks = (0..20).map(|n: i64| {
        async move {
            for _ in 0..5 {
                async { tokio::task::yield_now().await }.instrument(info_span!("inner", n)).await;
            }
        }
        .instrument(info_span!(parent: &root, "task", n))
    });
    futures_util::future::join_all(tasks).await;
    drop(root);
    process.recorder.flush().await.unwrap();
    let trace = process.only_trace().await;
    assert_eq!(trace.spans.len(), 1 + 20 + 100);
    let span = |id| trace.spans.iter().find(|span| Some(span.span_id) == id);
    for inner in trace.spans.iter().filter(|span| span.name == "inner") {
        assert_eq!(span(inner.parent).unwrap().attributes["n"], inner.attributes["n"]);
    }
}

fn page_span() -> Span {
    let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    Span::new(context, "late", 1)
}

#[tokio::test]
async fn what_is_recorded_below_a_tenants_span_is_that_tenants() {
    let process = Process::start(Arc::new(MemoryStore::default()));
    let work = || {
        let request = info_span!("request", fixpoint.tenant = tracing::field::Empty);
        let _request = request.enter();
        info_span!("before").in_scope(|| info!("before"));
        request.record(semconv::TENANT, "acme");
        info!("known");
        info_span!("child").in_scope(|| {
            info_span!("grandchild").in_scope(|| info!("deep"));
            info_span!("nobodys", fixpoint.tenant = "").in_scope(|| {
                info!("nobodys");
                info_span!("nobodys child").in_scope(|| {});
            });
            info_span!("another", fixpoint.tenant = "globex").in_scope(|| info!("anothers"));
        });
    };
    process.run(work).await;
    let trace = process.only_trace().await;
    let whose = |name: &str| {
        let span = trace.spans.iter().find(|span| span.name == name).expect(name);
        span.tenant().map(str::to_owned)
    };
    let said = |message: &str| {
        let log = trace.logs.iter().find(|log| log.message() == message).expect(message);
        log.tenant().map(str::to_owned)
    };
    let (acme, globex) = (Some("acme".to_owned()), Some("globex".to_owned()));
    for (name, expected) in [
        ("request", &acme),
        ("before", &None),
        ("child", &acme),
        ("grandchild", &acme),
        ("nobodys", &None),
        ("nobodys child", &None),
        ("another", &globex),
    ] {
        assert_eq!(whose(name), *expected, "{name}");
    }
    for (message, expected) in [
        ("before", &None),
        ("known", &acme),
        ("deep", &acme),
        ("nobodys", &None),
        ("anothers", &globex),
    ] {
        assert_eq!(said(message), *expected, "{message}");
    }
}
