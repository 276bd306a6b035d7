//! Query parameters, and pages of lists.
//!
//! A page token is opaque to clients: hex of a version, a hash of the list and filters that it
//! belongs to, and the last key shown. Nothing is kept on the server, so tokens never expire. Not here: what
//! is listed. The surprise: a token brought to another list is refused rather than misread.

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use fixpoint_trace::{model::UnixNanos, query::Length};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

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
    hex::encode(format!("2\n{}\n{last}", fingerprint(list)))
}

/// Stands for a list and its filters, however long they are.
fn fingerprint(list: &str) -> String {
    hex::encode(&Sha256::digest(list)[..8])
}

/// The last key of the page before, if there is a token.
pub(super) fn after(list: &str, token: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(token) = token else { return Ok(None) };
    let bytes = hex::decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let mut parts = text.as_deref().unwrap_or_default().splitn(3, '\n');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("2"), Some(of), Some(last)) if of == fingerprint(list) => Ok(Some(last.to_owned())),
        (Some("2"), Some(_), Some(_)) => {
            Err(bad_parameter("page_token belongs to another list or other filters."))
        }
        _ => Err(bad_parameter("page_token is not one that this server gave.")),
    }
}

/// A while: `since` and `until` of a request, each a time (RFC 3339) or a length back from now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct While {
    pub(super) since: Option<UnixNanos>,
    pub(super) until: Option<UnixNanos>,
}

impl While {
    /// Reads both, as of `now`.
    pub(super) fn new(
        since: Option<&str>,
        until: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let read = |name, text: Option<&str>| text.map(|text| moment(name, text, now)).transpose();
        let this = Self { since: read("since", since)?, until: read("until", until)? };
        match this {
            Self { since: Some(since), until: Some(until) } if since > until => {
                Err(bad_parameter("since is after until."))
            }
            _ => Ok(this),
        }
    }
}

fn moment(name: &str, text: &str, now: Timestamp) -> Result<UnixNanos, Problem> {
    // The trace store's clock begins in 1970.
    let nanos = |at: Timestamp| UnixNanos::try_from(at.as_nanosecond()).unwrap_or_default();
    if let Ok(Length(back)) = text.parse() {
        return Ok(nanos(now).saturating_sub(back));
    }
    text.parse().map(nanos).map_err(|_| {
        bad_parameter(format!(
            "{name} is {text}; a time such as 2026-05-04T03:00:00Z, or a length back from now such \
             as 1h, is wanted."
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_while_is_given_by_times_or_by_lengths_back_from_now() {
        let now: Timestamp = "1970-01-01T02:00:00Z".parse().unwrap();
        let hour = 3_600_000_000_000;
        for (since, until, expected) in [
            (None, None, (None, None)),
            (Some("1h"), None, (Some(hour), None)),
            (Some("1970-01-01T00:30:00Z"), Some("30m"), (Some(hour / 2), Some(hour * 3 / 2))),
            (Some("1970-01-01T02:00:00+01:00"), None, (Some(hour), None)),
            (Some("7d"), Some("1969-01-01T00:00:00Z"), (Some(0), Some(0))),
        ] {
            let found = While::new(since, until, now).unwrap();
            assert_eq!((found.since, found.until), expected, "{since:?} {until:?}");
        }
        for (since, until) in [(Some("an hour"), None), (None, Some("5")), (Some("1h"), Some("2h"))]
        {
            assert!(While::new(since, until, now).is_err(), "{since:?} {until:?}");
        }
    }
}
