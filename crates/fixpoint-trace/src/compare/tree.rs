//! A trace as a tree of labels, in arrays: what every comparison starts from.
//!
//! Not here: what is compared. The surprise: children stand in the order in which they started,
//! and a trace always has one tree: what has no parent here stands below nothing, at the top.

use std::collections::HashMap;

use super::label::{Label, Names, says_nothing};
use crate::model::{Kind, Span, SpanId, Trace, UnixNanos};

/// A span's place in a [`Tree`].
pub type At = usize;

/// The spans of a trace, parents before their children: each span is followed by all that is
/// below it.
#[derive(Debug)]
pub struct Tree<'a> {
    spans: Vec<&'a Span>,
    labels: Vec<Label>,
    parents: Vec<Option<At>>,
    /// Where what is below a span ends.
    ends: Vec<At>,
    depths: Vec<u32>,
    tops: Vec<At>,
}

impl<'a> Tree<'a> {
    /// Orders the spans of a trace. Takes time in proportion to their number, but for sorting
    /// siblings, and never recurses.
    pub fn new(trace: &'a Trace, names: &mut Names) -> Self {
        let order = Order::of(&trace.spans);
        let mut tree = Self {
            spans: order.spans.iter().map(|&span| &trace.spans[span]).collect(),
            labels: Vec::with_capacity(order.spans.len()),
            parents: order.parents,
            ends: order.ends,
            depths: order.depths,
            tops: Vec::new(),
        };
        tree.tops = (0..tree.len()).filter(|&at| tree.parents[at].is_none()).collect();
        for at in 0..tree.len() {
            let label = tree.label_of(at, names);
            tree.labels.push(label);
        }
        tree
    }

    fn label_of(&self, at: At, names: &mut Names) -> Label {
        let span = self.spans[at];
        let callee = (span.kind != Kind::Server && says_nothing(&span.name))
            .then(|| self.children(at).map(|child| self.spans[child]))
            .and_then(|mut children| children.find(|child| child.service() != span.service()));
        let name = match callee {
            None => names.number_without_ids(&span.name),
            Some(callee) => {
                let called = format!("{} > {} {}", span.name, callee.service(), callee.name);
                names.number_without_ids(&called)
            }
        };
        Label { service: names.number(span.service()), name, kind: span.kind }
    }

    /// How many spans there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The span of a place.
    pub fn span(&self, at: At) -> &'a Span {
        self.spans[at]
    }

    /// What it is called.
    pub fn label(&self, at: At) -> Label {
        self.labels[at]
    }

    /// The one it stands below.
    pub fn parent(&self, at: At) -> Option<At> {
        self.parents[at]
    }

    /// How many stand above it.
    pub fn depth(&self, at: At) -> u32 {
        self.depths[at]
    }

    /// All spans below it: they stand in a row.
    pub fn below(&self, at: At) -> std::ops::Range<At> {
        at + 1..self.ends[at]
    }

    /// Those that stand below no other, by start.
    pub fn tops(&self) -> &[At] {
        &self.tops
    }

    /// Those right below it, by start.
    pub fn children(&self, at: At) -> Children<'_> {
        Children { ends: &self.ends, next: at + 1, end: self.ends[at] }
    }

    /// How long it took, or has taken up to `now` while it is open, in nanoseconds.
    pub fn duration(&self, at: At, now: UnixNanos) -> u64 {
        let span = self.spans[at];
        span.end.unwrap_or(now).saturating_sub(span.start)
    }

    /// How much of a span's time none of its children was at work, in nanoseconds.
    pub fn self_time(&self, at: At, now: UnixNanos) -> u64 {
        let span = self.spans[at];
        let end = span.end.unwrap_or(now);
        let mut covered = 0;
        let mut until = span.start;
        for child in self.children(at) {
            let child = self.spans[child];
            let from = child.start.max(until);
            let to = child.end.unwrap_or(now).min(end);
            if to > from {
                covered += to - from;
                until = to;
            }
        }
        end.saturating_sub(span.start).saturating_sub(covered)
    }
}

/// The children of a span, by start.
#[derive(Debug, Clone)]
pub struct Children<'a> {
    ends: &'a [At],
    next: At,
    end: At,
}

impl Iterator for Children<'_> {
    type Item = At;

    fn next(&mut self) -> Option<At> {
        let at = self.next;
        (at < self.end).then(|| {
            self.next = self.ends[at];
            at
        })
    }
}

/// Spans by place: parents first, siblings by start.
struct Order {
    spans: Vec<usize>,
    parents: Vec<Option<At>>,
    ends: Vec<At>,
    depths: Vec<u32>,
}

