//! The store of a single server: one fjall database in a directory.
//!
//! Not for several servers, which share etcd. The surprise: fjall syncs while it holds its
//! journal's lock, so callers that each sync would queue up one disk flush behind the other.
//! One committer thread takes all transactions that wait, checks their preconditions in turn
//! and writes them as one batch with one sync (group commit).

use std::{
    collections::HashMap,
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
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Action, Change, Entry, Lease, LeaseId, Listing, Precondition, RunStore, Scan, StoreError,
    Version, Watch, Write, check, lease::Held, watch::WATCH_BUFFER,
};

/// Reopening replays the journal; at 64 MiB that stays below a second.
const MAX_JOURNAL: u64 = 64 << 20;

/// How many transactions share one sync at most. Enough to make the sync's cost vanish.
const MAX_GROUP: usize = 256;

/// Where the database notes its own revision, so that versions never repeat after a restart.
const REVISION: &str = "revision";

/// Keeps everything in a directory. Dropping it finishes what was begun.
///
/// Its leases hold until their handles are dropped. What hung on those of a process that died is
/// removed when the directory is opened again: nobody else could have had it open.
pub struct DiskStore {
    entries: Keyspace,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
    requests: Option<mpsc::Sender<Request>>,
    committer: Option<thread::JoinHandle<()>>,
    leases: AtomicI64,
}

/// What the committer is asked for.
enum Request {
    Commit(Commit),
    Begin(LeaseId, CancellationToken),
    End(LeaseId),
    /// Nobody will ask for anything more.
    Close,
}

struct Commit {
    writes: Vec<Write>,
    answer: oneshot::Sender<Result<Version, StoreError>>,
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
        let (entries, meta) = (keyspace("entries")?, keyspace("meta")?);
        let revision = match meta.get(REVISION).map_err(engine)? {
            Some(bytes) => decode(REVISION, &bytes)?.0,
            None => 0,
        };
        let changes = broadcast::Sender::new(WATCH_BUFFER);
        let (requests, waiting) = mpsc::channel();
        let mut committer = Committer {
            database: database.clone(),
            entries: entries.clone(),
            leased: keyspace("leased")?,
            meta,
            revision,
            changes: changes.clone(),
            leases: HashMap::new(),
            attached: HashMap::new(),
        };
        committer.drop_leased().map_err(engine)?;
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
        let found = self.entries.get(key).map_err(|e| StoreError::engine("read", e))?;
        found.map(|bytes| entry(key.to_owned(), &bytes)).transpose()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        check(&writes)?;
        let (answer, answered) = oneshot::channel();
        let commit = Request::Commit(Commit { writes, answer });
        self.requests()?.send(commit).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let range = self.entries.range(scan.bounds());
        let entries = match scan.descending {
            false => collect(range.take(scan.limit + 1)),
            true => collect(range.rev().take(scan.limit + 1)),
        };
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

/// The only writer.
struct Committer {
    database: Database,
    entries: Keyspace,
    /// The keys that hang on a lease, so that they are found after a crash.
    leased: Keyspace,
    meta: Keyspace,
    revision: Version,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
    leases: HashMap<LeaseId, CancellationToken>,
    /// The same as in `leased`, each with its lease.
    attached: HashMap<String, LeaseId>,
}

impl Committer {
    fn run(mut self, waiting: &mpsc::Receiver<Request>) {
        while let Ok(first) = waiting.recv() {
            let mut group = Vec::new();
            for request in std::iter::once(first).chain(waiting.try_iter()).take(MAX_GROUP) {
                match request {
                    Request::Commit(commit) => group.push(commit),
                    Request::Begin(lease, ended) => drop(self.leases.insert(lease, ended)),
                    Request::End(lease) => {
                        self.commit(std::mem::take(&mut group));
                        self.end(lease);
                    }
                    Request::Close => return self.commit(group),
                }
            }
            self.commit(group);
        }
    }

    /// Removes what hung on the leases of a process that is gone.
    fn drop_leased(&mut self) -> Result<(), fjall::Error> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for guard in self.leased.iter() {
            let key = guard.key()?;
            batch.remove(&self.entries, &*key);
            batch.remove(&self.leased, &*key);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.revision += 1;
        batch.insert(&self.meta, REVISION, encode(self.revision, &[]));
        batch.commit()
    }

    fn end(&mut self, lease: LeaseId) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        ended.cancel();
        let attached = self.attached.iter().filter(|(_, of)| **of == lease);
        let delete = |(key, _): (&String, _)| Write::delete(&**key, Precondition::Any);
        let writes: Vec<_> = attached.map(delete).collect();
        if !writes.is_empty() {
            // Nobody asks what became of it: if it failed, so will every other write.
            self.commit(vec![Commit { writes, answer: oneshot::channel().0 }]);
        }
    }

    /// Commits a group with one sync. A transaction sees those before it in the same group.
    fn commit(&mut self, group: Vec<Commit>) {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        let mut pending: HashMap<String, Option<Version>> = HashMap::new();
        let mut accepted = Vec::with_capacity(group.len());
        for Commit { writes, answer } in group {
            if let Err(error) = self.check(&writes, &pending) {
                let _caller_gone = answer.send(Err(error));
                continue;
            }
            self.revision += 1;
            let version = self.revision;
            let mut changes = Vec::with_capacity(writes.len());
            for Write { key, what, .. } in writes {
                let (value, lease) = match what {
                    Action::Put(value, lease) => (Some(value), lease),
                    Action::Delete => (None, None),
                    Action::Check => continue,
                };
                match &value {
                    Some(value) => {
                        batch.insert(&self.entries, key.as_str(), encode(version, value));
                    }
                    None => batch.remove(&self.entries, key.as_str()),
                }
                if let Some(lease) = lease {
                    batch.insert(&self.leased, key.as_str(), []);
                    self.attached.insert(key.clone(), lease);
                } else if self.attached.remove(&key).is_some() {
                    batch.remove(&self.leased, key.as_str());
                }
                pending.insert(key.clone(), value.is_some().then_some(version));
                changes.push(Change { key, value, version });
            }
            accepted.push((version, changes, answer));
        }
        if accepted.is_empty() {
            return;
        }
        batch.insert(&self.meta, REVISION, encode(self.revision, &[]));
        let result = batch.commit().map_err(Arc::new);
        for (version, changes, answer) in accepted {
            let result = match &result {
                Ok(()) => {
                    let _nobody_watches = self.changes.send(Arc::new(changes));
                    Ok(version)
                }
                Err(error) => Err(StoreError::engine("commit", Arc::clone(error))),
            };
            let _caller_gone = answer.send(result);
        }
    }

    fn check(
        &self,
        writes: &[Write],
        pending: &HashMap<String, Option<Version>>,
    ) -> Result<(), StoreError> {
        for write in writes {
            let found = match pending.get(&write.key) {
                Some(found) => *found,
                None => match self.entries.get(&write.key) {
                    Ok(bytes) => bytes.map(|b| decode(&write.key, &b).map(|d| d.0)).transpose()?,
                    Err(error) => return Err(StoreError::engine("read", error)),
                },
            };
            write.expect(found)?;
            if let Action::Put(_, Some(lease)) = write.what
                && !self.leases.contains_key(&lease)
            {
                return Err(StoreError::LeaseLost);
            }
        }
        Ok(())
    }
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
