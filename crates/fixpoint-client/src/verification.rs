//! Whether a solved resource is still as wanted: what its plan said when it was asked again.
//!
//! Not here: runs that go on unusually (`Run::unusual`). The surprise: a resource that no run has
//! solved has no verification. What is left to do there is what its run is about.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{PlannedStep, SeenFact, WithheldStep};

/// How a solved resource was when its plan was last asked whether anything is left to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// When the plan last had nothing left to do: the resource was as wanted then. Its run's end
    /// counts, too.
    pub verified_at: Timestamp,
    /// When the plan was last asked.
    pub looked_at: Timestamp,
    /// The trace of that: 32 hex digits.
    pub trace_id: String,
    /// What is not as wanted any more; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Why the plan had no answer when it was last asked. What else is said here is from before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A solved resource is not as wanted any more, though nobody has changed what is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// When it was first seen.
    pub since: Timestamp,
    /// The steps that would mend it. Those that only these would lead to are not known.
    pub steps: Vec<PlannedStep>,
    /// What the plan holds back, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<WithheldStep>,
    /// What the plan saw of the world.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenFact>,
    /// True if all those steps only wait: nothing is to be done, but the world has not settled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    /// Why it is not mended though the resource asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}