impl Order {
    fn of(spans: &[Span]) -> Self {
        let place: HashMap<SpanId, usize> =
            spans.iter().enumerate().map(|(at, span)| (span.span_id, at)).collect();
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut tops = Vec::new();
        for (at, span) in spans.iter().enumerate() {
            match span.parent.and_then(|parent| place.get(&parent)) {
                Some(&parent) if parent != at => children[parent].push(at),
                _ => tops.push(at),
            }
        }
        let by_start = |list: &mut Vec<usize>| {
            list.sort_by_key(|&at| (spans[at].start, spans[at].span_id));
        };
        by_start(&mut tops);
        children.iter_mut().for_each(by_start);
        let mut order = Self {
            spans: Vec::with_capacity(spans.len()),
            parents: Vec::with_capacity(spans.len()),
            ends: vec![0; spans.len()],
            depths: Vec::with_capacity(spans.len()),
        };
        let mut seen = vec![false; spans.len()];
        for top in tops {
            order.walk(top, &children, &mut seen);
        }
        // Spans that name each other as parents are below no top; the first seen becomes one.
        for at in 0..spans.len() {
            if !seen[at] {
                order.walk(at, &children, &mut seen);
            }
        }
        order
    }

    fn walk(&mut self, top: usize, children: &[Vec<usize>], seen: &mut [bool]) {
        // An entry is a span and its parent's place; or, on the way back, a place to end.
        let mut stack = vec![(top, None, false)];
        while let Some((span, parent, leaving)) = stack.pop() {
            if leaving {
                self.ends[span] = self.spans.len();
                continue;
            }
            if std::mem::replace(&mut seen[span], true) {
                continue;
            }
            let at = self.spans.len();
            self.spans.push(span);
            self.parents.push(parent);
            self.depths.push(parent.map_or(0, |parent: At| self.depths[parent] + 1));
            stack.push((at, None, true));
            stack.extend(children[span].iter().rev().map(|&child| (child, Some(at), false)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{compare::testing, model::Resource, semconv::SERVICE_NAME};

    fn span(id: u8, parent: u8, times: std::ops::Range<u64>, name: &str) -> Span {
        testing::span(1, id, parent, times, name)
    }

    fn shape(spans: Vec<Span>) -> Vec<(String, u32)> {
        let trace = Trace { spans, ..Trace::default() };
        let tree = Tree::new(&trace, &mut Names::default());
        (0..tree.len()).map(|at| (tree.span(at).name.clone(), tree.depth(at))).collect()
    }

    fn named(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
        expected.iter().map(|&(name, depth)| (name.to_owned(), depth)).collect()
    }

    #[test]
    fn siblings_stand_by_start_and_parents_before_children() {
        let spans = vec![
            span(4, 2, 30..40, "late"),
            span(3, 2, 20..25, "early"),
            span(2, 1, 10..50, "step"),
            span(1, 0, 0..60, "run"),
            span(5, 1, 5..8, "first"),
        ];
        let expected = [("run", 0), ("first", 1), ("step", 1), ("early", 2), ("late", 2)];
        assert_eq!(shape(spans), named(&expected));
    }

    #[test]
    fn what_has_no_parent_here_stands_at_the_top() {
        let spans = vec![span(1, 0, 0..9, "root"), span(2, 7, 1..2, "orphan")];
        assert_eq!(shape(spans), named(&[("root", 0), ("orphan", 0)]));
    }

    #[test]
    fn spans_that_are_each_others_parents_are_all_there() {
        let spans =
            vec![span(1, 2, 0..9, "a"), span(2, 1, 1..8, "b"), span(3, 3, 2..3, "its own parent")];
        let expected = [("its own parent", 0), ("a", 0), ("b", 1)];
        assert_eq!(shape(spans), named(&expected));
    }

    #[test]
    fn a_deep_trace_takes_no_stack() {
        let mut spans = vec![span(1, 0, 0..9, "root")];
        let id = |n: u32| SpanId::from_bytes((u64::from(n) << 32).to_be_bytes());
        for n in 1..100_000 {
            let mut deeper = span(1, 0, 0..9, "deeper");
            deeper.span_id = id(n).unwrap();
            deeper.parent = if n == 1 { Some(spans[0].span_id) } else { id(n - 1) };
            spans.push(deeper);
        }
        let trace = Trace { spans, ..Trace::default() };
        let tree = Tree::new(&trace, &mut Names::default());
        assert_eq!(tree.depth(99_999), 99_999);
        assert_eq!(tree.below(0), 1..100_000);
    }

    #[test]
    fn self_time_is_what_no_child_covers() {
        let trace = Trace {
            spans: vec![
                span(1, 0, 0..100, "parent"),
                span(2, 1, 10..30, "child"),
                span(3, 1, 20..40, "beside it"),
                span(4, 1, 90..120, "outlives it"),
            ],
            ..Trace::default()
        };
        let tree = Tree::new(&trace, &mut Names::default());
        assert_eq!(tree.self_time(0, 200), 60);
        assert_eq!(tree.children(0).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_client_whose_name_says_nothing_is_called_after_its_callee() {
        let mut client = span(2, 1, 1..9, "HTTP GET");
        client.kind = Kind::Client;
        let mut callee = span(3, 2, 2..8, "GET /stock/17");
        let service = Resource::from_iter([(SERVICE_NAME.to_owned(), "stock".into())]);
        callee.resource = Arc::new(service);
        let trace =
            Trace { spans: vec![span(1, 0, 0..9, "buy"), client, callee], ..Trace::default() };
        let mut names = Names::default();
        let tree = Tree::new(&trace, &mut names);
        assert_eq!(names.text(tree.label(1).name), "HTTP GET > stock GET /stock/*");
    }
}
