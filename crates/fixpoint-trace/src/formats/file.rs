//! Files of traces, whoever wrote them: which format one is of, what it holds, and writing one.
//!
//! For upload and download. Not here: requests, which say themselves what they are. The surprise:
//! a file may be several documents one after another (JSON lines), as OpenTelemetry's collector
//! writes them.

use std::str::FromStr;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Error, value::RawValue};

use super::{Decoded, FormatError, raw};
use crate::{jaeger, model::Trace, otlp, store::Signal, zipkin};

/// A format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OTLP in JSON: traces, log lines, or both; one document or several.
    OtlpJson,
    /// OTLP in protobuf: traces or log lines.
    OtlpProtobuf,
    /// Zipkin v2 in JSON: a list of spans, or of lists of spans.
    Zipkin,
    /// Jaeger's JSON.
    Jaeger,
}

/// The bytes are of none of the formats that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not OTLP (JSON or protobuf), nor Zipkin v2 JSON, nor Jaeger JSON")]
pub struct UnknownFormat;

impl Format {
    /// The format's media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OtlpProtobuf => "application/x-protobuf",
            Self::OtlpJson | Self::Zipkin | Self::Jaeger => "application/json",
        }
    }

    /// A trace in this format. Only OTLP in JSON has a place for its log lines.
    pub fn write(self, trace: &Trace) -> Vec<u8> {
        let json = match self {
            Self::OtlpProtobuf => {
                return otlp::encode_spans(&trace.spans.iter().collect::<Vec<_>>());
            }
            Self::OtlpJson => serde_json::to_vec(&otlp::trace_document(trace)),
            Self::Zipkin => serde_json::to_vec(&zipkin::to_json(trace)),
            Self::Jaeger => serde_json::to_vec(&jaeger::to_json(std::slice::from_ref(trace))),
        };
        json.expect("wire types have text keys and no failing serialiser")
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    /// `otlp`, `otlp-protobuf`, `zipkin` or `jaeger`.
    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        match name {
            "otlp" => Ok(Self::OtlpJson),
            "otlp-protobuf" => Ok(Self::OtlpProtobuf),
            "zipkin" => Ok(Self::Zipkin),
            "jaeger" => Ok(Self::Jaeger),
            _ => Err(UnknownFormat),
        }
    }
}

/// Which format a file is of, by what stands first in it.
pub fn detect(file: &[u8]) -> Option<Format> {
    if decode_protobuf(file).is_some() {
        return Some(Format::OtlpProtobuf);
    }
    documents(file).next()?.ok().and_then(format_of)
}

/// Reads a file of any [`Format`].
///
/// # Errors
/// If it is of none of them, or breaks off. Spans and log lines that are not valid are only
/// counted.
pub fn decode_any(file: &[u8]) -> Result<(Format, Decoded), FormatError> {
    // First, since this costs nothing if it is JSON, whose brackets are no field that OTLP has,
    // while protobuf often begins with a line feed and may go on with a bracket.
    if let Some(decoded) = decode_protobuf(file) {
        return Ok((Format::OtlpProtobuf, decoded));
    }
    let failed = |source| FormatError { what: "a file of traces", source };
    let mut all: Option<(Format, Decoded)> = None;
    for document in documents(file) {
        let document = document.map_err(|error| failed(error.into()))?;
        let format = format_of(document).ok_or_else(|| failed(UnknownFormat.into()))?;
        let decoded = decode(format, document).map_err(|error| failed(error.into()))?;
        all.get_or_insert_with(|| (format, Decoded::default())).1.append(decoded);
    }
    all.ok_or_else(|| failed(UnknownFormat.into()))
}

/// The JSON documents of a file; none if it does not look like JSON.
fn documents(file: &[u8]) -> impl Iterator<Item = Result<&RawValue, Error>> {
    let first = file.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = matches!(first, Some(b'{' | b'['));
    serde_json::Deserializer::from_slice(if json { file } else { &[] }).into_iter()
}

/// What a document begins with, if it is an object.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Begins<'a> {
    resource_spans: Option<IgnoredAny>,
    resource_logs: Option<IgnoredAny>,
    /// Jaeger's API, version 3, puts an envelope around OTLP.
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    data: Option<IgnoredAny>,
    spans: Option<IgnoredAny>,
}

fn format_of(document: &RawValue) -> Option<Format> {
    if document.get().starts_with('[') {
        return Some(Format::Zipkin);
    }
    let begins: Begins<'_> = raw::object(document).ok()?;
    let otlp = [begins.resource_spans.is_some(), begins.resource_logs.is_some()];
    if otlp.contains(&true) || begins.result.is_some() {
        return Some(Format::OtlpJson);
    }
    (begins.data.is_some() || begins.spans.is_some()).then_some(Format::Jaeger)
}

fn decode(format: Format, document: &RawValue) -> Result<Decoded, Error> {
    raw::check_depth(document)?;
    match format {
        Format::Zipkin => {
            // The answer for several traces is a list of lists.
            let lists: Vec<&RawValue> = serde_json::from_str(document.get())?;
            if !lists.iter().any(|list| list.get().starts_with('[')) {
                return zipkin::decode_document(document);
            }
            let mut decoded = Decoded::default();
            for list in lists {
                decoded.append(zipkin::decode_document(list)?);
            }
            Ok(decoded)
        }
        Format::Jaeger => jaeger::decode_document(document),
        Format::OtlpJson | Format::OtlpProtobuf => {
            let document = raw::object::<Begins<'_>>(document)?.result.unwrap_or(document);
            let mut decoded = otlp::decode_document(Signal::Traces, document)?;
            decoded.append(otlp::decode_document(Signal::Logs, document)?);
            Ok(decoded)
        }
    }
}

/// None if it is no OTLP in protobuf, or holds nothing. Traces and logs have one shape, but no log
/// line is a valid span.
fn decode_protobuf(file: &[u8]) -> Option<Decoded> {
    let signals = [Signal::Traces, Signal::Logs];
    let mut decoded = signals.into_iter().filter_map(|signal| otlp::decode(signal, file).ok());
    decoded.find(|decoded| decoded.accepted.accepted > 0)
}
