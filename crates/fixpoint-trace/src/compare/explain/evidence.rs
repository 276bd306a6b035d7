//! All that is other in some traces than in good ones, path by path.
//!
//! Not here: what of it matters, and where in the traces it is. The surprise: the traces are put
//! in a profile of their own and the two profiles are compared; one trace is the case in which it
//! holds one. A path that is not known is not looked into: that it is there says it all.

use std::collections::HashMap;

use super::{
    followers::{Followers, with_totals},
    surprise::{Count, Novelty, bits, probability},
    tail::Tail,
};
use crate::{
    compare::{
        label::{Label, Name},
        profile::{
            Profile,
            histogram::Histogram,
            paths::{ABOVE_ALL, EDGE, MOST_ATTRIBUTES, Path, PathId},
            tally::Tally,
        },
    },
    semconv,
};

/// Something that is other than usual. Numbers of paths and names are of the traces' own profile,
/// but for those that say `good`.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    /// Where: of calls, the caller.
    pub(super) path: PathId,
    pub(super) sign: Sign,
    pub(super) bits: f64,
    pub(super) good: Count,
    pub(super) here: Count,
}

#[derive(Debug, Clone)]
pub(super) enum Sign {
    /// A caller made fewer calls than `least`.
    Fewer {
        good: PathId,
        call: Option<PathId>,
        least: u32,
        usual: u32,
    },
    /// A caller made `least` calls or more.
    More {
        call: PathId,
        least: u32,
        usual: u32,
    },
    /// A call was followed by another one than usual; `EDGE` is the begin and the end.
    Order {
        before: PathId,
        then: PathId,
        usual: Option<PathId>,
    },
    Failed,
    Open,
    /// Took long by itself, or on the way to the service it called.
    Slow {
        edge: bool,
        excess: f64,
    },
    Value {
        key: String,
        value: Option<String>,
    },
    /// A line was followed by another one than usual.
    Lines {
        before: u32,
        then: u32,
        usual: Option<u32>,
    },
}

/// How often a span fails or never ends that nothing is known of.
const FAILS_ANYWAY: f64 = 1.0 / 64.0;

/// Of fewer durations than this one cannot tell what is slow.
const FEWEST: u64 = 8;

/// Holds one profile against another.
pub(super) struct Evidences<'a> {
    pub(super) good: &'a Profile,
    pub(super) here: &'a Profile,
    /// The good path of each path here.
    pub(super) known: Vec<Option<PathId>>,
    /// The path here of a good path.
    found: HashMap<PathId, PathId>,
    novelty: Novelty,
    list: Vec<Evidence>,
}

impl<'a> Evidences<'a> {
    pub(super) fn new(good: &'a Profile, here: &'a Profile) -> Self {
        let mut known = vec![None; here.paths().len()];
        known[ABOVE_ALL as usize] = Some(ABOVE_ALL);
        let mut found = HashMap::from([(ABOVE_ALL, ABOVE_ALL)]);
        for (at, path) in here.paths().iter().enumerate().skip(1) {
            let name = |name: Name| good.names().known(here.names().text(name));
            let label = path.label.and_then(|label| {
                let (service, name) = (name(label.service)?, name(label.name)?);
                Some(Label { service, name, kind: label.kind })
            });
            let parent = known[path.parent as usize];
            known[at] = parent.zip(label).and_then(|(parent, label)| good.child(parent, label));
            if let Some(path) = known[at] {
                found.insert(path, at as PathId);
            }
        }
        let novelty = Novelty::of(good);
        Self { good, here, known, found, novelty, list: Vec::new() }
    }

    /// All evidence, in order of paths.
    pub(super) fn gather(&mut self) -> Vec<Evidence> {
        for at in 0..self.here.paths().len() as PathId {
            let here = self.here.path(at);
            let good = self.known[at as usize].map(|good| self.good.path(good));
            self.failures(at, here, good);
            let Some(good) = good else { continue };
            self.calls(at, here, good);
            self.order(at, here, good);
            self.slow(at, here.traces, (&here.own, &good.own), false);
            self.slow(at, here.traces, (&here.gap, &good.gap), true);
            self.values(at, here, good);
            self.lines(at, here, good);
        }
        std::mem::take(&mut self.list)
    }

