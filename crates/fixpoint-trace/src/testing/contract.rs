//! What every trace store must do, as one suite: each check gets a store of its own.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{
        Attributes, Kind, Level, LogRecord, Record, Resource, Span, SpanContext, SpanId, Status,
        Trace, TraceId, UnixNanos, Value,
    },
    query::{Condition, Field, Op, Query, TraceCondition},
    semconv,
    store::{LogQuery, TraceQuery, TraceStore},
};

/// Checks a kind of store; `empty` makes a new one each time.
///
/// # Panics
/// If the store does not keep the contract, saying where.
pub async fn contract<S: TraceStore>(empty: impl AsyncFn() -> S) {
    a_span_is_what_was_said_of_it_last(&empty().await).await;
    every_value_comes_back_as_it_was(&empty().await).await;
    a_trace_holds_its_own_spans_and_lines_in_order(&empty().await).await;
    several_traces_are_read_in_the_order_asked_for(&empty().await).await;
    a_summary_says_what_the_trace_holds(&empty().await).await;
    a_trace_continued_from_elsewhere_is_named_after_its_first_span(&empty().await).await;
    traces_are_listed_newest_first_in_pages_by_filter(&empty().await).await;
    a_trace_is_found_by_any_id_in_it(&empty().await).await;
    open_spans_are_those_without_an_end(&empty().await).await;
    log_lines_are_read_newest_last(&empty().await).await;
    a_tenant_is_answered_as_if_nothing_else_were_stored(&empty().await).await;
    followers_hear_of_what_is_stored_in_order(&empty().await).await;
    appends_at_the_same_time_lose_nothing(Arc::new(empty().await)).await;
}

async fn a_span_is_what_was_said_of_it_last(store: &impl TraceStore) {
    let mut said = span(TraceId::random(), None, "work", 100);
    append(store, [Record::Span(said.clone())]).await;
    assert_eq!(spans(store, said.trace_id).await, [said.clone()]);
    said.attributes.insert("seen".into(), Value::Int(1));
    append(store, [Record::Span(said.clone())]).await;
    said.name = "work done".into();
    said.end = Some(250);
    said.status = Status::Error("why".into());
    // Twice in one batch: the last one counts there, too.
    let mut half = said.clone();
    half.end = None;
    append(store, [Record::Span(half), Record::Span(said.clone())]).await;
    assert_eq!(spans(store, said.trace_id).await, [said.clone()]);
    assert_eq!(store.trace(TraceId::random()).await.expect("reads"), None);
}

async fn every_value_comes_back_as_it_was(store: &impl TraceStore) {
    let mut said = span(TraceId::random(), Some(SpanId::random()), "\u{1f41f} \"\n\0", 1);
    said.kind = Kind::Consumer;
    said.start = u64::MAX - 1;
    said.end = Some(u64::MAX);
    said.attributes = Attributes::from([
        ("z".into(), Value::Int(i64::MIN)),
        ("a".into(), Value::Double(1.0)),
        ("double".into(), Value::Double(-0.1)),
        ("int".into(), Value::Int(1)),
        ("bool".into(), Value::Bool(true)),
        ("empty".into(), Value::String(String::new())),
        ("array".into(), Value::Array(vec![Value::Int(1), Value::String("1".into())])),
    ]);
    said.events.push(crate::model::Event {
        time: 5,
        name: "retry".into(),
        attributes: Attributes::from([("n".into(), Value::Int(2))]),
        ..Default::default()
    });
    let cause = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    said.links.push(cause.into());
    append(store, [Record::Span(said.clone())]).await;
    let read = spans(store, said.trace_id).await;
    assert_eq!(read, [said.clone()]);
    assert!(read[0].attributes.keys().eq(said.attributes.keys()), "in the order set");
}

async fn a_trace_holds_its_own_spans_and_lines_in_order(store: &impl TraceStore) {
    let (ours, other) = (TraceId::random(), TraceId::random());
    let root = span(ours, None, "root", 100);
    let child = span(ours, Some(root.span_id), "child", 100);
    let later = span(ours, Some(root.span_id), "later", 300);
    let earlier = span(ours, Some(root.span_id), "earlier", 200);
    append(
        store,
        [
            Record::Span(child.clone()),
            Record::Span(later.clone()),
            Record::Log(log(Some(&root), 320, "second")),
            Record::Span(root.clone()),
            Record::Span(span(other, None, "other", 150)),
            Record::Log(log(None, 310, "of no trace")),
            Record::Span(earlier.clone()),
        ],
    )
    .await;
    append(store, [Record::Log(log(Some(&child), 120, "first"))]).await;
    let trace = trace(store, ours).await;
    assert_eq!(trace.spans, [root, child, earlier, later]);
    assert_eq!(messages(&trace.logs), ["first", "second"]);
}

