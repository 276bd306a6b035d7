//! The typed face of the run store: which record lives under which key, and how it is read.
//!
//! Not here: what a record means (`resource.rs`, `run.rs`) and who may change it (`intents.rs`,
//! `runner/`). The surprise: a run's iterations are entries of their own, so that writing down
//! a step costs the same in the first iteration as in the two-hundredth.
//!
//! | key | value |
//! | --- | --- |
//! | `resources/<kind>/<name>` | [`ResourceRecord`] |
//! | `runs/<run>` | [`RunRecord`] |
//! | `iterations/<run>/<number>` | [`Iteration`] |
//! | `unfinished/<kind>/<name>/<run>` | empty; there until the run has ended |
//! | `ended/<state>/<run>` | empty; for listing by the state that the run ended in |
//! | `runs-of/<kind>/<name>/<run>` | empty; for listing by resource |
//! | `runs-in/<trace>/<run>` | empty; for finding a run by its trace |
//! | `acts/<run>/<number>` | what operators did to the run (`acts.rs`) |
//! | `notifications/<run>/<event>` | what the webhook is told of the run (`webhook/record.rs`) |
//! | `undelivered/<run>/<event>` | empty; there until the webhook has been told, or it is given up |
//! | `verifications/<kind>/<name>` | what the last look at a solved resource found (`verify/record.rs`) |
//! | `mending/<place>` | the run that has one of the places for mends (`verify/mend.rs`) |
//! | `runs-by/<tenant>/<run>` | empty; for listing by tenant |
//! | `servers/<server>` | since when the server takes part; goes with the server's lease |
//! | `owners/<kind>/<name>` | who drives the resource's runs; goes with the same lease |
//! | `idempotency/<kind>/<key>` | what the first request with this key was and got; a tenant's keys are at `<kind>@<tenant>` |
//! | `tokens/<hash>` | an API token (`access/tokens.rs`), by the hash of its secret |
//! | `sessions/<hash>` | a browser that is signed in (`access/sessions.rs`) |
//! | `first-token` | empty; there once an administrator's token has been made |

use std::{fmt, sync::Arc, time::Duration};

use fixpoint_client::{Iteration, Resource, Run, RunState};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    access::{Scope, tenant_of},
    resource::ResourceRecord,
    run::RunRecord,
    store::{Entry, Lease, Precondition, RunStore, Scan, StoreError, Version, Watch, Write},
    verify::{VerificationRecord, is_solved},
};

/// Names a resource: its kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ResourceKey {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl ResourceKey {
    pub(crate) fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { kind: kind.into(), name: name.into() }
    }

    /// Reads `clusters/idg`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.split_once('/')?;
        (!kind.is_empty() && !name.is_empty() && !name.contains('/')).then(|| Self::new(kind, name))
    }

    /// Whose it is, if it is a tenant's.
    pub(crate) fn tenant(&self) -> Option<&str> {
        tenant_of(&self.name)
    }
}

impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// The keys, each in one place.
pub(crate) mod key {
    use fixpoint_client::RunState;

    use super::ResourceKey;
    use crate::access::Scope;

    pub(crate) fn resource(resource: &ResourceKey) -> String {
        format!("resources/{resource}")
    }
    pub(crate) fn run(id: &str) -> String {
        format!("runs/{id}")
    }
    pub(crate) fn iteration(run: &str, number: u32) -> String {
        format!("iterations/{run}/{number:06}")
    }
    pub(crate) fn unfinished(resource: &ResourceKey, run: &str) -> String {
        format!("unfinished/{resource}/{run}")
    }
    pub(crate) fn ended(state: RunState, run: &str) -> String {
        format!("ended/{state}/{run}")
    }
    pub(crate) fn run_of(resource: &ResourceKey, run: &str) -> String {
        format!("runs-of/{resource}/{run}")
    }
    pub(crate) fn run_in(trace: &str, run: &str) -> String {
        format!("runs-in/{trace}/{run}")
    }
    pub(crate) fn verification(resource: &ResourceKey) -> String {
        format!("verifications/{resource}")
    }
    pub(crate) fn mending(place: u32) -> String {
        format!("mending/{place}")
    }
    pub(crate) fn run_by(tenant: &str, run: &str) -> String {
        format!("runs-by/{tenant}/{run}")
    }
    pub(crate) fn acts(run: &str) -> String {
        format!("acts/{run}/")
    }
    pub(crate) fn act(run: &str, number: usize) -> String {
        format!("acts/{run}/{number:06}")
    }
    pub(crate) fn notification(run: &str, event: &str) -> String {
        format!("notifications/{run}/{event}")
    }
    pub(crate) const UNDELIVERED: &str = "undelivered/";
    pub(crate) fn undelivered(run: &str, event: &str) -> String {
        format!("{UNDELIVERED}{run}/{event}")
    }
    pub(crate) const FIRST_TOKEN: &str = "first-token";
    pub(crate) fn token(hash: &str) -> String {
        format!("tokens/{hash}")
    }
    pub(crate) fn session(hash: &str) -> String {
        format!("sessions/{hash}")
    }
    pub(crate) fn server(id: &str) -> String {
        format!("servers/{id}")
    }
    pub(crate) fn owner(resource: &ResourceKey) -> String {
        format!("owners/{resource}")
    }
    pub(crate) fn idempotency(kind: &str, scope: &Scope, key: &str) -> String {
        match scope.tenant() {
            // No kind has this sign in its name.
            Some(tenant) => format!("idempotency/{kind}@{tenant}/{key}"),
            None => format!("idempotency/{kind}/{key}"),
        }
    }
}

