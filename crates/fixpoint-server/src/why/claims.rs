//! What a call says it changed, and what a look says is there: enough to hold one against the other.
//!
//! Knows AWS's conventions and no operation: a method is a verb and what it is about, requests and
//! answers are JSON whose names end in `Id`, `Arn` or `Name`. Not here: what follows (`effect.rs`).
//! The surprise: what a change made is told by ids that nobody has mentioned before; what it set is
//! told by what it was asked, if a look names the same things in the same words.

use std::collections::HashSet;

use fixpoint_trace::{compare::tree::At, semconv};
use serde_json::Value;

use super::view::{View, text};

/// Verbs of calls after which a look shows less than before.
const REMOVING: [&str; 8] =
    ["Delete", "Deregister", "Detach", "Disassociate", "Release", "Remove", "Revoke", "Terminate"];

/// A name and a value that a request or an answer holds: `subnetid`, `subnet-1`. The name is in
/// small letters and singular, so that `PolicyName` and `PolicyNames` are the same.
pub(super) type Pair = (String, String);

/// A call, read.
pub(super) struct Call {
    pub(super) at: At,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) changes: bool,
    pub(super) failed: bool,
    removes: bool,
    service: String,
    method: String,
    /// The words of the method but its verb: `security`, `group`, `egress`.
    about: HashSet<String>,
    asked: Vec<Pair>,
    /// What of that says which things are meant.
    named: Vec<Pair>,
    answer: Value,
    answered: HashSet<Pair>,
}

impl Call {
    fn read(view: &View, at: At) -> Self {
        let span = view.span(at);
        let json = |name| text(span, name).and_then(|text| serde_json::from_str(text).ok());
        let answer: Value = json(semconv::RESPONSE).unwrap_or_default();
        let request: Value = json(semconv::REQUEST).unwrap_or_default();
        let named = request.as_object().into_iter().flatten().filter_map(|(name, value)| {
            let name = singular(&name.to_lowercase());
            names_a_thing(&name).then(|| Some((name, value.as_str()?.to_owned())))?
        });
        let method = text(span, semconv::RPC_METHOD).unwrap_or_default();
        Self {
            at,
            start: span.start,
            end: span.end.unwrap_or(u64::MAX),
            changes: !view.only_looks(at),
            failed: span.failed(),
            removes: REMOVING.iter().any(|verb| method.starts_with(verb)),
            service: text(span, semconv::RPC_SERVICE).unwrap_or_default().to_owned(),
            method: method.to_owned(),
            about: words(method).into_iter().skip(1).collect(),
            named: named.collect(),
            asked: pairs(&request),
            answered: pairs(&answer).into_iter().collect(),
            answer,
        }
    }

    /// Whether it was answered as if it had changed something.
    pub(super) fn claims(&self) -> bool {
        self.changes && !self.failed && self.end != u64::MAX
    }

    /// What it was asked.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Pair> {
        self.asked.iter()
    }

    /// Whether it was asked for a name with a value.
    pub(super) fn was_asked(&self, pair: &Pair) -> bool {
        self.asked.contains(pair)
    }

    /// What it was answered.
    pub(super) fn answer(&self) -> impl Iterator<Item = &Pair> {
        self.answered.iter()
    }

    /// Whether it was the same call, with the same words.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.method == other.method && self.service == other.service && self.asked == other.asked
    }

    /// Whether its answer holds a name with a value.
    pub(super) fn answered(&self, pair: &Pair) -> bool {
        self.answered.contains(pair)
    }

    fn mentions(&self, pair: &Pair) -> bool {
        self.answered(pair) || self.was_asked(pair)
    }

    /// What it was asked that a look could show: words, and no texts.
    fn set(&self) -> impl Iterator<Item = &Pair> {
        let is_word = |value: &str| !value.contains(|c: char| c.is_whitespace() || c == '{');
        self.asked.iter().filter(move |(_, value)| is_word(value))
    }
}

/// All calls of AWS of a trace, by start.
pub(super) struct Calls(Vec<Call>);

impl Calls {
    pub(super) fn read(view: &View) -> Self {
        let calls = view.all().filter(|&at| view.is_call(at));
        let mut calls: Vec<_> = calls.map(|at| Call::read(view, at)).collect();
        calls.sort_by_key(|call| (call.start, call.at));
        Self(calls)
    }

    pub(super) fn at(&self, at: At) -> Option<&Call> {
        self.0.iter().find(|call| call.at == at)
    }

