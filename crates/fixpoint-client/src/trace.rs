//! A trace as the server answers it (OTLP JSON), read into spans that can be walked.
//!
//! For whoever shows or checks a trace. Not for storing or sending one; `fixpoint-trace` does
//! that. The surprise: this is a second, smaller model on purpose. A client must not need the
//! trace store to read an answer, and takes no harm from fields it does not know.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::{Map, Value};

/// A whole trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// By start.
    pub spans: Vec<Span>,
}

/// A span, open or ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// None for a root.
    pub parent_id: Option<String>,
    /// For example `EC2.RunInstances`.
    pub name: String,
    /// OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: u8,
    /// When it opened, in nanoseconds since the Unix epoch.
    pub start: u64,
    /// When it ended; none while it is open.
    pub end: Option<u64>,
    /// What went wrong, if it failed; may be empty.
    pub error: Option<String>,
    /// What is known of it.
    pub attributes: Map<String, Value>,
}

impl Span {
    /// An attribute that is text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)?.as_str()
    }

    /// True if it calls a remote service.
    pub fn is_client(&self) -> bool {
        self.kind == 3
    }

    /// True if it is a call of AWS, rather than one attempt of it.
    pub fn is_aws_call(&self) -> bool {
        self.text("rpc.system") == Some("aws-api") && self.attributes.contains_key("rpc.method")
    }

    /// True if it is a step of a plan.
    pub fn is_step(&self) -> bool {
        self.attributes.contains_key("fixpoint.step.key")
    }

    /// How long it took, in nanoseconds; for an open span, until `now`.
    pub fn nanos(&self, now: u64) -> u64 {
        self.end.unwrap_or(now).saturating_sub(self.start)
    }
}

impl Trace {
    /// Reads OTLP JSON.
    ///
    /// # Errors
    /// It is not OTLP JSON, or a time in it is not a number.
    pub fn from_otlp(body: Value) -> Result<Self, serde_json::Error> {
        let body: otlp::Body = serde_json::from_value(body)?;
        let mut spans: Vec<Span> = body
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .map(Span::from)
            .collect();
        spans.sort_by_key(|span| span.start);
        Ok(Self { spans })
    }

    /// The spans without a parent.
    pub fn roots(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| span.parent_id.is_none())
    }

    /// The spans whose parent is not in the trace.
    pub fn orphans(&self) -> Vec<&Span> {
        let known: HashSet<&str> = self.spans.iter().map(|span| span.span_id.as_str()).collect();
        let lost = |span: &&Span| span.parent_id.as_deref().is_some_and(|id| !known.contains(id));
        self.spans.iter().filter(lost).collect()
    }

    /// Each span's children by start; under `None`, the roots and the orphans.
    pub fn children(&self) -> HashMap<Option<&str>, Vec<&Span>> {
        let known: HashSet<&str> = self.spans.iter().map(|span| span.span_id.as_str()).collect();
        let mut children: HashMap<Option<&str>, Vec<&Span>> = HashMap::new();
        for span in &self.spans {
            let parent = span.parent_id.as_deref().filter(|id| known.contains(id));
            children.entry(parent).or_default().push(span);
        }
        children
    }

    /// The calls of AWS, by start.
    pub fn aws_calls(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| span.is_aws_call())
    }

    /// The calls of AWS beneath a span, by start.
    pub fn aws_calls_of(&self, span: &Span) -> Vec<&Span> {
        let parents: HashMap<&str, Option<&str>> = self
            .spans
            .iter()
            .map(|span| (span.span_id.as_str(), span.parent_id.as_deref()))
            .collect();
        let beneath = |call: &&Span| {
            // No longer than the trace has spans: parents that form a ring end too.
            std::iter::successors(call.parent_id.as_deref(), |id| parents.get(id).copied()?)
                .take(self.spans.len())
                .any(|id| id == span.span_id)
        };
        self.aws_calls().filter(beneath).collect()
    }
}

/// OTLP JSON as <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> has it: ids in
/// hex, 64-bit numbers as text, names in lowerCamelCase.
mod otlp {
    use super::{Deserialize, Map, Span, Value};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Body {
        #[serde(default)]
        pub(super) resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct ResourceSpans {
        #[serde(default)]
        pub(super) scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Deserialize)]
    pub(super) struct ScopeSpans {
        #[serde(default)]
        pub(super) spans: Vec<WireSpan>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    pub(super) struct WireSpan {
        trace_id: String,
        span_id: String,
        parent_span_id: String,
        name: String,
        kind: u8,
        start_time_unix_nano: Number,
        end_time_unix_nano: Option<Number>,
        status: WireStatus,
        attributes: Vec<KeyValue>,
    }

    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct WireStatus {
        code: u8,
        message: String,
    }

