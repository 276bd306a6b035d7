//! A run's own part of its trace, in a form in which runs can be compared.
//!
//! Not here: what differs. The surprise: it is not quite what was recorded. It begins at the run's
//! span; steps that ran together stand where they would have stood one after another; and the
//! resource's name is taken out of names, keys, requests, answers and log lines, or every run
//! would differ from every other in each of them. Ids of spans stay as they are.

use std::collections::{HashMap, HashSet};

use fixpoint_client::Cause;
use fixpoint_trace::{
    model::{Attributes, Span, SpanId, Status, Trace, Value},
    semconv,
};

/// What stands for the resource's name.
const NAME: &str = "{name}";

/// The part of a trace that is of the run with this span, for this resource (`clusters/idg`).
pub(super) fn part(mut trace: Trace, run: SpanId, resource: &str) -> Trace {
    let name = resource.rsplit('/').next().unwrap_or_default();
    let kept = below(&trace, run);
    let holders = holders(&trace);
    trace.spans.retain(|span| kept.contains(&span.span_id) && !holders.contains_key(&span.span_id));
    for span in &mut trace.spans {
        while let Some(above) = span.parent.and_then(|parent| holders.get(&parent)) {
            span.parent = *above;
        }
        span.name = without(&span.name, name);
        if let Status::Error(why) = &mut span.status {
            *why = without(why, name);
        }
        anonymous(&mut span.attributes, name);
        for event in &mut span.events {
            anonymous(&mut event.attributes, name);
        }
    }
    let is_kept = |span: SpanId| kept.contains(&span);
    trace.logs.retain(|line| line.span_id.is_some_and(is_kept));
    for line in &mut trace.logs {
        value(&mut line.body, name);
    }
    trace
}

/// Says a cause with the resource's name again.
pub(super) fn with_name(cause: &mut Cause, resource: &str) {
    let name = resource.rsplit('/').next().unwrap_or_default();
    let mut left = vec![cause];
    while let Some(cause) = left.pop() {
        let texts = cause.evidence.iter_mut().map(|evidence| &mut evidence.text);
        for text in texts.chain([&mut cause.sentence]) {
            *text = text.replace(NAME, name);
        }
        left.extend(&mut cause.consequences);
    }
}

/// All spans below one, and it.
fn below(trace: &Trace, top: SpanId) -> HashSet<SpanId> {
    let mut children: HashMap<SpanId, Vec<SpanId>> = HashMap::new();
    for span in &trace.spans {
        if let Some(parent) = span.parent {
            children.entry(parent).or_default().push(span.span_id);
        }
    }
    let mut kept = HashSet::new();
    let mut left = vec![top];
    while let Some(span) = left.pop() {
        if kept.insert(span) {
            left.extend(children.get(&span).into_iter().flatten());
        }
    }
    kept
}

/// Steps that only hold others which run together, and what they stand below. Whether steps run
/// together depends on what else is left to do.
fn holders(trace: &Trace) -> HashMap<SpanId, Option<SpanId>> {
    let holds = |span: &&Span| {
        let key = span.attributes.get(semconv::STEP_KEY).and_then(Value::as_str);
        key.is_some_and(|key| key.starts_with("Together("))
    };
    let holders = trace.spans.iter().filter(holds);
    holders.map(|span| (span.span_id, span.parent)).collect()
}

fn anonymous(attributes: &mut Attributes, name: &str) {
    for (_, of) in attributes.iter_mut() {
        value(of, name);
    }
}

fn value(of: &mut Value, name: &str) {
    if let Value::String(text) = of
        && text.contains(name)
    {
        *text = without(text, name);
    }
}

/// A text with a placeholder for each occurrence of a name that is a word of its own.
fn without(text: &str, name: &str) -> String {
    if name.is_empty() {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let end = at + name.len();
        let before = rest[..at].chars().next_back().or_else(|| plain.chars().next_back());
        let after = rest[end..].chars().next();
        let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        plain.push_str(&rest[..at]);
        plain.push_str(if part(before) || part(after) { name } else { NAME });
        rest = &rest[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_out_where_it_is_a_word() {
        for (text, plain) in [
            ("clusters/idg", "clusters/{name}"),
            ("idg-node-1, idg", "{name}-node-1, {name}"),
            ("{\"Name\":\"idg-lb\"}", "{\"Name\":\"{name}-lb\"}"),
            ("midgard and idgs", "midgard and idgs"),
            ("", ""),
        ] {
            assert_eq!(without(text, "idg"), plain, "{text}");
        }
    }
}
