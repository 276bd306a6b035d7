//! A trace as a tree that one can ask: which step, which call, which error.
//!
//! Not here: what any of it means. The surprise: the attempts of a call are part of the call; what
//! they met is said of it.

use std::collections::HashMap;

use fixpoint_trace::{
    compare::{
        label::Names,
        tree::{At, Tree},
    },
    model::{Kind, Level, LogRecord, Span, SpanId, Status, Trace, Value},
    semconv,
};

/// The name of the spans in which a plan looks at the world.
pub(super) const CREATE: &str = "create";

/// A trace, to ask.
pub(super) struct View<'a> {
    pub(super) tree: Tree<'a>,
    places: HashMap<SpanId, At>,
    logs: HashMap<SpanId, Vec<&'a LogRecord>>,
}

impl<'a> View<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let tree = Tree::new(trace, &mut Names::default());
        let places = (0..tree.len()).map(|at| (tree.span(at).span_id, at)).collect();
        let mut logs: HashMap<_, Vec<_>> = HashMap::new();
        for line in &trace.logs {
            if let Some(span) = line.span_id {
                logs.entry(span).or_default().push(line);
            }
        }
        Self { tree, places, logs }
    }

    /// Every place, parents before their children.
    pub(super) fn all(&self) -> std::ops::Range<At> {
        0..self.tree.len()
    }

    pub(super) fn span(&self, at: At) -> &'a Span {
        self.tree.span(at)
    }

    pub(super) fn place(&self, id: SpanId) -> Option<At> {
        self.places.get(&id).copied()
    }

    /// Itself, and then those above it.
    pub(super) fn upwards(&self, at: At) -> impl Iterator<Item = At> {
        std::iter::successors(Some(at), |&at| self.tree.parent(at))
    }

    pub(super) fn is_step(&self, at: At) -> bool {
        self.span(at).attributes.contains_key(semconv::STEP_KEY)
    }

    pub(super) fn is_call(&self, at: At) -> bool {
        let span = self.span(at);
        span.kind == Kind::Client && span.attributes.contains_key(semconv::RPC_METHOD)
    }

    /// Whether a call changes nothing, as far as its name tells.
    pub(super) fn only_looks(&self, at: At) -> bool {
        let method = text(self.span(at), semconv::RPC_METHOD).unwrap_or_default();
        ["Describe", "List", "Get", "Head"].iter().any(|verb| method.starts_with(verb))
    }

    /// The step that a span is in, or is; or the `create` that it is in.
    pub(super) fn step(&self, at: At) -> Option<At> {
        self.upwards(at).find(|&at| self.is_step(at) || self.span(at).name == CREATE)
    }

    /// The call that a span is in, or is.
    pub(super) fn call(&self, at: At) -> Option<At> {
        self.upwards(at).find(|&at| self.is_call(at))
    }

    /// Whether a span has failed and nothing below it has: that is where a failure comes from.
    /// Several attempts of one call count as the call.
    pub(super) fn failed_by_itself(&self, at: At) -> bool {
        let call = self.is_call(at);
        self.span(at).failed()
            && self.call(at).is_none_or(|within| within == at)
            && (call || !self.tree.below(at).any(|below| self.span(below).failed()))
    }

    /// Where the failure of a span comes from: the last of those below it that failed by
    /// themselves, or the span.
    pub(super) fn origin(&self, at: At) -> At {
        self.tree.below(at).rev().find(|&below| self.failed_by_itself(below)).unwrap_or(at)
    }

    /// Warnings and errors that were logged in a span, or below it.
    pub(super) fn complaints(&self, at: At) -> Vec<&'a LogRecord> {
        std::iter::once(at)
            .chain(self.tree.below(at))
            .flat_map(|at| self.logs.get(&self.span(at).span_id).into_iter().flatten())
            .copied()
            .filter(|line| Level::of(line.severity) >= Level::Warn)
            .collect()
    }
}

/// An attribute that is a text.
pub(super) fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    span.attributes.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// An attribute that is a whole number.
pub(super) fn number(span: &Span, name: &str) -> Option<i64> {
    match span.attributes.get(name) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}

/// What is said of a call, with the id of its request: AWS can be asked about that one.
pub(super) fn with_request(said: &str, id: Option<&str>) -> String {
    id.map_or_else(|| said.to_owned(), |id| format!("{said} (request id {id})"))
}

/// How a span's failure is described.
pub(super) fn description(span: &Span) -> &str {
    match &span.status {
        Status::Error(description) => description,
        _ => "",
    }
}
