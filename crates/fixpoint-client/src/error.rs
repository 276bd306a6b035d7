//! What can go wrong between a caller and the server.
//!
//! Not here: what a run's own failure looks like; that is `Run::error`, and no error of the client.
//! The surprise: every answer of the server names the trace of its request, so errors do too.

use crate::Problem;

/// Why a call of the API did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address given is no address of a server.
    #[error("`{url}` is not the address of a server, such as http://127.0.0.1:7171")]
    Address {
        /// What was given.
        url: String,
    },
    /// The token given cannot be sent. It is not repeated here.
    #[error("the API token is no text of one line")]
    Token,
    /// A certificate given is none, or does not fit its key. Neither is repeated here.
    #[error("there is no {what} in PEM")]
    Certificate {
        /// What was looked for.
        what: &'static str,
    },
    /// No answer: nobody listens there, or the connection was lost.
    #[error("the server at {url} is not reachable")]
    Unreachable {
        /// The server's address.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server answered with an error.
    #[error("{}", .0.sentence())]
    Problem(Box<Problem>),
    /// The answer is not what the API promises; client and server may differ in version.
    #[error("the answer to {call} is not understood")]
    Unreadable {
        /// Method and path.
        call: String,
        /// The trace of the request, if the answer named one.
        trace_id: Option<String>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The trace of the request that failed, if the server was reached.
    pub fn trace_id(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) if !problem.trace_id.is_empty() => Some(&problem.trace_id),
            Self::Unreadable { trace_id, .. } => trace_id.as_deref(),
            _ => None,
        }
    }

    /// The HTTP status of the server's answer, if it answered with an error.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            _ => None,
        }
    }

    /// True if there was no answer at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl Problem {
    /// The problem in one line: its detail, or its title where there is none.
    fn sentence(&self) -> &str {
        if self.detail.is_empty() { &self.title } else { &self.detail }
    }
}
