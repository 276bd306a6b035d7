//! Everything that is stored reaches a collector, whatever that does and whenever this process dies.
//!
//! The collectors listen on real ports, so time is real, too; nothing is said about how long it takes.

mod collector;

use std::{path::Path, time::Duration};

use bytes::Bytes;
use fixpoint_trace::{
    export::{Copied, Copying, Exported, Exporter, Options, Settings},
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, TraceId},
    otlp,
    store::{Signal, TraceStore, memory::MemoryStore},
    testing,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::{sync::oneshot, task::JoinHandle};

use self::collector::{Answer, Collector, Received};

const OK: Answer = (200, "", Vec::new());

/// A store with a copy, and what sends it.
struct Copy {
    store: Copying<MemoryStore>,
    exported: Exported,
    sending: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

fn settings(variables: &[(&str, String)]) -> Settings {
    let lookup = |wanted: &str| {
        let name = wanted.strip_prefix("OTEL_EXPORTER_OTLP_")?;
        Some(variables.iter().find(|(found, _)| *found == name)?.1.clone())
    };
    Settings::from_variables(lookup).unwrap().unwrap()
}

fn http(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![("ENDPOINT", format!("http://{}", collector.address))]
}

fn grpc(collector: &Collector) -> Vec<(&'static str, String)> {
    let mut variables = http(collector);
    variables.push(("PROTOCOL", "grpc".to_owned()));
    variables
}

impl Copy {
    fn start(folder: &Path, variables: &[(&str, String)]) -> Self {
        let exporter = Exporter::open(settings(variables), folder, Options::default()).unwrap();
        let (store, exported) = (exporter.copying(MemoryStore::default()), exporter.exported());
        let (stop, stopped) = oneshot::channel::<()>();
        let sending = tokio::spawn(exporter.run(async { drop(stopped.await) }));
        Self { store, exported, sending, stop }
    }

    async fn append(&self, records: impl IntoIterator<Item = Record>) {
        self.store.append(&records.into_iter().collect::<Vec<_>>()).await.unwrap();
    }

    fn now(&self, signal: Signal) -> Copied {
        of(&self.exported, signal)
    }

    /// Stops as a server does that is asked to.
    async fn stop(self) -> Exported {
        self.stop.send(()).unwrap();
        self.sending.await.unwrap();
        self.exported
    }

    /// Ends as a process does that is killed: nothing is finished.
    async fn kill(self) {
        self.sending.abort();
        assert!(self.sending.await.unwrap_err().is_cancelled());
    }
}

fn of(exported: &Exported, signal: Signal) -> Copied {
    exported.now().into_iter().find(|(of, _)| *of == signal).unwrap().1
}

fn span(name: impl Into<String>) -> Span {
    let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    Span { end: Some(2), ..Span::new(context, name, 1) }
}

fn ended(name: impl Into<String>) -> Record {
    Record::Span(span(name))
}

fn line(text: &str) -> Record {
    Record::Log(LogRecord::new(1, Level::Info, text))
}

/// Waits until something is so; the test hangs, and is ended by its runner, if it never is.
async fn until(so: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while !so() {
        looks.tick().await;
    }
}

#[tokio::test]
async fn a_store_that_is_copied_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = [("ENDPOINT", "http://127.0.0.1:9".to_owned())];
    let exporter = Exporter::open(settings(&nobody), folder.path(), Options::default()).unwrap();
    testing::contract(async || exporter.copying(MemoryStore::default())).await;
}

/// Our own spans and lines, and a request of somebody else.
async fn append_everything(copy: &Copy) {
    let open = Record::Span(Span { end: None, ..span("open") });
    copy.append([ended("own span"), open, line("own line")]).await;
    let foreign = Bytes::from(otlp::encode_spans(&[&span("foreign span")]));
    let accepted = copy.store.append_otlp(Signal::Traces, foreign).await.unwrap();
    assert_eq!(accepted.accepted, 1);
    let Record::Log(log) = line("foreign line") else { panic!("a line") };
    let foreign = Bytes::from(otlp::encode_logs(&[&log]));
    copy.store.append_otlp(Signal::Logs, foreign).await.unwrap();
}

