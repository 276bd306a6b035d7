//! How surprising a count is, in bits.
//!
//! For weighing all kinds of evidence alike. Not here: what is counted. The surprise: what has
//! never varied in good traces is not taken to vary as soon as one does not know better. How often
//! such a thing did vary once after all, all over the profile, says how likely that is.

use serde::Serialize;

use crate::compare::profile::{Profile, tally::Tally};

/// How many of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// How many had it.
    pub with: u64,
    /// Out of how many.
    pub of: u64,
}

impl Count {
    /// How many did not have it.
    pub fn without(self) -> Self {
        Self { with: self.of - self.with.min(self.of), of: self.of }
    }

    /// Its share, 0 if there are none.
    pub fn share(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.with as f64 / self.of as f64 }
    }
}

/// The surprise of seeing something in some of the places of so many traces, which a place of good
/// traces has with probability `usual`, as known from `good` places; in bits. 0 if it is not more
/// frequent here.
///
/// With one place here this is -log2 of the probability. With many it is how far the two shares are
/// apart (Kullback-Leibler), times the number of traces, since what one trace does again and again
/// is news once; and no more than the good ones can bear out.
pub(super) fn bits(here: Count, traces: u64, usual: f64, good: u64) -> f64 {
    let traces = traces.min(here.of);
    if traces == 0 || good == 0 {
        return 0.0;
    }
    let mut apart = apart(here.share(), usual);
    if traces == 1 && here.with > 0 {
        // Of many places in one trace, one may be enough.
        apart = apart.max(-(1.0 - (1.0 - usual).powf(here.of as f64)).log2());
    }
    let (here, good) = (traces as f64, good as f64);
    apart * here * good / (here + good - 1.0)
}

/// How far a share is above another one, in bits.
fn apart(share: f64, usual: f64) -> f64 {
    let part = |p: f64, q: f64| if p == 0.0 { 0.0 } else { p * (p / q).log2() };
    if share <= usual { 0.0 } else { part(share, usual) + part(1.0 - share, 1.0 - usual) }
}

/// The probability of what `rare` of `of` good places had, or had something as rare.
pub(super) fn probability(rare: u64, of: u64, first_time: f64) -> f64 {
    ((rare as f64 + first_time) / (of as f64 + 1.0)).min(1.0)
}

/// How likely it is, times the number of places, that something new turns up where one thing has
/// been seen in all places so far. One for each kind of thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Novelty {
    pub(super) calls: f64,
    /// Of calls and of lines.
    pub(super) order: f64,
    pub(super) values: f64,
    pub(super) failures: f64,
    /// Failures of all spans of the profile that have them from no call below.
    pub(super) failed: Count,
}

/// Of places that could have varied, how many did, and once only.
#[derive(Default)]
struct Once {
    places: u64,
    varied: u64,
}

impl Once {
    fn see(&mut self, places: u64, deviants: u64) {
        if places > 1 && deviants <= 1 {
            self.places += 1;
            self.varied += deviants;
        }
    }

    fn rate(&self) -> f64 {
        (self.varied as f64 + 0.5) / (self.places as f64 + 1.0)
    }
}

impl Novelty {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut failed = Count::default();
        let [mut calls, mut order, mut values, mut failures] =
            std::array::from_fn(|_| Once::default());
        // Where all was taken out again there is nothing that could vary.
        for path in profile.paths().iter().filter(|path| path.spans > 0) {
            let callers = profile.path(path.parent).ended;
            let usual = path.per_caller.usual().map_or(0, |(_, callers)| callers);
            let none = callers.saturating_sub(path.per_caller.total());
            calls.see(callers, callers - usual.max(none).min(callers));
            for pairs in [&path.calls, &path.lines] {
                each_first(pairs, |total, most| order.see(total, total - most));
            }
            for tally in path.values.values().filter(|tally| !tally.given_up()) {
                let usual = tally.usual().map_or(0, |(_, count)| count);
                values.see(tally.total(), tally.total() - usual);
            }
            failed.with += path.origins;
            failed.of += path.spans;
            failures.see(path.spans, path.failed.min(path.spans - path.failed));
        }
        Self {
            calls: calls.rate(),
            order: order.rate(),
            values: values.rate(),
            failures: failures.rate(),
            failed,
        }
    }
}

/// For each thing that others follow: how often it was followed, and how often by the most usual.
fn each_first(pairs: &Tally<(u32, u32)>, mut each: impl FnMut(u64, u64)) {
    let mut now = None;
    let (mut total, mut most) = (0, 0);
    for (&(first, _), count) in pairs.iter() {
        if now.replace(first).is_some_and(|now| now != first) {
            each(total, most);
            (total, most) = (0, 0);
        }
        total += count;
        most = most.max(count);
    }
    if now.is_some() {
        each(total, most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_as_surprising_as_it_is_unlikely() {
        let once = Count { with: 1, of: 1 };
        let found = bits(once, 1, 1.0 / 1024.0, 1 << 40);
        assert!((found - 10.0).abs() < 0.01, "{found}");
    }

    #[test]
    fn what_is_as_frequent_as_ever_is_no_surprise() {
        assert_eq!(bits(Count { with: 5, of: 100 }, 100, 0.05, 1000), 0.0);
        assert_eq!(bits(Count { with: 1, of: 1 }, 1, 0.5, 0), 0.0);
    }

    #[test]
    fn what_one_trace_does_again_and_again_is_news_once() {
        let once = bits(Count { with: 1, of: 1 }, 1, 0.001, 1000);
        let again = bits(Count { with: 30, of: 30 }, 1, 0.001, 1000);
        let one_of_many = bits(Count { with: 1, of: 30 }, 1, 0.001, 1000);
        assert!((once - again).abs() < 0.01, "{once} {again}");
        assert!(one_of_many < once && one_of_many > 4.0, "{once} {one_of_many}");
    }

    #[test]
    fn many_places_say_more_than_one() {
        let few = bits(Count { with: 2, of: 4 }, 4, 0.01, 1000);
        let many = bits(Count { with: 50, of: 100 }, 100, 0.01, 1000);
        assert!(many > 10.0 * few, "{few} {many}");
    }

    #[test]
    fn what_never_varied_is_less_likely_to_vary_the_steadier_the_rest_is() {
        assert!(probability(0, 50, 0.01) < probability(0, 50, 0.5));
        assert!(probability(1, 50, 0.01) > probability(0, 50, 0.01));
        assert_eq!(probability(0, 0, 1.0), 1.0);
    }
}
