//! Which trace a span belongs to, by the first half of the span's id.
//!
//! The surprise: only 32 of the 64 bits are kept, which costs four to five bytes a span; whoever
//! finds one must look whether it is meant.

use std::{fs::File, io::Write};

use super::{
    super::SegmentError,
    bytes::{self, Block, Blocks, Bytes, put_number},
    entries::LEFT_OUT,
};
use crate::model::SpanId;

/// Entries in a block.
const ENTRIES: usize = 1024;

/// Span ids, as they are gathered and in the file.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    entries: Vec<(u32, u32)>,
}

impl Gathered {
    pub(super) fn add(&mut self, id: SpanId, ordinal: u32) {
        self.entries.push((half(id), ordinal));
    }

    /// Adds those of a file. Its traces have these numbers now, or are left out.
    pub(super) fn carry(
        &mut self,
        spans: &Spans,
        file: &File,
        size: u64,
        numbers: &[u32],
    ) -> Result<(), SegmentError> {
        for (fence, block) in &spans.fences {
            each(file, size, *fence, *block, |id, ordinal| {
                match *numbers.get(ordinal as usize).ok_or(SegmentError::DAMAGED)? {
                    LEFT_OUT => {}
                    number => self.entries.push((id, number)),
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The traces have these numbers now.
    pub(super) fn renumber(&mut self, numbers: &[u32]) {
        for (_, ordinal) in &mut self.entries {
            *ordinal = numbers[*ordinal as usize];
        }
    }

    pub(super) fn write(mut self, out: &mut Blocks<impl Write>) -> Result<Vec<u8>, SegmentError> {
        self.entries.sort_unstable();
        let mut head = Vec::new();
        for entries in self.entries.chunks(ENTRIES) {
            let (mut block, mut before) = (Vec::new(), entries[0].0);
            for (id, ordinal) in entries {
                put_number(&mut block, (id - before).into());
                put_number(&mut block, (*ordinal).into());
                before = *id;
            }
            head.extend_from_slice(&entries[0].0.to_le_bytes());
            out.plain(&block)?.put(&mut head);
        }
        Ok(head)
    }
}

fn half(id: SpanId) -> u32 {
    let [a, b, c, d, ..] = id.to_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// The span ids of a file; only where blocks begin is in memory.
#[derive(Debug, Default)]
pub(super) struct Spans {
    fences: Vec<(u32, Block)>,
}

impl Spans {
    pub(super) fn read(head: &[u8]) -> Result<Self, SegmentError> {
        let (mut head, mut fences) = (Bytes(head), Vec::new());
        while !head.is_empty() {
            let first = u32::from_le_bytes(head.array()?);
            fences.push((first, Block::get(&mut head)?));
        }
        Ok(Self { fences })
    }

    /// The numbers of traces that may have a span whose id begins so.
    pub(super) fn find(
        &self,
        file: &File,
        size: u64,
        beginning: u32,
    ) -> Result<Vec<u32>, SegmentError> {
        let mut found = Vec::new();
        let first = self.fences.partition_point(|(fence, _)| *fence < beginning).saturating_sub(1);
        for (fence, block) in self.fences.get(first..).unwrap_or_default() {
            if *fence > beginning {
                break;
            }
            each(file, size, *fence, *block, |id, ordinal| {
                if id == beginning {
                    found.push(ordinal);
                }
                Ok(())
            })?;
        }
        Ok(found)
    }
}

/// Goes over the entries of a block, of which the first is known.
fn each(
    file: &File,
    size: u64,
    first: u32,
    block: Block,
    mut each: impl FnMut(u32, u32) -> Result<(), SegmentError>,
) -> Result<(), SegmentError> {
    let bytes = bytes::plain(file, size, block)?;
    let (mut bytes, mut id) = (Bytes(&bytes), first);
    while !bytes.is_empty() {
        id = id.checked_add(bytes.short()?).ok_or(SegmentError::DAMAGED)?;
        each(id, bytes.short()?)?;
    }
    Ok(())
}

#[cfg(test)]
impl Spans {
    /// Where its first block lies.
    pub(super) fn first(&self) -> u64 {
        self.fences.first().map_or(0, |it| it.1.at)
    }

    pub(super) fn kept(&self) -> usize {
        size_of_val(&*self.fences)
    }
}
