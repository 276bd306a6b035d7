//! The index file of a segment: what finds traces without reading their rows.
//!
//! Not here: what a query makes of it (`candidates.rs`). The surprise: opening one reads only
//! where its blocks begin; a question reads the few blocks that it needs.
//!
//! Blocks, each after its CRC-32; then a block that says where the heads of the five parts lie;
//! then where that block lies (u64, u32, little-endian) and eight bytes of magic. `docs/format.md`
//! has the parts in detail.

mod bytes;
mod dictionary;
mod entries;
mod gather;
mod interner;
mod spans;
mod terms;
mod traces;
mod write;

use std::{fs::File, path::Path};

use self::{
    bytes::{Block, Bytes},
    dictionary::Dictionary,
    spans::Spans,
    traces::Traces,
};
pub(super) use self::{
    dictionary::Found,
    gather::{Gather, Noted, Owner, attribute, compose, power, words},
    terms::{ATTRIBUTE, ERROR, LOG, NAME, NUMBER, OPERATION, ROOT, SERVICE, WORD},
    traces::Piece,
    write::Carried,
};
use super::SegmentError;
use crate::{
    model::{TraceId, UnixNanos},
    store::{RateQuery, rollup::Rollup},
};

const MAGIC: &[u8; 8] = b"FPINDEX1";
/// Where the directory lies, and the magic.
const END: u64 = 20;

/// An index file that is open.
#[derive(Debug)]
pub(super) struct Index {
    file: File,
    size: u64,
    traces: Traces,
    terms: Dictionary,
    spans: Spans,
    rollup: Block,
    attributes: Block,
    #[cfg(test)]
    heads: u64,
    /// Attributes that more than one of span, resource and scope have, and the like.
    ambiguous: Vec<String>,
}

impl Index {
    pub(super) fn open(path: &Path) -> Result<Self, SegmentError> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let at = size.checked_sub(END).ok_or(SegmentError::DAMAGED)?;
        let mut end = [0; END as usize];
        crate::store::file::read_at(&file, &mut end, at)?;
        let mut end = Bytes(&end);
        let directory =
            Block { at: u64::from_le_bytes(end.array()?), len: u32::from_le_bytes(end.array()?) };
        if end.0 != MAGIC {
            return Err(SegmentError::DAMAGED);
        }
        let directory = bytes::plain(&file, size, directory)?;
        let mut directory = Bytes(&directory);
        let mut next = || Block::get(&mut directory);
        let (traces, terms, spans, rollup, attributes) =
            (next()?, next()?, next()?, next()?, next()?);
        let read = |block| bytes::squeezed(&file, size, block);
        let ambiguous = known_attributes(&read(attributes)?)?
            .into_iter()
            .filter_map(|known| known.ambiguous.then_some(known.name));
        Ok(Self {
            ambiguous: ambiguous.collect(),
            traces: Traces::read(&read(traces)?)?,
            terms: Dictionary::read(&read(terms)?)?,
            spans: Spans::read(&read(spans)?)?,
            #[cfg(test)]
            heads: traces.at,
            rollup,
            attributes,
            size,
            file,
        })
    }

    pub(super) fn traces(&self) -> u32 {
        self.traces.count()
    }

    pub(super) fn ordinal(&self, id: TraceId) -> Result<Option<u32>, SegmentError> {
        self.traces.ordinal(&self.file, self.size, id)
    }

    /// Traces whose ids begin with these bytes.
    pub(super) fn ids_beginning(&self, prefix: &[u8]) -> Result<Vec<u32>, SegmentError> {
        self.traces.beginning(&self.file, self.size, prefix)
    }

    /// Traces that may have a span whose id begins with these 32 bits.
    pub(super) fn spans_beginning(&self, beginning: u32) -> Result<Vec<u32>, SegmentError> {
        self.spans.find(&self.file, self.size, beginning)
    }

    pub(super) fn pieces<T>(
        &self,
        ordinals: &[u32],
        each: impl FnMut(&Piece) -> T,
    ) -> Result<Vec<T>, SegmentError> {
        self.traces.pieces(&self.file, self.size, ordinals, each)
    }

    /// How many traces come before the place.
    pub(super) fn before(&self, place: (UnixNanos, TraceId)) -> Result<u32, SegmentError> {
        let (mut from, mut to) = (0, self.traces());
        while from < to {
            let middle = from + (to - from) / 2;
            let at = self.pieces(&[middle], |piece| (piece.start, piece.id))?;
            if at.first().is_some_and(|at| *at < place) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Entries that are the term, or may be.
    pub(super) fn exact(&self, term: &[u8], each: impl FnMut(Found)) -> Result<(), SegmentError> {
        self.terms.exact(&self.file, self.size, term, each)
    }

    /// Terms that begin with the prefix, or may.
    pub(super) fn prefix(
        &self,
        prefix: &[u8],
        each: impl FnMut(Found) -> Result<(), SegmentError>,
    ) -> Result<(), SegmentError> {
        self.terms.prefix(&self.file, self.size, prefix, each)
    }

    /// Adds what is counted of operations.
    pub(super) fn rates(&self, query: &RateQuery, into: &mut Rollup) -> Result<(), SegmentError> {
        let bytes = bytes::squeezed(&self.file, self.size, self.rollup)?;
        into.add_bytes(&bytes, query).ok_or(SegmentError::DAMAGED)
    }

    /// The attributes in use.
    pub(super) fn attributes(&self) -> Result<Vec<KnownAttribute>, SegmentError> {
        known_attributes(&bytes::squeezed(&self.file, self.size, self.attributes)?)
    }

    /// Whether a trace that has a term of the attribute may be without what it says: if more than
    /// one of span, resource and scope have the attribute, only one of them counts.
    pub(super) fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.iter().any(|known| known == name)
    }
}

#[cfg(test)]
impl Index {
    /// How many bytes its parts have in the file; and what is kept in memory.
    pub(super) fn parts(&self) -> [(&'static str, u64); 5] {
        let (terms, spans) = (self.terms.first(), self.spans.first());
        let heads = self.heads;
        let kept = self.traces.kept() + self.terms.kept() + self.spans.kept();
        [
            ("traces", terms),
            ("terms", spans - terms),
            ("span ids", heads - spans),
            ("heads, rates, attributes", self.size - heads),
            ("kept in memory", kept as u64),
        ]
    }
}

/// An attribute in use.
#[derive(Debug)]
pub(super) struct KnownAttribute {
    pub(super) name: String,
    /// Whose it is: bits of [`Owner`].
    owners: u8,
    ambiguous: bool,
    /// Its values, if they are few.
    pub(super) values: Vec<String>,
}

fn known_attributes(bytes: &[u8]) -> Result<Vec<KnownAttribute>, SegmentError> {
    let (mut bytes, mut found) = (Bytes(bytes), Vec::new());
    while !bytes.is_empty() {
        let (name, flags): (_, u8) = (bytes.text()?, bytes.short()?);
        let mut values = Vec::new();
        for _ in 0..bytes.number()? {
            values.push(bytes.text()?);
        }
        let (owners, ambiguous) = (flags >> 1, flags & 1 == 1);
        found.push(KnownAttribute { name, owners, ambiguous, values });
    }
    Ok(found)
}