async fn several_traces_are_read_in_the_order_asked_for(store: &impl TraceStore) {
    let ids: Vec<TraceId> = (0..5).map(|_| TraceId::random()).collect();
    for (at, &id) in ids.iter().enumerate() {
        let root = span(id, None, "root", 100 * (at as u64 + 1));
        let line = Record::Log(log(Some(&root), 120, "line"));
        append(store, [Record::Span(root), line]).await;
    }
    let unknown = TraceId::random();
    let asked = [ids[3], unknown, ids[0], ids[4]];
    let found = store.traces(&asked).await.expect("reads");
    assert_eq!(found.len(), 4);
    for (id, found) in asked.into_iter().zip(found) {
        assert_eq!(found, store.trace(id).await.expect("reads"));
        assert_eq!(found.is_none(), id == unknown);
    }
}

async fn a_summary_says_what_the_trace_holds(store: &impl TraceStore) {
    let id = TraceId::random();
    let mut root = span(id, None, "run clusters", 100);
    let mut child = span(id, Some(root.span_id), "create", 90);
    append(store, [Record::Span(child.clone())]).await;
    append(store, [Record::Span(root.clone()), Record::Log(log(Some(&root), 95, "line"))]).await;
    let summary = only(store).await;
    assert_eq!(summary.trace_id, id);
    assert_eq!((summary.root, summary.name.as_str()), (Some(root.span_id), "run clusters"));
    assert_eq!(summary.service, "test");
    assert_eq!((summary.start, summary.end), (90, None));
    assert_eq!((summary.spans, summary.open, summary.errors, summary.logs), (2, 2, 0, 1));

    child.end = Some(400);
    child.status = Status::Error("broken".into());
    root.end = Some(300);
    root.status = Status::Ok;
    append(store, [Record::Span(child.clone()), Record::Span(root.clone())]).await;
    let summary = only(store).await;
    assert_eq!((summary.start, summary.end), (90, Some(400)), "until the last span ends");
    assert_eq!((summary.spans, summary.open, summary.errors, summary.logs), (2, 0, 1, 1));
    assert_eq!(summary.status, Status::Ok, "the root's");

    root.end = None;
    append(store, [Record::Span(root)]).await;
    let summary = only(store).await;
    assert_eq!((summary.end, summary.open), (None, 1), "a span may open again");
}

async fn a_trace_continued_from_elsewhere_is_named_after_its_first_span(store: &impl TraceStore) {
    let id = TraceId::random();
    let server = span(id, Some(SpanId::random()), "PATCH", 100);
    append(store, [Record::Span(span(id, Some(server.span_id), "child", 110))]).await;
    append(store, [Record::Span(server)]).await;
    let summary = only(store).await;
    assert_eq!((summary.root, summary.name.as_str()), (None, "PATCH"));
}