    #[derive(Deserialize)]
    struct KeyValue {
        key: String,
        #[serde(default)]
        value: Value,
    }

    /// 64 bits as text, or as a JSON number, which readers must take too.
    #[derive(Default)]
    struct Number(u64);

    impl<'de> Deserialize<'de> for Number {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
            match Value::deserialize(d)? {
                Value::String(text) => text.parse().ok(),
                Value::Number(number) => number.as_u64(),
                _ => None,
            }
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a time must be nanoseconds since 1970"))
        }
    }

    impl From<WireSpan> for Span {
        fn from(wire: WireSpan) -> Self {
            const ERROR: u8 = 2;
            let ended = wire.end_time_unix_nano.map(|end| end.0).filter(|end| *end != 0);
            Self {
                trace_id: wire.trace_id,
                span_id: wire.span_id,
                parent_id: Some(wire.parent_span_id).filter(|id| !id.is_empty()),
                name: wire.name,
                kind: wire.kind,
                start: wire.start_time_unix_nano.0,
                end: ended,
                error: (wire.status.code == ERROR).then_some(wire.status.message),
                attributes: attributes(wire.attributes),
            }
        }
    }

    fn attributes(pairs: Vec<KeyValue>) -> Map<String, Value> {
        pairs.into_iter().map(|pair| (pair.key, plain(pair.value))).collect()
    }

    /// An `AnyValue` as plain JSON.
    fn plain(any: Value) -> Value {
        let Value::Object(object) = any else { return any };
        match object.into_iter().next() {
            Some((kind, Value::String(text))) if kind == "intValue" => {
                text.parse::<i64>().map_or(Value::String(text), Value::from)
            }
            Some((kind, Value::Object(mut array))) if kind == "arrayValue" => {
                match array.remove("values") {
                    Some(Value::Array(values)) => values.into_iter().map(plain).collect(),
                    _ => Value::Array(Vec::new()),
                }
            }
            Some((_, value)) => value,
            None => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Trace {
        let span = |id: &str, parent: &str, name: &str, start: u64, attributes: Value| {
            json!({"traceId": "t", "spanId": id, "parentSpanId": parent, "name": name, "kind": 3,
                   "startTimeUnixNano": start.to_string(), "attributes": attributes})
        };
        let aws = json!([{"key": "rpc.system", "value": {"stringValue": "aws-api"}},
                         {"key": "rpc.method", "value": {"stringValue": "RegisterTargets"}}]);
        let mut root = span("a", "", "POST /v1/clusters", 10, json!([]));
        root["endTimeUnixNano"] = json!("30");
        root["status"] = json!({"code": 2, "message": "lost"});
        Trace::from_otlp(json!({"resourceSpans": [{"scopeSpans": [{"spans": [
            span("c", "b", "ELBv2.RegisterTargets", 20, aws),
            root,
            span("b", "a", "register", 15, json!([
                {"key": "fixpoint.iteration", "value": {"intValue": "3"}},
                {"key": "ids", "value": {"arrayValue": {"values": [{"stringValue": "i-1"}]}}}])),
            span("d", "gone", "stray", 16, json!([])),
        ]}]}]}))
        .unwrap()
    }

    #[test]
    fn spans_are_read_in_order_with_their_ends_errors_and_attributes() {
        let trace = sample();
        let names: Vec<&str> = trace.spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["POST /v1/clusters", "register", "stray", "ELBv2.RegisterTargets"]);
        assert_eq!((trace.spans[0].end, trace.spans[1].end), (Some(30), None));
        assert_eq!(trace.spans[0].error.as_deref(), Some("lost"));
        assert_eq!(trace.spans[1].attributes["fixpoint.iteration"], 3);
        assert_eq!(trace.spans[1].attributes["ids"], json!(["i-1"]));
    }

    #[test]
    fn roots_orphans_and_the_calls_beneath_a_span_are_told_apart() {
        let trace = sample();
        assert_eq!(trace.roots().count(), 1);
        let orphans: Vec<&str> = trace.orphans().iter().map(|span| span.name.as_str()).collect();
        assert_eq!(orphans, ["stray"]);
        assert_eq!(trace.children()[&None].len(), 2);
        assert_eq!(trace.aws_calls_of(&trace.spans[1])[0].name, "ELBv2.RegisterTargets");
        assert!(trace.aws_calls_of(&trace.spans[2]).is_empty());
    }

    #[test]
    fn what_is_no_otlp_is_an_error() {
        assert!(Trace::from_otlp(json!({"resourceSpans": 7})).is_err());
        assert!(
            Trace::from_otlp(json!({"resourceSpans": [{"scopeSpans": [{"spans": [
                {"startTimeUnixNano": "soon"}]}]}]}))
            .is_err()
        );
    }
}
