//! The pages, as routes: reads what a page shows and hands it to its template.
//!
//! Not here: how pages look (`ui/`) and the API that their scripts call. The surprise: handlers
//! fail with the same problems as the API's, and [`for_people`] turns them into pages on the way
//! out, so that a mistyped address in a browser is answered with a page as well.

mod diff;
mod operations;
mod search;
mod why;

use askama::Template;
use axum::{
    Router,
    body::to_bytes,
    extract::{Path, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use fixpoint_client::{Run, RunState};
use fixpoint_trace::model::Status;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App, Problem, View,
    page::{self, Params},
};
use crate::{
    kinds::AnyKind,
    records::ResourceKey,
    ui::{self, Chrome, Form, ResourceView, RunView, VerbView},
    why::went_wrong,
};

/// How many rows a table shows before it leads elsewhere.
const ROWS: usize = 50;
const RECENT_RUNS: usize = 12;

/// Seconds between two looks of a page that has no stream to follow.
const REFRESH: u32 = 2;

/// Nothing from elsewhere, nothing inline, no page within another site's frame.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The routes of the pages. Kinds come last: `/runs/{id}` is never a resource.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/why", get(why::of_run))
        .route("/traces", get(search::traces))
        .route("/traces/{id}", get(trace))
        .route("/traces/{id}/why", get(why::of_trace))
        .route("/traces/{a}/diff/{b}", get(diff::diff))
        .route("/compare", get(diff::compare))
        .route("/operations", get(operations::operations))
        .route("/search", get(search::find))
        .route("/assets/{name}", get(asset))
        .route("/{kind}/{name}", get(resource))
}

async fn home(app: View) -> Result<Response, Problem> {
    let mut kinds = Vec::with_capacity(app.kinds.len());
    for kind in app.kinds.values() {
        let found = app.records.resources(kind.name(), None, ROWS).await?;
        let mut resources = Vec::with_capacity(found.items.len());
        for record in found.items {
            resources.push(ResourceView::new(app.records.show(record).await?));
        }
        let form = Form::create(kind.name(), &schema(&**kind));
        kinds.push(ui::KindSection {
            kind: kind.name().to_owned(),
            resources,
            more: found.more,
            form,
        });
    }
    let runs = app.records.runs(None, None, None, RECENT_RUNS).await?;
    let chrome = Chrome::new("Resources").section("resources").refresh(REFRESH);
    draw(&ui::HomePage { chrome, kinds, runs: views(&app, runs.items) })
}

#[derive(Deserialize)]
struct RunsParams {
    state: Option<RunState>,
    page_token: Option<String>,
}

async fn runs(
    app: View,
    Params(RunsParams { state, page_token }): Params<RunsParams>,
) -> Result<Response, Problem> {
    let list = format!("runs page {}", state.map_or("", RunState::as_str));
    let before = page::after(&list, page_token.as_deref())?;
    let found = app.records.runs(None, state, before.as_deref(), ROWS).await?;
    let next = found.items.last().filter(|_| found.more).map(|last| {
        let state = state.map(|state| format!("state={state}&")).unwrap_or_default();
        format!("/runs?{state}page_token={}", page::token(&list, &last.id))
    });
    // Only the first page has anything new.
    let refresh = if before.is_none() { REFRESH } else { 0 };
    let chrome = Chrome::new("Runs").section("runs").refresh(refresh);
    draw(&ui::RunsPage { chrome, runs: views(&app, found.items), next, state })
}

async fn run(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let run = app.records.run_with_history(&id).await?;
    let mut run = run.ok_or_else(|| Problem::not_found(format_args!("run {id}")))?;
    app.explainer.mark(&mut run);
    let chrome = Chrome::new(format!("{} {} · {}", run.plan, run.state, run.resource))
        .section("runs")
        .follow(&run);
    let good = diff::last_good(&app, &run).await?;
    let resource = match ResourceKey::parse(&run.resource) {
        Some(key) => app.records.resource(&key).await?,
        None => None,
    };
    // What was done since by a newer run is not for this one to change.
    let newest = resource.is_some_and(|stored| stored.record.run_id == run.id);
    let verbs = if newest { VerbView::of(run.state) } else { Vec::new() };
    draw(&ui::RunPage { chrome, run: RunView::new(run), verbs, good })
}

