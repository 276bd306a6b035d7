//! Group commit: what comes at the same time is written and synced together, then acknowledged.
//!
//! Not here: what a commit does; the engine says that. The surprise: there is no thread for it.
//! Whoever comes first does the work for all who come meanwhile, off the async threads.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::arrived::Arrived;
use crate::store::{Fault, StoreError};

/// Requests on their way to the disk.
#[derive(Debug)]
pub(super) struct Commits {
    queue: Mutex<Queue>,
    /// How many bytes may wait.
    limit: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Pending>,
    bytes: usize,
    /// Somebody is at work.
    led: bool,
}

/// A sender's requests, stored together.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) requests: Vec<Arrived>,
    done: oneshot::Sender<Result<(), Arc<StoreError>>>,
}

impl Pending {
    /// Tells the sender. It may have gone.
    pub(super) fn answer(self, result: Result<(), Arc<StoreError>>) {
        let _ = self.done.send(result);
    }
}

impl Commits {
    pub(super) fn new(limit: usize) -> Self {
        Self { queue: Mutex::default(), limit }
    }

    /// Returns when the requests were committed. `commit` is called, on a thread that may block,
    /// with all that wait; never twice at the same time.
    ///
    /// # Errors
    /// What `commit` answered; or that too much waits, and nothing was done.
    pub(super) async fn commit(
        self: &Arc<Self>,
        requests: Vec<Arrived>,
        commit: impl Fn(Vec<Pending>) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (done, result) = oneshot::channel();
        let size: usize = requests.iter().map(|request| request.request.len()).sum();
        let leads = {
            let mut queue = self.lock();
            // One that is larger than the limit is taken when nothing else waits.
            if queue.bytes + size > self.limit && queue.bytes > 0 {
                let why = "too much is waiting for the disk; send it again in a moment";
                return Err(StoreError::new("take a request", why).with_fault(Fault::Overload));
            }
            queue.bytes += size;
            queue.waiting.push(Pending { requests, done });
            !mem::replace(&mut queue.led, true)
        };
        if leads {
            let commits = Arc::clone(self);
            // Goes on when the sender leaves: others may wait.
            spawn_blocking(move || commits.lead(&commit));
        }
        match result.await {
            Ok(result) => result.map_err(|error| StoreError::shared("store a request", error)),
            Err(_) => Err(StoreError::new("store a request", "its writer died")),
        }
    }

    fn lead(&self, commit: &impl Fn(Vec<Pending>)) {
        // However it ends, the next one who comes leads.
        let _leading = Leading(self);
        loop {
            let waiting = {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    // Under the same lock, so that nobody who comes now is left waiting.
                    queue.led = false;
                    return;
                }
                mem::take(&mut queue.waiting)
            };
            let bytes: usize =
                waiting.iter().flat_map(|it| &it.requests).map(|it| it.request.len()).sum();
            commit(waiting);
            self.lock().bytes -= bytes;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here can panic half-way through a change.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives up the lead if a commit panics; the senders see their channels close.
struct Leading<'a>(&'a Commits);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut queue = self.0.lock();
            (queue.led, queue.bytes) = (false, 0);
            queue.waiting.clear();
        }
    }
}
