//! `/v1/traces`: what happened, span by span.
//!
//! Not here: OTLP itself (`fixpoint_trace::otlp`). The surprise: a trace can be read and followed
//! while it happens; a span that is still open has no `endTimeUnixNano`.

use std::{convert::Infallible, fmt};

use axum::{
    Json, Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response, sse::Event},
    routing::{get, put},
};
use fixpoint_client::{LogPage, PinPage, TracePage, TraceSummary};
use fixpoint_trace::{
    formats::Format,
    model::{Record, Status, Trace, TraceId, UnixNanos},
    otlp,
    query::Query,
    store::{self, TraceQuery},
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;

use super::{
    App, Problem, View,
    logs::line,
    page::{self, Params, While, bad_parameter},
    sse,
};
use crate::seen::Followed;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/traces", get(list))
        .route("/v1/traces/{id}", get(show))
        .route("/v1/traces/{id}/events", get(events))
        .route("/v1/traces/{id}/pin", put(pin).delete(unpin))
        .route("/v1/pins", get(pins))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default)]
    q: String,
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
    page_token: Option<String>,
}

async fn list(app: View, Params(params): Params<ListParams>) -> Result<Json<TracePage>, Problem> {
    let ListParams { q, since, until, .. } = params;
    let list = format!("traces {q:?} {since:?} {until:?}");
    let place = match page::after(&list, params.page_token.as_deref())? {
        None => {
            let bounds = While::new(since.as_deref(), until.as_deref(), Timestamp::now())?;
            Place { bounds, before: None }
        }
        Some(last) => Place::read(&last).ok_or_else(|| bad_parameter("page_token is damaged."))?,
    };
    let query = TraceQuery {
        filter: q.parse::<Query>()?,
        since: place.bounds.since,
        until: place.bounds.until,
        limit: page::limit(params.limit)?,
        before: place.before,
        tenant: None,
    };
    let found = app.traces.search(query).await?;
    let next = found.next.map(|before| Place { before: Some(before), ..place });
    Ok(Json(TracePage {
        items: found.items.into_iter().map(summary).collect(),
        next_page_token: next.map(|place| page::token(&list, &place.to_string())),
        partial: found.partial,
    }))
}

/// Where a page ends. An hour back from now is another hour on the next page, so the bounds are
/// those of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    bounds: While,
    before: Option<(UnixNanos, TraceId)>,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split(' ').collect();
        let [since, until, start, id] = parts[..] else { return None };
        let bound = |text| if text == "-" { Some(None) } else { str::parse(text).ok().map(Some) };
        let bounds = While { since: bound(since)?, until: bound(until)? };
        Some(Self { bounds, before: Some((start.parse().ok()?, id.parse().ok()?)) })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bound in [self.bounds.since, self.bounds.until] {
            match bound {
                Some(nanos) => write!(f, "{nanos} ")?,
                None => f.write_str("- ")?,
            }
        }
        self.before.map_or(Ok(()), |(start, id)| write!(f, "{start} {id}"))
    }
}

