//! The write-ahead log: one file of frames, each an OTLP request as it came, in the order of arrival.
//!
//! Not here: when to write and when to sync (`commit.rs`), or what is in a frame (`memtable.rs`).
//! The surprise: the log is also where fresh spans are read from. The memtable keeps places in it,
//! not bytes, so that what has not been sealed costs page cache and not memory.
//!
//! A frame is the payload's length (u32), the CRC-32 of what follows (u32), the signal (u8), whether
//! it holds traces that moved here from the log before (u8), two zero bytes, and the payload;
//! integers are little-endian. A frame that is cut off, or whose
//! checksum is wrong, ends the log: it was never acknowledged. So do the zeros behind the last one.

use std::{
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::store::{
    Signal,
    file::{read_at, write_at},
};

const HEADER: usize = 12;

/// How far the file is made longer ahead of what is written. Where a write makes the file longer, a
/// sync has to wait for the file system's own log as well, which takes several times as long.
const AHEAD: u64 = 4 << 20;

/// How much is read at once by whoever reads what lies one behind the other.
const READ_AHEAD: u64 = 64 << 10;

/// One file of the write-ahead log.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    number: u64,
    /// How far it has been written.
    len: AtomicU64,
    /// How long the file is; zeros follow what was written.
    room: AtomicU64,
}

/// What was read of a log, for whoever reads what lies one behind the other.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    from: u64,
    bytes: Vec<u8>,
}

/// Where a frame's payload lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) signal: Signal,
    /// Whether its traces moved here, whole, from the log before.
    pub(super) moved: bool,
    pub(super) offset: u64,
    pub(super) len: u32,
}

impl Journal {
    /// Starts a new log. It does not count until it is [published](Self::publish).
    pub(super) fn create(folder: &Path, number: u64) -> io::Result<Self> {
        let path = path(folder, number).with_extension("new");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { file, number, len: AtomicU64::new(0), room: AtomicU64::new(0) })
    }

    /// From now on it counts, with all that moved into it: a crash must not leave half of that.
    pub(super) fn publish(&self, folder: &Path) -> io::Result<()> {
        let path = path(folder, self.number);
        std::fs::rename(path.with_extension("new"), path)
    }

    /// Opens a log that a process left behind. Nothing of it is known until it is replayed.
    pub(super) fn open(folder: &Path, number: u64) -> io::Result<Self> {
        let path = path(folder, number);
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Ok(Self { file, number, len: AtomicU64::new(0), room: AtomicU64::new(0) })
    }

    /// Tells of each frame. What was cut off at the end, in the middle of a write, is taken off
    /// the file.
    pub(super) fn replay<E: From<io::Error>>(
        &self,
        mut each: impl FnMut(Frame, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let size = self.file.metadata()?.len();
        let (mut payload, mut end) = (Vec::new(), 0);
        while let Some(frame) = self.frame_at(end, size, &mut payload)? {
            end = frame.offset + u64::from(frame.len);
            each(frame, &payload)?;
        }
        self.len.store(end, Relaxed);
        self.room.store(end, Relaxed);
        if end < size {
            self.file.set_len(end)?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// The frame that begins there, if a whole one does.
    fn frame_at(&self, at: u64, size: u64, payload: &mut Vec<u8>) -> io::Result<Option<Frame>> {
        if size.saturating_sub(at) < HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; HEADER];
        read_at(&self.file, &mut header, at)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3, signal, moved, ..] = header;
        let (len, crc) =
            (u32::from_le_bytes([l0, l1, l2, l3]), u32::from_le_bytes([c0, c1, c2, c3]));
        let offset = at + HEADER as u64;
        // The file's own size bounds what a damaged length can make us allocate.
        let (Some(signal), true) = (signal_of(signal), size - offset >= u64::from(len)) else {
            return Ok(None);
        };
        payload.resize(len as usize, 0);
        read_at(&self.file, payload, offset)?;
        let right = checksum(&header[8..], payload) == crc;
        Ok(right.then_some(Frame { signal, moved: moved == 1, offset, len }))
    }

    /// Writes frames at the end, and says where each payload lies. Not yet synced.
    ///
    /// # Errors
    /// If the disk refuses; the log is then as it was before.
    pub(super) fn append<'a>(
        &self,
        frames: impl IntoIterator<Item = (Signal, &'a [u8])>,
        moved: bool,
    ) -> io::Result<Vec<Frame>> {
        let (start, mut places, mut buffer) = (self.len(), Vec::new(), Vec::new());
        for (signal, payload) in frames {
            let len = u32::try_from(payload.len())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a frame over 4 GiB"))?;
            let kind = [number_of(signal), u8::from(moved), 0, 0];
            buffer.extend_from_slice(&len.to_le_bytes());
            buffer.extend_from_slice(&checksum(&kind, payload).to_le_bytes());
            buffer.extend_from_slice(&kind);
            places.push(Frame { signal, moved, offset: start + buffer.len() as u64, len });
            buffer.extend_from_slice(payload);
        }
        let end = start + buffer.len() as u64;
        self.make_room(end);
        write_at(&self.file, &buffer, start)?;
        self.len.store(end, Relaxed);
        Ok(places)
    }

    /// Makes the file longer, if it has to be. A disk that refuses that may still take the write.
    fn make_room(&self, end: u64) {
        if end > self.room.load(Relaxed) && self.file.set_len(end + AHEAD).is_ok() {
            self.room.store(end + AHEAD, Relaxed);
        }
    }

    /// Returns when everything written survives the loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Takes off what was written from there on.
    pub(super) fn cut(&self, len: u64) -> io::Result<()> {
        self.len.store(len, Relaxed);
        self.room.store(len, Relaxed);
        self.file.set_len(len)
    }

    /// Reads a piece of a payload.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        read_at(&self.file, into, offset)
    }

    /// Reads a piece of a payload, and what follows it ahead.
    pub(super) fn read_ahead<'a>(
        &self,
        offset: u64,
        len: u32,
        ahead: &'a mut Ahead,
    ) -> io::Result<&'a [u8]> {
        let start = match offset.checked_sub(ahead.from).and_then(|at| usize::try_from(at).ok()) {
            Some(start) if start + len as usize <= ahead.bytes.len() => start,
            _ => {
                // What is not written yet would be read as zeros.
                let end = self.len().min(offset + READ_AHEAD).max(offset + u64::from(len));
                ahead.from = offset;
                ahead.bytes.clear();
                ahead.bytes.resize((end - offset) as usize, 0);
                self.read(offset, &mut ahead.bytes).inspect_err(|_| ahead.bytes.clear())?;
                0
            }
        };
        Ok(&ahead.bytes[start..start + len as usize])
    }

    /// How many bytes it holds.
    pub(super) fn len(&self) -> u64 {
        self.len.load(Relaxed)
    }

    /// Its number; later logs have higher ones.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Deletes a log; whoever has it open can still read it.
    pub(super) fn delete(folder: &Path, number: u64) -> io::Result<()> {
        std::fs::remove_file(path(folder, number))
    }
}

