//! Call paths: who calls what below whom, and what is known of each.
//!
//! For counting only. Not here: how a trace is walked. The surprise: path 0 is nothing's path, and
//! what stands at the top of a trace is below it, so that a missing root is a missing call too.

use hashbrown::HashMap;

use super::{histogram::Histogram, tally::Tally};
use crate::compare::label::{Label, Name};

/// A call path's number in its [`Profile`](super::Profile).
pub type PathId = u32;

/// The path above the top of every trace.
pub const ABOVE_ALL: PathId = 0;

/// The begin or the end of a span, among the things that follow each other in it.
pub const EDGE: u32 = u32::MAX;

/// What is known of the spans of one call path.
#[derive(Debug, Clone, Default)]
pub struct Path {
    /// The path of the caller. That of the first path is itself.
    pub parent: PathId,
    /// What such a span is called; only the first path has no label.
    pub label: Option<Label>,
    /// The paths right below.
    pub children: Vec<PathId>,
    /// How many spans there were.
    pub spans: u64,
    /// How many traces had one.
    pub traces: u64,
    /// How many of the spans had ended. Only these can miss a call.
    pub ended: u64,
    /// How many failed.
    pub failed: u64,
    /// How many failed although no call below them did.
    pub origins: u64,
    /// How many never ended, with nothing open below them.
    pub open: u64,
    /// How many such spans a caller made → how many callers that have ended made so many. Those
    /// that made none are the rest.
    pub per_caller: Tally<u32>,
    /// The same of callers that go on: how many they have made so far.
    pub so_far: Tally<u32>,
    /// From start to end.
    pub whole: Histogram,
    /// Time in which no call below was at work; of spans that call no other service.
    pub own: Histogram,
    /// Time in which a call of another service was not at work there.
    pub gap: Histogram,
    /// In how many traces an attribute, or a place in a JSON text, had which value.
    pub values: HashMap<Name, Tally<String>>,
    /// Which call came after which. Calls go by their path's number.
    pub calls: Tally<(u32, u32)>,
    /// Which calls were at work at the same time, the lesser number first.
    pub beside: Tally<(u32, u32)>,
    /// Which event or log line is followed by which. Lines go by their name's number.
    pub lines: Tally<(u32, u32)>,
    /// The last trace that was counted here.
    pub(super) last_trace: u64,
}

/// More values of one attribute than this are ids or texts; they tell nothing.
pub const MOST_VALUES: usize = 48;
/// More attributes of one path than this are not looked at.
pub const MOST_ATTRIBUTES: usize = 256;
/// More pairs than this are a crowd in which nothing stands out.
pub const MOST_PAIRS: usize = 512;

/// What a path takes in memory, its place among those below its parent included.
pub(super) const PATH_BYTES: usize = size_of::<Path>() + 64;
/// What an attribute of a path takes, its values left out.
pub(super) const ATTRIBUTE_BYTES: usize = size_of::<(Name, Tally<String>)>() * 3 / 2;

/// Numbers of calls as they are counted: exact up to 8, then by eighths of an octave.
pub fn rounded(calls: u32) -> u32 {
    let octave = calls.max(1).ilog2();
    if octave < 3 { calls } else { calls >> (octave - 3) << (octave - 3) }
}

/// Two paths that are in no order.
pub(super) fn ordered(a: PathId, b: PathId) -> (PathId, PathId) {
    (a.min(b), a.max(b))
}

impl Path {
    /// How many callers made as many calls as `calls` or more, out of `callers` that have ended.
    pub fn callers_with_at_least(&self, calls: u32, callers: u64) -> u64 {
        if calls == 0 {
            return callers;
        }
        Self::at_least(&self.per_caller, calls)
    }

    /// How many callers that go on have made as many calls or more already.
    pub fn callers_so_far_with_at_least(&self, calls: u32) -> u64 {
        Self::at_least(&self.so_far, calls)
    }

    fn at_least(made: &Tally<u32>, calls: u32) -> u64 {
        made.iter().filter(|&(&made, _)| made >= calls).map(|(_, callers)| callers).sum()
    }

