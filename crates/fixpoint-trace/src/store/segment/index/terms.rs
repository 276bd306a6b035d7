//! What traces are found by: terms, gathered trace by trace.
//!
//! A term begins with a byte that says what it is. Not here: which terms a span has (`gather.rs`),
//! what they are good for in a search (`candidates.rs`), or how they lie in a file (`entries.rs`,
//! `dictionary.rs`). The surprise: most terms occur in one trace only, so the list of a term's
//! traces has no allocation of its own until there are two.

use super::{
    super::SegmentError,
    bytes::{Bytes, put_number},
    entries::{Entries, Entry},
    interner::Interner,
};

/// The name of the trace's root.
pub(in super::super) const ROOT: u8 = b'r';
/// Some span failed.
pub(in super::super) const ERROR: u8 = b'e';
/// A service.
pub(in super::super) const SERVICE: u8 = b's';
/// A span's name.
pub(in super::super) const NAME: u8 = b'n';
/// Service, zero, name, zero, and how long the longest such span took, as a power of two.
pub(in super::super) const OPERATION: u8 = b'o';
/// An attribute's value in lower case, zero, its name, and the value as it is if that differs.
pub(in super::super) const ATTRIBUTE: u8 = b'a';
/// A whole number, zero, and the name of an attribute that has it as one with a point.
pub(in super::super) const NUMBER: u8 = b'd';
/// A word by which a trace is found, beside its attributes.
pub(in super::super) const WORD: u8 = b'w';
/// A word of a log line, in lower case.
pub(in super::super) const LOG: u8 = b'l';

/// Gathers terms, trace by trace.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    terms: Interner,
    /// Of each term.
    traces: Vec<Ordinals>,
}

/// Rising numbers of traces, as differences.
#[derive(Debug, Default)]
struct Ordinals {
    last: u32,
    count: u32,
    /// Empty as long as there is but one.
    coded: Vec<u8>,
}

impl Ordinals {
    fn add(&mut self, ordinal: u32) {
        match self.count {
            0 => {}
            _ if self.last == ordinal => return,
            count => {
                if count == 1 {
                    put_number(&mut self.coded, self.last.into());
                }
                put_number(&mut self.coded, (ordinal - self.last).into());
            }
        }
        (self.last, self.count) = (ordinal, self.count + 1);
    }
}

impl Gathered {
    /// A term of a trace; the traces come in rising order.
    pub(super) fn add(&mut self, term: &[u8], ordinal: u32) {
        let number = self.terms.number(term) as usize;
        if number == self.traces.len() {
            self.traces.push(Ordinals::default());
        }
        self.traces[number].add(ordinal);
    }

    /// What was gathered, in order.
    pub(super) fn sorted(&self) -> Sorted<'_> {
        Sorted { of: self, order: self.terms.sorted().into_iter() }
    }
}

/// Gathered terms in their order.
pub(super) struct Sorted<'a> {
    of: &'a Gathered,
    /// The next one is the one it stands at.
    order: std::vec::IntoIter<u32>,
}

impl Sorted<'_> {
    fn at(&self) -> Option<&Ordinals> {
        self.order.as_slice().first().map(|&number| &self.of.traces[number as usize])
    }
}

impl Entries for Sorted<'_> {
    fn entry(&self) -> Option<Entry<'_>> {
        let &number = self.order.as_slice().first()?;
        Some(Entry { term: self.of.terms.get(number), whole: true })
    }

    fn traces(&self, each: &mut dyn FnMut(u32)) -> Result<(), SegmentError> {
        let Some(traces) = self.at() else { return Ok(()) };
        if traces.count == 1 {
            each(traces.last);
            return Ok(());
        }
        let (mut coded, mut at) = (Bytes(&traces.coded), 0u32);
        while !coded.is_empty() {
            at = at.checked_add(coded.short()?).ok_or(SegmentError::DAMAGED)?;
            each(at);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), SegmentError> {
        self.order.next();
        Ok(())
    }
}
