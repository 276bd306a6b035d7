//! OTLP in protobuf: everything comes back, and another implementation reads and writes the same.

use fixpoint_trace::{
    model::{Attributes, LogRecord, Record, Span, Value},
    otlp::{self, Decoded},
    store::Signal,
};
use opentelemetry_proto::tonic::{logs::v1::LogsData, trace::v1::TracesData};
use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;

use crate::any;

fn encode(spans: &[Span]) -> Vec<u8> {
    otlp::encode_spans(&spans.iter().collect::<Vec<_>>())
}

fn encode_logs(logs: &[LogRecord]) -> Vec<u8> {
    otlp::encode_logs(&logs.iter().collect::<Vec<_>>())
}

fn spans(decoded: Decoded) -> Vec<Span> {
    assert_eq!(decoded.accepted.accepted, decoded.records.len() as u64);
    let span = |record| match record {
        Record::Span(span) => span,
        Record::Log(log) => panic!("no span: {log:?}"),
    };
    decoded.records.into_iter().map(span).collect()
}

fn logs(decoded: Decoded) -> Vec<LogRecord> {
    assert_eq!(decoded.accepted.accepted, decoded.records.len() as u64);
    let log = |record| match record {
        Record::Log(log) => log,
        Record::Span(span) => panic!("no line: {span:?}"),
    };
    decoded.records.into_iter().map(log).collect()
}

/// A field of a message, with a length of one byte.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, content.len().try_into().unwrap()], content].concat()
}

#[test]
fn of_a_value_that_is_said_to_be_several_the_last_counts() {
    let (text, list, map) = (field(1, b"b"), field(5, b""), field(6, b""));
    for (said, wanted) in [
        ([&text[..], &list], Value::Array(vec![])),
        ([&text[..], &map], Value::Map(Attributes::new())),
        ([&map[..], &text], Value::String("b".into())),
        ([&list[..], &[2 << 3, 1]], Value::Bool(true)),
    ] {
        let body = field(5, &said.concat());
        let request = field(1, &field(2, &field(2, &body)));
        let read = logs(otlp::decode(Signal::Logs, &request).unwrap());
        assert_eq!(read[0].body, wanted);
    }
}

#[test]
fn an_empty_request_holds_nothing() {
    let decoded = otlp::decode(Signal::Traces, &[]).unwrap();
    assert!(decoded.records.is_empty() && decoded.accepted == Default::default());
}

#[test]
fn a_length_that_lies_is_an_error_that_says_so() {
    let error = otlp::decode(Signal::Logs, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    assert_eq!(error.to_string(), "could not read OTLP logs in protobuf");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "a field is longer than what is left of its message");
}

proptest! {
    #[test]
    fn any_spans_come_back_from_protobuf_as_they_were(all in vec(any::span(), 0..5)) {
        prop_assert_eq!(spans(otlp::decode(Signal::Traces, &encode(&all)).unwrap()), all);
    }

    #[test]
    fn any_log_lines_come_back_from_protobuf_as_they_were(all in vec(any::log(), 0..5)) {
        prop_assert_eq!(logs(otlp::decode(Signal::Logs, &encode_logs(&all)).unwrap()), all);
    }

    #[test]
    fn another_implementation_reads_what_is_written(all in vec(any::span(), 0..4)) {
        let request = encode(&all);
        let theirs = TracesData::decode(&request[..]).unwrap();
        let groups = theirs.resource_spans.iter().flat_map(|group| &group.scope_spans);
        let names: Vec<&str> =
            groups.flat_map(|group| &group.spans).map(|span| span.name.as_str()).collect();
        prop_assert_eq!(names, all.iter().map(|span| span.name.as_str()).collect::<Vec<_>>());
        // And writes the same again, which we read as we read our own.
        let again = theirs.encode_to_vec();
        prop_assert_eq!(spans(otlp::decode(Signal::Traces, &again).unwrap()), all);
    }

    #[test]
    fn another_implementation_reads_the_log_lines_that_are_written(all in vec(any::log(), 0..4)) {
        let theirs = LogsData::decode(&encode_logs(&all)[..]).unwrap();
        prop_assert_eq!(logs(otlp::decode(Signal::Logs, &theirs.encode_to_vec()).unwrap()), all);
    }

    #[test]
    fn what_another_implementation_takes_of_a_damaged_request_is_taken_or_counted(
        all in vec(any::span(), 1..3),
        hits in vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut request = encode(&all);
        for (place, to) in hits {
            let at = place.index(request.len());
            request[at] = to;
        }
        let ours = otlp::decode(Signal::Traces, &request);
        if let Ok(theirs) = TracesData::decode(&request[..]) {
            let groups = theirs.resource_spans.iter().flat_map(|group| &group.scope_spans);
            let count = groups.map(|group| group.spans.len() as u64).sum::<u64>();
            let accepted = ours.unwrap().accepted;
            prop_assert_eq!(accepted.accepted + accepted.rejected, count);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300)) {
        for signal in [Signal::Traces, Signal::Logs] {
            // Every record takes some bytes of its own.
            let records = otlp::decode(signal, &bytes).map_or(0, |decoded| decoded.records.len());
            prop_assert!(records <= bytes.len() / 2);
        }
    }
}
