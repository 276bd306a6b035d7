//! What can go wrong, and the two marks that plan authors may put on an error.
//!
//! `Display` says what a layer tried, `source` says why; whoever reports an error prints its
//! [`Chain`]. Not here: retry. The surprise: a cancelled run is an error here, yet no failure.

use std::{error::Error as StdError, fmt};

use crate::{Seen, TogetherFailed};

/// Any error that a plan or a step may return, so that `?` works with all of them.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// Marks an error that trying again cannot mend: bad input, a missing permission.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Permanent {
    what: String,
    #[source]
    source: Option<BoxError>,
}

impl Permanent {
    /// A permanent error that is its own cause.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// Marks `source` as permanent; `what` says what was tried.
    pub fn because(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { what: what.into(), source: Some(source.into()) }
    }

    /// True if `error` or one of its causes is marked.
    pub fn is(error: &(dyn StdError + 'static)) -> bool {
        causes(error).any(|e| e.is::<Self>())
    }
}

/// The run was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

/// Prints an error and its causes in one line: "step a failed: cannot reach AWS: timed out".
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, error) in causes(self.0).enumerate() {
            if depth > 0 {
                f.write_str(": ")?;
            }
            // A message of several lines would break what reads logs by the line.
            let text = error.to_string();
            for (n, line) in text.lines().map(str::trim).filter(|l| !l.is_empty()).enumerate() {
                write!(f, "{}{line}", if n > 0 { " " } else { "" })?;
            }
        }
        Ok(())
    }
}

/// The error itself, then what caused it, then what caused that.
pub(crate) fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |e| (**e).source())
}

/// Why a plan was not taken to its fixpoint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `create` failed.
    #[error("plan {plan} could not be created")]
    Create {
        /// The plan's name.
        plan: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A step failed.
    #[error("step {name} failed")]
    Step {
        /// The step's name.
        name: String,
        /// The step's key.
        key: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The plan returned the same steps again and again, without effect.
    #[error(
        "plan {plan} does not converge: {} without effect, {repeats} times{}",
        list(steps.iter().map(|(name, _)| name)),
        if seen.is_empty() { String::new() } else { format!(", still seeing {}", list(seen)) },
    )]
    NotConverging {
        /// The plan's name.
        plan: String,
        /// Name and key of each step that had no effect.
        steps: Vec<(String, String)>,
        /// What the plan kept seeing.
        seen: Vec<Seen>,
        /// How often the same answer, or the same cycle of answers, came.
        repeats: u32,
    },
    /// The run went over one of the scheduler's bounds.
    #[error("plan {plan} went over its bound of {bound}")]
    OverBound {
        /// The plan's name.
        plan: String,
        /// The bound, with its unit: "500 iterations".
        bound: String,
    },
    /// The observer could not record an event; what cannot be recorded is not done.
    #[error("the run could not be recorded")]
    Observer(#[source] BoxError),
    /// The run was cancelled. Not a failure.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl Error {
    /// The steps that failed, each an [`Error::Step`], the first to fail first; none if the run
    /// ended for another reason. Of steps that ran together, these are told and not the step that
    /// held them.
    pub fn failed_steps(&self) -> Vec<&Self> {
        let Self::Step { source, .. } = self else { return Vec::new() };
        let held = if let Some(together) = source.downcast_ref::<TogetherFailed>() {
            let failures = std::iter::once(&*together.first).chain(&together.others);
            failures.flat_map(Self::failed_steps).collect()
        } else if let Some(own) = source.downcast_ref::<Self>() {
            // A step that executes a plan of its own and hands its error on.
            own.failed_steps()
        } else {
            Vec::new()
        };
        if held.is_empty() { vec![self] } else { held }
    }
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
