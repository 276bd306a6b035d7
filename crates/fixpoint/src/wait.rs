//! [`Wait`]: a step that looks until the world is as wanted.
//!
//! Not for effects: its check only looks. The surprise: it is a step like any other, so a run
//! that starts over waits anew, with a full deadline, if the plan still asks for it.

use std::{fmt, pin::Pin, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{Span, record_all};

use crate::{BoxError, Cancelled, Context, Event, Step, Steps};

/// What is worth waiting for in a cloud takes tens of seconds; looking more often only costs calls.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps the last look close to the moment of change, even after minutes of waiting.
const BACKING_OFF_TO: Duration = Duration::from_secs(15);

/// Machines and load balancers are up within a few minutes, or something is wrong. What takes
/// longer by its nature says so.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

type Looking = Pin<Box<dyn Future<Output = Result<Observed, BoxError>> + Send>>;
type Check = Box<dyn Fn(Context) -> Looking + Send + Sync>;

/// Waits until the world is as wanted. All its times are world time.
///
/// ```
/// use std::time::Duration;
/// use fixpoint::{Observed, Wait};
///
/// let wait = Wait::until("wait_for_instances", "instances of idg to run", "3 of 3", |_cx| async {
///     let running = 3; // Ask the cloud here.
///     Ok(if running == 3 { Observed::Ready } else { Observed::NotYet(format!("{running} of 3")) })
/// })
/// .every(Duration::from_secs(5))
/// .deadline(Duration::from_secs(600));
/// # assert!(format!("{wait:?}").contains("3 of 3"));
/// ```
pub struct Wait {
    name: String,
    reason: String,
    wanted: String,
    check: Check,
    every: Duration,
    backing_off_to: Duration,
    deadline: Duration,
}

/// What a [`Wait`] saw when it looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// The world is as wanted.
    Ready,
    /// It is not, and this is how it is: "2 of 3".
    NotYet(String),
}

/// A [`Wait`] came to its deadline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("waited {after:?} for {reason}: wanted {wanted}, last saw {seen}, looked {polls} times")]
pub struct TimedOut {
    /// What was waited for, in the operator's words.
    pub reason: String,
    /// The value that would have ended the wait.
    pub wanted: String,
    /// The value last seen.
    pub seen: String,
    /// How often it looked.
    pub polls: u32,
    /// The deadline, in world time.
    pub after: Duration,
}

impl Wait {
    /// A step called `name` that waits for `reason`, in the operator's words, until `check` is
    /// `Ready`; `wanted` says which value that is.
    ///
    /// It looks at once, then every 5 s, backing off to every 15 s, for a quarter of an hour.
    pub fn until<C, F>(
        name: impl Into<String>,
        reason: impl Into<String>,
        wanted: impl Into<String>,
        check: C,
    ) -> Self
    where
        C: Fn(Context) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Observed, BoxError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            reason: reason.into(),
            wanted: wanted.into(),
            check: Box::new(move |cx| Box::pin(check(cx))),
            every: EVERY,
            backing_off_to: BACKING_OFF_TO,
            deadline: DEADLINE,
        }
    }

    /// Sets the pause after the first look.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.every = pause;
        self
    }

    /// Sets how long the pauses become: each is half as long again as the one before it. A limit
    /// below [`every`](Self::every) means no backing off.
    #[must_use]
    pub fn backing_off_to(mut self, longest: Duration) -> Self {
        self.backing_off_to = longest;
        self
    }

    /// Sets how long it waits before it fails with [`TimedOut`]. It looks a last time then.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, reason, wanted, .. } = self;
        write!(f, "Wait({name}: {reason} to be {wanted})")
    }
}

#[async_trait]
impl Step for Wait {
    fn name(&self) -> &str {
        &self.name
    }

    fn waits(&self) -> bool {
        true
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { reason, wanted, .. } = self;
        let span = Span::current();
        record_all!(span, fixpoint.wait.reason = reason, fixpoint.wait.wanted = wanted);
        let began = Instant::now();
        let deadline = cx.pace().wall(self.deadline);
        let mut pause = self.every;
        let mut last = None;
        let mut polls = 0_u32;
        loop {
            polls = polls.saturating_add(1);
            let observed = tokio::select! {
                biased;
                () = cx.cancelled() => return Err(Cancelled.into()),
                observed = (self.check)(cx.clone()) => observed?,
            };
            let Observed::NotYet(seen) = observed else {
                record_all!(span, fixpoint.wait.seen = wanted, fixpoint.wait.polls = polls);
                tracing::info!("{reason}: {wanted}");
                return Ok(Steps::none());
            };
            let left = deadline.saturating_sub(began.elapsed());
            if last.as_ref() != Some(&seen) || left.is_zero() {
                record_all!(span, fixpoint.wait.seen = seen, fixpoint.wait.polls = polls);
                tracing::info!("waiting for {reason}: {seen}, wanted {wanted}");
            }
            if let Some(id) = cx.place.step {
                let (wanted, seen) = (wanted.as_str(), seen.as_str());
                cx.emit(Event::Waiting { id, reason, wanted, seen, polls, left }).await?;
            }
            if left.is_zero() {
                let (reason, wanted) = (reason.clone(), wanted.clone());
                return Err(TimedOut { reason, wanted, seen, polls, after: self.deadline }.into());
            }
            last = Some(seen);
            cx.sleep(pause.min(cx.pace().world(left))).await?;
            pause = pause.saturating_add(pause / 2).min(self.backing_off_to).max(self.every);
        }
    }
}
