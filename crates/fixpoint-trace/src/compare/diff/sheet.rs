//! What is known of each span of a trace while it is compared: who it is, what it did.
//!
//! Not here: which spans are compared with which. The surprise: most spans are never hashed.
//! Where a parent has one child of a name, its name is enough.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher},
    ops::Range,
    sync::LazyLock,
};

use super::{json::Eye, text::Plain};
use crate::{
    compare::{
        label::{Name, Names},
        tree::{At, Tree},
    },
    model::{Attributes, LogRecord, Span, SpanId, Status, Trace, UnixNanos, Value},
    semconv,
};

/// One seed for all, so that equal things have equal hashes. Nothing depends on their order.
pub(super) fn hasher() -> impl Hasher {
    static SEED: LazyLock<hashbrown::DefaultHashBuilder> = LazyLock::new(Default::default);
    SEED.build_hasher()
}

/// Attributes that differ from run to run, or only say what the tree says: how often something
/// was tried, which turn it is.
const NO_NEWS: [&str; 16] = [
    semconv::AWS_REQUEST_ID,
    semconv::RUN_ID,
    semconv::GENERATION,
    semconv::ITERATION,
    semconv::AWS_ATTEMPTS,
    semconv::ATTEMPT,
    semconv::WAIT_POLLS,
    "thread.id",
    "thread.name",
    "process.pid",
    "client.port",
    "network.peer.port",
    "net.peer.port",
    "net.sock.peer.port",
    "busy_ns",
    "idle_ns",
];

/// Parts of names of attributes that say how a call went, not which call it was.
const OUTCOMES: [&str; 10] = [
    "status",
    "error",
    "exception",
    "response",
    "duration",
    "size",
    "length",
    "retry",
    "result",
    "count",
];

/// Whether an attribute is compared.
pub(super) fn is_news(key: &str) -> bool {
    !NO_NEWS.contains(&key)
}

/// A trace, ready to be compared.
#[derive(Debug)]
pub(super) struct Sheet<'t> {
    pub(super) tree: Tree<'t>,
    pub(super) eye: Eye,
    /// When open spans are taken to end: the last time that is known.
    pub(super) now: UnixNanos,
    logs: HashMap<SpanId, Vec<&'t LogRecord>>,
    /// What each attribute says without ids, as hashes, 0 if nobody has asked; and where those of
    /// each span begin.
    values: Vec<Cell<u64>>,
    begin: Vec<usize>,
    who: Vec<u64>,
    kin: Vec<u64>,
    did: Vec<u64>,
}

impl<'t> Sheet<'t> {
    pub(super) fn new(trace: &'t Trace, names: &mut Names, own: Option<String>) -> Self {
        let tree = Tree::new(trace, names);
        let mut logs: HashMap<SpanId, Vec<&LogRecord>> = HashMap::new();
        for log in &trace.logs {
            // What was written in no span here stands at the top.
            let top = tree.tops().first().map(|&top| tree.span(top).span_id);
            logs.extend(top.filter(|_| log.span_id.is_none()).map(|top| (top, Vec::new())));
            if let Some(span) = log.span_id.or(top) {
                logs.entry(span).or_default().push(log);
            }
        }
        let spans = &trace.spans;
        let mut begin = Vec::with_capacity(tree.len());
        let mut values = 0;
        for at in 0..tree.len() {
            begin.push(values);
            values += tree.span(at).attributes.len();
        }
        Self {
            values: vec![Cell::new(0); values],
            begin,
            now: spans.iter().map(|span| span.end.unwrap_or(span.start)).max().unwrap_or(0),
            eye: Eye {
                plain: Plain { own },
                start: spans.iter().map(|span| span.start).min().unwrap_or(0),
            },
            who: vec![0; tree.len()],
            kin: vec![0; tree.len()],
            did: vec![0; tree.len()],
            tree,
            logs,
        }
    }

