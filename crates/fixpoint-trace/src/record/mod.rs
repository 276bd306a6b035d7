//! The way of records from the threads that make them to the store.
//!
//! [`Recorder`] is the near end: cheap to clone, and it never blocks, formats or serialises. A
//! [`Writer`], run by whoever owns the process, is the far end: it makes whole records of what
//! came, takes secrets out and stores them, in order, so that a parent is durable before its
//! child. The surprise: what travels between them are differences, not spans; see `assemble.rs`.

mod assemble;
mod queue;

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    select,
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

pub(crate) use self::queue::{Field, Line, Message, Opening};
use self::{assemble::Assembly, queue::Queue};
use crate::{model::Record, store::TraceStore};

/// How much may wait for the store, in bytes, unless told otherwise.
const DEFAULT_LIMIT: usize = 64 << 20;
/// How long a writer that was idle lets records gather, so that waking it is paid for once.
const LINGER: Duration = Duration::from_millis(1);
/// How many messages are stored at once.
const BATCH: usize = 4096;
/// How many records are kept while the store refuses them, as it does while the disk is full.
const KEPT: usize = 8 * BATCH;
/// How long a store that refused is left alone.
const PAUSE: Duration = Duration::from_millis(250);

/// Takes records from any thread and hands them to the [`Writer`], without ever blocking.
///
/// What waits is bounded by its size in memory. Records beyond that are dropped and counted:
/// a slow disk must not stop the work that is being recorded.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: Arc<Queue>,
}

/// Not everything recorded so far is durable: the store refuses it, or nobody runs the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was recorded so far could not be stored")]
pub struct NotDurable;

impl Recorder {
    /// A recorder, and the writer that must be run for it to have an effect.
    pub fn new(store: Arc<dyn TraceStore>) -> (Self, Writer) {
        Self::with_limit(store, DEFAULT_LIMIT)
    }

    /// The same, with at most about `limit` bytes waiting for the store.
    pub fn with_limit(store: Arc<dyn TraceStore>, limit: usize) -> (Self, Writer) {
        let queue = Arc::new(Queue::new(limit));
        let writer =
            Writer { queue: queue.clone(), store, assembly: Assembly::default(), refused: None };
        (Self { queue }, writer)
    }

    /// Records something that did not come through `tracing`, such as the end of a span that a
    /// dead process left open. A later record of the same span replaces it.
    pub fn record(&self, record: Record) {
        self.queue.push(Message::Whole(Box::new(record)));
    }

    /// Returns when everything recorded before the call is durable.
    ///
    /// # Errors
    /// [`NotDurable`] if the store refuses records just now, or if no writer runs.
    pub async fn flush(&self) -> Result<(), NotDurable> {
        let (done, durable) = oneshot::channel();
        self.queue.push(Message::Flush(done));
        durable.await.map_err(|_| NotDurable)
    }

    /// How many records were lost so far: too many waited, or the store refused them for too long.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }

    pub(crate) fn push(&self, message: Message) {
        self.queue.push(message);
    }
}

/// Stores what the [`Recorder`]s took. There is one; it needs a tokio runtime with time.
#[derive(Debug)]
pub struct Writer {
    queue: Arc<Queue>,
    store: Arc<dyn TraceStore>,
    assembly: Assembly,
    /// When the store refused the last batch, if it did. The batch is kept.
    refused: Option<Instant>,
}

impl Writer {
    /// Stores records until `shutdown` completes, then what still waits, then returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut stopping = false;
        loop {
            let messages = if stopping { self.queue.close() } else { self.queue.take() };
            if !messages.is_empty() || self.may_try_again() {
                self.store_all(messages).await;
            } else if stopping {
                return self.give_up().await;
            } else {
                let again = self.refused.map(|at| at + PAUSE);
                select! {
                    // Only a flush wakes it a second time: it ends the lingering early.
                    () = self.queue.filled() => drop(timeout(LINGER, self.queue.filled()).await),
                    () = until(again) => {}
                    () = &mut shutdown => stopping = true,
                }
            }
            // A steady stream of records must not keep the shutdown from being seen. Asked by hand:
            // a timeout of nothing takes until the timer's next tick, a millisecond for every batch.
            let seen = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx).is_ready()));
            stopping = stopping || seen.await;
        }
    }

    async fn store_all(&mut self, messages: Vec<Message>) {
        let mut flushes = Vec::new();
        for message in messages {
            match message {
                Message::Flush(done) => flushes.push(done),
                Message::Open(opening) if opening.reopens => self.reopen(opening).await,
                message => self.assembly.take(message),
            }
            match self.refused {
                None if self.assembly.len() >= BATCH => self.commit().await,
                Some(_) if self.assembly.len() >= KEPT + BATCH => {
                    let lost = self.assembly.shorten(KEPT);
                    self.queue.lost(lost as u64);
                }
                _ => {}
            }
        }
        if self.refused.is_none() || self.may_try_again() {
            self.commit().await;
        }
        if self.refused.is_none() {
            for done in flushes {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    /// Opens a span that may have been stored by this process or another before.
    async fn reopen(&mut self, opening: Opening) {
        if !self.assembly.knows(opening.context) {
            if self.refused.is_none() {
                self.commit().await;
            }
            if let Some(kept) = self.assembly.kept(opening.context) {
                self.assembly.adopt(kept);
            } else if let Ok(Some(trace)) = self.store.trace(opening.context.trace_id).await
                && let Some(stored) =
                    trace.spans.into_iter().find(|span| span.span_id == opening.context.span_id)
            {
                self.assembly.adopt(stored);
            }
        }
        self.assembly.take(Message::Open(opening));
    }

    async fn commit(&mut self) {
        let records = self.assembly.finish();
        if records.is_empty() {
            return;
        }
        match self.store.append(&records).await {
            Ok(()) => {
                if self.refused.take().is_some() {
                    tracing::info!("traces are being stored again");
                }
            }
            Err(error) => {
                self.assembly.put_back(records);
                // Said once, not for every batch.
                if self.refused.replace(Instant::now()).is_none() {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "traces are not being stored; they are kept for now");
                }
            }
        }
    }

    /// Whether there is something that the store refused, and it was left alone for long enough.
    fn may_try_again(&self) -> bool {
        self.refused.is_some_and(|at| at.elapsed() >= PAUSE)
    }

    /// Tries once more to store what was refused, and counts what is still refused then.
    async fn give_up(mut self) {
        self.commit().await;
        let lost = self.assembly.finish().len();
        self.queue.lost(lost as u64);
    }
}

/// Returns then; without a time, never.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}
