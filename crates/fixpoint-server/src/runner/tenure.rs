//! What this server owns, and for how long: a lease, and an owner's record for each resource at work.
//!
//! Not here: what is done with a resource (`turn.rs`). The surprise: nobody leads. Whoever writes
//! the owner's record first owns the resource, and every write of its run says "only if that
//! record is still the one I wrote". A server that was stopped for longer than its lease finds its
//! writes refused, whatever it believes.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    metrics::Metrics,
    records::{Records, ResourceKey, key, put},
    store::{Lease, Precondition, StoreError, Version, Write},
};

/// How long to wait before asking for a lease again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is stored of a server for as long as its lease lives.
#[derive(Debug, Serialize, Deserialize)]
struct ServerRecord {
    since: Timestamp,
}

/// Who drives a resource's runs; goes with its lease.
#[derive(Debug, Serialize, Deserialize)]
struct OwnerRecord {
    server: String,
    lease: i64,
}

/// This server's part in the work.
#[derive(Debug)]
pub(crate) struct Tenure {
    records: Records,
    metrics: Arc<Metrics>,
    /// This server's name; another after each start.
    pub(crate) server: String,
    life: Duration,
    term: watch::Sender<Option<Arc<Term>>>,
}

/// A lease, from when it was taken until it is lost.
#[derive(Debug)]
pub(super) struct Term {
    lease: Box<dyn Lease>,
    /// Cancelled when the lease is lost.
    over: CancellationToken,
}

impl Term {
    /// Whether the lease holds for certain, by this process's clock.
    fn holds(&self) -> bool {
        !self.over.is_cancelled() && self.lease.until().is_none_or(|until| Instant::now() < until)
    }
}

impl Tenure {
    pub(crate) fn new(
        records: Records,
        metrics: Arc<Metrics>,
        server: String,
        life: Duration,
    ) -> Self {
        Self { records, metrics, server, life, term: watch::Sender::new(None) }
    }

