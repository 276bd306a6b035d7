//! `/v1/runs`: what is being done, and what was done.
//!
//! Not here: starting a run, which a change of a resource does. The surprise: what operators do to a
//! run is asked for and answered at once; the run is `cancelled`, or `paused`, when its step at work
//! has finished.

use axum::{
    Extension, Json, Router,
    extract::Path,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use fixpoint_client::{ActRequest, FieldError, Run, RunPage, RunState, SkipRequest, Verb};
use futures_util::{FutureExt, stream};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    App, Problem, View,
    body::MaybeObject,
    page::{self, Params, bad_parameter},
    sse,
};
use crate::{
    access::Caller,
    intents::{Asked, Refusal},
    kinds::field_error,
    store::Watch,
};

/// A reason is a sentence, not a report.
const MAX_REASON: usize = 500;

pub(super) fn routes() -> Router<App> {
    let routes = Router::new()
        .route("/v1/runs", get(list))
        .route("/v1/runs/{id}", get(show))
        .route("/v1/runs/{id}/events", get(events));
    Verb::ALL.into_iter().fold(routes, |routes, verb| {
        let act = move |app, caller, id, body| act(verb, app, caller, id, body);
        routes.route(&format!("/v1/runs/{{id}}/{verb}"), post(act))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParams {
    resource: Option<String>,
    state: Option<RunState>,
    limit: Option<usize>,
    page_token: Option<String>,
}

async fn list(app: View, Params(params): Params<ListParams>) -> Result<Json<RunPage>, Problem> {
    let resource = match params.resource.as_deref() {
        None => None,
        Some(text) => Some(app.scope.parse(text).ok_or_else(|| {
            bad_parameter(format!("resource is {text}; kind/name is wanted, like clusters/idg."))
        })?),
    };
    let state = params.state.map_or("", RunState::as_str);
    let list = format!("runs {} {state}", params.resource.as_deref().unwrap_or_default());
    let limit = page::limit(params.limit)?;
    let before = page::after(&list, params.page_token.as_deref())?;
    let mut found =
        app.records.runs(resource.as_ref(), params.state, before.as_deref(), limit).await?;
    found.items.iter_mut().for_each(|run| app.explainer.mark(run));
    let next_page_token =
        found.items.last().filter(|_| found.more).map(|last| page::token(&list, &last.id));
    Ok(Json(RunPage { items: found.items, next_page_token }))
}

async fn show(app: View, Path(id): Path<String>) -> Result<Json<Run>, Problem> {
    let mut run = app.records.run_with_history(&id).await?.ok_or_else(|| no_run(&id))?;
    app.explainer.mark(&mut run);
    Ok(Json(run))
}

async fn act(
    verb: Verb,
    app: View,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    MaybeObject(body): MaybeObject,
) -> Result<impl IntoResponse, Problem> {
    let (step, reason) = match verb {
        Verb::Skip => {
            let SkipRequest { step, reason } = read(body)?;
            if reason.trim().is_empty() {
                return Err(bad_reason("a reason is wanted".to_owned()));
            }
            (Some(step), reason)
        }
        _ => (None, read::<ActRequest>(body)?.reason.unwrap_or_default()),
    };
    if reason.chars().count() > MAX_REASON {
        return Err(bad_reason(format!("at most {MAX_REASON} characters are allowed")));
    }
    // On disk before a run's record names it: see `resources.rs`.
    app.recorder.flush().await.map_err(|lost| Problem::internal(&lost))?;
    let asked = Asked::now(caller.actor(), verb, step, &reason);
    let run = app.intents.operate(&app.scope, &app.kinds, &id, &asked).await?;
    let location = [(header::LOCATION, format!("/v1/runs/{}", run.id))];
    Ok((StatusCode::ACCEPTED, location, Json(run)))
}

fn read<T: DeserializeOwned>(body: Map<String, Value>) -> Result<T, Problem> {
    serde_path_to_error::deserialize(Value::Object(body))
        .map_err(|error| Refusal::Invalid(vec![field_error(&error)]).into())
}

fn bad_reason(detail: String) -> Problem {
    Refusal::Invalid(vec![FieldError { pointer: "/reason".to_owned(), detail }]).into()
}

pub(super) fn no_run(id: &str) -> Problem {
    Problem::not_found(format_args!("run {id}"))
        .hint("/v1/find?q= finds a run by its trace, resource or any id in it.")
}

/// Follows a run: event `run` with the whole run at once and on every change, until it has ended.
async fn events(app: View, Path(id): Path<String>) -> Result<impl IntoResponse, Problem> {
    // Before the first look, so that no change falls between the two.
    let (watch, acts) = (app.records.watch_run(&id), app.records.watch_acts(&id));
    let notifications = app.records.watch_notifications(&id);
    if app.records.run(&id).await?.is_none() {
        return Err(no_run(&id));
    }
    let follower = Follower { app, id, watch, acts, notifications, told: None };
    Ok(sse::stream(stream::unfold(follower, async |mut follower| {
        let run = follower.next().await?;
        Some((sse::event("run", &run), follower))
    })))
}

struct Follower {
    app: View,
    id: String,
    watch: Watch,
    acts: Watch,
    notifications: Watch,
    told: Option<Run>,
}

impl Follower {
    /// The run as it is after its next change; none once its end was told.
    async fn next(&mut self) -> Option<Run> {
        loop {
            if self.told.as_ref().is_some_and(|run| run.state.is_final()) {
                return None;
            }
            let run = self.app.records.run_with_history(&self.id).await;
            let run =
                run.inspect_err(|e| tracing::error!("a run cannot be followed: {e}")).ok()??;
            if self.told.as_ref() != Some(&run) {
                self.told = Some(run.clone());
                return Some(run);
            }
            tokio::select! {
                changed = self.watch.next() => drop(changed?),
                changed = self.acts.next() => drop(changed?),
                changed = self.notifications.next() => drop(changed?),
                () = self.app.stopping.cancelled() => return None,
            }
            // One look serves all changes so far.
            while self.watch.next().now_or_never().is_some_and(|changed| changed.is_some()) {}
        }
    }
}
