//! What a plan and its steps may know of the run they are part of.
//!
//! Not for clients or settings: those are fields of the plan. The surprise: time has a pace. In a
//! sandbox whose clock runs sixty times as fast, a wait of a minute takes a second.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{Cancelled, Error, Event, Observer, Step, run::Run};

/// What a plan and its steps may know of the run they are part of. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    settings: Arc<Settings>,
    pub(crate) run: Arc<Run>,
    pub(crate) place: Place,
}

#[derive(Clone)]
struct Settings {
    run_id: String,
    cancel: CancellationToken,
    observer: Option<Arc<dyn Observer>>,
    skips: Option<Arc<Skips>>,
    pace: Pace,
}

/// Says of a step why it is not to be run, if it is not.
type Skips = dyn Fn(&dyn Step) -> Option<String> + Send + Sync;

/// Where in the tree of steps this context is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    /// The step that runs, unless the plan itself does.
    pub(crate) step: Option<u64>,
    /// How many steps it is inside of.
    pub(crate) depth: usize,
    /// How many `Together`s it is inside of.
    pub(crate) nesting: usize,
}

impl Context {
    /// A context with a random run id, which nobody cancels, nobody observes, at real pace.
    pub fn new() -> Self {
        let settings = Settings {
            run_id: format!("{:016x}", fastrand::u64(..)),
            cancel: CancellationToken::new(),
            observer: None,
            skips: None,
            pace: Pace::REAL,
        };
        Self { settings: Arc::new(settings), run: Arc::default(), place: Place::default() }
    }

    /// Lets `cancel` end the run: nothing new starts, waits wake at once, and a step that is at
    /// work finishes. To abandon that too, drop the future of
    /// [`Scheduler::execute`](crate::Scheduler::execute).
    #[must_use]
    pub fn with_cancel(mut self, cancel: CancellationToken) -> Self {
        Arc::make_mut(&mut self.settings).cancel = cancel;
        self
    }

    /// Tells `observer` what happens in the run.
    #[must_use]
    pub fn with_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        Arc::make_mut(&mut self.settings).observer = Some(observer);
        self
    }

    /// Leaves steps out. `why` is asked of each step before it starts; one for which it has a reason
    /// is not run, and counts as done until the plan is asked again. An answer of which nothing else
    /// is left ends the run, with [`Report::skipped`](crate::Report::skipped) saying so.
    #[must_use]
    pub fn with_skips(
        mut self,
        why: impl Fn(&dyn Step) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.settings).skips = Some(Arc::new(why));
        self
    }

    /// Sets how fast the world's clock goes.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace) -> Self {
        Arc::make_mut(&mut self.settings).pace = pace;
        self
    }

    /// Sets the run's id.
    #[must_use]
    pub fn with_run_id(mut self, run_id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.settings).run_id = run_id.into();
        self
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.settings.run_id
    }

    /// True once the run is cancelled. For steps that do a lot by themselves.
    pub fn is_cancelled(&self) -> bool {
        self.settings.cancel.is_cancelled()
    }

    /// Ends when the run is cancelled.
    pub async fn cancelled(&self) {
        self.settings.cancel.cancelled().await;
    }

    /// How fast the world's clock goes.
    pub fn pace(&self) -> Pace {
        self.settings.pace
    }

    /// Sleeps for `pause` in world time. To wait for something, use [`Wait`](crate::Wait), which
    /// tells others what for.
    ///
    /// # Errors
    /// [`Cancelled`], at once, when the run is cancelled.
    pub async fn sleep(&self, pause: Duration) -> Result<(), Cancelled> {
        tokio::select! {
            biased;
            () = self.cancelled() => Err(Cancelled),
            () = wall_sleep(self.pace().wall(pause)) => Ok(()),
        }
    }

    pub(crate) fn in_run(&self, run: Run) -> Self {
        Self { run: Arc::new(run), ..self.clone() }
    }

    /// Why the step is not to be run, if it is not.
    pub(crate) fn skips(&self, step: &dyn Step) -> Option<String> {
        self.settings.skips.as_ref().and_then(|why| why(step))
    }

    /// Whether the step, or one that it is made of, is to be run.
    pub(crate) fn leaves(&self, step: &dyn Step) -> bool {
        let parts = step.parts();
        self.skips(step).is_none()
            && (parts.is_empty() || parts.iter().any(|part| self.leaves(&**part)))
    }

    pub(crate) fn is_observed(&self) -> bool {
        self.settings.observer.is_some()
    }

    /// Tells the observer, if there is one.
    pub(crate) async fn emit(&self, event: Event<'_>) -> Result<(), Error> {
        match &self.settings.observer {
            Some(observer) => observer.on_event(event).await.map_err(Error::Observer),
            None => Ok(()),
        }
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("run_id", &self.settings.run_id)
            .field("pace", &self.settings.pace)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Sleeps in wall time, from this call on, and wakes for nothing else: the caller selects on what
/// may interrupt it.
#[expect(clippy::disallowed_methods, reason = "this is what Context::sleep is made of")]
pub(crate) fn wall_sleep(pause: Duration) -> tokio::time::Sleep {
    tokio::time::sleep(pause)
}

/// How fast the world's clock goes, in world seconds per wall second.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Pace(f64);

/// A pace must be a positive number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pace: it takes a positive number, for example 60")]
pub struct NotAPace(String);

impl Pace {
    /// The world's clock is the wall's.
    pub const REAL: Self = Self(1.0);

    /// The world's clock goes `factor` times as fast as the wall's.
    ///
    /// # Panics
    /// If `factor` is not a positive finite number. Text from a user is parsed instead.
    pub fn times(factor: f64) -> Self {
        assert!(factor.is_finite() && factor > 0.0, "a pace of {factor}");
        Self(factor)
    }

    /// World seconds per wall second.
    pub fn factor(self) -> f64 {
        self.0
    }

    /// How long `world` time takes on the wall.
    pub fn wall(self, world: Duration) -> Duration {
        self.scaled(world, 1.0 / self.0)
    }

    /// How much time goes by in the world during `wall`.
    pub fn world(self, wall: Duration) -> Duration {
        self.scaled(wall, self.0)
    }

    fn scaled(self, time: Duration, by: f64) -> Duration {
        if self == Self::REAL {
            return time;
        }
        Duration::try_from_secs_f64(time.as_secs_f64() * by).unwrap_or(Duration::MAX)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::REAL
    }
}

impl FromStr for Pace {
    type Err = NotAPace;

    fn from_str(text: &str) -> Result<Self, NotAPace> {
        match text.trim().parse::<f64>() {
            Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Self(factor)),
            _ => Err(NotAPace(text.to_owned())),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_world_makes_waits_short_and_never_overflows() {
        let minute = Duration::from_secs(60);
        assert_eq!(Pace::times(60.0).wall(minute), Duration::from_secs(1));
        assert_eq!(Pace::times(60.0).world(Duration::from_secs(1)), minute);
        assert_eq!(Pace::REAL.wall(Duration::MAX), Duration::MAX);
        assert_eq!(Pace::times(0.5).wall(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn only_positive_numbers_are_a_pace() {
        assert_eq!("2.5".parse(), Ok(Pace::times(2.5)));
        for bad in ["0", "-1", "nan", "inf", "fast", ""] {
            assert_eq!(bad.parse::<Pace>(), Err(NotAPace(bad.to_owned())));
        }
    }

    #[test]
    fn debug_shows_no_observer_and_no_token() {
        let cx = Context::new().with_run_id("r1");
        assert!(format!("{cx:?}").starts_with("Context { run_id: \"r1\""));
    }
}
