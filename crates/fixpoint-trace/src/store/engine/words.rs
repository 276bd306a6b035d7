//! By which words the traces of a memtable are found: the values of attributes, ids, names.
//!
//! Words are kept as hashes, so what is found may be wrong and must be looked at; a trace that has
//! the word is never left out. The surprise: nothing is indexed when a span comes, since most are
//! sealed before anybody searches; the first search, or an idle moment, catches up.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    io,
};

use super::memtable::Memtable;
use crate::{model::Record, store::tokens};

/// Which words occur where.
#[derive(Debug, Default)]
pub(super) struct Words {
    traces: HashMap<u64, Vec<u32>>,
    hasher: RandomState,
    /// How many spans and lines have been looked at.
    spans: u32,
    logs: u32,
    /// Spans that came again after they were looked at.
    changed: HashSet<u32>,
}

impl Words {
    /// A span came again.
    pub(super) fn changed(&mut self, span: u32) {
        if span < self.spans {
            self.changed.insert(span);
        }
    }

    /// Looks at what has come since.
    pub(super) fn catch_up(&mut self, table: &Memtable) -> io::Result<()> {
        // A span that cannot be read now is not passed over: it is looked at again next time.
        for span in self.changed.drain().collect::<Vec<_>>() {
            self.add(&Record::Span(table.span(span)?), table.trace_of_span(span));
        }
        while (self.spans as usize) < table.spans() {
            self.add(&Record::Span(table.span(self.spans)?), table.trace_of_span(self.spans));
            self.spans += 1;
        }
        while (self.logs as usize) < table.logs() {
            if let Some(trace) = table.trace_of_log(self.logs) {
                self.add(&Record::Log(table.log(self.logs)?), trace);
            }
            self.logs += 1;
        }
        Ok(())
    }

    fn add(&mut self, record: &Record, trace: u32) {
        tokens::words(record, &mut |word| {
            self.insert(Key::Whole(word), trace);
            if let Some(beginning) = beginning(word) {
                self.insert(Key::Beginning(beginning), trace);
            }
        });
    }

    fn insert(&mut self, key: Key<'_>, trace: u32) {
        let traces = self.traces.entry(self.hasher.hash_one(key)).or_default();
        // Spans of a trace mostly come together.
        if traces.last() != Some(&trace) {
            traces.push(trace);
        }
    }

    /// Traces, by number, in which the word may occur.
    pub(super) fn whole(&self, word: &str) -> &[u32] {
        self.get(Key::Whole(word))
    }

    /// Traces, by number, in which a word may occur that begins so. None for a word too short.
    pub(super) fn beginning(&self, word: &str) -> &[u32] {
        beginning(word).map_or(&[], |beginning| self.get(Key::Beginning(beginning)))
    }

    fn get(&self, key: Key<'_>) -> &[u32] {
        self.traces.get(&self.hasher.hash_one(key)).map_or(&[], Vec::as_slice)
    }
}

#[derive(Hash)]
enum Key<'a> {
    Whole(&'a str),
    Beginning(&'a str),
}

/// What all long words that begin alike share.
fn beginning(word: &str) -> Option<&str> {
    word.get(..tokens::PREFIX)
}
