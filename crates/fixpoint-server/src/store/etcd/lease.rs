//! A lease in etcd, kept by whoever polls it.
//!
//! Not here: what hangs on it. The surprise: it is lost by this process's own clock, too. Whoever
//! was stopped for longer than the lease lives knows that it is over before asking anybody.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use etcd_client::Client;
use tracing::Instrument;

use super::{
    super::{Lease, LeaseId, StoreError},
    members::{Failure, Members, rest},
    spans,
};

/// How soon to ask again after a renewal that failed.
const AGAIN: Duration = Duration::from_millis(100);

/// A lease that etcd granted.
#[derive(Debug)]
pub(super) struct Kept {
    members: Arc<Members>,
    id: LeaseId,
    life: Duration,
    /// Counted from when it was last asked for: etcd counts from a moment later.
    until: Mutex<Instant>,
}

impl Kept {
    pub(super) fn new(members: Arc<Members>, id: LeaseId, life: Duration, asked: Instant) -> Self {
        Self { members, id, life, until: Mutex::new(asked + life) }
    }

    fn until(&self) -> Instant {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks one member to let it live on.
    async fn renew(&self) -> Result<(), Failure> {
        let (asked, id) = (Instant::now(), self.id);
        let renew = async move |client: Client| client.lease_client().keep_alive(id).await;
        self.members.ask_once(self.life / 4, renew).await?;
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked + self.life;
        Ok(())
    }

    fn lose(&self) -> StoreError {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        StoreError::LeaseLost
    }
}

fn not_renewed(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "the lease could not be renewed; it is tried again");
}

#[async_trait]
impl Lease for Kept {
    fn id(&self) -> LeaseId {
        self.id
    }

    fn until(&self) -> Option<Instant> {
        Some(self.until())
    }

    async fn keep(&self) -> StoreError {
        loop {
            let left = self.until().saturating_duration_since(Instant::now());
            // A third of its life is over, and two more tries fit into what is left.
            rest(left.saturating_sub(self.life * 2 / 3)).await;
            loop {
                if self.until() <= Instant::now() {
                    return self.lose();
                }
                match self.renew().await {
                    Ok(()) => break,
                    Err(Failure::LeaseLost) => return self.lose(),
                    Err(
                        Failure::Passing(error)
                        | Failure::Untrusted(error)
                        | Failure::Refused(error),
                    ) => {
                        not_renewed(&*error);
                        rest(AGAIN).await;
                    }
                }
            }
        }
    }

    async fn end(&self) -> Result<(), StoreError> {
        let (id, span) = (self.id, spans::open("lease_revoke", "", &self.members));
        let revoke = |client: Client| async move { client.lease_client().revoke(id).await };
        let ended = self.members.ask("give up its lease", revoke).instrument(span.clone()).await;
        self.lose();
        match ended {
            Ok(_) | Err(StoreError::LeaseLost) => Ok(()),
            Err(error) => spans::close(&span, Err(error)),
        }
    }
}
