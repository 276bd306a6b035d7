//! What handlers answer from: the server, as far as the sender of the request may see it.
//!
//! The surprise: it stands before the server itself. `view.records` and `view.traces` are the
//! seen ones; the stores behind them cannot be reached from here by mistake.

use std::ops::Deref;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{App, Problem};
use crate::{
    access::{Caller, Scope},
    seen::{SeenRecords, SeenTraces},
};

/// The server for one caller.
#[derive(Clone)]
pub(crate) struct View {
    /// Whose things the caller may see and change.
    pub(crate) scope: Scope,
    /// Resources and runs, to read.
    pub(crate) records: SeenRecords,
    /// Traces and log lines, to read.
    pub(crate) traces: SeenTraces,
    app: App,
}

impl View {
    pub(crate) fn new(app: &App, scope: Scope) -> Self {
        let app = app.clone();
        let records = SeenRecords::new(&app.records, scope.clone());
        let traces = SeenTraces::new(&app.traces, scope.clone());
        Self { scope, records, traces, app }
    }
}

impl Deref for View {
    type Target = App;

    fn deref(&self) -> &App {
        &self.app
    }
}

/// The guard has let somebody in before any handler is called.
#[derive(Debug, thiserror::Error)]
#[error("nobody asked who sends this request")]
struct Unguarded;

impl FromRequestParts<App> for View {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Caller>();
        let caller = caller.ok_or_else(|| Problem::internal(&Unguarded))?;
        Ok(Self::new(app, caller.scope.clone()))
    }
}
