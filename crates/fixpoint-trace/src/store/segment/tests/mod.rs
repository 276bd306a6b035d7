//! A segment gives back what was written to it, and its index agrees with a look at everything.

mod candidates;
mod damage;
mod measure;
mod terms;

use std::{collections::BTreeSet, fs, path::Path};

use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

use super::*;
use crate::{
    model::{Kind, Record, Span, SpanContext, SpanId},
    otlp::{
        proto,
        view::{LogView, SpanView, Spare},
    },
    store::{RateQuery, rollup::Rollup, summary::Tally},
};

/// The public tests' idea of any span; one for both.
#[path = "../../../../tests/trace/any.rs"]
mod any;

/// A segment in a folder that goes away with it.
struct Written {
    folder: TempDir,
    segment: Segment,
    traces: Vec<Trace>,
}

/// Writes traces, put in their order, and lines without a trace.
fn write(mut traces: Vec<Trace>, loose: Vec<LogRecord>) -> Written {
    traces.sort_by_key(|trace| (start(trace), id(trace)));
    let folder = tempfile::tempdir().unwrap();
    let meta = write_to(folder.path(), 7, 64 << 10, &traces, &loose);
    let segment = Segment::open(folder.path(), 7, meta).unwrap();
    Written { folder, segment, traces }
}

/// The same, and the same put together of three segments with groups of a row or two. Every
/// fifth trace, and those in its groups, are written anew.
fn write_both(traces: Vec<Trace>, loose: Vec<LogRecord>) -> [Written; 2] {
    let folder = tempfile::tempdir().unwrap();
    let whole = write(traces, loose);
    let loose = loose_lines(&whole.segment).unwrap();
    let mut writer = Writer::grouped(folder.path(), 7, 1).unwrap();
    let (mut left, mut left_loose) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let of_this = whole.traces.iter().skip(n).step_by(3).cloned().collect::<Vec<_>>();
        let lines = loose.iter().skip(n).step_by(3).cloned().collect::<Vec<_>>();
        let meta = write_to(folder.path(), n as u64, 1, &of_this, &lines);
        let segment = Arc::new(Segment::open(folder.path(), n as u64, meta).unwrap());
        let anew: Vec<bool> = (0..of_this.len()).map(|place| (place + n) % 5 == 0).collect();
        let carry = Carry::of(&segment, &anew, 1).unwrap();
        for (trace, goes_on) in of_this.into_iter().zip(carry.traces()) {
            left.extend((!goes_on).then_some((trace, !carry.is_empty())));
        }
        left_loose.extend(carry.loose().unwrap());
        if !carry.is_empty() {
            writer.carry(carry).unwrap();
        }
    }
    for (trace, was_counted) in left {
        let spans = trace.spans.iter().filter(|_| was_counted);
        spans.for_each(|span| writer.discount(span));
        write_trace(&mut writer, &trace);
    }
    if !left_loose.is_empty() {
        writer.trace(None).unwrap();
        write_logs(&mut writer, &left_loose);
    }
    let meta = writer.finish().unwrap();
    let compared = |meta: &Meta| Meta { bytes: 0, ..meta.clone() };
    assert_eq!(compared(&meta), compared(whole.segment.meta()));
    let segment = Segment::open(folder.path(), 7, meta).unwrap();
    let traces = whole.traces.clone();
    [whole, Written { folder, segment, traces }]
}

fn write_to(folder: &Path, n: u64, group: usize, traces: &[Trace], loose: &[LogRecord]) -> Meta {
    let mut writer = Writer::grouped(folder, n, group).unwrap();
    traces.iter().for_each(|trace| write_trace(&mut writer, trace));
    if !loose.is_empty() {
        writer.trace(None).unwrap();
        write_logs(&mut writer, loose);
    }
    writer.finish().unwrap()
}

fn write_trace(writer: &mut Writer, trace: &Trace) {
    let mut spare = Spare::default();
    writer.trace(Some(id(trace))).unwrap();
    for span in &trace.spans {
        let bytes = proto::encode_span(span);
        let view = SpanView::parse(&bytes, &mut spare).unwrap();
        writer.span(&span.resource, &span.scope, &view).unwrap();
    }
    write_logs(writer, &trace.logs);
}