fn check_everything(collector: &Collector, exported: &Exported) {
    assert_eq!(collector.names(), ["foreign line", "foreign span", "own line", "own span"]);
    for signal in [Signal::Traces, Signal::Logs] {
        let Copied { bytes, .. } = of(exported, signal);
        assert_eq!(of(exported, signal), Copied { sent: 2, bytes, ..Copied::default() });
    }
}

#[tokio::test]
async fn everything_that_ended_reaches_a_collector_over_http() {
    for compression in ["none", "gzip"] {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::http(|_| OK).await;
        let mut variables = http(&collector);
        variables.push(("COMPRESSION", compression.to_owned()));
        variables.push(("HEADERS", "api-key=a%20secret".to_owned()));
        let copy = Copy::start(folder.path(), &variables);
        append_everything(&copy).await;
        check_everything(&collector, &copy.stop().await);
        for Received { headers, .. } in collector.received() {
            assert!(headers.contains("api-key: a secret\r\n"), "{headers}");
            assert!(headers.contains("content-type: application/x-protobuf\r\n"), "{headers}");
            let gzip = headers.contains("content-encoding: gzip\r\n");
            assert_eq!(gzip, compression == "gzip", "{headers}");
        }
    }
}

#[tokio::test]
async fn everything_that_ended_reaches_a_collector_over_grpc() {
    for compression in ["none", "gzip"] {
        let folder = tempfile::tempdir().unwrap();
        let collector = Collector::grpc(|_| Ok(())).await;
        let mut variables = grpc(&collector);
        variables.push(("COMPRESSION", compression.to_owned()));
        variables.push(("HEADERS", "api-key=secret".to_owned()));
        let copy = Copy::start(folder.path(), &variables);
        append_everything(&copy).await;
        check_everything(&collector, &copy.stop().await);
        for Received { headers, .. } in collector.received() {
            assert!(headers.contains(r#""api-key": "secret""#), "{headers}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_was_away_gets_everything_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = away.local_addr().unwrap();
    let copy = Copy::start(folder.path(), &[("ENDPOINT", format!("http://{address}"))]);
    for number in 0..50 {
        copy.append([ended(format!("{number:02}"))]).await;
    }
    // It is tried at least once.
    drop(away.accept().await.unwrap());
    drop(away);
    assert_eq!(copy.now(Signal::Traces).waiting, 50);
    let collector = Collector::http_at(address, |_| OK).await;
    until(|| copy.now(Signal::Traces).sent == 50).await;
    let all: Vec<_> = (0..50).map(|number| format!("{number:02}")).collect();
    assert_eq!(collector.names(), all);
    assert!(collector.received().len() < 10, "they were sent together");
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again_when_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let tries = std::sync::atomic::AtomicU32::new(0);
    let collector =
        Collector::http(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0..3 => (503, "retry-after: 0\r\n", Vec::new()),
            _ => OK,
        })
        .await;
    let copy = Copy::start(folder.path(), &http(&collector));
    copy.append([ended("span")]).await;
    until(|| copy.now(Signal::Traces).sent == 1).await;
    assert_eq!(collector.names(), ["span"; 4]);
    assert_eq!(copy.now(Signal::Traces).refused, 0);
}

#[tokio::test]
async fn a_grpc_collector_that_is_unavailable_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let tries = std::sync::atomic::AtomicU32::new(0);
    let collector =
        Collector::grpc(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Err(tonic::Status::unavailable("busy")),
            _ => Ok(()),
        })
        .await;
    let copy = Copy::start(folder.path(), &grpc(&collector));
    copy.append([ended("span")]).await;
    until(|| copy.now(Signal::Traces).sent == 1).await;
    assert_eq!(collector.names(), ["span"; 2]);
}

#[tokio::test]
async fn a_request_that_is_refused_costs_only_itself() {
    let bad = |it: &Received| it.names.iter().any(|name| name == "bad");
    let over_http = Collector::http(move |it| if bad(it) { (400, "", Vec::new()) } else { OK });
    let over_grpc = Collector::grpc(move |it| match bad(it) {
        true => Err(tonic::Status::invalid_argument("bad")),
        false => Ok(()),
    });
    let (over_http, over_grpc) = (over_http.await, over_grpc.await);
    for variables in [http(&over_http), grpc(&over_grpc)] {
        let folder = tempfile::tempdir().unwrap();
        let copy = Copy::start(folder.path(), &variables);
        for name in ["a", "b", "bad", "c", "d"] {
            copy.append([ended(name)]).await;
        }
        let exported = copy.stop().await;
        let Copied { sent, refused, waiting, .. } = of(&exported, Signal::Traces);
        assert_eq!((sent, refused, waiting), (4, 1, 0));
    }
}

#[tokio::test]
async fn a_collector_that_will_have_nothing_is_asked_once_for_each_request() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::http(|_| (401, "", Vec::new())).await;
    let copy = Copy::start(folder.path(), &http(&collector));
    for name in ["a", "b", "c"] {
        copy.append([ended(name)]).await;
    }
    let exported = copy.stop().await;
    assert_eq!(of(&exported, Signal::Traces).refused, 3);
    assert_eq!(collector.names(), ["a", "b", "c"]);
}

