//! What follows what: calls, and log lines.
//!
//! Not here: how surprising that is. The surprise: the begin and the end of a span are things that
//! follow and are followed, too.

use std::collections::HashMap;

use crate::compare::profile::tally::Tally;

/// What follows each thing.
pub(super) struct Followers(HashMap<u32, Tally<u32>>);

impl Followers {
    pub(super) fn of(pairs: &Tally<(u32, u32)>) -> Self {
        let mut after: HashMap<u32, Tally<u32>> = HashMap::new();
        for (&(before, then), times) in pairs.iter() {
            after.entry(before).or_default().add(&then, times, usize::MAX);
        }
        Self(after)
    }

    pub(super) fn after(&self, thing: u32) -> Option<&Tally<u32>> {
        self.0.get(&thing)
    }
}

impl Tally<u32> {
    /// How many times something new is to be expected after it.
    pub(super) fn first_time(&self, steady: f64) -> f64 {
        if self.iter().count() == 1 { steady } else { self.once().max(1) as f64 }
    }
}

/// Pairs, each with how many pairs begin as it does.
pub(super) fn with_totals(pairs: &Tally<(u32, u32)>) -> Vec<((u32, u32), u64)> {
    let mut totals: HashMap<u32, u64> = HashMap::new();
    for (&(before, _), times) in pairs.iter() {
        *totals.entry(before).or_default() += times;
    }
    pairs.iter().map(|(&pair, _)| (pair, totals[&pair.0])).collect()
}
