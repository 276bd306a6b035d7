//! Byte strings, each kept once, and known by a number from then on.
//!
//! Not here: what they mean. The surprise: none has an allocation of its own; a segment has millions
//! of them, and most occur once.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable, hash_table::Entry};

#[derive(Debug, Default)]
pub(super) struct Interner {
    /// One after the other.
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// The hash of each, and its number.
    numbers: HashTable<(u64, u32)>,
    hasher: DefaultHashBuilder,
}

impl Interner {
    /// The number of a string. The first has 0, and a new one the next.
    pub(super) fn number(&mut self, string: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(string);
        let same = |&(of, number): &(u64, u32)| {
            of == hash && get(&self.bytes, &self.ends, number) == string
        };
        match self.numbers.entry(hash, same, |it| it.0) {
            Entry::Occupied(known) => known.get().1,
            Entry::Vacant(new) => {
                // Memory does not hold as many as would not fit.
                let number = self.ends.len() as u32;
                new.insert((hash, number));
                self.bytes.extend_from_slice(string);
                self.ends.push(self.bytes.len());
                number
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> &[u8] {
        get(&self.bytes, &self.ends, number)
    }

    /// All numbers, in the order of their strings.
    pub(super) fn sorted(&self) -> Vec<u32> {
        // Most differ in their first bytes, which are compared without going to where they lie.
        let beginning = |string: &[u8]| {
            let (mut bytes, len) = ([0; 16], string.len().min(16));
            bytes[..len].copy_from_slice(&string[..len]);
            u128::from_be_bytes(bytes)
        };
        let mut order: Vec<(u128, u32)> =
            (0..self.ends.len() as u32).map(|n| (beginning(self.get(n)), n)).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.get(a.1).cmp(self.get(b.1))));
        order.into_iter().map(|(_, number)| number).collect()
    }
}

fn get<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] };
    &bytes[start..ends[number]]
}