/// Lines without a trace.
fn loose_lines(segment: &Segment) -> Result<Vec<LogRecord>, SegmentError> {
    let traces: Vec<u32> = (0..segment.meta.traces).collect();
    let of_traces = segment.index.pieces(&traces, |piece| u64::from(piece.logs))?;
    let lines = of_traces.into_iter().sum::<u64>()..segment.meta.logs;
    segment.rows()?.lines(std::slice::from_ref(&lines))
}

fn write_logs(writer: &mut Writer, logs: &[LogRecord]) {
    for log in logs {
        let bytes = proto::encode_log(log);
        let view = LogView::parse(&bytes, &mut Spare::default()).unwrap();
        writer.log(&log.resource, &log.scope, &view).unwrap();
    }
}

fn id(trace: &Trace) -> TraceId {
    let of_span = trace.spans.first().map(|span| span.trace_id);
    of_span.or_else(|| trace.logs.first()?.trace_id).unwrap()
}

fn start(trace: &Trace) -> UnixNanos {
    let spans = trace.spans.iter().map(|span| span.start).min();
    spans.or_else(|| trace.logs.iter().map(|log| log.time).min()).unwrap()
}

/// Any trace: spans of one id, or lines of it, or both.
fn trace() -> impl Strategy<Value = Trace> {
    let parts = (any::trace_id(), vec(any::span(), 0..5), vec(any::log(), 0..3));
    parts
        .prop_filter("not empty", |(_, spans, logs)| !spans.is_empty() || !logs.is_empty())
        .prop_map(|(id, mut spans, mut logs)| {
            spans.iter_mut().for_each(|span| span.trace_id = id);
            logs.iter_mut().for_each(|log| log.trace_id = Some(id));
            Trace { spans, logs, partial: None }
        })
}

fn loose() -> impl Strategy<Value = Vec<LogRecord>> {
    vec(any::log().prop_map(|log| LogRecord { trace_id: None, ..log }), 0..9)
}

/// Spans of which only what is said is known.
fn named(trace_id: TraceId, name: &str, start: UnixNanos) -> Span {
    Span::new(SpanContext { trace_id, span_id: SpanId::random() }, name, start)
}

