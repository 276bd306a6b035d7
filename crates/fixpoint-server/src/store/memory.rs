//! A store that forgets everything when it is dropped. For tests.
//!
//! Not for production. The surprise: it is meant to be stricter than the real ones. It refuses
//! keys that etcd would not take and a transaction that writes one key twice, so that code which
//! passes here passes there.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

use super::{
    Change, Entry, Listing, Precondition, RunStore, Scan, StoreError, Version, WATCH_BUFFER, Watch,
    Write,
};

/// etcd's default `--max-request-bytes` is 1.5 MiB, and its `--max-txn-ops` is 128.
const MAX_BYTES: usize = 1_500_000;
const MAX_WRITES: usize = 128;

/// Keeps everything in a sorted map.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    changes: broadcast::Sender<Arc<Vec<Change>>>,
}

#[derive(Debug, Default)]
struct State {
    revision: Version,
    entries: BTreeMap<String, (Bytes, Version)>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { state: Mutex::default(), changes: broadcast::Sender::new(WATCH_BUFFER) }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RunStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        let state = self.state();
        Ok(state.entries.get(key).map(|(value, version)| Entry {
            key: key.to_owned(),
            value: value.clone(),
            version: *version,
        }))
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        check(&writes)?;
        let mut state = self.state();
        for write in &writes {
            let found = state.entries.get(&write.key).map(|(_, version)| *version);
            expect(write, found)?;
        }
        state.revision += 1;
        let version = state.revision;
        let mut changes = Vec::with_capacity(writes.len());
        for Write { key, value, .. } in writes {
            match &value {
                Some(value) => drop(state.entries.insert(key.clone(), (value.clone(), version))),
                None => drop(state.entries.remove(&key)),
            }
            changes.push(Change { key, value, version });
        }
        // Under the lock, so that watchers are told in the order of the commits.
        let _nobody_watches = self.changes.send(Arc::new(changes));
        Ok(version)
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let state = self.state();
        let range = state.entries.range(scan.bounds());
        let entry = |(key, (value, version)): (&String, &(Bytes, Version))| Entry {
            key: key.clone(),
            value: value.clone(),
            version: *version,
        };
        let entries = match scan.descending {
            false => range.take(scan.limit + 1).map(entry).collect(),
            true => range.rev().take(scan.limit + 1).map(entry).collect(),
        };
        Ok(Listing::page(entries, scan.limit))
    }

    fn watch(&self, prefix: &str) -> Watch {
        Watch::new(prefix, self.changes.subscribe())
    }
}

/// Holds a write against what is there: `found` is the version, none if nothing is.
pub(super) fn expect(write: &Write, found: Option<Version>) -> Result<(), StoreError> {
    let holds = match write.only {
        Precondition::Any => true,
        Precondition::Absent => found.is_none(),
        Precondition::Version(version) => found == Some(version),
    };
    if holds { Ok(()) } else { Err(StoreError::Conflict { key: write.key.clone() }) }
}

/// What no engine need put up with.
fn check(writes: &[Write]) -> Result<(), StoreError> {
    let mut keys = HashSet::new();
    let bytes: usize =
        writes.iter().map(|w| w.key.len() + w.value.as_ref().map_or(0, Bytes::len)).sum();
    let wrong = if writes.is_empty() || writes.len() > MAX_WRITES {
        Some(format!("{} writes in one transaction", writes.len()))
    } else if bytes > MAX_BYTES {
        Some(format!("{bytes} bytes in one transaction"))
    } else {
        writes
            .iter()
            .find(|w| {
                w.key.is_empty() || w.key.chars().any(char::is_control) || !keys.insert(&w.key)
            })
            .map(|w| format!("the key {:?} is written twice, empty, or not printable", w.key))
    };
    wrong.map_or(Ok(()), |wrong| Err(StoreError::engine("take the transaction", wrong)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_memory_store_keeps_the_contract() {
        crate::store::contract(Arc::new(MemoryStore::new())).await;
    }

    #[tokio::test]
    async fn writing_one_key_twice_in_a_transaction_is_refused() {
        let twice =
            vec![Write::put("a", "1", Precondition::Any), Write::delete("a", Precondition::Any)];
        assert!(MemoryStore::new().commit(twice).await.is_err());
    }
}
