//! The HTTP API: one file a resource. Only this folder names axum.
//!
//! Not here: what a request does to the records (`intents.rs`) and the pages' templates (`ui/`).
//! The surprise: routes are made for each kind by name, `/v1/clusters/{name}`, so that spans,
//! metrics and the OpenAPI document name the kind and not a placeholder.

mod apis;
mod body;
mod dev;
mod diff;
mod find;
mod guard;
mod headers;
mod health;
mod listen;
mod logs;
mod openapi;
mod operations;
mod page;
mod pages;
mod problem;
mod read;
mod receive;
mod resources;
mod rows;
mod runs;
mod sign_in;
mod sse;
mod tls;
mod tokens;
mod trace;
mod traces;
mod verify;
mod view;
mod webhook;
mod why;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router, middleware,
    routing::{any, get, post},
};
use fixpoint::Pace;
use fixpoint_trace::{export::Exported, record::Recorder, store::TraceStore};
use tokio_util::sync::CancellationToken;

pub use dev::{Control, ControlError};
pub(crate) use problem::Problem;
#[cfg(test)]
pub(crate) use receive::receiver;
pub use receive::{Limits, Protocol, Receivers};
pub use tls::{Tls, TlsError};
pub(crate) use traces::timestamp;
pub(crate) use view::View;

use crate::{
    access::{Access, Sessions, Tokens},
    intents::Intents,
    kinds::Kinds,
    metrics::Metrics,
    records::Records,
    seen::Sealed,
    verify::Asking,
    webhook::Webhook,
    why::Explainer,
};

/// Asks how the APIs stand that plans call.
pub(crate) type Apis = Arc<dyn Fn() -> Vec<fixpoint_client::Api> + Send + Sync>;

/// What the handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    /// The kinds served, by name.
    pub(crate) kinds: Arc<Kinds>,
    /// Who may ask.
    pub(crate) access: Access,
    pub(crate) tokens: Tokens,
    pub(crate) sessions: Sessions,
    /// What connections are secured with; none where they are in clear.
    pub(crate) tls: Option<Tls>,
    /// Resources and runs, to read.
    pub(crate) records: Sealed<Records>,
    /// Resources and runs, to change.
    pub(crate) intents: Intents,
    /// Has solved resources looked at.
    pub(crate) asking: Asking,
    /// Traces and logs.
    pub(crate) traces: Sealed<Arc<dyn TraceStore>>,
    /// Where spans are recorded.
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    /// What went wrong in runs and traces.
    pub(crate) explainer: Explainer,
    /// How the APIs stand that plans call.
    pub(crate) apis: Apis,
    /// What is copied to other backends.
    pub(crate) exported: Exported,
    /// Who is told what went wrong for good.
    pub(crate) webhook: Option<Webhook>,
    pub(crate) controls: Arc<BTreeMap<String, Arc<dyn Control>>>,
    pub(crate) pace: Pace,
    /// Cancelled when the server is to stop; whatever streams ends then.
    pub(crate) stopping: CancellationToken,
}

/// What the API itself serves under `/v1`, where each kind has a path, too.
pub(crate) const TAKEN: [&str; 14] = [
    "apis",
    "attributes",
    "find",
    "logs",
    "openapi.json",
    "operations",
    "pins",
    "rates",
    "runs",
    "services",
    "store",
    "tokens",
    "traces",
    "webhook",
];

/// All routes.
pub(crate) fn router(app: App) -> Router {
    let mut routes = Router::new()
        .merge(runs::routes())
        .merge(why::routes())
        .merge(traces::routes())
        .merge(receive::upload::routes(&app))
        .merge(operations::routes())
        .merge(rows::routes())
        .merge(diff::routes())
        .route("/v1/apis", get(apis::list))
        .merge(tokens::routes())
        .route("/v1/webhook/test", post(webhook::test))
        .route("/v1/logs", get(logs::list))
        .route("/v1/find", get(find::find))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        // Before the pages, which take any path of two parts.
        .route("/v1/{*path}", any(problem::no_such_path))
        .merge(read::routes())
        .merge(dev::routes(&app))
        .merge(sign_in::routes())
        .merge(pages::routes());
    for kind in app.kinds.values() {
        let kind_routes = resources::routes(kind.name()).layer(Extension(Arc::clone(kind)));
        routes = routes.merge(kind_routes);
    }
    routes
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .layer(middleware::from_fn(pages::for_people))
        .layer(middleware::from_fn_with_state(app.clone(), trace::trace))
        .layer(middleware::from_fn(headers::headers))
        .with_state(app)
}

/// Answers requests until `stopping`, and then those that are open.
pub(crate) async fn serve(listener: tokio::net::TcpListener, app: App) {
    let (tls, stopping) = (app.tls.clone(), app.stopping.clone());
    listen::serve(listener, listen::Wire::Http1, tls, router(app), stopping).await;
}
