//! For tests of this crate and of those that record traces: a trace as text, and the suite that
//! every [`TraceStore`](crate::store::TraceStore) passes.

mod contract;

use std::{collections::HashMap, fmt::Write, sync::LazyLock};

pub use self::contract::contract;
use crate::model::{Kind, Span, SpanId, Status, Trace};

/// The span tree as indented text, without ids or times, for snapshots.
///
/// One line a span: name, kind if it is not internal, status if it is not unset, `open` if it is,
/// and those of its attributes that are named. Siblings stand by start; a span whose parent is
/// missing stands at the top and is called an orphan.
///
/// ```text
/// run clusters
///   create {fixpoint.iteration=1}
///   register_cluster_node_to_lb
///     ELBv2.RegisterTargets client error: target group is gone
/// ```
pub fn tree(trace: &Trace, attributes: &[&str]) -> String {
    let mut sorted = trace.clone();
    sorted.sort();
    let ids: HashMap<_, _> = sorted.spans.iter().map(|span| (span.span_id, ())).collect();
    let mut children: HashMap<Option<SpanId>, Vec<&Span>> = HashMap::new();
    for span in &sorted.spans {
        let parent = span.parent.filter(|parent| ids.contains_key(parent));
        children.entry(parent).or_default().push(span);
    }
    let mut text = String::new();
    let tops = children.get(&None).into_iter().flatten();
    let mut todo: Vec<_> = tops.rev().map(|span| (0, *span)).collect();
    while let Some((depth, span)) = todo.pop() {
        let orphan = depth == 0 && span.parent.is_some();
        line(&mut text, depth, span, orphan, attributes);
        let below = children.get(&Some(span.span_id)).into_iter().flatten();
        todo.extend(below.rev().map(|child| (depth + 1, *child)));
    }
    text
}

fn line(text: &mut String, depth: usize, span: &Span, orphan: bool, attributes: &[&str]) {
    let mut line = format!("{:indent$}{}", "", span.name, indent = depth * 2);
    let kind = match span.kind {
        Kind::Internal => "",
        Kind::Server => " server",
        Kind::Client => " client",
        Kind::Producer => " producer",
        Kind::Consumer => " consumer",
    };
    line.push_str(kind);
    // Writing to a string cannot fail.
    let _ = match &span.status {
        Status::Unset => Ok(()),
        Status::Ok => write!(line, " ok"),
        Status::Error(why) if why.is_empty() => write!(line, " error"),
        Status::Error(why) => write!(line, " error: {why}"),
    };
    if span.end.is_none() {
        line.push_str(" open");
    }
    if orphan {
        line.push_str(" orphan");
    }
    let shown: Vec<_> = attributes
        .iter()
        .filter_map(|name| Some(format!("{name}={}", span.attributes.get(*name)?.to_text())))
        .collect();
    if !shown.is_empty() {
        let _ = write!(line, " {{{}}}", shown.join(", "));
    }
    text.push_str(&line);
    text.push('\n');
}

/// Keeps every span and event of this process worth recording, from now on.
///
/// Tests that each set a subscriber for their own thread need it, once and before they set it:
/// `tracing` decides for the whole process whether a place in the code is of interest, and a
/// place that is met first by a thread without a subscriber, just while another thread sets its
/// own, may stay dark for both.
pub fn watch_all_places() {
    static WATCHING: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&WATCHING);
}
