//! Zipkin's spans, version 2: read from JSON and protobuf, written as JSON.
//!
//! For senders that report to Zipkin, and for readers that ask it. Not here: HTTP, and version 1.
//! The surprise: Zipkin lets client and server share one span id. The store knows one span by one
//! id, so the server's half gets an id of its own, made from the shared one, and the client's half
//! becomes its parent; when written as Zipkin again the two share theirs as before.
//!
//! Mapped as OpenTelemetry says where it says something:
//! <https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/zipkin/>. The whole of it, and
//! what is lost, is in `docs/formats.md`.

mod annotation;
mod read;
mod wire;
mod write;

use prost::Message;
use serde_json::{Value as Json, value::RawValue};

use crate::{
    formats::{Decoded, FormatError, raw},
    model::{self, Trace},
};

/// Calls the service on the other side by name; Zipkin's `remoteEndpoint.serviceName`.
const PEER_SERVICE: &str = "peer.service";
/// The address on the other side.
const PEER_ADDRESS: &str = "network.peer.address";
/// The port on the other side.
const PEER_PORT: &str = "network.peer.port";
/// The address on this side.
const LOCAL_ADDRESS: &str = "network.local.address";
/// The port on this side.
const LOCAL_PORT: &str = "network.local.port";

/// The second address of an endpoint that has one of each kind.
const PEER_IPV6: &str = "zipkin.remote_ipv6";
/// Likewise, on this side.
const LOCAL_IPV6: &str = "zipkin.local_ipv6";
/// The span was sampled because somebody asked for it.
const DEBUG: &str = "zipkin.debug";
/// The span shares its id with its parent.
const SHARED: &str = "zipkin.shared";
/// The parent that the client's half has.
const SHARED_PARENT: &str = "zipkin.parent_id";
/// The span did not say when it started.
const NO_TIMESTAMP: &str = "zipkin.no_timestamp";

/// Reads a JSON array of spans.
///
/// # Errors
/// If it is none. Spans that are not valid are only counted.
pub fn decode(json: &[u8]) -> Result<Decoded, FormatError> {
    raw::document(json)
        .and_then(decode_document)
        .map_err(|error| FormatError::new("Zipkin spans in JSON", error))
}

/// The same, of a document among others.
pub(crate) fn decode_document(document: &RawValue) -> Result<Decoded, serde_json::Error> {
    let spans: Vec<&RawValue> = serde_json::from_str(document.get())?;
    Ok(collect(spans.into_iter().map(|span| raw::parse(Some(span)))))
}

/// Reads `zipkin.proto3.ListOfSpans`.
///
/// # Errors
/// If it is none. Spans that are not valid are only counted.
pub fn decode_protobuf(list: &[u8]) -> Result<Decoded, FormatError> {
    let list = wire::ListOfSpans::decode(list)
        .map_err(|error| FormatError::new("Zipkin spans in protobuf", error))?;
    let spans = list.spans.iter().map(|span| Ok(wire::ProtoSpan::decode(&span[..])?.into()));
    Ok(collect::<prost::DecodeError>(spans))
}

fn collect<E: std::fmt::Display>(spans: impl Iterator<Item = Result<wire::Span, E>>) -> Decoded {
    let mut decoded = Decoded::default();
    let mut reader = read::Reader::new(model::now());
    for span in spans {
        match span.map(|span| reader.span(span)) {
            Ok(Ok(span)) => decoded.accept(model::Record::Span(span)),
            Ok(Err(why)) => decoded.reject(why),
            Err(why) => decoded.reject(why),
        }
    }
    decoded
}

/// The spans of a trace as a JSON array. Log lines and links have no place in it.
pub fn to_json(trace: &Trace) -> Json {
    let spans: Vec<_> = trace.spans.iter().map(write::span).collect();
    serde_json::to_value(spans).expect("wire types have text keys and no failing serialiser")
}
