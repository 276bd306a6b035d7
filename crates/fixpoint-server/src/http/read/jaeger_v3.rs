//! Version 3 of Jaeger's API over HTTP: OTLP in JSON.
//!
//! <https://github.com/jaegertracing/jaeger-idl>, `query_service.openapi.yaml`. Not here: its
//! gRPC. The surprise: traces come in one envelope, `{"result": …}`, where Jaeger itself writes
//! several one after another when there are many.

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{jaeger, model::UnixNanos, query::Field};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{App, Problem, Wanted, bad_parameter, optional_duration};
use crate::http::page::Params;

/// How many traces are found unless told otherwise.
const LIMIT: usize = 100;

/// Before the name of an attribute in a query.
const ATTRIBUTE: &str = "query.attributes[";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v3/services", get(services))
        .route("/api/v3/operations", get(operations))
        .route("/api/v3/traces", get(traces))
        .route("/api/v3/traces/{id}", get(trace))
}

async fn services(State(app): State<App>) -> Result<Json<Data>, Problem> {
    Ok(Json(json!({"services": super::services(&app).await?})))
}

#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
    span_kind: Option<String>,
}

async fn operations(
    State(app): State<App>,
    Params(OfService { service, span_kind }): Params<OfService>,
) -> Result<Json<Data>, Problem> {
    let wanted = span_kind.unwrap_or_default().to_ascii_lowercase();
    let service = service.filter(|service| !service.is_empty());
    let operations = super::operations(&app, service.as_deref()).await?.into_iter();
    let operations: Vec<_> = operations
        .filter(|(_, kind)| wanted.is_empty() || wanted == *kind)
        .map(|(name, kind)| json!({"name": name, "spanKind": kind}))
        .collect();
    Ok(Json(json!({"operations": operations})))
}

async fn trace(State(app): State<App>, Path(id): Path<String>) -> Result<Response, Problem> {
    let trace = super::by_id(&app, &id).await?;
    Ok(Json(jaeger::v3_document(&trace.spans)).into_response())
}

#[derive(Deserialize)]
struct Search {
    #[serde(rename = "query.service_name")]
    service: Option<String>,
    #[serde(rename = "query.operation_name")]
    operation: Option<String>,
    #[serde(rename = "query.start_time_min")]
    since: Option<Timestamp>,
    #[serde(rename = "query.start_time_max")]
    until: Option<Timestamp>,
    #[serde(rename = "query.duration_min")]
    least: Option<String>,
    #[serde(rename = "query.duration_max")]
    most: Option<String>,
    #[serde(rename = "query.search_depth", alias = "query.num_traces")]
    limit: Option<usize>,
}

async fn traces(
    State(app): State<App>,
    RawQuery(raw): RawQuery,
    Params(search): Params<Search>,
) -> Result<Response, Problem> {
    let nanos = |time: Timestamp| UnixNanos::try_from(time.as_nanosecond()).unwrap_or_default();
    let mut wanted = Wanted {
        since: search.since.map(nanos),
        until: search.until.map(nanos),
        limit: search.limit.unwrap_or(LIMIT),
        ..Wanted::default()
    };
    wanted.equal(Field::Service, search.service);
    wanted.equal(Field::Name, search.operation);
    let least = optional_duration(search.least.as_deref())?;
    wanted.duration(least, optional_duration(search.most.as_deref())?);
    for (key, value) in form_urlencoded::parse(raw.unwrap_or_default().as_bytes()) {
        if let Some(name) = key.strip_prefix(ATTRIBUTE) {
            let name = name
                .strip_suffix(']')
                .ok_or_else(|| bad_parameter(format!("{key} lacks its closing bracket.")))?;
            wanted.tag(name, Some(&value));
        }
    }
    let traces = super::traces(&app, &wanted.into_query()).await?;
    let spans: Vec<_> = traces.into_iter().flat_map(|trace| trace.spans).collect();
    Ok(Json(jaeger::v3_document(&spans)).into_response())
}
