//! What waits to be sent, on disk: requests one after the other, in files of bounded size.
//!
//! A request is with the operating system before [`Queue::put`] returns, so the death of the
//! process costs nothing. Not here: sending, or the loss of power, after which the copy may lack
//! what the system had not written yet (the store lacks nothing). The surprise: when the bound is
//! reached, the oldest file goes as a whole, so a sixteenth of the queue is dropped at once.
//!
//! | file | what it is |
//! | --- | --- |
//! | `queue-*.otlp` | requests, old to new: [`segment`] |
//! | `sent` | up to where they are sent: the number of a file, and a place in it |

mod segment;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

use self::segment::Segment;
use super::counts::Counts;
use crate::store::file::{read_at, write_at};

/// How many files the bound is divided into.
const FILES: u64 = 16;
/// The length of `sent`: number, place, checksum.
const SENT: usize = 20;

/// A request that waits, or is on its way.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) request: Bytes,
    /// How many spans or log lines it holds.
    pub(super) records: u32,
    /// The file that it lies in.
    segment: u64,
    /// Where the next one lies.
    end: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    folder: PathBuf,
    /// How many bytes all files together may take.
    limit: u64,
    state: Mutex<State>,
    filled: Notify,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct State {
    /// Old to new. Only the newest is written to, and only if `writing`.
    segments: VecDeque<Segment>,
    writing: bool,
    /// The number of the next file. None is used twice, or `sent` might speak of another.
    next: u64,
    /// Up to where the oldest file is sent.
    sent: u64,
    sent_file: File,
    /// Records that are on their way; they are counted when it is known what became of them.
    on_the_way: u64,
}

