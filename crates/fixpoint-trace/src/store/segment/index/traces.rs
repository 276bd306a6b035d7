//! Which traces a segment holds: by id, by number, and in a line each.
//!
//! Ids lie sorted in blocks of equal size, so that one read finds one; lines lie by number, in
//! compressed blocks. Not here: their spans. The surprise: most ids that are asked for are in some
//! other segment, so a Bloom filter in memory turns those away for some nanoseconds each.

use std::{fs::File, io::Write, sync::Mutex};

use super::{
    super::SegmentError,
    bytes::{self, Block, Blocks, Bytes, put_number, put_text},
};
use crate::model::{SpanId, Status, TraceId, UnixNanos};

/// Ids in a block, and what one takes: the id and the trace's number.
const IDS: usize = 64;
const ID: usize = 20;
/// The checksum before each block.
const CRC: usize = 4;
/// Lines in a block: what is read and expanded to see one of them.
const LINES: u32 = 32;
/// Bits and probes of the Bloom filter per id: one in a hundred passes wrongly.
const BITS: u64 = 10;
const PROBES: u64 = 6;

/// What a segment holds of a trace, in a line.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Piece {
    pub(in super::super) id: TraceId,
    /// Of the earliest span or, if there is none, the earliest line.
    pub(in super::super) start: UnixNanos,
    pub(in super::super) latest: UnixNanos,
    pub(in super::super) spans: u32,
    pub(in super::super) open: u32,
    pub(in super::super) errors: u32,
    pub(in super::super) logs: u32,
    /// The span that the trace goes by, if that is a root.
    pub(in super::super) root: Option<SpanId>,
    pub(in super::super) name: String,
    pub(in super::super) service: String,
    pub(in super::super) status: Status,
    /// Where its rows begin.
    pub(in super::super) span_row: u64,
    pub(in super::super) log_row: u64,
}

/// What is written of the traces, beside the blocks: kept in memory by a reader.
#[derive(Debug)]
pub(super) struct Traces {
    count: u32,
    bloom: Vec<u8>,
    /// The first id of each block, shortened.
    fences: Vec<u64>,
    ids: u64,
    lines: Vec<Block>,
    /// The block of lines read last.
    last: Mutex<Option<(usize, std::sync::Arc<Vec<Piece>>)>>,
}

/// Writes traces, by number.
#[derive(Debug, Default)]
pub(super) struct Writer {
    ids: Vec<(TraceId, u32)>,
    /// The block of lines being gathered.
    lines: Vec<u8>,
    places: Vec<u8>,
}

impl Writer {
    /// The next trace.
    pub(super) fn add(
        &mut self,
        piece: &Piece,
        out: &mut Blocks<impl Write>,
    ) -> Result<(), SegmentError> {
        let number = u32::try_from(self.ids.len()).map_err(|_| SegmentError::TOO_LARGE)?;
        self.ids.push((piece.id, number));
        piece.put(&mut self.lines);
        if (number + 1).is_multiple_of(LINES) { self.close(out) } else { Ok(()) }
    }

    fn close(&mut self, out: &mut Blocks<impl Write>) -> Result<(), SegmentError> {
        if !self.lines.is_empty() {
            out.squeezed(&self.lines)?.put(&mut self.places);
            self.lines.clear();
        }
        Ok(())
    }

