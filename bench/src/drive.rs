//! Sends requests over some connections at once, as fast as they are acknowledged or at a rate.
//!
//! A request that is given up ends it all: whatever came after would measure something else. The
//! surprise: at a rate, a request's time counts from when it was due, not from when a
//! connection was free for it; else a server that stands still would look fast.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    errors::chain,
    measure::{Summary, Times},
    send::{Protocol, SendError, Sender},
    source::Source,
};

/// What to send, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// By which protocol.
    pub protocol: Protocol,
    /// To where: `127.0.0.1:4317`.
    pub address: String,
    /// The number of the first request.
    pub first: u64,
    /// Until this many spans are sent; the last request may exceed it.
    pub spans: u64,
    /// But no longer than this.
    pub at_most: Option<Duration>,
    /// How many connections there are, each with one request under way.
    pub connections: usize,
    /// So many spans a second; none: as fast as they are acknowledged.
    pub rate: Option<f64>,
    /// For how long a request that is refused or lost is sent again.
    pub patience: Duration,
}

/// What became of it.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Outcome {
    /// Spans acknowledged.
    pub spans: u64,
    /// Requests acknowledged.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Spans acknowledged in a second.
    pub spans_per_second: f64,
    /// How long an acknowledgement took.
    pub acknowledgement_ms: Summary,
    /// How often the server refused a request for now.
    pub refused: u64,
    /// How often no answer came.
    pub lost: u64,
    /// How often a request was sent again.
    pub retried: u64,
    /// Spans that the server left out of requests it acknowledged.
    pub left_out: u64,
    /// Requests given up.
    pub failed: u64,
    /// Why the first of them was.
    pub first_failure: Option<String>,
    /// The number of the request after the last.
    pub next: u64,
}

/// By trace, how many of its spans were acknowledged, and how many sent.
pub type Ledger = HashMap<[u8; 16], (u32, u32)>;

/// Sends, until all is sent. Writes into the ledger, if there is one, what was acknowledged.
///
/// # Errors
/// If the address is none.
pub async fn drive(
    source: &Arc<Source>,
    plan: &Plan,
    ledger: Option<&Arc<Mutex<Ledger>>>,
) -> Result<Outcome, SendError> {
    let start = Instant::now();
    let next = Arc::new(AtomicU64::new(plan.first));
    let over = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for _ in 0..plan.connections.max(1) {
        let worker = Worker {
            sender: Sender::new(plan.protocol, &plan.address)?,
            source: Arc::clone(source),
            plan: plan.clone(),
            ledger: ledger.cloned(),
            start,
            over: Arc::clone(&over),
            done: Outcome::default(),
            times: Times::default(),
        };
        workers.spawn(worker.run(Arc::clone(&next)));
    }
    let mut all = Outcome::default();
    let mut times = Times::default();
    for (done, took) in workers.join_all().await {
        all.spans += done.spans;
        all.requests += done.requests;
        all.bytes += done.bytes;
        all.refused += done.refused;
        all.lost += done.lost;
        all.retried += done.retried;
        all.left_out += done.left_out;
        all.failed += done.failed;
        all.first_failure = all.first_failure.or(done.first_failure);
        all.next = all.next.max(done.next);
        times.extend(took);
    }
    all.seconds = start.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = all.spans as f64 / all.seconds;
    all.spans_per_second = rate;
    all.acknowledgement_ms = times.summary();
    Ok(all)
}

struct Worker {
    sender: Sender,
    source: Arc<Source>,
    plan: Plan,
    ledger: Option<Arc<Mutex<Ledger>>>,
    start: Instant,
    /// A request was given up.
    over: Arc<AtomicBool>,
    done: Outcome,
    times: Times,
}

impl Worker {
    async fn run(mut self, next: Arc<AtomicU64>) -> (Outcome, Times) {
        let first = self.source.spans_before(self.plan.first);
        loop {
            let number = next.fetch_add(1, Relaxed);
            let before = self.source.spans_before(number) - first;
            let late = self.plan.at_most.is_some_and(|at_most| self.start.elapsed() > at_most);
            if before >= self.plan.spans || late || self.over.load(Relaxed) {
                return (self.done, self.times);
            }
            self.done.next = number + 1;
            self.request(number, before).await;
        }
    }

    async fn request(&mut self, number: u64, before: u64) {
        let body = self.source.request(number);
        let mut due = Instant::now();
        if let Some(rate) = self.plan.rate {
            #[allow(clippy::cast_precision_loss, reason = "a rate")]
            let after = before as f64 / rate;
            due = self.start + Duration::from_secs_f64(after);
            sleep_until(due).await;
        }
        let sent = loop {
            let error = match self.sender.send(body.clone()).await {
                Ok(left_out) => break Ok(left_out),
                Err(error) => error,
            };
            let pause = match &error {
                SendError::Refused { after, .. } => {
                    self.done.refused += 1;
                    after.unwrap_or(Duration::from_millis(50))
                }
                SendError::Lost(_) => {
                    self.done.lost += 1;
                    Duration::from_millis(100)
                }
                SendError::Rejected(_) => break Err(error),
            };
            let again = Instant::now() + pause;
            if again > due + self.plan.patience {
                break Err(error);
            }
            sleep_until(again).await;
            self.done.retried += 1;
        };
        self.note(number, sent.is_ok());
        match sent {
            Ok(left_out) => {
                self.times.add(due.elapsed());
                let spans = self.source.spans_before(number + 1) - self.source.spans_before(number);
                self.done.spans += spans - left_out.min(spans);
                self.done.requests += 1;
                self.done.bytes += body.len() as u64;
                self.done.left_out += left_out;
            }
            Err(error) => {
                self.over.store(true, Relaxed);
                self.done.failed += 1;
                self.done.first_failure.get_or_insert_with(|| chain(&error));
            }
        }
    }

    fn note(&self, number: u64, acknowledged: bool) {
        let Some(ledger) = &self.ledger else { return };
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, count) in self.source.traces(number) {
            let entry = ledger.entry(id).or_default();
            entry.0 += if acknowledged { count } else { 0 };
            entry.1 += count;
        }
    }
}
