//! Error answers: RFC 9457 problem details, with a hint and the trace that shows what happened.
//!
//! Not here: what can go wrong, which each handler knows. The surprise: an internal error says
//! nothing of itself to the client. Its whole chain is a log line in the trace that it names.

use std::{borrow::Cow, error::Error as StdError};

use axum::{
    extract::OriginalUri,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use fixpoint::Chain;
use fixpoint_client::{FieldError, Place};
use fixpoint_trace::{layer, query::QueryError};

use crate::{intents::Refusal, seen::NotYours, store::StoreError, why::Unexplained};

/// An error answer on its way.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    hint: Option<Cow<'static, str>>,
    errors: Vec<FieldError>,
    /// Boxed: most problems have none, and every handler's answer has room for it.
    place: Option<Box<Place>>,
}

impl Problem {
    /// `code` names the kind of problem for programs, `title` for people; `detail` is this one.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (errors, detail) = (Vec::new(), detail.into());
        Self { status, code, title, detail, hint: None, errors, place: None }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which fields are at fault.
    pub(crate) fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    pub(crate) fn bad_request(
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, title, detail)
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        let detail = format!("There is no {what}.");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// A failure of ours. What it was is logged, not told.
    pub(crate) fn internal(error: &(dyn StdError + 'static)) -> Self {
        tracing::error!("the request failed: {}", Chain(error));
        let detail = "The server could not do it. The trace has the details.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
            .hint("Nothing about the request was wrong; try it again in a moment.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let trace_id = layer::current().map(|span| span.trace_id.to_string());
        let body = fixpoint_client::Problem {
            kind: format!("/problems/{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            hint: self.hint.map(Cow::into_owned),
            errors: self.errors,
            place: self.place.map(|place| *place),
            trace_id: trace_id.unwrap_or_default(),
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::Unreachable { .. } = &error {
            let told: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error = told, "the run store cannot be reached");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store-unreachable",
                "The run store cannot be reached",
                "What was asked for may have been done all the same.",
            )
            .hint("Look whether it was, and ask again in a moment.");
        }
        Self::internal(&error)
    }
}

impl From<NotYours> for Problem {
    fn from(refused: NotYours) -> Self {
        let detail = format!("This is of all tenants; the token is of tenant {}.", refused.tenant);
        Self::new(StatusCode::FORBIDDEN, "tenant", "Not for a tenant", detail)
            .hint("Whoever runs the server has tokens without a tenant.")
    }
}

impl From<fixpoint_trace::store::StoreError> for Problem {
    fn from(error: fixpoint_trace::store::StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<Unexplained> for Problem {
    fn from(error: Unexplained) -> Self {
        match error {
            Unexplained::Runs(error) => error.into(),
            Unexplained::Traces(_) | Unexplained::BrokeOff(_) => Self::internal(&error),
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let at = error.at();
        let place = Place {
            parameter: "q".to_owned(),
            start: at.start,
            end: at.end,
            excerpt: error.excerpt().to_owned(),
        };
        let detail = format!("{error}.");
        let problem = Self::bad_request("bad-query", "Not a query", detail);
        Self { place: Some(Box::new(place)), ..problem.hint(error.hint().to_owned()) }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let conflict = |code, title, detail| Self::new(StatusCode::CONFLICT, code, title, detail);
        match refusal {
            Refusal::NotFound(what) => Self::not_found(what),
            Refusal::Exists(key) => {
                conflict("exists", "Exists already", format!("{key} is there already."))
                    .hint("Change it with PATCH, or choose another name.")
            }
            Refusal::Deleting(key) => {
                conflict("deleting", "Being deleted", format!("{key} is being deleted."))
                    .hint("Wait until its termination run has converged.")
            }
            Refusal::Stale { found } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "stale",
                "Changed meanwhile",
                format!("The resource is at generation {found}, not at one that If-Match names."),
            )
            .hint("GET it again, and decide anew."),
            Refusal::Invalid(errors) => {
                let places = errors.iter().map(|e| &*e.pointer).filter(|at| !at.is_empty());
                let places = places.collect::<Vec<_>>().join(", ");
                let at = if places.is_empty() { "" } else { ", at " };
                let many = if errors.len() == 1 { "" } else { "s" };
                let detail = format!("The body has {} mistake{many}{at}{places}.", errors.len());
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::new(status, "invalid", "Not a valid resource", detail)
                    .fields(errors)
                    .hint("/v1/openapi.json has the schema.")
            }
            Refusal::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key-reused",
                "Idempotency key used before",
                "This Idempotency-Key came with another body before.",
            )
            .hint("Use a new key for each new request."),
            Refusal::Ended(id) => {
                conflict("ended", "Run has ended", format!("Run {id} has ended."))
                    .hint("Start a new run: retry it if it did not go well, replan it if it did.")
            }
            Refusal::NotNow { what, hint } => {
                conflict("not-now", "Not in this state", what).hint(hint)
            }
            Refusal::Store(error) => error.into(),
            Refusal::Unplannable(error) => Self::internal(&*error),
        }
    }
}

/// Answers requests for paths that are not there.
pub(super) async fn no_such_path(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format_args!("{}", uri.path())).hint("/v1/openapi.json lists every path.")
}

/// Answers requests with a method that the path does not take.
pub(super) async fn no_such_method(method: Method, OriginalUri(uri): OriginalUri) -> Problem {
    let detail = format!("{} does not take {method}.", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed", detail)
        .hint("The Allow header lists what it takes.")
}
