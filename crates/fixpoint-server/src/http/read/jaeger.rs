//! The JSON that Jaeger's own page and Grafana's data source for it read.
//!
//! <https://www.jaegertracing.io/docs/latest/architecture/apis/>. Not here: version 3
//! (`jaeger_v3.rs`). The surprise: no document describes it, so it is what those two clients send
//! and read.

use axum::{
    Json, Router,
    extract::{Path, RawQuery},
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{jaeger, query::Field};
use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{App, Problem, View, Wanted, Window, bad_parameter, calls, optional_duration};
use crate::http::page::Params;

/// How many traces are found unless told otherwise.
const LIMIT: usize = 100;

/// The routes, except a trace by id.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/services", get(services))
        .route("/api/services/{service}/operations", get(operations_of))
        .route("/api/operations", get(operations))
        .route("/api/traces", get(traces))
        .route("/api/dependencies", get(dependencies))
}

/// The envelope of every answer.
fn envelope(data: Vec<Data>) -> Json<Data> {
    let total = data.len();
    Json(json!({"data": data, "total": total, "limit": 0, "offset": 0, "errors": null}))
}

async fn services(app: View) -> Result<Json<Data>, Problem> {
    let names = super::services(&app).await?;
    Ok(envelope(names.into_iter().map(Data::from).collect()))
}

async fn operations_of(app: View, Path(service): Path<String>) -> Result<Json<Data>, Problem> {
    let operations = super::operations(&app, Some(&service)).await?;
    let mut names: Vec<_> = operations.into_iter().map(|(name, _)| Data::from(name)).collect();
    // One name may be of several kinds.
    names.dedup();
    Ok(envelope(names))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfService {
    service: String,
    span_kind: Option<String>,
}

async fn operations(
    app: View,
    Params(OfService { service, span_kind }): Params<OfService>,
) -> Result<Json<Data>, Problem> {
    let wanted = span_kind.unwrap_or_default();
    let operations = super::operations(&app, Some(&service)).await?.into_iter();
    let operations = operations.filter(|(_, kind)| wanted.is_empty() || wanted == *kind);
    Ok(envelope(operations.map(|(name, kind)| json!({"name": name, "spanKind": kind})).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    service: Option<String>,
    operation: Option<String>,
    /// A JSON object, name by value.
    tags: Option<String>,
    min_duration: Option<String>,
    max_duration: Option<String>,
    /// Microseconds since the epoch, as the next.
    start: Option<u64>,
    end: Option<u64>,
    limit: Option<usize>,
}

async fn traces(
    app: View,
    RawQuery(raw): RawQuery,
    Params(search): Params<Search>,
) -> Result<Json<Data>, Problem> {
    // Two parameters that may come several times.
    let raw = raw.unwrap_or_default();
    let all = |name: &'static str| {
        let pairs = form_urlencoded::parse(raw.as_bytes());
        pairs.filter(move |(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let ids = all("traceID").map(|id| super::trace_id(&id)).collect::<Result<Vec<_>, _>>()?;
    let traces = if ids.is_empty() {
        let mut wanted = Wanted {
            since: search.start.map(|micros| micros.saturating_mul(1_000)),
            until: search.end.map(|micros| micros.saturating_mul(1_000)),
            limit: search.limit.unwrap_or(LIMIT),
            ..Wanted::default()
        };
        wanted.equal(Field::Service, search.service);
        // What Jaeger's page sends for any name.
        wanted.equal(Field::Name, search.operation.filter(|name| name != "all"));
        let least = optional_duration(search.min_duration.as_deref())?;
        wanted.duration(least, optional_duration(search.max_duration.as_deref())?);
        wanted.tags(search.tags.as_deref())?;
        for tag in all("tag") {
            let (name, value) = tag
                .split_once(':')
                .ok_or_else(|| bad_parameter(format!("tag is {tag}; name:value is wanted.")))?;
            wanted.tag(name, Some(value));
        }
        super::traces(&app, wanted.into_query()).await?
    } else {
        super::by_ids(&app, ids).await?
    };
    Ok(Json(jaeger::to_json(&traces)))
}

/// `/api/traces/{id}`
pub(super) async fn trace(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let trace = super::by_id(&app, &id).await?;
    Ok(Json(jaeger::to_json(&[trace])).into_response())
}

async fn dependencies(app: View, Params(window): Params<Window>) -> Result<Json<Data>, Problem> {
    let (since, until) = window.bounds();
    let calls = calls::between(&app, since, until).await?.into_iter();
    let calls = calls.map(|((parent, child), calls)| {
        json!({"parent": parent, "child": child, "callCount": calls.count})
    });
    Ok(envelope(calls.collect()))
}
