//! Ended spans reach a collector as OTLP, and one that is away costs only the copy.

use std::{sync::Arc, time::Duration};

use fixpoint_trace::{
    export::{Exported, Exporter},
    layer::RecordLayer,
    model::{Resource, Value},
    record::Recorder,
    store::{TraceQuery, TraceStore, memory::MemoryStore},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value,
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tracing::info_span;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_spans_reach_a_collector_over_http() {
    let (address, mut requests) = collector(200).await;
    let (exported, spans) = export_three_spans(over_http(&address)).await;
    assert_eq!((exported.sent(), exported.dropped(), spans), (3, 0, 4));
    let mut received = Vec::new();
    while let Ok((head, body)) = requests.try_recv() {
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        received.push(ExportTraceServiceRequest::decode(&body[..]).unwrap());
    }
    check(received);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_spans_reach_a_collector_over_grpc() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, mut told) = mpsc::unbounded_channel();
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(Collector(tell)))
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
    tokio::spawn(serving);
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(address).build().unwrap();
    let (exported, spans) = export_three_spans(exporter).await;
    assert_eq!((exported.sent(), exported.dropped(), spans), (3, 0, 4));
    let mut received = Vec::new();
    while let Ok(request) = told.try_recv() {
        received.push(request);
    }
    check(received);
}

#[derive(Debug)]
struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[async_trait::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

/// That the three spans came as they were recorded, and no others: only ended spans are copied,
/// and what the exporter itself does is not recorded.
fn check(requests: Vec<ExportTraceServiceRequest>) {
    let mut received = Vec::new();
    for request in requests {
        for group in request.resource_spans {
            let resource = group.resource.unwrap();
            let service = &resource.attributes[0];
            assert_eq!(service.key, "service.name");
            assert_eq!(
                service.value.as_ref().unwrap().value,
                Some(any_value::Value::StringValue("test".into()))
            );
            received.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    let names: Vec<_> = received.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["child", "EC2.RunInstances", "root"]);
    let [child, call, root] = &received[..] else { panic!("three spans") };
    assert_eq!(child.parent_span_id, root.span_id);
    assert_eq!(call.parent_span_id, root.span_id);
    assert_eq!(child.trace_id, root.trace_id);
    assert!(root.parent_span_id.is_empty());
    assert!(root.end_time_unix_nano >= root.start_time_unix_nano);
    assert_eq!(call.kind, 3);
    let status = call.status.as_ref().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "denied"));
    let region = &call.attributes[0];
    assert_eq!(region.key, "cloud.region");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_refuses_costs_only_the_copy() {
    let (address, _requests) = collector(400).await;
    let (exported, spans) = export_three_spans(over_http(&address)).await;
    assert_eq!((exported.sent(), exported.dropped(), spans), (0, 3, 4));
}

fn over_http(address: &str) -> SpanExporter {
    let endpoint = format!("http://{address}/v1/traces");
    SpanExporter::builder().with_http().with_endpoint(endpoint).build().unwrap()
}

/// Records three spans that end and one that does not; how many spans the store has then.
async fn export_three_spans(exporter: SpanExporter) -> (Arc<Exported>, u32) {
    let store = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::new(store.clone());
    let exporter = Exporter::new(exporter);
    let exported = exporter.exported();
    let (stop, stopped) = oneshot::channel::<()>();
    let (stop_writing, written) = oneshot::channel::<()>();
    let exporting = exporter.run(store.follow(), async { drop(stopped.await) });
    let exporting = tokio::spawn(exporting);
    let writing = tokio::spawn(writer.run(async { drop(written.await) }));

    fixpoint_trace::testing::watch_all_places();
    let resource = Resource::from([("service.name".to_owned(), Value::String("test".to_owned()))]);
    let layers = tracing_subscriber::registry().with(RecordLayer::new(recorder.clone(), resource));
    let _guard = tracing::subscriber::set_default(layers);
    let root = info_span!("root");
    let open = info_span!(parent: None, "still open");
    // Apart, so that they end in different batches.
    for name in ["child", "EC2.RunInstances"] {
        drop(info_span!(
            parent: &root,
            "call",
            otel.name = name,
            otel.kind = "client",
            cloud.region = "eu-west-1",
            otel.status_description = "denied",
        ));
        recorder.flush().await.unwrap();
    }
    drop(root);
    recorder.flush().await.unwrap();
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), exporting).await.unwrap().unwrap();
    drop(open);
    drop(stop_writing);
    writing.await.unwrap();
    let page = store.search(&TraceQuery::default()).await.unwrap();
    (exported, page.items.iter().map(|item| item.spans).sum())
}

/// An HTTP server that answers every request with `status`, and tells their heads and bodies.
async fn collector(status: u16) -> (String, mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(answer(stream, status, tell));
        }
    });
    (address, told)
}

async fn answer(
    mut stream: TcpStream,
    status: u16,
    tell: mpsc::UnboundedSender<(String, Vec<u8>)>,
) {
    let mut received = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = received.windows(4).position(|end| end == b"\r\n\r\n") {
                break String::from_utf8(received.drain(..end + 4).collect()).unwrap();
            }
            if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        let length: usize = length.unwrap();
        while received.len() < length {
            stream.read_buf(&mut received).await.unwrap();
        }
        tell.send((head, received.drain(..length).collect())).unwrap();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}