    /// Takes a lease.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        let lease = self.records.lease(self.life).await?;
        let record = ServerRecord { since: Timestamp::now() };
        let write = put(key::server(&self.server), &record, Precondition::Any)?;
        self.records.commit(vec![write.with_lease(lease.id())]).await?;
        let term = Term { lease, over: CancellationToken::new() };
        self.term.send_replace(Some(Arc::new(term)));
        Ok(())
    }

    /// Keeps the lease until it is lost, then takes another one.
    pub(crate) async fn renew(&self) {
        let term = self.term.borrow().clone();
        if let Some(term) = term {
            let error = term.lease.keep().await;
            term.over.cancel();
            self.term.send_replace(None);
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "server {} stops its runs; others may take them", self.server);
        }
        let mut failing = false;
        while let Err(error) = self.begin().await {
            if !std::mem::replace(&mut failing, true) {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::error!(error, "server {} cannot take part in the work", self.server);
            }
            let _elapsed = tokio::time::timeout(PAUSE, std::future::pending::<()>()).await;
        }
        tracing::info!("server {} takes part in the work again", self.server);
    }

    /// Gives up the lease, and with it all that is owned.
    pub(crate) async fn end(&self) {
        let Some(term) = self.term.send_replace(None) else { return };
        term.over.cancel();
        if let Err(error) = term.lease.end().await {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "the lease could not be given up; it runs out by itself");
        }
    }

    /// The term at hand, once there is one.
    async fn term(&self) -> Arc<Term> {
        let mut terms = self.term.subscribe();
        loop {
            let term = terms.borrow_and_update().clone();
            if let Some(term) = term.filter(|term| term.holds()) {
                return term;
            }
            if terms.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Makes this server the resource's owner, unless it has one.
    pub(crate) async fn claim(&self, resource: &ResourceKey) -> Result<Option<Owned>, StoreError> {
        let term = self.term().await;
        let record = OwnerRecord { server: self.server.clone(), lease: term.lease.id() };
        let at = key::owner(resource);
        let write = put(at.clone(), &record, Precondition::Absent)?.with_lease(term.lease.id());
        let version = match self.records.commit(vec![write]).await {
            Ok(version) => version,
            Err(error) if error.is_conflict() => {
                // Perhaps its own, from a time when an answer was lost.
                let found = self.records.read::<OwnerRecord>(&at).await?;
                match found {
                    Some(found)
                        if found.record.server == self.server
                            && found.record.lease == term.lease.id() =>
                    {
                        found.version
                    }
                    _ => return Ok(None),
                }
            }
            Err(error) => return Err(error),
        };
        let records = self.records.clone();
        let (metrics, lost) = (Arc::clone(&self.metrics), term.over.child_token());
        Ok(Some(Owned(Arc::new(Claim { records, metrics, at, version, term, lost }))))
    }

    /// Whether somebody else owns the resource.
    pub(crate) async fn is_anothers(&self, resource: &ResourceKey) -> Result<bool, StoreError> {
        let owner = self.records.read::<OwnerRecord>(&key::owner(resource)).await?;
        Ok(owner.is_some_and(|owner| owner.record.server != self.server))
    }
}

/// A resource that this server owns, until it gives it up or loses it. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Owned(Arc<Claim>);

#[derive(Debug)]
struct Claim {
    records: Records,
    metrics: Arc<Metrics>,
    /// Where the owner's record is.
    at: String,
    /// As this server wrote it: the fencing token.
    version: Version,
    term: Arc<Term>,
    /// Cancelled when the resource, or all of them, is lost.
    lost: CancellationToken,
}

impl Owned {
    /// Makes the writes, if the resource is still this server's.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] if it is not; then nothing was written, and must not be.
    pub(crate) async fn commit(&self, mut writes: Vec<Write>) -> Result<Version, StoreError> {
        let Self(claim) = self;
        if self.is_lost() {
            return Err(StoreError::LeaseLost);
        }
        writes.push(Write::check(&*claim.at, Precondition::Version(claim.version)));
        match claim.records.commit(writes).await {
            Err(StoreError::Conflict { key }) if key == claim.at => {
                claim.lost.cancel();
                claim.metrics.late_write();
                tracing::warn!("{key} is another server's now: a late write was refused");
                Err(StoreError::LeaseLost)
            }
            result => result,
        }
    }

    /// Whether the resource may be somebody else's by now.
    pub(crate) fn is_lost(&self) -> bool {
        self.0.lost.is_cancelled() || !self.0.term.holds()
    }

    /// Returns when it is lost.
    pub(crate) async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    /// Lets anybody have the resource.
    pub(crate) async fn release(self) -> Result<(), StoreError> {
        let Self(claim) = self;
        if claim.lost.is_cancelled() {
            return Ok(());
        }
        let write = Write::delete(&*claim.at, Precondition::Version(claim.version));
        match claim.records.commit(vec![write]).await {
            Err(error) if !error.is_conflict() => Err(error),
            _ => Ok(()),
        }
    }
}

tokio::task_local! {
    /// What the work of this task is for.
    static WORKS_FOR: Owned;
}

/// Runs `work` as work for an owned resource, which [`may_act`] then knows.
pub(crate) async fn working_for<T>(owned: Owned, work: impl Future<Output = T>) -> T {
    WORKS_FOR.scope(owned, work).await
}

/// The resource that this code works for may have another owner by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this server may own the resource no longer, so it must not act for it")]
pub struct NotOwner;

/// Whether a step may still act. Asked right before each request to a cloud, it keeps a server that
/// was stopped for longer than its lease from doing what its successor does already.
///
/// # Errors
/// If the lease on the resource of the step that runs here has run out by this process's clock.
pub fn may_act() -> Result<(), NotOwner> {
    match WORKS_FOR.try_with(Owned::is_lost) {
        Ok(true) => Err(NotOwner),
        Ok(false) | Err(_) => Ok(()),
    }
}

/// Runs of which this server has spans that it will not end itself, since others drive them.
#[derive(Debug, Default)]
pub(crate) struct Strays(Mutex<HashSet<String>>);

impl Strays {
    fn runs(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another server drives the run now.
    pub(super) fn add(&self, run: &str) {
        self.runs().insert(run.to_owned());
    }

    /// The run is this server's again, or has ended. Whether it was a stray.
    pub(super) fn take(&self, run: &str) -> bool {
        self.runs().remove(run)
    }
}
