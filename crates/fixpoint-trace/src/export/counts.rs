//! What has become of what was to be copied, in numbers.
//!
//! Not here: who counts. The surprise: what waits is counted again from the disk at every start,
//! everything else from zero.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
};

use crate::store::Signal;

/// The counts of a copy, which go on while it runs.
#[derive(Debug, Clone, Default)]
pub struct Exported {
    pub(super) signals: Vec<(Signal, Arc<Counts>)>,
}

/// What has become of the spans, or of the log lines, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many the collector took.
    pub sent: u64,
    /// How many wait for it.
    pub waiting: u64,
    /// How many bytes the queue takes on disk.
    pub bytes: u64,
    /// How many the collector will not have, whole requests or parts of them.
    pub refused: u64,
    /// How many were lost before they could be sent: the queue was full, or its disk failed.
    pub dropped: u64,
}

impl Exported {
    /// The counts of now, of each signal that is copied.
    pub fn now(&self) -> Vec<(Signal, Copied)> {
        self.signals.iter().map(|(signal, counts)| (*signal, counts.now())).collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicI64,
    bytes: AtomicI64,
}

impl Counts {
    pub(super) fn sent(&self, records: u64) {
        self.sent.fetch_add(records, Relaxed);
    }

    pub(super) fn refused(&self, records: u64) {
        self.refused.fetch_add(records, Relaxed);
    }

    pub(super) fn dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Relaxed);
    }

    /// So many more records wait than before, in so many more bytes.
    pub(super) fn waiting(&self, records: i64, bytes: i64) {
        self.waiting.fetch_add(records, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }

    pub(super) fn now(&self) -> Copied {
        Copied {
            sent: self.sent.load(Relaxed),
            waiting: self.waiting.load(Relaxed).try_into().unwrap_or(0),
            bytes: self.bytes.load(Relaxed).try_into().unwrap_or(0),
            refused: self.refused.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
        }
    }
}
