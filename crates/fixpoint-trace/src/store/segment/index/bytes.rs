//! The few ways in which the index writes numbers and texts, and reads them back with care.
//!
//! The surprise: every read may fail. A damaged file gives an error, never a panic, and never asks
//! for more memory than the file itself has bytes.

use std::{cell::RefCell, fs::File, io::Write};

use zstd::bulk::{Compressor, Decompressor};

use super::super::SegmentError;
use crate::store::file::read_at;

/// Compressed blocks are small; what claims to be larger is damaged.
const LARGEST: usize = 64 << 20;

pub(super) fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

pub(super) fn put_text(into: &mut Vec<u8>, text: &[u8]) {
    put_number(into, text.len() as u64);
    into.extend_from_slice(text);
}

/// Reads what was put, in the same order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn number(&mut self) -> Result<u64, SegmentError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(SegmentError::DAMAGED)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(SegmentError::DAMAGED)
    }

    pub(super) fn short<T: TryFrom<u64>>(&mut self) -> Result<T, SegmentError> {
        T::try_from(self.number()?).map_err(|_| SegmentError::DAMAGED)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], SegmentError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(SegmentError::DAMAGED)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], SegmentError> {
        self.take(N)?.try_into().map_err(|_| SegmentError::DAMAGED)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], SegmentError> {
        let len = self.short()?;
        self.take(len)
    }

    pub(super) fn text(&mut self) -> Result<String, SegmentError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| SegmentError::DAMAGED)
    }
}

/// Where a block lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) at: u64,
    pub(super) len: u32,
}

impl Block {
    pub(super) fn put(self, into: &mut Vec<u8>) {
        put_number(into, self.at);
        put_number(into, self.len.into());
    }

    pub(super) fn get(from: &mut Bytes<'_>) -> Result<Self, SegmentError> {
        Ok(Self { at: from.number()?, len: from.short()? })
    }
}

/// Writes blocks one after the other, each with a checksum.
pub(super) struct Blocks<W> {
    out: W,
    pub(super) at: u64,
    compressor: Compressor<'static>,
}

impl<W: Write> Blocks<W> {
    pub(super) fn new(out: W) -> Result<Self, SegmentError> {
        Ok(Self { out, at: 0, compressor: Compressor::new(3)? })
    }

    /// A block as it is, for what is read in pieces or does not shrink.
    pub(super) fn plain(&mut self, bytes: &[u8]) -> Result<Block, SegmentError> {
        let block = Block {
            at: self.at,
            len: u32::try_from(bytes.len() + 4).map_err(|_| SegmentError::TOO_LARGE)?,
        };
        self.out.write_all(&crc32fast::hash(bytes).to_le_bytes())?;
        self.out.write_all(bytes)?;
        self.at += u64::from(block.len);
        Ok(block)
    }

    /// A compressed block.
    pub(super) fn squeezed(&mut self, bytes: &[u8]) -> Result<Block, SegmentError> {
        let squeezed = self.compressor.compress(bytes)?;
        self.plain(&squeezed)
    }

    /// Without a checksum; the end of the file.
    pub(super) fn raw(&mut self, bytes: &[u8]) -> Result<(), SegmentError> {
        Ok(self.out.write_all(bytes)?)
    }

    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

/// Reads a block and checks it.
pub(super) fn plain(file: &File, size: u64, block: Block) -> Result<Vec<u8>, SegmentError> {
    if block.at.checked_add(block.len.into()).is_none_or(|end| end > size) {
        return Err(SegmentError::DAMAGED);
    }
    let mut bytes = vec![0; block.len as usize];
    read_at(file, &mut bytes, block.at)?;
    let Some((crc, content)) = bytes.split_first_chunk::<4>() else {
        return Err(SegmentError::DAMAGED);
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Err(SegmentError::DAMAGED);
    }
    bytes.drain(..4);
    Ok(bytes)
}

thread_local! {
    /// Making one costs more than to expand a block with it.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Reads a compressed block and checks it.
pub(super) fn squeezed(file: &File, size: u64, block: Block) -> Result<Vec<u8>, SegmentError> {
    let bytes = plain(file, size, block)?;
    let len = zstd::zstd_safe::get_frame_content_size(&bytes).ok().flatten();
    let len = len.and_then(|len| usize::try_from(len).ok()).filter(|&len| len <= LARGEST);
    let len = len.ok_or(SegmentError::DAMAGED)?;
    Ok(DECOMPRESSOR.with_borrow_mut(|decompressor| {
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new()?),
        };
        decompressor.decompress(&bytes, len)
    })?)
}
