//! `POST /v1/webhook/test`: sends the webhook a ping, and says how that went.
//!
//! For administrators; the guard sees to that. Not here: real news, which nobody asks for
//! (`webhook/`). The surprise: a ping that is not taken is no error of this request. The answer is
//! 200, and says so.

use axum::{Json, extract::State, http::StatusCode};
use fixpoint_client::WebhookTest;

use super::{App, Problem};

pub(super) async fn test(State(app): State<App>) -> Result<Json<WebhookTest>, Problem> {
    let webhook = app.webhook.as_ref().ok_or_else(|| {
        let detail = "This server tells nobody.";
        Problem::new(StatusCode::CONFLICT, "no-webhook", "No webhook", detail)
            .hint("Start it with --webhook URL and --webhook-secret-file FILE.")
    })?;
    let (id, answer) = webhook.ping().await;
    Ok(Json(WebhookTest {
        to: webhook.place(),
        id,
        delivered: answer.error.is_none(),
        status: answer.status.map(|status| status.as_u16()),
        answer: answer.text,
        error: answer.error,
        took_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        trace_id: answer.span.map(|span| span.trace_id.to_string()).unwrap_or_default(),
    }))
}
