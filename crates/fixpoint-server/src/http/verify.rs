//! `POST /v1/{kind}/{name}/verify`: asks now whether a solved resource is still as wanted.
//!
//! Not here: the look, which is the runner's (`verify/`). The surprise: the answer waits for the
//! look, so it tells what there is and not what was; with 202 if the resource asks to be mended and
//! a run does it.

use std::{sync::Arc, time::Duration};

use axum::{Extension, extract::Path, http::StatusCode, response::Response};
use fixpoint_trace::layer;
use tokio::time;

use super::{Problem, View, resources::answer};
use crate::{
    intents::Refusal,
    kinds::AnyKind,
    records::ResourceKey,
    verify::{Answer, LOOK_TIME},
};

/// Others are looked at first.
const QUEUE_TIME: Duration = Duration::from_secs(30);

pub(super) async fn verify(
    app: View,
    Extension(kind): Extension<Arc<dyn AnyKind>>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let key = app.scope.key(kind.name(), &name);
    let stored = app.records.resource(&key).await?.ok_or_else(|| Problem::not_found(&key))?;
    if stored.record.deleting {
        return Err(Refusal::Deleting(key).into());
    }
    let run = app.records.run(&stored.record.run_id).await?;
    if let Some(run) = run.filter(|run| !run.record.run.state.is_final()) {
        return Err(at_work(&key, &run.record.run.id));
    }
    // A look is taken up below this request's span, so that one is on disk first.
    app.recorder.flush().await.map_err(|lost| Problem::internal(&lost))?;
    let told = app.asking.ask(key.clone(), layer::current());
    let run_id = match time::timeout(LOOK_TIME + QUEUE_TIME, told).await {
        Ok(Ok(Answer::Looked(run_id))) => run_id,
        Ok(Ok(Answer::NotSolved)) => return Err(not_solved(&key)),
        Ok(Err(_)) => return Err(not_now("The server stops.")),
        Err(_) => return Err(not_now("There was no turn for it in time.")),
    };
    let stored = app.records.resource(&key).await?.ok_or_else(|| Problem::not_found(&key))?;
    let status = if run_id.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(answer(status, app.records.show(stored.record).await?, run_id))
}

fn at_work(key: &ResourceKey, run: &str) -> Problem {
    let detail = format!("Run {run} is at work on {key}.");
    Problem::new(StatusCode::CONFLICT, "at-work", "A run is at work", detail)
        .hint("Follow the run: it ends when the resource is as wanted.")
}

fn not_solved(key: &ResourceKey) -> Problem {
    let detail =
        format!("No run has made {key} as it is wanted now, so there is nothing to verify.");
    Problem::new(StatusCode::CONFLICT, "not-solved", "Not solved", detail)
        .hint("GET …/plan shows what is left to do; POST …/runs does it.")
}

fn not_now(detail: &str) -> Problem {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "not-now", "Not verified", detail).hint("Ask again in a moment.")
}
