//! A reactive planner. A [`Plan`] looks at the world and returns the [`Steps`] still missing;
//! the [`Scheduler`] runs them and asks the plan again, until none is left: the plan is solved,
//! a fixpoint.
//!
//! For code that must bring something outside itself (cloud resources, say) to a wanted shape
//! and keep it there. Not for fixed sequences that must be replayed: nothing is replayed here,
//! the plan simply looks again. The surprise: a solved plan has always been created at least
//! twice, because only an empty answer proves that nothing is left.
//!
//! # A first plan
//!
//! The world here is a shelf, the goal is that three jars stand on it. A step does one thing,
//! and may be run twice without harm. The plan looks, and says what is missing.
//!
//! ```
//! use std::{collections::BTreeSet, fmt, sync::{Arc, Mutex}};
//! use fixpoint::{BoxError, Context, Plan, Scheduler, Step, Steps, async_trait};
//!
//! #[derive(Debug)]
//! struct PutJar { jar: &'static str, shelf: Shelf }
//!
//! #[async_trait]
//! impl Step for PutJar {
//!     fn name(&self) -> &str {
//!         "put_jar"
//!     }
//!     async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
//!         self.shelf.0.lock().unwrap().insert(self.jar);
//!         Ok(Steps::none())
//!     }
//! }
//!
//! struct StockShelf { jars: Vec<&'static str>, shelf: Shelf }
//!
//! #[async_trait]
//! impl Plan for StockShelf {
//!     fn name(&self) -> &str {
//!         "stock_shelf"
//!     }
//!     async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
//!         let there = self.shelf.0.lock().unwrap().clone();
//!         let mut steps = Steps::none();
//!         for jar in &self.jars {
//!             if !there.contains(jar) {
//!                 steps.push(PutJar { jar, shelf: self.shelf.clone() });
//!             }
//!         }
//!         steps.saw("jars", format!("{} of {}", there.len(), self.jars.len()));
//!         Ok(steps)
//!     }
//! }
//!
//! #[derive(Clone, Default)]
//! struct Shelf(Arc<Mutex<BTreeSet<&'static str>>>);
//!
//! // A step's Debug is its key, what tells it from others of its name: `PutJar { jar: "jam", .. }`.
//! // The shelf is only a means to it, as a client would be, so it does not show what is inside.
//! impl fmt::Debug for Shelf {
//!     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
//!         f.write_str("Shelf")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), fixpoint::Error> {
//! let shelf = Shelf::default();
//! shelf.0.lock().unwrap().insert("jam"); // A half-stocked shelf is completed, not stocked anew.
//! let plan = StockShelf { jars: vec!["honey", "jam", "salt"], shelf: shelf.clone() };
//!
//! let report = Scheduler::default().execute(&plan, &Context::new()).await?;
//! assert_eq!((report.iterations, report.steps), (2, 2));
//! assert_eq!(shelf.0.lock().unwrap().len(), 3);
//!
//! // Nothing is left, so looking again does nothing.
//! let report = Scheduler::default().execute(&plan, &Context::new()).await?;
//! assert_eq!((report.iterations, report.steps), (1, 0));
//! # Ok(())
//! # }
//! ```
//!
//! # What to know before the second plan
//!
//! - **Look, don't remember.** A plan holds what is wanted and its clients, never what it once
//!   saw. Whoever crashes, fails or is cancelled starts the plan over, and it looks again.
//! - **Waiting is a step**, [`Wait`]: it says what it waits for, the value wanted and the value
//!   seen. Steps that need not wait for one another run [`Together`].
//! - **Retry is not a loop in a step.** Return the error; whoever runs the plan runs it again
//!   later. Mark an error [`Permanent`] when that cannot help.
//! - **A plan that gets nowhere is stopped**, as [`Error::NotConverging`], when its answers come
//!   again and again unchanged: the same steps by name and key, the same facts. A plan whose
//!   steps have small effects says with [`Steps::saw`] what it saw, to show that the world moves.
//! - **Say why nothing happens** with [`Steps::withhold`]; it stands in the trace.
//! - **Test it** with [`testing`]: reach the fixpoint, kill at every event, run each step twice.

mod context;
mod convergence;
mod error;
mod event;
mod plan;
mod run;
mod scheduler;
pub mod testing;
mod together;
mod wait;

pub use async_trait::async_trait;
pub use context::{Context, NotAPace, Pace};
pub use error::{BoxError, Cancelled, Chain, Error, Permanent};
pub use event::{Event, Observer, Outcome};
pub use plan::{Plan, Seen, Step, Steps, Withheld};
pub use scheduler::{Report, Scheduler};
pub use together::{Together, TogetherFailed};
pub use wait::{Observed, TimedOut, Wait};
