//! Files of any format are told apart, and read back as they were written.

use fixpoint_trace::{
    formats::{Format, decode_any, detect},
    model::{Level, LogRecord, Record, Span, SpanContext, SpanId, Trace, TraceId},
    otlp,
};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::any;

fn sample() -> Trace {
    let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let span = Span { end: Some(9_000_000), ..Span::new(context, "work", 1_000_000) };
    let log = LogRecord { trace_id: Some(context.trace_id), ..LogRecord::new(5, Level::Info, "x") };
    Trace { spans: vec![span], logs: vec![log], ..Trace::default() }
}

#[test]
fn each_format_is_known_again_and_read() {
    let trace = sample();
    let span = Record::Span(trace.spans[0].clone());
    for (name, format, records) in [
        ("otlp", Format::OtlpJson, vec![span.clone(), Record::Log(trace.logs[0].clone())]),
        ("otlp-protobuf", Format::OtlpProtobuf, vec![span.clone()]),
        ("zipkin", Format::Zipkin, vec![span.clone()]),
        ("jaeger", Format::Jaeger, vec![span]),
    ] {
        assert_eq!(name.parse(), Ok(format));
        let file = format.write(&trace);
        assert_eq!(detect(&file), Some(format));
        let (of, decoded) = decode_any(&file).unwrap();
        assert_eq!((of, decoded.records), (format, records));
    }
}

#[test]
fn lines_of_json_are_read_one_after_another() {
    let trace = sample();
    let lines = format!("\n{}\n{}\n", otlp::to_json(&trace), otlp::logs_to_json(&trace.logs));
    let (format, decoded) = decode_any(lines.as_bytes()).unwrap();
    assert_eq!((format, decoded.accepted.accepted), (Format::OtlpJson, 2));
}

#[test]
fn log_lines_in_protobuf_are_told_from_spans() {
    let trace = sample();
    let file = otlp::encode_logs(&[&trace.logs[0]]);
    assert_eq!(decode_any(&file).unwrap().1.records, [Record::Log(trace.logs[0].clone())]);
}

#[test]
fn an_answer_for_several_traces_of_zipkin_and_one_of_jaegers_version_3_are_read() {
    let trace = sample();
    let zipkin = fixpoint_trace::zipkin::to_json(&trace);
    let (_, decoded) = decode_any(json!([zipkin, zipkin]).to_string().as_bytes()).unwrap();
    assert_eq!(decoded.records.len(), 2);
    let jaeger = serde_json::to_vec(&fixpoint_trace::jaeger::v3_document(&trace.spans)).unwrap();
    assert_eq!(decode_any(&jaeger).unwrap().1.records, [Record::Span(trace.spans[0].clone())]);
}

#[test]
fn a_file_of_no_known_format_is_refused_with_a_reason() {
    for (file, reason) in [
        (&b"hello"[..], "nor Jaeger"),
        (b"", "nor Jaeger"),
        (b"{}", "nor Jaeger"),
        (b"{\"resourceSpans\": [", "EOF"),
        (b"[1", "EOF"),
    ] {
        let error = decode_any(file).unwrap_err();
        assert_eq!(error.to_string(), "could not read a file of traces");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(reason), "{source}");
    }
}

#[test]
fn protobuf_that_begins_like_json_is_told_from_it() {
    let mut trace = sample();
    // A group of 123 bytes begins with a line feed and a bracket.
    while !otlp::encode_spans(&[&trace.spans[0]]).starts_with(b"\n{") {
        trace.spans[0].name.push('x');
    }
    assert_eq!(detect(&otlp::encode_spans(&[&trace.spans[0]])), Some(Format::OtlpProtobuf));
}

#[test]
fn documents_nested_without_end_are_refused() {
    for (open, close) in [
        ("[", "]"),
        (r#"{"data":["#, "]}"),
        (r#"{"resourceSpans":["#, "]}"),
        (r#"[{"traceId":"1","id":"1","tags":{"a":"#, "}}]"),
    ] {
        let bomb = open.repeat(50_000) + &close.repeat(50_000);
        assert!(decode_any(bomb.as_bytes()).is_err());
    }
}

proptest! {
    #[test]
    fn any_trace_is_known_again_in_any_format(spans in vec(any::span(), 1..3)) {
        let trace = Trace { spans, ..Trace::default() };
        for format in [Format::OtlpJson, Format::OtlpProtobuf, Format::Zipkin, Format::Jaeger] {
            let (of, decoded) = decode_any(&format.write(&trace)).unwrap();
            prop_assert_eq!(of, format);
            prop_assert_eq!(decoded.records.len(), trace.spans.len());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok((_, decoded)) = decode_any(&bytes) {
            prop_assert!(decoded.records.len() <= bytes.len());
        }
    }

    #[test]
    fn any_text_that_looks_like_json_is_read_or_refused(text in "[\\[{]([\\]\\[{}:,\" ]|\"spans\"|\"data\"|\"resourceSpans\"|null|1){0,40}") {
        let _ = decode_any(text.as_bytes());
    }
}
