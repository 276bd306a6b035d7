//! Decides which resource's plan runs when: one run at a time for each resource, on one server.
//!
//! ```text
//!  HTTP request ──commits resource + run──▶ run store ──watch──▶ every server's Runner
//!        │                                      ▲                        │
//!        └─ wake(clusters/idg) ──▶ Runner ──one task a resource──▶ turn: own, read, decide, run
//! ```
//!
//! A wake carries nothing but the resource's name; the task reads the newest records and decides
//! anew. So wakes can be merged, repeated or made up: a restart simply wakes every resource that
//! has unfinished business, and so does a watch that missed something. What the task decides is in
//! `turn.rs`; whether the resource is this server's, in `tenure.rs`.
//!
//! Not here: what users may ask for (`intents.rs`). The surprise: nothing is spawned outside of
//! [`Runner::run`]; dropping its future ends every run at its next `await`, as a crash would.

mod backoff;
mod ending;
mod ledger;
mod span;
mod takeover;
mod tenure;
mod turn;
mod work;

use std::{collections::HashMap, pin::pin, sync::Arc, time::Duration};

use fixpoint::{Pace, Scheduler};
use fixpoint_trace::{model::UnixNanos, record::Recorder, store::TraceStore};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::{Id, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;

pub use tenure::{NotOwner, may_act};
pub(crate) use {
    ledger::show as show_iteration,
    takeover::TakeoverError,
    tenure::{Owned, Strays, Tenure, working_for},
    turn::{Held, Next},
};

use crate::{
    kinds::Kinds,
    metrics::Metrics,
    records::{Records, ResourceKey, owned_at, unfinished_at},
    store::{Watch, Watched},
    verify::{self, Verifier},
    webhook::{self, Webhook},
    why::Lessons,
};

/// What a run needs of the server.
pub(crate) struct Shared {
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) records: Records,
    pub(crate) traces: Arc<dyn TraceStore>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    /// Told of every run that ends.
    pub(crate) lessons: Lessons,
    pub(crate) scheduler: Scheduler,
    pub(crate) pace: Pace,
    /// One permit for each run that may go on at the same time.
    pub(crate) room: Semaphore,
    /// When this server started.
    pub(crate) born: UnixNanos,
    pub(crate) tenure: Tenure,
    pub(crate) verifier: Verifier,
    pub(crate) strays: Strays,
    /// Who is told what went wrong for good.
    pub(crate) webhook: Option<Webhook>,
    /// Cancelled when the server is to stop.
    pub(crate) stopping: CancellationToken,
}

/// Wakes resources. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Wakes(mpsc::UnboundedSender<ResourceKey>);

impl Wakes {
    /// Has the runner look at a resource. Carries nothing, never blocks, may be repeated.
    pub(crate) fn wake(&self, resource: ResourceKey) {
        // Without a runner the server is stopping; the next one looks at everything.
        let _stopping = self.0.send(resource);
    }
}

/// How soon to read again what could not be read.
const AGAIN: Duration = Duration::from_secs(1);

/// Runs plans until the server stops.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    wakes: mpsc::UnboundedReceiver<ResourceKey>,
}

/// The task of one resource.
struct Slot {
    look: Arc<Notify>,
    /// It was woken since it started, and may have missed it.
    again: bool,
}

impl Runner {
    pub(crate) fn new(shared: Arc<Shared>) -> (Wakes, Self) {
        // Unbounded, yet each entry stands for a request that was answered a moment ago.
        let (sender, wakes) = mpsc::unbounded_channel();
        (Wakes(sender), Self { shared, wakes })
    }

