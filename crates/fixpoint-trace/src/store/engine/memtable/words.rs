//! By which words the traces of a memtable are found: the values of attributes, ids, names.
//!
//! Words are kept as hashes, so what is found may be wrong and must be looked at; a trace that has
//! the word is never left out. Whoever searches looks at what has come since the last search, a
//! piece at a time, so that whoever stores meanwhile does not wait for that. The surprise: nothing
//! is indexed when a span comes, since most are sealed before anybody searches; the first search,
//! or an idle moment, catches up.

use std::{
    hash::{BuildHasher, RandomState},
    io, mem,
    ops::Range,
    sync::RwLock,
};

use super::{LogRow, Memtable, Origin, SpanRow, number};
use crate::{
    otlp::view::{LogView, SpanView, Spare},
    store::{
        engine::{journal::Ahead, write::read},
        tokens,
    },
};

/// How many records are looked at while the table is held.
const PIECE: usize = 256;

/// How much may be found before it is sorted.
const RUN: usize = 1 << 16;

/// Which words occur where.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// What was found, sorted and without repetition: each run at least twice as long as the next, so
    /// that there are few, and no entry is moved often. A table that grows by doubling would be
    /// moved at once, by whoever happens to search.
    runs: Vec<Vec<Entry>>,
    /// What was found and is not in a run yet.
    fresh: Vec<Entry>,
    hasher: RandomState,
    /// What has been looked at.
    seen: Extent,
}

/// Half of a word's hash, above the number of a trace in which it occurs.
type Entry = u64;

/// How much of a table.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extent {
    pub(super) spans: usize,
    pub(super) logs: usize,
    /// How many times a span came that had come before.
    pub(super) repeats: usize,
}

/// While it looks at one record after the other.
#[derive(Debug, Default)]
struct Looking {
    ahead: Ahead,
    /// The trace and the origin of the last span.
    last: Option<(u32, u32)>,
}

impl Words {
    /// Looks at what has come until now.
    ///
    /// # Errors
    /// If a record cannot be read. It is not passed over: it is looked at again next time.
    pub(super) fn catch_up(&mut self, table: &RwLock<Memtable>) -> io::Result<()> {
        // What comes from now on is not waited for: it may come faster.
        let all = read(table).extent();
        let mut more = true;
        let mut looking = Looking::default();
        while more {
            more = self.look(&read(table), all, &mut looking)?;
            if !more || self.fresh.len() >= RUN {
                self.sort_in();
            }
        }
        Ok(())
    }

    /// Looks at a piece. Whether there is more.
    fn look(&mut self, table: &Memtable, all: Extent, looking: &mut Looking) -> io::Result<bool> {
        let mut left = PIECE;
        let mut piece = |from: usize, to: usize| -> Range<usize> {
            let to = to.min(from + left);
            left -= to.saturating_sub(from);
            from..to
        };
        let repeats = piece(self.seen.repeats, all.repeats);
        // One that was not looked at yet will be, as it is then.
        let seen = |span: &u32| (*span as usize) < self.seen.spans;
        let mut repeated: Vec<u32> =
            table.repeats[repeats.clone()].iter().copied().filter(seen).collect();
        repeated.sort_unstable();
        repeated.dedup();
        for span in repeated {
            self.span(table, span, looking)?;
        }
        self.seen.repeats = repeats.end;
        for span in piece(self.seen.spans, all.spans) {
            self.span(table, number(span), looking)?;
            self.seen.spans = span + 1;
        }
        for log in piece(self.seen.logs, all.logs) {
            self.log(table, number(log), looking)?;
            self.seen.logs = log + 1;
        }
        Ok(left == 0)
    }

