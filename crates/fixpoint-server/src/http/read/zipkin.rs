//! Zipkin's API, version 2: <https://zipkin.io/zipkin-api/>.
//!
//! On Zipkin's own port, and on the API's under `/zipkin` and beside it. Not here: taking spans
//! in. The surprise: a name is compared as it was sent, while Zipkin turns service and span names
//! to lower case.

use std::collections::BTreeSet;

use axum::{Json, Router, extract::Path, routing::get};
use fixpoint_trace::{model::Value, query::Field, zipkin};
use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{App, Problem, View, Wanted, Window, bad_parameter, calls};
use crate::http::page::Params;

/// The attribute that names the service at the other end.
const PEER: &str = "peer.service";

pub(in crate::http) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v2/services", get(services))
        .route("/api/v2/spans", get(span_names))
        .route("/api/v2/remoteServices", get(remote_services))
        .route("/api/v2/traces", get(traces))
        .route("/api/v2/trace/{id}", get(trace))
        .route("/api/v2/traceMany", get(trace_many))
        .route("/api/v2/autocompleteKeys", get(keys))
        .route("/api/v2/autocompleteValues", get(values))
        .route("/api/v2/dependencies", get(dependencies))
        .route("/health", get(health))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfService {
    service_name: Option<String>,
}

async fn services(app: View) -> Result<Json<BTreeSet<String>>, Problem> {
    super::services(&app).await.map(Json)
}

async fn span_names(
    app: View,
    Params(OfService { service_name }): Params<OfService>,
) -> Result<Json<BTreeSet<String>>, Problem> {
    let operations = super::operations(&app, Some(named(service_name.as_deref())?)).await?;
    Ok(Json(operations.into_iter().map(|(name, _)| name).collect()))
}

/// From the service's newest traces; no index tells which service had which peer.
async fn remote_services(
    app: View,
    Params(OfService { service_name }): Params<OfService>,
) -> Result<Json<BTreeSet<String>>, Problem> {
    let service = named(service_name.as_deref())?;
    let mut wanted = Wanted { limit: super::MAX_TRACES, ..Wanted::default() };
    wanted.equal(Field::Service, Some(service.to_owned()));
    wanted.tag(PEER, None);
    let traces = super::traces(&app, wanted.into_query()).await?;
    let spans = traces.iter().flat_map(|trace| &trace.spans);
    let peers = spans
        .filter(|span| span.service() == service)
        .filter_map(|span| span.attributes.get(PEER).and_then(Value::as_str).map(str::to_owned));
    Ok(Json(peers.collect()))
}

fn named(service: Option<&str>) -> Result<&str, Problem> {
    service.ok_or_else(|| bad_parameter("serviceName is wanted."))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    service_name: Option<String>,
    remote_service_name: Option<String>,
    span_name: Option<String>,
    annotation_query: Option<String>,
    /// Microseconds, as the next.
    min_duration: Option<u64>,
    max_duration: Option<u64>,
    /// Milliseconds since the epoch.
    end_ts: Option<u64>,
    /// Milliseconds.
    lookback: Option<u64>,
    limit: Option<usize>,
}

async fn traces(app: View, Params(search): Params<Search>) -> Result<Json<Vec<Data>>, Problem> {
    let (since, until) = Window { end_ts: search.end_ts, lookback: search.lookback }.bounds();
    let mut wanted = Wanted {
        since: Some(since),
        until: Some(until),
        limit: search.limit.unwrap_or(10),
        ..Wanted::default()
    };
    wanted.equal(Field::Service, search.service_name);
    wanted.equal(Field::Attribute(PEER.to_owned()), search.remote_service_name);
    // What Zipkin's page sends for any name.
    wanted.equal(Field::Name, search.span_name.filter(|name| name != "all"));
    let nanos = |micros: Option<u64>| micros.map(|micros| micros.saturating_mul(1_000));
    wanted.duration(nanos(search.min_duration), nanos(search.max_duration));
    for tag in search.annotation_query.as_deref().unwrap_or_default().split(" and ") {
        match tag.split_once('=') {
            Some((name, value)) => wanted.tag(name.trim(), Some(value.trim())),
            None if tag.trim().is_empty() => {}
            None => wanted.tag(tag.trim(), None),
        }
    }
    let traces = super::traces(&app, wanted.into_query()).await?;
    Ok(Json(traces.iter().map(zipkin::to_json).collect()))
}

async fn trace(app: View, Path(id): Path<String>) -> Result<Json<Data>, Problem> {
    Ok(Json(zipkin::to_json(&super::by_id(&app, &id).await?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Many {
    trace_ids: String,
}

async fn trace_many(
    app: View,
    Params(Many { trace_ids }): Params<Many>,
) -> Result<Json<Vec<Data>>, Problem> {
    let ids = trace_ids.split(',').map(super::trace_id).collect::<Result<Vec<_>, _>>()?;
    let traces = super::by_ids(&app, ids).await?;
    Ok(Json(traces.iter().map(zipkin::to_json).collect()))
}

async fn keys(app: View) -> Result<Json<BTreeSet<String>>, Problem> {
    super::attributes(&app, None).await.map(Json)
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

async fn values(
    app: View,
    Params(Key { key }): Params<Key>,
) -> Result<Json<BTreeSet<String>>, Problem> {
    super::attributes(&app, Some(&key)).await.map(Json)
}

async fn dependencies(
    app: View,
    Params(window): Params<Window>,
) -> Result<Json<Vec<Data>>, Problem> {
    let (since, until) = window.bounds();
    let links = calls::between(&app, since, until).await?.into_iter();
    let links = links.map(|((parent, child), calls)| {
        json!({
            "parent": parent,
            "child": child,
            "callCount": calls.count,
            "errorCount": calls.errors,
        })
    });
    Ok(Json(links.collect()))
}

async fn health() -> Json<Data> {
    Json(json!({"status": "UP"}))
}
