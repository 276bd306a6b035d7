//! Runs steps: the one place that a step is started from, whoever asks for it, so that none is
//! without its span, its events and its bounds.
//!
//! Not here: what is run and when it is enough; that is `scheduler.rs`. The surprise: a step's
//! span stays open while the steps it returned run, as their parent, yet its `StepFinished`
//! comes when its own work ends.

use std::{
    any::Any,
    error::Error as StdError,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
    vec,
};

use futures_util::{
    FutureExt,
    future::{Either, select},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty, record_all};

use crate::{
    BoxError, Cancelled, Chain, Context, Error, Event, Outcome, Permanent, Step, Steps, TimedOut,
    context::Place, error::causes,
};

/// What the steps of one run share: its bounds, and what counts against them.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) plan: String,
    pub(crate) bounds: Bounds,
    /// How many steps were started; the newest has this as its id.
    started: AtomicU64,
    /// Cancelled when the run is over its bound of wall time.
    pub(crate) overdue: CancellationToken,
}

/// How much a run may do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) iterations: u32,
    pub(crate) steps: u32,
    pub(crate) depth: usize,
    pub(crate) wall: Duration,
    pub(crate) repeats: u32,
}

/// A plan that looks honestly comes to its end in tens of iterations. Hundreds mean that it goes
/// in a circle too wide for the convergence check.
const ITERATIONS: u32 = 500;

/// Ten steps for each of 2,000 nodes. More would also be more spans than anybody reads.
const STEPS: u32 = 20_000;

/// Plans written by hand nest a few deep. More than this is a step that returns itself.
const DEPTH: usize = 1_000;

/// Longer than the slowest things a cloud makes (tens of minutes), short enough that whoever runs
/// the plan looks afresh a few times in a working day.
const WALL: Duration = Duration::from_secs(2 * 60 * 60);

/// Twice can be a world that shows an effect late; three times is a plan without effect.
const REPEATS: u32 = 3;

/// A `Together` within another is polled through it, so unlike inner steps it costs call stack.
/// Far more than a plan needs, far less than what a thread's 2 MB hold, also in a debug build.
const NESTING: usize = 32;

impl Default for Bounds {
    fn default() -> Self {
        Self { iterations: ITERATIONS, steps: STEPS, depth: DEPTH, wall: WALL, repeats: REPEATS }
    }
}

impl Run {
    pub(crate) fn new(plan: &str, bounds: Bounds) -> Self {
        Self { plan: plan.to_owned(), bounds, ..Self::default() }
    }

