//! What moves along, and what is found by its words, of a table that is filled by hand.

use std::{collections::HashSet, path::Path, sync::RwLock, time::Instant};

use super::{moving::GoingOn, *};
use crate::{
    model::{Attributes, Level, Record},
    store::tokens,
};

fn table(folder: &Path) -> Memtable {
    Memtable::new(Journal::create(folder, 1).unwrap())
}

fn store(table: &mut Memtable, records: &[Record]) {
    for request in Arrived::of_records(records).unwrap() {
        let frame = (request.signal, &*request.request);
        let places = table.journal.append([frame], false).unwrap();
        table.insert(&request, places[0]);
    }
}

fn span(trace_id: TraceId, parent: Option<SpanId>, end: Option<UnixNanos>) -> Span {
    let context = SpanContext { trace_id, span_id: SpanId::random() };
    Span { parent, end, ..Span::new(context, "step", 1) }
}

fn with(mut span: Span, name: &str, value: impl Into<String>) -> Span {
    span.attributes.insert(name.to_owned(), Value::String(value.into()));
    span
}

fn moves(table: &Memtable, at_most: usize) -> (HashSet<TraceId>, HashSet<SpanId>) {
    let GoingOn { whole, open } = table.going_on(at_most).unwrap();
    let decoded = |requests: Vec<_>| {
        let records = requests.into_iter().flat_map(|(signal, request): (_, bytes::Bytes)| {
            crate::otlp::decode(signal, &request).unwrap().records
        });
        records.collect::<Vec<_>>()
    };
    let whole = decoded(whole).into_iter().filter_map(|record| record.trace_id());
    let open = decoded(open).into_iter().filter_map(|record| match record {
        Record::Span(span) => Some(span.span_id),
        Record::Log(_) => None,
    });
    (whole.collect(), open.collect())
}

#[test]
fn a_trace_moves_along_while_it_is_open_or_may_be_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let [open, root_ended, on_its_way, large] = [(); 4].map(|()| TraceId::random());
    let mut table = table(folder.path());
    let of_large: Vec<Span> = (0..9).map(|n| span(large, None, (n > 0).then_some(2))).collect();
    let line = LogRecord::new(1, Level::Info, "line");
    let mut records = vec![
        Record::Span(span(open, None, None)),
        Record::Span(span(root_ended, None, Some(2))),
        Record::Span(span(on_its_way, Some(SpanId::random()), Some(2))),
        Record::Log(LogRecord { trace_id: Some(on_its_way), ..line }),
    ];
    records.extend(of_large.iter().cloned().map(Record::Span));
    store(&mut table, &records);
    let none = HashSet::new();
    assert_eq!(moves(&table, 99).0, [open, root_ended, on_its_way, large].into());
    table.since = Some(Instant::now() - Duration::from_secs(2));
    assert_eq!(moves(&table, 99), ([open, on_its_way, large].into(), none.clone()));
    // Of one that is too large, what is open.
    assert_eq!(moves(&table, 4), ([open, on_its_way].into(), [of_large[0].span_id].into()));
    table.since = Some(Instant::now() - Duration::from_secs(6));
    assert_eq!(moves(&table, 99), ([open, large].into(), none));
}

#[test]
fn what_moves_along_is_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = table(folder.path());
    let id = TraceId::random();
    let origin = |n: usize| Resource::from([("n".to_owned(), Value::Int(n as i64 / 3))]);
    let mut records: Vec<Record> = Vec::new();
    for n in 0..20 {
        let one = with(span(id, None, Some(2)), "text", "x".repeat(n * 5_000));
        records.push(Record::Span(Span { resource: Arc::new(origin(n)), ..one }));
        let line = LogRecord::new(n as u64, Level::Info, "line");
        records.push(Record::Log(LogRecord { trace_id: Some(id), ..line }));
    }
    store(&mut table, &records);
    let mut came = Trace::default();
    for record in records {
        match record {
            Record::Span(span) => came.spans.push(span),
            Record::Log(log) => came.logs.push(log),
        }
    }
    let mut moved = Trace::default();
    for (signal, request) in table.going_on(99).unwrap().whole {
        for record in crate::otlp::decode(signal, &request).unwrap().records {
            match record {
                Record::Span(span) => moved.spans.push(span),
                Record::Log(log) => moved.logs.push(log),
            }
        }
    }
    assert_eq!(moved, came);
}

/// In many small steps, so that runs are put together, and with spans that come again.
#[test]
fn a_trace_is_found_by_each_of_its_words_whenever_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let table = RwLock::new(table(folder.path()));
    let mut came: Vec<Span> = Vec::new();
    for round in 0..60 {
        let mut records = Vec::new();
        for n in 0..fastrand::usize(..40) {
            let mut one = match came.is_empty() || fastrand::bool() {
                true => span(TraceId::random(), None, None),
                false => fastrand::choice(&came).unwrap().clone(),
            };
            one = with(one, &format!("name-{round}"), format!("Value-{round}-{n}"));
            one = with(one, "fixpoint.response", r#"{"id":"i-0123456789abcdef0","x":"y z"}"#);
            one.attributes.insert("many".into(), Value::Array(vec![Value::Int(round), "b".into()]));
            one.resource = Arc::new(Attributes::from([("host".into(), "here".into())]));
            came.retain(|known| known.context() != one.context());
            came.push(one.clone());
            records.push(Record::Span(one));
            let line = LogRecord::new(1, Level::Info, "line");
            let attributes = Attributes::from([("line".into(), format!("l-{n}").as_str().into())]);
            let trace_id = fastrand::choice(&came).map(|span| span.trace_id);
            records.push(Record::Log(LogRecord { trace_id, attributes, ..line }));
        }
        store(&mut table.write().unwrap(), &records);
        // Of a span that came twice the last one counts.
        let counts = |record: &&Record| match record {
            Record::Span(span) => came.contains(span),
            Record::Log(_) => true,
        };
        for record in records.iter().filter(counts) {
            let Some(id) = record.trace_id() else { continue };
            tokens::words(record, &mut |word| {
                let found = Memtable::find(&table, word, false).unwrap();
                assert!(found.contains(&id), "{word} of {record:?}");
                if word.len() > tokens::PREFIX {
                    let beginning = &word[..=tokens::PREFIX];
                    assert!(Memtable::find(&table, beginning, true).unwrap().contains(&id));
                }
            });
        }
    }
    assert!(Memtable::find(&table, "no-such-word", true).unwrap().is_empty());
    let of_all = Memtable::find(&table, "here", false).unwrap();
    assert_eq!(of_all, came.iter().map(|span| span.trace_id).collect());
}
