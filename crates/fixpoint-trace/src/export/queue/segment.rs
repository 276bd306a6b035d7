//! One file of the queue: requests in frames, each with its length, checksum and number of records.
//!
//! Not here: which file is read or written. The surprise: a file that was written to by an earlier
//! process is never written to again, so a torn end needs no repair; reading stops there.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::Frame;
use crate::store::file::{read_at, write_at};

/// Length of the payload, checksum of what follows, number of records; four bytes each.
const HEADER: usize = 12;

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    /// Up to where it holds whole frames.
    pub(super) len: u64,
    /// How many records in it are not sent.
    pub(super) waiting: u64,
    file: File,
}

impl Segment {
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path(folder, number))?;
        Ok(Self { number, len: 0, waiting: 0, file })
    }

    /// Opens a file that an earlier process has left, of which the first `sent` bytes are sent.
    pub(super) fn open(folder: &Path, number: u64, sent: u64) -> io::Result<Self> {
        let file = File::open(path(folder, number))?;
        let size = file.metadata()?.len();
        let mut segment = Self { number, len: size, waiting: 0, file };
        let mut at = sent.min(size);
        while let Some(frame) = segment.read(at)? {
            segment.waiting += u64::from(frame.records);
            at = frame.end;
        }
        segment.len = at;
        Ok(segment)
    }

    /// The frame that lies there; none if what lies there is no whole frame.
    pub(super) fn read(&self, at: u64) -> io::Result<Option<Frame>> {
        let left = self.len.saturating_sub(at);
        if left < HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        if !self.fill(&mut header, at)? {
            return Ok(None);
        }
        let number = |place: usize| {
            let bytes = [header[place], header[place + 1], header[place + 2], header[place + 3]];
            u32::from_le_bytes(bytes)
        };
        let (len, crc, records) = (number(0), number(4), number(8));
        // Checked before there is any room made for it.
        if u64::from(len) > left - HEADER as u64 {
            return Ok(None);
        }
        let mut request = vec![0; len as usize];
        if !self.fill(&mut request, at + HEADER as u64)? || crc != checksum(records, &request) {
            return Ok(None);
        }
        let end = at + (HEADER + request.len()) as u64;
        Ok(Some(Frame { request: request.into(), records, segment: self.number, end }))
    }

    /// Reads from there; false if the file ends before, since somebody cut it.
    fn fill(&self, into: &mut [u8], at: u64) -> io::Result<bool> {
        match read_at(&self.file, into, at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            read => read.map(|()| true),
        }
    }

    /// Writes a frame at the end. If the disk refuses, the file is as it was before.
    pub(super) fn append(&mut self, frame: &[u8], records: u32) -> io::Result<()> {
        write_at(&self.file, frame, self.len)?;
        self.len += frame.len() as u64;
        self.waiting += u64::from(records);
        Ok(())
    }
}

/// A request with its header.
///
/// # Errors
/// If it is larger than 4 GiB.
pub(super) fn frame(request: &[u8], records: u32) -> io::Result<Vec<u8>> {
    let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, "a request over 4 GiB");
    let len = u32::try_from(request.len()).map_err(too_large)?;
    let mut frame = Vec::with_capacity(HEADER + request.len());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&checksum(records, request).to_le_bytes());
    frame.extend_from_slice(&records.to_le_bytes());
    frame.extend_from_slice(request);
    Ok(frame)
}

fn checksum(records: u32, request: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&records.to_le_bytes());
    crc.update(request);
    crc.finalize()
}

/// The numbers of the files in the folder, rising.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix("queue-")?.strip_suffix(".otlp")?.parse::<u64>().ok()
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn delete(folder: &Path, number: u64) -> io::Result<()> {
    std::fs::remove_file(path(folder, number))
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("queue-{number:08}.otlp"))
}