async fn pin(app: View, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let id = trace_id(&id)?;
    let store = app.traces.whole()?;
    store.trace(id).await?.ok_or_else(|| no_trace(id))?;
    store.pin(id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Also of a trace that is gone, whose pin would otherwise stay.
async fn unpin(app: View, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    app.traces.whole()?.pin(trace_id(&id)?, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pins(app: View) -> Result<Json<PinPage>, Problem> {
    let pins = app.traces.whole()?.pins().await?;
    Ok(Json(PinPage { trace_ids: pins.iter().map(ToString::to_string).collect() }))
}

/// A summary as the API shows it.
pub(super) fn summary(summary: store::TraceSummary) -> TraceSummary {
    TraceSummary {
        trace_id: summary.trace_id.to_string(),
        failed: matches!(summary.status, Status::Error(_)),
        name: summary.name,
        service: summary.service,
        started_at: timestamp(summary.start),
        ended_at: summary.end.map(timestamp),
        spans: summary.spans,
        open: summary.open,
        errors: summary.errors,
        logs: summary.logs,
    }
}

/// A time of the trace store as the API shows it.
pub(crate) fn timestamp(nanos: UnixNanos) -> Timestamp {
    // 64 bits of nanoseconds end in 2554, within what a timestamp can say.
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowParams {
    format: Option<String>,
}

/// Shows a trace or, if a format is named, gives it as a file of that format.
async fn show(
    app: View,
    Path(id): Path<String>,
    Params(ShowParams { format }): Params<ShowParams>,
) -> Result<Response, Problem> {
    let id = trace_id(&id)?;
    let format = format.map(|name| name.parse::<Format>().map_err(|_| no_format(&name)));
    let format = format.transpose()?;
    let trace = app.traces.trace(id).await?.ok_or_else(|| no_trace(id))?;
    let Some(format) = format else { return Ok(Json(otlp::to_json(&trace)).into_response()) };
    let end = if format == Format::OtlpProtobuf { "pb" } else { "json" };
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"trace-{id}.{end}\"")),
    ];
    Ok((headers, format.write(&trace)).into_response())
}

fn no_format(name: &str) -> Problem {
    bad_parameter(format!("format is {name}; otlp, otlp-protobuf, jaeger and zipkin are known."))
}

pub(super) fn trace_id(text: &str) -> Result<TraceId, Problem> {
    text.to_ascii_lowercase().parse().map_err(|_| {
        let detail = format!("{text} is no trace id; 32 hex digits are wanted.");
        Problem::bad_request("bad-trace-id", "Not a trace id", detail)
            .hint("/v1/find?q= takes any id, and the beginning of one.")
    })
}

pub(super) fn no_trace(id: TraceId) -> Problem {
    Problem::not_found(format_args!("trace {id}"))
        .hint("Spans are stored a moment after they open; a new trace may take a few milliseconds.")
}

/// Where a stream of events starts.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Beginning {
    /// With all there is.
    #[default]
    Start,
    /// With what changes from now on.
    Now,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventParams {
    #[serde(default)]
    from: Beginning,
}

/// Follows a trace: event `spans` with the spans that changed as OTLP JSON, event `logs` with new
/// log lines; both with all there is at first, unless only changes are wanted. Goes on until the
/// client leaves.
async fn events(
    app: View,
    Path(id): Path<String>,
    Params(EventParams { from }): Params<EventParams>,
) -> Result<impl IntoResponse, Problem> {
    let id = trace_id(&id)?;
    // Before the first look, so that no change falls between the two.
    let changes = app.traces.follow();
    let trace = app.traces.trace(id).await?.ok_or_else(|| no_trace(id))?;
    let next = matches!(from, Beginning::Start).then_some(trace);
    let follower = Follower { app, id, changes, next };
    let batches = stream::unfold(follower, async |mut follower| {
        let trace = follower.next().await?;
        Some((stream::iter(told(trace)), follower))
    });
    Ok(sse::stream(batches.flatten()))
}

fn told(trace: Trace) -> Vec<Result<Event, Infallible>> {
    let mut events = Vec::new();
    if !trace.spans.is_empty() {
        events.push(sse::event("spans", &otlp::to_json(&trace)));
    }
    if !trace.logs.is_empty() {
        let logs = trace.logs.into_iter().map(line).collect();
        events.push(sse::event("logs", &LogPage { logs, truncated: false }));
    }
    events
}

struct Follower {
    app: View,
    id: TraceId,
    changes: Followed,
    next: Option<Trace>,
}

impl Follower {
    /// What changed in the trace; none when the server stops.
    async fn next(&mut self) -> Option<Trace> {
        if let Some(whole) = self.next.take() {
            return Some(whole);
        }
        loop {
            let id = Some(self.id);
            let records = tokio::select! {
                records = self.changes.next(|record| record.trace_id() == id) => records,
                () = self.app.stopping.cancelled() => return None,
            };
            let trace = match records {
                Ok(records) => together(records),
                Err(RecvError::Lagged(_)) => self.app.traces.trace(self.id).await.ok()??,
                Err(RecvError::Closed) => return None,
            };
            if !trace.spans.is_empty() || !trace.logs.is_empty() {
                return Some(trace);
            }
        }
    }
}

fn together(records: Vec<Record>) -> Trace {
    let mut trace = Trace::default();
    for record in records {
        match record {
            Record::Span(span) => trace.spans.push(span),
            Record::Log(log) => trace.logs.push(log),
        }
    }
    trace
}
