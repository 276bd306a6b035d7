//! What many good traces have in common: a tree of call paths, each with what is usual there.
//!
//! For [`explain`](super::explain), which holds a bad trace against it. Not here: which trace is a
//! good one. The surprise: nothing is kept of single traces and nothing is averaged. Everything is
//! counted, so two profiles put together are the profile of all their traces.

pub mod histogram;
pub mod paths;
pub mod shape;
pub mod tally;

use std::{
    collections::{HashMap as Map, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use hashbrown::HashMap;

use self::paths::{
    ABOVE_ALL, EDGE, MOST_ATTRIBUTES, MOST_PAIRS, MOST_VALUES, Path, PathId, rounded,
};
use super::{
    label::{Label, Name, Names, without_ids},
    tree::{At, Tree},
};
use crate::model::{LogRecord, SpanId, Trace, UnixNanos};

/// The profile of many traces.
///
/// Its size is bounded by the number of call paths, not of traces: some kilobytes for each, 65,536
/// paths at most; what comes after those is not looked at.
#[derive(Debug, Clone)]
pub struct Profile {
    names: Names,
    paths: Vec<Path>,
    below: HashMap<(PathId, Label), PathId>,
    traces: u64,
    spans: u64,
    /// Spans that found no room.
    left_out: u64,
}

/// More call paths than this are no program but a flood of names.
const MOST_PATHS: usize = 1 << 16;
/// How much of a log line tells it from others.
const LONGEST_LINE: usize = 120;
/// No path: there were too many.
pub(super) const NOWHERE: PathId = PathId::MAX;

impl Default for Profile {
    fn default() -> Self {
        Self {
            names: Names::default(),
            paths: vec![Path::default()],
            below: HashMap::new(),
            traces: 0,
            spans: 0,
            left_out: 0,
        }
    }
}

impl Profile {
    /// Counts a trace. Takes time in proportion to its spans.
    pub fn add(&mut self, trace: &Trace) {
        let mut names = std::mem::take(&mut self.names);
        let tree = Tree::new(trace, &mut names);
        self.names = names;
        self.place(&tree, &trace.logs);
    }

    /// How many traces were counted.
    pub fn traces(&self) -> u64 {
        self.traces
    }

    /// How many spans were counted.
    pub fn spans(&self) -> u64 {
        self.spans
    }

    /// How many spans were not looked at since there are too many call paths.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All call paths; a path's number is its place here.
    pub fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// The path of a number.
    pub fn path(&self, id: PathId) -> &Path {
        &self.paths[id as usize]
    }

    /// The path of those that are called `label` below another path.
    pub fn child(&self, parent: PathId, label: Label) -> Option<PathId> {
        self.below.get(&(parent, label)).copied()
    }

    /// The texts behind its numbers.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Counts all traces of another profile.
    pub fn merge(&mut self, other: &Self) {
        let mut places = vec![ABOVE_ALL; other.paths.len()];
        for (at, path) in other.paths.iter().enumerate().skip(1) {
            let parent = places[path.parent as usize];
            places[at] = match path.label {
                Some(label) if parent != NOWHERE => {
                    let label = self.own_label(label, &other.names);
                    self.find_or_make(parent, label)
                }
                _ => NOWHERE,
            };
        }
        let lines = self.own_lines(other);
        let line = |name: u32| if name == EDGE { EDGE } else { lines[&name] };
        let place = |path: u32| if path == EDGE { EDGE } else { places[path as usize] };
        for (at, path) in other.paths.iter().enumerate() {
            if places[at] == NOWHERE {
                self.left_out += path.spans;
                continue;
            }
            let names = &mut self.names;
            let name = |name: Name| names.number(other.names.text(name));
            self.paths[places[at] as usize].merge(path, place, name, line);
        }
        self.traces += other.traces;
        self.spans += other.spans;
        self.left_out += other.left_out;
    }

    fn own_label(&mut self, label: Label, names: &Names) -> Label {
        Label {
            service: self.names.number(names.text(label.service)),
            name: self.names.number(names.text(label.name)),
            kind: label.kind,
        }
    }

    /// The numbers of another profile's log lines, to those that they have here.
    fn own_lines(&mut self, other: &Self) -> Map<u32, u32> {
        let mut lines = Map::new();
        let pairs = other.paths.iter().flat_map(|path| path.lines.iter());
        for line in pairs.flat_map(|(&(a, b), _)| [a, b]).filter(|&line| line != EDGE) {
            let names = &mut self.names;
            lines.entry(line).or_insert_with(|| names.number(other.names.text_of(line)).number());
        }
        lines
    }

    fn find_or_make(&mut self, parent: PathId, label: Label) -> PathId {
        if let Some(&path) = self.below.get(&(parent, label)) {
            return path;
        }
        if self.paths.len() >= MOST_PATHS {
            return NOWHERE;
        }
        // There are fewer than 65,536.
        let id = self.paths.len() as PathId;
        self.paths.push(Path { parent, label: Some(label), ..Path::default() });
        self.paths[parent as usize].children.push(id);
        self.below.insert((parent, label), id);
        id
    }

    /// Names in the numbers of this profile.
    pub(super) fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// Counts a trace whose tree has labels of this profile. Tells the path of each of its spans.
    pub(super) fn place(&mut self, tree: &Tree<'_>, logs: &[LogRecord]) -> Vec<PathId> {
        self.traces += 1;
        let now = latest(tree, logs);
        let lines = Lines::of(tree, logs);
        let mut seen = HashSet::new();
        let mut places: Vec<PathId> = Vec::with_capacity(tree.len());
        for at in 0..tree.len() {
            let parent = tree.parent(at).map_or(ABOVE_ALL, |parent| places[parent]);
            let place = match parent {
                NOWHERE => NOWHERE,
                parent => self.find_or_make(parent, tree.label(at)),
            };
            places.push(place);
            if place == NOWHERE {
                self.left_out += 1;
                continue;
            }
            self.spans += 1;
            self.count(tree, at, place, now);
            self.count_values(tree, at, place, &mut seen);
            // What an open span has not said it may still say.
            let goes_on = tree.span(at).end.is_none();
            let said = pairs(lines.names(at, tree, &mut self.names));
            for (a, b) in said.filter(|&(_, then)| !(goes_on && then == EDGE)) {
                self.paths[place as usize].lines.add(&(a, b), 1, MOST_PAIRS);
            }
        }
        let above = &mut self.paths[ABOVE_ALL as usize];
        above.spans += 1;
        above.traces += 1;
        let mut calls = Vec::new();
        self.count_calls(ABOVE_ALL, true, tree.tops().iter().map(|&at| places[at]), &mut calls);
        for at in (0..tree.len()).filter(|&at| places[at] != NOWHERE) {
            let below = tree.children(at).map(|child| places[child]);
            self.count_calls(places[at], tree.span(at).end.is_some(), below, &mut calls);
        }
        places
    }

    fn count(&mut self, tree: &Tree<'_>, at: At, place: PathId, now: UnixNanos) {
        let trace = self.traces;
        let path = &mut self.paths[place as usize];
        let span = tree.span(at);
        path.spans += 1;
        if path.last_trace != trace {
            path.last_trace = trace;
            path.traces += 1;
        }
        if span.failed() {
            path.failed += 1;
            path.origins += u64::from(is_origin(tree, at));
        }
        if span.end.is_none() {
            path.open += u64::from(is_deepest_open(tree, at));
            return;
        }
        path.whole.add(tree.duration(at, now));
        match callee(tree, at) {
            Some(_) => path.gap.add(tree.self_time(at, now)),
            None => path.own.add(tree.self_time(at, now)),
        }
    }

    /// Counts each value once a trace: what all calls of a trace are asked for, a name say, is
    /// one choice and not many.
    fn count_values(&mut self, tree: &Tree<'_>, at: At, place: PathId, seen: &mut HashSet<u64>) {
        let path = &mut self.paths[place as usize];
        each_value(tree, at, |name, value| {
            let name = self.names.number(name);
            let mut hasher = DefaultHasher::new();
            (place, name, value).hash(&mut hasher);
            let fits = path.values.len() < MOST_ATTRIBUTES || path.values.contains_key(&name);
            if fits && seen.insert(hasher.finish()) {
                path.values.entry(name).or_default().add(value, 1, MOST_VALUES);
            }
        });
    }

    /// Counts how often a span called what, and in which order. What one that has not `ended` has
    /// not called it may still call.
    fn count_calls(
        &mut self,
        caller: PathId,
        ended: bool,
        below: impl Iterator<Item = PathId> + Clone,
        calls: &mut Vec<PathId>,
    ) {
        self.paths[caller as usize].ended += u64::from(ended);
        calls.clear();
        calls.extend(below.clone().filter(|&place| place != NOWHERE));
        calls.sort_unstable();
        for alike in calls.chunk_by(|a, b| a == b) {
            let path = &mut self.paths[alike[0] as usize];
            let made = if ended { &mut path.per_caller } else { &mut path.so_far };
            made.add(&rounded(alike.len() as u32), 1, usize::MAX);
        }
        let caller = &mut self.paths[caller as usize];
        if ended && !caller.calls.given_up() {
            for pair in pairs(below.filter(|&place| place != NOWHERE)) {
                caller.calls.add(&pair, 1, MOST_PAIRS);
            }
        }
    }
}

/// What follows what, from the begin to the end.
pub(super) fn pairs(things: impl Iterator<Item = u32>) -> impl Iterator<Item = (u32, u32)> {
    let mut before = EDGE;
    things
        .chain(std::iter::once(EDGE))
        .map(move |thing| (std::mem::replace(&mut before, thing), thing))
}

/// The first call of another service right below a span.
pub(super) fn callee(tree: &Tree<'_>, at: At) -> Option<At> {
    let service = tree.label(at).service;
    tree.children(at).find(|&child| tree.label(child).service != service)
}

/// Whether a failed span has no failed call below it that it could have its failure from.
pub(super) fn is_origin(tree: &Tree<'_>, at: At) -> bool {
    tree.span(at).failed() && !tree.children(at).any(|child| tree.span(child).failed())
}

/// Whether a span is open and nothing below it is.
pub(super) fn is_deepest_open(tree: &Tree<'_>, at: At) -> bool {
    let open = |at: At| tree.span(at).end.is_none();
    open(at) && !tree.children(at).any(open)
}

/// The last moment that a trace knows of.
pub(super) fn latest(tree: &Tree<'_>, logs: &[LogRecord]) -> UnixNanos {
    let spans =
        (0..tree.len()).map(|at| tree.span(at)).flat_map(|span| [Some(span.start), span.end]);
    spans.flatten().chain(logs.iter().map(|log| log.time)).max().unwrap_or(0)
}

/// Calls `each` with every attribute of a span and what stands for its value, and with every place
/// in an attribute that holds JSON: `fixpoint.response TargetGroups`, `0 items`.
pub(super) fn each_value(tree: &Tree<'_>, at: At, mut each: impl FnMut(&str, &str)) {
    for (name, value) in &tree.span(at).attributes {
        let text = value.to_text();
        match shape::shape(&text) {
            Some(places) => {
                for (place, value) in places {
                    each(&format!("{name} {place}"), &value);
                }
            }
            None => each(name, &without_ids(&text)),
        }
    }
}

/// The events and log lines of a trace, by span.
pub(super) struct Lines<'a> {
    logs: Map<SpanId, Vec<&'a LogRecord>>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(tree: &Tree<'_>, logs: &'a [LogRecord]) -> Self {
        let mut by_span: Map<SpanId, Vec<&LogRecord>> = Map::new();
        if !tree.is_empty() {
            for log in logs {
                if let Some(span) = log.span_id {
                    by_span.entry(span).or_default().push(log);
                }
            }
        }
        Self { logs: by_span }
    }

    /// The numbers of a span's events and log lines, in order of time.
    pub(super) fn names(
        &self,
        at: At,
        tree: &Tree<'_>,
        names: &mut Names,
    ) -> std::vec::IntoIter<u32> {
        let span = tree.span(at);
        let logs = self.logs.get(&span.span_id).map_or(&[][..], |logs| logs);
        let mut lines: Vec<(UnixNanos, u32)> = Vec::with_capacity(span.events.len() + logs.len());
        for event in &span.events {
            lines.push((event.time, names.number_without_ids(cut(&event.name)).number()));
        }
        for log in logs {
            let text = format!("{} {}", log.level().as_str(), log.message());
            lines.push((log.time, names.number_without_ids(cut(&text)).number()));
        }
        lines.sort_by_key(|&(time, _)| time);
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().into_iter()
    }
}

fn cut(text: &str) -> &str {
    let line = text.lines().next().unwrap_or_default();
    &line[..line.floor_char_boundary(LONGEST_LINE)]
}

#[cfg(test)]
mod tests;
