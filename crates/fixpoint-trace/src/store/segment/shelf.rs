//! The rows of a segment, which may be here or in a bucket.
//!
//! Without a bucket they are opened once and stay open. With one they are fetched whole when they
//! are wanted, and may be given up again to make room. Not here: when (`engine/exchange.rs`). The
//! surprise: whoever reads rows that are given up meanwhile reads on, since he has the files open.

use std::{
    fs, io,
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    SegmentError,
    files::{Files, remove},
    guarded,
    rows::{Logs, Spans},
};
use crate::{
    model::{self, Level, LogRecord, UnixNanos},
    store::bucket::Connection,
};

/// Rows that are open.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) spans: Spans,
    pub(super) logs: Option<Logs>,
}

/// Where a segment's rows are kept.
#[derive(Debug)]
pub(super) struct Shelf {
    files: Files,
    /// How many spans and lines there are to be.
    expected: (u64, u64),
    bucket: Option<Arc<Connection>>,
    /// Held while they are fetched: who comes meanwhile waits for the same.
    open: Mutex<Option<Arc<Rows>>>,
    held: AtomicU64,
    wanted: AtomicU64,
}

impl Shelf {
    pub(super) fn new(files: Files, expected: (u64, u64), bucket: Option<Arc<Connection>>) -> Self {
        let shelf = Self {
            files,
            expected,
            bucket,
            open: Mutex::default(),
            held: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
        };
        shelf.weigh();
        shelf
    }

    pub(super) fn rows(&self) -> Result<Arc<Rows>, SegmentError> {
        let mut open = self.lock();
        if self.bucket.is_some() {
            self.wanted.store(model::now(), Relaxed);
        }
        if let Some(rows) = &*open {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(self.fetch_and_open()?);
        *open = Some(Arc::clone(&rows));
        Ok(rows)
    }

    fn fetch_and_open(&self) -> Result<Rows, SegmentError> {
        if let Some(bucket) = &self.bucket {
            for path in self.paths().filter(|path| !path.exists()) {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                bucket.fetch(&name, path)?;
            }
            self.weigh();
        }
        let (spans, lines) = self.expected;
        let logs = match lines {
            0 => None,
            _ => Some(guarded(|| Logs::open(&self.files.logs))?),
        };
        let rows = Rows { spans: guarded(|| Spans::open(&self.files.spans))?, logs };
        let found = (rows.spans.rows(), rows.logs.as_ref().map_or(0, Logs::rows));
        if found == (spans, lines) { Ok(rows) } else { Err(SegmentError::UNLIKE) }
    }

    /// The files with rows.
    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.all(self.expected.1 > 0).filter(|path| *path != self.files.index)
    }

    fn weigh(&self) {
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        self.held.store(self.paths().map(size).sum(), Relaxed);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    pub(super) fn wanted(&self) -> UnixNanos {
        self.wanted.load(Relaxed)
    }

    /// Unless they are being fetched just now.
    pub(super) fn clear(&self) -> io::Result<()> {
        let mut open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(open)) => open.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        *open = None;
        let removed = self.paths().try_for_each(remove);
        self.weigh();
        removed
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Rows>>> {
        // It holds rows or none, whoever panicked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    pub(super) fn lines(&self, ranges: &[Range<u64>]) -> Result<Vec<LogRecord>, SegmentError> {
        match &self.logs {
            Some(logs) => guarded(|| logs.read(ranges)),
            None => Ok(Vec::new()),
        }
    }

    /// Lines of which only the time is known.
    pub(super) fn light_lines(
        &self,
        ranges: &[Range<u64>],
    ) -> Result<Vec<LogRecord>, SegmentError> {
        let Some(logs) = &self.logs else { return Ok(Vec::new()) };
        let times = guarded(|| logs.times(ranges))?;
        Ok(times.into_iter().map(|time| LogRecord::new(time, Level::Info, "")).collect())
    }
}