    pub(super) fn span(&self, at: At) -> &'t Span {
        self.tree.span(at)
    }

    /// The log lines of a span.
    pub(super) fn logs(&self, at: At) -> &[&'t LogRecord] {
        if self.logs.is_empty() {
            return &[];
        }
        self.logs.get(&self.span(at).span_id).map_or(&[], Vec::as_slice)
    }

    /// From its first start to its last end.
    pub(super) fn duration(&self) -> u64 {
        self.now.saturating_sub(self.eye.start)
    }

    /// Which call or step it is, whatever came of it: its label with its step key, or what it
    /// asked, or what its attributes say beside the outcome.
    pub(super) fn who(&mut self, at: At) -> u64 {
        if self.who[at] == 0 {
            let span = self.span(at);
            let mut hasher = self.label(at);
            match told(span) {
                Some(place) => hasher.write_u64(self.value(at, place)),
                None if ours(span) => {}
                None => self.own_attributes(at, &mut hasher, |key| {
                    !OUTCOMES.iter().any(|outcome| key.contains(outcome))
                }),
            }
            self.who[at] = hasher.finish();
        }
        self.who[at]
    }

    /// Which call or step it is, as [`who`](Self::who) says; where it says nothing of itself, by
    /// what it calls as well, once each.
    pub(super) fn kin(&mut self, at: At) -> u64 {
        if self.kin[at] == 0 {
            for below in (at..self.tree.below(at).end).rev() {
                if self.kin[below] == 0 {
                    let mut hasher = hasher();
                    self.who(below).hash(&mut hasher);
                    if told(self.span(below)).is_none() {
                        let mut calls: Vec<u64> =
                            self.tree.children(below).map(|child| self.kin[child]).collect();
                        calls.sort_unstable();
                        calls.dedup();
                        calls.hash(&mut hasher);
                    }
                    self.kin[below] = hasher.finish();
                }
            }
        }
        self.kin[at]
    }

    /// All that it and what is below it did, times left out.
    pub(super) fn did(&mut self, at: At) -> u64 {
        if self.did[at] == 0 {
            // Those below come after it, so that from the end on all children are known.
            for below in (at..self.tree.below(at).end).rev() {
                if self.did[below] == 0 {
                    self.did[below] = self.own_did(below);
                }
            }
        }
        self.did[at]
    }

    fn own_did(&self, at: At) -> u64 {
        let span = self.span(at);
        let mut hasher = self.label(at);
        self.own_attributes(at, &mut hasher, |_| true);
        span.failed().hash(&mut hasher);
        if let Status::Error(why) = &span.status {
            self.eye.plain.hash(why, &mut hasher);
        }
        for event in &span.events {
            self.eye.plain.hash(&event.name, &mut hasher);
            self.attributes(&event.attributes, &mut hasher);
        }
        for log in self.logs(at) {
            self.eye.plain.hash(&log.message(), &mut hasher);
            self.attributes(&log.attributes, &mut hasher);
        }
        // In whatever order: those at work at once start in any.
        let below = self.tree.children(at).map(|child| self.did[child]);
        below.fold(0, u64::wrapping_add).hash(&mut hasher);
        hasher.finish()
    }

    fn label(&self, at: At) -> impl Hasher + use<> {
        let mut hasher = hasher();
        self.tree.label(at).hash(&mut hasher);
        hasher
    }

    /// What the attribute at a place of a span says without ids, as a hash.
    pub(super) fn value(&self, at: At, place: usize) -> u64 {
        let known = &self.values[self.begin[at] + place];
        if known.get() == 0 {
            let value = self.span(at).attributes.get_index(place).map(|(_, value)| value);
            known.set(value.map_or(0, |value| self.hash(value)));
        }
        known.get()
    }

    fn hash(&self, value: &Value) -> u64 {
        let mut hasher = hasher();
        std::mem::discriminant(value).hash(&mut hasher);
        self.eye.plain.hash(&value.to_text(), &mut hasher);
        hasher.finish()
    }

    /// Attributes count in whatever order, as they were set in whatever order.
    fn own_attributes(&self, at: At, into: &mut impl Hasher, wanted: impl Fn(&str) -> bool) {
        let mut sum = 0_u64;
        for (place, key) in self.span(at).attributes.keys().enumerate() {
            if is_news(key) && wanted(key) {
                sum = sum.wrapping_add(field(key, self.value(at, place)));
            }
        }
        sum.hash(into);
    }

    fn attributes(&self, attributes: &Attributes, into: &mut impl Hasher) {
        let fields = attributes.iter().map(|(key, value)| field(key, self.hash(value)));
        fields.fold(0, u64::wrapping_add).hash(into);
    }

    /// What its children are called, as a hash; and how many are below it in all.
    pub(super) fn shape(&self, at: At) -> (u64, usize) {
        let below = self.tree.below(at);
        let mut hasher = hasher();
        for place in below.clone() {
            (self.tree.label(place), self.tree.depth(place) - self.tree.depth(at))
                .hash(&mut hasher);
        }
        (hasher.finish(), below.len())
    }

    /// Its name alone, without what it called.
    pub(super) fn plain_name(&self, at: At, names: &mut Names) -> Name {
        names.number_without_ids(&self.span(at).name)
    }

    /// All texts of the spans in a range, to look for words in.
    pub(super) fn texts(&self, range: Range<At>, mut give: impl FnMut(Cow<'_, str>)) {
        for at in range {
            let span = self.span(at);
            give(Cow::Borrowed(&span.name));
            span.attributes.values().for_each(|value| give(value.to_text()));
            for event in &span.events {
                event.attributes.values().for_each(|value| give(value.to_text()));
            }
            self.logs(at).iter().for_each(|log| give(log.message()));
        }
    }
}

/// An attribute as a hash.
fn field(key: &str, value: u64) -> u64 {
    let mut hasher = hasher();
    (key, value).hash(&mut hasher);
    hasher.finish()
}

/// The place of the attribute in which a span says which call or step it is, if it does.
fn told(span: &Span) -> Option<usize> {
    let keys = [semconv::STEP_KEY, semconv::REQUEST, semconv::STEPS];
    // Spans have few attributes: to look at all takes less than to hash three names.
    span.attributes.keys().position(|key| keys.contains(&key.as_str()))
}

/// Whether this project recorded a span.
fn ours(span: &Span) -> bool {
    let sdk = span.resource.get(semconv::TELEMETRY_SDK_NAME);
    sdk.and_then(Value::as_str) == Some(semconv::OUR_SDK)
}
