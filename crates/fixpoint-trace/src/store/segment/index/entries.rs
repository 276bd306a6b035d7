//! Writes a dictionary of terms, of those just gathered or of those that other dictionaries have.
//!
//! The surprise: a term that occurs in one trace only, such as an AWS request id, is cut down to
//! what tells it from its neighbours and a little more; that makes it cheap, and whoever finds it
//! must look whether it is meant. What was cut before stays as it is when dictionaries are
//! merged: then it may be what other terms begin with, too.

use std::io::Write;

use super::{
    super::SegmentError,
    bytes::{Blocks, put_number, put_text},
    terms::{ATTRIBUTE, WORD},
};

/// How many bytes more than needed are kept of a term that is cut.
const MORE: usize = 4;
/// About how large a block is before it is compressed.
const BLOCK: usize = 16 << 10;
/// In place of the number of a trace that is left out.
pub(super) const LEFT_OUT: u32 = u32::MAX;

/// An entry of a dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry<'a> {
    /// The term, or the beginning of it that is kept.
    pub(super) term: &'a [u8],
    /// It is all of the term. Of two that are otherwise alike, the one that is cut comes first.
    pub(super) whole: bool,
}

/// Goes over entries in their order.
pub(super) trait Entries {
    /// The entry that it stands at; none at the end.
    fn entry(&self) -> Option<Entry<'_>>;

    /// The traces of that entry, by number.
    fn traces(&self, each: &mut dyn FnMut(u32)) -> Result<(), SegmentError>;

    /// Goes on to the next one.
    fn advance(&mut self) -> Result<(), SegmentError>;
}

/// Entries, and what number each of their traces has now, or [`LEFT_OUT`].
pub(super) struct Source<'a> {
    pub(super) entries: Box<dyn Entries + 'a>,
    pub(super) numbers: &'a [u32],
}

/// Writes the dictionary of several, and returns what a reader keeps of it.
pub(super) fn write(
    mut sources: Vec<Source<'_>>,
    out: &mut Blocks<impl Write>,
) -> Result<Vec<u8>, SegmentError> {
    let mut writer = Writer::new(out);
    let mut next = Kept::default();
    loop {
        let least = sources.iter().filter_map(|source| source.entries.entry()).min();
        let Some(least) = least else { return writer.finish() };
        next.set(least);
        for source in &mut sources {
            if source.entries.entry() != Some(next.entry()) {
                continue;
            }
            let (numbers, traces, mut wrong) = (source.numbers, &mut next.traces, false);
            source.entries.traces(&mut |trace| match numbers.get(trace as usize) {
                Some(&LEFT_OUT) => {}
                Some(&number) => traces.push(number),
                None => wrong = true,
            })?;
            if wrong {
                return Err(SegmentError::DAMAGED);
            }
            source.entries.advance()?;
        }
        if !next.traces.is_empty() {
            if !next.traces.is_sorted() {
                next.traces.sort_unstable();
            }
            writer.add(&mut next)?;
        }
    }
}

/// An entry to be written.
#[derive(Debug, Default)]
struct Kept {
    term: Vec<u8>,
    whole: bool,
    traces: Vec<u32>,
}

impl Kept {
    fn set(&mut self, entry: Entry<'_>) {
        self.term.clear();
        self.term.extend_from_slice(entry.term);
        self.whole = entry.whole;
        self.traces.clear();
    }

    fn entry(&self) -> Entry<'_> {
        Entry { term: &self.term, whole: self.whole }
    }
}

struct Writer<'o, W> {
    out: &'o mut Blocks<W>,
    fences: Vec<u8>,
    block: Vec<u8>,
    /// The first term of the block.
    first: Vec<u8>,
    /// What was put last.
    before: Vec<u8>,
    /// The entry to be put next. Where it is cut depends on the one after it.
    last: Option<Kept>,
    /// What it has in common with the one before.
    alike: usize,
    /// The entries that are cut and that what was put last begins with, the shortest first: the
    /// term and what is written after it.
    cut: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'o, W: Write> Writer<'o, W> {
    fn new(out: &'o mut Blocks<W>) -> Self {
        Self {
            out,
            fences: Vec::new(),
            block: Vec::with_capacity(BLOCK + 1024),
            first: Vec::new(),
            before: Vec::new(),
            last: None,
            alike: 0,
            cut: Vec::new(),
        }
    }

    /// The next entry; another one, no longer needed, is left in its place.
    fn add(&mut self, next: &mut Kept) -> Result<(), SegmentError> {
        let Some(mut last) = self.last.take() else {
            self.last = Some(std::mem::take(next));
            return Ok(());
        };
        let with_next = shared(&last.term, &next.term);
        self.put(&mut last, with_next)?;
        self.alike = with_next;
        std::mem::swap(&mut last, next);
        self.last = Some(last);
        Ok(())
    }

    fn put(&mut self, entry: &mut Kept, with_next: usize) -> Result<(), SegmentError> {
        let needed = self.alike.max(with_next) + 1 + MORE;
        let cuts = entry.whole
            && entry.traces.len() == 1
            && needed < entry.term.len()
            && entry.term.first().is_some_and(|kind| [ATTRIBUTE, WORD].contains(kind));
        if cuts {
            entry.term.truncate(needed);
            entry.whole = false;
        }
        let rest = rest(entry);
        while self.cut.last().is_some_and(|(term, _)| !entry.term.starts_with(term)) {
            self.cut.pop();
        }
        if self.block.len() > BLOCK {
            self.close()?;
        }
        if self.block.is_empty() {
            self.first.clone_from(&entry.term);
            // What may be meant by a term is found in the block where it would stand.
            for (term, rest) in &self.cut {
                put(&mut self.block, &mut self.before, term, rest);
            }
        }
        put(&mut self.block, &mut self.before, &entry.term, &rest);
        if !entry.whole {
            self.cut.push((entry.term.clone(), rest));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), SegmentError> {
        if !self.block.is_empty() {
            put_text(&mut self.fences, &self.first);
            self.out.squeezed(&self.block)?.put(&mut self.fences);
            self.block.clear();
            self.before.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, SegmentError> {
        if let Some(mut last) = self.last.take() {
            self.put(&mut last, 0)?;
        }
        self.close()?;
        Ok(self.fences)
    }
}

fn put(block: &mut Vec<u8>, before: &mut Vec<u8>, term: &[u8], rest: &[u8]) {
    let common = shared(before, term);
    put_number(block, common as u64);
    put_text(block, &term[common..]);
    block.extend_from_slice(rest);
    before.truncate(common);
    before.extend_from_slice(&term[common..]);
}

/// What stands after the term.
fn rest(entry: &Kept) -> Vec<u8> {
    let mut rest = Vec::with_capacity(8);
    put_number(&mut rest, (entry.traces.len() as u64) << 1 | u64::from(!entry.whole));
    if let &[only] = entry.traces.as_slice() {
        put_number(&mut rest, only.into());
        return rest;
    }
    let (mut coded, mut before) = (Vec::with_capacity(entry.traces.len()), 0);
    for &trace in &entry.traces {
        put_number(&mut coded, (trace - before).into());
        before = trace;
    }
    put_text(&mut rest, &coded);
    rest
}

/// How many bytes two terms have in common at the beginning.
fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
