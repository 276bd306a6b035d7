//! What is not taken in, and how senders are told.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{
    body::{Body, Bytes},
    http::Request,
};
use fixpoint_trace::{
    model::{LogRecord, Record, Span, Trace, TraceId},
    otlp,
    store::{
        Accepted, Fault, LogQuery, Signal, StoreError, TracePage, TraceQuery, TraceStore,
        TraceSummary, memory::MemoryStore,
    },
};
use futures_util::stream;
use tokio::{sync::broadcast, time};

use super::{GRPC_TRACES, call, gzip, post, say, span};
use crate::{Limits, Protocol, http::App, store, tests::Harness};

#[tokio::test]
async fn http_requests_that_are_not_right_are_refused_in_their_own_encoding() {
    let server = Harness::new();
    let (otlp, zipkin) = (Protocol::OtlpHttp, Protocol::Zipkin);
    let bomb = gzip(&vec![0; 17 << 20]);
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    for (protocol, headers, body, status, kind) in [
        (otlp, ["", ""], &b"{}"[..], 415, json),
        (otlp, ["text/plain", ""], b"{}", 415, json),
        (otlp, [json, "br"], b"{}", 415, json),
        (otlp, [protobuf, "br"], b"", 415, protobuf),
        (otlp, [json, ""], b"{", 400, json),
        (otlp, [protobuf, ""], b"\xff\xff", 400, protobuf),
        (otlp, [protobuf, "gzip"], b"not gzip", 400, protobuf),
        (otlp, [json, "zstd"], b"not zstd", 400, json),
        (otlp, [protobuf, "gzip"], &bomb, 413, protobuf),
        (otlp, [json, ""], &[b' '; (16 << 20) + 1], 413, json),
        (zipkin, ["", ""], b"[]", 415, "text/plain; charset=utf-8"),
        (zipkin, [json, ""], b"{", 400, "text/plain; charset=utf-8"),
        (zipkin, [json, "gzip"], &bomb, 413, "text/plain; charset=utf-8"),
    ] {
        let path = if protocol == otlp { "/v1/traces" } else { "/api/v2/spans" };
        let said = post(&server.app, protocol, path, headers, body).await;
        let case = format!("{protocol} {headers:?} {} bytes: {said:?}", body.len());
        assert_eq!(said.status.as_u16(), status, "{case}");
        assert_eq!(said.header("content-type"), kind, "{case}");
        assert_eq!(said.header("retry-after"), "", "{case}");
        match kind {
            "application/json" => assert!(said.json()["message"].is_string(), "{case}"),
            // google.rpc.Status { code: ..., message: ... }
            "application/x-protobuf" => assert_eq!((said.body[0], said.body[2]), (0x08, 0x12)),
            _ => assert!(!said.body.is_empty(), "{case}"),
        }
    }
    let metrics = server.get("/metrics").await.text;
    for (protocol, reason, count) in [
        ("otlp-http", "media-type", 2),
        ("otlp-http", "encoding", 2),
        ("otlp-http", "malformed", 4),
        ("otlp-http", "too-large", 2),
        ("zipkin", "too-large", 1),
    ] {
        let labels = format!("protocol=\"{protocol}\",reason=\"{reason}\"");
        let wanted = format!("fixpoint_refused_requests_total{{{labels}}} {count}");
        assert!(metrics.contains(&wanted), "{wanted} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn grpc_calls_that_are_not_right_are_refused_with_a_code_that_is_not_tried_again() {
    let app = &Harness::new().app;
    let limits = Limits { request: 1_000, ..Limits::default() };
    let (invalid, exhausted, unimplemented) = ("3", "8", "12");
    for (path, gzipped, message, code) in [
        (GRPC_TRACES, false, &[0xff; 10][..], invalid),
        (GRPC_TRACES, false, &[0; 2_000], exhausted),
        (GRPC_TRACES, true, &[0; 100_000], exhausted),
        (
            "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            false,
            b"",
            unimplemented,
        ),
    ] {
        let said = call(app, path, gzipped, message, limits).await;
        assert_eq!(said.grpc().0, code, "{said:?}");
        assert_eq!(said.header("grpc-status-details-bin"), "", "{said:?}");
    }
    let request = |frame: &'static [u8], coding: &str| {
        let request = Request::post(GRPC_TRACES).header("content-type", "application/grpc");
        request.header("grpc-encoding", coding).body(Body::from(frame)).unwrap()
    };
    for (frame, coding, code) in [
        (&[0, 0, 0][..], "identity", invalid),
        (&[0, 0, 0, 0, 9, 1], "identity", invalid),
        (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "identity", invalid),
        (&[7, 0, 0, 0, 0], "identity", invalid),
        (&[1, 0, 0, 0, 1, 1], "gzip", invalid),
        (&[1, 0, 0, 0, 1, 1], "snappy", unimplemented),
    ] {
        let said = say(app, Protocol::OtlpGrpc, limits, request(frame, coding)).await;
        assert_eq!(said.grpc().0, code, "{frame:?}: {said:?}");
    }
}

#[tokio::test]
async fn when_too_much_is_in_flight_senders_are_told_to_come_again() {
    let server = Harness::new();
    let limits = Limits { in_flight: 10, ..Limits::default() };
    let request = otlp::encode_spans(&[&span("late")]);
    come_again(&server.app, limits, &request, "overloaded").await;
    let metrics = server.get("/metrics").await.text;
    let wanted = "fixpoint_refused_requests_total{protocol=\"otlp-grpc\",reason=\"overloaded\"} 1";
    assert!(metrics.contains(wanted), "{metrics}");
}

#[tokio::test]
async fn when_the_store_cannot_take_it_senders_are_told_to_come_again() {
    for (fault, reason) in [(Fault::Overload, "overloaded"), (Fault::Store, "store")] {
        let traces = Arc::new(Refusing(fault, MemoryStore::default()));
        let runs = Arc::new(store::MemoryStore::new());
        let server = Harness::with(runs, traces, Arc::default());
        let request = otlp::encode_spans(&[&span("late")]);
        come_again(&server.app, Limits::default(), &request, reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_is_given_up() {
    let server = Harness::new();
    for (protocol, path, kind) in [
        (Protocol::OtlpGrpc, GRPC_TRACES, "application/grpc"),
        (Protocol::OtlpHttp, "/v1/traces", "application/x-protobuf"),
        (Protocol::Zipkin, "/api/v2/spans", "application/json"),
    ] {
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let request = Request::post(path).header("content-type", kind).body(endless).unwrap();
        let saying = say(&server.app, protocol, Limits::default(), request);
        // The clock is paused: it moves on when nobody has anything to do.
        let said = time::timeout(Duration::from_secs(60), saying).await.expect("an answer");
        match protocol {
            Protocol::OtlpGrpc => assert_eq!(said.grpc().0, "4", "{said:?}"),
            _ => assert_eq!(said.status, 408, "{said:?}"),
        }
    }
}

/// Sends by each protocol, and expects the answers that have a sender try again.
async fn come_again(app: &App, limits: Limits, request: &[u8], reason: &str) {
    let said = call(app, GRPC_TRACES, false, request, limits).await;
    assert_eq!(said.grpc().0, "14", "{reason}: {said:?}");
    assert_ne!(said.header("grpc-status-details-bin"), "", "{reason}: when to come is told");
    for (protocol, path, form) in [
        (Protocol::OtlpHttp, "/v1/traces", "application/x-protobuf"),
        (Protocol::Zipkin, "/api/v2/spans", "application/json"),
    ] {
        let zipkin =
            r#"[{"traceId": "1", "id": "2", "name": "get", "timestamp": 1, "duration": 1}]"#;
        let body = if protocol == Protocol::Zipkin { zipkin.as_bytes() } else { request };
        let request = Request::post(path).header("content-type", form);
        let request = request.body(body.to_vec().into()).unwrap();
        let said = say(app, protocol, limits, request).await;
        assert_eq!(said.status, 503, "{reason}: {said:?}");
        assert!(said.header("retry-after").parse::<u64>().unwrap() > 0, "{reason}: {said:?}");
    }
}

/// A store that takes nothing.
#[derive(Debug)]
struct Refusing(Fault, MemoryStore);

impl Refusing {
    fn refuse<T>(&self) -> Result<T, StoreError> {
        Err(StoreError::new("append", "a test's disk is full").with_fault(self.0))
    }
}

#[async_trait]
impl TraceStore for Refusing {
    async fn append(&self, _: &[Record]) -> Result<(), StoreError> {
        self.refuse()
    }

    async fn append_otlp(&self, _: Signal, _: Bytes) -> Result<Accepted, StoreError> {
        self.refuse()
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        self.1.trace(id).await
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        self.1.search(query).await
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        self.1.find(id, tenant, limit).await
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        self.1.open_spans().await
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.1.follow()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        self.1.logs(query).await
    }
}
