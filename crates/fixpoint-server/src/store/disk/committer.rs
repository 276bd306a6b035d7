//! The only writer: what waits is checked in turn and written as one batch with one sync.
//!
//! Not here: the database itself (`opened.rs`). The surprise: a write that fails, as on a full disk,
//! is answered with its error and remembered. The next one opens the database again, once there is
//! room, and first takes back what of the failed one may have come through.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, mpsc},
};

use fjall::{PersistMode, Slice};
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    decode, encode,
    opened::{Entries, Opened, room},
};
use crate::store::{Action, Change, LeaseId, Precondition, StoreError, Version, Write};

/// How many transactions share one sync at most. Enough to make the sync's cost vanish.
const MAX_GROUP: usize = 256;

/// Where the database notes its own revision, so that versions never repeat after a restart.
const REVISION: &str = "revision";

/// What the committer is asked for.
pub(super) enum Request {
    Commit(Commit),
    Begin(LeaseId, CancellationToken),
    End(LeaseId),
    /// Nobody will ask for anything more.
    Close,
}

pub(super) struct Commit {
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Result<Version, StoreError>>,
}

/// A key before a write that was refused.
struct Before {
    key: String,
    value: Option<Slice>,
    leased: bool,
}

pub(super) struct Committer {
    directory: PathBuf,
    /// None if it was closed and could not be opened again.
    opened: Option<Opened>,
    /// For those who read.
    entries: Entries,
    revision: Version,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
    leases: HashMap<LeaseId, CancellationToken>,
    /// The same keys as in `leased`, each with its lease.
    attached: HashMap<String, LeaseId>,
    /// A write failed, and this was there before it.
    refused: Option<Vec<Before>>,
}

impl Committer {
    /// Opens the database, for itself and for those who read `entries`.
    pub(super) fn open(
        directory: PathBuf,
        entries: Entries,
        changes: broadcast::Sender<Arc<Vec<Change>>>,
    ) -> Result<Self, StoreError> {
        let opened = entries.replace(|| Opened::open(&directory))?;
        let revision = opened.meta.get(REVISION).map_err(|e| StoreError::engine("be opened", e))?;
        let revision = revision.map_or(Ok(0), |bytes| decode(REVISION, &bytes).map(|it| it.0))?;
        let mut committer = Self {
            directory,
            opened: None,
            entries,
            revision,
            changes,
            leases: HashMap::new(),
            attached: HashMap::new(),
            refused: None,
        };
        committer.drop_leased(&opened).map_err(|e| StoreError::engine("be opened", e))?;
        committer.opened = Some(opened);
        Ok(committer)
    }