async fn trace(app: View, Path(id): Path<String>) -> Result<Response, Problem> {
    let trace_id = id.to_ascii_lowercase();
    let runs = app.records.runs_in(&trace_id).await?;
    let went_wrong = match runs.last() {
        // The last run of a trace is how the trace ended. It is known before its first span is stored.
        Some(run) => went_wrong(run.outcome()),
        None => {
            let found = app.traces.find(&trace_id, 2).await?;
            match &found[..] {
                [only] if only.trace_id.to_string() != trace_id => {
                    return Ok(Redirect::to(&format!("/traces/{}", only.trace_id)).into_response());
                }
                [] => {
                    return Err(Problem::not_found(format_args!("trace {id}"))
                        .hint("It may have been made elsewhere, or the id be cut off."));
                }
                [first, ..] => matches!(first.status, Status::Error(_)),
            }
        }
    };
    let good = match runs.first() {
        Some(run) => diff::last_good(&app, run).await?,
        None => None,
    };
    draw(&ui::TracePage {
        chrome: Chrome::new(format!("Trace {trace_id}")),
        base: format!("/traces/{trace_id}"),
        went_wrong,
        trace_id,
        good,
        runs: views(&app, runs),
    })
}

async fn resource(
    app: View,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let key = app.scope.key(&kind, &name);
    let kind = app.kinds.get(key.kind.as_str()).ok_or_else(|| Problem::not_found(&key))?;
    let stored = app.records.resource(&key).await?.ok_or_else(|| Problem::not_found(&key))?;
    let resource = app.records.show(stored.record).await?;
    let runs = app.records.runs(Some(&key), None, None, RECENT_RUNS).await?;
    let etag = format!("\"{}\"", resource.generation);
    let form = Form::change(&key.kind, &key.name, etag, &schema(&**kind), &resource.spec);
    let chrome = Chrome::new(key.to_string()).section("resources").refresh(REFRESH);
    draw(&ui::ResourcePage {
        chrome,
        resource: ResourceView::new(resource),
        runs: views(&app, runs.items),
        form,
    })
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ui::asset(&name).ok_or_else(|| Problem::not_found(format_args!("asset {name}")))?;
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag == asset.etag);
    let cache = [(header::ETAG, asset.etag), (header::CACHE_CONTROL, "no-cache")];
    Ok(if known {
        (StatusCode::NOT_MODIFIED, cache).into_response()
    } else {
        (cache, [(header::CONTENT_TYPE, asset.media_type)], asset.text).into_response()
    })
}

/// Draws problems as pages where a browser asks for a page. `/v1` always speaks JSON.
pub(super) async fn for_people(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let page = accept.is_some_and(|accept| accept.contains("text/html"))
        && !request.uri().path().starts_with("/v1/");
    let answer = next.run(request).await;
    let json =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|t| t == "application/problem+json");
    if !(page && json) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    // Problems are made by this crate, and are small.
    let Ok(bytes) = to_bytes(body, 1 << 20).await else { return parts.status.into_response() };
    let Ok(problem) = serde_json::from_slice::<fixpoint_client::Problem>(&bytes) else {
        return (parts, bytes).into_response();
    };
    let chrome = Chrome::new(problem.title.clone());
    match draw(&ui::ErrorPage { chrome, problem }) {
        Ok(drawn) => {
            let (drawn, body) = drawn.into_parts();
            parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers.extend(drawn.headers);
            Response::from_parts(parts, body)
        }
        Err(_) => (parts, bytes).into_response(),
    }
}

pub(super) fn draw(page: &impl Template) -> Result<Response, Problem> {
    let html = page.render().map_err(|error| Problem::internal(&error))?;
    let headers = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, Html(html)).into_response())
}

fn views(app: &View, runs: Vec<Run>) -> Vec<RunView> {
    let marked = |mut run: Run| {
        app.explainer.mark(&mut run);
        RunView::new(run)
    };
    runs.into_iter().map(marked).collect()
}

/// The JSON schema of a kind's spec, with its definitions inside.
fn schema(kind: &dyn AnyKind) -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let root = kind.schema(&mut generator).to_value();
    let mut document = match root {
        Value::Object(_) => root,
        _ => json!({}),
    };
    document["$defs"] = Value::Object(generator.take_definitions(true));
    document
}
