//! The dictionary of terms in a file: looking one up, and going over all.
//!
//! Not here: how it is written (`entries.rs`). The surprise: a term that is cut stands for whatever
//! begins so, and a block begins with those of before that its first term begins with; so the
//! block where a term would stand has all that may be meant by it.

use std::{fs::File, mem, ops::Range};

use super::{
    super::SegmentError,
    bytes::{self, Block, Bytes},
    entries::{Entries, Entry},
};

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
    /// All entries.
    pub(super) fn cursor<'a>(
        &'a self,
        file: &'a File,
        size: u64,
    ) -> Result<Cursor<'a>, SegmentError> {
        let (bytes, term) = (Vec::new(), Vec::new());
        let blocks = self.fences.iter();
        let mut cursor =
            Cursor { file, size, blocks, bytes, at: 0, term, whole: true, traces: 0..0, count: 0 };
        cursor.advance()?;
        Ok(cursor)
    }

    pub(super) fn read(fences: &[u8]) -> Result<Self, SegmentError> {
        let (mut from, mut read) = (Bytes(fences), Vec::new());
        while !from.is_empty() {
            let first: Box<[u8]> = from.bytes()?.into();
            read.push((first, Block::get(&mut from)?));
        }
        Ok(Self { fences: read })
    }

    /// Entries that are the term, or may be.
    pub(super) fn exact(
        &self,
        file: &File,
        size: u64,
        term: &[u8],
        mut each: impl FnMut(Found),
    ) -> Result<(), SegmentError> {
        self.scan(
            file,
            size,
            term,
            |entry| {
                if entry.term == term || !entry.sure && term.starts_with(&entry.term) {
                    each(entry);
                }
                Ok(())
            },
            |entry| entry <= term,
        )
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

/// Goes over all entries of a file.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    file: &'a File,
    size: u64,
    /// Those that come after the one it stands in.
    blocks: std::slice::Iter<'a, (Box<[u8]>, Block)>,
    bytes: Vec<u8>,
    /// Where the next entry begins.
    at: usize,
    term: Vec<u8>,
    whole: bool,
    /// Where the traces lie.
    traces: Range<usize>,
    /// How many they are; none at the end.
    count: u64,
}

impl Entries for Cursor<'_> {
    fn entry(&self) -> Option<Entry<'_>> {
        (self.count > 0).then_some(Entry { term: &self.term, whole: self.whole })
    }

    fn traces(&self, each: &mut dyn FnMut(u32)) -> Result<(), SegmentError> {
        let mut coded = Bytes(&self.bytes[self.traces.clone()]);
        let mut last = 0u32;
        for _ in 0..self.count {
            last = last.checked_add(coded.short()?).ok_or(SegmentError::DAMAGED)?;
            each(last);
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<(), SegmentError> {
        // What a block begins with may have been in the one before.
        let mut known = None;
        loop {
            if self.at == self.bytes.len() {
                self.count = 0;
                let Some((_, block)) = self.blocks.next() else { return Ok(()) };
                self.bytes = bytes::squeezed(self.file, self.size, *block)?;
                self.at = 0;
                known = known.or_else(|| Some((mem::take(&mut self.term), self.whole)));
                self.term.clear();
            }
            self.step()?;
            let fresh = known.as_ref().is_none_or(|(term, whole)| {
                term.is_empty() || self.entry() > Some(Entry { term, whole: *whole })
            });
            if fresh {
                return Ok(());
            }
        }
    }
}

impl Cursor<'_> {
    fn step(&mut self) -> Result<(), SegmentError> {
        let mut rest = Bytes(&self.bytes[self.at..]);
        let common: usize = rest.short()?;
        if common > self.term.len() {
            return Err(SegmentError::DAMAGED);
        }
        self.term.truncate(common);
        self.term.extend_from_slice(rest.bytes()?);
        let head = rest.number()?;
        (self.count, self.whole) = (head >> 1, head & 1 == 0);
        let end = |left: Bytes<'_>| self.bytes.len() - left.0.len();
        self.traces = if self.count == 1 {
            let from = end(rest);
            rest.number()?;
            from..end(rest)
        } else {
            let coded = rest.bytes()?;
            end(rest) - coded.len()..end(rest)
        };
        self.at = end(rest);
        // Neither is there an entry without a trace, nor a trace that takes no byte.
        if self.count == 0 || self.count > self.traces.len() as u64 {
            return Err(SegmentError::DAMAGED);
        }
        Ok(())
    }
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
