//! A reactive planner. A [`Plan`] looks at the world and returns the [`Steps`] still missing;
//! the [`Scheduler`] runs them and asks the plan again, until none is left: the plan is solved,
//! a fixpoint.
//!
//! For code that must bring something outside itself (cloud resources, say) to a wanted shape
//! and keep it there. Not for fixed sequences that must be replayed: nothing is replayed here,
//! the plan simply looks again. The surprise: a solved plan has always been created at least
//! twice, because only an empty answer proves that nothing is left.

mod context;
mod error;
mod event;
mod plan;
mod scheduler;
mod steps;
pub mod testing;

pub use context::{Context, Pace};
pub use error::{BoxError, Cancelled, Error, Permanent};
pub use event::{Event, Observer, Outcome};
pub use plan::{Plan, Seen, Step, Steps, Withheld};
pub use scheduler::{Report, Scheduler};
pub use steps::{Observed, Together, Wait};