    /// Writes what is left, and returns what a reader keeps of it.
    pub(super) fn finish(mut self, out: &mut Blocks<impl Write>) -> Result<Vec<u8>, SegmentError> {
        self.close(out)?;
        let mut ids = self.ids;
        ids.sort_unstable();
        let mut bloom = vec![0u8; ((ids.len() as u64 * BITS).div_ceil(8).max(8)) as usize];
        let mut head = Vec::new();
        put_number(&mut head, ids.len() as u64);
        // Blocks of equal size lie one after the other, so that nobody needs to note where.
        put_number(&mut head, out.at);
        for ids in ids.chunks(IDS) {
            let mut block = Vec::with_capacity(IDS * ID);
            for (id, ordinal) in ids {
                block.extend_from_slice(&id.to_bytes());
                block.extend_from_slice(&ordinal.to_le_bytes());
                for bit in bits(*id, bloom.len()) {
                    bloom[bit / 8] |= 1 << (bit % 8);
                }
            }
            out.plain(&block)?;
        }
        put_text(&mut head, &bloom);
        for block in ids.chunks(IDS) {
            head.extend_from_slice(&fence(block[0].0).to_le_bytes());
        }
        head.extend_from_slice(&self.places);
        Ok(head)
    }
}

fn fence(id: TraceId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.to_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The bits of an id. Its bytes are mixed first: not every sender's ids are random.
fn bits(id: TraceId, bytes: usize) -> impl Iterator<Item = usize> {
    let id = u128::from_be_bytes(id.to_bytes());
    let mix = |mut it: u64| {
        // The finaliser of MurmurHash3, by Austin Appleby, in the public domain.
        it = (it ^ it >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        it = (it ^ it >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        it ^ it >> 33
    };
    let (first, second) = (mix(id as u64 ^ mix((id >> 64) as u64)), mix((id >> 64) as u64));
    // Kirsch and Mitzenmacher: two hashes do for any number of probes.
    (0..PROBES).map(move |n| {
        (first.wrapping_add(n.wrapping_mul(second | 1)) % (bytes as u64 * 8)) as usize
    })
}

impl Traces {
    pub(super) fn read(head: &[u8]) -> Result<Self, SegmentError> {
        let mut head = Bytes(head);
        let count: u32 = head.short()?;
        let ids = head.number()?;
        let bloom = head.bytes()?.to_vec();
        if bloom.is_empty() {
            return Err(SegmentError::DAMAGED);
        }
        let mut fences = Vec::new();
        for _ in 0..(count as usize).div_ceil(IDS) {
            fences.push(u64::from_le_bytes(head.array()?));
        }
        let mut lines = Vec::new();
        for _ in 0..count.div_ceil(LINES) {
            lines.push(Block::get(&mut head)?);
        }
        Ok(Self { count, bloom, fences, ids, lines, last: Mutex::default() })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The number of a trace.
    pub(super) fn ordinal(
        &self,
        file: &File,
        size: u64,
        id: TraceId,
    ) -> Result<Option<u32>, SegmentError> {
        if !bits(id, self.bloom.len()).all(|bit| self.bloom[bit / 8] & 1 << (bit % 8) != 0) {
            return Ok(None);
        }
        let mut found = None;
        self.from(file, size, id.to_bytes().as_slice(), |at, ordinal| {
            if at == id.to_bytes() {
                found = Some(ordinal);
            }
            at < id.to_bytes()
        })?;
        Ok(found)
    }

    /// The numbers of traces whose ids begin with these bytes.
    pub(super) fn beginning(
        &self,
        file: &File,
        size: u64,
        prefix: &[u8],
    ) -> Result<Vec<u32>, SegmentError> {
        let mut found = Vec::new();
        self.from(file, size, prefix, |at, ordinal| {
            if at.starts_with(prefix) {
                found.push(ordinal);
            }
            at.as_slice() < prefix || at.starts_with(prefix)
        })?;
        Ok(found)
    }

    /// Goes over ids from the first block that may hold `from`, as long as it is told to go on.
    fn from(
        &self,
        file: &File,
        size: u64,
        from: &[u8],
        mut each: impl FnMut([u8; 16], u32) -> bool,
    ) -> Result<(), SegmentError> {
        let mut beginning = [0; 8];
        let len = from.len().min(8);
        beginning[..len].copy_from_slice(&from[..len]);
        let wanted = u64::from_be_bytes(beginning);
        // Two ids with the same fence may lie on both sides of an edge.
        let first = self.fences.partition_point(|fence| *fence < wanted).saturating_sub(1);
        for block in first..self.fences.len() {
            let len = (self.count as usize - block * IDS).min(IDS) * ID + CRC;
            let at = (block * (IDS * ID + CRC)) as u64;
            let at = self.ids.checked_add(at).ok_or(SegmentError::DAMAGED)?;
            let bytes = bytes::plain(file, size, Block { at, len: len as u32 })?;
            let mut bytes = Bytes(&bytes);
            while !bytes.is_empty() {
                let (id, ordinal) = (bytes.array()?, u32::from_le_bytes(bytes.array()?));
                if ordinal >= self.count {
                    return Err(SegmentError::DAMAGED);
                }
                if !each(id, ordinal) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The lines of traces, in the order of the numbers.
    pub(super) fn pieces<T>(
        &self,
        file: &File,
        size: u64,
        ordinals: &[u32],
        mut each: impl FnMut(&Piece) -> T,
    ) -> Result<Vec<T>, SegmentError> {
        let mut found = Vec::with_capacity(ordinals.len());
        for &ordinal in ordinals {
            let lines = self.block(file, size, (ordinal / LINES) as usize)?;
            let piece = lines.get((ordinal % LINES) as usize).ok_or(SegmentError::DAMAGED)?;
            found.push(each(piece));
        }
        Ok(found)
    }

    fn block(
        &self,
        file: &File,
        size: u64,
        number: usize,
    ) -> Result<std::sync::Arc<Vec<Piece>>, SegmentError> {
        let lock = || self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((last, lines)) = &*lock()
            && *last == number
        {
            return Ok(lines.clone());
        }
        let block = *self.lines.get(number).ok_or(SegmentError::DAMAGED)?;
        let bytes = bytes::squeezed(file, size, block)?;
        let (mut bytes, mut lines) = (Bytes(&bytes), Vec::with_capacity(LINES as usize));
        while !bytes.is_empty() {
            lines.push(Piece::get(&mut bytes)?);
        }
        let lines = std::sync::Arc::new(lines);
        *lock() = Some((number, lines.clone()));
        Ok(lines)
    }
}

impl Piece {
    fn put(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.id.to_bytes());
        into.extend_from_slice(&self.start.to_le_bytes());
        into.extend_from_slice(&self.latest.to_le_bytes());
        for number in [self.spans, self.open, self.errors, self.logs] {
            put_number(into, number.into());
        }
        into.extend_from_slice(&self.root.map_or([0; 8], SpanId::to_bytes));
        put_text(into, self.name.as_bytes());
        put_text(into, self.service.as_bytes());
        match &self.status {
            Status::Unset => into.push(0),
            Status::Ok => into.push(1),
            Status::Error(why) => {
                into.push(2);
                put_text(into, why.as_bytes());
            }
        }
        put_number(into, self.span_row);
        put_number(into, self.log_row);
    }

    fn get(from: &mut Bytes<'_>) -> Result<Self, SegmentError> {
        Ok(Self {
            id: TraceId::from_bytes(from.array()?).ok_or(SegmentError::DAMAGED)?,
            start: u64::from_le_bytes(from.array()?),
            latest: u64::from_le_bytes(from.array()?),
            spans: from.short()?,
            open: from.short()?,
            errors: from.short()?,
            logs: from.short()?,
            root: SpanId::from_bytes(from.array()?),
            name: from.text()?,
            service: from.text()?,
            status: match from.array()? {
                [0] => Status::Unset,
                [1] => Status::Ok,
                [2] => Status::Error(from.text()?),
                [_] => return Err(SegmentError::DAMAGED),
            },
            span_row: from.number()?,
            log_row: from.number()?,
        })
    }
}

#[cfg(test)]
impl Traces {
    pub(super) fn kept(&self) -> usize {
        self.bloom.len() + size_of_val(&*self.fences) + size_of_val(&*self.lines)
    }
}
