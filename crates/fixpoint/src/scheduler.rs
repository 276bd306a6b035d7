//! Takes one plan to its fixpoint.
//!
//! The loop is `create`, run the steps, `create` again. It takes no hints: not which resource
//! changed, not where the last run stopped. So there is one code path, used all the time, and a
//! crash costs nothing but looking again.
//!
//! Not here: retry, and which plan runs when; those are its caller's. The surprise: the
//! scheduler holds settings and no state, so one can serve any number of runs at once.

use std::{pin::pin, time::Duration};

use tracing::{Instrument, field::Empty};

use crate::{
    Cancelled, Chain, Context, Error, Event, Plan, Step, Steps,
    context::wall_sleep,
    convergence::{History, Verdict},
    run::{self, Bounds, Run, guarded, run_tree},
};

/// Takes a plan to its fixpoint: create, run the steps, create again, until no step is left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scheduler {
    bounds: Bounds,
}

/// What it took to solve a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How often the plan was created, the last, empty answer included.
    pub iterations: u32,
    /// How many steps ran, inner steps included.
    pub steps: u32,
    /// How many steps the last answer held, all of which were to be
    /// [skipped](Context::with_skips). The world is as wanted only if there are none.
    pub skipped: u32,
}

impl Scheduler {
    /// Bounds how often the plan is created. 500 if not set.
    #[must_use]
    pub fn max_iterations(mut self, most: u32) -> Self {
        self.bounds.iterations = most;
        self
    }

    /// Bounds how many steps run. 20,000 if not set.
    #[must_use]
    pub fn max_steps(mut self, most: u32) -> Self {
        self.bounds.steps = most;
        self
    }

    /// Bounds how deep steps return steps that return steps. 1,000 if not set.
    #[must_use]
    pub fn max_depth(mut self, most: usize) -> Self {
        self.bounds.depth = most;
        self
    }

    /// Bounds how long the run takes, in wall time. Two hours if not set. A step still at work
    /// then is abandoned at its next `await`.
    #[must_use]
    pub fn max_wall(mut self, most: Duration) -> Self {
        self.bounds.wall = most;
        self
    }

    /// Sets how often the same answer, or the same cycle of answers, may come before the plan
    /// counts as not converging. Three if not set; less than two is two.
    #[must_use]
    pub fn repeats(mut self, times: u32) -> Self {
        self.bounds.repeats = times;
        self
    }

    /// Takes `plan` to its fixpoint.
    ///
    /// Guarantees:
    /// - Steps run in order, and the steps that a step returns run right after it, before its
    ///   siblings. No step starts after one failed, except that those which already run
    ///   [`Together`](crate::Together) with it finish.
    /// - When this returns a report, the plan's last answer was empty, or held only steps that were
    ///   skipped, and came after the last step had run.
    /// - The run is bounded, whatever plan and steps do, unless a step blocks its thread.
    /// - Each step that starts has its span, its `StepStarted`, and its `StepFinished` before
    ///   anything else starts in its place, even if it panics.
    ///
    /// Assumptions: a step that ran only in part, or whose answer was lost, may be run again.
    /// Dropping the future is such a case: it is what a crash looks like. And no step executes
    /// another plan with the context it was given, for the observer would take that plan's
    /// events for the run's: a plan asks another plan by its `create`, and
    /// [appends](crate::Steps::append) the answer.
    ///
    /// Caveats: needs a Tokio runtime with time enabled. An answer that repeats is run again
    /// only after a pause (5 s of world time, then twice that, up to a minute), so that a world
    /// which shows effects late gets time to show them.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Cancelled`] is not a failure. Nothing is undone. Executing the
    /// plan again is always safe.
    pub async fn execute(&self, plan: &dyn Plan, cx: &Context) -> Result<Report, Error> {
        let cx = cx.in_run(Run::new(plan.name(), self.bounds));
        let mut solving = pin!(solve(plan, &cx));
        let result = tokio::select! {
            biased;
            // First, for steps that are always done at once leave no turn to whoever is second.
            () = wall_sleep(self.bounds.wall) => {
                cx.run.overdue.cancel();
                solving.await
            }
            result = &mut solving => result,
        };
        match &result {
            Ok(Report { iterations, steps, skipped: 0 }) => tracing::info!(
                "plan {} is solved: {iterations} iterations, {steps} steps",
                plan.name(),
            ),
            Ok(Report { iterations, steps, skipped }) => tracing::warn!(
                "plan {} is solved but for {skipped} skipped: {iterations} iterations, {steps} steps",
                plan.name(),
            ),
            Err(Error::Cancelled(_)) => tracing::info!("plan {} was cancelled", plan.name()),
            // Logged where it happened, within the span that failed.
            Err(Error::Step { .. } | Error::Create { .. }) => {}
            Err(error) => tracing::error!("{}", Chain(error)),
        }
        result
    }