/// A trace of so many spans.
fn plain(spans: usize, start: UnixNanos) -> Trace {
    let id = TraceId::random();
    let spans = (0..spans).map(|n| named(id, "call", start + n as u64)).collect();
    Trace { spans, ..Trace::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_read_is_what_was_written(traces in vec(trace(), 0..12), loose in loose()) {
        for written in write_both(traces, loose.clone()) {
            let all: Vec<u32> = (0..written.segment.meta().traces).collect();
            let read = written.segment.read(&all, Columns::All).unwrap();
            prop_assert_eq!(&read, &written.traces);
            let said = |lines: &[LogRecord]| {
                let mut said: Vec<_> = lines.iter().map(|line| format!("{line:?}")).collect();
                said.sort();
                said
            };
            prop_assert_eq!(said(&loose_lines(&written.segment).unwrap()), said(&loose));
            for (ordinal, trace) in (0..).zip(&written.traces) {
                prop_assert_eq!(written.segment.ordinal(id(trace)).unwrap(), Some(ordinal));
                let summary = Tally::of(id(trace), trace).into_summary();
                prop_assert_eq!(written.segment.summary(ordinal).unwrap(), summary);
                prop_assert_eq!(written.segment.before((start(trace), id(trace))).unwrap(), ordinal);
            }
        }
    }

    #[test]
    fn a_light_read_has_what_a_waterfall_shows(traces in vec(trace(), 1..5)) {
        for written in write_both(traces, Vec::new()) {
            let all: Vec<u32> = (0..written.segment.meta().traces).collect();
            let read = written.segment.read(&all, Columns::Light).unwrap();
            let shown = |span: &Span| {
                let times = (span.start, span.end);
                let names = (span.name.clone(), span.service().to_owned(), span.kind);
                (span.context(), span.parent, times, names, span.status.clone())
            };
            for (light, whole) in read.iter().zip(&written.traces) {
                let lines = &light.logs;
                let light: Vec<_> = light.spans.iter().map(shown).collect();
                prop_assert_eq!(light, whole.spans.iter().map(shown).collect::<Vec<_>>());
                let said = |log: &LogRecord| (log.trace_id, log.time);
                prop_assert!(lines.iter().map(said).eq(whole.logs.iter().map(said)));
            }
        }
    }

    #[test]
    fn rates_are_those_of_a_recount(traces in vec(trace(), 0..6)) {
        let mut traces = traces;
        // An operation is of one kind, or else of that of the span that is counted first.
        traces.iter_mut().flat_map(|it| &mut it.spans).for_each(|span| span.kind = Kind::Client);
        for written in write_both(traces, Vec::new()) {
            let (mut counted, mut read) = (Rollup::default(), Rollup::default());
            written.traces.iter().flat_map(|it| &it.spans).for_each(|span| counted.add(span));
            let all = RateQuery { step: 1, ..RateQuery::default() };
            written.segment.rates(&all, &mut read).unwrap();
            prop_assert_eq!(read.rates(&all), counted.rates(&all));
        }
    }

    #[test]
    fn every_word_of_a_trace_finds_it(traces in vec(trace(), 1..6)) {
        for written in write_both(traces, Vec::new()) {
            for trace in &written.traces {
                let spans = trace.spans.iter().cloned().map(Record::Span);
                let mut words = BTreeSet::new();
                for record in spans.chain(trace.logs.iter().cloned().map(Record::Log)) {
                    tokens::words(&record, &mut |word| {
                        words.insert(word.to_owned());
                    });
                }
                for word in words.iter().filter(|word| !word.is_empty()) {
                    let found = written.segment.find(word).unwrap();
                    prop_assert!(found.iter().any(|it| it.0 == id(trace)), "{:?}", word);
                    let beginning: String = word.chars().take(tokens::PREFIX).collect();
                    if beginning.len() >= tokens::PREFIX {
                        let found = written.segment.find(&beginning).unwrap();
                        prop_assert!(found.iter().any(|it| it.0 == id(trace)), "{:?}", beginning);
                    }
                    for (sure, _) in found.iter().filter(|it| it.1) {
                        prop_assert!(occurs(word, written.traces.iter().find(|it| id(it) == *sure)));
                    }
                }
            }
        }
    }
}

fn occurs(wanted: &str, trace: Option<&Trace>) -> bool {
    let Some(trace) = trace else { return false };
    let beginning = wanted.len() >= tokens::PREFIX;
    let mut occurs = false;
    let mut look = |word: &str| occurs |= word == wanted || beginning && word.starts_with(wanted);
    trace.spans.iter().for_each(|it| tokens::words(&Record::Span(it.clone()), &mut look));
    trace.logs.iter().for_each(|it| tokens::words(&Record::Log(it.clone()), &mut look));
    occurs
}

#[test]
fn traces_of_many_groups_and_pages_are_read_in_any_selection() {
    let mut traces: Vec<Trace> = (0..400).map(|n| plain(1 + n % 7, n as u64)).collect();
    // Larger than any group of rows.
    traces.push(plain(140_000, 400));
    traces.extend((0..400).map(|n| plain(1 + n % 5, 500 + n as u64)));
    let written = write(traces, Vec::new());
    let wanted: Vec<u32> = (0..801).filter(|n| n % 13 == 0 || *n == 400).collect();
    for (trace, ordinal) in written.segment.read(&wanted, Columns::All).unwrap().iter().zip(&wanted)
    {
        assert_eq!(trace, &written.traces[*ordinal as usize]);
    }
    for (ordinal, trace) in (0..).zip(&written.traces) {
        assert_eq!(written.segment.ordinal(id(trace)).unwrap(), Some(ordinal));
    }
    assert_eq!(written.segment.ordinal(TraceId::random()).unwrap(), None);
}

#[test]
fn of_attributes_with_one_name_the_last_counts() {
    let span = named(TraceId::random(), "call", 1);
    let attribute =
        |value: &str| Span { attributes: [("k".to_owned(), value.into())].into(), ..span.clone() };
    let mut bytes = proto::encode_span(&attribute("first"));
    // Of a message, fields may come in any order and number.
    bytes.extend(proto::encode_span(&attribute("last")));
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(folder.path(), 7).unwrap();
    writer.trace(Some(span.trace_id)).unwrap();
    let view = SpanView::parse(&bytes, &mut Spare::default()).unwrap();
    assert_eq!(view.attributes.len(), 2);
    writer.span(&span.resource, &span.scope, &view).unwrap();
    let meta = writer.finish().unwrap();
    let segment = Segment::open(folder.path(), 7, meta).unwrap();
    assert_eq!(segment.read(&[0], Columns::All).unwrap()[0].spans, [attribute("last")]);
    assert_eq!(segment.find("first").unwrap(), []);
    assert_eq!(segment.find("last").unwrap().len(), 1);
}

#[test]
fn the_newest_lines_are_read_of_all_traces_and_of_none() {
    let line = |time, trace_id| LogRecord {
        trace_id,
        ..LogRecord::new(time, crate::model::Level::Info, format!("line {time}"))
    };
    let with_lines = |times: &[u64]| {
        let id = TraceId::random();
        Trace { logs: times.iter().map(|time| line(*time, Some(id))).collect(), ..Trace::default() }
    };
    let written = write(
        vec![with_lines(&[1, 5, 9]), with_lines(&[4, 8])],
        vec![line(3, None), line(7, None)],
    );
    let times = |logs: Vec<LogRecord>| logs.iter().map(|log| log.time).collect::<Vec<_>>();
    assert_eq!(times(written.segment.logs(|_| true, 4).unwrap()), [5, 7, 8, 9]);
    assert_eq!(times(written.segment.logs(|_| true, 99).unwrap()), [1, 3, 4, 5, 7, 8, 9]);
    assert_eq!(times(loose_lines(&written.segment).unwrap()), [3, 7]);
}

#[test]
fn attributes_are_told_with_their_values_if_these_are_few() {
    let id = TraceId::random();
    let spans = (0..100).map(|n| {
        let attributes = [
            ("region".to_owned(), format!("eu-{}", n % 3).into()),
            ("request".to_owned(), format!("r-{n}").into()),
        ];
        Span { attributes: attributes.into(), ..named(id, "call", n) }
    });
    let written = write(vec![Trace { spans: spans.collect(), ..Trace::default() }], Vec::new());
    let told = |name| written.segment.attributes(name).unwrap();
    assert_eq!(told(None), ["region", "request"]);
    assert_eq!(told(Some("region")), ["eu-0", "eu-1", "eu-2"]);
    assert!(told(Some("request")).is_empty());
}

#[test]
fn files_of_no_segment_are_swept_and_those_of_one_removed() {
    let written = write(vec![plain(3, 1)], Vec::new());
    let folder = written.folder.path();
    fs::write(folder.join("segment-00000008.parquet"), "unfinished").unwrap();
    fs::write(folder.join("segment-00000007.index.part"), "half of it").unwrap();
    fs::write(folder.join("manifest.json"), "{}").unwrap();
    sweep(folder, &|id| id == 7).unwrap();
    let names = || {
        let all = fs::read_dir(folder).unwrap();
        let names = all.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<BTreeSet<_>>()
    };
    let left = ["manifest.json", "segment-00000007.index", "segment-00000007.parquet"];
    assert_eq!(names(), left.map(str::to_owned).into());
    Files::of(folder, 7).remove().unwrap();
    assert_eq!(names(), ["manifest.json".to_owned()].into());
    // Whoever has it open reads on.
    assert_eq!(written.segment.read(&[0], Columns::All).unwrap(), written.traces);
}
