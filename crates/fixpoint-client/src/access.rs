//! Who may do what: API tokens and their roles, as they stand on the wire.
//!
//! Not here: sending a token, which the client does with every request. The surprise: a token's
//! secret is in one answer only, the one to its making. Nobody can read it later, the server
//! included.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the bearer of a token may do. Each role but `ingest` may do what the one before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends spans and log lines, and sees nothing.
    Ingest,
    /// Sees everything but tokens.
    Viewer,
    /// Changes resources, cancels runs, and sends spans.
    Operator,
    /// Manages tokens, and pins traces past the retention.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Viewer, Self::Operator, Self::Admin];

    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| "one of viewer, operator, admin, ingest is wanted".to_owned())
    }
}

/// A token as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Whose it is or what for, at most 100 characters.
    #[schemars(length(max = 100))]
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// The tenant whose things alone it is for; the whole server if not set. At most 16 characters
    /// of a-z, 0-9 and single hyphens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// From when on it is refused; never if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// One for the whole server, without an end.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role, tenant: None, expires_at: None }
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Names it in lists, log lines and traces. Tells nothing of the secret.
    pub id: String,
    /// Whose it is or what for.
    pub name: String,
    /// What its bearer may do.
    pub role: Role,
    /// The tenant whose things alone it is for; absent if it is for the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The token that it was made with; absent for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// From when on it is refused; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was last sent, to the minute; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// The answer to a token's making.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// What to send as `Authorization: Bearer …`. It is not shown again.
    pub secret: String,
    /// The token as it is listed.
    #[serde(flatten)]
    pub token: Token,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// All tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenPage {
    /// From the oldest to the newest.
    pub items: Vec<Token>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_the_debug_output_of_what_holds_it() {
        let token = Token {
            id: "tok-1".to_owned(),
            name: "ci".to_owned(),
            role: Role::Viewer,
            tenant: None,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: None,
            expires_at: None,
            last_used_at: None,
        };
        let said = format!("{:?}", CreatedToken { secret: "Canary7hunter2".to_owned(), token });
        assert!(said.contains("tok-1") && !said.contains("Canary7"), "{said}");
    }
}
