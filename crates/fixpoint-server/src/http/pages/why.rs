//! `/runs/{id}/why` and `/traces/{id}/why`: what went wrong, as a page.
//!
//! Not here: finding it out (`crate::why`). The surprise: hardly anybody comes here. The pages of
//! runs and traces ask for it behind their readers' backs and show its panel as their own, so that
//! they need not wait for an answer that may take a second.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::draw;
use crate::{
    http::{
        App, Problem,
        runs::no_run,
        traces::{no_trace, trace_id},
    },
    ui::{self, Chrome, WhyView},
};

pub(super) async fn of_run(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = app.records.run_with_history(&id).await?.ok_or_else(|| no_run(&id))?;
    let why = app.explainer.of_run(&run).await?;
    draw(&ui::WhyPage {
        chrome: Chrome::new(format!("Why · {} · {}", run.plan, run.resource)).section("runs"),
        base: ui::RunView::new(run.clone()).href(),
        what: format!("{} of {}", run.plan, run.resource),
        why: WhyView::new(why),
    })
}

pub(super) async fn of_trace(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = trace_id(&id)?;
    let why = app.explainer.of_trace(id).await?.ok_or_else(|| no_trace(id))?;
    draw(&ui::WhyPage {
        chrome: Chrome::new(format!("Why · trace {id}")),
        base: format!("/traces/{id}"),
        what: format!("trace {id}"),
        why: WhyView::new(why),
    })
}
