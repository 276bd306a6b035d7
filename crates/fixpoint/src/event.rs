//! What a run tells of itself while it happens, for run records and live views.
//!
//! Not here: spans and logs, which the scheduler opens by `tracing` for whoever subscribes.
//! The surprise: an observer's error ends the run. What cannot be recorded is not done.

use std::time::Duration;

use async_trait::async_trait;

use crate::{BoxError, Report, Step, Steps};

/// Is told what a run does, before the run goes on.
#[async_trait]
pub trait Observer: Send + Sync {
    /// Takes notice of one event. The run goes on when this has answered.
    ///
    /// # Errors
    /// An error ends the run with [`Error::Observer`](crate::Error::Observer).
    async fn on_event(&self, event: Event<'_>) -> Result<(), BoxError>;
}

/// Something that happened in a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `create` answered.
    Planned {
        /// From 1.
        iteration: u32,
        /// The answer: steps, what is withheld, what was seen.
        answer: &'a Steps,
    },
    /// A step starts.
    StepStarted {
        /// Unique within the run; `StepFinished` has the same.
        id: u64,
        /// The step that returned this one, or the `Together` it runs in.
        parent: Option<u64>,
        /// The step itself.
        step: &'a dyn Step,
    },
    /// A step looked at the world and goes on waiting.
    Waiting {
        /// The step's id.
        id: u64,
        /// What it waits for, in the operator's words.
        reason: &'a str,
        /// The value that ends the wait.
        wanted: &'a str,
        /// The value last seen.
        seen: &'a str,
        /// How often it has looked.
        polls: u32,
        /// How much longer it will wait, in wall time.
        left: Duration,
    },
    /// A step ended.
    StepFinished {
        /// As in `StepStarted`.
        id: u64,
        /// The step itself.
        step: &'a dyn Step,
        /// How it ended.
        outcome: Outcome<'a>,
        /// How long it took, in wall time.
        took: Duration,
    },
    /// A step was not run, because somebody decided so.
    StepSkipped {
        /// The step itself.
        step: &'a dyn Step,
        /// Why, in their words.
        reason: &'a str,
    },
    /// The plan is solved, but for steps that were skipped.
    Converged(Report),
}

/// How a step ended.
#[derive(Debug, Clone, Copy)]
pub enum Outcome<'a> {
    /// It did its work, and returned this many inner steps.
    Done {
        /// How many steps run next because of it.
        inner: usize,
    },
    /// It failed; a panic is a failure.
    Failed(&'a (dyn std::error::Error + Send + Sync + 'static)),
    /// The run was cancelled while it ran.
    Cancelled,
}
