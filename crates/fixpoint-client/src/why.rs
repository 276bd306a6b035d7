//! Wire types of `why`: what went wrong in a run or a trace, and how one knows.
//!
//! Not here: the comparison of two traces. The surprise: an answer without a cause is an answer:
//! `conclusion` says whether nothing differs, or what it cannot know.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RunState;

/// Why a run, or a trace, went as it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The trace: 32 hex digits.
    pub trace_id: String,
    /// The run, if the trace is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<WhyRun>,
    /// What was found out.
    pub conclusion: Conclusion,
    /// The answer in a sentence: the first cause, or that there is none.
    pub sentence: String,
    /// The first cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// What else is unusual and does not follow from it, most telling first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Cause>,
    /// What it was compared with.
    pub baseline: Baseline,
    /// What cannot be known, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// The run that a trace is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyRun {
    /// Its id.
    pub id: String,
    /// `kind/name`, for example `clusters/idg`.
    pub resource: String,
    /// The plan's name, for example `create_cluster`.
    pub plan: String,
    /// Where it stands.
    pub state: RunState,
}

/// What was found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// A cause is named.
    Cause,
    /// It went as the good ones did.
    NothingDiffers,
    /// It did not go well, and nothing in its trace says why.
    Unknown,
}

/// Something that went otherwise than it should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// What kind of thing it is.
    pub kind: CauseKind,
    /// It, in a sentence.
    pub sentence: String,
    /// The service it happened in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The operation: a call (`ELBv2.RegisterTargets`), or the name of a span.
    pub operation: String,
    /// The step it happened in, if in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The span to look at: 16 hex digits. Of something missing, the one that it is missing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The id that AWS gave the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The kind of error: an AWS error code, most often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// What one can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What it is concluded from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What follows from it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<Cause>,
}

/// What kind of cause it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// It failed.
    Failed,
    /// It is not there, and good ones have it.
    Missing,
    /// It is there, and good ones do not have it.
    Extra,
    /// It took longer by itself.
    Slow,
    /// The way to it and back took longer.
    SlowEdge,
    /// It was asked, or it answered, otherwise.
    Changed,
    /// It wrote other log lines.
    Logs,
    /// It began and did not end.
    Unfinished,
    /// A step ran, and the plan kept seeing the same.
    WithoutEffect,
    /// A wait whose wanted value did not come.
    NotMoving,
    /// Somebody stopped it.
    Stopped,
    /// Somebody decided that it is not done.
    Skipped,
}

/// What a cause is concluded from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// For example "50 of 50 good runs make this call, this one does not".
    pub text: String,
    /// The span that shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

/// The good ones that something was compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// What they have in common: a plan, or an operation.
    pub of: String,
    /// How many there are.
    pub good: u64,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<GoodOne>,
}

/// A run, or a trace, that went well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoodOne {
    /// Its trace.
    pub trace_id: String,
    /// The run, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// What the run was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// When it ended.
    pub ended_at: Timestamp,
}