/// A record and the version at which it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored<T> {
    pub(crate) record: T,
    pub(crate) version: Version,
}

/// Some records, and whether there are more.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) more: bool,
}

/// Whose runs are listed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Those of one resource.
    Resource(&'a ResourceKey),
    /// Those of all resources in a scope.
    Scope(&'a Scope),
}

/// Reads and writes records. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    store: Arc<dyn RunStore>,
}

impl Records {
    pub(crate) fn new(store: Arc<dyn RunStore>) -> Self {
        Self { store }
    }

    pub(crate) async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.store.lease(life).await
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        self.store.commit(writes).await
    }

    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        self.store.get(key).await?.as_ref().map(decode).transpose()
    }

    pub(crate) async fn resource(
        &self,
        resource: &ResourceKey,
    ) -> Result<Option<Stored<ResourceRecord>>, StoreError> {
        self.read(&key::resource(resource)).await
    }

    /// The resources of a kind in a scope by name, starting after `after`.
    pub(crate) async fn resources(
        &self,
        scope: &Scope,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ResourceRecord>, StoreError> {
        let after = after.map(|name| key::resource(&ResourceKey::new(kind, name)));
        let prefix = key::resource(&ResourceKey::new(kind, scope.prefix()));
        let scan = Scan::prefix(prefix).after(after).limit(limit);
        let listing = self.store.list(&scan).await?;
        let items = listing.entries.iter().map(|e| Ok(decode::<ResourceRecord>(e)?.record));
        Ok(Page { items: items.collect::<Result<_, StoreError>>()?, more: listing.more })
    }

    /// The resource as the API shows it, with its newest run's state and trace, and whether it is
    /// still as wanted.
    pub(crate) async fn show(&self, resource: ResourceRecord) -> Result<Resource, StoreError> {
        let run = self.run(&resource.run_id).await?.map(|stored| stored.record.run);
        let record = match &run {
            Some(run) if is_solved(&resource, run) => self.verification(&resource.key()).await?,
            _ => None,
        };
        Ok(resource.show(run.as_ref(), record.map(|stored| stored.record)))
    }

    /// What is stored of the looks at a resource.
    pub(crate) async fn verification(
        &self,
        resource: &ResourceKey,
    ) -> Result<Option<Stored<VerificationRecord>>, StoreError> {
        self.read(&key::verification(resource)).await
    }

    /// The resources of a kind that have drifted, by name, starting after `after`.
    pub(crate) async fn drifted(
        &self,
        scope: &Scope,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Resource>, StoreError> {
        let prefix = key::verification(&ResourceKey::new(kind, scope.prefix()));
        let mut after = after.map(|name| key::verification(&ResourceKey::new(kind, name)));
        let mut items = Vec::new();
        loop {
            let scan = Scan::prefix(&*prefix).after(after.take());
            let listing = self.store.list(&scan).await?;
            after = listing.entries.last().map(|entry| entry.key.clone());
            for entry in &listing.entries {
                if decode::<VerificationRecord>(entry)?.record.shown.drift.is_none() {
                    continue;
                }
                let name = ResourceKey::new(kind, last_part(&entry.key));
                let Some(stored) = self.resource(&name).await? else { continue };
                // A run may have come since.
                let resource = self.show(stored.record).await?;
                if resource.verification.as_ref().is_some_and(|it| it.drift.is_some()) {
                    if items.len() == limit {
                        return Ok(Page { items, more: true });
                    }
                    items.push(resource);
                }
            }
            if !listing.more {
                return Ok(Page { items, more: false });
            }
        }
    }

    /// The names of all resources, of any kind.
    pub(crate) async fn resource_keys(&self) -> Result<Vec<ResourceKey>, StoreError> {
        let mut keys = Vec::new();
        self.each("resources/", |entry| {
            keys.extend(entry.key.strip_prefix("resources/").and_then(ResourceKey::parse));
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    pub(crate) async fn run(&self, id: &str) -> Result<Option<Stored<RunRecord>>, StoreError> {
        self.read(&key::run(id)).await
    }

    /// The run, if it is in the scope. What is another's is not looked up at all: the time that
    /// takes would tell that it is there.
    pub(crate) async fn run_within(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Stored<RunRecord>>, StoreError> {
        match scope.tenant() {
            Some(tenant) if !self.has(&key::run_by(tenant, id)).await? => Ok(None),
            _ => self.run(id).await,
        }
    }

    /// The run as the API shows it, with what each `create` answered and what operators did.
    pub(crate) async fn run_with_history(&self, id: &str) -> Result<Option<Run>, StoreError> {
        let Some(Stored { record, .. }) = self.run(id).await? else { return Ok(None) };
        let scan = Scan::prefix(format!("iterations/{id}/"));
        let listing = self.store.list(&scan).await?;
        let mut run = record.run;
        run.plan_history = listing
            .entries
            .iter()
            .map(|entry| Ok(decode::<Iteration>(entry)?.record))
            .collect::<Result<_, StoreError>>()?;
        run.acts = self.acts(id).await?.into_inner();
        Ok(Some(run))
    }

    /// Runs from the newest to the oldest, without their history; those older than `before`,
    /// of one resource or of all in a scope, in one state or any.
    pub(crate) async fn runs(
        &self,
        of: Of<'_>,
        state: Option<RunState>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<Run>, StoreError> {
        // A tenant's have a list of their own: how many others have would show in the time it takes.
        let (prefix, whole) = match (of, state) {
            (Of::Resource(resource), _) => (key::run_of(resource, ""), false),
            (Of::Scope(scope), state) => match (scope.tenant(), state) {
                (Some(tenant), _) => (key::run_by(tenant, ""), false),
                (None, Some(state)) if state.is_final() => (key::ended(state, ""), false),
                (None, Some(state)) => return self.open_runs(state, before, limit).await,
                (None, None) => (key::run(""), true),
            },
        };
        let mut after = before.map(|id| format!("{prefix}{id}"));
        let mut items = Vec::new();
        loop {
            // Of one resource's or one tenant's, those in another state are left out one by one.
            let scan =
                Scan::prefix(&*prefix).descending().after(after.take()).limit(limit.max(100));
            let listing = self.store.list(&scan).await?;
            after = listing.entries.last().map(|e| e.key.clone());
            for entry in &listing.entries {
                let run = match whole {
                    true => decode::<RunRecord>(entry)?.record.run,
                    false => match self.run(last_part(&entry.key)).await? {
                        Some(stored) => stored.record.run,
                        None => continue,
                    },
                };
                if state.is_none_or(|state| run.state == state) {
                    if items.len() == limit {
                        return Ok(Page { items, more: true });
                    }
                    items.push(run);
                }
            }
            if !listing.more {
                return Ok(Page { items, more: false });
            }
        }
    }

    /// The runs of all resources that are in a state from which they go on, the newest first.
    async fn open_runs(
        &self,
        state: RunState,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<Run>, StoreError> {
        let mut ids = self.with_unfinished_runs().await?;
        ids.retain(|(_, id)| before.is_none_or(|before| &**id < before));
        ids.sort_unstable_by(|(_, a), (_, b)| b.cmp(a));
        let mut items = Vec::new();
        for (_, id) in ids {
            let Some(stored) = self.run(&id).await? else { continue };
            if stored.record.run.state == state {
                if items.len() == limit {
                    return Ok(Page { items, more: true });
                }
                items.push(stored.record.run);
            }
        }
        Ok(Page { items, more: false })
    }

    /// The runs whose spans are in this trace, oldest first.
    pub(crate) async fn runs_in(&self, trace: &str) -> Result<Vec<Run>, StoreError> {
        let mut runs = Vec::new();
        for entry in self.store.list(&Scan::prefix(format!("runs-in/{trace}/"))).await?.entries {
            if let Some(stored) = self.run(last_part(&entry.key)).await? {
                runs.push(stored.record.run);
            }
        }
        Ok(runs)
    }

    /// The resource's runs that have not ended, oldest first.
    pub(crate) async fn unfinished(
        &self,
        resource: &ResourceKey,
    ) -> Result<Vec<Stored<RunRecord>>, StoreError> {
        let mut runs = Vec::new();
        let scan = Scan::prefix(format!("unfinished/{resource}/"));
        for entry in self.store.list(&scan).await?.entries {
            runs.extend(self.run(last_part(&entry.key)).await?);
        }
        Ok(runs)
    }

    /// Resources that have a run which has not ended, of any kind.
    pub(crate) async fn with_unfinished_runs(
        &self,
    ) -> Result<Vec<(ResourceKey, String)>, StoreError> {
        let mut found = Vec::new();
        self.each("unfinished/", |entry| {
            found.extend(unfinished_at(&entry.key));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Resources of any kind that are to be planned again at some time.
    pub(crate) async fn with_retry(&self) -> Result<Vec<ResourceKey>, StoreError> {
        let mut found = Vec::new();
        self.each("resources/", |entry| {
            let resource = decode::<ResourceRecord>(entry)?.record;
            if resource.retry_at.is_some() {
                found.push(resource.key());
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The version of the mark that the run is unfinished; none if it has ended.
    pub(crate) async fn unfinished_since(
        &self,
        resource: &ResourceKey,
        run: &str,
    ) -> Result<Option<Version>, StoreError> {
        Ok(self.store.get(&key::unfinished(resource, run)).await?.map(|entry| entry.version))
    }

    /// Whether there is a record at the key.
    pub(crate) async fn has(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.store.get(key).await?.is_some())
    }

    /// Follows what is at keys that begin so.
    pub(crate) fn watch(&self, prefix: &str) -> Watch {
        self.store.watch(prefix)
    }

    /// Follows all wishes: what is unfinished, by its key, from the prefix on.
    pub(crate) fn watch_unfinished(&self) -> Watch {
        self.store.watch("unfinished/")
    }

    /// Follows who owns what.
    pub(crate) fn watch_owners(&self) -> Watch {
        self.store.watch("owners/")
    }

    /// Follows one run: its record and its iterations.
    pub(crate) fn watch_run(&self, id: &str) -> Watch {
        self.store.watch(&key::run(id))
    }

    /// Follows what operators do to a run.
    pub(crate) fn watch_acts(&self, id: &str) -> Watch {
        self.store.watch(&key::acts(id))
    }

    /// Calls `look` with every entry under `prefix`.
    pub(crate) async fn each(
        &self,
        prefix: &str,
        mut look: impl FnMut(&Entry) -> Result<(), StoreError> + Send,
    ) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let listing = self.store.list(&Scan::prefix(prefix).after(after)).await?;
            listing.entries.iter().try_for_each(&mut look)?;
            after = listing.entries.last().map(|e| e.key.clone());
            if !listing.more {
                return Ok(());
            }
        }
    }
}

/// Writes `record` as JSON.
pub(crate) fn put<T: Serialize>(
    key: String,
    record: &T,
    only: Precondition,
) -> Result<Write, StoreError> {
    match serde_json::to_vec(record) {
        Ok(bytes) => Ok(Write::put(key, bytes, only)),
        Err(source) => Err(StoreError::Corrupt { key, source: source.into() }),
    }
}

pub(crate) fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<Stored<T>, StoreError> {
    serde_json::from_slice(&entry.value)
        .map(|record| Stored { record, version: entry.version })
        .map_err(|source| StoreError::Corrupt { key: entry.key.clone(), source: source.into() })
}

/// What is unfinished by a key: the resource, and the run.
pub(crate) fn unfinished_at(key: &str) -> Option<(ResourceKey, String)> {
    let (resource, run) = key.strip_prefix("unfinished/")?.rsplit_once('/')?;
    Some((ResourceKey::parse(resource)?, run.to_owned()))
}

/// The resource whose owner is at a key.
pub(crate) fn owned_at(key: &str) -> Option<ResourceKey> {
    ResourceKey::parse(key.strip_prefix("owners/")?)
}

fn last_part(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, last)| last)
}
