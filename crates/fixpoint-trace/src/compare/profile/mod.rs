//! What many good traces have in common: a tree of call paths, each with what is usual there.
//!
//! For [`explain`](super::explain), which holds a bad trace against it. Not here: which trace is a
//! good one. The surprise: nothing is kept of single traces and nothing is averaged. Everything is
//! counted, so two profiles put together are the profile of all their traces.

mod beside;
pub mod histogram;
pub mod paths;
mod said;
pub mod shape;
mod sum;
pub mod tally;

use std::hash::BuildHasher;

use hashbrown::{HashMap, HashSet};

pub(super) use self::said::{Lines, each_value};
use self::{
    beside::side_by_side,
    paths::{
        ABOVE_ALL, ATTRIBUTE_BYTES, EDGE, MOST_ATTRIBUTES, MOST_PAIRS, MOST_VALUES, PATH_BYTES,
        Path, PathId, rounded,
    },
    tally::Tally,
};
use super::{
    label::{Label, Name, Names},
    tree::{At, Tree},
};
use crate::model::{LogRecord, Trace, UnixNanos};

/// The profile of many traces.
///
/// What it takes in memory depends on how many call paths there are and how much varies in them,
/// not on how many traces were counted, and is bounded: [`Profile::MOST_BYTES`]. Once there is no
/// room, call paths that are new are left out, what still varies is not told apart any more, and
/// durations are counted less exactly.
#[derive(Debug, Clone)]
pub struct Profile {
    names: Names,
    paths: Vec<Path>,
    below: HashMap<(PathId, Label), PathId>,
    traces: u64,
    spans: u64,
    /// Spans that found no room.
    left_out: u64,
    /// What the paths take in memory, in bytes.
    weight: usize,
}

/// More call paths than this are no program but a flood of names.
const MOST_PATHS: usize = 1 << 16;
/// No path: there were too many.
pub(super) const NOWHERE: PathId = PathId::MAX;

impl Default for Profile {
    fn default() -> Self {
        Self {
            names: Names::within(Self::MOST_NAMES),
            paths: vec![Path::default()],
            below: HashMap::new(),
            traces: 0,
            spans: 0,
            left_out: 0,
            weight: PATH_BYTES,
        }
    }
}

impl Profile {
    /// No profile takes more memory than this, in bytes; most take a hundredth of it.
    pub const MOST_BYTES: usize = Self::MOST_NAMES + Self::MOST_COUNTED;
    /// What names may take of it, and what is counted.
    const MOST_NAMES: usize = 8 << 20;
    const MOST_COUNTED: usize = 24 << 20;

    /// What it takes in memory, in bytes, as near as can be told.
    pub fn bytes(&self) -> usize {
        self.weight + self.names.weight()
    }

    /// How many different things are told apart where that many would be: none beyond those that
    /// are known once there is no room.
    fn limit(&self, most: usize) -> usize {
        if self.weight < Self::MOST_COUNTED { most } else { 0 }
    }

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