/// The numbers of the logs in the folder, rising.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix("journal-")?.strip_suffix(".log")?.parse::<u64>().ok()
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("journal-{number:08}.log"))
}

fn checksum(kind: &[u8], payload: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(kind);
    crc.update(payload);
    crc.finalize()
}

fn number_of(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Logs => 2,
    }
}

fn signal_of(number: u8) -> Option<Signal> {
    match number {
        1 => Some(Signal::Traces),
        2 => Some(Signal::Logs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(folder: &Path) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let journal = Journal::open(folder, 1).unwrap();
        let replayed = journal.replay(|frame, payload| {
            let mut read = vec![0; frame.len as usize];
            journal.read(frame.offset, &mut read)?;
            assert_eq!(read, payload);
            found.push(payload.to_vec());
            io::Result::Ok(())
        });
        replayed.unwrap();
        found
    }

    fn three(folder: &Path) -> Journal {
        let journal = Journal::create(folder, 1).unwrap();
        journal.publish(folder).unwrap();
        let payloads: [&[u8]; 3] = [b"first", b"", b"third, the longest"];
        let frames = payloads.map(|payload| (Signal::Traces, payload));
        assert_eq!(journal.append(frames, false).unwrap().len(), 3);
        journal
    }

    #[test]
    fn what_was_written_is_found_again_wherever_the_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let whole = three(folder.path());
        let ends = [HEADER + 5, 2 * HEADER + 5, whole.len() as usize];
        for cut in (0..=whole.len() as usize).rev() {
            OpenOptions::new()
                .write(true)
                .open(path(folder.path(), 1))
                .unwrap()
                .set_len(cut as u64)
                .unwrap();
            let expected = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(frames(folder.path()).len(), expected, "cut at {cut}");
            let left = std::fs::metadata(path(folder.path(), 1)).unwrap().len() as usize;
            assert_eq!(left, ends[..expected].last().copied().unwrap_or(0), "the rest is gone");
        }
    }

    #[test]
    fn the_file_is_longer_than_the_log_until_it_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let written = three(folder.path());
        let size = || std::fs::metadata(path(folder.path(), 1)).unwrap().len();
        assert_eq!(size(), written.len() + AHEAD);
        assert_eq!(frames(folder.path()).len(), 3);
        assert_eq!(size(), written.len());

        let journal = Journal::open(folder.path(), 1).unwrap();
        journal.replay(|_, _| io::Result::Ok(())).unwrap();
        journal.append([(Signal::Logs, b"fourth".as_slice())], false).unwrap();
        let before = journal.len();
        journal.append([(Signal::Logs, b"refused".as_slice())], false).unwrap();
        journal.cut(before).unwrap();
        journal.append([(Signal::Logs, b"fifth".as_slice())], false).unwrap();
        let found = frames(folder.path());
        assert_eq!(found[3..], [b"fourth".as_slice(), b"fifth".as_slice()]);
    }

    #[test]
    fn a_frame_that_was_changed_ends_the_log() {
        for at in 0..3 * HEADER + 23 {
            let folder = tempfile::tempdir().unwrap();
            let _journal = three(folder.path());
            let mut bytes = std::fs::read(path(folder.path(), 1)).unwrap();
            bytes[at] ^= 0x40;
            std::fs::write(path(folder.path(), 1), bytes).unwrap();
            let found = frames(folder.path());
            let whole: [&[u8]; 3] = [b"first", b"", b"third, the longest"];
            assert!(found.len() < 3 && found == whole[..found.len()], "changed at {at}: {found:?}");
        }
    }

    #[test]
    fn logs_are_told_apart_from_other_files() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["journal-00000012.log", "journal-00000003.log", "journal-x.log", "other"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(numbers(folder.path()).unwrap(), [3, 12]);
    }
}
