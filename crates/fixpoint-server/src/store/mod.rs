//! Where resources and runs are kept: the [`RunStore`] boundary, in etcd's terms.
//!
//! Not for spans, logs or the bodies of calls: those are large and go to the trace store. The
//! surprise: there is no `put`. Every change is a [`Write`] of a transaction in which each write
//! names what it expects to find, and all of them happen or none, because a resource, its run and
//! its idempotency key must never be seen apart. (etcd: a `Txn` whose compares are on
//! `mod_revision`.) Leases will come as one more field of a write.

mod contract;
mod disk;
mod memory;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

pub use contract::contract;
pub use disk::DiskStore;
pub use memory::MemoryStore;

/// The store's revision at which a key was last written. Grows with every commit, from 1.
pub type Version = u64;

/// How many changes a watcher may fall behind before it is told to read again.
const WATCH_BUFFER: usize = 1024;

/// A key-value store with preconditions and watch. [`contract()`] is the suite that each passes.
#[async_trait]
pub trait RunStore: Send + Sync + fmt::Debug {
    /// The value at `key`, with its version.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;

    /// Makes all the writes or none. Returns the version that they were given, once they survive
    /// the death of the process.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a precondition does not hold; then nothing was written.
    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError>;

    /// The entries whose keys start with `scan.prefix`, in the order of their keys.
    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError>;

    /// Every change from now on to keys that start with `prefix`, after it is durable.
    fn watch(&self, prefix: &str) -> Watch;
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub key: String,
    /// What it is.
    pub value: Bytes,
    /// When it was last written.
    pub version: Version,
}

/// What a write expects to find at its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Anything or nothing.
    Any,
    /// Nothing.
    Absent,
    /// A value last written at this version.
    Version(Version),
}

/// One change of a transaction.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where.
    pub key: String,
    /// The new value; none deletes the key.
    pub value: Option<Bytes>,
    /// What must be there before.
    pub only: Precondition,
}

impl Write {
    /// Puts `value` at `key`.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>, only: Precondition) -> Self {
        Self { key: key.into(), value: Some(value.into()), only }
    }

    /// Removes `key`. Removing what is not there is no error, unless `only` says so.
    pub fn delete(key: impl Into<String>, only: Precondition) -> Self {
        Self { key: key.into(), value: None, only }
    }
}

/// Which entries to list.
#[derive(Debug, Clone)]
pub struct Scan {
    prefix: String,
    after: Option<String>,
    descending: bool,
    limit: usize,
}

impl Scan {
    /// All entries under `prefix`, ascending, at most 1,000 a page.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), after: None, descending: false, limit: 1000 }
    }

    /// From the last key to the first.
    #[must_use]
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// At most this many entries.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Only what comes after `key` in the scan's order. `key` itself need not exist.
    #[must_use]
    pub fn after(mut self, key: Option<String>) -> Self {
        self.after = key;
        self
    }

    /// The keys to read, as a range.
    fn bounds(&self) -> (std::ops::Bound<String>, std::ops::Bound<String>) {
        use std::ops::Bound::{Excluded, Included};
        // Keys are text, so no key that starts with the prefix sorts after this.
        let end = format!("{}{}", self.prefix, char::MAX);
        match (&self.after, self.descending) {
            (Some(key), false) if *key >= self.prefix => {
                // An inverted range makes a B-tree panic; an empty one does not.
                (Excluded(key.clone().min(end.clone())), Included(end))
            }
            (Some(key), true) if *key < end => {
                (Included(self.prefix.clone()), Excluded(key.clone().max(self.prefix.clone())))
            }
            _ => (Included(self.prefix.clone()), Included(end)),
        }
    }
}

/// One page of entries.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// In the scan's order.
    pub entries: Vec<Entry>,
    /// True if more come after the last.
    pub more: bool,
}

impl Listing {
    /// Takes one entry more than the page holds, to know whether there are more.
    fn page(mut entries: Vec<Entry>, limit: usize) -> Self {
        let more = entries.len() > limit;
        entries.truncate(limit);
        Self { entries, more }
    }
}

/// A change that a watcher is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub key: String,
    /// The new value; none if the key was deleted.
    pub value: Option<Bytes>,
    /// The commit that made the change.
    pub version: Version,
}

/// What [`Watch::next`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// Something changed.
    Changed(Change),
    /// Changes were missed: read again.
    Lagged,
}

/// Follows the changes under a prefix.
#[derive(Debug)]
pub struct Watch {
    prefix: String,
    changes: broadcast::Receiver<Arc<Vec<Change>>>,
    ready: std::collections::VecDeque<Change>,
}

impl Watch {
    fn new(prefix: &str, changes: broadcast::Receiver<Arc<Vec<Change>>>) -> Self {
        Self { prefix: prefix.to_owned(), changes, ready: std::collections::VecDeque::new() }
    }

    /// The next change; none once the store is closed. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<Watched> {
        loop {
            if let Some(change) = self.ready.pop_front() {
                return Some(Watched::Changed(change));
            }
            match self.changes.recv().await {
                Ok(changes) => self
                    .ready
                    .extend(changes.iter().filter(|c| c.key.starts_with(&self.prefix)).cloned()),
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Watched::Lagged),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another writer was first.
    #[error("{key} is no longer what this write expects")]
    Conflict {
        /// The first key whose precondition did not hold.
        key: String,
    },
    /// A record cannot be read as what it should be.
    #[error("the record at {key} could not be read")]
    Corrupt {
        /// Where it is.
        key: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The engine beneath failed.
    #[error("the run store could not {what}")]
    Engine {
        /// Completes the sentence.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// True if another writer was first: read again and decide anew.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    fn engine(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Engine { what, source: source.into() }
    }
}