#[tokio::test]
async fn what_a_collector_left_out_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: "full".into() };
    let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let collector = Collector::http(move |_| (200, "", answer.clone())).await;
    let copy = Copy::start(folder.path(), &http(&collector));
    copy.append(["a", "b", "c"].map(ended)).await;
    let Copied { sent, refused, .. } = of(&copy.stop().await, Signal::Traces);
    assert_eq!((sent, refused, collector.received().len()), (1, 2, 1));
}

#[tokio::test]
async fn nothing_is_lost_by_a_crash_and_only_what_was_not_acknowledged_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    // It takes the first, and never answers to what comes then.
    let silent =
        Collector::http(|it| if it.names == ["0"] { OK } else { (0, "", Vec::new()) }).await;
    let copy = Copy::start(folder.path(), &http(&silent));
    copy.append([ended("0")]).await;
    until(|| copy.now(Signal::Traces).sent == 1).await;
    copy.append([ended("1")]).await;
    until(|| silent.names() == ["0", "1"]).await;
    copy.append([ended("2")]).await;
    copy.kill().await;
    // A life in which nobody is there.
    let copy = Copy::start(folder.path(), &[("ENDPOINT", "http://127.0.0.1:9".to_owned())]);
    assert_eq!(copy.now(Signal::Traces).waiting, 2);
    copy.append([ended("3"), line("line")]).await;
    copy.kill().await;
    let collector = Collector::http(|_| OK).await;
    let copy = Copy::start(folder.path(), &http(&collector));
    let exported = copy.stop().await;
    assert_eq!(collector.names(), ["1", "2", "3", "line"]);
    assert_eq!(of(&exported, Signal::Traces).waiting, 0);
    // Nothing comes twice once it was acknowledged.
    Copy::start(folder.path(), &http(&collector)).stop().await;
    assert_eq!(collector.names().len(), 4);
}

#[tokio::test]
async fn a_collector_that_is_slower_than_its_time_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let tries = std::sync::atomic::AtomicU32::new(0);
    let collector =
        Collector::http(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => (0, "", Vec::new()),
            _ => OK,
        })
        .await;
    let mut variables = http(&collector);
    variables.push(("TIMEOUT", "300".to_owned()));
    let copy = Copy::start(folder.path(), &variables);
    copy.append([ended("span")]).await;
    until(|| copy.now(Signal::Traces).sent == 1).await;
    assert_eq!(collector.names(), ["span"; 2]);
}

#[tokio::test]
async fn lines_do_not_wait_for_a_collector_of_spans_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::http(|_| OK).await;
    let variables = [
        ("TRACES_ENDPOINT", "http://127.0.0.1:9".to_owned()),
        ("LOGS_ENDPOINT", format!("http://{}/v1/logs", collector.address)),
    ];
    let copy = Copy::start(folder.path(), &variables);
    copy.append([ended("span"), line("line")]).await;
    until(|| copy.now(Signal::Logs).sent == 1).await;
    assert_eq!((copy.now(Signal::Traces).waiting, collector.names()), (1, vec!["line".into()]));
}
