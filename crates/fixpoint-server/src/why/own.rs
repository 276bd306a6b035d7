//! A run's own part of its trace, in a form in which runs can be compared.
//!
//! Not here: what differs. The surprise: it is not quite what was recorded. It begins at the run's
//! span; steps that ran together stand where they would have stood one after another; the server's
//! own bookkeeping is left out; and the resource's name is taken out of names, keys, requests,
//! answers and log lines, or every run would differ from every other in each of them. Ids of spans
//! stay as they are.

use std::collections::{HashMap, HashSet};

use fixpoint_client::Cause;
use fixpoint_trace::{
    model::{Attributes, Span, SpanId, Status, Trace, Value},
    semconv,
};

/// What stands for the resource's name.
const NAME: &str = "{name}";

/// The part of a trace that is of the run with this span, for this resource (`clusters/idg`).
pub(super) fn part(trace: Trace, run: SpanId, resource: &str) -> Trace {
    let mut trace = without_bookkeeping(trace);
    let name = resource.rsplit('/').next().unwrap_or_default();
    let kept = below(&trace, run);
    let holders = holders(&trace);
    trace.spans.retain(|span| {
        let id = &span.span_id;
        kept.contains(id) && !holders.contains_key(id)
    });
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

/// A trace without what the server recorded of its own work rather than of the run's: what it wrote
/// down, when, that it took the run over, and what operators asked of it. None of that is what the plan
/// did.
pub(crate) fn without_bookkeeping(mut trace: Trace) -> Trace {
    let own = [semconv::STORE_KEY, semconv::TAKEOVER_FROM, semconv::ACT_VERB];
    let is_own = |span: &Span| own.iter().any(|name| span.attributes.contains_key(*name));
    let left_out: HashSet<SpanId> =
        trace.spans.extract_if(.., |span| is_own(span)).map(|span| span.span_id).collect();
    trace.logs.retain(|line| !line.span_id.is_some_and(|span| left_out.contains(&span)));
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
    use fixpoint_trace::model::{Level, LogRecord, SpanContext, TraceId};

    use super::*;

    #[test]
    fn what_the_server_wrote_down_is_no_part_of_what_the_run_did() {
        let trace_id = TraceId::random();
        let span = |name: &str, parent: Option<SpanId>, attribute: &str| {
            let context = SpanContext { trace_id, span_id: SpanId::random() };
            let mut span = Span { parent, ..Span::new(context, name, 1) };
            span.attributes.insert(attribute.to_owned(), "clusters/idg".into());
            span
        };
        let run = span("run clusters", None, semconv::RESOURCE);
        let below = Some(run.span_id);
        let spans = vec![
            run.clone(),
            span("etcd.put", below, semconv::STORE_KEY),
            span("take_over", below, semconv::TAKEOVER_FROM),
            span("pause", below, semconv::ACT_VERB),
            span("create", below, semconv::SEEN),
        ];
        let line = |at: usize| LogRecord {
            span_id: Some(spans[at].span_id),
            ..LogRecord::new(1, Level::Info, format!("line {at}"))
        };
        let logs = vec![line(2), line(4)];
        let trace = Trace { spans, logs, partial: None };
        let lines = without_bookkeeping(trace.clone()).logs;
        assert_eq!(lines.iter().map(LogRecord::message).collect::<Vec<_>>(), ["line 4"]);
        let names: Vec<_> = part(trace, run.span_id, "clusters/idg")
            .spans
            .into_iter()
            .map(|span| span.name)
            .collect();
        assert_eq!(names, ["run clusters", "create"]);
    }

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