    fn push(&mut self, path: PathId, sign: Sign, bits: f64, good: Count, here: Count) {
        if bits > 0.0 {
            self.list.push(Evidence { path, sign, bits, good, here });
        }
    }

    /// Failures that come from no failed call below, and spans without an end.
    fn failures(&mut self, at: PathId, here: &Path, good: Option<&Path>) {
        let signs = [
            (Sign::Failed, here.origins, good.map(|good| good.origins)),
            (Sign::Open, here.open, good.map(|good| good.open)),
        ];
        let traces = here.traces;
        for (sign, with, good_with) in signs.into_iter().filter(|sign| sign.1 > 0) {
            let here = Count { with, of: here.spans };
            let usual = Count { with: good_with.unwrap_or(0), of: good.map_or(0, |g| g.spans) };
            // A path that is not known is taken to fail as often as any other.
            let Count { with, of } = if usual.of > 0 { usual } else { self.novelty.failed };
            let probability = match of {
                0 => FAILS_ANYWAY,
                of => probability(with, of, self.novelty.failures),
            };
            self.push(at, sign, bits(here, traces, probability, of.max(1)), usual, here);
        }
    }

    /// How often each call was made.
    fn calls(&mut self, at: PathId, here: &Path, good: &Path) {
        let known = good.children.iter().map(|&good| (Some(good), self.found.get(&good).copied()));
        let unknown = here.children.iter().filter(|&&child| self.known[child as usize].is_none());
        let children: Vec<_> = known.chain(unknown.map(|&child| (None, Some(child)))).collect();
        let none = Path::default();
        let traces = here.traces;
        for (good_child, here_child) in children {
            let usual = good_child.map_or(&none, |child| self.good.path(child));
            let seen = here_child.map_or(&none, |child| self.here.path(child));
            let steady = usual.per_caller.usual().map_or(0, |(_, callers)| callers);
            let steady = steady == good.ended || usual.per_caller.total() == 0;
            let most = usual_calls(usual, good.ended);
            // What is called again and again is called as often as it takes.
            let first_time = if steady && most <= 1 { self.novelty.calls } else { 1.0 };
            let mut best: Option<(f64, Evidence)> = None;
            let made = seen.per_caller.iter().chain(seen.so_far.iter());
            let mut numbers: Vec<u32> = made.map(|(&calls, _)| calls).collect();
            numbers.extend(usual.per_caller.iter().map(|(&calls, _)| calls));
            numbers.sort_unstable();
            numbers.dedup();
            for least in numbers {
                let more = |path: &Path, callers: u64| Count {
                    with: path.callers_with_at_least(least, callers),
                    of: callers,
                };
                let (good, here) = (more(usual, good.ended), more(seen, here.ended));
                // Too many calls are too many, whatever follows; too few need an end.
                let so_far = seen.callers_so_far_with_at_least(least);
                let already = Count { with: here.with + so_far, of: here.of + so_far };
                let signs = [
                    (here_child.map(|call| Sign::More { call, least, usual: most }), good, already),
                    (
                        good_child.map(|good| Sign::Fewer {
                            good,
                            call: here_child,
                            least,
                            usual: most,
                        }),
                        good.without(),
                        here.without(),
                    ),
                ];
                for (sign, good, here) in signs {
                    let usual = probability(good.with, good.of, first_time);
                    let bits = bits(here, traces, usual, good.of);
                    if let Some(sign) = sign
                        && best.as_ref().is_none_or(|(most, _)| bits > *most)
                    {
                        best = Some((bits, Evidence { path: at, sign, bits, good, here }));
                    }
                }
            }
            if let Some((bits, found)) = best {
                self.push(at, found.sign, bits, found.good, found.here);
            }
        }
    }

