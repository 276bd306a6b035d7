//! What operators do to runs, as it stands on the wire: the verbs, who asked, when and why.
//!
//! Not here: what each verb leads to, which the server decides. The surprise: an act is never
//! taken back. A run that was paused and resumed has both acts, and keeps them.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Role;

/// Something that an operator can do to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// End it; its step at work finishes.
    Cancel,
    /// Let its step at work finish, and then leave it as it is.
    Pause,
    /// Let a paused run go on.
    Resume,
    /// Try again at once what failed, by a new run.
    Retry,
    /// Look at the world again at once, instead of waiting on.
    Replan,
    /// Leave out one of its steps.
    Skip,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cancel, Self::Pause, Self::Resume, Self::Retry, Self::Replan, Self::Skip];

    /// The word used on the wire and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Replan => "replan",
            Self::Skip => "skip",
        }
    }

    /// The word for what was done.
    pub fn past(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Pause => "paused",
            Self::Resume => "resumed",
            Self::Retry => "retried",
            Self::Replan => "re-planned",
            Self::Skip => "skipped",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// The name of the token that was shown, its id if it has no name; `anyone` where nobody has
    /// to show one.
    pub name: String,
    /// What the token allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The token's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Some(role) => write!(f, "{} ({role})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What somebody did to a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Act {
    /// What.
    pub verb: Verb,
    /// When it was asked for.
    pub at: Timestamp,
    /// The step that is left out, by its name or its key, if the verb is `skip`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Who.
    pub by: Actor,
    /// Why, in their words; empty if they gave no reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The trace of the request that asked for it: 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

impl fmt::Display for Act {
    /// `paused by ann (operator): the new zone is not ready`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.past())?;
        if let Some(step) = &self.step {
            write!(f, " {step}")?;
        }
        write!(f, " by {}", self.by)?;
        match self.reason.is_empty() {
            true => Ok(()),
            false => write!(f, ": {}", self.reason),
        }
    }
}

/// The body of a request to act on a run. It may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// Why, for whoever reads the trace; at most 500 characters.
    #[schemars(length(max = 500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The body of a request to leave out a step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipRequest {
    /// The step: its key, or its name for all of that name.
    pub step: String,
    /// Why, for whoever reads the trace; at most 500 characters.
    #[schemars(length(min = 1, max = 500))]
    pub reason: String,
}

/// A step that was not run because somebody decided so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedStep {
    /// The step's name.
    pub name: String,
    /// Its key: name and parameters, without secrets.
    pub key: String,
    /// Who decided so, and why: `ann (operator): the zone is on loan`.
    pub why: String,
}
