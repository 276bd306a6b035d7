//! `/v1/traces/{a}/diff/{b}`: what differs between two traces.
//!
//! Not here: how they are compared (`fixpoint_trace::compare::diff`). The surprise: neither has to
//! be a trace's id. A run, a resource's name or any id that occurs in a trace will do, as in the
//! search box.

use axum::{Router, extract::Path, http::HeaderMap, response::Response, routing::get};
use fixpoint_client::{
    Change, DiffCounts, DiffPlace, DiffRow, DiffSide, Difference, DifferenceKind, Hit, InBoth,
    Renamed, TraceDiff,
};
use fixpoint_trace::{
    compare::diff::{self, Kind, Part, diff},
    model::{SpanId, TraceId},
};
use serde::Deserialize;

use super::{
    App, Problem, View,
    find::hits,
    page::Params,
    rows::json_of,
    traces::{no_trace, timestamp},
};
use crate::why::without_bookkeeping;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v1/traces/{a}/diff/{b}", get(compare))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffParams {
    #[serde(default)]
    rows: bool,
}

async fn compare(
    app: View,
    Path((a, b)): Path<(String, String)>,
    headers: HeaderMap,
    Params(DiffParams { rows }): Params<DiffParams>,
) -> Result<Response, Problem> {
    let (a, b) = (meant(&app, &a).await?, meant(&app, &b).await?);
    let of_a = app.traces.trace(a).await?.ok_or_else(|| no_trace(a))?;
    let of_b = app.traces.trace(b).await?.ok_or_else(|| no_trace(b))?;
    let (of_a, of_b) = (without_bookkeeping(of_a), without_bookkeeping(of_b));
    let spans = of_a.spans.len() + of_b.spans.len();
    json_of(&headers, spans, move || {
        let mut comparison = diff(&of_a, &of_b);
        if !rows {
            comparison.rows.clear();
        }
        serde_json::to_vec(&wire(comparison))
    })
    .await
}

/// The trace that an id means: a trace's own, a run's, that of a resource's newest run, or the
/// newest in which it occurs.
pub(super) async fn meant(app: &View, id: &str) -> Result<TraceId, Problem> {
    if let Ok(id) = id.to_ascii_lowercase().parse() {
        return Ok(id);
    }
    let found = hits(app, id).await?;
    let trace = |hit: &Hit| match hit {
        Hit::Run(run) => Some(run.trace_id.clone()),
        Hit::Resource(resource) => resource.trace_id.clone(),
        Hit::Trace(trace) => Some(trace.trace_id.clone()),
    };
    found.iter().find_map(trace).and_then(|id| id.parse().ok()).ok_or_else(|| {
        Problem::not_found(format_args!("trace of {id}"))
            .hint("Ids of traces may be cut to their first 8 digits, others must be whole.")
    })
}

fn wire(comparison: diff::Comparison) -> TraceDiff {
    let same = comparison.is_same();
    let diff::Comparison { a, b, counts, differences, renamed, rows } = comparison;
    TraceDiff {
        a: side(a),
        b: side(b),
        same,
        counts: DiffCounts {
            missing: counts.missing,
            extra: counts.extra,
            failed: counts.failed,
            recovered: counts.recovered,
            retried: counts.retried,
            repeated: counts.repeated,
            reordered: counts.reordered,
            changed: counts.changed,
            slower: counts.slower,
            faster: counts.faster,
        },
        differences: differences.into_iter().map(difference).collect(),
        renamed: renamed.into_iter().map(|of| Renamed { a: of.a, b: of.b }).collect(),
        rows: rows
            .into_iter()
            .map(|row| DiffRow { a: text(row.a), b: text(row.b), parent: row.parent })
            .collect(),
    }
}

fn side(side: diff::Side) -> DiffSide {
    DiffSide {
        trace_id: side.trace_id.map(|id| id.to_string()).unwrap_or_default(),
        name: side.name,
        service: side.service,
        started_at: timestamp(side.start),
        duration_nanos: side.duration,
        spans: side.spans,
        errors: side.failed,
        open: side.open,
        partial: side.partial,
    }
}

fn difference(of: diff::Difference) -> Difference {
    Difference {
        kind: kind(of.kind),
        name: of.name,
        service: of.service,
        path: of.path,
        a: place(of.a),
        b: place(of.b),
        rows: of.rows,
        spans: of.spans,
        wrapper: of.wrapper,
        follows: of.follows,
        times: of.times.map(in_both),
        own_nanos: of.own_time.map(in_both),
        changes: of.changes.into_iter().map(change).collect(),
    }
}

fn kind(kind: Kind) -> DifferenceKind {
    match kind {
        Kind::Missing => DifferenceKind::Missing,
        Kind::Extra => DifferenceKind::Extra,
        Kind::Failed => DifferenceKind::Failed,
        Kind::Recovered => DifferenceKind::Recovered,
        Kind::Retried => DifferenceKind::Retried,
        Kind::Repeated => DifferenceKind::Repeated,
        Kind::Reordered => DifferenceKind::Reordered,
        Kind::Changed => DifferenceKind::Changed,
        Kind::Slower => DifferenceKind::Slower,
        Kind::Faster => DifferenceKind::Faster,
    }
}

fn change(change: diff::Change) -> Change {
    let part = match change.part {
        Part::Name => "name",
        Part::Status => "status",
        Part::Request => "request",
        Part::Response => "response",
        Part::Attribute => "attribute",
        Part::Event => "event",
        Part::Log => "log",
        Part::Resource => "resource",
    };
    Change { part: part.to_owned(), path: change.path, a: change.a, b: change.b }
}

fn place(place: diff::Place) -> DiffPlace {
    DiffPlace {
        span_id: text(place.span),
        parent_id: text(place.parent),
        after_id: text(place.after),
    }
}

fn in_both(times: diff::Times) -> InBoth {
    InBoth { a: times.a, b: times.b }
}

fn text(id: Option<SpanId>) -> Option<String> {
    id.map(|id| id.to_string())
}
