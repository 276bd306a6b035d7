//! Empties the queue of one signal: takes what waits, sends it, again if need be.
//!
//! Not here: what an answer means (`send/`). The surprise: several requests are put together by
//! putting their bytes one after the other. A protobuf message with repeated fields is made for it,
//! and nothing is decoded.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{select, sync::watch, task::spawn_blocking, time::timeout};

use super::{
    counts::Counts,
    queue::{Frame, Queue},
    send::{Outcome, Sender},
};

/// About how many bytes are sent at once.
const BATCH: usize = 1 << 20;
/// How long a little waits for more to be sent with.
const GATHER: Duration = Duration::from_secs(1);
/// How long to wait before the second try,
const FIRST: Duration = Duration::from_secs(1);
/// and, as it doubles, before any other.
const MOST: Duration = Duration::from_secs(60);
/// How many times a request is sent that may itself be at fault: for some minutes.
const DOUBTS: u32 = 10;

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) queue: Arc<Queue>,
    pub(super) sender: Sender,
    pub(super) counts: Arc<Counts>,
    /// True once nothing more comes; the queue is then emptied as far as the collector takes it.
    pub(super) stopping: watch::Receiver<bool>,
    /// What was told last, so that it is told once.
    pub(super) trouble: Option<String>,
}

impl Worker {
    pub(super) async fn run(mut self) {
        loop {
            let ahead = self.queue.ahead();
            if ahead == 0 {
                if self.is_stopping() {
                    return;
                }
                self.filled().await;
            } else {
                if ahead < BATCH as u64 {
                    self.pause(GATHER).await;
                }
                let frames = self.take().await;
                let stuck = frames.is_empty() && self.is_stopping();
                if stuck || !self.deliver(frames).await {
                    return;
                }
            }
        }
    }

    /// Sends frames until it is known what becomes of each; false if that cannot be waited for.
    async fn deliver(&mut self, frames: Vec<Frame>) -> bool {
        let mut parts = VecDeque::from([frames]);
        while let Some(mut part) = parts.pop_front().filter(|part| !part.is_empty()) {
            let records = part.iter().map(|frame| u64::from(frame.records)).sum();
            match self.send(&part).await {
                None => return false,
                Some(Ok((rejected, message))) => {
                    let rejected = rejected.min(records);
                    self.counts.sent(records - rejected);
                    self.counts.refused(rejected);
                    match rejected > 0 || !message.is_empty() {
                        true => self.tell(format!("it left out {rejected} records: {message}")),
                        false => self.relieved(),
                    }
                }
                // One bad request must not cost those that happen to be sent with it.
                Some(Err(Refused { own_fault: true, .. })) if part.len() > 1 => {
                    parts.push_front(part.split_off(part.len() / 2));
                    parts.push_front(part);
                    continue;
                }
                Some(Err(Refused { why, .. })) => {
                    self.counts.refused(records);
                    self.tell(why);
                }
            }
            let queue = self.queue.clone();
            let done = blocking(move || queue.done(&part)).await;
            self.disk(done);
        }
        true
    }

    /// Sends one request until it is taken or refused. None if it is to stop before that: the
    /// request is still in the queue, for the next start.
    async fn send(&mut self, part: &[Frame]) -> Option<Result<(u64, String), Refused>> {
        let (mut wait, mut doubts) = (FIRST, 0);
        loop {
            let (after, why) = match self.sender.send(together(part)).await {
                Outcome::Taken { rejected, message } => return Some(Ok((rejected, message))),
                Outcome::Refused { why, own_fault } => {
                    return Some(Err(Refused { why, own_fault }));
                }
                Outcome::Later { after, why } => (after, why),
                Outcome::Doubtful { why } => {
                    doubts += 1;
                    if doubts == DOUBTS {
                        return Some(Err(Refused { why, own_fault: true }));
                    }
                    (None, why)
                }
            };
            self.tell(why);
            // Never together with all others who were turned away.
            let backoff = wait.mul_f64(0.5 + fastrand::f64() / 2.0);
            wait = (wait * 2).min(MOST);
            self.pause(after.unwrap_or(backoff)).await;
            if self.is_stopping() {
                return None;
            }
        }
    }

    /// What to send next. While the disk refuses, nothing is.
    async fn take(&mut self) -> Vec<Frame> {
        let queue = self.queue.clone();
        let taken = blocking(move || queue.take(BATCH)).await;
        if taken.is_err() {
            self.pause(MOST).await;
        }
        self.disk(taken).unwrap_or_default()
    }

    fn disk<T>(&mut self, done: io::Result<T>) -> Option<T> {
        done.inspect_err(|error| self.tell(format!("the queue's disk failed: {error}"))).ok()
    }

    /// Once for each trouble, not for each try.
    fn tell(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            let collector = self.sender.place();
            tracing::warn!(collector, reason = trouble, "records could not be exported");
            self.trouble = Some(trouble);
        }
    }

    fn relieved(&mut self) {
        if self.trouble.take().is_some() {
            let collector = self.sender.place();
            tracing::info!(collector, "records are exported again");
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits for more to send, but no longer than until it is to stop.
    async fn filled(&mut self) {
        select! {
            () = self.queue.filled() => {}
            // An error says that nobody can ask for it any more.
            _ = self.stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// Lets time pass, but no longer than until it is to stop.
    async fn pause(&mut self, time: Duration) {
        let _either = timeout(time, self.stopping.wait_for(|stopping| *stopping)).await;
    }
}

/// It is not to be sent again.
#[derive(Debug)]
struct Refused {
    why: String,
    own_fault: bool,
}

fn together(part: &[Frame]) -> Bytes {
    match part {
        [frame] => frame.request.clone(),
        frames => {
            let mut all = Vec::with_capacity(frames.iter().map(|frame| frame.request.len()).sum());
            frames.iter().for_each(|frame| all.extend_from_slice(&frame.request));
            all.into()
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|died| Err(io::Error::other(died)))
}
