//! `/runs/{id}/why` and `/traces/{id}/why`: what went wrong, as a page.
//!
//! Not here: finding it out (`crate::why`). The surprise: hardly anybody comes here. The pages of
//! runs and traces ask for it behind their readers' backs and show its panel as their own, so that
//! they need not wait for an answer that may take a second.

use axum::{extract::Path, response::Response};

use super::draw;
use crate::{
    http::{
        Problem, View,
        runs::no_run,
        traces::{no_trace, trace_id},
    },
    ui::{self, Chrome, WhyView},
};

pub(super) async fn of_run(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = app.records.run_with_history(&id).await?.ok_or_else(|| no_run(&id))?;
    let why = app.explainer.of_run(&app.scope, &run).await?;
    draw(&ui::WhyPage {
        chrome: Chrome::new(format!("Why · {} · {}", run.plan, run.resource)).section("runs"),
        base: ui::RunView::new(run.clone()).href(),
        what: format!("{} of {}", run.plan, run.resource),
        why: WhyView::new(why),
    })
}

pub(super) async fn of_trace(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = trace_id(&id)?;
    let why = app.explainer.of_trace(&app.scope, id).await?.ok_or_else(|| no_trace(id))?;
    draw(&ui::WhyPage {
        chrome: Chrome::new(format!("Why · trace {id}")),
        base: format!("/traces/{id}"),
        what: format!("trace {id}"),
        why: WhyView::new(why),
    })
}
