//! What Grafana Tempo answers: traces by id, and what a search finds.
//!
//! For Grafana's Tempo data source. Not here: HTTP, and TraceQL. The surprise: Tempo's JSON is
//! nearly OTLP's, but its ids are base64 and its enums names, as protobuf's own JSON has them; its
//! protobuf is OTLP's to the byte.

mod search;

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use serde_json::{Value as Json, json};

pub use self::search::{Found, search_answer};
use crate::{model::Trace, otlp};

/// `GET /api/traces/{id}` in protobuf: `tempopb.Trace`.
pub fn trace_protobuf(trace: &Trace) -> Vec<u8> {
    otlp::encode_spans(&trace.spans.iter().collect::<Vec<_>>())
}

/// `GET /api/v2/traces/{id}` in protobuf: `tempopb.TraceByIDResponse`, which says so if the trace
/// is not all there is.
pub fn trace_protobuf_v2(trace: &Trace) -> Vec<u8> {
    /// `tempopb.TraceByIDResponse`; its trace is encoded already.
    #[derive(prost::Message)]
    struct Answer {
        #[prost(bytes = "vec", tag = "1")]
        trace: Vec<u8>,
        /// 0 complete, 1 partial.
        #[prost(int32, tag = "3")]
        status: i32,
        #[prost(string, tag = "4")]
        message: String,
    }
    let answer = Answer {
        trace: trace_protobuf(trace),
        status: trace.partial.is_some().into(),
        message: trace.partial.clone().unwrap_or_default(),
    };
    answer.encode_to_vec()
}

/// `GET /api/traces/{id}` in JSON: `{"batches": [...]}`.
pub fn trace_json(trace: &Trace) -> Json {
    json!({"batches": resource_spans(trace)})
}

/// `GET /api/v2/traces/{id}` in JSON: `{"trace": {"resourceSpans": [...]}}`, with a status and a
/// message if it is not all there is.
pub fn trace_json_v2(trace: &Trace) -> Json {
    let mut answer = json!({"trace": {"resourceSpans": resource_spans(trace)}});
    if let Some(why) = &trace.partial {
        answer["status"] = "PARTIAL".into();
        answer["message"] = why.as_str().into();
    }
    answer
}

fn resource_spans(trace: &Trace) -> Json {
    let mut document = otlp::to_json(trace);
    as_protobuf_has_it(&mut document);
    document["resourceSpans"].take()
}

/// Writes ids in base64 and enums by name. Attributes are lists of keys and values, so a field's
/// name is never that of an attribute.
fn as_protobuf_has_it(json: &mut Json) {
    match json {
        Json::Array(values) => values.iter_mut().for_each(as_protobuf_has_it),
        Json::Object(fields) => {
            for (name, value) in fields {
                let new = match (name.as_str(), &*value) {
                    ("traceId" | "spanId" | "parentSpanId", Json::String(id)) => {
                        hex::decode(id).ok().map(|id| STANDARD.encode(id))
                    }
                    ("kind", Json::Number(kind)) => kind.as_u64().map(kind_name),
                    ("code", Json::Number(code)) => code.as_u64().map(code_name),
                    _ => None,
                };
                match new {
                    Some(new) => *value = new.into(),
                    None => as_protobuf_has_it(value),
                }
            }
        }
        _ => {}
    }
}

fn kind_name(kind: u64) -> String {
    let name = match kind {
        1 => "INTERNAL",
        2 => "SERVER",
        3 => "CLIENT",
        4 => "PRODUCER",
        5 => "CONSUMER",
        _ => "UNSPECIFIED",
    };
    format!("SPAN_KIND_{name}")
}

fn code_name(code: u64) -> String {
    let name = match code {
        1 => "OK",
        2 => "ERROR",
        _ => "UNSET",
    };
    format!("STATUS_CODE_{name}")
}
