//! Where resources and runs are kept: the [`RunStore`] boundary, in etcd's terms.
//!
//! Not for spans, logs or the bodies of calls: those are large and go to the trace store. The
//! surprise: there is no `put`. Every change is a [`Write`] of a transaction in which each write
//! names what it expects to find, and all of them happen or none, because a resource, its run and
//! its idempotency key must never be seen apart. (etcd: a `Txn` whose compares are on
//! `mod_revision`.)

mod contract;
mod disk;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod lease;
mod memory;
#[cfg(feature = "etcd")]
pub mod testing;
mod watch;

use std::{collections::HashSet, fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

pub use contract::contract;
pub use disk::DiskStore;
pub use error::StoreError;
#[cfg(feature = "etcd")]
pub use etcd::{EtcdOptions, EtcdStore};
pub use lease::{Lease, LeaseId};
pub use memory::MemoryStore;
pub use watch::{Change, Watch, Watched};

/// The store's revision at which a key was last written. Grows with every commit, from 1.
pub type Version = u64;

/// How much a transaction may hold: etcd's defaults of `--max-request-bytes`, 1.5 MiB with some
/// room for the form, and of `--max-txn-ops`.
const MAX_BYTES: usize = 1_500_000;
const MAX_WRITES: usize = 128;

/// A key-value store with preconditions, leases and watch. [`contract()`] is the suite that each
/// passes.
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

    /// A new lease. Not kept, it lives for `life`, or a little longer.
    async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, StoreError>;
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

/// One part of a transaction.
#[derive(Debug, Clone)]
pub struct Write {
    /// Where.
    pub key: String,
    /// What to do there.
    pub what: Action,
    /// What must be there before.
    pub only: Precondition,
}

/// What a [`Write`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Puts a value, which goes with the lease, if one is named.
    Put(Bytes, Option<LeaseId>),
    /// Removes the key. Removing what is not there is no error.
    Delete,
    /// Nothing: only the precondition counts.
    Check,
}

impl Write {
    /// Puts `value` at `key`.
    pub fn put(key: impl Into<String>, value: impl Into<Bytes>, only: Precondition) -> Self {
        Self { key: key.into(), what: Action::Put(value.into(), None), only }
    }

    /// Removes `key`. Removing what is not there is no error, unless `only` says so.
    pub fn delete(key: impl Into<String>, only: Precondition) -> Self {
        Self { key: key.into(), what: Action::Delete, only }
    }

    /// Changes nothing, but refuses the whole transaction if `only` does not hold.
    pub fn check(key: impl Into<String>, only: Precondition) -> Self {
        Self { key: key.into(), what: Action::Check, only }
    }

    /// Has the value go when the lease ends.
    #[must_use]
    pub fn with_lease(mut self, lease: LeaseId) -> Self {
        if let Action::Put(_, with) = &mut self.what {
            *with = Some(lease);
        }
        self
    }

    /// Holds the precondition against what is there: `found` is the version, none if nothing is.
    fn expect(&self, found: Option<Version>) -> Result<(), StoreError> {
        let holds = match self.only {
            Precondition::Any => true,
            Precondition::Absent => found.is_none(),
            Precondition::Version(version) => found == Some(version),
        };
        if holds { Ok(()) } else { Err(StoreError::Conflict { key: self.key.clone() }) }
    }
}

/// Refuses a transaction that etcd would not take, so that code which passes on one store passes
/// on another.
fn check(writes: &[Write]) -> Result<(), StoreError> {
    let mut keys = HashSet::<&str>::new();
    let size = |write: &Write| match &write.what {
        Action::Put(value, _) => write.key.len() + value.len(),
        Action::Delete | Action::Check => write.key.len(),
    };
    let bytes: usize = writes.iter().map(size).sum();
    let wrong = if writes.is_empty() || writes.len() > MAX_WRITES {
        Some(format!("it has {} writes, and 1 to {MAX_WRITES} are allowed", writes.len()))
    } else if bytes > MAX_BYTES {
        Some(format!("it has {bytes} bytes, and {MAX_BYTES} are allowed"))
    } else {
        let mut names = writes.iter().map(|write| &*write.key);
        let wrong = names
            .find(|&key| key.is_empty() || key.contains(char::is_control) || !keys.insert(key));
        wrong.map(|key| format!("the key {key:?} is in it twice, empty, or not printable"))
    };
    wrong.map_or(Ok(()), |wrong| Err(StoreError::engine("take the transaction", wrong)))
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
