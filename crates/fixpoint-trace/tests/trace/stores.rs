//! Both stores keep the contract, agree with each other, and the disk's keeps what it was told.

use std::sync::Arc;

use fixpoint_trace::{
    model::{
        Level, LogRecord, Record, Resource, Span, SpanContext, SpanId, Status, TraceId, Value,
    },
    store::{
        LogQuery, TraceQuery, TraceStore,
        engine::{Durability, Engine, Options},
        memory::MemoryStore,
    },
    testing,
};

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    testing::contract(async || MemoryStore::default()).await;
}

#[tokio::test]
async fn the_store_on_disk_keeps_the_contract() {
    keeps_the_contract(fast()).await;
}

/// Every few records are sealed, so that hardly a trace lies in one place.
#[tokio::test]
async fn the_store_on_disk_keeps_the_contract_in_many_small_segments() {
    keeps_the_contract(sealing(2)).await;
    keeps_the_contract(sealing(7)).await;
}

async fn keeps_the_contract(options: Options) {
    let folder = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    testing::contract(async || {
        count.set(count.get() + 1);
        Engine::open(folder.path().join(count.get().to_string()), options.clone()).unwrap()
    })
    .await;
}

/// Without the disk's own slowness, which has no part in what is tested.
fn fast() -> Options {
    Options { durability: Durability::ProcessDeath, ..Options::default() }
}

fn sealing(records: usize) -> Options {
    Options { seal_records: records, ..fast() }
}

#[tokio::test]
async fn a_store_on_disk_that_is_opened_again_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let records = some_records(3);
    let Record::Span(first) = &records[0] else { panic!("a span comes first") };
    let before = {
        let store = Engine::open(folder.path(), Options::default()).unwrap();
        store.append(&records).await.unwrap();
        everything(&store).await
    };
    let store = Engine::open(folder.path(), Options::default()).unwrap();
    assert_eq!(everything(&store).await, before);
    assert_eq!(store.find(&first.span_id.to_string(), None, 10).await.unwrap().len(), 1);
    // Lines of the same moment do not replace those of the life before.
    store.append(&records).await.unwrap();
    let lines = store.logs(&LogQuery::default()).await.unwrap().len();
    assert_eq!(lines, 2 * before.2.len());
}

#[tokio::test]
async fn a_directory_is_open_in_one_store_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _store = Engine::open(folder.path(), Options::default()).unwrap();
    let error = Engine::open(folder.path(), Options::default()).unwrap_err();
    assert!(error.to_string().starts_with("the trace store could not open "), "{error}");
    let why = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(why.as_deref(), Some("another Fixpoint server is using this folder"));
}

/// Random records, in random batches, to all; one store seals all the time, and merges in between.
#[tokio::test]
async fn the_stores_agree_about_any_records() {
    for seed in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryStore::default();
        let disk = Engine::open(folder.path().join("plain"), fast()).unwrap();
        let sealed = Engine::open(folder.path().join("sealed"), sealing(9)).unwrap();
        let mut records = some_records(seed);
        while !records.is_empty() {
            let batch: Vec<_> = records.drain(..records.len().min(7)).collect();
            memory.append(&batch).await.unwrap();
            disk.append(&batch).await.unwrap();
            sealed.append(&batch).await.unwrap();
        }
        let expected = everything(&memory).await;
        assert_eq!(everything(&disk).await, expected, "seed {seed}");
        assert_eq!(everything(&sealed).await, expected, "seed {seed}, while it seals");
        sealed.settle().await.unwrap();
        assert_eq!(everything(&sealed).await, expected, "seed {seed}, settled");
    }
}

type Everything = (Vec<String>, Vec<Span>, Vec<LogRecord>, Vec<String>);

async fn everything(store: &impl TraceStore) -> Everything {
    let page = store.search(&TraceQuery { limit: 1000, ..TraceQuery::default() }).await.unwrap();
    let mut traces = Vec::new();
    for item in &page.items {
        let mut trace = store.trace(item.trace_id).await.unwrap().unwrap();
        trace.logs.sort_by_key(|log| (log.time, log.message().into_owned()));
        traces.push(format!("{trace:?}"));
    }
    let summaries = page.items.iter().map(|item| format!("{item:?}")).collect();
    let mut open = store.open_spans().await.unwrap();
    open.sort_by_key(|span| (span.start, span.span_id));
    (summaries, open, store.logs(&LogQuery::default()).await.unwrap(), traces)
}

/// Spans that open, change and end, and lines, of a few traces.
fn some_records(seed: u64) -> Vec<Record> {
    let mut random = fastrand::Rng::with_seed(seed);
    let traces: Vec<_> = (1..4).map(|n| TraceId::from_bytes([n; 16]).unwrap()).collect();
    let resource =
        Arc::new(Resource::from([("service.name".to_owned(), Value::String("test".to_owned()))]));
    let mut known: Vec<Span> = Vec::new();
    let mut records = Vec::new();
    for time in 1..60 {
        let trace_id = traces[random.usize(..traces.len())];
        match random.u8(..4) {
            0 | 1 => {
                let above = known.iter().filter(|span| span.trace_id == trace_id);
                let parent = above.map(|span| span.span_id).next_back();
                let mut id = [0; 8];
                random.fill(&mut id);
                let span_id = SpanId::from_bytes(id).unwrap();
                // Distinct, so that there is one right order, and not always rising.
                let start = 1000 + time * 7 % 60;
                let span = Span {
                    parent: parent.filter(|_| random.u8(..5) > 0),
                    resource: resource.clone(),
                    ..Span::new(SpanContext { trace_id, span_id }, format!("span {time}"), start)
                };
                known.push(span.clone());
                records.push(Record::Span(span));
            }
            2 if !known.is_empty() => {
                let at = random.usize(..known.len());
                let span = &mut known[at];
                span.end = random.bool().then_some(2000 + time);
                span.attributes.insert("seen".into(), Value::Int(time as i64));
                span.status =
                    if random.bool() { Status::Error(time.to_string()) } else { Status::Ok };
                records.push(Record::Span(span.clone()));
            }
            _ => records.push(Record::Log(LogRecord {
                trace_id: Some(trace_id).filter(|_| random.bool()),
                ..LogRecord::new(1000 + time, Level::Warn, format!("line {time}"))
            })),
        }
    }
    if !matches!(records[0], Record::Span(_)) {
        let at = records.iter().position(|record| matches!(record, Record::Span(_))).unwrap();
        records.swap(0, at);
    }
    records
}
