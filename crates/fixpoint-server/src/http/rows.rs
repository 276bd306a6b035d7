//! `/v1/traces/{id}/rows`, `/spans/{span_id}` and `/matches`: a trace of any size, as a waterfall
//! reads it. First what a row shows, for every span; then one span whole, when somebody looks at
//! it; and the search for words stays where the words are.
//!
//! Not here: which rows are drawn (`assets/tree.mjs`). The surprise: the answer is made of columns,
//! with every text once. A hundred thousand spans are a few megabytes and parse in the time of a
//! few frames; as OTLP JSON with their requests and responses they are a hundred megabytes.

use std::collections::{HashMap, HashSet};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{
        HeaderMap,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use fixpoint_trace::{
    model::{Attributes, LogRecord, Span, SpanId, Status, Trace, Value},
    otlp,
};
use flate2::{Compression, write::GzEncoder};
use indexmap::{IndexMap, IndexSet};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{
    App, Problem,
    page::{Params, bad_parameter},
    traces::{no_trace, trace_id},
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

async fn read(app: &App, id: &str) -> Result<Trace, Problem> {
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
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Params(RowParams { attributes }): Params<RowParams>,
) -> Result<Response, Problem> {
    let wanted: Vec<_> = attributes.split(',').filter(|name| !name.is_empty()).collect();
    if wanted.len() > MAX_ATTRIBUTES {
        return Err(bad_parameter(format!("attributes may name {MAX_ATTRIBUTES} at most.")));
    }
    let trace = read(&app, &id).await?;
    let rows = Rows::of(&trace, &wanted);
    let packs = headers.get(ACCEPT_ENCODING).and_then(|accepted| accepted.to_str().ok());
    if trace.spans.len() < PACKED_FROM || !packs.is_some_and(|accepted| accepted.contains("gzip")) {
        return Ok(Json(rows).into_response());
    }
    let packed = gzip(&rows).map_err(|error| Problem::internal(&error))?;
    let headers = [(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, "gzip")];
    Ok((headers, packed).into_response())
}

fn gzip(rows: &Rows<'_>) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut packed, rows)?;
    packed.finish()
}

async fn span(
    State(app): State<App>,
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
    State(app): State<App>,
    Path(id): Path<String>,
    Params(MatchParams { q }): Params<MatchParams>,
) -> Result<Json<Matches>, Problem> {
    if q.trim().is_empty() || q.len() > MAX_QUERY {
        return Err(bad_parameter(format!("q wants 1 to {MAX_QUERY} characters.")));
    }
    let words = Words::of(&q)?;
    Ok(Json(Matches { spans: words.find(&read(&app, &id).await?) }))
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

/// What to look for: words that a span must all hold, whatever their case. A word is found in the
/// span's name, service, id, message, attributes, events and log lines; `key=word` only in the
/// attribute of that name.
struct Words(Vec<Word>);

struct Word {
    key: Option<String>,
    text: Regex,
}

impl Words {
    fn of(query: &str) -> Result<Self, Problem> {
        let words = query.split_whitespace().map(|word| {
            let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
            let text = pair.map_or(word, |(_, value)| value);
            let mut regex = RegexBuilder::new(&regex::escape(text));
            let text = regex
                .case_insensitive(true)
                .build()
                .map_err(|_| bad_parameter("q has a word that is too long to look for."))?;
            Ok(Word { key: pair.map(|(key, _)| key.to_ascii_lowercase()), text })
        });
        words.collect::<Result<_, _>>().map(Self)
    }

    /// The spans that hold every word, in the trace's order.
    fn find(&self, trace: &Trace) -> Vec<SpanId> {
        let logged: Vec<HashSet<SpanId>> = self.0.iter().map(|word| word.logged(trace)).collect();
        let holds = |span: &&Span| {
            self.0
                .iter()
                .zip(&logged)
                .all(|(word, logged)| word.is_in(span) || logged.contains(&span.span_id))
        };
        trace.spans.iter().filter(holds).map(|span| span.span_id).collect()
    }
}

impl Word {
    /// The spans with a log line that holds the word.
    fn logged(&self, trace: &Trace) -> HashSet<SpanId> {
        let holds = |log: &&LogRecord| {
            (self.key.is_none() && self.text.is_match(&log.message()))
                || self.in_attributes(&log.attributes)
        };
        trace.logs.iter().filter(holds).filter_map(|log| log.span_id).collect()
    }

    fn is_in(&self, span: &Span) -> bool {
        let own = |span: &Span| {
            let message = match &span.status {
                Status::Error(message) => message.as_str(),
                _ => "",
            };
            [span.name.as_str(), span.service(), message]
                .iter()
                .any(|text| self.text.is_match(text))
                || self.text.is_match(&span.span_id.to_string())
                || span.events.iter().any(|event| self.text.is_match(&event.name))
        };
        (self.key.is_none() && own(span))
            || self.in_attributes(&span.attributes)
            || span.events.iter().any(|event| self.in_attributes(&event.attributes))
            || (self.key.is_some() && self.in_attributes(&span.resource))
    }

    fn in_attributes(&self, attributes: &Attributes) -> bool {
        attributes.iter().any(|(name, value)| match &self.key {
            Some(key) => name.eq_ignore_ascii_case(key) && self.text.is_match(&value.to_text()),
            None => self.text.is_match(name) || self.text.is_match(&value.to_text()),
        })
    }
}
