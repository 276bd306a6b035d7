//! Reads request bodies: JSON objects, small, in time, and said to be JSON.
//!
//! Not here: what is in them. The surprise: a body must say that it is JSON. Pages of other sites
//! can make a browser send text, but not JSON, so this also keeps them out.

use std::{error::Error as StdError, time::Duration};

use axum::{
    body::{Body, HttpBody as _, to_bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, Method, StatusCode, header},
};
use serde_json::{Map, Value};
use tokio::time;

use super::Problem;

/// The largest spec so far is below 4 KiB, and a record must fit an etcd value of 1.5 MiB.
const MAX_BODY: usize = 256 << 10;

/// A body of the largest size comes in time at 26 kB/s.
const MAX_TIME: Duration = Duration::from_secs(10);

/// A JSON object.
pub(super) struct JsonObject(pub(super) Map<String, Value>);

impl<S: Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        match read(request).await? {
            Value::Object(object) => Ok(Self(object)),
            other => {
                let found = match other {
                    Value::Array(_) => "an array",
                    Value::String(_) => "a text",
                    Value::Number(_) => "a number",
                    Value::Bool(_) => "a boolean",
                    _ => "null",
                };
                let detail = format!("The body is {found}; a JSON object is wanted.");
                Err(Problem::bad_request("not-an-object", "Not a JSON object", detail))
            }
        }
    }
}

/// A JSON object, or nothing at all, which is an empty one.
pub(super) struct MaybeObject(pub(super) Map<String, Value>);

impl<S: Sync> FromRequest<S> for MaybeObject {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(Map::new()));
        }
        JsonObject::from_request(request, state).await.map(|JsonObject(object)| Self(object))
    }
}

/// Any JSON.
pub(super) struct AnyJson(pub(super) Value);

impl<S: Sync> FromRequest<S> for AnyJson {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read(request).await.map(Self)
    }
}

async fn read(request: Request) -> Result<Value, Problem> {
    check_type(request.method(), request.headers())?;
    let bytes = match time::timeout(MAX_TIME, to_bytes(whole(request)?, MAX_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if is_too_long(&error) => return Err(too_large()),
        Ok(Err(_)) => {
            let detail = "The body broke off before its end.";
            return Err(Problem::bad_request("broken-body", "Broken body", detail));
        }
        Err(_) => {
            let detail = format!("The body took more than {MAX_TIME:?} to come.");
            let status = StatusCode::REQUEST_TIMEOUT;
            return Err(Problem::new(status, "slow-body", "Body too slow", detail));
        }
    };
    if bytes.is_empty() {
        let detail = "The body is empty; a JSON object is wanted.";
        return Err(Problem::bad_request("no-body", "No body", detail));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        let detail = format!("The body is not JSON: {error}.");
        Problem::bad_request("not-json", "Not JSON", detail)
    })
}

/// The body, if it does not say of itself that it is too large.
fn whole(request: Request) -> Result<Body, Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    Ok(request.into_body())
}

fn too_large() -> Problem {
    let detail = format!("The body is larger than {} KiB.", MAX_BODY >> 10);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large", detail)
}

fn is_too_long(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source())
        .any(|error| error.is::<http_body_util::LengthLimitError>())
}

fn check_type(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let wanted: &[&str] = match *method {
        Method::PATCH => &["application/merge-patch+json", "application/json"],
        _ => &["application/json"],
    };
    let given = headers.get(header::CONTENT_TYPE).map_or("", |v| v.to_str().unwrap_or("?"));
    let mut parts = given.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.all(|parameter| {
        let parameter = parameter.to_ascii_lowercase().replace('"', "");
        parameter.strip_prefix("charset=").is_none_or(|charset| charset == "utf-8")
    });
    let plain = headers.get(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if wanted.contains(&&*essence) && utf8 && plain {
        return Ok(());
    }
    let given = if given.is_empty() { "no content type" } else { given };
    let detail = if plain {
        format!("The body is said to be {given}.")
    } else {
        "Encoded bodies are not read.".to_owned()
    };
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        "Not said to be JSON",
        detail,
    );
    Err(problem.hint(format!("Send content-type: {}, in UTF-8.", wanted.join(" or "))))
}
