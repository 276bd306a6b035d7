//! Which words of a record a trace can be found by.
//!
//! Its own ids, the values of its attributes, and AWS ids anywhere in a recorded request or response. Not here: how they are indexed. The surprise: `clusters/idg` is found by
//! `idg` too, since people know a resource by its name.

use std::borrow::Cow;

use crate::{
    model::{Attributes, Record, Resource, Scope, Value},
    otlp::{
        proto::Invalid,
        view::{AttributesView, ValueView},
    },
    semconv,
};

/// Longer values are not names but texts.
pub(super) const LONGEST: usize = 128;
/// From this length on, the beginning of an id is enough to find it.
pub(super) const PREFIX: usize = 8;

/// How a word is written in the index, and what is looked up for it: without regard to case.
pub(super) fn normal(word: &str) -> Cow<'_, str> {
    let word = word.trim();
    // Most are as they should be.
    if word.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        word.into()
    } else {
        word.to_lowercase().into()
    }
}

/// Calls `found` for each word of the record, as [`normal`] writes it. Words may repeat.
pub(super) fn words(record: &Record, found: &mut impl FnMut(&str)) {
    match record {
        Record::Span(span) => {
            found(&span.trace_id.to_string());
            found(&span.span_id.to_string());
            attribute_words(&span.attributes, found);
            origin_words(&span.resource, &span.scope, found);
        }
        Record::Log(log) => {
            if let Some(trace_id) = log.trace_id {
                found(&trace_id.to_string());
            }
            attribute_words(&log.attributes, found);
        }
    }
}

/// The words of what spans come from.
pub(super) fn origin_words(resource: &Resource, scope: &Scope, found: &mut impl FnMut(&str)) {
    attribute_words(resource, found);
    attribute_words(&scope.attributes, found);
}

/// The same as [`words`] of attributes as they lie in a message.
pub(super) fn view_words(
    attributes: &AttributesView<'_>,
    found: &mut impl FnMut(&str),
) -> Result<(), Invalid> {
    for &(name, value) in attributes {
        match value {
            ValueView::Str(text) => text_words(name, text, found),
            value => value_words(name, &value.to_value()?, found),
        }
    }
    Ok(())
}

fn attribute_words(attributes: &Attributes, found: &mut impl FnMut(&str)) {
    for (name, value) in attributes {
        value_words(name, value, found);
    }
}

pub(super) fn value_words(name: &str, value: &Value, found: &mut impl FnMut(&str)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| value_words(name, value, found)),
        Value::Map(map) => attribute_words(map, found),
        Value::Empty => {}
        // Measured values are all different, and nobody looks for one of them.
        Value::Double(value) if value.fract() != 0.0 => {}
        Value::Bool(_) | Value::Int(_) | Value::Double(_) | Value::String(_) | Value::Bytes(_) => {
            text_words(name, &value.to_text(), found);
        }
    }
}

/// Whether a value of the attribute is a word: a short one is, unless it is a body. A zero in it
/// or in its name would be taken for the end.
pub(super) fn is_indexed(name: &str, text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST
        && name != semconv::REQUEST
        && name != semconv::RESPONSE
        && !name.contains('\0')
        && !text.contains('\0')
}

/// Whether every trace in which a value of the attribute equals the text has it as a word: unless
/// it may be a measured number, or a list or map written as JSON.
pub(super) fn finds_equal(name: &str, text: &str) -> bool {
    let measured = |number: f64| number.fract() != 0.0 || !number.is_finite();
    is_indexed(name, text) && !text.parse().is_ok_and(measured) && !text.starts_with(['{', '['])
}

/// How a whole number is written if it is small enough that only one whole number is near it.
pub(super) fn whole(number: f64) -> Option<String> {
    // Of zero, the one without a sign.
    (number.fract() == 0.0 && number.abs() < 1e15).then(|| (number + 0.0).to_string())
}

/// The words of an attribute's value: the value itself or, if it is a text and no name, the ids in it.
pub(super) fn text_words(name: &str, text: &str, found: &mut impl FnMut(&str)) {
    if !is_indexed(name, text) {
        // Bodies are long; byte by byte they are gone through four times as fast.
        let edge = |b: &u8| matches!(b, b'"' | b'\'' | b'<' | b'>' | b'\\' | b' ' | b',');
        let ids = text.as_bytes().split(edge).filter(|piece| is_aws_id(piece));
        ids.filter_map(|id| std::str::from_utf8(id).ok()).for_each(|id| found(&normal(id)));
        return;
    }
    found(&normal(text));
    if let (semconv::RESOURCE, Some((_, last))) = (name, text.rsplit_once('/')) {
        found(&normal(last));
    }
}

/// Whether the text is an ARN or an id such as `i-0123456789abcdef0`.
fn is_aws_id(text: &[u8]) -> bool {
    let ends_with_id = |digits: usize| {
        let Some((kind, id)) = text.len().checked_sub(digits + 1).map(|at| text.split_at(at))
        else {
            return false;
        };
        id[0] == b'-'
            && id[1..].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && (1..=20).contains(&kind.len())
            && kind.iter().all(|b| b.is_ascii_lowercase() || *b == b'-')
    };
    text.len() <= LONGEST && (text.starts_with(b"arn:aws") || ends_with_id(8) || ends_with_id(17))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Span, SpanContext, SpanId, TraceId};

    fn found(attributes: Attributes) -> Vec<String> {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        let span = Span { attributes, ..Span::new(context, "EC2.RunInstances", 1) };
        let mut words = Vec::new();
        super::words(&Record::Span(span), &mut |word| words.push(word.to_owned()));
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
                "registernode { node: 2 }",
                "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b",
                "i-0123456789abcdef0",
                "ami-1234abcd",
            ]
        );
    }
}