    /// Those that a filter is for, by start.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.0.iter()
    }

    /// The ids that a change gave out: nobody had mentioned them before it was answered.
    pub(super) fn made<'a>(&'a self, change: &'a Call) -> Vec<&'a Pair> {
        let earlier =
            |pair: &Pair| self.0.iter().any(|call| call.end < change.start && call.mentions(pair));
        let is_id = |name: &str| names_a_thing(name) && !name.ends_with("name");
        let new = |pair: &&Pair| is_id(&pair.0) && !change.asked.contains(pair) && !earlier(pair);
        change.answered.iter().filter(new).collect()
    }

    /// Whether an answer of a look after a change shows a name with a value.
    pub(super) fn is_shown(&self, pair: &Pair, since: u64) -> bool {
        self.0
            .iter()
            .any(|look| !look.changes && look.start >= since && look.answered.contains(pair))
    }

    /// Whether a look shows what a change claims.
    pub(super) fn shows(&self, look: &Call, change: &Call) -> bool {
        if self.made(change).iter().any(|id| look.answered.contains(*id)) {
            return true;
        }
        // What belongs to one thing is in one item of the answer, beside the thing's id or name.
        let mut items = Vec::new();
        items_of(&look.answer, &mut items);
        let named = change.named.iter().filter(|pair| !look.asked.contains(pair));
        let named: Vec<_> = named.collect();
        items.retain(|item| named.is_empty() || named.iter().any(|pair| item.contains(*pair)));
        let has =
            |pair: &Pair| look.asked.contains(pair) || items.iter().any(|item| item.contains(pair));
        let there = !items.is_empty() && change.set().all(has);
        there != change.removes
    }

    /// Of some looks, those that are about what was changed: of the same service, with the most words
    /// in common; of several such, those that were asked about the very things, or name them.
    pub(super) fn about<'a>(&self, change: &Call, looks: Vec<&'a Call>) -> Vec<&'a Call> {
        let made = self.made(change);
        let likeness = |look: &Call| {
            let words = look.about.intersection(&change.about).count();
            let asked = change.set().any(|pair| look.asked.contains(pair));
            let mut all = change.set().chain(made.iter().copied());
            let shown = all.any(|pair| look.answered.contains(pair));
            (words > 0).then(|| 2 * words + 2 * usize::from(asked) + usize::from(shown))
        };
        let alike = |look: &&&Call| look.service == change.service && likeness(look).is_some();
        let best = looks.iter().filter(alike).max_by_key(|look| likeness(look));
        let about = best.map(|look| look.about.clone());
        looks.into_iter().filter(|look| Some(&look.about) == about.as_ref()).collect()
    }
}

/// The words of `DescribeSecurityGroups`, in small letters and singular.
fn words(method: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in method.chars() {
        if c.is_uppercase() || words.is_empty() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.iter().map(|word| singular(word)).collect()
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => word.strip_suffix('s').unwrap_or(word).to_owned(),
    }
}

/// Whether what has this name says which thing is meant.
pub(super) fn names_a_thing(name: &str) -> bool {
    ["id", "arn", "name"].iter().any(|end| name.ends_with(end))
}

/// All names with values in some JSON. What only holds a `Value` goes by the name of its holder.
fn pairs(value: &Value) -> Vec<Pair> {
    let mut found = Vec::new();
    let mut left = vec![(String::new(), value)];
    while let Some((name, value)) = left.pop() {
        match value {
            Value::String(text) if !text.is_empty() => found.push((name, text.clone())),
            Value::Number(_) | Value::Bool(_) => found.push((name, value.to_string())),
            Value::Array(items) => left.extend(items.iter().map(|item| (name.clone(), item))),
            Value::Object(members) => left.extend(members.iter().map(|(member, value)| {
                let member = member.to_lowercase();
                (if member == "value" { name.clone() } else { singular(&member) }, value)
            })),
            _ => {}
        }
    }
    found
}

/// What each item of the lists nearest to the top holds; all of an answer that has no list.
fn items_of(value: &Value, items: &mut Vec<HashSet<Pair>>) {
    match value {
        Value::Object(members) if members.values().any(Value::is_array) => {
            for list in members.values().filter_map(Value::as_array) {
                // A list of plain values is one thing: the names of a role's policies.
                if list.iter().all(Value::is_object) {
                    items.extend(list.iter().map(|item| pairs(item).into_iter().collect()));
                } else {
                    items.push(pairs(value).into_iter().collect());
                }
            }
        }
        _ => items.push(pairs(value).into_iter().collect()),
    }
}
