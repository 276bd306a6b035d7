//! Longest common subsequences of two lists of keys, and the longest run in order of one.
//!
//! Not here: what the keys stand for. The surprise: it is exact where it is small or where keys
//! are few of a kind; where both lists are long and full of the same keys it settles for a common
//! subsequence that is not always the longest, in exchange for `n log n` time.

use std::{collections::HashMap, hash::Hash};

/// Up to so many cells a table is filled, which is exact whatever the keys.
const CELLS: usize = 1 << 16;

/// Pairs of places of a common subsequence of `a` and `b`, by place.
pub(super) fn common<K: Copy + Eq + Hash>(a: &[K], b: &[K]) -> Vec<(usize, usize)> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&a[head..], &b[head..]);
    let tail = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (rest_a, rest_b) = (&rest_a[..rest_a.len() - tail], &rest_b[..rest_b.len() - tail]);
    let mut pairs: Vec<_> = (0..head).map(|at| (at, at)).collect();
    if !rest_a.is_empty() && !rest_b.is_empty() {
        let middle = match rest_a.len().saturating_mul(rest_b.len()) {
            small if small <= CELLS => by_table(rest_a, rest_b),
            _ => by_occurrence(rest_a, rest_b),
        };
        pairs.extend(middle.into_iter().map(|(x, y)| (x + head, y + head)));
    }
    pairs.extend((0..tail).rev().map(|at| (a.len() - 1 - at, b.len() - 1 - at)));
    pairs
}

fn by_table<K: Eq>(a: &[K], b: &[K]) -> Vec<(usize, usize)> {
    let width = b.len() + 1;
    // How long it can be from here on.
    let mut longest = vec![0_u32; (a.len() + 1) * width];
    for x in (0..a.len()).rev() {
        for y in (0..b.len()).rev() {
            longest[x * width + y] = if a[x] == b[y] {
                longest[(x + 1) * width + y + 1] + 1
            } else {
                longest[(x + 1) * width + y].max(longest[x * width + y + 1])
            };
        }
    }
    let (mut x, mut y, mut pairs) = (0, 0, Vec::new());
    while x < a.len() && y < b.len() {
        if a[x] == b[y] {
            pairs.push((x, y));
            (x, y) = (x + 1, y + 1);
        } else if longest[(x + 1) * width + y] >= longest[x * width + y + 1] {
            x += 1;
        } else {
            y += 1;
        }
    }
    pairs
}

/// Pairs the first of a key with the first, the second with the second, and keeps what is in
/// order. Between two such pairs a table may find more.
fn by_occurrence<K: Copy + Eq + Hash>(a: &[K], b: &[K]) -> Vec<(usize, usize)> {
    let mut places: HashMap<K, Vec<usize>> = HashMap::new();
    for (at, &key) in b.iter().enumerate() {
        places.entry(key).or_default().push(at);
    }
    let mut taken: HashMap<K, usize> = HashMap::new();
    let mut found = Vec::new();
    for (at, key) in a.iter().enumerate() {
        let next = taken.entry(*key).or_default();
        if let Some(&other) = places.get(key).and_then(|places| places.get(*next)) {
            found.push((at, other));
            *next += 1;
        }
    }
    let order: Vec<usize> = found.iter().map(|&(_, y)| y).collect();
    let spine: Vec<_> = rising(&order).into_iter().map(|at| found[at]).collect();
    let mut pairs = Vec::with_capacity(spine.len());
    let (mut x, mut y) = (0, 0);
    for (next_x, next_y) in spine.into_iter().chain([(a.len(), b.len())]) {
        let (gap_a, gap_b) = (&a[x..next_x], &b[y..next_y]);
        if (1..=CELLS).contains(&gap_a.len().saturating_mul(gap_b.len())) {
            pairs.extend(by_table(gap_a, gap_b).into_iter().map(|(p, q)| (x + p, y + q)));
        }
        if next_x < a.len() {
            pairs.push((next_x, next_y));
        }
        (x, y) = (next_x + 1, next_y + 1);
    }
    pairs
}

/// The places of a longest rising subsequence.
pub(super) fn rising(values: &[usize]) -> Vec<usize> {
    // By length less one: where the subsequence of that length with the least end ends.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![usize::MAX; values.len()];
    for (at, value) in values.iter().enumerate() {
        let length = ends.partition_point(|&end| values[end] < *value);
        if length > 0 {
            before[at] = ends[length - 1];
        }
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut found = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(at) = next {
        found.push(at);
        next = Some(before[at]).filter(|&at| at != usize::MAX);
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_dropped_is_what_has_no_partner() {
        assert_eq!(common(&[1, 2, 3, 4], &[1, 2, 4]), [(0, 0), (1, 1), (3, 2)]);
        assert_eq!(common(&[1, 1, 2], &[1, 2]), [(0, 0), (2, 1)]);
        assert_eq!(common::<u8>(&[], &[]), []);
    }

    #[test]
    fn the_longest_in_order_is_found() {
        assert_eq!(rising(&[3, 0, 1, 4, 2]).len(), 3);
        assert_eq!(rising(&[2, 1, 0]).len(), 1);
        assert!(rising(&[]).is_empty());
    }

    #[test]
    fn long_lists_of_few_keys_take_no_time() {
        let a: Vec<u32> = (0..100_000).map(|n| n % 7).collect();
        let mut b = a.clone();
        b.remove(50_001);
        assert!(common(&a, &b).len() >= 99_990);
    }

    proptest! {
        #[test]
        fn pairs_are_equal_and_rise(
            a in prop::collection::vec(0_u8..5, 0..60),
            b in prop::collection::vec(0_u8..5, 0..60),
        ) {
            for pairs in [common(&a, &b), by_occurrence(&a, &b)] {
                prop_assert!(pairs.iter().all(|&(x, y)| a[x] == b[y]));
                prop_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
            }
            prop_assert!(common(&a, &b).len() >= by_occurrence(&a, &b).len());
        }
    }
}
