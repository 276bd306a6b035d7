//! What good runs have in common: which calls they make, how often, and what is there in the end.
//!
//! For aiming faults and for checking what came of them. The surprise: a call that some of its uses
//! make with a parameter and others without is two rows of the matrix. `ELBv2.DescribeTargetGroups`
//! lists them all when the plan looks, and only one load balancer's when a step registers nodes;
//! what goes wrong with the one is another story than what goes wrong with the other.

use std::collections::{BTreeMap, BTreeSet};

use fixpoint_trace::{
    model::{Record, Span, Trace},
    semconv,
    store::{TraceStore, engine::Engine},
};

use super::trial::{Failure, Outcome, Past, store_options};

/// What good runs have in common.
#[derive(Debug)]
pub struct Usual {
    /// The calls that all of them make.
    pub calls: Vec<Call>,
    /// How many things of each kind there are in the end.
    pub made: BTreeMap<String, usize>,
}

/// A call that good runs make, or those of its uses that have a parameter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// For example `EC2.RunInstances`.
    pub operation: String,
    /// Only the uses with this parameter; none: all uses.
    pub parameter: Option<String>,
    /// How often it is made, in the run that makes it least often.
    pub times: u64,
    /// How often it is made at the same time, at most.
    pub at_once: u64,
}

impl Call {
    /// True if it changes nothing.
    pub fn is_read(&self) -> bool {
        let name = self.operation.split_once('.').map_or("", |(_, name)| name);
        ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb))
    }
}

/// Learns from good runs.
///
/// # Errors
/// If they do not end with the same things made, or there are none.
pub fn learn(good: &[Outcome]) -> Result<Usual, Failure> {
    let made = good.first().ok_or("there is no good run to learn from")?.made.clone();
    if let Some(other) = good.iter().find(|outcome| outcome.made != made) {
        return Err(format!("good runs differ: {made:?}, {:?}", other.made).into());
    }
    let each: Vec<_> = good.iter().map(|outcome| calls(&outcome.trace)).collect();
    let mut calls = each[0].clone();
    for other in &each[1..] {
        calls.retain(|key, _| other.contains_key(key));
        for (key, seen) in &mut calls {
            seen.times = seen.times.min(other[key].times);
            seen.at_once = seen.at_once.max(other[key].at_once);
        }
    }
    let calls = calls.into_iter().map(|((operation, parameter), Seen { times, at_once })| Call {
        operation,
        parameter,
        times,
        at_once,
    });
    Ok(Usual { calls: calls.collect(), made })
}

/// Puts good runs where trials can start from them.
///
/// # Errors
/// If they cannot be stored.
pub async fn keep(good: Vec<Outcome>) -> Result<Past, Failure> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path(), store_options())?;
    let mut records = Vec::new();
    for outcome in good {
        let Trace { spans, logs, .. } = outcome.trace;
        let spans = spans.into_iter().map(Record::Span);
        engine.append(&spans.chain(logs.into_iter().map(Record::Log)).collect::<Vec<_>>()).await?;
        records.extend(outcome.records);
    }
    engine.settle().await?;
    Ok(Past { records, traces: Some(folder) })
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    times: u64,
    at_once: u64,
}

/// The calls of one run, by operation and, where only some of its uses have it, parameter.
fn calls(trace: &Trace) -> BTreeMap<(String, Option<String>), Seen> {
    let mut uses: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in trace.spans.iter().filter(|span| is_call(span)) {
        uses.entry(&span.name).or_default().push(span);
    }
    let mut found = BTreeMap::new();
    for (operation, spans) in uses {
        found.insert((operation.to_owned(), None), seen(&spans));
        let parameters: Vec<_> = spans.iter().map(|span| parameters(span)).collect();
        for name in parameters.iter().flatten().collect::<BTreeSet<_>>() {
            let with = spans.iter().zip(&parameters).filter(|(_, names)| names.contains(name));
            let with: Vec<_> = with.map(|(span, _)| *span).collect();
            if with.len() < spans.len() {
                found.insert((operation.to_owned(), Some(name.clone())), seen(&with));
            }
        }
    }
    found
}

fn seen(spans: &[&Span]) -> Seen {
    let mut edges: Vec<(u64, i64)> = Vec::new();
    for span in spans {
        edges.push((span.start, 1));
        edges.push((span.end.unwrap_or(u64::MAX), -1));
    }
    // Ends before starts of the same moment: one after the other is not at once.
    edges.sort_unstable();
    let mut open = 0;
    let deepest = edges.iter().map(|(_, step)| {
        open += step;
        open
    });
    let at_once = deepest.max().unwrap_or(0).unsigned_abs();
    Seen { times: spans.len() as u64, at_once }
}

/// True for a call of AWS, and not for an attempt of one.
pub fn is_call(span: &Span) -> bool {
    span.attributes.contains_key(semconv::RPC_METHOD)
}

/// The names of a call's parameters, lists and structures by their own.
fn parameters(span: &Span) -> BTreeSet<String> {
    let text = span.attributes.get(semconv::REQUEST).map(|value| value.to_text());
    let json = text.and_then(|text| serde_json::from_str(&text).ok());
    match json {
        Some(serde_json::Value::Object(members)) => {
            // What only parts one page from the next is no other use of the call.
            let pages = ["NextToken", "Marker", "PageSize", "MaxResults", "MaxItems"];
            members.into_iter().map(|(name, _)| name).filter(|n| !pages.contains(&&**n)).collect()
        }
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use fixpoint_trace::model::{SpanContext, SpanId, TraceId, Value};

    use super::*;

    fn call(name: &str, request: &str, start: u64, end: u64) -> Span {
        let mut span = Span::new(
            SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() },
            name,
            start,
        );
        span.end = Some(end);
        let text = |text: &str| Value::String(text.to_owned());
        span.attributes.insert(semconv::RPC_METHOD.to_owned(), text(name));
        span.attributes.insert(semconv::REQUEST.to_owned(), text(request));
        span
    }

    #[test]
    fn a_parameter_of_some_uses_only_makes_a_row_of_its_own() {
        let spans = vec![
            call("E.List", r#"{"Arn":"a","Marker":"m"}"#, 0, 10),
            call("E.List", "{}", 5, 8),
            call("E.List", "{}", 10, 12),
            call("E.Make", r#"{"Name":"n"}"#, 0, 1),
        ];
        let found = calls(&Trace { spans, ..Trace::default() });
        let row = |name: &str, parameter: Option<&str>| {
            let seen = found[&(name.to_owned(), parameter.map(str::to_owned))];
            (seen.times, seen.at_once)
        };
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(row("E.List", None), (3, 2));
        assert_eq!(row("E.List", Some("Arn")), (1, 1));
        assert_eq!(row("E.Make", None), (1, 1));
    }
}