    /// What it takes in memory, in bytes: some hundred for itself, and what it has counted.
    pub(super) fn weight(&self) -> usize {
        let durations = [&self.whole, &self.own, &self.gap].map(Histogram::weight);
        let values = self.values.values().map(|values| ATTRIBUTE_BYTES + values.weight());
        let made = self.per_caller.weight() + self.so_far.weight();
        let tallies = made + self.calls.weight() + self.beside.weight() + self.lines.weight();
        PATH_BYTES + durations.iter().sum::<usize>() + tallies + values.sum::<usize>()
    }

    /// Counts spans of the same path of another profile. `limit` says how many different things
    /// are told apart where that many would be.
    pub(super) fn merge(
        &mut self,
        other: &Self,
        limit: impl Fn(usize) -> usize,
        path: impl Fn(u32) -> u32,
        mut name: impl FnMut(Name) -> Name,
        line: impl Fn(u32) -> u32,
    ) {
        self.spans += other.spans;
        self.traces += other.traces;
        self.ended += other.ended;
        self.failed += other.failed;
        self.origins += other.origins;
        self.open += other.open;
        self.per_caller.merge(&other.per_caller, usize::MAX, |&calls| calls);
        self.so_far.merge(&other.so_far, usize::MAX, |&calls| calls);
        self.whole.merge(&other.whole);
        self.own.merge(&other.own);
        self.gap.merge(&other.gap);
        let mut keys: Vec<_> = other.values.iter().map(|(&key, values)| (key, values)).collect();
        keys.sort_by_key(|&(key, _)| key);
        for (key, values) in keys {
            let key = name(key);
            if self.values.len() < limit(MOST_ATTRIBUTES) || self.values.contains_key(&key) {
                self.values.entry(key).or_default().merge(
                    values,
                    limit(MOST_VALUES),
                    String::clone,
                );
            }
        }
        let pair = |&(a, b): &(u32, u32)| (path(a), path(b));
        self.calls.merge(&other.calls, limit(MOST_PAIRS), pair);
        let pair = |&(a, b): &(u32, u32)| ordered(path(a), path(b));
        self.beside.merge(&other.beside, limit(MOST_PAIRS), pair);
        let pair = |&(a, b): &(u32, u32)| (line(a), line(b));
        self.lines.merge(&other.lines, limit(MOST_PAIRS), pair);
    }

    /// Takes out again the spans of the same path of another profile, whose names go by `path`,
    /// `name` and `line` here.
    pub(super) fn take_out(
        &mut self,
        other: &Self,
        path: impl Fn(u32) -> Option<u32>,
        name: impl Fn(Name) -> Option<Name>,
        line: impl Fn(u32) -> Option<u32>,
    ) {
        let pairs = [
            (&mut self.spans, other.spans),
            (&mut self.traces, other.traces),
            (&mut self.ended, other.ended),
            (&mut self.failed, other.failed),
            (&mut self.origins, other.origins),
            (&mut self.open, other.open),
        ];
        for (count, of_other) in pairs {
            *count = count.saturating_sub(of_other);
        }
        self.per_caller.take_out(&other.per_caller, |&calls| Some(calls));
        self.so_far.take_out(&other.so_far, |&calls| Some(calls));
        self.whole.take_out(&other.whole);
        self.own.take_out(&other.own);
        self.gap.take_out(&other.gap);
        for (&key, values) in &other.values {
            if let Some(known) = name(key).and_then(|key| self.values.get_mut(&key)) {
                known.take_out(values, |value| Some(value.clone()));
            }
        }
        self.values.retain(|_, values| values.total() > 0);
        self.calls.take_out(&other.calls, |&(a, b)| Some((path(a)?, path(b)?)));
        self.beside.take_out(&other.beside, |&(a, b)| Some(ordered(path(a)?, path(b)?)));
        self.lines.take_out(&other.lines, |&(a, b)| Some((line(a)?, line(b)?)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_calls_are_exact_up_to_eight() {
        let rounded: Vec<_> = [0, 1, 7, 8, 15, 16, 17, 100, 1000].map(rounded).into();
        assert_eq!(rounded, [0, 1, 7, 8, 15, 16, 16, 96, 960]);
    }
}