async fn traces_are_listed_newest_first_in_pages_by_filter(store: &impl TraceStore) {
    for start in [30, 10, 50, 20, 40] {
        let mut span =
            span(TraceId::random(), None, if start > 25 { "late" } else { "early" }, start);
        span.end = Some(start + 1);
        if start == 20 {
            span.status = Status::Error(String::new());
        }
        append(store, [Record::Span(span)]).await;
    }
    let starts = async |query: TraceQuery| {
        let page = store.search(&query).await.expect("lists");
        (page.items.iter().map(|item| item.start).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(starts(TraceQuery::default()).await.0, [50, 40, 30, 20, 10]);

    let mut query = TraceQuery { limit: 2, ..TraceQuery::default() };
    let mut pages = Vec::new();
    loop {
        let (page, next) = starts(query.clone()).await;
        pages.push(page);
        query.before = next;
        if query.before.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec![50, 40], vec![30, 20], vec![10]]);

    let service = |name: &str| Query::of_span(vec![Condition::equal(Field::Service, name)]);
    let of =
        |condition| TraceQuery { filter: Query::default().and(condition), ..TraceQuery::default() };
    let filtered = [
        (of(TraceCondition::Root(Op::Equal, "early".into())), vec![20, 10]),
        (TraceQuery { filter: service("test"), limit: 1, ..TraceQuery::default() }, vec![50]),
        (TraceQuery { filter: service("other"), ..TraceQuery::default() }, vec![]),
        (of(TraceCondition::Errors(Op::More, 0)), vec![20]),
        (of(TraceCondition::Errors(Op::Equal, 0)), vec![50, 40, 30, 10]),
        (TraceQuery { until: Some(30), ..TraceQuery::default() }, vec![20, 10]),
        (TraceQuery { since: Some(30), ..TraceQuery::default() }, vec![50, 40, 30]),
    ];
    for (query, expected) in filtered {
        assert_eq!(starts(query.clone()).await.0, expected, "{query:?}");
    }
    for (text, expected) in [
        ("early", vec![20, 10]),
        ("early and error or trace.errors = 0 and late", vec![50, 40, 30, 20]),
        ("has(late) and missing(error)", vec![50, 40, 30]),
        ("missing(late) after early", vec![20, 10]),
        ("missing(late) after late", vec![50, 40, 30]),
        ("missing(early) after nothing", vec![]),
        ("customer missing and service exists and root !~ LATE", vec![20, 10]),
        ("duration >= 2ns or kind != internal or log ~ x or open", vec![]),
    ] {
        let filter = text.parse().expect(text);
        let query = TraceQuery { filter, ..TraceQuery::default() };
        assert_eq!(starts(query).await.0, expected, "{text}");
    }
}

async fn a_trace_is_found_by_any_id_in_it(store: &impl TraceStore) {
    let mut root = span(TraceId::random(), None, "run clusters", 100);
    root.attributes = Attributes::from([
        (semconv::RESOURCE.into(), Value::String("clusters/idg".into())),
        (semconv::AWS_REQUEST_ID.into(), Value::String("59DBFF89-35bd-4eac".into())),
        (semconv::RUN_ID.into(), Value::String("r7".into())),
        (
            semconv::RESPONSE.into(),
            Value::String(r#"{"InstanceId":"i-0123456789abcdef0","Name":"no-id"}"#.into()),
        ),
    ]);
    let mut newer = span(TraceId::random(), None, "run clusters", 200);
    newer.attributes.insert(semconv::RESOURCE.into(), Value::String("clusters/idg".into()));
    append(store, [Record::Span(newer.clone()), Record::Span(root.clone())]).await;
    let found = async |id: &str, limit| {
        let found = store.find(id, None, limit).await.expect("looks up");
        found.iter().map(|summary| summary.start).collect::<Vec<_>>()
    };
    let (trace, span) = (root.trace_id.to_string(), root.span_id.to_string());
    for id in [
        trace.as_str(),
        &trace[..8],
        &trace.to_uppercase(),
        &span,
        &span[..9],
        "59dbff89-35bd-4eac",
        "59dbff89",
        "r7",
        "i-0123456789abcdef0",
        " i-0123456789abcdef0 ",
    ] {
        assert_eq!(found(id, 10).await, [100], "{id}");
    }
    for id in ["clusters/idg", "idg", "IDG"] {
        assert_eq!(found(id, 10).await, [200, 100], "{id}");
    }
    assert_eq!(found("idg", 1).await, [200]);
    for id in ["", " ", "id", "r", &trace[..7], "no-id", "run clusters", "i-0123456789abcdef1"] {
        assert_eq!(found(id, 10).await, [0; 0], "{id}");
    }
}

async fn open_spans_are_those_without_an_end(store: &impl TraceStore) {
    let mut first = span(TraceId::random(), None, "first", 100);
    let second = span(TraceId::random(), None, "second", 90);
    append(store, [Record::Span(first.clone()), Record::Span(second.clone())]).await;
    let open = async || store.open_spans().await.expect("reads");
    assert_eq!(open().await, [second.clone(), first.clone()]);
    first.end = Some(200);
    append(store, [Record::Span(first.clone())]).await;
    assert_eq!(open().await, std::slice::from_ref(&second));
    first.end = None;
    append(store, [Record::Span(first.clone())]).await;
    assert_eq!(open().await, [second, first]);
}

async fn log_lines_are_read_newest_last(store: &impl TraceStore) {
    let root = span(TraceId::random(), None, "root", 1);
    let child = span(root.trace_id, Some(root.span_id), "child", 2);
    append(
        store,
        [
            Record::Log(log(Some(&root), 10, "root 10")),
            Record::Log(log(None, 40, "free 40")),
            Record::Log(log(Some(&child), 30, "child 30")),
            Record::Log(log(Some(&root), 20, "root 20")),
            Record::Log(log(Some(&root), 20, "root 20 again")),
        ],
    )
    .await;
    let lines = async |query: LogQuery| messages(&store.logs(&query).await.expect("reads"));
    let trace_id = Some(root.trace_id);
    assert_eq!(
        lines(LogQuery::default()).await,
        ["root 10", "root 20", "root 20 again", "child 30", "free 40"]
    );
    assert_eq!(lines(LogQuery { limit: 2, ..LogQuery::default() }).await, ["child 30", "free 40"]);
    assert_eq!(
        lines(LogQuery { trace_id, ..LogQuery::default() }).await,
        ["root 10", "root 20", "root 20 again", "child 30"]
    );
    for trace_id in [None, trace_id] {
        let query =
            LogQuery { trace_id, span_id: Some(root.span_id), limit: 2, ..LogQuery::default() };
        assert_eq!(lines(query).await, ["root 20", "root 20 again"]);
    }
    let query = LogQuery { trace_id: Some(TraceId::random()), ..LogQuery::default() };
    assert_eq!(lines(query).await, [""; 0]);
}

/// One trace of two tenants, and one of each.
async fn a_tenant_is_answered_as_if_nothing_else_were_stored(store: &impl TraceStore) {
    let shared = TraceId::random();
    let of = |tenant: &str, trace, name: &str, start| {
        let mut span = span(trace, None, name, start);
        span.end = Some(start + 5);
        span.attributes.insert("secret".into(), format!("i-{tenant}-{name}").into());
        let mut log = log(Some(&span), start + 1, &format!("{tenant} {name}"));
        // As its receiver marks what is sent, and as the layer marks what is recorded.
        let mark = (semconv::TENANT.to_owned(), Value::from(tenant));
        match name {
            "sent" => {
                let resource = Resource::from_iter([
                    (semconv::SERVICE_NAME.to_owned(), Value::from(tenant)),
                    mark,
                ]);
                (span.resource, log.resource) = (Arc::new(resource.clone()), Arc::new(resource));
            }
            _ => {
                span.attributes.insert(mark.0.clone(), mark.1.clone());
                log.attributes.insert(mark.0, mark.1);
            }
        }
        [Record::Span(span), Record::Log(log)]
    };
    let (acme, other) = (TraceId::random(), TraceId::random());
    let mut failed = of("other", shared, "sent", 40);
    if let Record::Span(span) = &mut failed[0] {
        span.status = Status::Error("a secret of other".into());
    }
    let nobodys =
        [Record::Span(span(shared, None, "nobodys", 1)), Record::Log(log(None, 2, "free"))];
    for records in [
        nobodys,
        of("acme", shared, "sent", 30),
        failed,
        of("acme", acme, "made", 20),
        of("other", other, "made", 10),
    ] {
        append(store, records).await;
    }

    let found = async |tenant: &str, text: &str| {
        let filter = text.parse().expect(text);
        let tenant = Some(tenant.to_owned());
        let query = TraceQuery { filter, tenant, ..TraceQuery::default() };
        let items = store.search(&query).await.expect("finds").items;
        items.iter().map(|it| (it.start, it.spans, it.errors, it.logs)).collect::<Vec<_>>()
    };
    let (shared_part, made) = ((30, 1, 0, 1), (20, 1, 0, 1));
    for (text, expected) in [
        ("", vec![made, shared_part]),
        ("secret ~ other", vec![]),
        ("error or status.message ~ secret or open", vec![]),
        ("missing(error) and missing(nobodys)", vec![made, shared_part]),
        ("trace.spans = 1 and trace.errors = 0", vec![made, shared_part]),
        ("trace.spans > 1 or trace.duration > 5ns", vec![]),
        ("log ~ other", vec![]),
        ("service = acme", vec![shared_part]),
        ("service = other or service = test and secret = \"i-other-made\"", vec![]),
        ("secret = \"i-acme-made\"", vec![made]),
        ("root = sent", vec![shared_part]),
    ] {
        assert_eq!(found("acme", text).await, expected, "{text}");
    }
    // The shared one began before all, by nobody's span.
    assert_eq!(found("other", "").await, [(10, 1, 0, 1), (40, 1, 1, 1)]);
    assert_eq!(found("nobody", "").await, []);

    let by_id = async |tenant, id: &str| {
        let found = store.find(id, Some(tenant), 10).await.expect("looks up");
        found.iter().map(|it| (it.start, it.spans, it.errors, it.logs)).collect::<Vec<_>>()
    };
    for (id, expected) in [
        (shared.to_string(), vec![shared_part]),
        (shared.to_string()[..8].to_owned(), vec![shared_part]),
        (other.to_string(), vec![]),
        ("i-other-sent".to_owned(), vec![]),
        ("i-acme-sent".to_owned(), vec![shared_part]),
    ] {
        assert_eq!(by_id("acme", &id).await, expected, "{id}");
    }
    let lines = async |trace_id, limit| {
        let tenant = Some("acme".to_owned());
        let query = LogQuery { trace_id, limit, tenant, ..LogQuery::default() };
        messages(&store.logs(&query).await.expect("reads"))
    };
    assert_eq!(lines(None, 10).await, ["acme made", "acme sent"]);
    // The newest of its own, however many newer ones others have.
    assert_eq!(lines(None, 1).await, ["acme sent"]);
    assert_eq!(lines(Some(shared), 10).await, ["acme sent"]);
    assert_eq!(lines(Some(other), 10).await, [""; 0]);
}

async fn followers_hear_of_what_is_stored_in_order(store: &impl TraceStore) {
    let first = Record::Span(span(TraceId::random(), None, "before", 1));
    append(store, [first]).await;
    let mut follower = store.follow();
    let id = TraceId::random();
    for start in 1..=3 {
        append(store, [Record::Span(span(id, None, "after", start))]).await;
    }
    for start in 1..=3 {
        let heard = tokio::time::timeout(Duration::from_secs(5), follower.recv())
            .await
            .expect("told in time")
            .expect("told");
        let [Record::Span(span)] = &heard[..] else { panic!("one span was stored: {heard:?}") };
        assert_eq!((span.name.as_str(), span.start), ("after", start));
        // What one is told of can be read.
        assert_eq!(spans(store, id).await.len() as u64, 3);
    }
}

async fn appends_at_the_same_time_lose_nothing(store: Arc<impl TraceStore>) {
    let root = span(TraceId::random(), None, "root", 1);
    let id = root.trace_id;
    let appends = (0..8).map(|writer: u64| {
        let (store, root) = (store.clone(), root.clone());
        async move {
            for n in 0..10 {
                let time = 100 + writer * 10 + n;
                let child = span(id, Some(root.span_id), "child", time);
                let line = Record::Log(log(Some(&root), time, "line"));
                append(&*store, [Record::Span(child), line]).await;
            }
        }
    });
    append(&*store, [Record::Span(root.clone())]).await;
    futures_util::future::join_all(appends).await;
    let trace = trace(&*store, id).await;
    assert_eq!((trace.spans.len(), trace.logs.len()), (81, 80));
    let summary = only(&*store).await;
    assert_eq!((summary.spans, summary.open, summary.logs), (81, 81, 80));
}

fn span(trace_id: TraceId, parent: Option<SpanId>, name: &str, start: UnixNanos) -> Span {
    let context = SpanContext { trace_id, span_id: SpanId::random() };
    let resource = Resource::from([(semconv::SERVICE_NAME.into(), Value::from("test"))]);
    Span { parent, resource: Arc::new(resource), ..Span::new(context, name, start) }
}

fn log(span: Option<&Span>, time: UnixNanos, message: &str) -> LogRecord {
    LogRecord {
        trace_id: span.map(|span| span.trace_id),
        span_id: span.map(|span| span.span_id),
        ..LogRecord::new(time, Level::Info, message)
    }
}

async fn append<const N: usize>(store: &impl TraceStore, records: [Record; N]) {
    store.append(&records).await.expect("stores");
}

async fn trace(store: &impl TraceStore, id: TraceId) -> Trace {
    store.trace(id).await.expect("reads").expect("the trace is known")
}

async fn spans(store: &impl TraceStore, id: TraceId) -> Vec<Span> {
    trace(store, id).await.spans
}

/// The summary of the only trace.
async fn only(store: &impl TraceStore) -> crate::store::TraceSummary {
    let mut page = store.search(&TraceQuery::default()).await.expect("lists");
    assert_eq!((page.items.len(), page.next), (1, None));
    page.items.remove(0)
}

fn messages(logs: &[LogRecord]) -> Vec<String> {
    logs.iter().map(|log| log.message().into_owned()).collect()
}
