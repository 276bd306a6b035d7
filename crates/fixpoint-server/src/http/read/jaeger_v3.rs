//! Version 3 of Jaeger's API over HTTP: OTLP in JSON.
//!
//! <https://github.com/jaegertracing/jaeger-idl>, `proto/api_v3/query_service.proto`. Not here: its
//! gRPC, and searches by POST. The surprise: traces come in one envelope, `{"result": …}`, where
//! Jaeger itself may write several one after another.

use std::collections::{BTreeMap, HashSet};

use axum::{
    Json, Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{
    jaeger,
    model::{Trace, UnixNanos},
    query::Field,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{App, Problem, View, Wanted, bad_parameter, calls, optional_duration};
use crate::http::page::Params;

/// How many traces are found unless told otherwise.
const LIMIT: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v3/services", get(services))
        .route("/api/v3/operations", get(operations))
        .route("/api/v3/traces", get(traces))
        .route("/api/v3/traces/{id}", get(trace))
        .route("/api/v3/trace-summaries", get(summaries))
        .route("/api/v3/dependencies", get(dependencies))
}

async fn services(app: View) -> Result<Json<Data>, Problem> {
    Ok(Json(json!({"services": super::services(&app).await?})))
}

#[derive(Deserialize)]
struct OfService {
    service: Option<String>,
    #[serde(rename = "spanKind", alias = "span_kind")]
    span_kind: Option<String>,
}

async fn operations(
    app: View,
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

async fn trace(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let trace = super::by_id(&app, &id).await?;
    Ok(Json(jaeger::v3_document(&trace.spans)).into_response())
}

/// Each parameter in the spelling of today; Jaeger's older one is taken, too.
#[derive(Deserialize)]
struct Search {
    #[serde(rename = "query.serviceName", alias = "query.service_name")]
    service: Option<String>,
    #[serde(rename = "query.operationName", alias = "query.operation_name")]
    operation: Option<String>,
    /// A JSON object, name by value.
    #[serde(rename = "query.attributes")]
    attributes: Option<String>,
    #[serde(rename = "query.startTimeMin", alias = "query.start_time_min")]
    since: Option<Timestamp>,
    #[serde(rename = "query.startTimeMax", alias = "query.start_time_max")]
    until: Option<Timestamp>,
    #[serde(rename = "query.durationMin", alias = "query.duration_min")]
    least: Option<String>,
    #[serde(rename = "query.durationMax", alias = "query.duration_max")]
    most: Option<String>,
    #[serde(
        rename = "query.searchDepth",
        alias = "query.search_depth",
        alias = "query.num_traces"
    )]
    limit: Option<usize>,
    /// A structured filter, which is not taken.
    #[serde(rename = "query.filter")]
    filter: Option<String>,
}

async fn find(app: &View, search: Search) -> Result<Vec<Trace>, Problem> {
    if search.filter.is_some() {
        // To leave it out would find more than was asked for.
        return Err(bad_parameter("query.filter is not taken; query.attributes is."));
    }
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
    wanted.tags(search.attributes.as_deref())?;
    super::traces(app, wanted.into_query()).await
}

fn nanos(time: Timestamp) -> UnixNanos {
    UnixNanos::try_from(time.as_nanosecond()).unwrap_or_default()
}

async fn traces(app: View, Params(search): Params<Search>) -> Result<Response, Problem> {
    let spans: Vec<_> =
        find(&app, search).await?.into_iter().flat_map(|trace| trace.spans).collect();
    Ok(Json(jaeger::v3_document(&spans)).into_response())
}

async fn summaries(app: View, Params(search): Params<Search>) -> Result<Json<Data>, Problem> {
    let traces = find(&app, search).await?;
    Ok(Json(json!({"summaries": traces.iter().filter_map(summary).collect::<Vec<_>>()})))
}

/// A trace in a line; none if it holds no span.
fn summary(trace: &Trace) -> Option<Data> {
    let head = trace.head()?;
    let ids: HashSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
    let orphans = trace.spans.iter().filter_map(|span| span.parent).filter(|id| !ids.contains(id));
    let mut services = BTreeMap::<&str, (u64, u64)>::new();
    for span in &trace.spans {
        let (spans, errors) = services.entry(span.service()).or_default();
        *spans += 1;
        *errors += u64::from(span.failed());
    }
    let services = services.iter().map(|(name, (spans, errors))| {
        json!({"name": name, "spanCount": spans, "errorSpanCount": errors})
    });
    let (starts, ends) = (trace.spans.iter().map(|span| span.start), trace.spans.iter());
    Some(json!({
        "traceId": head.trace_id,
        "rootServiceName": head.service(),
        "rootOperationName": head.name,
        // 64-bit integers are text in protobuf's JSON.
        "minStartTimeUnixNano": starts.min().unwrap_or_default().to_string(),
        "maxEndTimeUnixNano": ends.filter_map(|span| span.end).max().unwrap_or_default().to_string(),
        "spanCount": trace.spans.len(),
        "errorSpanCount": trace.spans.iter().filter(|span| span.failed()).count(),
        "orphanSpanCount": orphans.count(),
        "services": services.collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    #[serde(alias = "start_time")]
    start_time: Timestamp,
    #[serde(alias = "end_time")]
    end_time: Timestamp,
}

async fn dependencies(
    app: View,
    Params(Window { start_time, end_time }): Params<Window>,
) -> Result<Json<Data>, Problem> {
    let calls = calls::between(&app, nanos(start_time), nanos(end_time)).await?.into_iter();
    let calls = calls.map(|((parent, child), calls)| {
        json!({"parent": parent, "child": child, "callCount": calls.count.to_string()})
    });
    Ok(Json(json!({"dependencies": calls.collect::<Vec<_>>()})))
}
