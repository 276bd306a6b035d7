//! Asks the plans of solved resources again whether anything is left to do: by a clock, and when
//! somebody wants to know. What they answer is drift; it is shown, and mended if that is asked for.
//!
//! ```text
//!  schedule: each resource at its moment ─┐
//!  POST …/verify: somebody asks ──────────┴▶ due ──wake──▶ the resource's turn: own, look, record
//! ```
//!
//! Not for resources that a run is at or has failed at. The surprise: a look is a turn of the
//! resource's own task (`runner/turn.rs`), so it never meets a run of that resource, on whatever
//! server, and gives way to one at once.

mod case;
mod due;
mod look;
mod mend;
mod only_looks;
mod record;
mod schedule;
mod span;

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

pub use self::only_looks::{OnlyLooks, may_change};
pub(crate) use self::{
    due::{Answer, Asking, Due},
    look::{LOOK_TIME, in_turn},
    only_looks::only_looking,
    record::{VerificationRecord, is_solved, show},
    schedule::keep_time,
};

/// How many resources one server looks at at the same time. A look is some twenty calls at once;
/// those of runs wait behind them for AWS's quotas.
const LOOKS_AT_ONCE: usize = 2;

/// When solved resources are looked at again, and how much is mended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verifying {
    /// How often each is looked at, in wall time; none: only when somebody asks.
    pub every: Option<Duration>,
    /// How many times in a day one resource is mended. What drifts more often is at war with
    /// somebody, which is for people to end.
    pub mends_per_day: u32,
    /// How many resources are mended at the same time, by all servers together. More that drift at
    /// once are one cause, and mending them all at once may be the next.
    pub mends_at_once: u32,
}

impl Default for Verifying {
    /// Nothing by the clock; three mends a day, two at once.
    fn default() -> Self {
        Self { every: None, mends_per_day: 3, mends_at_once: 2 }
    }
}

/// What the runner needs for its looks.
#[derive(Debug)]
pub(crate) struct Verifier {
    settings: Verifying,
    due: Arc<Due>,
    room: Semaphore,
}

impl Verifier {
    pub(crate) fn new(settings: Verifying, due: Arc<Due>) -> Self {
        Self { settings, due, room: Semaphore::new(LOOKS_AT_ONCE) }
    }
}
