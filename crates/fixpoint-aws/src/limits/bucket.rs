//! A token bucket with a queue: who comes first is served first.
//!
//! Times are the world's. The surprise: AWS has the last word. When it throttles a call all the
//! same, others share the account, and the bucket is emptied rather than believed.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use std::time::Duration;

use fixpoint::Pace;
use tokio::time::Instant;

use super::quota::Quota;

#[derive(Debug)]
pub(super) struct Bucket {
    quota: Quota,
    level: Mutex<Level>,
    /// Fair: whoever waits longest is next.
    turn: tokio::sync::Mutex<()>,
    waiting: AtomicUsize,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    tokens: f64,
    at: Instant,
}

/// One more that waits, as long as this lives.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Bucket {
    pub(super) fn full(quota: Quota) -> Self {
        Self {
            quota,
            level: Mutex::new(Level { tokens: quota.size, at: Instant::now() }),
            turn: tokio::sync::Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a token as soon as it is this caller's turn. If that is not now, `queued` is told
    /// first how many are served before. A caller that is dropped leaves the queue.
    pub(super) async fn take(&self, pace: Pace, queued: impl FnOnce(usize)) {
        let before = self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        let _turn = match self.turn.try_lock() {
            Ok(turn) => {
                if self.missing(pace).is_some() {
                    queued(before);
                }
                turn
            }
            Err(_) => {
                queued(before);
                self.turn.lock().await
            }
        };
        while let Some(pause) = self.missing(pace) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the SDK drops the call if it is cancelled"
            )]
            tokio::time::sleep(pause).await;
        }
        self.level.lock().unwrap_or_else(PoisonError::into_inner).tokens -= 1.0;
    }

    /// Nothing is left: AWS said so.
    pub(super) fn drain(&self) {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        *level = Level { tokens: 0.0, at: Instant::now() };
    }

    pub(super) fn class(&self) -> &'static str {
        self.quota.class
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// How long until there is a token, if there is none.
    fn missing(&self, pace: Pace) -> Option<Duration> {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let refilled = pace.world(now - level.at).as_secs_f64() * self.quota.per_second;
        *level = Level { tokens: (level.tokens + refilled).min(self.quota.size), at: now };
        let missing = 1.0 - level.tokens;
        let wall = pace.wall(Duration::from_secs_f64((missing / self.quota.per_second).max(0.0)));
        // A timer is no finer than this, and a shorter one would be asked for again and again.
        (missing > 1e-9).then(|| wall.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const QUOTA: Quota = Quota { class: "run", size: 2.0, per_second: 2.0 };

    #[tokio::test(start_paused = true)]
    async fn a_full_bucket_serves_at_once_then_at_its_rate_in_the_order_of_coming() {
        let bucket = Arc::new(Bucket::full(QUOTA));
        let start = Instant::now();
        let mut callers = tokio::task::JoinSet::new();
        for n in 0..5 {
            let bucket = Arc::clone(&bucket);
            callers.spawn(async move {
                let mut before = None;
                bucket.take(Pace::REAL, |ahead| before = Some(ahead)).await;
                (n, before, start.elapsed())
            });
        }
        let mut served = Vec::new();
        while let Some(caller) = callers.join_next().await {
            served.push(caller.unwrap());
        }
        let order: Vec<_> = served.iter().map(|(n, ..)| *n).collect();
        assert_eq!(order, [0, 1, 2, 3, 4]);
        let ahead: Vec<_> = served.iter().map(|(_, ahead, _)| *ahead).collect();
        assert_eq!(ahead, [None, None, Some(0), Some(1), Some(2)]);
        let waited: Vec<_> = served.iter().map(|(.., at)| at.as_millis() / 10).collect();
        assert_eq!(waited, [0, 0, 50, 100, 150]);
        assert_eq!(bucket.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_queue_and_takes_no_token() {
        let bucket = Bucket::full(QUOTA);
        bucket.drain();
        let start = Instant::now();
        let gave_up =
            tokio::time::timeout(Duration::from_millis(100), bucket.take(Pace::REAL, |_| {}));
        gave_up.await.unwrap_err();
        assert_eq!(bucket.waiting(), 0);
        bucket.take(Pace::REAL, |_| {}).await;
        assert_eq!(start.elapsed().as_millis() / 10, 50, "the first token that came back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_world_fills_fast() {
        let bucket = Bucket::full(QUOTA);
        bucket.drain();
        let start = Instant::now();
        bucket.take(Pace::times(100.0), |_| {}).await;
        assert!(start.elapsed() < Duration::from_millis(10), "{:?}", start.elapsed());
    }
}
