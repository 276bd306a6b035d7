//! What the webhook is told: an event's body, and the writes that have it sent.
//!
//! Not here: sending. The surprise: nothing is sent from here. The writes go with the commit that
//! makes the event true, so that neither is ever without the other, whoever dies in between.

use fixpoint_client::{
    Notification, NotificationState, PlannedStep, Run, WebhookData, WebhookEvent, WebhookMessage,
};
use fixpoint_trace::model::SpanContext;
use jiff::Timestamp;

use super::{
    Webhook,
    record::{Name, NotificationRecord},
};
use crate::{
    records::ResourceKey,
    store::{StoreError, Write},
};

/// What happened to a resource.
#[derive(Debug)]
pub(crate) struct News<'a> {
    pub(crate) event: WebhookEvent,
    pub(crate) key: &'a ResourceKey,
    pub(crate) run: &'a Run,
    /// The span that shows it.
    pub(crate) span: Option<SpanContext>,
    /// The steps that would mend what has drifted.
    pub(crate) steps: &'a [PlannedStep],
    /// The run that was begun because of it.
    pub(crate) next_run_id: Option<&'a str>,
}

/// The writes that have the webhook told, if there is one and it wants to know.
pub(crate) fn tell(webhook: Option<&Webhook>, news: &News<'_>) -> Result<Vec<Write>, StoreError> {
    let News { event, key, run, span, .. } = *news;
    let Some(Webhook(webhook)) = webhook.filter(|webhook| webhook.0.events.contains(&event)) else {
        return Ok(Vec::new());
    };
    let at = Timestamp::now();
    let data = WebhookData {
        kind: key.kind.clone(),
        name: key.name.clone(),
        tenant: key.tenant().map(str::to_owned),
        run_id: run.id.clone(),
        trace_id: span.map_or_else(|| run.trace_id.clone(), |span| span.trace_id.to_string()),
        plan: run.plan.clone(),
        state: run.outcome(),
        error: run.error.clone(),
        steps: news.steps.to_vec(),
        next_run_id: news.next_run_id.map(str::to_owned),
        url: webhook.pages.as_ref().map(|pages| pages.page(&format!("/runs/{}", run.id))),
    };
    let shown = Notification {
        id: new_id(),
        event,
        state: NotificationState::Waiting,
        at,
        attempts: 0,
        attempted_at: None,
        trace_id: None,
        next_attempt_at: None,
        error: None,
    };
    let name = Name { run: run.id.clone(), event };
    let body = WebhookMessage { event, timestamp: at, data: Some(data) };
    let body = serde_json::to_string(&body)
        .map_err(|source| StoreError::Corrupt { key: name.at(), source: source.into() })?;
    let record =
        NotificationRecord { shown, resource: key.to_string(), link: span, body: Some(body) };
    name.create(&record)
}

/// A new `webhook-id`.
pub(super) fn new_id() -> String {
    format!("msg_{:032x}", fastrand::u128(..))
}
