//! `/v1/runs/{id}/why` and `/v1/traces/{id}/why`: what went wrong, and how one knows.
//!
//! Not here: finding it out (`why/`). The surprise: a run that goes on is answered too.

use axum::{Json, Router, extract::Path, routing::get};
use fixpoint_client::Why;

use super::{
    App, Problem, View,
    runs::no_run,
    traces::{no_trace, trace_id},
};
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/runs/{id}/why", get(of_run))
        .route("/v1/traces/{id}/why", get(of_trace))
}

async fn of_run(app: View, Path(id): Path<String>) -> Result<Json<Why>, Problem> {
    let run = app.records.run_with_history(&id).await?.ok_or_else(|| no_run(&id))?;
    Ok(Json(app.explainer.of_run(&app.scope, &run).await?))
}

async fn of_trace(app: View, Path(id): Path<String>) -> Result<Json<Why>, Problem> {
    let id = trace_id(&id)?;
    app.explainer.of_trace(&app.scope, id).await?.map(Json).ok_or_else(|| no_trace(id))
}
