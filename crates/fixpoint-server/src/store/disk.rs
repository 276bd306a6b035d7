//! The store of a single server: one fjall database in a directory.
//!
//! Not for several servers, which share etcd. The surprise: fjall syncs while it holds its
//! journal's lock, so callers that each sync would queue up one disk flush behind the other.
//! One committer thread takes all transactions that wait, checks their preconditions in turn
//! and writes them as one batch with one sync (group commit).

mod committer;
mod opened;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use fjall::Keyspace;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use self::{
    committer::{Commit, Committer, Request},
    opened::Entries,
};
use super::{
    Change, Entry, Lease, Listing, RunStore, Scan, StoreError, Version, Watch, Write, check,
    lease::Held, watch::WATCH_BUFFER,
};

/// Keeps everything in a directory. Dropping it finishes what was begun.
///
/// Its leases hold until their handles are dropped. What hung on those of a process that died is
/// removed when the directory is opened again: nobody else could have had it open.
pub struct DiskStore {
    entries: Entries,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
    requests: Option<mpsc::Sender<Request>>,
    committer: Option<thread::JoinHandle<()>>,
    leases: AtomicI64,
}

impl std::fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskStore").finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in `directory`, and makes it if it is not there.
    ///
    /// # Errors
    /// If the directory cannot be used, or another process has it open.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, StoreError> {
        let (entries, changes) = (Entries::default(), broadcast::Sender::new(WATCH_BUFFER));
        let (requests, waiting) = mpsc::channel();
        let directory = directory.as_ref().to_owned();
        let committer = Committer::open(directory, entries.clone(), changes.clone())?;
        let committer = thread::Builder::new()
            .name("run-store".to_owned())
            .spawn(move || committer.run(&waiting))
            .map_err(|e| StoreError::engine("start its committer", e))?;
        Ok(Self {
            entries,
            changes,
            requests: Some(requests),
            committer: Some(committer),
            leases: AtomicI64::new(1),
        })
    }

    fn requests(&self) -> Result<&mpsc::Sender<Request>, StoreError> {
        self.requests.as_ref().ok_or_else(gone)
    }
}

fn gone() -> StoreError {
    StoreError::engine("commit", "its committer has ended")
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Some(requests) = self.requests.take() {
            // A lease that is still held can send, too, so the thread has to be told.
            let _ended = requests.send(Request::Close);
        }
        if let Some(committer) = self.committer.take() {
            let _panicked = committer.join();
        }
    }
}

#[async_trait]
impl RunStore for DiskStore {
    // Reads run on the caller's thread: records are small and the newest are in memory.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let read = |entries: &Keyspace| entries.get(key).map_err(|e| StoreError::engine("read", e));
        self.entries.read(read)?.map(|bytes| entry(key.to_owned(), &bytes)).transpose()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        check(&writes)?;
        let (answer, answered) = oneshot::channel();
        let commit = Request::Commit(Commit { writes, answer });
        self.requests()?.send(commit).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let entries = self.entries.read(|entries| {
            let range = entries.range(scan.bounds());
            match scan.descending {
                false => collect(range.take(scan.limit + 1)),
                true => collect(range.rev().take(scan.limit + 1)),
            }
        });
        Ok(Listing::page(entries?, scan.limit))
    }

    fn watch(&self, prefix: &str) -> Watch {
        Watch::here(prefix, self.changes.subscribe())
    }

    async fn lease(&self, _: Duration) -> Result<Box<dyn Lease>, StoreError> {
        let (id, ended) = (self.leases.fetch_add(1, Relaxed), CancellationToken::new());
        let requests = self.requests()?.clone();
        // In the same queue as the writes that will name it.
        requests.send(Request::Begin(id, ended.clone())).map_err(|_| gone())?;
        let end = move || drop(requests.send(Request::End(id)));
        Ok(Box::new(Held::new(id, ended, end)))
    }
}

fn collect(range: impl Iterator<Item = fjall::Guard>) -> Result<Vec<Entry>, StoreError> {
    range
        .map(|guard| {
            let (key, value) = guard.into_inner().map_err(|e| StoreError::engine("read", e))?;
            entry(String::from_utf8_lossy(&key).into_owned(), &value)
        })
        .collect()
}

/// A stored value is its version, big-endian, and then the caller's bytes.
fn encode(version: Version, value: &[u8]) -> Vec<u8> {
    [&version.to_be_bytes()[..], value].concat()
}

fn decode<'a>(key: &str, bytes: &'a [u8]) -> Result<(Version, &'a [u8]), StoreError> {
    let (version, value) = bytes.split_first_chunk().ok_or_else(|| StoreError::Corrupt {
        key: key.to_owned(),
        source: "it is shorter than a version".into(),
    })?;
    Ok((Version::from_be_bytes(*version), value))
}

fn entry(key: String, bytes: &[u8]) -> Result<Entry, StoreError> {
    let (version, value) = decode(&key, bytes)?;
    Ok(Entry { value: Bytes::copy_from_slice(value), version, key })
}

#[cfg(test)]
mod tests {
    use super::super::Precondition;
    use super::*;

    #[tokio::test]
    async fn the_disk_store_keeps_the_contract() {
        let directory = tempfile::tempdir().unwrap();
        crate::store::contract(Arc::new(DiskStore::open(directory.path()).unwrap())).await;
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_reopening_and_versions_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        let before = store.commit(vec![Write::put("a", "1", Precondition::Absent)]).await.unwrap();
        store.commit(vec![Write::delete("a", Precondition::Version(before))]).await.unwrap();
        drop(store);
        let store = DiskStore::open(directory.path()).unwrap();
        assert_eq!(store.get("a").await.unwrap(), None);
        let after = store.commit(vec![Write::put("a", "2", Precondition::Absent)]).await.unwrap();
        assert!(after > before + 1, "{after} after {before}");
    }

    #[tokio::test]
    async fn what_hung_on_the_lease_of_a_process_that_died_is_gone_after_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let store = DiskStore::open(directory.path()).unwrap();
        let lease = store.lease(Duration::from_secs(5)).await.unwrap();
        let leased = Write::put("a", "1", Precondition::Absent).with_lease(lease.id());
        let kept = Write::put("b", "1", Precondition::Absent);
        let before = store.commit(vec![leased, kept]).await.unwrap();
        // As in a crash, nothing ends the lease.
        std::mem::forget(lease);
        drop(store);
        let store = DiskStore::open(directory.path()).unwrap();
        assert_eq!(store.get("a").await.unwrap(), None);
        assert_eq!(store.get("b").await.unwrap().map(|entry| entry.version), Some(before));
        let again = store.commit(vec![Write::put("a", "2", Precondition::Absent)]).await.unwrap();
        assert!(again > before + 1, "{again} after {before}: its end was a change");
    }

    #[test]
    fn a_folder_that_another_server_uses_is_left_alone_with_a_plain_word() {
        let directory = tempfile::tempdir().unwrap();
        let _first = DiskStore::open(directory.path()).unwrap();
        let error = DiskStore::open(directory.path()).unwrap_err();
        assert_eq!(
            fixpoint::Chain(&error).to_string(),
            "the run store could not be opened: another Fixpoint server is using this folder"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_that_race_for_one_key_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(DiskStore::open(directory.path()).unwrap());
        let writers: Vec<_> = (0..64)
            .map(|n| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let write = Write::put("one", n.to_string(), Precondition::Absent);
                    store.commit(vec![write]).await
                })
            })
            .collect();
        let mut won = 0;
        for writer in writers {
            match writer.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert!(error.is_conflict(), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}
