//! What every write in etcd says, in order: who owned which resource when, and who wrote its run.
//!
//! Not here: what servers believe of themselves, which counts for nothing. The surprise: it asks no
//! clock. Each write of a run is held against who owned the resource at that revision.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fixpoint_server::store::{Change, Watch, Watched};
use serde_json::Value;

use super::{Result, rest};

/// Longer than this, and something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known by now.
#[derive(Debug, Default)]
pub struct Known {
    owners: HashMap<String, String>,
    /// Who wrote a resource's run last, and when that was seen.
    pub drivers: HashMap<String, (String, Instant)>,
    /// Which servers have said that they take part, and at which revision.
    pub servers: HashMap<String, u64>,
    /// Writes of runs by servers.
    pub writes: u64,
    /// How often another server wrote a run than before.
    pub takeovers: u64,
    /// Writes of a run by somebody who did not own its resource.
    pub wrong: Vec<String>,
}

impl Known {
    fn take(&mut self, change: &Change) -> Result {
        let text = |value: &Value, name: &str| value[name].as_str().map(str::to_owned);
        let value = change.value.as_deref().filter(|value| !value.is_empty());
        let value: Option<Value> = value.map(serde_json::from_slice).transpose()?;
        if let Some(resource) = change.key.strip_prefix("owners/") {
            match value.and_then(|value| text(&value, "server")) {
                Some(server) => drop(self.owners.insert(resource.to_owned(), server)),
                None => drop(self.owners.remove(resource)),
            }
        } else if let Some(server) = change.key.strip_prefix("servers/") {
            match value {
                Some(_) => drop(self.servers.insert(server.to_owned(), change.version)),
                None => drop(self.servers.remove(server)),
            }
        } else if change.key.starts_with("runs/")
            && let Some(value) = &value
            && let (Some(server), Some(resource)) = (text(value, "server"), text(value, "resource"))
        {
            self.writes += 1;
            let owner = self.owners.get(&resource);
            if owner != Some(&server) {
                let at = change.version;
                self.wrong.push(format!("{server} wrote {} at {at}, owner {owner:?}", change.key));
            }
            let before = self.drivers.get(&resource).map(|(driver, _)| driver);
            if before != Some(&server) {
                self.takeovers += u64::from(before.is_some());
                self.drivers.insert(resource, (server, Instant::now()));
            }
        }
        Ok(())
    }
}

/// The history, as it is heard. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<Known>>);

impl History {
    /// What is known by now.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until the store is closed.
    ///
    /// # Errors
    /// If something was missed: then the history proves nothing.
    pub async fn listen(&self, mut watch: Watch) -> Result {
        while let Some(watched) = watch.next().await {
            let Watched::Changed(change) = watched else {
                return Err("changes were missed".into());
            };
            self.known().take(&change)?;
        }
        Err("etcd has closed".into())
    }

    /// Waits for something.
    ///
    /// # Errors
    /// If it does not come within a minute.
    pub async fn until<T>(&self, what: &str, ready: impl Fn(&Known) -> Option<T>) -> Result<T> {
        let waiting = async {
            loop {
                if let Some(found) = ready(&self.known()) {
                    return found;
                }
                rest(Duration::from_millis(1)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.map_err(|_| format!("{what}: not in time").into())
    }
}
