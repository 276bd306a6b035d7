//! The way of records from the threads that make them to the store.
//!
//! [`Recorder`] is the near end: cheap to clone, and it never blocks, formats or serialises. A
//! [`Writer`], run by whoever owns the process, is the far end: it makes whole records of what
//! came, takes secrets out and stores them, in order, so that a parent is durable before its
//! child. The surprise: what travels between them are differences, not spans; see `assemble.rs`.

mod assemble;
mod queue;

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use tokio::{select, sync::oneshot, time::timeout};

pub(crate) use self::queue::{Field, Line, Message, Opening};
use self::{assemble::Assembly, queue::Queue};
use crate::{model::Record, store::TraceStore};

/// How much may wait for the store, in bytes, unless told otherwise.
const DEFAULT_LIMIT: usize = 64 << 20;
/// How long a writer that was idle lets records gather, so that waking it is paid for once.
const LINGER: Duration = Duration::from_millis(1);
/// How many messages are stored at once.
const BATCH: usize = 4096;

/// Takes records from any thread and hands them to the [`Writer`], without ever blocking.
///
/// What waits is bounded by its size in memory. Records beyond that are dropped and counted:
/// a slow disk must not stop the work that is being recorded.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: Arc<Queue>,
}

/// Not everything recorded so far is durable: the store failed, or nobody runs the writer.
#[derive(Debug, thiserror::Error)]
#[error("records were lost before they were durable")]
pub struct Lost;

impl Recorder {
    /// A recorder, and the writer that must be run for it to have an effect.
    pub fn new(store: Arc<dyn TraceStore>) -> (Self, Writer) {
        Self::with_limit(store, DEFAULT_LIMIT)
    }

    /// The same, with at most about `limit` bytes waiting for the store.
    pub fn with_limit(store: Arc<dyn TraceStore>, limit: usize) -> (Self, Writer) {
        let queue = Arc::new(Queue::new(limit));
        let writer =
            Writer { queue: queue.clone(), store, assembly: Assembly::default(), failing: false };
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
    /// [`Lost`] if a record since the last flush could not be stored, or if no writer runs.
    pub async fn flush(&self) -> Result<(), Lost> {
        let (done, durable) = oneshot::channel();
        self.queue.push(Message::Flush(done));
        durable.await.map_err(|_| Lost)
    }

    /// How many records were lost so far: too many waited, or the store refused them.
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
    /// The store refused the last batch; said once, not for every batch.
    failing: bool,
}

impl Writer {
    /// Stores records until `shutdown` completes, then what still waits, then returns.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut stopping = false;
        loop {
            let messages = if stopping { self.queue.close() } else { self.queue.take() };
            if !messages.is_empty() {
                self.store_all(messages).await;
            } else if stopping {
                return;
            } else {
                select! {
                    // Only a flush wakes it a second time: it ends the lingering early.
                    () = self.queue.filled() => drop(timeout(LINGER, self.queue.filled()).await),
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
            if self.assembly.len() >= BATCH {
                self.commit().await;
            }
        }
        self.commit().await;
        if !self.failing {
            for done in flushes {
                // Whoever asked may have gone.
                let _ = done.send(());
            }
        }
    }

    /// Opens a span that may have been stored by this process or another before.
    async fn reopen(&mut self, opening: Opening) {
        if !self.assembly.knows(opening.context) {
            self.commit().await;
            if let Ok(Some(trace)) = self.store.trace(opening.context.trace_id).await
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
        let count = records.len();
        match self.store.append(records).await {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.queue.lost(count as u64);
                if !std::mem::replace(&mut self.failing, true) {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, lost = count, "traces are not being stored");
                }
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
    }
}
