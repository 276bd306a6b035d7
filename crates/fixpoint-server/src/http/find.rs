//! `/v1/find`: from any id to the runs, resources and traces that it occurs in.
//!
//! Not here: how traces are searched (the trace store). The surprise: it asks for no kind of id.
//! A run, a trace, a resource's name, an instance, an ARN or an AWS request id all go in one box.

use axum::Json;
use fixpoint_client::{FindPage, Hit};
use serde::Deserialize;

use super::{
    Problem, View,
    page::{Params, bad_parameter},
    traces::summary,
};

/// An ARN may have 2,048 characters.
const MAX_QUERY: usize = 2_048;

/// More traces than this are no find but a list.
const MAX_TRACES: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindParams {
    q: String,
}

pub(super) async fn find(
    app: View,
    Params(FindParams { q }): Params<FindParams>,
) -> Result<Json<FindPage>, Problem> {
    let q = q.trim();
    if q.is_empty() || q.len() > MAX_QUERY {
        return Err(bad_parameter(format!("q wants 1 to {MAX_QUERY} characters.")));
    }
    hits(&app, q).await.map(|hits| Json(FindPage { hits }))
}

/// Everything that `id` names or occurs in.
pub(crate) async fn hits(app: &View, id: &str) -> Result<Vec<Hit>, Problem> {
    let mut hits = Vec::new();
    let run = app.records.run(id).await?.map(|stored| stored.record.run);
    let in_trace = app.records.runs_in(&id.to_ascii_lowercase()).await?;
    hits.extend(run.into_iter().chain(in_trace).map(|run| Hit::Run(Box::new(run))));

    let named = match app.scope.parse(id) {
        Some(key) => vec![key],
        None => app.kinds.keys().map(|kind| app.scope.key(kind, id)).collect(),
    };
    for key in named {
        if let Some(stored) = app.records.resource(&key).await? {
            hits.push(Hit::Resource(Box::new(app.records.show(stored.record).await?)));
        }
    }
    let traces = app.traces.find(id, MAX_TRACES).await?;
    hits.extend(traces.into_iter().map(|trace| Hit::Trace(summary(trace))));
    Ok(hits)
}
