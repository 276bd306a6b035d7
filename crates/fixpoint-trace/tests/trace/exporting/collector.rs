//! Collectors in this process, over HTTP and gRPC, that answer as a test wants.

use std::{
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::collector::{
    logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::codec::CompressionEncoding;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    /// In lower case, a line each.
    pub(super) headers: String,
    /// The names of its spans, or the texts of its lines.
    pub(super) names: Vec<String>,
}

/// How to answer over HTTP: a status, further header lines, a body.
pub(super) type Answer = (u16, &'static str, Vec<u8>);

#[derive(Debug, Clone)]
pub(super) struct Collector {
    pub(super) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

type Answers = Arc<dyn Fn(&Received) -> Answer + Send + Sync>;

impl Collector {
    /// A collector over HTTP.
    pub(super) async fn http(
        answers: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::http_at("127.0.0.1:0".parse().unwrap(), answers).await
    }

    pub(super) async fn http_at(
        address: SocketAddr,
        answers: impl Fn(&Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, received: Arc::default() };
        let (telling, answers): (_, Answers) = (collector.clone(), Arc::new(answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(telling.clone().serve(stream, answers.clone()));
            }
        });
        collector
    }

    /// A collector over gRPC, by the library that most others are made of.
    pub(super) async fn grpc(
        answers: impl Fn(&Received) -> Result<(), tonic::Status> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, received: Arc::default() };
        let service = Grpc { collector: collector.clone(), answers: Arc::new(answers) };
        let gzip = CompressionEncoding::Gzip;
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(service.clone()).accept_compressed(gzip))
            .add_service(LogsServiceServer::new(service).accept_compressed(gzip))
            .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
        tokio::spawn(serving);
        collector
    }

    /// Everything that came so far, whatever was answered.
    pub(super) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The names of all spans and the texts of all lines that came, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.received().into_iter().flat_map(|it| it.names).collect();
        names.sort();
        names
    }

    fn tell(&self, received: &Received) {
        self.received.lock().unwrap().push(received.clone());
    }

    async fn serve(self, mut stream: TcpStream, answers: Answers) {
        let mut bytes = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                    let head: Vec<u8> = bytes.drain(..end + 4).collect();
                    break String::from_utf8(head).unwrap();
                }
                if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    return;
                }
            };
            let headers = head.to_ascii_lowercase();
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            while bytes.len() < length {
                if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let mut body: Vec<u8> = bytes.drain(..length).collect();
            if headers.contains("content-encoding: gzip") {
                let packed = std::mem::take(&mut body);
                flate2::read::GzDecoder::new(&*packed).read_to_end(&mut body).unwrap();
            }
            let names = if head.starts_with("POST /v1/traces ") {
                spans(&ExportTraceServiceRequest::decode(&*body).unwrap())
            } else {
                assert!(head.starts_with("POST /v1/logs "), "{head}");
                lines(&ExportLogsServiceRequest::decode(&*body).unwrap())
            };
            let received = Received { headers, names };
            self.tell(&received);
            let (status, more, body) = answers(&received);
            if status == 0 {
                // Never answers, and keeps the connection.
                std::future::pending::<()>().await;
            }
            let head =
                format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        }
    }
}

type GrpcAnswers = Arc<dyn Fn(&Received) -> Result<(), tonic::Status> + Send + Sync>;

#[derive(Clone)]
struct Grpc {
    collector: Collector,
    answers: GrpcAnswers,
}

impl Grpc {
    fn take(
        &self,
        metadata: tonic::metadata::MetadataMap,
        names: Vec<String>,
    ) -> Result<(), tonic::Status> {
        let headers = format!("{:?}", metadata.into_headers());
        let received = Received { headers, names };
        self.collector.tell(&received);
        (self.answers)(&received)
    }
}

#[async_trait::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, request) = request.into_parts();
        self.take(metadata, spans(&request))?;
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[async_trait::async_trait]
impl LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let (metadata, _, request) = request.into_parts();
        self.take(metadata, lines(&request))?;
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<String> {
    let scopes = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

fn lines(request: &ExportLogsServiceRequest) -> Vec<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
    let bodies = scopes.flat_map(|scope| &scope.log_records).map(|line| line.body.clone());
    bodies
        .map(|body| match body.and_then(|body| body.value) {
            Some(Value::StringValue(text)) => text,
            other => panic!("a text, not {other:?}"),
        })
        .collect()
}
