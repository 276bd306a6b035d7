//! Other programs' spans come in by each protocol, or are refused as the protocol has it.

mod refused;

use std::{io::Write, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use fixpoint_trace::{
    model::{Level, LogRecord, Span, SpanContext, SpanId, Trace, TraceId, Value},
    otlp,
};
use http_body_util::BodyExt;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use super::Harness;
use crate::{
    Limits, Protocol,
    http::{self, App},
};

const GRPC_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const GRPC_LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// An ended span of a trace of its own.
fn span(name: &str) -> Span {
    let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let mut span = Span { end: Some(2_000), ..Span::new(context, name, 1_000) };
    let resource = [("service.name".to_owned(), Value::from("shop"))];
    span.resource = Arc::new(resource.into_iter().collect());
    span
}

/// A request whose second span has an id of 7 bytes.
fn one_of_two_invalid(good: &Span) -> Vec<u8> {
    let mut request = otlp::encode_spans(&[good]);
    // ResourceSpans { scope_spans: { spans: { trace_id: 7 bytes } } }
    request.extend([0x0a, 13, 0x12, 11, 0x12, 9, 0x0a, 7, 1, 2, 3, 4, 5, 6, 7]);
    request
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What a receiver said, trailers among the headers.
#[derive(Debug)]
struct Said {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Said {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The gRPC code, and what it is about.
    fn grpc(&self) -> (&str, &str) {
        assert_eq!(
            (self.status, self.header("content-type")),
            (StatusCode::OK, "application/grpc")
        );
        (self.header("grpc-status"), self.header("grpc-message"))
    }
}

async fn say(app: &App, protocol: Protocol, limits: Limits, request: Request<Body>) -> Said {
    let answer = http::receiver(protocol, limits, app).oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    Said { status: head.status, headers, body: body.to_bytes() }
}

async fn call(app: &App, path: &str, gzipped: bool, message: &[u8], limits: Limits) -> Said {
    let message = if gzipped { gzip(message) } else { message.to_vec() };
    let mut frame = vec![u8::from(gzipped)];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let mut request = Request::post(path).header("content-type", "application/grpc");
    if gzipped {
        request = request.header("grpc-encoding", "gzip");
    }
    say(app, Protocol::OtlpGrpc, limits, request.body(frame.into()).unwrap()).await
}

async fn post(app: &App, protocol: Protocol, path: &str, headers: [&str; 2], body: &[u8]) -> Said {
    let mut request = Request::post(path);
    for (name, value) in ["content-type", "content-encoding"].iter().zip(headers) {
        if !value.is_empty() {
            request = request.header(*name, value);
        }
    }
    let request = request.body(body.to_vec().into()).unwrap();
    say(app, protocol, Limits::default(), request).await
}

/// The one span of its trace as it was stored.
async fn stored(app: &App, span: &Span) -> Span {
    let trace = app.traces.whole().trace(span.trace_id).await.unwrap().unwrap();
    trace.spans.into_iter().next().unwrap()
}

#[tokio::test]
async fn spans_come_by_grpc_plain_and_gzipped_and_are_stored_as_they_were_sent() {
    let server = Harness::new();
    for gzipped in [false, true] {
        let sent = span("checkout");
        let request = otlp::encode_spans(&[&sent]);
        let said = call(&server.app, GRPC_TRACES, gzipped, &request, Limits::default()).await;
        assert_eq!(said.grpc(), ("0", ""), "{said:?}");
        assert_eq!(said.body, [0; 5][..], "an empty answer: nothing was left out");
        assert_eq!(stored(&server.app, &sent).await, sent);
    }
}

#[tokio::test]
async fn log_lines_come_by_grpc_and_by_http() {
    let server = Harness::new();
    let sent = span("checkout");
    let line = |text: &str| LogRecord {
        trace_id: Some(sent.trace_id),
        span_id: Some(sent.span_id),
        ..LogRecord::new(1_500, Level::Warn, text)
    };
    let request = otlp::encode_logs(&[&line("by grpc")]);
    let said = call(&server.app, GRPC_LOGS, false, &request, Limits::default()).await;
    assert_eq!(said.grpc(), ("0", ""), "{said:?}");
    let request = otlp::encode_logs(&[&line("by http")]);
    let headers = ["application/x-protobuf", ""];
    let said = post(&server.app, Protocol::OtlpHttp, "/v1/logs", headers, &request).await;
    assert_eq!(said.status, 200, "{said:?}");
    let trace = server.app.traces.whole().trace(sent.trace_id).await.unwrap().unwrap();
    assert_eq!(trace.logs, [line("by grpc"), line("by http")]);
}

#[tokio::test]
async fn spans_come_by_http_in_every_encoding_and_compression() {
    let server = Harness::new();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for form in ["application/x-protobuf", "application/json; charset=utf-8"] {
        for coding in ["", "identity", "gzip", "zstd"] {
            let sent = span("checkout");
            let plain = match form {
                "application/x-protobuf" => otlp::encode_spans(&[&sent]),
                _ => otlp::to_json(&Trace { spans: vec![sent.clone()], ..Trace::default() })
                    .to_string()
                    .into_bytes(),
            };
            let body = match coding {
                "gzip" => gzip(&plain),
                "zstd" => zstd(&plain),
                _ => plain,
            };
            let headers = [form, coding];
            let said = post(&server.app, Protocol::OtlpHttp, "/v1/traces", headers, &body).await;
            assert_eq!(said.status, 200, "{said:?}");
            assert_eq!(form.split(';').next().unwrap(), said.header("content-type"));
            let nothing_left_out = if form.ends_with("protobuf") { "" } else { "{}" };
            assert_eq!(said.body, nothing_left_out);
            assert_eq!(stored(&server.app, &sent).await, sent);
        }
    }
}

#[tokio::test]
async fn an_empty_request_is_a_success() {
    let app = &Harness::new().app;
    let said = call(app, GRPC_TRACES, false, b"", Limits::default()).await;
    assert_eq!(said.grpc(), ("0", ""));
    for (protocol, path, form, body) in [
        (Protocol::OtlpHttp, "/v1/traces", "application/x-protobuf", ""),
        (Protocol::OtlpHttp, "/v1/logs", "application/json", "{}"),
        (Protocol::Zipkin, "/api/v2/spans", "application/json", "[]"),
        (Protocol::Zipkin, "/api/v2/spans", "application/x-protobuf", ""),
    ] {
        let said = post(app, protocol, path, [form, ""], body.as_bytes()).await;
        assert!(said.status.is_success(), "{protocol} {path} {form}: {said:?}");
    }
}

#[tokio::test]
async fn what_is_not_valid_is_left_out_and_told_and_the_rest_is_stored() {
    let server = Harness::new();
    let good = span("good");
    let request = one_of_two_invalid(&good);
    let said = call(&server.app, GRPC_TRACES, false, &request, Limits::default()).await;
    assert_eq!(said.grpc(), ("0", ""));
    // ExportTraceServiceResponse { partial_success: { rejected_spans: 1, error_message: ... } }
    assert_eq!((said.body[5], &said.body[7..9]), (0x0a, &[0x08, 1][..]), "{said:?}");
    assert_eq!(stored(&server.app, &good).await, good);

    let other = span("other");
    let mut json = otlp::to_json(&Trace { spans: vec![other.clone()], ..Trace::default() });
    let spans = &mut json["resourceSpans"][0]["scopeSpans"][0]["spans"];
    spans.as_array_mut().unwrap().push(json!({"traceId": "abc", "spanId": "", "name": "bad"}));
    let headers = ["application/json", ""];
    let body = json.to_string();
    let said = post(&server.app, Protocol::OtlpHttp, "/v1/traces", headers, body.as_bytes()).await;
    assert_eq!(said.status, 200);
    assert_eq!(said.json()["partialSuccess"]["rejectedSpans"], "1");
    assert_ne!(said.json()["partialSuccess"]["errorMessage"], "");
    assert_eq!(stored(&server.app, &other).await, other);

    let metrics = server.get("/metrics").await.text;
    for wanted in [
        "fixpoint_received_records_total{protocol=\"otlp-grpc\",signal=\"traces\"} 1",
        "fixpoint_received_records_total{protocol=\"otlp-http\",signal=\"traces\"} 1",
        "fixpoint_rejected_records_total{protocol=\"otlp-grpc\",reason=\"invalid\"} 1",
        "fixpoint_rejected_records_total{protocol=\"otlp-http\",reason=\"invalid\"} 1",
    ] {
        assert!(metrics.lines().any(|line| line == wanted), "{wanted} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_span_beyond_the_limit_is_left_out_and_told() {
    let server = Harness::new();
    let limits = Limits { record: 1_000, ..Limits::default() };
    let (small, large) = (span("small"), span(&"x".repeat(2_000)));
    let request = otlp::encode_spans(&[&small, &large]);
    let said = call(&server.app, GRPC_TRACES, true, &request, limits).await;
    assert_eq!(said.grpc(), ("0", ""));
    assert!(String::from_utf8_lossy(&said.body).contains("1 of more than 1000 bytes"), "{said:?}");
    assert_eq!(stored(&server.app, &small).await, small);
    assert!(server.app.traces.whole().trace(large.trace_id).await.unwrap().is_none());

    let all = Trace { spans: vec![small, large], ..Trace::default() };
    let request = Request::post("/v1/traces").header("content-type", "application/json");
    let request = request.body(otlp::to_json(&all).to_string().into()).unwrap();
    let said = say(&server.app, Protocol::OtlpHttp, limits, request).await;
    assert_eq!(said.json()["partialSuccess"]["rejectedSpans"], "1", "{said:?}");
    let metrics = server.get("/metrics").await.text;
    let wanted = "fixpoint_rejected_records_total{protocol=\"otlp-grpc\",reason=\"too-large\"} 1";
    assert!(metrics.contains(wanted), "{metrics}");
}

#[tokio::test]
async fn files_are_uploaded_and_given_back_in_every_format() {
    let sent = span("checkout");
    let id = sent.trace_id.to_string();
    let server = Harness::new();
    let request = otlp::encode_spans(&[&sent]);
    call(&server.app, GRPC_TRACES, false, &request, Limits::default()).await;
    for (format, end) in
        [("otlp", "json"), ("otlp-protobuf", "pb"), ("jaeger", "json"), ("zipkin", "json")]
    {
        let request = Request::get(format!("/v1/traces/{id}?format={format}"));
        let request = request.body(Body::empty()).unwrap();
        let answer = server.router.clone().oneshot(request).await.unwrap();
        let attachment = format!("attachment; filename=\"trace-{id}.{end}\"");
        assert_eq!(answer.headers()["content-disposition"], attachment);
        let file = answer.into_body().collect().await.unwrap().to_bytes();

        let other = Harness::new();
        let request = Request::post("/v1/traces")
            .header("content-type", "application/octet-stream")
            .header("content-encoding", "gzip")
            .body(Body::from(gzip(&file)))
            .unwrap();
        let uploaded = other.send(request).await;
        let told = json!({"trace_ids": [id], "accepted": 1, "rejected": 0, "message": ""});
        assert_eq!(uploaded.value(), told, "{format}");
        let stored = stored(&other.app, &sent).await;
        assert_eq!((&stored.name, stored.service(), stored.end), (&sent.name, "shop", sent.end));
    }
    assert_eq!(server.get(&format!("/v1/traces/{id}?format=xml")).await.status, 400);
}

#[tokio::test]
async fn a_file_that_is_none_of_traces_or_a_page_may_have_sent_is_refused() {
    let server = Harness::new();
    for (kind, body, status) in
        [("application/json", "{}", 400), ("application/json", "", 400), ("text/plain", "[]", 415)]
    {
        let request = Request::post("/v1/traces").header("content-type", kind);
        let answer = server.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status, status, "{kind} {body:?}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}
