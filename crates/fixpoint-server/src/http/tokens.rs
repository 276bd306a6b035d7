//! `/v1/tokens`: who may ask this server.
//!
//! For administrators; the guard sees to that. Not here: what is kept of a token (`access/`). The
//! surprise: making and ending one is a log line in the request's trace, with the token's id and
//! that of the token it was done with, and never with a secret.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use fixpoint_client::{CreatedToken, NewToken, Token, TokenPage};
use serde_json::Value;

use super::{App, Problem, body::JsonObject};
use crate::{
    access::{Caller, NotMade},
    intents::Refusal,
    kinds::field_error,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/tokens", get(list).post(create))
        .route("/v1/tokens/{id}", delete(revoke))
}

async fn list(State(app): State<App>) -> Result<Json<TokenPage>, Problem> {
    Ok(Json(TokenPage { items: app.tokens.list().await? }))
}

async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    let wanted: NewToken = serde_path_to_error::deserialize(Value::Object(body))
        .map_err(|error| Problem::from(Refusal::Invalid(vec![field_error(&error)])))?;
    let (secret, token) = app.tokens.create(wanted, caller.token.as_deref()).await?;
    let by = caller.token.as_deref();
    tracing::info!(token.id, role = token.role.as_str(), by, "token made");
    let created = CreatedToken { secret: secret.reveal(), token };
    // No cache on the way may keep it.
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, headers, Json(created)).into_response())
}

async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Token>, Problem> {
    let token = app.tokens.revoke(&id).await?;
    let token = token.ok_or_else(|| {
        Problem::not_found(format_args!("token {id}")).hint("fixpoint token list lists their ids.")
    })?;
    let by = caller.token.as_deref();
    tracing::info!(token.id, role = token.role.as_str(), by, "token revoked");
    Ok(Json(token))
}

impl From<NotMade> for Problem {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Invalid(errors) => Refusal::Invalid(errors).into(),
            NotMade::Random(error) => Self::internal(&error),
            NotMade::Store(error) => error.into(),
        }
    }
}
