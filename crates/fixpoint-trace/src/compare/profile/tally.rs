//! How often each of a few things was seen, and when to stop counting because they are not few.
//!
//! For attribute values, for what follows what, and for numbers of calls. The surprise: past the
//! limit all single counts are forgotten at once. Keeping the first or the most frequent would make
//! the answer depend on the order in which traces came.

use std::{borrow::Borrow, cmp::Reverse, collections::BTreeMap};

/// How often each of a few things was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally<K> {
    counts: BTreeMap<K, u64>,
    total: u64,
    given_up: bool,
    /// What the things take in memory, in bytes.
    weight: usize,
}

/// A thing that takes memory.
pub trait Weight {
    /// How many bytes it takes beyond its own size.
    fn weight(&self) -> usize;
}

impl Weight for u32 {
    fn weight(&self) -> usize {
        0
    }
}

impl Weight for (u32, u32) {
    fn weight(&self) -> usize {
        0
    }
}

impl Weight for String {
    fn weight(&self) -> usize {
        // Allocators round up.
        self.len() + 8
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { counts: BTreeMap::new(), total: 0, given_up: false, weight: 0 }
    }
}

/// A count takes more than its size, since nodes of a tree are two thirds full.
fn weight<K: Weight>(thing: &K) -> usize {
    size_of::<(K, u64)>() * 3 / 2 + thing.weight()
}

impl<K: Ord + Weight> Tally<K> {
    /// Counts a thing; gives up when there are more than `limit`.
    pub fn add<Q>(&mut self, thing: &Q, times: u64, limit: usize)
    where
        K: Borrow<Q>,
        Q: Ord + ToOwned<Owned = K> + ?Sized,
    {
        self.total += times;
        if self.given_up {
            return;
        }
        if let Some(count) = self.counts.get_mut(thing) {
            *count += times;
            return;
        }
        let thing = thing.to_owned();
        self.weight += weight(&thing);
        self.counts.insert(thing, times);
        if self.counts.len() > limit {
            self.give_up();
        }
    }

    /// Counts what another has counted, each thing under the name that `named` gives it.
    pub fn merge(&mut self, other: &Self, limit: usize, named: impl Fn(&K) -> K)
    where
        K: Clone,
    {
        if other.given_up {
            self.total += other.total;
            self.give_up();
        }
        for (thing, &count) in &other.counts {
            self.add(&named(thing), count, limit);
        }
    }

    /// Takes out again what another has counted, each thing under the name that `named` gives it.
    /// What was given up stays so, since it is not known any more what was counted.
    pub fn take_out(&mut self, other: &Self, named: impl Fn(&K) -> Option<K>) {
        self.total = self.total.saturating_sub(other.total);
        for (thing, &times) in &other.counts {
            let Some(thing) = named(thing) else { continue };
            let Some(count) = self.counts.get_mut(&thing) else { continue };
            *count = count.saturating_sub(times);
            if *count == 0 {
                self.counts.remove(&thing);
                self.weight -= weight(&thing);
            }
        }
    }

    /// Forgets all but how much there was.
    pub fn give_up(&mut self) {
        self.given_up = true;
        self.counts = BTreeMap::new();
        self.weight = 0;
    }

    /// What it takes in memory beyond its own size, in bytes.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether there were too many different things to tell them apart.
    pub fn given_up(&self) -> bool {
        self.given_up
    }

    /// How often anything was seen.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How often a thing was seen.
    pub fn count<Q: Ord + ?Sized>(&self, thing: &Q) -> u64
    where
        K: Borrow<Q>,
    {
        self.counts.get(thing).copied().unwrap_or(0)
    }

    /// Everything that was seen and how often, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, u64)> {
        self.counts.iter().map(|(thing, &count)| (thing, count))
    }

    /// How often things were seen that were seen no more often than `count` times each.
    pub fn as_rare_as(&self, count: u64) -> u64 {
        self.counts.values().filter(|&&other| other <= count).sum()
    }

    /// How many things were seen once only, the most frequent one left out.
    pub fn once(&self) -> u64 {
        let once = self.counts.values().filter(|&&count| count == 1).count() as u64;
        let all_once = self.counts.values().all(|&count| count == 1);
        if all_once { once.saturating_sub(1) } else { once }
    }

    /// What was seen most often; of equals, the first.
    pub fn usual(&self) -> Option<(&K, u64)> {
        self.iter().max_by_key(|&(thing, count)| (count, Reverse(thing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_past_the_limit_in_any_order() {
        let mut up = Tally::<u32>::default();
        let mut down = Tally::default();
        for thing in 0..5 {
            up.add(&thing, 1, 4);
            down.add(&(4 - thing), 1, 4);
        }
        assert_eq!(up, down);
        assert!(up.given_up());
        assert_eq!((up.total(), up.count(&3)), (5, 0));
    }

    #[test]
    fn what_is_taken_out_is_forgotten() {
        let mut all = Tally::<String>::default();
        all.add("tea", 2, 9);
        let before = all.clone();
        let mut one = Tally::default();
        one.add("tea", 1, 9);
        one.add("milk", 1, 9);
        all.merge(&one, 9, String::clone);
        assert!(all.weight() > before.weight());
        all.take_out(&one, |thing| Some(thing.clone()));
        assert_eq!(all, before);
        all.merge(&one, 1, String::clone);
        all.take_out(&one, |thing| Some(thing.clone()));
        assert_eq!((all.given_up(), all.total(), all.weight()), (true, 2, 0));
    }

    #[test]
    fn it_knows_the_usual_and_the_rare() {
        let mut tally = Tally::default();
        for (thing, times) in [(1, 90), (2, 9), (3, 1)] {
            tally.add(&thing, times, 10);
        }
        assert_eq!(tally.usual(), Some((&1, 90)));
        assert_eq!(tally.as_rare_as(9), 10);
        assert_eq!(tally.as_rare_as(0), 0);
        assert_eq!(tally.once(), 1);
    }

    #[test]
    fn one_of_things_seen_once_may_be_the_usual_one() {
        let mut tally = Tally::default();
        tally.add(&1, 1, 9);
        assert_eq!(tally.once(), 0);
        tally.add(&2, 1, 9);
        assert_eq!(tally.once(), 1);
    }
}
