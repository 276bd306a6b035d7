//! Copies everything that is stored to another backend by OTLP: spans that have ended, and log
//! lines, our own and those received.
//!
//! What is stored is put into a queue on disk before it is acknowledged ([`Copying`]), and sent
//! from there, over HTTP or gRPC, until it is taken or refused for good. A collector that is away
//! for hours, or a process that is killed, costs nothing of the copy until the queue is full; then
//! the oldest is dropped and counted. Not here: reading the environment, `/metrics`. The surprise:
//! spans and log lines have a queue each, so that a collector for the one does not wait for
//! that of the other.

mod copying;
mod counts;
mod outgoing;
mod queue;
mod send;
mod settings;
mod worker;

use std::{
    path::Path,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{select, sync::watch, time::timeout};

pub use self::{
    copying::Copying,
    counts::{Copied, Exported},
    send::retry_after,
    settings::{Settings, SettingsError},
};
use self::{counts::Counts, queue::Queue, send::Sender, worker::Worker};
use crate::store::Signal;

/// How long the rest may take after shutdown. What is not sent then, is after the next start.
const GRACE: Duration = Duration::from_secs(5);

/// The exporter could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("could not {what}")]
pub struct ExportError {
    what: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// How the queues are kept.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many bytes each signal's queue may take on disk.
    pub queue_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_bytes: 1 << 30 }
    }
}

/// Sends what waits to be copied.
#[derive(Debug)]
pub struct Exporter {
    queues: Arc<Queues>,
    workers: Vec<Worker>,
    stop: watch::Sender<bool>,
    exported: Exported,
}

/// Where what is to be copied waits.
#[derive(Debug)]
struct Queues {
    of: Vec<(Signal, Arc<Queue>)>,
    /// The disk refused last time, which is told once.
    disk_fails: AtomicBool,
}

impl Queues {
    /// None if the signal is not copied.
    fn of(&self, signal: Signal) -> Option<&Queue> {
        self.of.iter().find(|(of, _)| *of == signal).map(|(_, queue)| &**queue)
    }
}

impl Exporter {
    /// An exporter with its queues in a folder, of which one process at a time may make use.
    /// Blocks while it looks through what an earlier process left there.
    ///
    /// # Errors
    /// If the folder cannot be written, or there is no way to make TLS connections.
    pub fn open(
        settings: Settings,
        folder: impl AsRef<Path>,
        options: Options,
    ) -> Result<Self, ExportError> {
        let folder = folder.as_ref();
        let (stop, stopping) = watch::channel(false);
        let (mut workers, mut queues, mut exported) = (Vec::new(), Vec::new(), Vec::new());
        for target in settings.targets {
            let (signal, counts) = (target.signal, Arc::new(Counts::default()));
            let folder = folder.join(signal.as_str());
            let queue = Queue::open(&folder, options.queue_bytes, counts.clone());
            let queue = Arc::new(queue.map_err(|why| ExportError {
                what: format!("open the export queue in {}", folder.display()),
                source: why.into(),
            })?);
            let sender = Sender::new(target).map_err(|why| ExportError {
                what: "make a client for the collector".to_owned(),
                source: why.into(),
            })?;
            queues.push((signal, queue.clone()));
            exported.push((signal, counts.clone()));
            let stopping = stopping.clone();
            workers.push(Worker { queue, sender, counts, stopping, trouble: None });
        }
        let queues = Arc::new(Queues { of: queues, disk_fails: AtomicBool::new(false) });
        Ok(Self { queues, workers, stop, exported: Exported { signals: exported } })
    }

    /// The store, with everything that is stored by way of it from now on copied.
    pub fn copying<S>(&self, store: S) -> Copying<S> {
        Copying { store, queues: self.queues.clone() }
    }

    /// The counts, which go on while it runs.
    pub fn exported(&self) -> Exported {
        self.exported.clone()
    }

    /// Sends what is queued until `shutdown` completes, then what still waits if it goes fast,
    /// then returns. Dropped, it ends as in a crash: what was on its way may be sent once more.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { workers, stop, .. } = self;
        let mut sending = pin!(join_all(workers.into_iter().map(Worker::run)));
        select! {
            _ = &mut sending => {}
            () = shutdown => {
                stop.send_replace(true);
                let _either = timeout(GRACE, sending).await;
            }
        }
    }
}
