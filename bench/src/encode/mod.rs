//! Spans as requests: templates in the formats that can be sent.
//!
//! Encoded by hand, since the place of each id must be known. `tests` has another implementation
//! read the result.

mod otlp;
mod zipkin;

use crate::{
    data::{Part, Span, Text, Trace},
    template::{Patch, Template, Time},
};

/// What requests are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `ExportTraceServiceRequest` in protobuf
    Otlp,
    /// A list of Zipkin v2 spans in JSON
    Zipkin,
}

/// A span, and what it has from its trace.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The trace it is of.
    pub trace: &'a Trace,
    /// Where in a round that trace starts.
    pub place: u32,
    /// The span.
    pub span: &'a Span,
}

impl Placed<'_> {
    fn time(&self, after: u64) -> Time {
        Time { place: self.place, after }
    }
}

impl Encoding {
    /// A request of spans of one service.
    pub fn request(self, service: &str, spans: &[Placed<'_>]) -> Template {
        match self {
            Self::Otlp => otlp::request(service, spans),
            Self::Zipkin => zipkin::request(service, spans),
        }
    }
}

/// Writes a text, its plain parts as `escape` has them.
fn text(to: &mut Template, text: &Text, escape: impl Fn(&str) -> String) {
    for part in &text.0 {
        match part {
            Part::Plain(plain) => to.push(escape(plain)),
            Part::Hex(id, digits) => to.patch(Patch::Hex(*id, 0, *digits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value as Any,
        trace::v1::Span as OtlpSpan,
    };
    use prost::Message;
    use serde_json::Value as Json;

    use super::*;
    use crate::{
        data::DataSet,
        template::{Patch, Round},
    };

    const SETS: [DataSet; 2] = [DataSet::Wide, DataSet::Provisioning];

    fn round(number: u64) -> Round {
        Round {
            key: Round::key(7, number),
            start: 1_790_000_000_000_000_000,
            length: 1_000_000_000,
        }
    }

    fn encoded(encoding: Encoding, set: DataSet, round: &Round) -> (Vec<Trace>, Vec<u8>) {
        let traces = set.traces(300, 1);
        let placed: Vec<_> = traces
            .iter()
            .flat_map(|trace| {
                trace.spans.iter().map(move |span| Placed { trace, place: 1 << 31, span })
            })
            .collect();
        let bytes = encoding.request("cart", &placed).render(round);
        (traces, bytes)
    }

    fn otlp(set: DataSet, round: &Round) -> (Vec<Trace>, Vec<OtlpSpan>) {
        let (traces, bytes) = encoded(Encoding::Otlp, set, round);
        let mut request = ExportTraceServiceRequest::decode(&*bytes).unwrap();
        let mut group = request.resource_spans.remove(0);
        let service = &group.resource.as_ref().unwrap().attributes[0];
        assert_eq!(service.key, "service.name");
        assert!(request.resource_spans.is_empty());
        (traces, group.scope_spans.remove(0).spans)
    }

    fn plain(text: &Text, key: u64) -> String {
        let parts = text.0.iter().map(|part| match part {
            Part::Plain(plain) => plain.clone(),
            Part::Hex(id, digits) => {
                let all = format!("{:016x}", id ^ key);
                all[16 - usize::from(*digits)..].to_owned()
            }
        });
        parts.collect()
    }

    #[test]
    fn another_implementation_reads_the_otlp_that_was_meant() {
        for set in SETS {
            let round = round(3);
            let (traces, spans) = otlp(set, &round);
            let meant =
                traces.iter().flat_map(|trace| trace.spans.iter().map(move |it| (trace, it)));
            assert_eq!(spans.len(), traces.iter().map(|trace| trace.spans.len()).sum::<usize>());
            for ((trace, meant), found) in meant.zip(&spans) {
                assert_eq!(found.trace_id, round.trace_id(trace.id));
                assert_eq!(found.span_id, (meant.id ^ round.key[0]).to_be_bytes());
                let parent = meant.parent.map(|id| (id ^ round.key[0]).to_be_bytes().to_vec());
                assert_eq!(found.parent_span_id, parent.unwrap_or_default());
                assert_eq!((&*found.name, found.kind), (meant.name, i32::from(meant.kind)));
                let start = round.start + round.length / 2;
                assert_eq!(found.start_time_unix_nano, start + meant.start);
                assert_eq!(found.end_time_unix_nano, start + meant.end);
                assert_eq!(found.attributes.len(), meant.attributes.len());
                for ((key, value), found) in meant.attributes.iter().zip(&found.attributes) {
                    assert_eq!(found.key, *key);
                    let found = found.value.as_ref().unwrap().value.as_ref().unwrap();
                    match (value, found) {
                        (crate::data::Value::Text(text), Any::StringValue(found)) => {
                            assert_eq!(*found, plain(text, round.key[0]));
                        }
                        (crate::data::Value::Int(meant), Any::IntValue(found)) => {
                            assert_eq!(found, meant);
                        }
                        (crate::data::Value::Double(meant), Any::DoubleValue(found)) => {
                            assert!((found / meant - 1.0).abs() < 1e-5, "{found} for {meant}");
                        }
                        other => panic!("{key}: {other:?}"),
                    }
                }
                let status = found.status.clone().unwrap_or_default();
                assert_eq!(status.code == 2, meant.failure.is_some());
                assert_eq!(found.events.len(), usize::from(meant.failure.is_some()));
            }
        }
    }

    #[test]
    fn zipkin_json_has_the_same_spans() {
        for set in SETS {
            let round = round(3);
            let (_, spans) = otlp(set, &round);
            let (_, bytes) = encoded(Encoding::Zipkin, set, &round);
            let found: Vec<BTreeMap<String, Json>> = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(found.len(), spans.len());
            for (found, meant) in found.iter().zip(&spans) {
                let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect();
                assert_eq!(found["traceId"], Json::String(hex(&meant.trace_id)));
                assert_eq!(found["id"], Json::String(hex(&meant.span_id)));
                let parent = found.get("parentId").and_then(Json::as_str).unwrap_or_default();
                assert_eq!(parent, hex(&meant.parent_span_id));
                assert_eq!(found["timestamp"], meant.start_time_unix_nano / 1000);
                assert_eq!(found["localEndpoint"]["serviceName"], "cart");
                for attribute in &meant.attributes {
                    let tag = found["tags"][&attribute.key].as_str().unwrap();
                    if let Some(Any::StringValue(text)) = &attribute.value.as_ref().unwrap().value {
                        assert_eq!(tag, text);
                    }
                }
            }
        }
    }

    #[test]
    fn spans_have_the_sizes_that_the_figures_speak_of() {
        for (set, sizes) in [(DataSet::Wide, 980..1100), (DataSet::Provisioning, 470..510)] {
            let traces = set.traces(20_000, 1);
            let spans: Vec<_> = traces
                .iter()
                .flat_map(|trace| {
                    trace.spans.iter().map(move |span| Placed { trace, place: 0, span })
                })
                .collect();
            let size = Encoding::Otlp.request("cart", &spans).len() / spans.len();
            assert!(sizes.contains(&size), "{set:?}: {size}");
        }
    }

    #[test]
    fn nothing_that_is_fresh_occurs_in_two_rounds() {
        for set in SETS {
            let ids = |number| {
                let (_, spans) = otlp(set, &round(number));
                let mut ids: Vec<_> = spans.iter().map(|span| span.trace_id.clone()).collect();
                ids.extend(spans.iter().map(|span| span.span_id.clone()));
                for attribute in spans.into_iter().flat_map(|span| span.attributes) {
                    if attribute.key.ends_with("request_id") || attribute.key == "request.id" {
                        ids.push(attribute.encode_to_vec());
                    }
                }
                ids
            };
            let (one, other) = (ids(1), ids(2));
            assert_eq!(one, ids(1), "the same round is the same");
            let one: std::collections::HashSet<_> = one.into_iter().collect();
            assert!(other.iter().all(|id| !one.contains(id)));
        }
    }

    #[test]
    fn a_patch_writes_as_many_bytes_as_it_holds_free() {
        let time = Time { place: u32::MAX, after: 5 };
        for patch in [
            Patch::Id(1, 1),
            Patch::Hex(2, 0, 5),
            Patch::Double(0.5),
            Patch::Nanos(time),
            Patch::Micros(time),
        ] {
            let mut template = Template::default();
            template.push("<");
            template.patch(patch);
            template.push(">");
            let bytes = template.render(&round(1));
            assert_eq!(bytes.len(), template.len());
            assert_eq!((bytes[0], bytes[bytes.len() - 1]), (b'<', b'>'));
            assert_ne!(bytes[1..bytes.len() - 1], vec![0; bytes.len() - 2]);
        }
    }
}