    fn span(&mut self, table: &Memtable, row: u32, looking: &mut Looking) -> io::Result<()> {
        let SpanRow { trace, place, .. } = table.spans[row as usize];
        let Self { fresh, hasher, .. } = self;
        let mut add =
            |word: &str| Key::of_word(word, hasher, |key| fresh.push(key | u64::from(trace)));
        table.show(place, &mut looking.ahead, |message| {
            let span = SpanView::parse(message, &mut Spare::default())?;
            add(&span.span_id.to_string());
            // Spans of a trace mostly come together, and from one place.
            if looking.last.replace((trace, place.origin)) != Some((trace, place.origin)) {
                let Origin { resource, scope } = &table.origins[place.origin as usize];
                add(&span.trace_id.to_string());
                tokens::origin_words(resource, scope, &mut add);
            }
            tokens::view_words(&span.attributes, &mut add)
        })
    }

    fn log(&mut self, table: &Memtable, row: u32, looking: &mut Looking) -> io::Result<()> {
        let LogRow { trace: Some(trace), place, .. } = table.logs[row as usize] else {
            return Ok(());
        };
        let Self { fresh, hasher, .. } = self;
        let mut add =
            |word: &str| Key::of_word(word, hasher, |key| fresh.push(key | u64::from(trace)));
        table.show(place, &mut looking.ahead, |message| {
            let log = LogView::parse(message, &mut Spare::default())?;
            if let Some(id) = log.trace_id {
                add(&id.to_string());
            }
            tokens::view_words(&log.attributes, &mut add)
        })
    }

    fn sort_in(&mut self) {
        let mut run = mem::take(&mut self.fresh);
        run.sort_unstable();
        run.dedup();
        while let Some(last) = self.runs.pop_if(|last| last.len() < 2 * run.len()) {
            run = merged(&last, &run);
        }
        if !run.is_empty() {
            self.runs.push(run);
        }
    }

    /// Traces, by number, in which the word may occur; some may come twice.
    pub(super) fn whole(&self, word: &str) -> impl Iterator<Item = u32> + use<'_> {
        self.from(Key::Whole(word).of(&self.hasher))
    }

    /// Traces, by number, in which a word may occur that begins so. None for a word too short.
    pub(super) fn beginning(&self, word: &str) -> impl Iterator<Item = u32> + use<'_> {
        let key = beginning(word).map(|word| Key::Beginning(word).of(&self.hasher));
        key.into_iter().flat_map(|key| self.from(key))
    }

    /// The traces of a key, of which this is the least entry.
    fn from(&self, key: Entry) -> impl Iterator<Item = u32> + use<'_> {
        self.runs.iter().flat_map(move |run| {
            let of_key = &run[run.partition_point(|&entry| entry < key)..];
            let of_key = &of_key[..of_key.partition_point(|&entry| entry - key <= TRACE)];
            of_key.iter().map(|&entry| (entry & TRACE) as u32)
        })
    }
}

/// The trace's part of an entry.
const TRACE: Entry = u32::MAX as Entry;

#[derive(Hash)]
enum Key<'a> {
    Whole(&'a str),
    Beginning(&'a str),
}

impl<'a> Key<'a> {
    /// The least entry of each key by which a word is found.
    fn of_word(word: &'a str, hasher: &RandomState, mut found: impl FnMut(Entry)) {
        found(Self::Whole(word).of(hasher));
        if let Some(beginning) = beginning(word) {
            found(Key::Beginning(beginning).of(hasher));
        }
    }

    /// The least entry of this key.
    fn of(&self, hasher: &RandomState) -> Entry {
        hasher.hash_one(self) & !TRACE
    }
}

/// What all long words that begin alike share.
fn beginning(word: &str) -> Option<&str> {
    word.get(..tokens::PREFIX)
}

fn merged(a: &[Entry], b: &[Entry]) -> Vec<Entry> {
    let (mut a, mut b) = (a.iter().copied().peekable(), b.iter().copied().peekable());
    let mut merged = Vec::with_capacity(a.len() + b.len());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(of_a), Some(of_b)) => *of_a.min(of_b),
            (Some(last), None) | (None, Some(last)) => *last,
            (None, None) => return merged,
        };
        a.next_if_eq(&next);
        b.next_if_eq(&next);
        merged.push(next);
    }
}
