//! Test kit for plan authors: does the plan reach its fixpoint, does it survive being killed
//! anywhere, is each step safe to run twice?
//!
//! Not a fake world; authors bring theirs. The surprise: these functions panic, as assertions do,
//! with what went wrong in the message. Wait for nothing in real time: pause Tokio's clock
//! (`#[tokio::test(start_paused = true)]`) or give the context a [`Pace`](crate::Pace).

use std::{
    fmt::Debug,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    BoxError, Chain, Context, Event, Observer, Outcome, Plan, Report, Scheduler, Step, Steps,
};

/// Solves `plan`, then asserts that creating it again returns no steps.
///
/// ```
/// # use fixpoint::{testing::{assert_fixpoint, doc::Jars}, Context};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shelf = Jars::default();
/// let report = assert_fixpoint(&shelf.plan(3), &Context::new()).await;
/// assert_eq!(report.steps, 3);
/// # }
/// ```
///
/// # Panics
/// If the plan cannot be solved, or asks for more once it is.
pub async fn assert_fixpoint(plan: &dyn Plan, cx: &Context) -> Report {
    let report = solve(plan, cx).await;
    match plan.create(cx).await {
        Ok(answer) => {
            let left = keys(answer.steps());
            assert!(left.is_empty(), "plan {} was solved, yet asks for {left:?}", plan.name());
        }
        Err(error) => panic!("plan {} was solved, then: {}", plan.name(), Chain(&*error)),
    }
    report
}

/// Kills a run of the plan at its first event, starts over in the world it left, and asserts that
/// it comes to the same end as a run that nobody killed; then the same with the second event,
/// and so on through all events of a run. Returns how often it killed.
///
/// Killed means: the run's future is dropped, as by `kill -9`, with whatever ran together still
/// under way, and the event is not recorded. `fresh` makes a new world, `plan` a plan in it, and
/// `end` tells what of the world must be the same: counts and names, say, not ids.
///
/// ```
/// # use fixpoint::{testing::{kill_everywhere, doc::Jars}, Context};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let kills = kill_everywhere(&Context::new(), Jars::default, |w| w.plan(3), Jars::count).await;
/// assert_eq!(kills, 9); // Planned twice, three steps started and finished, converged.
/// # }
/// ```
///
/// # Panics
/// If a run fails, or comes to another end.
pub async fn kill_everywhere<W, P, E>(
    cx: &Context,
    fresh: impl Fn() -> W,
    plan: impl Fn(&W) -> P,
    end: impl Fn(&W) -> E,
) -> u64
where
    P: Plan,
    E: PartialEq + Debug,
{
    let undisturbed = fresh();
    solve(&plan(&undisturbed), cx).await;
    let expected = end(&undisturbed);
    for nth in 1.. {
        let world = fresh();
        let killer = Arc::new(Killer { left: AtomicU64::new(nth), reached: Notify::new() });
        let watched = cx.clone().with_observer(killer.clone());
        let victim = plan(&world);
        tokio::select! {
            biased;
            () = killer.reached.notified() => {}
            _ = solve(&victim, &watched) => return nth - 1,
        }
        solve(&plan(&world), cx).await;
        let reached = end(&world);
        assert_eq!(reached, expected, "killed at event {nth}, then started over");
    }
    unreachable!("a run has fewer than 2^64 events")
}

struct Killer {
    left: AtomicU64,
    reached: Notify,
}

#[async_trait]
impl Observer for Killer {
    async fn on_event(&self, _: Event<'_>) -> Result<(), BoxError> {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.reached.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Solves `plan` with each step run twice in a row, and asserts the fixpoint as
/// [`assert_fixpoint`] does. Steps within a [`Together`](crate::Together) run twice as a whole.
///
/// That the second run of a step did no harm is for the caller to assert of its world.
///
/// ```
/// # use fixpoint::{testing::{run_steps_twice, doc::Jars}, Context};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shelf = Jars::default();
/// run_steps_twice(&shelf.plan(3), &Context::new()).await;
/// assert_eq!(shelf.count(), 3);
/// # }
/// ```
///
/// # Panics
/// If the plan cannot be solved, or asks for more once it is.
pub async fn run_steps_twice(plan: &dyn Plan, cx: &Context) -> Report {
    assert_fixpoint(&Twice(plan), cx).await
}

struct Twice<T>(T);

impl<T> Twice<T> {
    fn each(mut steps: Steps) -> Steps {
        steps.steps = steps.steps.into_iter().map(|step| Twice(step).boxed()).collect();
        steps
    }
}

#[async_trait]
impl Plan for Twice<&dyn Plan> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn create(&self, cx: &Context) -> Result<Steps, BoxError> {
        self.0.create(cx).await.map(Twice::<Box<dyn Step>>::each)
    }
}

impl Debug for Twice<Box<dyn Step>> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.key())
    }
}

