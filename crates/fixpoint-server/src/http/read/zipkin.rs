//! Zipkin.
use axum::Router;
use crate::http::App;
pub(in crate::http) fn routes() -> Router<App> { Router::new() }