    fn find_or_make(&mut self, parent: PathId, label: Label) -> PathId {
        if let Some(&path) = self.below.get(&(parent, label)) {
            return path;
        }
        let room = self.paths.len() < self.limit(MOST_PATHS);
        if !room || label.service == Name::UNKNOWN || label.name == Name::UNKNOWN {
            return NOWHERE;
        }
        self.weight += PATH_BYTES;
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
            self.count_lines(tree, at, place, &lines);
        }
        let above = &mut self.paths[ABOVE_ALL as usize];
        above.spans += 1;
        above.traces += 1;
        let mut calls = Vec::new();
        let tops = tree.tops().iter().copied();
        self.count_calls(ABOVE_ALL, true, tops.clone().map(|at| places[at]), &mut calls);
        self.count_beside(ABOVE_ALL, tree, &places, tops);
        for at in (0..tree.len()).filter(|&at| places[at] != NOWHERE) {
            let below = tree.children(at).map(|child| places[child]);
            self.count_calls(places[at], tree.span(at).end.is_some(), below, &mut calls);
            self.count_beside(places[at], tree, &places, tree.children(at));
        }
        places
    }

    fn count(&mut self, tree: &Tree<'_>, at: At, place: PathId, now: UnixNanos) {
        let (trace, exact) = (self.traces, self.limit(1) > 0);
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
        let alone = tree.self_time(at, now);
        let by = if callee(tree, at).is_some() { &mut path.gap } else { &mut path.own };
        for (durations, nanos) in [(by, alone), (&mut path.whole, tree.duration(at, now))] {
            self.weight -= durations.weight();
            if exact {
                durations.add(nanos);
            } else {
                durations.add_near(nanos);
            }
            self.weight += durations.weight();
        }
    }

    /// Counts what a span's events and log lines say, and what follows what.
    fn count_lines(&mut self, tree: &Tree<'_>, at: At, place: PathId, lines: &Lines<'_>) {
        let limit = self.limit(MOST_PAIRS);
        let known = &mut self.paths[place as usize].lines;
        // Lines that are never the same would fill the names.
        if known.given_up() {
            return;
        }
        self.weight -= known.weight();
        // What an open span has not said it may still say.
        let goes_on = tree.span(at).end.is_none();
        let said = pairs(lines.names(at, tree, &mut self.names));
        for pair in said.filter(|&(_, then)| !(goes_on && then == EDGE)) {
            known.add(&pair, 1, limit);
        }
        self.weight += known.weight();
    }

    /// Counts each value once a trace: what all calls of a trace are asked for, a name say, is
    /// one choice and not many.
    fn count_values(&mut self, tree: &Tree<'_>, at: At, place: PathId, seen: &mut HashSet<u64>) {
        let path = &mut self.paths[place as usize];
        let (names, weight) = (&mut self.names, &mut self.weight);
        each_value(tree, at, |name, value| {
            let room = *weight < Self::MOST_COUNTED;
            let known = names.known(name).filter(|name| path.values.contains_key(name));
            let name = match known {
                Some(name) => name,
                None if room && path.values.len() < MOST_ATTRIBUTES => names.number(name),
                None => return,
            };
            let once = seen.hasher().hash_one((place, name, value));
            if name == Name::UNKNOWN || !seen.insert(once) {
                return;
            }
            let values = path.values.entry(name).or_insert_with(|| {
                *weight += ATTRIBUTE_BYTES;
                Tally::default()
            });
            *weight -= values.weight();
            values.add(value, 1, if room { MOST_VALUES } else { 0 });
            *weight += values.weight();
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
            let counts = if ended { &mut path.per_caller } else { &mut path.so_far };
            self.weight -= counts.weight();
            // Rounded, they are a hundred at most.
            counts.add(&rounded(alike.len() as u32), 1, usize::MAX);
            self.weight += counts.weight();
        }
        let limit = self.limit(MOST_PAIRS);
        let order = &mut self.paths[caller as usize].calls;
        if ended && !order.given_up() {
            self.weight -= order.weight();
            for pair in pairs(below.filter(|&place| place != NOWHERE)) {
                order.add(&pair, 1, limit);
            }
            self.weight += order.weight();
        }
    }

    /// Counts which calls of a span were at work at the same time.
    fn count_beside(
        &mut self,
        caller: PathId,
        tree: &Tree<'_>,
        places: &[PathId],
        below: impl Iterator<Item = At>,
    ) {
        let limit = self.limit(MOST_PAIRS);
        let known = &mut self.paths[caller as usize].beside;
        if known.given_up() {
            return;
        }
        self.weight -= known.weight();
        for pair in side_by_side(tree, places, below) {
            known.add(&pair, 1, limit);
        }
        self.weight += known.weight();
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

#[cfg(test)]
mod tests;
