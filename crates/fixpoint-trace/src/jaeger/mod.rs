//! Jaeger's JSON: what its query API answers and its page downloads, read and written.
//!
//! For Grafana, for Jaeger's own page, and for files that people keep. Not here: HTTP, and the
//! ways in, which are OTLP's. The surprise: version 3 of the API is OTLP in an envelope, so that
//! there is nothing to map.
//!
//! Mapped as OpenTelemetry and Jaeger do. The whole of it, and what is lost, is in
//! `docs/formats.md`.

mod read;
mod tag;
mod wire;
mod write;

use serde::Serialize;
use serde_json::{Value as Json, value::RawValue};

use crate::{
    formats::{Decoded, FormatError, lenient::Int, raw},
    model::{Record, Span, Trace},
    otlp,
};

/// Says what a link is, when it is not `FOLLOWS_FROM`; as OpenTelemetry's collector has it.
const REF_TYPE: &str = "opentracing.ref_type";
/// The value of [`REF_TYPE`] for one more `CHILD_OF`.
const CHILD_OF: &str = "child_of";
/// The tag that says the kind of a span.
const KIND: &str = "span.kind";
/// The field of a log that says what happened.
const EVENT: &str = "event";
/// The field of a log that says how many others were left out.
const EVENT_DROPPED: &str = "otel.event.dropped_attributes_count";
/// The warning on a span that has not ended, since Jaeger wants a duration of each.
const OPEN: &str = "This span had not ended yet.";

/// Traces as `{"data": [...], "total": …, "limit": 0, "offset": 0, "errors": null}`. Log lines
/// have no place in it; what a trace lacks stands in its warnings.
pub fn to_json(traces: &[Trace]) -> Json {
    let data: Vec<_> = traces.iter().map(write::trace).collect();
    let total = Int(data.len() as u64);
    let answer = wire::Answer { data, total, ..Default::default() };
    serde_json::to_value(answer).expect("wire types have text keys and no failing serialiser")
}

/// Reads an answer of the query API, a file downloaded from Jaeger's page, or one trace of these.
///
/// # Errors
/// If it is none. Spans that are not valid are only counted.
pub fn decode(json: &[u8]) -> Result<Decoded, FormatError> {
    raw::document(json)
        .and_then(decode_document)
        .map_err(|error| FormatError::new("Jaeger spans", error))
}

/// The same, of a document among others.
pub(crate) fn decode_document(document: &RawValue) -> Result<Decoded, serde_json::Error> {
    let file: read::File<'_> = raw::object(document)?;
    let traces = if file.spans.is_some() { vec![document] } else { file.data.unwrap_or_default() };
    let mut decoded = Decoded::default();
    for trace in traces {
        let trace: read::File<'_> = raw::object(trace)?;
        let mut processes = read::Processes::new(raw::parse(trace.processes)?);
        for span in trace.spans.into_iter().flatten() {
            match raw::parse(Some(span)).map(|span| read::span(span, &mut processes)) {
                Ok(Ok(span)) => decoded.accept(Record::Span(span)),
                Ok(Err(why)) => decoded.reject(why),
                Err(why) => decoded.reject(why),
            }
        }
    }
    Ok(decoded)
}

/// Spans as version 3 of the API answers them: `{"result": {"resourceSpans": [...]}}`.
pub fn v3_document(spans: &[Span]) -> impl Serialize + '_ {
    #[derive(Serialize)]
    struct Envelope<T> {
        result: T,
    }
    Envelope { result: otlp::spans_document(spans) }
}
