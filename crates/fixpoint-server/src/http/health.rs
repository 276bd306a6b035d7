//! `/healthz` and `/metrics`: for whatever watches the server.
//!
//! Not here: what is counted (`metrics.rs`). The surprise: healthy means that both stores answer,
//! not that runs succeed.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fixpoint_trace::store::TraceQuery;
use serde_json::json;

use super::{App, Problem};
use crate::{access::Scope, metrics::Gauges, records::key};

pub(super) async fn healthz(State(app): State<App>) -> Response {
    let runs = app.records.whole().has(key::FIRST_TOKEN).await.is_ok();
    let any = TraceQuery { limit: 1, ..TraceQuery::default() };
    let traces = app.traces.whole().search(&any).await.is_ok();
    let (status, word) = match (runs && traces, app.stopping.is_cancelled()) {
        (true, false) => (StatusCode::OK, "ok"),
        (true, true) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    (status, Json(json!({"status": word, "runs": runs, "traces": traces}))).into_response()
}

pub(super) async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let store = app.traces.whole().stats().await?;
    let mut now = Gauges {
        dropped: app.recorder.dropped(),
        store,
        exported: app.exported.now(),
        apis: (app.apis)(),
        profiles: app.explainer.size(),
        ..Gauges::default()
    };
    for state in fixpoint_client::RunState::ALL.into_iter().filter(|state| !state.is_final()) {
        now.open_runs.insert(state.as_str(), 0);
    }
    let records = app.records.whole();
    for (_, id) in records.with_unfinished_runs().await? {
        if let Some(run) = records.run(&id).await? {
            *now.open_runs.entry(run.record.run.state.as_str()).or_default() += 1;
        }
    }
    now.undelivered = records.count_undelivered().await?;
    for kind in app.kinds.keys() {
        let drifted = records.drifted(&Scope::WHOLE, kind, None, usize::MAX).await?;
        now.drifted.insert(kind, drifted.items.len() as u64);
    }
    let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((text, app.metrics.exposition(&now)))
}