    /// Puts in order what a dead server left, then runs plans until `stopping` is cancelled and
    /// every run has come to a place where it can be taken up again.
    pub(crate) async fn run(mut self) -> Result<(), TakeoverError> {
        let shared = &*self.shared;
        // From before anything is read, so that nothing falls between.
        let (unfinished, owners) =
            (shared.records.watch_unfinished(), shared.records.watch_owners());
        shared.tenure.begin().await?;
        let left = takeover::take_over(shared).await?;
        let mut tasks = Tasks::new(Arc::clone(&self.shared));
        left.into_iter().for_each(|resource| tasks.wake(resource));

        let (tell, mut heard) = mpsc::channel(1);
        let mut beside = pin!(async {
            tokio::join!(
                listen(shared, unfinished, &tell),
                listen(shared, owners, &tell),
                keep_taking_part(shared, &tell),
                verify::keep_time(shared, &tell),
                Box::pin(webhook::deliver(shared)),
            )
        });
        loop {
            tokio::select! {
                biased;
                () = shared.stopping.cancelled() => break,
                Some(resource) = self.wakes.recv() => tasks.wake(resource),
                Some(resources) = heard.recv() => {
                    resources.into_iter().for_each(|resource| tasks.wake(resource));
                }
                Some(()) = tasks.ended() => {}
                _ = &mut beside => {}
            }
        }
        // Owned until the last step has ended.
        tokio::select! {
            () = async { while tasks.ended().await.is_some() {} } => {}
            _ = &mut beside => {}
        }
        shared.tenure.end().await;
        Ok(())
    }
}

/// Passes on which resources the store's changes want looked at.
async fn listen(shared: &Shared, mut watch: Watch, tell: &mpsc::Sender<Vec<ResourceKey>>) {
    // A store that is closed has nothing more to say.
    while let Some(watched) = watch.next().await {
        let Watched::Changed(change) = watched else {
            read_again(shared, tell).await;
            continue;
        };
        let resource = match (unfinished_at(&change.key), change.value) {
            // A wish, of whichever server's user.
            (Some((resource, _)), Some(_)) => Some(resource),
            (Some((_, run)), None) => {
                if shared.strays.take(&run)
                    && let Err(error) = takeover::settle(shared, &run).await
                {
                    let error: &(dyn std::error::Error + 'static) = &error;
                    tracing::warn!(error, "the span of run {run} stays as it was left");
                }
                None
            }
            // Its owner has let go of it, or died.
            (None, None) => owned_at(&change.key),
            (None, Some(_)) => None,
        };
        if let Some(resource) = resource {
            let _stopping = tell.send(vec![resource]).await;
        }
    }
    std::future::pending::<()>().await;
}

/// Keeps the lease. With a new one, everything wants a look.
async fn keep_taking_part(shared: &Shared, tell: &mpsc::Sender<Vec<ResourceKey>>) {
    loop {
        shared.tenure.renew().await;
        read_again(shared, tell).await;
    }
}

/// Has everything looked at that has unfinished business.
async fn read_again(shared: &Shared, tell: &mpsc::Sender<Vec<ResourceKey>>) {
    loop {
        match takeover::unfinished_business(&shared.records).await {
            Ok(resources) => {
                let _stopping = tell.send(resources).await;
                return;
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(error, "what is unfinished could not be read; it is tried again");
            }
        }
        let _elapsed = time::timeout(AGAIN, std::future::pending::<()>()).await;
    }
}

/// The tasks that look after resources, at most one each.
struct Tasks {
    shared: Arc<Shared>,
    slots: HashMap<ResourceKey, Slot>,
    running: JoinSet<()>,
    names: HashMap<Id, ResourceKey>,
}

impl Tasks {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, slots: HashMap::new(), running: JoinSet::new(), names: HashMap::new() }
    }

    fn wake(&mut self, resource: ResourceKey) {
        if let Some(slot) = self.slots.get_mut(&resource) {
            slot.again = true;
            slot.look.notify_one();
            return;
        }
        let look = Arc::new(Notify::new());
        let task = turn::look_after(Arc::clone(&self.shared), resource.clone(), Arc::clone(&look));
        let id = self.running.spawn(task).id();
        self.names.insert(id, resource.clone());
        self.slots.insert(resource, Slot { look, again: false });
    }

    /// Waits for a task to end; none if there is no task.
    async fn ended(&mut self) -> Option<()> {
        let id = match self.running.join_next_with_id().await? {
            Ok((id, ())) => id,
            Err(error) => {
                // Steps and plans cannot panic a task; this is a mistake of the runner's own.
                tracing::error!("the task of a resource died: {error}");
                error.id()
            }
        };
        if let Some(resource) = self.names.remove(&id) {
            let again = self.slots.remove(&resource).is_some_and(|slot| slot.again);
            if again && !self.shared.stopping.is_cancelled() {
                self.wake(resource);
            }
        }
        Some(())
    }
}

/// The time, as the trace store counts it.
pub(crate) fn now() -> UnixNanos {
    UnixNanos::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}