    /// Which call follows which.
    fn order(&mut self, at: PathId, here: &Path, good: &Path) {
        if here.calls.given_up() || good.calls.given_up() || good.beside.given_up() {
            return;
        }
        let followers = Followers::of(&good.calls);
        // That a call follows itself is for the number of calls to tell.
        let others =
            with_totals(&here.calls).into_iter().filter(|((a, b), _)| a != b || *a == EDGE);
        for ((before, then), of) in others {
            let known = |path: PathId| match path {
                EDGE => Some(EDGE),
                path => self.known[path as usize],
            };
            let Some(good_before) = known(before) else { continue };
            let Some(next) = followers.after(good_before) else { continue };
            // A call that good traces never make here is extra wherever it stands.
            let Some(good_then) = known(then) else { continue };
            // Of these none waits for the other.
            if good.side_by_side(good_before, good_then) {
                continue;
            }
            let seen = good.successions(good_before, good_then);
            let first_time = next.first_time(self.novelty.order);
            let usual = probability(next.as_rare_as(seen), next.total(), first_time);
            let count = Count { with: here.calls.count(&(before, then)), of };
            let good_count = Count { with: seen, of: next.total() };
            let bits = bits(count, here.traces, usual, next.total());
            let most = next.usual().map(|(&then, _)| then).filter(|&then| then != EDGE);
            self.push(at, Sign::Order { before, then, usual: most }, bits, good_count, count);
        }
    }

