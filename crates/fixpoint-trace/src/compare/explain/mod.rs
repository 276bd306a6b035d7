//! Says why some traces are not like the good ones: what is missing, failed, extra, slow or
//! answered differently, the first cause first.
//!
//! Not here: plans, runs and AWS, and which traces are good. The surprise: if nothing differs by
//! more than good traces differ among themselves, there is no finding at all, and no guess.
//!
//! The way of a finding: `evidence` compares two profiles path by path, `rank` weighs what it
//! found and names a suspect, `places` looks for the span that shows it best, and `causes` puts
//! together what belongs together.

mod causes;
mod evidence;
mod followers;
mod places;
mod rank;
mod surprise;
mod tail;

use serde::Serialize;

pub use self::surprise::Count;
use self::{evidence::Evidences, places::Places};
use super::profile::Profile;
use crate::model::{SpanId, Trace, TraceId};

/// What is other in some traces than in good ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// How many good traces it was held against. With none, only what traces say by themselves is
    /// known.
    pub good: u64,
    /// How many traces were looked at.
    pub traces: u64,
    /// What differs, the likeliest cause first. Empty if nothing does.
    pub findings: Vec<Finding>,
}

/// Something that is other than usual.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is.
    #[serde(flatten)]
    pub what: What,
    /// The service that it happened in; of a call, the one that made it.
    pub service: String,
    /// The name of the span; of a missing call, its usual name. Without ids.
    pub operation: String,
    /// The service to look at first. Not the one that it happened in if the way to another service
    /// is slow, or if nothing came after the answer of another service.
    pub suspect: String,
    /// The calls that lead there, from the top; the last one is what this is about.
    pub path: Vec<Call>,
    /// The trace that shows it.
    pub trace_id: TraceId,
    /// The span that shows it; of a missing call, the caller. None if a whole trace lacks something.
    pub span_id: Option<SpanId>,
    /// In how many places of good traces it is so.
    pub good: Count,
    /// In how many places of these traces it is so.
    pub here: Count,
    /// How surprising it is.
    pub bits: f64,
    /// How much it matters; findings are in this order, but for those that stand below their cause.
    pub score: f64,
    /// Whether it is surprising enough to be told without its cause, or what it speaks for.
    pub stands: bool,
    /// What speaks for it: the odd answer before a missing call.
    pub because: Vec<Finding>,
    /// What follows from it.
    pub consequences: Vec<Finding>,
}

/// A call, as it is named when it is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Call {
    /// The service that made the span.
    pub service: String,
    /// The span's name, without ids.
    pub operation: String,
}

/// A span and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Which.
    pub span_id: SpanId,
    /// Its name, without ids.
    pub operation: String,
}

/// What can be other than usual. Times are in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// Fewer calls than usual, or none.
    MissingCall {
        /// The call after which good traces make it, if there is one; not if it comes first.
        after: Option<Place>,
        /// How many there are most often.
        usual: u32,
        /// How many there are here.
        calls: u32,
        /// How long it takes most often.
        usual_duration: Option<u64>,
    },
    /// More calls than usual, or one that good traces never make.
    ExtraCall {
        /// How many there are most often.
        usual: u32,
        /// How many there are here.
        calls: u32,
    },
    /// Calls in another order than usual.
    Reordered {
        /// The call before it.
        after: Option<Place>,
        /// What good traces call then most often.
        usual: Option<String>,
    },
    /// Failed by itself, and not because a call below it did.
    Failed {
        /// What it says of that.
        message: String,
        /// What kind of failure it says it is.
        error: Option<String>,
    },
    /// Slow by itself.
    Slow(Duration),
    /// The way to another service and back is slow, while the service is not.
    SlowEdge {
        /// The other service.
        callee: String,
        /// How long it took beyond what the other service itself took.
        #[serde(flatten)]
        duration: Duration,
    },
    /// An attribute has another value than usual.
    Changed {
        /// Its name.
        attribute: String,
        /// The place in it, if it holds JSON: `TargetGroups`, `TargetGroups[].State`.
        place: Option<String>,
        /// What it is most often; the length of a list as `1 item`.
        usual: Option<String>,
        /// What it is here; none if it is not there.
        value: Option<String>,
    },
    /// An event or a log line in another place than usual.
    ChangedLines {
        /// The line before it; none at the begin of the span.
        after: Option<String>,
        /// The line; none at the end of the span.
        line: Option<String>,
        /// What comes there most often; none if nothing does.
        usual: Option<String>,
    },
    /// Never ended.
    NeverEnded {
        /// How long it takes most often.
        usual: Option<u64>,
        /// Hardly any takes longer than this, as far as good traces can tell.
        most: Option<u64>,
        /// How long it was open for all one knows.
        open: u64,
    },
}

/// A duration beside those of good traces, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Duration {
    /// Half of the good ones take no longer.
    pub usual: u64,
    /// 99 of 100 good ones take no longer.
    pub most: u64,
    /// It took so long.
    pub took: u64,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// What has a lower score than this is not said.
    pub bits: f64,
    /// No more findings than this in one place, the most important ones.
    pub most: usize,
}

impl Default for Limits {
    /// So that at most one in fifty good traces has a finding.
    fn default() -> Self {
        Self { bits: 12.0, most: 20 }
    }
}

/// Says what is other in `traces` than in the good ones of `profile`.
///
/// Takes time in proportion to the spans of `traces` and to the paths of the profile, and not to
/// the number of good traces. The same traces in the same order give the same findings in the same
/// order.
pub fn explain(profile: &Profile, traces: &[Trace], limits: Limits) -> Explanation {
    let (here, places) = Places::of(traces);
    let mut evidences = Evidences::new(profile, &here);
    let list = evidences.gather();
    let weighed = rank::weigh(&evidences, list, places.mean_duration(), limits);
    let found = places::find(&places, &evidences, weighed);
    let findings = causes::put_together(found, limits.most);
    Explanation { good: profile.traces(), traces: traces.len() as u64, findings }
}

#[cfg(test)]
mod tests;
