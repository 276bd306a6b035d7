//! One SERVER span for each request, and its name on each answer.
//!
//! Not here: the formats of the headers (`fixpoint_trace::propagation`). The surprise: the span
//! ends with the answer's head. A stream of events that goes on for hours is not a request that
//! takes hours. `/healthz`, `/metrics`, `/assets` and pages that only look whether anything is new
//! leave no span: they are asked all the time.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fixpoint_trace::{layer, propagation};
use futures_util::FutureExt;
use tracing::{Instrument, Span, field::Empty};

use super::{App, Problem};

/// Sent by a page that asks whether it is still as the server would draw it (`assets/live.mjs`).
const REFRESH: &str = "x-fixpoint-refresh";

/// The middleware around every route, fallbacks included.
pub(super) async fn trace(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    if is_quiet(&path) || request.headers().contains_key(REFRESH) {
        return next.run(request).await;
    }
    let span = span(&request, route.as_deref());
    let context = layer::context(&span);
    let answer = async {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answer.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let error =
                std::io::Error::other(format!("panicked: {}", text.unwrap_or("no message")));
            Problem::internal(&error).into_response()
        })
    };
    let mut answer = answer.instrument(span.clone()).await;

    let status = answer.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "ERROR");
    }
    span.in_scope(|| {
        let status = status.as_u16();
        // Reads that went well are no news; their span is record enough.
        if method.is_safe() && status < 400 {
            tracing::debug!("{method} {path} {status}");
        } else {
            tracing::info!("{method} {path} {status}");
        }
    });
    let route = route.as_deref().unwrap_or("none");
    app.metrics.request(known(&method), route, status.as_u16(), began.elapsed());
    if let Some(context) = context {
        answer.headers_mut().extend(propagation::response_headers(context));
    }
    answer
}

fn span(request: &Request, route: Option<&str>) -> Span {
    let caller = propagation::extract(request.headers());
    let method = known(request.method());
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    tracing::info_span!(
        parent: None,
        "request",
        otel.name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
        otel.kind = "server",
        fixpoint.trace_id = caller.map(|caller| caller.trace_id.to_string()),
        fixpoint.parent_id = caller.map(|caller| caller.span_id.to_string()),
        http.request.method = method,
        http.route = route,
        url.path = request.uri().path(),
        url.query = request.uri().query(),
        user_agent.original = agent,
        fixpoint.token.id = Empty,
        fixpoint.role = Empty,
        fixpoint.tenant = Empty,
        http.response.status_code = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
    )
}

/// Methods that are not well known go by one name, so that nobody can make up span names.
fn known(method: &Method) -> &str {
    match *method {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => method.as_str(),
        _ => "_OTHER",
    }
}

fn is_quiet(path: &str) -> bool {
    path == "/healthz" || path == "/metrics" || path.starts_with("/assets/")
}
