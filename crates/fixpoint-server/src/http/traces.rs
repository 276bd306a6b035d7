//! `/v1/traces`: what happened, span by span.
//!
//! Not here: OTLP itself (`fixpoint_trace::otlp`). The surprise: a trace can be read and followed
//! while it happens; a span that is still open has no `endTimeUnixNano`.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, sse::Event},
    routing::get,
};
use fixpoint_client::{LogPage, TracePage, TraceSummary};
use fixpoint_trace::{
    model::{Record, Status, Trace, TraceId, UnixNanos},
    otlp,
    query::{Condition, Field, Op, Query, TraceCondition},
    store::{self, TraceQuery},
};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    App, Problem,
    logs::line,
    page::{self, Params, bad_parameter},
    sse,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/traces", get(list))
        .route("/v1/traces/{id}", get(show))
        .route("/v1/traces/{id}/events", get(events))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    name: Option<String>,
    service: Option<String>,
    error: Option<bool>,
    since: Option<Timestamp>,
    limit: Option<usize>,
    page_token: Option<String>,
}

async fn list(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<TracePage>, Problem> {
    let ListParams { name, service, error, since, .. } = params;
    let list = format!("traces {name:?} {service:?} {error:?} {since:?}").replace('\n', " ");
    let before = match page::after(&list, params.page_token.as_deref())? {
        None => None,
        Some(last) => Some(place(&last).ok_or_else(|| bad_parameter("page_token is damaged."))?),
    };
    let mut filter = Query::default();
    if let Some(service) = service {
        filter = Query::of_span(vec![Condition::equal(Field::Service, service)]);
    }
    if let Some(name) = name {
        filter = filter.and(TraceCondition::Root(Op::Equal, name));
    }
    if let Some(error) = error {
        let op = if error { Op::More } else { Op::Equal };
        filter = filter.and(TraceCondition::Errors(op, 0));
    }
    let query = TraceQuery {
        filter,
        until: None,
        since: since.map(|since| UnixNanos::try_from(since.as_nanosecond()).unwrap_or_default()),
        limit: page::limit(params.limit)?,
        before,
    };
    let found = app.traces.search(&query).await?;
    let next_page_token =
        found.next.map(|(start, id)| page::token(&list, &format!("{start} {id}")));
    Ok(Json(TracePage { items: found.items.into_iter().map(summary).collect(), next_page_token }))
}

fn place(last: &str) -> Option<(UnixNanos, TraceId)> {
    let (start, id) = last.split_once(' ')?;
    Some((start.parse().ok()?, id.parse().ok()?))
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
pub(super) fn timestamp(nanos: UnixNanos) -> Timestamp {
    // 64 bits of nanoseconds end in 2554, within what a timestamp can say.
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX)
}

async fn show(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, Problem> {
    let id = trace_id(&id)?;
    let trace = app.traces.trace(id).await?.ok_or_else(|| no_trace(id))?;
    Ok(Json(otlp::to_json(&trace)))
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
    State(app): State<App>,
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
    app: App,
    id: TraceId,
    changes: Receiver<Arc<Vec<Record>>>,
    next: Option<Trace>,
}

impl Follower {
    /// What changed in the trace; none when the server stops.
    async fn next(&mut self) -> Option<Trace> {
        if let Some(whole) = self.next.take() {
            return Some(whole);
        }
        loop {
            let records = tokio::select! {
                records = self.changes.recv() => records,
                () = self.app.stopping.cancelled() => return None,
            };
            let trace = match records {
                Ok(records) => self.ours(&records),
                Err(RecvError::Lagged(_)) => self.app.traces.trace(self.id).await.ok()??,
                Err(RecvError::Closed) => return None,
            };
            if !trace.spans.is_empty() || !trace.logs.is_empty() {
                return Some(trace);
            }
        }
    }

    fn ours(&self, records: &[Record]) -> Trace {
        let mut trace = Trace::default();
        for record in records {
            match record {
                Record::Span(span) if span.trace_id == self.id => trace.spans.push(span.clone()),
                Record::Log(log) if log.trace_id == Some(self.id) => trace.logs.push(log.clone()),
                _ => {}
            }
        }
        trace
    }
}
