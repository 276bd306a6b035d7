//! A merged segment against one that was written of what all of them hold together: most of it goes
//! on without being read, but for traces that several have something of.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use proptest::{collection::vec, option, prelude::*};

use super::super::{merge::write_merged, read::Gathered};
use crate::{
    model::{Level, LogRecord, Span, SpanContext, SpanId, Status, Trace, TraceId},
    otlp::proto,
    query::Query,
    store::{
        Columns, RateQuery,
        rollup::Rollup,
        segment::{Segment, Writer},
        summary::Tally,
    },
};

const QUERIES: &[&str] = &[
    "k = 0",
    "k = 1",
    "k = 2",
    "name = a",
    "root = a",
    "root = b",
    "service = a and name = b and duration > 4ns",
    "service = a and name = a and duration > 1ns",
    "error",
    "log ~ gone",
    "missing(name = a) after name = b",
];

fn id(n: u8) -> TraceId {
    TraceId::from_bytes([n + 1; 16]).unwrap()
}

/// Few ids, so that segments share traces, and spans are said twice.
fn span() -> impl Strategy<Value = Span> {
    let ids = (0u8..12, 0u8..5, option::of(0u8..5));
    let names = (prop_oneof!["a", "b"], prop_oneof!["a", "c"], 0u8..3);
    (ids, names, (1u64..50, 0u64..20), any::<bool>()).prop_map(
        |((trace, span, parent), (name, service, k), (start, length), failed)| {
            let span_id = |n| SpanId::from_bytes([n + 1; 8]).unwrap();
            let context = SpanContext { trace_id: id(trace), span_id: span_id(span) };
            Span {
                parent: parent.map(span_id),
                end: Some(start + length),
                status: if failed { Status::Error("no".into()) } else { Status::Unset },
                attributes: [("k".to_owned(), k.to_string().into())].into(),
                resource: Arc::new([("service.name".to_owned(), service.into())].into()),
                ..Span::new(context, name, start)
            }
        },
    )
}

fn line() -> impl Strategy<Value = LogRecord> {
    (option::of(0u8..16), 1u64..50, prop_oneof!["gone", "here"]).prop_map(|(trace, time, text)| {
        LogRecord { trace_id: trace.map(id), ..LogRecord::new(time, Level::Info, text) }
    })
}

type Traces = BTreeMap<TraceId, Gathered>;

fn sorted(traces: Traces) -> Vec<(TraceId, Trace)> {
    let whole = |(id, found): (TraceId, Gathered)| Some((id, found.into_trace()?));
    let mut traces: Vec<_> = traces.into_iter().filter_map(whole).collect();
    traces.sort_by_key(|(id, trace)| (Tally::of(*id, trace).into_summary().start, *id));
    traces
}

fn write(folder: &Path, n: u64, traces: &[(TraceId, Trace)], loose: &[LogRecord]) -> Segment {
    // Of one row, or two: long traces lie in several.
    let mut writer = Writer::grouped(folder, n, 1).unwrap();
    for (id, trace) in traces {
        writer.trace(Some(*id)).unwrap();
        for span in &trace.spans {
            let message = proto::encode_span(span);
            writer.span_message(&span.resource, &span.scope, &message).unwrap();
        }
        for log in &trace.logs {
            writer.log_message(&log.resource, &log.scope, &proto::encode_log(log)).unwrap();
        }
    }
    writer.trace(None).unwrap();
    for log in loose {
        writer.log_message(&log.resource, &log.scope, &proto::encode_log(log)).unwrap();
    }
    let meta = writer.finish().unwrap();
    Segment::open(folder, n, meta).unwrap()
}

fn rates(segment: &Segment) -> String {
    let (query, mut rollup) = (RateQuery { step: 1, ..RateQuery::default() }, Rollup::default());
    segment.rates(&query, &mut rollup).unwrap();
    format!("{:?}", rollup.rates(&query))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merged_is_like_written_at_once(
        parts in vec((vec(span(), 0..16), vec(line(), 0..8)), 1..4),
        least in prop_oneof![Just(1u64), Just(2), Just(1000)],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (mut segments, mut all, mut all_loose) = (Vec::new(), Traces::new(), Vec::new());
        for (n, (spans, lines)) in (0..).zip(parts) {
            let (mut traces, mut loose) = (Traces::new(), Vec::new());
            let spans = spans.into_iter();
            let pieces = spans.map(|span| (span.trace_id, vec![span], Vec::new()));
            let lines = lines.into_iter().filter_map(|line| match line.trace_id {
                Some(id) => Some((id, Vec::new(), vec![line])),
                None => {
                    loose.push(line);
                    None
                }
            });
            for (id, spans, logs) in pieces.chain(lines) {
                traces.entry(id).or_default().add(Trace { spans, logs, partial: None });
            }
            let traces = sorted(traces);
            if traces.is_empty() && loose.is_empty() {
                continue;
            }
            segments.push(Arc::new(write(folder.path(), n, &traces, &loose)));
            for (id, trace) in traces {
                all.entry(id).or_default().add(trace);
            }
            all_loose.extend(loose);
        }
        let stop = AtomicBool::new(false);
        let meta = write_merged(&segments, folder.path(), 8, (None, least), &stop).unwrap().unwrap();
        let Some(meta) = meta else { prop_assert!(segments.is_empty()); return Ok(()) };
        let all = sorted(all);
        let once = write(folder.path(), 9, &all, &all_loose);
        let merged = Segment::open(folder.path(), 8, meta).unwrap();
        let counts = |segment: &Segment| {
            let meta = segment.meta();
            (meta.traces, meta.spans, meta.logs, meta.min_start, meta.max_start)
        };
        prop_assert_eq!(counts(&merged), counts(&once));
        let numbers: Vec<u32> = (0..merged.meta().traces).collect();
        for (number, (id, trace)) in (0..).zip(&all) {
            prop_assert_eq!(merged.ordinal(*id).unwrap(), Some(number));
            prop_assert_eq!(merged.summary(number).unwrap(), Tally::of(*id, trace).into_summary());
        }
        for columns in [Columns::All, Columns::Light] {
            let read = merged.read(&numbers, columns).unwrap();
            prop_assert_eq!(&read, &once.read(&numbers, columns).unwrap());
        }
        let lines = |segment: &Segment| {
            let lines = segment.logs(|_| true, 99).unwrap();
            let mut lines: Vec<_> = lines.iter().map(|line| format!("{line:?}")).collect();
            lines.sort();
            lines
        };
        prop_assert_eq!(lines(&merged), lines(&once));
        prop_assert_eq!(rates(&merged), rates(&once));
        for query in QUERIES {
            let parsed: Query = query.parse().unwrap();
            let found = merged.candidates(&parsed).unwrap();
            let found: BTreeMap<u32, bool> = (0..found.len()).filter_map(|n| found.get(n)).collect();
            for (number, (_, trace)) in (0..).zip(&all) {
                let (sure, matches) = (found.get(&number), parsed.matches(trace));
                prop_assert!(!matches || sure.is_some(), "left out: {query} {trace:?}");
                prop_assert!(matches || sure != Some(&true), "not so: {query} {trace:?}");
            }
        }
        for (number, (id, _)) in (0..).zip(&all) {
            let mut spans = merged.read(&[number], Columns::All).unwrap().remove(0).spans;
            let Some(span) = spans.pop() else { continue };
            let found = merged.find(&span.span_id.to_string()).unwrap();
            prop_assert!(found.iter().any(|it| it.0 == *id));
        }
    }
}
