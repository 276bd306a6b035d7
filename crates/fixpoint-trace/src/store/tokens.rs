//! Which words of a record a trace can be found by.
//!
//! Its own ids, the values of attributes that name things, and AWS ids anywhere in a recorded
//! request or response. Not here: how they are indexed. The surprise: `clusters/idg` is found by
//! `idg` too, since people know a resource by its name.

use crate::{
    model::{LogRecord, Record, Span, Value},
    semconv,
};

/// Longer values are not ids but texts.
const LONGEST: usize = 256;
/// From this length on, the beginning of an id is enough to find it.
pub(super) const PREFIX: usize = 8;

/// How a word is written in the index, and what is looked up for it: without regard to case.
pub(super) fn normal(word: &str) -> String {
    word.trim().to_lowercase()
}

/// Calls `found` for each word of the record, as [`normal`] writes it. Words may repeat.
pub(super) fn words(record: &Record, found: &mut impl FnMut(String)) {
    match record {
        Record::Span(span) => span_words(span, found),
        Record::Log(log) => log_words(log, found),
    }
}

fn span_words(span: &Span, found: &mut impl FnMut(String)) {
    found(span.trace_id.to_string());
    found(span.span_id.to_string());
    for (name, value) in &span.attributes {
        if name == semconv::REQUEST || name == semconv::RESPONSE {
            if let Value::String(text) = value {
                for piece in text.split(['"', '\'', '<', '>', '\\', ' ', ',']) {
                    if is_aws_id(piece) {
                        found(normal(piece));
                    }
                }
            }
        } else {
            value_words(name, value, found);
        }
    }
}

fn log_words(log: &LogRecord, found: &mut impl FnMut(String)) {
    if let Some(trace_id) = log.trace_id {
        found(trace_id.to_string());
    }
    for (name, value) in &log.attributes {
        value_words(name, value, found);
    }
}

fn value_words(name: &str, value: &Value, found: &mut impl FnMut(String)) {
    match value {
        Value::String(text) if text.len() <= LONGEST && (names_id(name) || is_aws_id(text)) => {
            found(normal(text));
            if let (semconv::RESOURCE, Some((_, last))) = (name, text.rsplit_once('/')) {
                found(normal(last));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| value_words(name, value, found)),
        _ => {}
    }
}

/// Whether values of the attribute name one thing: `fixpoint.run.id`, `aws.request_id`, an ARN.
fn names_id(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == semconv::RESOURCE
        || [".id", "_id", ".arn", "_arn", ".name", "_name"]
            .iter()
            .any(|end| name.ends_with(end) && !name.starts_with("otel."))
}

/// Whether the text is an ARN or an id such as `i-0123456789abcdef0`.
fn is_aws_id(text: &str) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    text.starts_with("arn:aws")
        || text.rsplit_once('-').is_some_and(|(kind, id)| {
            matches!(id.len(), 8 | 17)
                && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                && (1..=20).contains(&kind.len())
                && kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attributes, SpanContext, SpanId, TraceId};

    fn found(attributes: Attributes) -> Vec<String> {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        let span = Span { attributes, ..Span::new(context, "EC2.RunInstances", 1) };
        let mut words = Vec::new();
        super::words(&Record::Span(span), &mut |word| words.push(word));
        words.split_off(2)
    }

    #[test]
    fn a_trace_is_found_by_whatever_names_a_thing_in_it() {
        let attributes = [
            ("fixpoint.run.id", "run-7"),
            ("fixpoint.resource", "clusters/IDG"),
            ("aws.request_id", "59dbff89-35bd-4eac-99ed-be587EXAMPLE"),
            ("fixpoint.step.key", "RegisterNode { node: 2 }"),
            ("target", "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"),
            (
                "fixpoint.response",
                r#"{"Instances":[{"InstanceId":"i-0123456789abcdef0","ImageId":"ami-1234abcd"}],"x":"y-z"}"#,
            ),
        ];
        let attributes =
            attributes.map(|(k, v)| (k.to_owned(), Value::String(v.to_owned()))).into();
        assert_eq!(
            found(attributes),
            [
                "run-7",
                "clusters/idg",
                "idg",
                "59dbff89-35bd-4eac-99ed-be587example",
                "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b",
                "i-0123456789abcdef0",
                "ami-1234abcd",
            ]
        );
    }
}