    pub(super) fn run(mut self, waiting: &mpsc::Receiver<Request>) {
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
    fn drop_leased(&mut self, opened: &Opened) -> Result<(), fjall::Error> {
        let mut batch = opened.database.batch().durability(Some(PersistMode::SyncData));
        for guard in opened.leased.iter() {
            let key = guard.key()?;
            batch.remove(&opened.entries, &*key);
            batch.remove(&opened.leased, &*key);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.revision += 1;
        batch.insert(&opened.meta, REVISION, encode(self.revision, &[]));
        batch.commit()
    }

    fn end(&mut self, lease: LeaseId) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        ended.cancel();
        self.drop_ended();
    }

    /// Removes what hung on leases that have ended.
    fn drop_ended(&mut self) {
        let ended = self.attached.iter().filter(|(_, lease)| !self.leases.contains_key(lease));
        let delete = |(key, _): (&String, _)| Write::delete(&**key, Precondition::Any);
        let writes: Vec<_> = ended.map(delete).collect();
        if !writes.is_empty() {
            // Nobody asks what became of it: if it failed, it is done once the database is open again.
            self.commit(vec![Commit { writes, answer: oneshot::channel().0 }]);
        }
    }

    /// Commits a group with one sync. A transaction sees those before it in the same group.
    fn commit(&mut self, group: Vec<Commit>) {
        if group.is_empty() {
            return;
        }
        let opened = match self.open_again() {
            Ok(opened) => opened,
            Err(error) => return refuse(group, error),
        };
        let mut batch = opened.database.batch().durability(Some(PersistMode::SyncData));
        let mut pending: HashMap<String, Option<Version>> = HashMap::new();
        let mut attached: Vec<(String, Option<LeaseId>)> = Vec::new();
        let mut accepted = Vec::with_capacity(group.len());
        for Commit { writes, answer } in group {
            if let Err(error) = self.check(&opened, &writes, &pending) {
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
                        batch.insert(&opened.entries, key.as_str(), encode(version, value));
                    }
                    None => batch.remove(&opened.entries, key.as_str()),
                }
                if let Some(lease) = lease {
                    batch.insert(&opened.leased, key.as_str(), []);
                    attached.push((key.clone(), self.attached.insert(key.clone(), lease)));
                } else if let Some(lease) = self.attached.remove(&key) {
                    batch.remove(&opened.leased, key.as_str());
                    attached.push((key.clone(), Some(lease)));
                }
                pending.insert(key.clone(), value.is_some().then_some(version));
                changes.push(Change { key, value, version });
            }
            accepted.push((version, changes, answer));
        }
        if accepted.is_empty() {
            return;
        }
        batch.insert(&opened.meta, REVISION, encode(self.revision, &[]));
        let result = batch.commit().map_err(Arc::new);
        if result.is_err() {
            for (key, lease) in attached.into_iter().rev() {
                match lease {
                    Some(lease) => self.attached.insert(key, lease),
                    None => self.attached.remove(&key),
                };
            }
            let before = pending.into_keys().filter_map(|key| before(&opened, key));
            self.refused.get_or_insert_default().extend(before);
        }
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

    /// The database, opened again if a write has failed, without what was refused then.
    fn open_again(&mut self) -> Result<Opened, StoreError> {
        if self.refused.is_none()
            && let Some(opened) = &self.opened
        {
            return Ok(opened.clone());
        }
        room(&self.directory).map_err(|why| StoreError::engine("commit", why))?;
        self.opened = None;
        let opened = self.entries.replace(|| Opened::open(&self.directory))?;
        self.opened = Some(opened.clone());
        let mut batch = opened.database.batch().durability(Some(PersistMode::SyncData));
        for Before { key, value, leased } in self.refused.iter().flatten() {
            match value {
                Some(value) => batch.insert(&opened.entries, key.as_str(), value.clone()),
                None => batch.remove(&opened.entries, key.as_str()),
            }
            match leased {
                true => batch.insert(&opened.leased, key.as_str(), []),
                false => batch.remove(&opened.leased, key.as_str()),
            }
        }
        batch.insert(&opened.meta, REVISION, encode(self.revision, &[]));
        batch.commit().map_err(|error| StoreError::engine("commit", error))?;
        self.refused = None;
        tracing::info!("the run store can be written to again");
        self.drop_ended();
        Ok(opened)
    }

    fn check(
        &self,
        opened: &Opened,
        writes: &[Write],
        pending: &HashMap<String, Option<Version>>,
    ) -> Result<(), StoreError> {
        for write in writes {
            let found = match pending.get(&write.key) {
                Some(found) => *found,
                None => match opened.entries.get(&write.key) {
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

/// The key as it is in memory, which a write that failed did not reach.
fn before(opened: &Opened, key: String) -> Option<Before> {
    let value = opened.entries.get(&key).ok()?;
    let leased = opened.leased.contains_key(&key).ok()?;
    Some(Before { key, value, leased })
}

fn refuse(group: Vec<Commit>, error: StoreError) {
    let error = Arc::new(error);
    for Commit { answer, .. } in group {
        let _caller_gone = answer.send(Err(StoreError::engine("commit", Arc::clone(&error))));
    }
}
