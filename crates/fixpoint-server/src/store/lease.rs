//! Leases: what a server holds only for as long as it lives.
//!
//! Not here: who owns what by one (`runner/`). The surprise: a lease is kept by whoever polls
//! [`Lease::keep`], not by a task of its own. A process that hangs stops polling, and loses it.

use std::{fmt, time::Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::StoreError;

/// Names a lease in a [`Write`](super::Write).
pub type LeaseId = i64;

/// A promise of the store that the keys attached to it stay until it ends. It ends when it is
/// given up, when it is not kept, and at the latest with its holder.
#[async_trait]
pub trait Lease: Send + Sync + fmt::Debug {
    /// Its name.
    fn id(&self) -> LeaseId;

    /// Until when it holds for certain, by this process's clock; none if it holds for as long as
    /// the process. Later, the store may have given its keys to somebody else.
    fn until(&self) -> Option<Instant>;

    /// Keeps the lease for as long as this is polled. Returns once it is lost, and says why.
    async fn keep(&self) -> StoreError;

    /// Gives it up: its keys go at once.
    async fn end(&self) -> Result<(), StoreError>;
}

/// A lease on a store in this process: it holds until its handle is dropped.
pub(super) struct Held {
    id: LeaseId,
    ended: CancellationToken,
    end: Box<dyn Fn() + Send + Sync>,
}

impl Held {
    /// `end` removes the keys and cancels `ended`; it may be called again.
    pub(super) fn new(
        id: LeaseId,
        ended: CancellationToken,
        end: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { id, ended, end: Box::new(end) }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Lease for Held {
    fn id(&self) -> LeaseId {
        self.id
    }

    fn until(&self) -> Option<Instant> {
        self.ended.is_cancelled().then(Instant::now)
    }

    async fn keep(&self) -> StoreError {
        self.ended.cancelled().await;
        StoreError::LeaseLost
    }

    async fn end(&self) -> Result<(), StoreError> {
        (self.end)();
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.end)();
    }
}