    /// How many steps were started.
    pub(crate) fn steps(&self) -> u32 {
        // `next_id` lets no more through than fit.
        u32::try_from(self.started.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }

    pub(crate) fn over(&self, bound: String) -> Error {
        Error::OverBound { plan: self.plan.clone(), bound }
    }

    pub(crate) fn check_overdue(&self) -> Result<(), Error> {
        if self.overdue.is_cancelled() { Err(self.too_late()) } else { Ok(()) }
    }

    fn too_late(&self) -> Error {
        self.over(format!("{:?} of wall time", self.bounds.wall))
    }

    fn next_id(&self, place: Place) -> Result<u64, Error> {
        if place.depth > self.bounds.depth {
            return Err(self.over(format!("{} steps within one another", self.bounds.depth)));
        }
        if place.nesting > NESTING {
            return Err(self.over(format!("{NESTING} Togethers within one another")));
        }
        let before = self.started.fetch_add(1, Ordering::Relaxed);
        if before >= u64::from(self.bounds.steps) {
            self.started.fetch_sub(1, Ordering::Relaxed);
            return Err(self.over(format!("{} steps", self.bounds.steps)));
        }
        Ok(before + 1)
    }
}

/// A step that has run, whose inner steps run now.
struct Frame {
    id: u64,
    inner: vec::IntoIter<Box<dyn Step>>,
    span: Span,
}

/// Dropped from the top: a parent's span that outlives its child's does not close by recursion.
struct Stack(Vec<Frame>);

impl Drop for Stack {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// Runs `root` and all that it returns, depth first, on an explicit stack.
pub(crate) async fn run_tree(cx: &mut Context, root: &dyn Step) -> Result<(), Error> {
    let outside = cx.place;
    let mut root = Some(root);
    let mut stack = Stack(Vec::new());
    loop {
        cx.place = Place { depth: outside.depth + stack.0.len() + 1, ..outside };
        let inner;
        let (step, parent, inside) = match (root.take(), stack.0.last_mut()) {
            (Some(root), _) => (root, outside.step, &Span::none()),
            (None, None) => break,
            (None, Some(frame)) => {
                let Some(next) = frame.inner.next() else {
                    stack.0.pop();
                    continue;
                };
                inner = next;
                (&*inner, Some(frame.id), &frame.span)
            }
        };
        let frame = run_step(cx, step, parent, inside).await?;
        stack.0.extend(frame);
    }
    cx.place = outside;
    Ok(())
}

/// Starts one step, and sees it to its end. Nothing else starts steps.
async fn run_step(
    cx: &mut Context,
    step: &dyn Step,
    parent: Option<u64>,
    inside: &Span,
) -> Result<Option<Frame>, Error> {
    if cx.is_cancelled() {
        return Err(Cancelled.into());
    }
    cx.run.check_overdue()?;
    if let Some(reason) = cx.skips(step) {
        let span = inside.in_scope(|| step_span(step));
        span.record("fixpoint.step.skipped", &reason);
        span.in_scope(|| tracing::warn!("step {} was skipped: {reason}", step.name()));
        cx.emit(Event::StepSkipped { step, reason: &reason }).await?;
        return Ok(None);
    }
    let id = cx.run.next_id(cx.place)?;
    cx.place.step = Some(id);
    let cx = &*cx;

    let began = cx.is_observed().then(Instant::now);
    cx.emit(Event::StepStarted { id, parent, step }).await?;
    let span = inside.in_scope(|| step_span(step));
    let result = guarded(cx, async { step.run(cx).await }).instrument(span.clone()).await;
    let result = match result {
        Ok(steps) => Ok(steps),
        // Whatever a step says of being interrupted, the reason is that it was.
        Err(_) if cx.is_cancelled() => Err(Cancelled.into()),
        Err(source) => Err(verdict(step, source)),
    };
    if let Err(error) = &result {
        span.in_scope(|| record_failure(&span, step.name(), error));
    }
    if let Some(began) = began {
        let outcome = match &result {
            Ok(steps) => Outcome::Done { inner: steps.len() },
            Err(Error::Cancelled(_)) => Outcome::Cancelled,
            Err(Error::Step { source, .. }) => Outcome::Failed(&**source),
            Err(error) => Outcome::Failed(error),
        };
        cx.emit(Event::StepFinished { id, step, outcome, took: began.elapsed() }).await?;
    }
    let steps = result?;
    span.in_scope(|| log_withheld(&steps));
    Ok((!steps.is_empty()).then(|| Frame { id, inner: steps.steps.into_iter(), span }))
}

/// Awaits what an author wrote: a panic comes out as an error, and so does being overdue.
pub(crate) async fn guarded<T>(
    cx: &Context,
    work: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let work = AssertUnwindSafe(work).catch_unwind();
    let overdue = cx.run.overdue.cancelled();
    // Asks the second only if the first is not done at once, as much is.
    match select(pin!(work), pin!(overdue)).await {
        Either::Left((result, _)) => {
            result.unwrap_or_else(|panic| Err(Panicked::from(panic).into()))
        }
        Either::Right(((), _)) => Err(cx.run.too_late().into()),
    }
}

/// The step's failure, unless the error is the run's own and only came through the step, as
/// those of a `Together`'s steps do.
fn verdict(step: &dyn Step, source: BoxError) -> Error {
    match source.downcast::<Error>() {
        Ok(own) if !matches!(*own, Error::Step { .. }) => *own,
        Ok(own) => Error::Step { name: step.name().to_owned(), key: step.key(), source: own },
        Err(source) => Error::Step { name: step.name().to_owned(), key: step.key(), source },
    }
}

fn step_span(step: &dyn Step) -> Span {
    tracing::info_span!(
        "step",
        otel.name = step.name(),
        fixpoint.step.key = step.key(),
        fixpoint.step.cancelled = Empty,
        fixpoint.step.skipped = Empty,
        fixpoint.wait.reason = Empty,
        fixpoint.wait.wanted = Empty,
        fixpoint.wait.seen = Empty,
        fixpoint.wait.polls = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

fn record_failure(span: &Span, name: &str, error: &Error) {
    match error {
        Error::Cancelled(_) => {
            span.record("fixpoint.step.cancelled", true);
            tracing::info!("step {name} was cancelled");
        }
        Error::Step { .. } => {
            fail_span(span, error);
            tracing::error!("{}", Chain(error));
        }
        // The run's own end: logged once, where the run ends.
        _ => fail_span(span, error),
    }
}

/// Marks a span as failed, in OpenTelemetry's words.
pub(crate) fn fail_span(span: &Span, error: &Error) {
    if span.is_disabled() {
        return;
    }
    let why = match error {
        Error::Step { source, .. } | Error::Create { source, .. } => Chain(&**source),
        error => Chain(error),
    };
    record_all!(
        span,
        error.r#type = error_type(error),
        otel.status_code = "ERROR",
        otel.status_description = %why,
    );
}

/// Few values, as `error.type` asks for; what exactly went wrong is in the description.
fn error_type(error: &Error) -> &'static str {
    let of_cause = |cause: &(dyn StdError + 'static)| {
        if cause.is::<Panicked>() {
            Some("panic")
        } else if cause.is::<TimedOut>() {
            Some("timeout")
        } else if cause.is::<Permanent>() {
            Some("permanent")
        } else if let Some(Error::OverBound { .. }) = cause.downcast_ref() {
            Some("over_bound")
        } else {
            None
        }
    };
    causes(error).find_map(of_cause).unwrap_or("_OTHER")
}

/// Logs what an answer says is not done yet.
pub(crate) fn log_withheld(steps: &Steps) {
    for withheld in steps.withheld() {
        tracing::info!("withheld {withheld}");
    }
}

/// What a step or plan said when it panicked.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {0}")]
struct Panicked(String);

impl From<Box<dyn Any + Send>> for Panicked {
    fn from(panic: Box<dyn Any + Send>) -> Self {
        let text = match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => {
                panic.downcast_ref::<&str>().map_or("no message", |text| *text).to_owned()
            }
        };
        Self(text)
    }
}
