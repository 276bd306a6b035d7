//! Decides which resource's plan runs when: one run at a time for each resource.
//!
//! ```text
//!  HTTP request ──commits resource + run──▶ run store
//!        │                                      ▲
//!        └─ wake(clusters/idg) ──▶ Runner ──one task a resource──▶ turn: read, decide, run
//! ```
//!
//! A wake carries nothing but the resource's name; the task reads the newest records and decides
//! anew. So wakes can be merged, repeated or made up: a restart simply wakes every resource that
//! has unfinished business. What the task decides is in `turn.rs`.
//!
//! Not here: what users may ask for (`intents.rs`). The surprise: nothing is spawned outside of
//! [`Runner::run`]; dropping its future ends every run at its next `await`, as a crash would.

mod backoff;
mod ending;
mod ledger;
mod takeover;
mod turn;

use std::{collections::HashMap, sync::Arc};

use fixpoint::{Pace, Scheduler};
use fixpoint_trace::{model::UnixNanos, record::Recorder, store::TraceStore};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    task::{Id, JoinSet},
};
use tokio_util::sync::CancellationToken;

pub(crate) use ledger::show as show_iteration;
pub(crate) use takeover::TakeoverError;

use crate::{
    kinds::Kinds,
    metrics::Metrics,
    records::{Records, ResourceKey},
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

    /// Takes over what a dead server left, then runs plans until `stopping` is cancelled and
    /// every run has come to a place where it can be taken up again.
    pub(crate) async fn run(mut self) -> Result<(), TakeoverError> {
        let shared = &self.shared;
        let left = takeover::take_over(&shared.records, &*shared.traces, shared.born).await?;
        let mut tasks = Tasks::new(Arc::clone(shared));
        for resource in left {
            tasks.wake(resource);
        }
        loop {
            tokio::select! {
                biased;
                () = self.shared.stopping.cancelled() => break,
                Some(resource) = self.wakes.recv() => tasks.wake(resource),
                Some(()) = tasks.ended() => {}
            }
        }
        while tasks.ended().await.is_some() {}
        Ok(())
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
