//! A circuit breaker: calls to an API that does not answer wait instead of being sent.
//!
//! It opens after so many attempts in a row without an answer, of all callers together. While it is
//! open nothing is sent; then one call tries, and if it is answered all go on, otherwise it stays
//! open for twice as long. The surprise: a refusal is an answer. Only silence and errors of AWS's
//! own count, since they say nothing about the call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fixpoint::Pace;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How many attempts in a row. A call has four; so it takes two calls.
const FAILURES: u32 = 8;
/// How long it is open at first, and at most, in world time.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60);
/// A trial that says nothing for so long, in world time, is given up, and another one goes.
const TRIAL: Duration = Duration::from_secs(35);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Calls are sent.
    Closed,
    /// No call is sent.
    Open,
    /// One call is sent, to see whether it is answered.
    Trial,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Attempts in a row without an answer, and how the last of them ended.
    failures: u32,
    last: String,
    /// None: closed. Then, when it opened, how long it stays open, and until when.
    open: Option<Opening>,
}

#[derive(Debug, Clone, Copy)]
struct Opening {
    since: Instant,
    pause: Duration,
    until: Instant,
    trial: bool,
}

/// No answer came for too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not sent: {failures} attempts in a row got no answer from {api} for {}s (the last: {last})",
    silent.as_secs()
)]
pub(crate) struct NoAnswers {
    api: String,
    failures: u32,
    /// In world time.
    silent: Duration,
    last: String,
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it stands, and how many attempts in a row got no answer.
    pub(super) fn circuit(&self) -> (Circuit, u32) {
        let state = self.state();
        let circuit = match state.open {
            None => Circuit::Closed,
            Some(Opening { trial: true, .. }) => Circuit::Trial,
            Some(_) => Circuit::Open,
        };
        (circuit, state.failures)
    }

    /// Waits until a call may be sent. If that is not now, `held` is told first.
    ///
    /// # Errors
    /// If it may not within `patience`, in world time.
    pub(super) async fn pass(
        &self,
        api: &str,
        pace: Pace,
        patience: Duration,
        held: impl FnOnce(u32),
    ) -> Result<(), NoAnswers> {
        let limit = Instant::now() + pace.wall(patience);
        let mut held = Some(held);
        loop {
            let changed = self.changed.notified();
            let (failures, until) = {
                let mut state = self.state();
                let now = Instant::now();
                let failures = state.failures;
                match &mut state.open {
                    None => return Ok(()),
                    Some(opening) if opening.until <= now => {
                        // This call is the one that tries.
                        opening.trial = true;
                        opening.until = now + pace.wall(TRIAL);
                        return Ok(());
                    }
                    Some(opening) => (failures, opening.until),
                }
            };
            if let Some(held) = held.take() {
                held(failures);
            }
            let now = Instant::now();
            if now >= limit {
                let state = self.state();
                let since = state.open.map_or(now, |opening| opening.since);
                return Err(NoAnswers {
                    api: api.to_owned(),
                    failures: state.failures,
                    silent: pace.world(now - since),
                    last: state.last.clone(),
                });
            }
            tokio::select! {
                () = changed => {}
                _ = tokio::time::sleep_until(until.min(limit)) => {}
            }
        }
    }

    /// An attempt was answered, if only by a refusal.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        let was_open = state.open.is_some();
        *state = State::default();
        drop(state);
        if was_open {
            self.changed.notify_waiters();
        }
    }

    /// An attempt was not answered. True if that opened it.
    pub(super) fn unanswered(&self, pace: Pace, why: &str) -> bool {
        let mut guard = self.state();
        let state = &mut *guard;
        state.failures += 1;
        why.clone_into(&mut state.last);
        let now = Instant::now();
        let opened = match &mut state.open {
            None if state.failures >= FAILURES => {
                let until = now + pace.wall(FIRST);
                state.open = Some(Opening { since: now, pause: FIRST, until, trial: false });
                true
            }
            None => false,
            Some(opening) if opening.trial => {
                opening.pause = (opening.pause * 2).min(LONGEST);
                opening.until = now + pace.wall(opening.pause);
                opening.trial = false;
                false
            }
            // Sent before it opened.
            Some(_) => false,
        };
        drop(guard);
        self.changed.notify_waiters();
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    async fn pass(breaker: &Breaker) -> Result<Duration, NoAnswers> {
        let start = Instant::now();
        breaker.pass("EC2 in eu-west-1", Pace::REAL, PATIENCE, |_| {}).await?;
        Ok(start.elapsed())
    }

    fn open() -> Breaker {
        let breaker = Breaker::default();
        for n in 1..=FAILURES {
            assert_eq!(breaker.unanswered(Pace::REAL, "connection reset"), n == FAILURES);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn answers_in_between_keep_it_closed() {
        let breaker = Breaker::default();
        for _ in 0..10 {
            for _ in 1..FAILURES {
                assert!(!breaker.unanswered(Pace::REAL, "timeout"));
            }
            breaker.answered();
        }
        assert_eq!(pass(&breaker).await, Ok(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn open_it_lets_one_call_try_and_all_others_wait_for_what_comes_of_it() {
        let breaker = open();
        assert_eq!(breaker.circuit(), (Circuit::Open, FAILURES));
        let waited = pass(&breaker).await.unwrap();
        assert_eq!(waited.as_secs(), FIRST.as_secs());
        assert_eq!(breaker.circuit().0, Circuit::Trial);
        let (second, ()) = tokio::join!(pass(&breaker), async {
            tokio::task::yield_now().await;
            breaker.answered();
        });
        assert_eq!(second, Ok(Duration::ZERO));
        assert_eq!(breaker.circuit(), (Circuit::Closed, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_trial_without_an_answer_makes_the_next_come_later_and_one_that_is_lost_is_repeated()
    {
        let breaker = open();
        pass(&breaker).await.unwrap();
        breaker.unanswered(Pace::REAL, "timeout");
        assert_eq!(pass(&breaker).await.unwrap().as_secs(), 2 * FIRST.as_secs());
        // That one was cancelled and says nothing.
        assert_eq!(pass(&breaker).await.unwrap().as_secs(), TRIAL.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_long_enough_is_told_what_it_waited_for() {
        let breaker = open();
        let now = Instant::now();
        let until = now + 2 * PATIENCE;
        breaker.state().open = Some(Opening { since: now, pause: LONGEST, until, trial: false });
        let text = pass(&breaker).await.unwrap_err().to_string();
        assert_eq!(
            text,
            "not sent: 8 attempts in a row got no answer from EC2 in eu-west-1 for 120s \
             (the last: connection reset)"
        );
    }
}
