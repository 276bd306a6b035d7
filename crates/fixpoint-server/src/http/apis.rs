//! `/v1/apis`: how the APIs stand that plans call.
//!
//! Not here: keeping within their limits, which the kinds' clients do. The surprise: this is of
//! this server only; another one on the same account has its own view.

use axum::{Json, extract::State};
use fixpoint_client::ApiPage;

use super::App;

pub(super) async fn list(State(app): State<App>) -> Json<ApiPage> {
    Json(ApiPage { items: (app.apis)() })
}