#[async_trait]
impl Step for Twice<Box<dyn Step>> {
    fn name(&self) -> &str {
        self.0.name()
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        self.0.run(cx).await?;
        self.0.run(cx).await.map(Self::each)
    }
}

/// An observer that keeps each event as a line of text.
///
/// ```
/// # use std::sync::Arc;
/// # use fixpoint::{testing::{assert_fixpoint, Recording, doc::Jars}, Context};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let recording = Arc::new(Recording::default());
/// let cx = Context::new().with_observer(recording.clone());
/// assert_fixpoint(&Jars::default().plan(1), &cx).await;
/// assert_eq!(recording.lines(), [
///     "planned put_jar",
///     "put_jar started",
///     "put_jar done",
///     "planned nothing",
///     "converged after 2 iterations and 1 steps",
/// ]);
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Recording(Mutex<Vec<String>>);

impl Recording {
    /// What was recorded, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of the steps, in the order in which they started.
    pub fn steps(&self) -> Vec<String> {
        let started = |line: &String| line.strip_suffix(" started").map(str::to_owned);
        self.lines().iter().filter_map(started).collect()
    }
}

#[async_trait]
impl Observer for Recording {
    async fn on_event(&self, event: Event<'_>) -> Result<(), BoxError> {
        let line = match event {
            Event::Planned { answer, .. } if answer.is_empty() => "planned nothing".to_owned(),
            Event::Planned { answer, .. } => {
                let names: Vec<_> = answer.steps().iter().map(|step| step.name()).collect();
                format!("planned {}", names.join(", "))
            }
            Event::StepStarted { step, .. } => format!("{} started", step.name()),
            Event::Waiting { reason, wanted, seen, .. } => {
                format!("waiting for {reason}: {seen}, wanted {wanted}")
            }
            Event::StepFinished { step, outcome, .. } => match outcome {
                Outcome::Done { .. } => format!("{} done", step.name()),
                Outcome::Failed(error) => format!("{} failed: {}", step.name(), Chain(error)),
                Outcome::Cancelled => format!("{} cancelled", step.name()),
            },
            Event::StepSkipped { step, reason } => format!("{} skipped: {reason}", step.name()),
            Event::Converged(Report { iterations, steps, .. }) => {
                format!("converged after {iterations} iterations and {steps} steps")
            }
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }
}

async fn solve(plan: &dyn Plan, cx: &Context) -> Report {
    match Scheduler::default().execute(plan, cx).await {
        Ok(report) => report,
        Err(error) => panic!("plan {} was not solved: {}", plan.name(), Chain(&error)),
    }
}

fn keys(steps: &[Box<dyn Step>]) -> Vec<String> {
    steps.iter().map(|step| step.key()).collect()
}

#[doc(hidden)]
pub mod doc {
    //! The world of the examples above: a shelf for jars.

    use std::sync::{Arc, Mutex, PoisonError};

    use crate::{BoxError, Context, Plan, Step, Steps, async_trait};

    #[derive(Debug, Clone, Default)]
    pub struct Jars(Arc<Mutex<usize>>);

    impl Jars {
        pub fn count(&self) -> usize {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub fn plan(&self, wanted: usize) -> impl Plan + use<> {
            Stock { shelf: self.clone(), wanted }
        }
    }

    struct Stock {
        shelf: Jars,
        wanted: usize,
    }

    #[derive(Debug)]
    struct PutJar {
        place: usize,
        shelf: Jars,
    }

    #[async_trait]
    impl Plan for Stock {
        fn name(&self) -> &str {
            "stock_shelf"
        }

        async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
            let put = |place| PutJar { place, shelf: self.shelf.clone() }.boxed();
            Ok((self.shelf.count()..self.wanted).map(put).collect())
        }
    }

    #[async_trait]
    impl Step for PutJar {
        fn name(&self) -> &str {
            "put_jar"
        }

        async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
            let mut count = self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner);
            *count = (*count).max(self.place + 1);
            Ok(Steps::none())
        }
    }
}
