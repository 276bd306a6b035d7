//! Opening a store: the lock, the manifest, and the logs that a dead process left.
//!
//! The surprise: nothing is sealed here. Logs are only looked through, so that the store can be
//! used at once; sealing goes on behind it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::Path,
    sync::{Arc, Mutex, RwLock},
    thread::sleep,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast};

use super::{
    Bell, Commits, Counts, Manifest, Memtable, Options, Shared, State,
    arrived::Arrived,
    journal::{self, Journal},
    remote::{self, Remote},
};
use crate::store::{BoxError, FOLLOW, file, segment::Segment};

/// How long a folder that is in use is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

impl Shared {
    pub(super) fn open(folder: &Path, options: Options) -> Result<Self, BoxError> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))?;
        lock_for_us(&lock)?;
        let mut manifest = Manifest::load(folder)?;
        remote::join(folder, &mut manifest, options.bucket.as_ref())?;
        manifest.sweep(folder)?;
        let remote = options.bucket.as_ref().map(Remote::connect).transpose()?;
        let (segments, absent) = segments(folder, &manifest, remote.as_ref())?;
        Ok(Self {
            folder: folder.to_owned(),
            state: RwLock::new(State {
                tables: tables(folder, manifest.sealed)?,
                segments: Arc::new(segments),
                split: manifest.split(),
                absent: Arc::new(absent),
                unread: remote.is_some(),
            }),
            writing: Mutex::default(),
            tending: Mutex::default(),
            commits: Arc::new(Commits::new(options.waiting_bytes)),
            options,
            _lock: lock,
            manifest: Mutex::new(manifest),
            remote,
            followers: broadcast::Sender::new(FOLLOW),
            bell: Bell::default(),
            sealed: Notify::new(),
            counts: Counts::default(),
        })
    }
}

/// A store that was just closed may still be finishing what it acknowledged, for a moment.
fn lock_for_us(lock: &File) -> Result<(), BoxError> {
    let until = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(PATIENCE / 50),
            Err(TryLockError::WouldBlock) => {
                return Err("another Fixpoint server is using this folder".into());
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// The segments that can be read here; and those that cannot be yet, since they lie in the bucket.
fn segments(
    folder: &Path,
    manifest: &Manifest,
    remote: Option<&Remote>,
) -> Result<(Vec<Arc<Segment>>, Vec<u64>), BoxError> {
    let (mut segments, mut absent) = (Vec::new(), Vec::new());
    for entry in &manifest.segments {
        let meta = entry.meta.clone();
        let opened = match remote {
            None => Segment::open(folder, entry.id, meta),
            Some(remote) => {
                Segment::open_away(folder, entry.id, meta, Arc::clone(&remote.connection))
            }
        };
        match opened {
            Ok(segment) => segments.push(Arc::new(segment)),
            // It will be fetched.
            Err(_) if remote.is_some() && !manifest.is_unpublished(entry.id) => {
                absent.push(entry.id);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((segments, absent))
}

/// The memtables of the logs that are not sealed; at least one, to be written to.
fn tables(folder: &Path, sealed: u64) -> Result<Vec<Arc<RwLock<Memtable>>>, BoxError> {
    let mut tables: Vec<Arc<RwLock<Memtable>>> = Vec::new();
    let mut last = sealed;
    for number in journal::numbers(folder)? {
        if number <= sealed {
            // Its segment was named by the manifest just before the crash.
            Journal::delete(folder, number)?;
            continue;
        }
        let mut table = Memtable::new(Journal::open(folder, number)?);
        let journal = Arc::clone(table.journal());
        journal.replay(|frame, payload| {
            // It was looked through before it was written, so it is a request.
            let payload = Bytes::copy_from_slice(payload);
            table.insert(&Arrived::look_through(frame.signal, payload)?, frame);
            Ok::<_, BoxError>(())
        })?;
        tables.push(Arc::new(RwLock::new(table)));
        last = number;
    }
    if tables.is_empty() {
        let journal = Journal::create(folder, last + 1)?;
        journal.publish(folder)?;
        file::sync_folder(folder)?;
        tables.push(Arc::new(RwLock::new(Memtable::new(journal))));
    }
    Ok(tables)
}
