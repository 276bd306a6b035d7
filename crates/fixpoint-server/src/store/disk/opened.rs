//! The database as it is open, and opened again after a write that failed.
//!
//! Not here: what is written (`committer.rs`). The surprise: after one failed write fjall refuses
//! all others until it is opened anew, and when it is closed it writes what was left of the failed
//! one. So it stays open, for readers, as long as there is no room; and whoever opens it again
//! takes back what was refused.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    sync::{Arc, PoisonError, RwLock},
};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};

use crate::store::StoreError;

/// Reopening replays the journal; at 64 MiB that stays below a second.
const MAX_JOURNAL: u64 = 64 << 20;

/// How much must fit on the disk before the database is closed to be opened again.
const ROOM: usize = 1 << 20;

/// The database. Cheap to clone; all clones must be gone before it can be opened again.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) entries: Keyspace,
    /// The keys that hang on a lease, so that they are found after a crash.
    pub(super) leased: Keyspace,
    pub(super) meta: Keyspace,
}

impl Opened {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let engine = |error| match error {
            fjall::Error::Locked => {
                StoreError::engine("be opened", "another Fixpoint server is using this folder")
            }
            other => StoreError::engine("be opened", other),
        };
        let database =
            Database::builder(directory).max_journaling_size(MAX_JOURNAL).open().map_err(engine)?;
        let keyspace =
            |name| database.keyspace(name, KeyspaceCreateOptions::default).map_err(engine);
        let (entries, leased, meta) =
            (keyspace("entries")?, keyspace("leased")?, keyspace("meta")?);
        Ok(Self { database, entries, leased, meta })
    }
}

/// The entries for those who read, wherever the database has been opened last.
#[derive(Clone, Default)]
pub(super) struct Entries(Arc<RwLock<Option<Keyspace>>>);

impl Entries {
    /// Reads, while nobody opens the database again.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Keyspace) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entries = entries.as_ref();
        read(entries.ok_or_else(|| StoreError::engine("read", "it could not be opened again"))?)
    }

    /// Lets go of the database that was read so far and opens it, while those who read wait.
    pub(super) fn replace(
        &self,
        open: impl FnOnce() -> Result<Opened, StoreError>,
    ) -> Result<Opened, StoreError> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *entries = None;
        let opened = open()?;
        *entries = Some(opened.entries.clone());
        Ok(opened)
    }
}

/// Says whether the disk has room, by taking some and giving it back.
pub(super) fn room(directory: &Path) -> io::Result<()> {
    let probe = directory.join("room");
    let written = fs::File::create(&probe).and_then(|mut file| {
        file.write_all(&vec![1; ROOM])?;
        file.sync_data()
    });
    let removed = fs::remove_file(&probe);
    written.and(removed)
}
