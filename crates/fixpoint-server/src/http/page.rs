//! Query parameters, and pages of lists.
//!
//! A page token is opaque to clients: hex of a version, the list and filters that it belongs to,
//! and the last key shown. Nothing is kept on the server, so tokens never expire. Not here: what
//! is listed. The surprise: a token brought to another list is refused rather than misread.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::Problem;

/// How many items a page holds unless told otherwise, and at most.
const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Query parameters; unknown and malformed ones are refused.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejection) => Err(bad_parameter(rejection.body_text())),
        }
    }
}

/// A problem with a query parameter; `detail` names it.
pub(super) fn bad_parameter(detail: impl Into<String>) -> Problem {
    Problem::bad_request("bad-parameter", "Bad query parameter", detail)
        .hint("/v1/openapi.json lists the parameters of each path.")
}

/// How many items are wanted.
pub(super) fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted {
        None => Ok(DEFAULT_LIMIT),
        Some(limit @ 1..=MAX_LIMIT) => Ok(limit),
        Some(limit) => {
            Err(bad_parameter(format!("limit is {limit}; 1 to {MAX_LIMIT} are allowed.")))
        }
    }
}

/// The token for the page after `last` of a list.
pub(super) fn token(list: &str, last: &str) -> String {
    hex::encode(format!("1\n{list}\n{last}"))
}

/// The last key of the page before, if there is a token.
pub(super) fn after(list: &str, token: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(token) = token else { return Ok(None) };
    let bytes = hex::decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let mut parts = text.as_deref().unwrap_or_default().splitn(3, '\n');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("1"), Some(of), Some(last)) if of == list => Ok(Some(last.to_owned())),
        (Some("1"), Some(_), Some(_)) => {
            Err(bad_parameter("page_token belongs to another list or other filters."))
        }
        _ => Err(bad_parameter("page_token is not one that this server gave.")),
    }
}
