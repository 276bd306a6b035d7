//! Compares two traces: what is missing, extra, failed, repeated, reordered, changed or slow.
//!
//! Not for one trace against many good ones. The surprise: swapping the traces turns the answer
//! round and changes nothing else, since the older one is always compared with the newer.
//!
//! ```text
//! two traces → trees of labels (tree.rs)
//!   → children of each pair of spans are paired (pairing.rs): by label, like siblings by what
//!     they did (sheet.rs) and longest common subsequence (lcs.rs), wrappers looked through
//!   → spans of each pair are compared (fields.rs, json.rs), without ids (text.rs)
//!   → names that were given consistently are taken out again (renames.rs)
//! ```
//!
//! What is told, and when: `docs/compare.md`.

mod answer;
mod fields;
mod json;
mod lcs;
mod order;
mod pairing;
mod renames;
mod sheet;
mod text;
mod walk;

pub use self::answer::{
    Change, Comparison, Counts, Difference, Kind, Part, Place, Renamed, Row, Side, Times,
};
use crate::model::Trace;

/// When a span's time is worth telling. Both must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The longer time is more than so many times the shorter.
    pub ratio: f64,
    /// It is longer by so many nanoseconds, ...
    pub least: u64,
    /// ... and by this share of the time that the shorter trace took.
    pub share: f64,
}

impl Default for Tolerance {
    /// Twice as long, 5 ms, and a hundredth of the trace: answers of a cloud vary by more than
    /// half, and what is below a hundredth explains nothing.
    fn default() -> Self {
        Self { ratio: 2.0, least: 5_000_000, share: 0.01 }
    }
}

impl Tolerance {
    /// Whether `longer` is beyond `shorter`, in traces of which the shorter took `whole`.
    fn exceeded(&self, shorter: u64, longer: u64, whole: u64) -> bool {
        let more = longer.saturating_sub(shorter);
        let share = whole as f64 * self.share;
        longer as f64 > shorter as f64 * self.ratio && more >= self.least && more as f64 >= share
    }
}

/// Compares trace `b` with trace `a`, the one to go by.
///
/// Takes time in proportion to their spans, but for sorting, and no call stack. The same traces
/// give the same answer.
pub fn diff(a: &Trace, b: &Trace) -> Comparison {
    diff_within(a, b, Tolerance::default())
}

/// Compares like [`diff`], with another idea of what is slow.
pub fn diff_within(a: &Trace, b: &Trace, tolerance: Tolerance) -> Comparison {
    let age = |trace: &Trace| {
        let head = trace.head();
        (head.map(|span| (span.start, span.context().trace_id, span.span_id)), trace.spans.len())
    };
    if age(b) < age(a) {
        walk::compare(b, a, tolerance).turned()
    } else {
        walk::compare(a, b, tolerance)
    }
}
