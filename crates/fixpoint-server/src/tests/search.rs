//! Searching traces, and what many of them come to.
//!
//! The traces are put into the store as a sender's would be; the requests leave traces too, under
//! the service `fixpoint`, which the queries leave out.

use std::sync::Arc;

use fixpoint_client::{
    AttributePage, OperationPage, PinPage, Problem, RatePage, ServicePage, StoreStats, TracePage,
};
use fixpoint_trace::model::{
    Kind, Resource, Span, SpanContext, SpanId, Status, TraceId, UnixNanos,
};
use jiff::Timestamp;

use super::{Answer, Harness};

pub(super) const MINUTE: u64 = 60_000_000_000;
pub(super) const MILLI: u64 = 1_000_000;

pub(super) fn now() -> UnixNanos {
    Timestamp::now().as_nanosecond().try_into().unwrap()
}

/// A span that took that many milliseconds.
pub(super) fn span(
    trace_id: TraceId,
    service: &str,
    name: &str,
    start: UnixNanos,
    millis: u64,
) -> Span {
    let mut span = Span::new(SpanContext { trace_id, span_id: SpanId::random() }, name, start);
    let resource: Resource = [("service.name".to_owned(), service.into())].into_iter().collect();
    span.resource = Arc::new(resource);
    span.end = Some(start + millis * MILLI);
    span
}

fn ids(page: &TracePage) -> Vec<TraceId> {
    page.items.iter().map(|item| item.trace_id.parse().unwrap()).collect()
}

impl Harness {
    /// `GET path` with a query in the parameter `q`.
    async fn search(&self, q: &str, others: &str) -> Answer {
        let q: String = q.bytes().map(|byte| format!("%{byte:02x}")).collect();
        self.get(&format!("/v1/traces?q={q}{others}")).await
    }

    async fn found(&self, q: &str) -> Vec<TraceId> {
        let page: TracePage = self.search(q, "").await.json();
        assert!(page.next_page_token.is_none() && page.partial.is_none(), "{page:?}");
        ids(&page)
    }
}

#[tokio::test]
async fn the_absence_of_a_call_is_found() {
    let server = Harness::new();
    let [good, bad] = [TraceId::random(), TraceId::random()];
    let start = now() - MINUTE;
    server
        .keep(vec![
            span(good, "clusters", "ELBv2.DescribeTargetGroups", start, 5),
            span(good, "clusters", "ELBv2.RegisterTargets", start + MILLI, 5),
            span(bad, "clusters", "ELBv2.DescribeTargetGroups", start + MILLI, 5),
        ])
        .await;
    let absent = r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#;
    assert_eq!(server.found(absent).await, [bad]);
    assert_eq!(server.found("ELBv2.RegisterTargets").await, [good]);
    assert_eq!(server.found("service = clusters").await, [bad, good], "newest first");
    assert_eq!(server.found("service = clusters and duration > 1s").await, []);
}

#[tokio::test]
async fn a_mistake_in_a_query_is_told_with_its_place() {
    let server = Harness::new();
    let answer = server.search("error and kind = serer", "").await;
    assert_eq!(answer.status, 400);
    let problem: Problem = answer.json();
    assert_eq!(problem.kind, "/problems/bad-query");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `kind = server`?"));
    let place = problem.place.unwrap();
    assert_eq!((place.parameter.as_str(), place.start, place.end), ("q", 17, 22));
    assert_eq!(place.excerpt, "error and kind = serer\n                 ^^^^^");
}

#[tokio::test]
async fn pages_of_a_search_lose_nothing_and_repeat_nothing_while_traces_come_in() {
    let server = Harness::new();
    let start = now() - 10 * MINUTE;
    let traces: Vec<_> = (0..7).map(|_| TraceId::random()).collect();
    // Two of them start at the same moment, so that a page may end between them.
    let starts = [0, 1, 2, 2, 3, 4, 5];
    for (id, at) in traces.iter().zip(starts) {
        server.keep(vec![span(*id, "api", "GET /", start + at, 1)]).await;
    }
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let others = format!("&limit=3&since=1h{token}");
        let page: TracePage = server.search("service = api", &others).await.json();
        found.extend(ids(&page));
        server.keep(vec![span(TraceId::random(), "api", "GET /", now(), 1)]).await;
        let Some(next) = page.next_page_token else { break };
        token = format!("&page_token={next}");
    }
    let mut expected: Vec<_> = starts.into_iter().zip(traces).collect();
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().rev().map(|(_, id)| id).collect();
    assert_eq!(found, expected);

    let other = server.search("service = other", &token).await;
    assert_eq!(other.status, 400);
    assert!(other.text.contains("other filters"), "{other:?}");
}

#[tokio::test]
async fn a_search_is_bounded_in_time() {
    let server = Harness::new();
    let [old, new] = [TraceId::random(), TraceId::random()];
    server.keep(vec![span(old, "api", "a", now() - 120 * MINUTE, 1)]).await;
    server.keep(vec![span(new, "api", "a", now() - 5 * MINUTE, 1)]).await;
    for (bounds, expected) in [
        ("", vec![new, old]),
        ("&since=1h", vec![new]),
        ("&until=1h", vec![old]),
        ("&since=3h&until=10m", vec![old]),
        ("&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z", vec![]),
    ] {
        let page: TracePage = server.search("service = api", bounds).await.json();
        assert_eq!(ids(&page), expected, "{bounds}");
    }
}

