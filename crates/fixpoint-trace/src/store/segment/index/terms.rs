//! What traces are found by: a sorted dictionary of terms, each with the traces it occurs in.
//!
//! A term begins with a byte that says what it is. Not here: which terms a span has (`gather.rs`)
//! or what they are good for in a search (`candidates.rs`). The surprise: a term that occurs in
//! one trace only, such as an AWS request id, is cut down to what tells it from its neighbours and
//! a little more; that makes it cheap, and whoever finds it must look whether it is meant.

use std::{fs::File, io::Write};

use super::{
    super::SegmentError,
    bytes::{self, Block, Blocks, Bytes, put_number, put_text},
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

/// How many bytes more than needed are kept of a term that is cut.
const MORE: usize = 4;
/// About how large a block is before it is compressed.
const BLOCK: usize = 16 << 10;

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

    /// Writes the dictionary, and returns what a reader keeps of it.
    pub(super) fn write(self, out: &mut Blocks<impl Write>) -> Result<Vec<u8>, SegmentError> {
        let order = self.terms.sorted();
        let (mut fences, mut block) = (Vec::new(), Vec::with_capacity(BLOCK + 1024));
        let (mut before, mut first): (&[u8], &[u8]) = (&[], &[]);
        let mut close = |block: &mut Vec<u8>, first: &[u8]| {
            if !block.is_empty() {
                put_text(&mut fences, first);
                out.squeezed(block)?.put(&mut fences);
                block.clear();
            }
            Ok::<_, SegmentError>(())
        };
        // What the term has in common with the one before.
        let mut alike = 0;
        for (n, &number) in order.iter().enumerate() {
            let (term, traces) = (self.terms.get(number), &self.traces[number as usize]);
            let with_next = order.get(n + 1).map_or(0, |it| shared(term, self.terms.get(*it)));
            let needed = alike.max(with_next) + 1 + MORE;
            alike = with_next;
            let cuts = traces.count == 1
                && needed < term.len()
                && term.first().is_some_and(|kind| [ATTRIBUTE, WORD].contains(kind));
            let kept = if cuts { &term[..needed] } else { term };
            if block.len() > BLOCK {
                close(&mut block, first)?;
            }
            if block.is_empty() {
                (before, first) = (&[], kept);
            }
            let common = shared(before, kept);
            put_number(&mut block, common as u64);
            put_text(&mut block, &kept[common..]);
            put_number(&mut block, u64::from(traces.count) << 1 | u64::from(cuts));
            if traces.count == 1 {
                put_number(&mut block, traces.last.into());
            } else {
                put_text(&mut block, &traces.coded);
            }
            before = kept;
        }
        close(&mut block, first)?;
        Ok(fences)
    }
}

/// How many bytes two terms have in common at the beginning.
fn shared(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The dictionary of a file. Only where its blocks begin is in memory.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    fences: Vec<(Box<[u8]>, Block)>,
}

/// An entry that fits what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Found {
    /// The term, or the beginning of it that is kept.
    pub(in super::super) term: Vec<u8>,
    /// The traces, by number, rising.
    pub(in super::super) traces: Vec<u32>,
    /// The term is whole. Otherwise the trace must be looked at.
    pub(in super::super) sure: bool,
}

impl Dictionary {
    pub(super) fn read(fences: &[u8]) -> Result<Self, SegmentError> {
        let (mut from, mut read) = (Bytes(fences), Vec::new());
        while !from.is_empty() {
            let first: Box<[u8]> = from.bytes()?.into();
            read.push((first, Block::get(&mut from)?));
        }
        Ok(Self { fences: read })
    }

    /// The traces that have the term.
    pub(super) fn exact(
        &self,
        file: &File,
        size: u64,
        term: &[u8],
    ) -> Result<Option<Found>, SegmentError> {
        let mut found = None;
        self.scan(
            file,
            size,
            term,
            |entry| {
                let fits = entry.term == term || !entry.sure && term.starts_with(&entry.term);
                if fits {
                    found = Some(entry);
                }
                Ok(())
            },
            |entry| entry <= term,
        )?;
        Ok(found)
    }

    /// Entries that begin with the prefix, or may.
    pub(super) fn prefix(
        &self,
        file: &File,
        size: u64,
        prefix: &[u8],
        mut each: impl FnMut(Found) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        self.scan(
            file,
            size,
            prefix,
            |entry| {
                let fits = entry.term.starts_with(prefix)
                    || !entry.sure && prefix.starts_with(&entry.term);
                if fits { each(entry) } else { Ok(()) }
            },
            |entry| entry < prefix || entry.starts_with(prefix),
        )
    }

    /// Goes over entries from the last block that begins at or before `from`, as long as they
    /// are wanted.
    fn scan(
        &self,
        file: &File,
        size: u64,
        from: &[u8],
        mut each: impl FnMut(Found) -> Result<(), SegmentError>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<(), SegmentError> {
        let first = self.fences.partition_point(|(fence, _)| &**fence <= from).saturating_sub(1);
        for (_, block) in self.fences.get(first..).unwrap_or_default() {
            let block = bytes::squeezed(file, size, *block)?;
            let (mut block, mut term) = (Bytes(&block), Vec::new());
            while !block.is_empty() {
                let common: usize = block.short()?;
                if common > term.len() {
                    return Err(SegmentError::DAMAGED);
                }
                term.truncate(common);
                term.extend_from_slice(block.bytes()?);
                let head = block.number()?;
                let (count, sure) = (head >> 1, head & 1 == 0);
                if !wanted(&term) {
                    return Ok(());
                }
                let mut coded = if count == 1 { block } else { Bytes(block.bytes()?) };
                // Whatever is not asked for is passed over without being decoded.
                let near = term.as_slice() >= from || from.starts_with(&term);
                if near {
                    let traces = ordinals(&mut coded, count)?;
                    if count == 1 {
                        block = coded;
                    }
                    each(Found { term: term.clone(), traces, sure })?;
                } else if count == 1 {
                    block.number()?;
                }
            }
        }
        Ok(())
    }
}

fn ordinals(from: &mut Bytes<'_>, count: u64) -> Result<Vec<u32>, SegmentError> {
    // A step has a byte at least.
    if count > from.0.len() as u64 {
        return Err(SegmentError::DAMAGED);
    }
    let (mut read, mut last) = (Vec::with_capacity(count as usize), 0u32);
    for _ in 0..count {
        last = last.checked_add(from.short()?).ok_or(SegmentError::DAMAGED)?;
        read.push(last);
    }
    Ok(read)
}

#[cfg(test)]
impl Dictionary {
    /// Where its first block lies.
    pub(super) fn first(&self) -> u64 {
        self.fences.first().map_or(0, |it| it.1.at)
    }

    pub(super) fn kept(&self) -> usize {
        self.fences.iter().map(|it| it.0.len() + size_of_val(it)).sum()
    }
}
