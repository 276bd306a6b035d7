//! `/dev/{name}`: controls that only a development server has, such as the sandbox's faults.
//!
//! Not here: the controls themselves, which the binary brings. The surprise: they exist only if
//! they were brought; a production server has no `/dev`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde_json::Value;

use super::{App, Problem, body::AnyJson};

/// Something to look at and to turn, in JSON.
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// What it is set to.
    async fn get(&self) -> Result<Value, ControlError>;

    /// Sets it, and returns what it is set to now.
    async fn put(&self, _value: Value) -> Result<Value, ControlError> {
        Err(ControlError::ReadOnly)
    }

    /// Sets it back, and returns what it is set to now.
    async fn delete(&self) -> Result<Value, ControlError> {
        Err(ControlError::ReadOnly)
    }
}

/// Why a control did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// It can only be looked at.
    #[error("this can only be looked at")]
    ReadOnly,
    /// The value makes no sense to it.
    #[error("{0}")]
    Refused(String),
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::ReadOnly => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method",
                "Method not allowed",
                "This control can only be looked at.",
            ),
            ControlError::Refused(detail) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "refused",
                "Refused by the control",
                detail,
            ),
        }
    }
}

/// One route for each control.
pub(super) fn routes(app: &App) -> Router<App> {
    let mut routes = Router::new();
    for (name, control) in &*app.controls {
        let each = get(show).put(set).delete(reset).with_state(Arc::clone(control));
        routes = routes.route_service(&format!("/dev/{name}"), each);
    }
    routes
}

type Held = State<Arc<dyn Control>>;

async fn show(State(control): Held) -> Result<Json<Value>, Problem> {
    Ok(Json(control.get().await?))
}

async fn set(State(control): Held, AnyJson(value): AnyJson) -> Result<Json<Value>, Problem> {
    Ok(Json(control.put(value).await?))
}

async fn reset(State(control): Held) -> Result<Json<Value>, Problem> {
    Ok(Json(control.delete().await?))
}
