//! The pages, as routes of the server.

use super::App;

/// The routes of the pages.
pub(crate) fn routes() -> axum::Router<App> {
    axum::Router::new()
}