impl Queue {
    /// Opens the queue in a folder, creating it if need be, and looks through what it holds.
    pub(super) fn open(folder: &Path, limit: u64, counts: Arc<Counts>) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("sent");
        let sent_file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        // What says nothing, or nothing right, costs repetition, not loss.
        let (number, place) = read_sent(&sent_file).unwrap_or((0, 0));
        let (mut segments, mut next) = (VecDeque::new(), number + 1);
        for found in segment::numbers(folder)? {
            next = next.max(found + 1);
            if found < number {
                segment::delete(folder, found)?;
                continue;
            }
            let sent = if found == number { place } else { 0 };
            let segment = Segment::open(folder, found, sent)?;
            counts.waiting(segment.waiting as i64, segment.len as i64);
            segments.push_back(segment);
        }
        let front = segments.front().filter(|front| front.number == number);
        // The file may have lost its end with the power.
        let sent = front.map_or(0, |front| place.min(front.len));
        let state = State { segments, writing: false, next, sent, sent_file, on_the_way: 0 };
        let state = Mutex::new(state);
        Ok(Self { folder: folder.to_owned(), limit, state, filled: Notify::new(), counts })
    }

    /// Adds a request at the end. What does not fit is dropped, oldest first, and counted.
    ///
    /// # Errors
    /// If the disk refuses; the request is then dropped and counted.
    pub(super) fn put(&self, request: &[u8], records: u32) -> io::Result<()> {
        let result = self.append(request, records);
        if result.is_err() {
            self.counts.dropped(records.into());
        }
        self.filled.notify_one();
        result
    }

    fn append(&self, request: &[u8], records: u32) -> io::Result<()> {
        let frame = segment::frame(request, records)?;
        let len = frame.len() as u64;
        if len > self.limit {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than the whole queue"));
        }
        let mut state = self.lock();
        while state.bytes() + len > self.limit && self.drop_oldest(&mut state)? {}
        let full = |segment: &Segment| segment.len + len > self.limit / FILES;
        if !state.writing || state.segments.back().is_none_or(full) {
            let segment = Segment::create(&self.folder, state.next)?;
            state.next += 1;
            state.segments.push_back(segment);
            state.writing = true;
        }
        if let Some(segment) = state.segments.back_mut() {
            segment.append(&frame, records)?;
            self.counts.waiting(records.into(), len as i64);
        }
        Ok(())
    }

    /// Drops the oldest file; false if there is none.
    fn drop_oldest(&self, state: &mut State) -> io::Result<bool> {
        let Some(oldest) = state.segments.front() else { return Ok(false) };
        // What is on its way lies in the oldest file, and will be counted as sent or refused.
        self.counts.dropped(oldest.waiting.saturating_sub(state.on_the_way));
        state.on_the_way = 0;
        self.remove_oldest(state)?;
        Ok(true)
    }

    fn remove_oldest(&self, state: &mut State) -> io::Result<()> {
        if let Some(oldest) = state.segments.pop_front() {
            state.sent = 0;
            state.writing &= !state.segments.is_empty();
            self.counts.waiting(-(oldest.waiting as i64), -(oldest.len as i64));
            segment::delete(&self.folder, oldest.number)?;
        }
        Ok(())
    }

    /// The oldest requests that are not sent, of about `bytes` in all; none if none waits. They
    /// stay in the queue until [`Queue::done`].
    ///
    /// # Errors
    /// If the disk refuses.
    pub(super) fn take(&self, bytes: usize) -> io::Result<Vec<Frame>> {
        let mut state = self.lock();
        let mut frames: Vec<Frame> = Vec::new();
        while let Some(oldest) = state.segments.front() {
            let (mut at, mut taken, mut damaged) = (state.sent, 0, false);
            while at < oldest.len {
                let Some(frame) = oldest.read(at)? else {
                    damaged = true;
                    break;
                };
                taken += frame.request.len();
                if taken > bytes && !frames.is_empty() {
                    break;
                }
                at = frame.end;
                frames.push(frame);
            }
            if !frames.is_empty() {
                break;
            }
            if damaged {
                tracing::error!(file = oldest.number, "a file of the export queue is damaged");
                self.counts.dropped(oldest.waiting);
            } else if state.segments.len() == 1 && state.writing {
                break;
            }
            self.remove_oldest(&mut state)?;
        }
        state.on_the_way = frames.iter().map(|frame| u64::from(frame.records)).sum();
        Ok(frames)
    }

    /// Takes the requests out of the queue: they are sent, or never will be.
    ///
    /// # Errors
    /// If the disk refuses; they will then be sent again after the next start.
    pub(super) fn done(&self, frames: &[Frame]) -> io::Result<()> {
        let Some(last) = frames.last() else { return Ok(()) };
        let records: u64 = frames.iter().map(|frame| u64::from(frame.records)).sum();
        let mut state = self.lock();
        state.on_the_way = state.on_the_way.saturating_sub(records);
        let state = &mut *state;
        // Else its file was dropped meanwhile.
        if let Some(oldest) = state.segments.front_mut().filter(|it| it.number == last.segment) {
            oldest.waiting = oldest.waiting.saturating_sub(records);
            self.counts.waiting(-(records as i64), 0);
            state.sent = last.end;
            write_sent(&state.sent_file, last.segment, last.end)?;
            let (all, written) = (last.end >= oldest.len, state.segments.len() == 1);
            if all && !(written && state.writing) {
                self.remove_oldest(state)?;
            }
        }
        Ok(())
    }

    /// How many bytes wait that are not sent.
    pub(super) fn ahead(&self) -> u64 {
        let state = self.lock();
        state.bytes() - state.sent
    }

    /// Returns when something was put in, perhaps some time ago.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }
}

fn read_sent(file: &File) -> Option<(u64, u64)> {
    let mut bytes = [0; SENT];
    read_at(file, &mut bytes, 0).ok()?;
    let (body, crc) = bytes.split_at(16);
    let (number, place) = body.split_at(8);
    let right = crc32fast::hash(body).to_le_bytes() == crc;
    right.then_some((
        u64::from_le_bytes(number.try_into().ok()?),
        u64::from_le_bytes(place.try_into().ok()?),
    ))
}

fn write_sent(file: &File, number: u64, place: u64) -> io::Result<()> {
    let mut bytes = [0; SENT];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    bytes[8..16].copy_from_slice(&place.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&crc.to_le_bytes());
    write_at(file, &bytes, 0)
}
