//! Spans and log lines that tenants send, whatever they claim.
//!
//! The surprise: each is sent into the other tenant's trace, which is where it would be seen.

use fixpoint_trace::{
    model::{Level, LogRecord, Span, SpanContext, SpanId, TraceId},
    otlp, semconv, zipkin,
};

use super::*;
use crate::{Limits, Protocol};

/// A span and a line of a shop of one tenant, which claim to be another's.
fn records(trace_id: TraceId, name: &str, claims: &str) -> (Span, LogRecord) {
    let claim = || (semconv::TENANT.to_owned(), claims.into());
    let service = ("service.name".to_owned(), format!("{name}-shop").as_str().into());
    let resource = Arc::new([claim(), service].into_iter().collect());
    let context = SpanContext { trace_id, span_id: SpanId::random() };
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
    let mut span = Span { end: Some(now + 1_000), ..Span::new(context, name, now) };
    let mut log = LogRecord::new(now, Level::Info, format!("{name} said"));
    (log.trace_id, log.span_id) = (Some(trace_id), Some(span.span_id));
    (span.resource, log.resource) = (Arc::clone(&resource), resource);
    span.attributes.extend([claim()]);
    log.attributes.extend([claim()]);
    (span, log)
}

/// Sends what is there in each of the ways that there are.
async fn send(town: &Town, token: &str, span: &Span, log: &LogRecord) {
    let app = &town.server.harness.app;
    let post = |path: &str, kind: &str, body: Vec<u8>| {
        Request::post(path)
            .header("content-type", kind)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(body))
            .unwrap()
    };
    let framed = |message: Vec<u8>| {
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        [&[0], &length[..], &message].concat()
    };
    let named = |way: &str| Span {
        name: format!("{} by {way}", span.name),
        span_id: SpanId::random(),
        ..span.clone()
    };
    let json = |span: Span| {
        let trace = fixpoint_trace::model::Trace { spans: vec![span], ..Default::default() };
        (serde_json::to_vec(&otlp::to_json(&trace)).unwrap(), zipkin::to_json(&trace))
    };
    let grpc = framed(otlp::encode_spans(&[&named("grpc")]));
    let service = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (protocol, request) in [
        (Protocol::OtlpGrpc, post(service, "application/grpc", grpc)),
        (
            Protocol::OtlpHttp,
            post("/v1/traces", "application/x-protobuf", otlp::encode_spans(&[&named("http")])),
        ),
        (Protocol::OtlpHttp, post("/v1/traces", "application/json", json(named("json")).0)),
        (Protocol::OtlpHttp, post("/v1/logs", "application/x-protobuf", otlp::encode_logs(&[log]))),
        (
            Protocol::Zipkin,
            post("/api/v2/spans", "application/json", json(named("zipkin")).1.to_string().into()),
        ),
    ] {
        let receiver = http::receiver(protocol, Limits::default(), app);
        let answer = receiver.oneshot(request).await.unwrap();
        assert!(answer.status().is_success(), "{protocol}: {answer:?}");
    }
    let upload = post("/v1/traces", "application/json", json(named("upload")).0);
    let answer = town.server.harness.send(upload).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:#?}");
}

#[tokio::test]
async fn what_is_sent_is_its_senders_and_nobody_elses() {
    let town = Town::new().await;
    let (initech, globex) = (&town.initech, &town.globex);
    let ingest = async |tenant: &str| {
        town.server.token_of(json!({"role": Role::Ingest, "tenant": tenant})).await.secret
    };
    for (who, other) in [(initech, globex), (globex, initech)] {
        let trace = other.run.trace_id.parse().unwrap();
        let (span, log) = records(trace, &format!("{}-work", who.gem), other.name);
        send(&town, &ingest(who.name).await, &span, &log).await;
    }
    for (who, other) in [(initech, globex), (globex, initech)] {
        // Sent into the other's trace, it is of a part that the other does not see.
        let sent_to = &other.run.trace_id;
        let seen = town.get(who, &format!("/v1/traces/{sent_to}")).await;
        assert_eq!(seen.status, StatusCode::OK, "{seen:#?}");
        for way in ["grpc", "http", "json", "zipkin", "upload"] {
            let name = format!("{}-work by {way}", who.gem);
            assert!(seen.text.contains(&name), "{name}: {}", seen.text);
        }
        let lines = town.get(who, &format!("/v1/logs?trace_id={sent_to}")).await.text;
        assert!(lines.contains(&format!("{}-work said", who.gem)), "{lines}");
        let services = town.get(who, "/api/services").await.text;
        assert!(services.contains(&format!("{}-work-shop", who.gem)), "{services}");

        for path in [
            format!("/v1/traces/{}", who.run.trace_id),
            format!("/v1/traces/{sent_to}"),
            format!("/v1/logs?trace_id={}", who.run.trace_id),
            "/v1/traces".to_owned(),
            "/v1/traces?q=duration%20%3E%200ns".to_owned(),
            "/v1/logs".to_owned(),
            format!("/v1/find?q={}-work", other.gem),
            "/api/services".to_owned(),
            "/zipkin/api/v2/traces?limit=100".to_owned(),
            "/traces".to_owned(),
        ] {
            let seen = town.get(who, &path).await;
            let theirs = format!("{}-work", other.gem);
            let text = seen.text.replace(&format!("q={theirs}"), "");
            assert!(!text.contains(&theirs), "{} reads {theirs} in {path}: {text}", who.name);
        }
        // The claim is gone, not only outdone.
        let claims = format!("fixpoint.tenant\":\"{}", other.name);
        assert!(!seen.text.contains(&claims), "{}", seen.text);
    }
    // An ingest token sees nothing, of its own tenant neither.
    let token = ingest("globex").await;
    let answer = town.server.send(Method::GET, "/v1/traces", Some(&token), None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
