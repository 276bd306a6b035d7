//! How the APIs stand that plans call: whether calls are sent, and how many wait for their turn.
//!
//! Not for what was called; a trace says that.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The APIs that were called since the server started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiPage {
    /// By name.
    pub items: Vec<Api>,
}

/// One API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Api {
    /// For example `EC2 in eu-west-1`.
    pub name: String,
    /// Whether calls are sent.
    pub circuit: Circuit,
    /// How many attempts in a row got no answer.
    pub unanswered: u32,
    /// How many calls wait for their turn, by what they do: `read`, `change`, ...
    pub waiting: BTreeMap<String, u64>,
}

/// Where a circuit breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    /// Calls are sent.
    Closed,
    /// The API does not answer: no call is sent for a while.
    Open,
    /// One call is sent, to see whether it is answered.
    Trial,
}

impl Circuit {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Trial => "trial",
        }
    }
}