    /// Asks `plan` once what is left to do, and does nothing of it: to show what a run would begin
    /// with, or to learn whether a solved plan is still solved.
    ///
    /// Caveats: the bounds are those of runs, and bound nothing here. Whoever asks decides how long
    /// to wait, and drops the future then.
    ///
    /// # Errors
    /// [`Error::Create`], or [`Error::Cancelled`]. A plan that panics has failed.
    pub async fn ask(&self, plan: &dyn Plan, cx: &Context) -> Result<Steps, Error> {
        let cx = cx.in_run(Run::new(plan.name(), self.bounds));
        create(plan, &cx, 1).await
    }
}

async fn solve(plan: &dyn Plan, cx: &Context) -> Result<Report, Error> {
    let mut inside = cx.clone();
    let mut history = History::new(cx.run.bounds.repeats);
    for iteration in 1..=cx.run.bounds.iterations {
        let answer = create(plan, cx, iteration).await?;
        cx.emit(Event::Planned { iteration, answer: &answer }).await?;
        if !answer.steps().iter().any(|step| cx.leaves(&**step)) {
            // Each is told of as any other, and none is run.
            for step in answer.steps() {
                run_tree(&mut inside, &**step).await?;
            }
            let skipped = u32::try_from(answer.parts().count()).unwrap_or(u32::MAX);
            let report = Report { iterations: iteration, steps: cx.run.steps(), skipped };
            cx.emit(Event::Converged(report)).await?;
            return Ok(report);
        }
        match history.judge(&answer) {
            Verdict::Fresh => {}
            Verdict::Repeated { turns, pause } => {
                tracing::warn!(
                    "the same answer came {turns} times: it is run again after a pause of {pause:?}"
                );
                cx.sleep(pause).await?;
            }
            Verdict::Stuck { steps, seen, turns } => {
                let plan = plan.name().to_owned();
                return Err(Error::NotConverging { plan, steps, seen, repeats: turns });
            }
        }
        for step in answer.steps() {
            run_tree(&mut inside, &**step).await?;
        }
    }
    Err(cx.run.over(format!("{} iterations", cx.run.bounds.iterations)))
}

async fn create(plan: &dyn Plan, cx: &Context, iteration: u32) -> Result<Steps, Error> {
    if cx.is_cancelled() {
        return Err(Cancelled.into());
    }
    cx.run.check_overdue()?;
    let span = tracing::info_span!(
        "create",
        fixpoint.plan = plan.name(),
        fixpoint.iteration = iteration,
        fixpoint.steps = Empty,
        fixpoint.withheld = Empty,
        fixpoint.seen = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    );
    let answer = guarded(cx, async { plan.create(cx).await }).instrument(span.clone()).await;
    let _inside = span.enter();
    match answer {
        Ok(answer) => {
            if !span.is_disabled() {
                tracing::record_all!(
                    span,
                    fixpoint.steps = join(answer.parts().map(|step| step.name()), ", "),
                    fixpoint.withheld = join(answer.withheld(), "; "),
                    fixpoint.seen = join(answer.seen(), "; "),
                );
            }
            tracing::info!("{}", Planned(&answer));
            run::log_withheld(&answer);
            Ok(answer)
        }
        Err(_) if cx.is_cancelled() => Err(Cancelled.into()),
        Err(source) => {
            let error = match source.downcast::<Error>() {
                Ok(own) => *own,
                Err(source) => Error::Create { plan: plan.name().to_owned(), source },
            };
            run::fail_span(&span, &error);
            if let Error::Create { .. } = error {
                tracing::error!("{}", Chain(&error));
            }
            Err(error)
        }
    }
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>, by: &str) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(by)
}

/// An answer as a log line.
struct Planned<'a>(&'a Steps);

impl std::fmt::Display for Planned<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.parts().map(Step::name).collect();
        match &*names {
            [] => f.write_str("planned nothing: the world is as wanted"),
            [one] => write!(f, "planned 1 step: {one}"),
            names => write!(f, "planned {} steps: {}", names.len(), names.join(", ")),
        }
    }
}
