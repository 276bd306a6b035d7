//! `/v1/traces/{id}/rows`, `/spans/{span_id}` and `/matches`: a trace of any size, as a waterfall
//! reads it. First what a row shows, for every span; then one span whole, when somebody looks at
//! it; and the search for words stays where the words are.
//!
//! Not here: which rows are drawn (`assets/tree.mjs`), what a word is found in (`words.rs`). The surprise: the answer is made of columns,
//! with every text once. A hundred thousand spans are a few megabytes and parse in the time of a
//! few frames; as OTLP JSON with their requests and responses they are a hundred megabytes.

use std::{collections::HashMap, io::Write};

use axum::{
    Json, Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{
    model::{Span, SpanId, Status, Trace, Value},
    otlp,
};
use flate2::{Compression, write::GzEncoder};
use indexmap::{IndexMap, IndexSet};
use serde::{Deserialize, Serialize};

use super::{
    App, Problem, View,
    page::{Params, bad_parameter},
    traces::{no_trace, trace_id},
    words::Words,
};

/// More attributes than this are no row but the whole span.
const MAX_ATTRIBUTES: usize = 32;

/// From this many spans on, packing the answer takes less time than sending what it saves.
const PACKED_FROM: usize = 2_000;

/// As long as the longest id, an ARN.
const MAX_QUERY: usize = 2_048;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/traces/{id}/rows", get(rows))
        .route("/v1/traces/{id}/spans/{span_id}", get(span))
        .route("/v1/traces/{id}/matches", get(matches))
}

