//! `/v1/{kind}`: what is wanted, one set of routes for each kind.
//!
//! Not here: what a change means (`intents.rs`). The surprise: every change can be asked for with
//! `?dry_run=true`, and is then answered with the steps that it would lead to.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use fixpoint::{Chain, Context, Scheduler};
use fixpoint_client::{PlanPreview, Resource, ResourcePage};
use fixpoint_trace::{layer, redact, semconv};
use serde::Deserialize;
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::{
    App, Problem, View,
    body::JsonObject,
    page::{self, Params},
    verify,
};
use crate::{
    StatusCell,
    intents::{Accepted, Draft, IfMatch},
    kinds::AnyKind,
    records::Page,
    run::Cause,
    runner::show_iteration,
    verify::{LOOK_TIME, only_looking},
};

type Kind = Extension<Arc<dyn AnyKind>>;

/// The routes of one kind.
pub(super) fn routes(kind: &str) -> Router<App> {
    Router::new()
        .route(&format!("/v1/{kind}"), get(list).post(create))
        .route(&format!("/v1/{kind}/{{name}}"), get(show).patch(patch).delete(delete))
        .route(&format!("/v1/{kind}/{{name}}/plan"), get(plan))
        .route(&format!("/v1/{kind}/{{name}}/runs"), post(run_again))
        .route(&format!("/v1/{kind}/{{name}}/verify"), post(verify::verify))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    #[serde(default)]
    drifted: bool,
    limit: Option<usize>,
    page_token: Option<String>,
}

async fn list(
    app: View,
    Extension(kind): Kind,
    Params(params): Params<ListParams>,
) -> Result<Json<ResourcePage>, Problem> {
    let limit = page::limit(params.limit)?;
    let name = kind.name();
    let list = if params.drifted { format!("drifted {name}") } else { name.to_owned() };
    let after = page::after(&list, params.page_token.as_deref())?;
    let Page { items, more } = match params.drifted {
        true => app.records.drifted(name, after.as_deref(), limit).await?,
        false => {
            let found = app.records.resources(name, after.as_deref(), limit).await?;
            let mut items = Vec::with_capacity(found.items.len());
            for record in found.items {
                items.push(app.records.show(record).await?);
            }
            Page { items, more: found.more }
        }
    };
    let next_page_token = items.last().filter(|_| more).map(|last| page::token(&list, &last.name));
    Ok(Json(ResourcePage { items, next_page_token }))
}

