//! A store that forgets everything when it is dropped. For tests.
//!
//! Not for production. The surprise: several servers of one process can share it, and
//! [`MemoryStore::expire_leases`] does to them what a pause does that outlasts a lease.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::{
    Action, Change, Entry, Lease, LeaseId, Listing, Precondition, RunStore, Scan, StoreError,
    Version, Watch, Write, check, lease::Held, watch::WATCH_BUFFER,
};

/// Keeps everything in a sorted map.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    revision: Version,
    entries: BTreeMap<String, Value>,
    leases: HashMap<LeaseId, CancellationToken>,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
}

#[derive(Debug)]
struct Value {
    bytes: Bytes,
    version: Version,
    lease: Option<LeaseId>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            revision: 0,
            entries: BTreeMap::new(),
            leases: HashMap::new(),
            changes: broadcast::Sender::new(WATCH_BUFFER),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every lease, as if it had not been kept for too long.
    pub fn expire_leases(&self) {
        let mut state = lock(&self.state);
        let leases: Vec<_> = state.leases.keys().copied().collect();
        leases.into_iter().for_each(|lease| state.end(lease));
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn commit(&mut self, writes: Vec<Write>) -> Version {
        self.revision += 1;
        let version = self.revision;
        let mut changes = Vec::with_capacity(writes.len());
        for Write { key, what, .. } in writes {
            let value = match what {
                Action::Put(bytes, lease) => {
                    let value = Value { bytes: bytes.clone(), version, lease };
                    self.entries.insert(key.clone(), value);
                    Some(bytes)
                }
                Action::Delete => {
                    if self.entries.remove(&key).is_none() {
                        continue;
                    }
                    None
                }
                Action::Check => continue,
            };
            changes.push(Change { key, value, version });
        }
        // Under the lock, so that watchers are told in the order of the commits.
        let _nobody_watches = self.changes.send(Arc::new(changes));
        version
    }

    fn end(&mut self, lease: LeaseId) {
        let Some(ended) = self.leases.remove(&lease) else { return };
        ended.cancel();
        let attached = self.entries.iter().filter(|(_, value)| value.lease == Some(lease));
        let deletes = attached.map(|(key, _)| Write::delete(&**key, Precondition::Any));
        let deletes: Vec<_> = deletes.collect();
        self.commit(deletes);
    }
}

#[async_trait]
impl RunStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let state = lock(&self.state);
        Ok(state.entries.get(key).map(|value| entry(key, value)))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        check(&writes)?;
        let mut state = lock(&self.state);
        for write in &writes {
            write.expect(state.entries.get(&write.key).map(|value| value.version))?;
            if let Action::Put(_, Some(lease)) = write.what
                && !state.leases.contains_key(&lease)
            {
                return Err(StoreError::LeaseLost);
            }
        }
        Ok(state.commit(writes))
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let state = lock(&self.state);
        let range = state.entries.range(scan.bounds());
        let entry = |(key, value): (&String, &Value)| entry(key, value);
        let entries = match scan.descending {
            false => range.take(scan.limit + 1).map(entry).collect(),
            true => range.rev().take(scan.limit + 1).map(entry).collect(),
        };
        Ok(Listing::page(entries, scan.limit))
    }

    fn watch(&self, prefix: &str) -> Watch {
        Watch::here(prefix, lock(&self.state).changes.subscribe())
    }

    async fn lease(&self, _: Duration) -> Result<Box<dyn Lease>, StoreError> {
        let ended = CancellationToken::new();
        let mut state = lock(&self.state);
        state.revision += 1;
        let id = LeaseId::try_from(state.revision).unwrap_or(LeaseId::MAX);
        state.leases.insert(id, ended.clone());
        let shared = Arc::clone(&self.state);
        Ok(Box::new(Held::new(id, ended, move || lock(&shared).end(id))))
    }
}

fn entry(key: &str, value: &Value) -> Entry {
    Entry { key: key.to_owned(), value: value.bytes.clone(), version: value.version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_store_keeps_the_contract() {
        crate::store::contract(Arc::new(MemoryStore::new())).await;
    }
}
