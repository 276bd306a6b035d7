//! `/traces/{a}/diff/{b}`: both waterfalls in one; and `/compare`, where forms lead to it.
//!
//! Not here: the comparison, which the page's script asks the API for. The surprise: an address
//! that names a run or a resource is answered with that of the traces, so that a link that is
//! shared means the same tomorrow.

use axum::{
    extract::Path,
    response::{IntoResponse, Redirect, Response},
};
use fixpoint_client::{Run, RunState};
use fixpoint_trace::model::TraceId;
use serde::Deserialize;

use super::draw;
use crate::{
    http::{Problem, View, diff::meant, page::Params, traces::no_trace},
    ui::{self, Chrome, DiffSide, RunView},
};

/// Among so many of the newest good runs one of the same kind is looked for.
const LOOKED_AT: usize = 200;

pub(super) async fn diff(
    app: View,
    Path((a, b)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let traces = [meant(&app, &a).await?, meant(&app, &b).await?];
    if traces[0].to_string() != a || traces[1].to_string() != b {
        return Ok(Redirect::to(&address(traces)).into_response());
    }
    let [a, b] = [side(&app, traces[0]).await?, side(&app, traces[1]).await?];
    let name = |side: &DiffSide| match &side.run {
        Some(view) => view.run.resource.clone(),
        None => side.trace_id[..8].to_owned(),
    };
    let chrome = Chrome::new(format!("{} against {}", name(&b), name(&a)));
    let runs = [&a, &b].into_iter().filter_map(|side| side.run.as_ref());
    let chrome = runs.fold(chrome, |chrome, view| chrome.follow(&view.run));
    draw(&ui::DiffPage { chrome, a, b })
}

async fn side(app: &View, trace: TraceId) -> Result<DiffSide, Problem> {
    let trace_id = trace.to_string();
    let run = app.records.runs_in(&trace_id).await?.pop().map(RunView::new);
    if run.is_none() {
        let found = app.traces.find(&trace_id, 1).await?;
        if found.iter().all(|summary| summary.trace_id != trace) {
            return Err(no_trace(trace));
        }
    }
    Ok(DiffSide { trace_id, run })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Two {
    a: String,
    b: String,
}

pub(super) async fn compare(
    app: View,
    Params(Two { a, b }): Params<Two>,
) -> Result<Redirect, Problem> {
    let traces = [meant(&app, a.trim()).await?, meant(&app, b.trim()).await?];
    Ok(Redirect::to(&address(traces)))
}

fn address([a, b]: [TraceId; 2]) -> String {
    format!("/traces/{a}/diff/{b}")
}

/// The newest run that converged, of the same plan and kind, other than this one.
pub(super) async fn last_good(app: &View, run: &Run) -> Result<Option<RunView>, Problem> {
    let good = app.records.runs(None, Some(RunState::Converged), None, LOOKED_AT).await?;
    let fits = |good: &&Run| good.is_example_for(run) && good.trace_id != run.trace_id;
    Ok(good.items.iter().find(fits).cloned().map(RunView::new))
}
