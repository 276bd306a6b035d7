//! Tempo's API, as far as Grafana's data source needs it to find and show traces.
//!
//! <https://grafana.com/docs/tempo/latest/api_docs/>. Not here: TraceQL (`traceql.rs`), its
//! metrics, and streaming. The surprise: attributes are not told apart by where they are set. All
//! are listed as a span's, and found wherever they are.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Json, Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{
    model::{Span, Trace},
    query::{Field, Query},
    store::TraceQuery,
    tempo,
};
use serde::Deserialize;
use serde_json::{Value as Data, json};

use super::{App, Problem, View, Wanted, bad_parameter, optional_duration, traceql};
use crate::http::page::Params;

/// How many traces are found unless told otherwise.
const LIMIT: usize = 20;

/// How many of a trace's spans that match are shown unless told otherwise.
const SPANS_OF_EACH: usize = 3;

/// What is known of every span without being an attribute, with values to choose from.
const INTRINSIC: [(&str, &[&str]); 7] = [
    ("duration", &[]),
    ("kind", &["client", "consumer", "internal", "producer", "server"]),
    ("name", &[]),
    ("rootName", &[]),
    ("status", &["error", "ok", "unset"]),
    ("statusMessage", &[]),
    ("traceDuration", &[]),
];

/// The routes, except a trace by id in version 1.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/api/echo", get(async || "echo"))
        .route("/api/status/buildinfo", get(build))
        .route("/api/v2/traces/{id}", get(trace_v2))
        .route("/api/search", get(search))
        .route("/api/search/tags", get(tags))
        .route("/api/v2/search/tags", get(tags_v2))
        .route("/api/search/tag/{tag}/values", get(values))
        .route("/api/v2/search/tag/{tag}/values", get(values_v2))
}

async fn build() -> Json<Data> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({"status": "success", "data": {"version": version}}))
}

/// True if a client wants what Tempo's own clients want.
pub(super) fn wants_protobuf(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/protobuf"))
}

fn protobuf(message: Vec<u8>) -> Response {
    let kind = HeaderValue::from_static("application/protobuf");
    ([(header::CONTENT_TYPE, kind)], message).into_response()
}

/// `/api/traces/{id}`
pub(super) async fn trace(
    app: View,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&app, &id, &headers, tempo::trace_protobuf, tempo::trace_json).await
}

async fn trace_v2(
    app: View,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    show(&app, &id, &headers, tempo::trace_protobuf_v2, tempo::trace_json_v2).await
}