#[tokio::test]
async fn services_and_operations_are_counted() {
    let server = Harness::new();
    let id = TraceId::random();
    let start = now() - 10 * MINUTE;
    let mut spans: Vec<_> =
        (1..=10).map(|n| span(id, "api", "GET /", start + n, n * 100)).collect();
    spans[0].status = Status::Error(String::new());
    spans[0].kind = Kind::Server;
    spans.push(span(id, "api", "POST /", start, 1));
    spans.push(span(id, "db", "SELECT", start, 1));
    server.keep(spans).await;

    let services: ServicePage = server.get("/v1/services?since=1h").await.json();
    let api = &services.items[0];
    assert_eq!((api.service.as_str(), api.operations), ("api", 2));
    assert_eq!((api.counts.spans, api.counts.errors, services.truncated), (11, 1, false));
    let one: ServicePage = server.get("/v1/services?since=1h&limit=1").await.json();
    assert_eq!((one.items.len(), one.truncated), (1, true));

    let operations: OperationPage = server.get("/v1/operations?service=api&since=1h").await.json();
    let names: Vec<_> = operations.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["GET /", "POST /"]);
    let get = &operations.items[0];
    assert_eq!((get.kind.as_str(), get.counts.spans, get.counts.errors), ("server", 10, 1));
    // 10 spans in an hour, which begins with a minute.
    assert!((0.0027..0.0028).contains(&get.counts.rate), "{}", get.counts.rate);
    for (found, millis) in [(get.counts.p50_nanos, 500), (get.counts.p99_nanos, 1000)] {
        let ratio = found.unwrap() as f64 / (millis * MILLI) as f64;
        assert!((0.94..1.06).contains(&ratio), "{found:?} for {millis} ms");
    }
    let none: OperationPage = server.get("/v1/operations?service=api&until=1h").await.json();
    assert_eq!(none.items, []);
}

#[tokio::test]
async fn rates_come_in_buckets_with_their_histograms() {
    let server = Harness::new();
    let id = TraceId::random();
    let first = now() / MINUTE * MINUTE - 30 * MINUTE;
    server
        .keep(vec![
            span(id, "api", "GET /", first, 10),
            span(id, "api", "GET /", first + MINUTE, 10),
            span(id, "api", "GET /", first + 20 * MINUTE, 20),
            span(id, "api", "POST /", first, 10),
        ])
        .await;
    let get = "/v1/rates?service=api&name=GET%20/";
    let page: RatePage = server.get(&format!("{get}&since=1h")).await.json();
    assert_eq!((page.items.len(), page.step_seconds), (1, 60));
    assert_eq!(page.items[0].buckets.len(), 3, "a bucket for each minute that has spans");
    let bucket = &page.items[0].buckets[2];
    assert_eq!((bucket.counts.spans, bucket.durations.len()), (1, 1));
    assert!(bucket.counts.rate > 0.016 && bucket.counts.rate < 0.017);
    let [range] = bucket.durations[..] else { panic!("{bucket:?}") };
    assert!(range.from_nanos <= 20 * MILLI && 20 * MILLI < range.to_nanos && range.count == 1);

    let page: RatePage = server.get(&format!("{get}&since=1d&step=1d")).await.json();
    assert_eq!(page.step_seconds, 86_400);
    let spans: u64 = page.items[0].buckets.iter().map(|bucket| bucket.counts.spans).sum();
    assert_eq!(spans, 3);
}

#[tokio::test]
async fn attributes_are_listed_for_completion() {
    let server = Harness::new();
    let mut spans = Vec::new();
    for region in ["eu-west-1", "eu-central-1", "eu-west-1"] {
        let mut span = span(TraceId::random(), "api", "a", now(), 1);
        span.attributes.insert("cloud.region".to_owned(), region.into());
        spans.push(span);
    }
    server.keep(spans).await;
    let names: AttributePage = server.get("/v1/attributes").await.json();
    assert!(names.items.contains(&"cloud.region".to_owned()), "{names:?}");
    let values: AttributePage = server.get("/v1/attributes?name=cloud.region").await.json();
    assert_eq!(
        (values.items, values.truncated),
        (vec!["eu-central-1".into(), "eu-west-1".into()], false)
    );
    let one: AttributePage = server.get("/v1/attributes?name=cloud.region&limit=1").await.json();
    assert_eq!((one.items.len(), one.truncated), (1, true));
}

#[tokio::test]
async fn a_trace_is_pinned_and_unpinned_and_the_store_says_what_it_holds() {
    let server = Harness::new();
    let id = TraceId::random();
    server.keep(vec![span(id, "api", "a", MINUTE, 1)]).await;
    let pin = |method: &str| {
        let request = axum::http::Request::builder().method(method);
        let request = request.uri(format!("/v1/traces/{id}/pin")).body(axum::body::Body::empty());
        server.send(request.unwrap())
    };
    for (method, expected) in
        [("PUT", vec![id]), ("PUT", vec![id]), ("DELETE", vec![]), ("DELETE", vec![])]
    {
        assert_eq!(pin(method).await.status, 204, "{method}");
        let pins: PinPage = server.get("/v1/pins").await.json();
        let expected: Vec<_> = expected.iter().map(TraceId::to_string).collect();
        assert_eq!(pins.trace_ids, expected, "{method}");
    }
    let stats: StoreStats = server.get("/v1/store").await.json();
    assert!(stats.spans >= 1);
    assert_eq!(stats.oldest, Some("1970-01-01T00:01:00Z".parse().unwrap()));
}