    /// Time that no call below was at work.
    fn slow(
        &mut self,
        at: PathId,
        traces: u64,
        (here, good): (&Histogram, &Histogram),
        edge: bool,
    ) {
        if here.count() == 0 || good.count() < FEWEST {
            return;
        }
        let mut limits: Vec<u64> = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0]
            .iter()
            .filter_map(|&share| good.quantile(share).map(|limit| limit.saturating_add(limit / 32)))
            .chain([0.0, 0.5, 1.0].iter().filter_map(|&share| here.quantile(share)))
            .collect();
        // A little slower than half of the good ones is not slow.
        let usual = good.quantile(0.5).unwrap_or(0);
        limits.retain(|&limit| limit >= usual.saturating_add(usual / 4));
        limits.sort_unstable();
        limits.dedup();
        let tail = Tail::of(good);
        let mut best = (0.0, Count::default(), Count::default());
        for least in limits {
            let count = Count { with: here.at_least(least), of: here.count() };
            let usual = Count { with: good.at_least(least), of: good.count() };
            let first_time = if usual.with == 0 { tail.beyond(least) } else { 1.0 };
            let probability = probability(usual.with, usual.of, first_time);
            let bits = bits(count, traces, probability, usual.of);
            if bits > best.0 {
                best = (bits, usual, count);
            }
        }
        let excess = here.sum() / here.count() as f64 - usual as f64;
        let (bits, good, here) = best;
        if excess > 0.0 {
            self.push(at, Sign::Slow { edge, excess }, bits, good, here);
        }
    }

    /// Values of attributes, and what JSON texts hold.
    fn values(&mut self, at: PathId, here: &Path, good: &Path) {
        let traces = here.traces;
        let mut keys: Vec<Name> = here.values.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let Some(seen) = here.values.get(&key).filter(|seen| !seen.given_up()) else {
                continue;
            };
            let text = self.here.names().text(key);
            let usual = self.good.names().known(text).and_then(|key| good.values.get(&key));
            let Some(usual) = usual else {
                self.new_attribute(at, (here, text, seen), good);
                continue;
            };
            if usual.given_up() {
                continue;
            }
            let steady = usual.iter().count() == 1;
            let first_time = if steady { self.novelty.values } else { usual.once().max(1) as f64 };
            for (value, with) in seen.iter() {
                let known = usual.count(value);
                let rare = probability(usual.as_rare_as(known), usual.total(), first_time);
                let here = Count { with, of: seen.total() };
                let good = Count { with: known, of: usual.total() };
                let sign = Sign::Value { key: text.to_owned(), value: Some(value.clone()) };
                self.push(at, sign, bits(here, traces, rare, usual.total()), good, here);
            }
        }
        self.missing_values(at, here, good);
    }

    /// An attribute that good traces never have. What a JSON text holds is left to the lengths of its
    /// lists; what kind of failure it was, to the failure.
    fn new_attribute(
        &mut self,
        at: PathId,
        (here, key, seen): (&Path, &str, &Tally<String>),
        good: &Path,
    ) {
        let full = good.values.len() >= MOST_ATTRIBUTES;
        if full || key.contains(' ') || key == semconv::ERROR_TYPE {
            return;
        }
        let rare = probability(0, good.traces, self.novelty.values);
        let count = Count { with: seen.total().min(here.traces), of: here.traces };
        let usual = Count { with: 0, of: good.traces };
        let bits = bits(count, here.traces, rare, usual.of);
        let value = seen.usual().map(|(value, _)| value.clone());
        self.push(at, Sign::Value { key: key.to_owned(), value }, bits, usual, count);
    }

    /// Attributes that no span here has. What a JSON text does not hold is left to the length of the
    /// list that would hold it.
    fn missing_values(&mut self, at: PathId, here: &Path, good: &Path) {
        // What only open spans do not have may still come.
        if here.whole.count() == 0 {
            return;
        }
        let mut keys: Vec<(&str, &Tally<String>)> = good
            .values
            .iter()
            .map(|(&key, values)| (self.good.names().text(key), values))
            .collect();
        keys.sort_unstable_by_key(|&(text, _)| text);
        for (text, values) in keys.into_iter().filter(|(text, _)| !text.contains(' ')) {
            let key = self.here.names().known(text);
            let seen = key.and_then(|key| here.values.get(&key)).map_or(0, Tally::total);
            if seen > 0 {
                continue;
            }
            let count = Count { with: here.traces, of: here.traces };
            let usual = Count { with: good.traces.saturating_sub(values.total()), of: good.traces };
            let first_time = if usual.with == 0 { self.novelty.values } else { 1.0 };
            let rare = probability(usual.with, usual.of, first_time);
            let bits = bits(count, here.traces, rare, usual.of);
            let key = text.to_owned();
            self.push(at, Sign::Value { key, value: None }, bits, usual, count);
        }
    }

    /// Which event or log line follows which.
    fn lines(&mut self, at: PathId, here: &Path, good: &Path) {
        if here.lines.given_up() || good.lines.given_up() {
            return;
        }
        let followers = Followers::of(&good.lines);
        for ((before, then), of) in with_totals(&here.lines) {
            let known = |line: u32| match line {
                EDGE => Some(EDGE),
                line => {
                    let text = self.here.names().text_of(line);
                    self.good.names().known(text).map(Name::number)
                }
            };
            let Some(next) = known(before).and_then(|before| followers.after(before)) else {
                continue;
            };
            let seen = known(then).map_or(0, |then| next.count(&then));
            let first_time = next.first_time(self.novelty.order);
            let usual = probability(next.as_rare_as(seen), next.total(), first_time);
            let count = Count { with: here.lines.count(&(before, then)), of };
            let good_count = Count { with: seen, of: next.total() };
            let bits = bits(count, here.traces, usual, next.total());
            let most = next.usual().map(|(&then, _)| then).filter(|&then| then != EDGE);
            self.push(at, Sign::Lines { before, then, usual: most }, bits, good_count, count);
        }
    }
}

/// How many calls a caller makes most often.
fn usual_calls(path: &Path, callers: u64) -> u32 {
    let none = callers.saturating_sub(path.per_caller.total());
    path.per_caller.usual().filter(|&(_, with)| with >= none).map_or(0, |(&calls, _)| calls)
}