async fn read(app: &View, id: &str) -> Result<Trace, Problem> {
    let id = trace_id(id)?;
    app.traces.trace(id).await?.ok_or_else(|| no_trace(id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowParams {
    #[serde(default)]
    attributes: String,
}

async fn rows(
    app: View,
    Path(id): Path<String>,
    headers: HeaderMap,
    Params(RowParams { attributes }): Params<RowParams>,
) -> Result<Response, Problem> {
    if attributes.split(',').count() > MAX_ATTRIBUTES {
        return Err(bad_parameter(format!("attributes may name {MAX_ATTRIBUTES} at most.")));
    }
    let trace = read(&app, &id).await?;
    json_of(&headers, trace.spans.len(), move || {
        let wanted: Vec<_> = attributes.split(',').filter(|name| !name.is_empty()).collect();
        serde_json::to_vec(&Rows::of(&trace, &wanted))
    })
    .await
}

/// Answers with the JSON that `write` makes of so many spans, packed if they are many.
pub(super) async fn json_of(
    headers: &HeaderMap,
    spans: usize,
    write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
) -> Result<Response, Problem> {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok());
    let pack = spans >= PACKED_FROM && accepted.is_some_and(|accepted| accepted.contains("gzip"));
    let body = apart(move || {
        let json = write()?;
        if pack { gzip(&json) } else { Ok(json) }
    });
    let body = body.await?.map_err(|error| Problem::internal(&error))?;
    let mut answer = ([(CONTENT_TYPE, "application/json")], body).into_response();
    if pack {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}

fn gzip(json: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(json)?;
    packed.finish()
}

/// Works where it stops nobody: a large trace keeps a core busy for a tenth of a second.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
}

async fn span(
    app: View,
    Path((id, span_id)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, Problem> {
    let wanted: SpanId = span_id.to_ascii_lowercase().parse().map_err(|_| {
        let detail = format!("{span_id} is no span id; 16 hex digits are wanted.");
        Problem::bad_request("bad-span-id", "Not a span id", detail)
    })?;
    let mut trace = read(&app, &id).await?;
    trace.spans.retain(|span| span.span_id == wanted);
    if trace.spans.is_empty() {
        return Err(Problem::not_found(format_args!("span {wanted}")));
    }
    Ok(Json(otlp::to_json(&trace)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchParams {
    q: String,
}

/// Which spans match.
#[derive(Serialize)]
struct Matches {
    spans: Vec<SpanId>,
}

async fn matches(
    app: View,
    Path(id): Path<String>,
    Params(MatchParams { q }): Params<MatchParams>,
) -> Result<Json<Matches>, Problem> {
    if q.trim().is_empty() || q.len() > MAX_QUERY {
        return Err(bad_parameter(format!("q wants 1 to {MAX_QUERY} characters.")));
    }
    let words = Words::of(&q)?;
    let trace = read(&app, &id).await?;
    Ok(Json(Matches { spans: apart(move || words.find(&trace)).await? }))
}

/// The columns of a trace: the n-th entry of each list is the n-th span's, by start.
#[derive(Serialize)]
struct Rows<'a> {
    /// The earliest start in nanoseconds since 1970, as text: JavaScript's numbers are too small.
    origin: String,
    /// Why this is not all there is, if it is not.
    partial: Option<&'a str>,
    names: IndexSet<&'a str>,
    services: IndexSet<&'a str>,
    /// All ids in a row, 16 digits each.
    ids: String,
    /// The place of the parent; -1 for a root, -2 if the parent is not stored.
    parent: Vec<i32>,
    /// The parents that are not stored, by the places of their children.
    missing: Vec<(usize, SpanId)>,
    name: Vec<usize>,
    service: Vec<usize>,
    /// As OTLP counts them: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    kind: Vec<u8>,
    /// Nanoseconds after the origin.
    start: Vec<u64>,
    /// Nanoseconds; null while the span is open.
    duration: Vec<Option<u64>>,
    /// The spans that failed, with their messages.
    failed: Vec<(usize, &'a str)>,
    /// What was asked for, where it is set.
    attributes: IndexMap<&'a str, Column<'a>>,
    events: Vec<(usize, u64, &'a str)>,
}

/// An attribute: `at[n]` is a place, and `value[n]` says which of `values` the span there has.
#[derive(Default, Serialize)]
struct Column<'a> {
    values: Vec<&'a Value>,
    at: Vec<usize>,
    value: Vec<usize>,
}

impl<'a> Rows<'a> {
    fn of(trace: &'a Trace, wanted: &[&'a str]) -> Self {
        let spans = &trace.spans;
        let origin = spans.iter().map(|span| span.start).min().unwrap_or_default();
        let places: HashMap<_, _> =
            spans.iter().enumerate().map(|(at, span)| (span.span_id, at)).collect();
        let mut rows = Self {
            origin: origin.to_string(),
            partial: trace.partial.as_deref(),
            names: IndexSet::new(),
            services: IndexSet::new(),
            ids: String::with_capacity(16 * spans.len()),
            parent: Vec::with_capacity(spans.len()),
            missing: Vec::new(),
            name: Vec::with_capacity(spans.len()),
            service: Vec::with_capacity(spans.len()),
            kind: spans.iter().map(|span| span.kind as u8 + 1).collect(),
            start: spans.iter().map(|span| span.start - origin).collect(),
            duration: spans.iter().map(Span::duration).collect(),
            failed: Vec::new(),
            attributes: wanted.iter().map(|name| (*name, Column::of(spans, name))).collect(),
            events: Vec::new(),
        };
        for (at, span) in spans.iter().enumerate() {
            rows.ids.push_str(&span.span_id.to_string());
            let parent = span.parent.map(|parent| (parent, places.get(&parent)));
            rows.parent.push(match parent {
                None => -1,
                Some((_, Some(place))) => i32::try_from(*place).unwrap_or(-2),
                Some((_, None)) => -2,
            });
            rows.missing.extend(parent.filter(|(_, at)| at.is_none()).map(|(id, _)| (at, id)));
            rows.name.push(rows.names.insert_full(span.name.as_str()).0);
            rows.service.push(rows.services.insert_full(span.service()).0);
            if let Status::Error(message) = &span.status {
                rows.failed.push((at, message));
            }
            let events = span.events.iter();
            rows.events.extend(
                events.map(|event| (at, event.time.saturating_sub(origin), event.name.as_str())),
            );
        }
        rows
    }
}

impl<'a> Column<'a> {
    fn of(spans: &'a [Span], name: &str) -> Self {
        let mut column = Self::default();
        let mut known = HashMap::new();
        for (at, span) in spans.iter().enumerate() {
            let Some(value) = span.attributes.get(name) else { continue };
            column.at.push(at);
            column.value.push(*known.entry(value.to_text()).or_insert_with(|| {
                column.values.push(value);
                column.values.len() - 1
            }));
        }
        column
    }
}