async fn show(
    app: View,
    Extension(kind): Kind,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let key = app.scope.key(kind.name(), &name);
    let stored = app.records.resource(&key).await?.ok_or_else(|| Problem::not_found(&key))?;
    Ok(answer(StatusCode::OK, app.records.show(stored.record).await?, None))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeParams {
    #[serde(default)]
    dry_run: bool,
}

async fn create(
    app: View,
    Extension(kind): Kind,
    Params(params): Params<ChangeParams>,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    if params.dry_run {
        let draft = app.intents.draft_create(&app.scope, &*kind, body).await?;
        return preview(&app, &*kind, &draft).await;
    }
    let key = idempotency_key(&headers)?;
    accepted(app.intents.create(&app.scope, &*kind, body, key, cause(&app).await?).await?)
}

async fn patch(
    app: View,
    Extension(kind): Kind,
    Path(name): Path<String>,
    Params(params): Params<ChangeParams>,
    headers: HeaderMap,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let only = if_match(&headers)?;
    if params.dry_run {
        let draft = app.intents.draft_patch(&app.scope, &*kind, &name, body, only.as_ref()).await?;
        return preview(&app, &*kind, &draft).await;
    }
    let cause = cause(&app).await?;
    accepted(app.intents.patch(&app.scope, &*kind, &name, body, only.as_ref(), cause).await?)
}

async fn delete(
    app: View,
    Extension(kind): Kind,
    Path(name): Path<String>,
    Params(params): Params<ChangeParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let only = if_match(&headers)?;
    if params.dry_run {
        let draft = app.intents.draft_delete(&app.scope, &*kind, &name, only.as_ref()).await?;
        return preview(&app, &*kind, &draft).await;
    }
    let cause = cause(&app).await?;
    accepted(app.intents.delete(&app.scope, &*kind, &name, only.as_ref(), cause).await?)
}

async fn plan(
    app: View,
    Extension(kind): Kind,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    let draft = app.intents.draft_same(&app.scope, &*kind, &name).await?;
    preview(&app, &*kind, &draft).await
}

async fn run_again(
    app: View,
    Extension(kind): Kind,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    accepted(app.intents.run_again(&app.scope, &*kind, &name, cause(&app).await?).await?)
}

/// The request's own span, which the run's hangs under. It is on disk before the run's record is:
/// a run that is taken up after a crash must find what it hangs under.
async fn cause(app: &View) -> Result<Cause, Problem> {
    app.recorder.flush().await.map_err(|lost| Problem::internal(&lost))?;
    Ok(Cause::Request(layer::current()))
}

/// 202 with the run's address, or 200 if nothing had to change. Who changed a tenant's resource is
/// for that tenant to see.
fn accepted(Accepted { resource, run_id }: Accepted) -> Result<Response, Problem> {
    if let Some(tenant) = &resource.tenant {
        tracing::Span::current().record(semconv::TENANT, tenant);
    }
    let status = if run_id.is_some() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(answer(status, resource, run_id))
}

/// The resource, and the address of the run that works on it.
pub(super) fn answer(status: StatusCode, resource: Resource, run_id: Option<String>) -> Response {
    let etag = format!("\"{}\"", resource.generation);
    let mut response = (status, [(header::ETAG, etag)], Json(resource)).into_response();
    let location = run_id.and_then(|id| HeaderValue::try_from(format!("/v1/runs/{id}")).ok());
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Asks the plan once what it would do. The plan promises to change nothing.
async fn preview(app: &View, kind: &dyn AnyKind, draft: &Draft) -> Result<Response, Problem> {
    let failed = |detail: String| {
        let status = StatusCode::BAD_GATEWAY;
        Problem::new(status, "not-planned", "The plan could not be created", detail)
            .hint("The trace shows which call failed.")
    };
    let plan = kind
        .plan(&draft.record, StatusCell::default())
        .map_err(|error| Problem::internal(&*error))?;
    // Ends what the plan may have left waiting when the client or our patience is gone.
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let cx = Context::new().with_pace(app.pace).with_cancel(cancel);
    let scheduler = Scheduler::default();
    let asked = only_looking(scheduler.ask(&*plan, &cx));
    let looked = time::timeout(LOOK_TIME, asked).await;
    let answer = looked
        .map_err(|_| failed(format!("It took more than {LOOK_TIME:?}.")))?
        .map_err(|error| failed(redact::text(&Chain(&error).to_string()).into_owned()))?;
    let trace_id = layer::current().map(|span| span.trace_id.to_string()).unwrap_or_default();
    let plan = plan.name().to_owned();
    Ok(Json(PlanPreview { plan, trace_id, iteration: show_iteration(1, &answer) }).into_response())
}

/// Keys are for clients to choose; any printable ASCII will do.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    const MAX: usize = 200;
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=MAX).contains(&key.len()) && !key.contains(char::is_whitespace) => {
            Ok(Some(key))
        }
        _ => Err(Problem::bad_request(
            "bad-key",
            "Bad Idempotency-Key",
            format!("Idempotency-Key wants 1 to {MAX} printable ASCII characters, no spaces."),
        )),
    }
}

/// Reads `If-Match` (RFC 9110 §13.1.1). A weak tag, or one that is no generation, never matches.
fn if_match(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    let mut generations = Vec::new();
    let mut values = headers.get_all(header::IF_MATCH).iter().peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    for value in values {
        for tag in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            let (weak, strong) = match tag.strip_prefix("W/") {
                Some(tag) => (true, tag),
                None => (false, tag),
            };
            match strong.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
                Some(generation) if !weak => generations.extend(generation.parse::<u64>()),
                Some(_) => {}
                None if tag == "*" => return Ok(Some(IfMatch::Any)),
                None => {
                    let detail = format!("If-Match is {tag}; entity tags stand in quotes.");
                    return Err(Problem::bad_request("bad-if-match", "Bad If-Match", detail)
                        .hint("Send back the ETag that GET answered with, quotes included."));
                }
            }
        }
    }
    Ok(Some(IfMatch::Generations(generations)))
}