/// A trace in the one form or the other, as the client wants it.
async fn show(
    app: &View,
    id: &str,
    headers: &HeaderMap,
    as_protobuf: fn(&Trace) -> Vec<u8>,
    as_json: fn(&Trace) -> Data,
) -> Result<Response, Problem> {
    let trace = super::by_id(app, id).await?;
    Ok(match wants_protobuf(headers) {
        true => protobuf(as_protobuf(&trace)),
        false => Json(as_json(&trace)).into_response(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    /// TraceQL, or else the four below.
    q: Option<String>,
    /// Names and values as logfmt writes them.
    tags: Option<String>,
    min_duration: Option<String>,
    max_duration: Option<String>,
    /// Seconds since the epoch, as the next.
    start: Option<u64>,
    end: Option<u64>,
    limit: Option<usize>,
    /// How many spans to show of each trace.
    spss: Option<usize>,
}

async fn search(app: View, Params(search): Params<Search>) -> Result<Json<Data>, Problem> {
    let nanos = |seconds: u64| seconds.saturating_mul(1_000_000_000);
    let since = search.start.map(nanos);
    // The end may be this very second.
    let until = search.end.map(|end| nanos(end.saturating_add(1)));
    let limit = search.limit.unwrap_or(LIMIT);
    let query = match search.q.as_deref().filter(|q| !q.trim().is_empty()) {
        Some(q) => {
            let filter = traceql::parse(q).map_err(|error| bad_parameter(error.to_string()))?;
            let limit = limit.clamp(1, super::MAX_TRACES);
            TraceQuery { filter, since, until, limit, ..TraceQuery::default() }
        }
        None => {
            let mut wanted = Wanted { since, until, limit, ..Wanted::default() };
            let least = optional_duration(search.min_duration.as_deref())?;
            wanted.duration(least, optional_duration(search.max_duration.as_deref())?);
            for (name, value) in logfmt(search.tags.as_deref().unwrap_or_default())? {
                match name.as_str() {
                    "service.name" => wanted.equal(Field::Service, Some(value)),
                    "name" => wanted.equal(Field::Name, Some(value)),
                    "status" => wanted.equal(Field::Status, Some(value)),
                    _ => wanted.tag(&name, Some(&value)),
                }
            }
            wanted.into_query()
        }
    };
    let summaries = app.traces.search(query.clone()).await?.items;
    let ids = summaries.iter().map(|summary| summary.trace_id).collect();
    let traces = super::by_ids(&app, ids).await?;
    let traces: HashMap<_, _> =
        traces.iter().filter_map(|trace| Some((trace.head()?.trace_id, trace))).collect();
    let most = search.spss.unwrap_or(SPANS_OF_EACH);
    let found: Vec<_> = summaries
        .iter()
        .map(|summary| {
            let spans = traces.get(&summary.trace_id).map_or(&[][..], |trace| &trace.spans);
            let mut spans: Vec<_> = spans.iter().filter(|span| fits(&query.filter, span)).collect();
            let matched = spans.len();
            spans.truncate(most);
            tempo::Found { summary, spans, matched }
        })
        .collect();
    Ok(Json(tempo::search_answer(&found)))
}

/// Whether it is for this span that its trace is found.
fn fits(filter: &Query, span: &Span) -> bool {
    let mut any = filter.any.iter();
    filter.any.is_empty() || any.any(|all| all.span.iter().all(|one| one.matches(span)))
}

/// `name=value other="a value"`
fn logfmt(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let wrong = || bad_parameter("tags wants name=value pairs, with a space between them.");
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(wrong)?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = traceql::closing_quote(quoted).ok_or_else(wrong)?;
                (traceql::unescape(&quoted[..end]), &quoted[end + 1..])
            }
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        pairs.push((name.trim().to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

async fn tags(app: View) -> Result<Json<Data>, Problem> {
    Ok(Json(json!({"tagNames": super::attributes(&app, None).await?})))
}

#[derive(Deserialize)]
struct OfScope {
    scope: Option<String>,
}

async fn tags_v2(
    app: View,
    Params(OfScope { scope }): Params<OfScope>,
) -> Result<Json<Data>, Problem> {
    let attributes = super::attributes(&app, None).await?;
    let intrinsic: Vec<_> = INTRINSIC.iter().map(|(name, _)| *name).collect();
    let mut scopes = vec![
        json!({"name": "resource", "tags": ["service.name"]}),
        json!({"name": "span", "tags": attributes}),
        json!({"name": "intrinsic", "tags": intrinsic}),
    ];
    scopes.retain(|of| scope.as_deref().is_none_or(|wanted| of["name"] == *wanted));
    Ok(Json(json!({"scopes": scopes})))
}

/// The values that a tag has, and whether it is an attribute.
async fn values_of(app: &View, tag: &str) -> Result<(Vec<String>, bool), Problem> {
    let known = INTRINSIC.iter().find(|(name, _)| *name == tag);
    let names = match (tag, known) {
        ("name" | "rootName", _) => {
            let operations = super::operations(app, None).await?;
            let names: BTreeSet<_> = operations.into_iter().map(|(name, _)| name).collect();
            return Ok((names.into_iter().collect(), true));
        }
        (_, Some((_, values))) => {
            return Ok((values.iter().map(|value| (*value).to_owned()).collect(), false));
        }
        _ => traceql::attribute(tag),
    };
    let values = match names {
        "service.name" => super::services(app).await?,
        name => super::attributes(app, Some(name)).await?,
    };
    Ok((values.into_iter().collect(), true))
}

async fn values(app: View, Path(tag): Path<String>) -> Result<Json<Data>, Problem> {
    Ok(Json(json!({"tagValues": values_of(&app, &tag).await?.0})))
}

async fn values_v2(app: View, Path(tag): Path<String>) -> Result<Json<Data>, Problem> {
    let (values, quoted) = values_of(&app, &tag).await?;
    let kind = if quoted { "string" } else { "keyword" };
    let values: Vec<_> =
        values.into_iter().map(|value| json!({"type": kind, "value": value})).collect();
    Ok(Json(json!({"tagValues": values})))
}
