//! Wire types of the comparison of two traces: what differs, and both trees in one.
//!
//! Not here: how they are compared; `docs/compare.md` says when something counts as different.
//! The surprise: `a` is the trace to go by, so what is `missing` is in `a` alone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two traces, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceDiff {
    /// The trace to go by.
    pub a: DiffSide,
    /// The trace looked at.
    pub b: DiffSide,
    /// True if nothing differs.
    pub same: bool,
    /// How many differences there are of each kind; those that only follow from others left out.
    pub counts: DiffCounts,
    /// All that differs, in the order of the rows.
    pub differences: Vec<Difference>,
    /// Names that one trace has wherever the other has another. No differences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<Renamed>,
    /// Both trees in one, if they were asked for: parents before children, siblings in the order
    /// of `b`, with those of `a` alone where they would stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<DiffRow>,
}

/// One of the two traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiffSide {
    /// 32 hex digits.
    pub trace_id: String,
    /// The name of its root, or of its earliest span while the root is unknown.
    pub name: String,
    /// The root's service.
    pub service: String,
    /// When its first span opened.
    pub started_at: Timestamp,
    /// From its first start to its last end that is known.
    pub duration_nanos: u64,
    /// How many spans it has.
    pub spans: usize,
    /// How many of them failed.
    pub errors: usize,
    /// How many are open: what is missing may still come.
    pub open: usize,
    /// Why this is not all of it, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<String>,
}

/// How many differences there are of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "each is explained at its kind")]
pub struct DiffCounts {
    pub missing: usize,
    pub extra: usize,
    pub failed: usize,
    pub recovered: usize,
    pub retried: usize,
    pub repeated: usize,
    pub reordered: usize,
    pub changed: usize,
    pub slower: usize,
    pub faster: usize,
}

/// What is different, as seen from `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DifferenceKind {
    /// In `a` alone.
    Missing,
    /// In `b` alone.
    Extra,
    /// It went well in `a`, and failed in `b`.
    Failed,
    /// It failed in `a`, and went well in `b`.
    Recovered,
    /// The same call, tried another number of times, since it failed.
    Retried,
    /// The same call, made another number of times.
    Repeated,
    /// Siblings in another order, though one waited for the other in both traces.
    Reordered,
    /// Something that it asked, was answered, said or logged.
    Changed,
    /// Its own time, without that of what it called, is longer in `b`, beyond tolerance.
    Slower,
    /// Its own time is shorter in `b`, beyond tolerance.
    Faster,
}

impl DifferenceKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Failed => "failed",
            Self::Recovered => "recovered",
            Self::Retried => "retried",
            Self::Repeated => "repeated",
            Self::Reordered => "reordered",
            Self::Changed => "changed",
            Self::Slower => "slower",
            Self::Faster => "faster",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What is different.
    pub kind: DifferenceKind,
    /// The span's name.
    pub name: String,
    /// The service that made it.
    pub service: String,
    /// The names above it, from the top; the nearest 32.
    pub path: Vec<String>,
    /// Its place in `a`.
    pub a: DiffPlace,
    /// Its place in `b`.
    pub b: DiffPlace,
    /// The rows that it is about; the first is its place in both trees in one.
    pub rows: Vec<usize>,
    /// How many spans are missing or extra, with all that is below.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spans: usize,
    /// True if it is only a wrapper: what is below it is in the other trace as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wrapper: bool,
    /// True if it follows from a difference below it: a step fails because its call does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follows: bool,
    /// How often it was called, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<InBoth>,
    /// How long it took by itself, in nanoseconds, if that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_nanos: Option<InBoth>,
    /// What changed in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A place in one of the trees: of a span, or of one that would stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffPlace {
    /// The span; absent if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The span above it; absent at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// The sibling before it; absent if it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_id: Option<String>,
}

/// A number in each trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InBoth {
    /// In `a`.
    pub a: u64,
    /// In `b`.
    pub b: u64,
}

/// Something of a span that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// `name`, `status`, `request`, `response`, `attribute`, `event`, `log` or `resource`.
    pub part: String,
    /// Where in it: `TargetGroups[0].Port`, the name of an attribute, the text of a log line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What `a` has; absent if it has nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<serde_json::Value>,
    /// What `b` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<serde_json::Value>,
}

/// A name that `b` has wherever `a` has another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Renamed {
    /// As `a` has it.
    pub a: String,
    /// As `b` has it.
    pub b: String,
}

/// A line of both trees in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffRow {
    /// The span in `a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a: Option<String>,
    /// The span in `b`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b: Option<String>,
    /// The row above; absent at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
}
