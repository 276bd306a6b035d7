//! One request to the webhook, and what its answer means.
//!
//! Not here: when, and whether again (`deliver.rs`). The surprise: of the answer only the head
//! counts. Its text is read up to a bound, and shown to whoever asked for a ping; it is not stored,
//! since the other side may repeat in it what it was sent.

use std::{
    error::Error as StdError,
    time::{Duration, Instant, SystemTime},
};

use fixpoint::Chain;
use fixpoint_client::{WebhookEvent, WebhookMessage};
use fixpoint_trace::{export::retry_after, layer, model::SpanContext, propagation};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use tracing::{Instrument, Span, field::Empty};

use super::{Webhook, event::new_id};

/// How much of an answer is read, and how much is shown.
const READ: usize = 4096;
const SHOWN: usize = 300;

/// What is sent.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) id: &'a str,
    pub(crate) event: WebhookEvent,
    pub(crate) body: &'a str,
    /// How often it was sent before.
    pub(crate) before: u32,
    /// The run it is of, if of one.
    pub(crate) run: Option<&'a str>,
    pub(crate) resource: Option<&'a str>,
    pub(crate) link: Option<SpanContext>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was taken.
    Delivered,
    /// Perhaps later; not before so much time, if that was said.
    Again(Option<Duration>),
    /// There is no such webhook any more.
    Gone,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<StatusCode>,
    /// Why it was not taken.
    pub(crate) error: Option<String>,
    /// The beginning of its text.
    pub(crate) text: Option<String>,
    pub(crate) took: Duration,
    /// The span of the attempt.
    pub(crate) span: Option<SpanContext>,
}

impl Webhook {
    /// Sends a message, once.
    pub(crate) async fn attempt(&self, message: &Message<'_>) -> Answer {
        let Message { id, event, before, run, resource, link, .. } = *message;
        let target = &self.0.target;
        let link = link.map(|span| format!("{}-{}", span.trace_id, span.span_id));
        let span = tracing::info_span!(
            "webhook",
            otel.name = format!("webhook {event}"),
            otel.kind = "client",
            fixpoint.link = link,
            fixpoint.run.id = run,
            fixpoint.resource = resource,
            fixpoint.webhook.id = id,
            fixpoint.webhook.event = event.as_str(),
            http.request.method = "POST",
            http.request.resend_count = (before > 0).then_some(before),
            http.response.status_code = Empty,
            server.address = target.host(),
            server.port = target.port(),
            error.r#type = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        let answer = self.send(message).instrument(span.clone()).await;
        tell(&span, event, &answer);
        answer
    }

    /// Sends a ping, which tells of nothing.
    pub(crate) async fn ping(&self) -> (String, Answer) {
        let (id, event) = (new_id(), WebhookEvent::Ping);
        let body = WebhookMessage { event, timestamp: Timestamp::now(), data: None };
        let body = serde_json::to_string(&body).unwrap_or_default();
        let (run, resource, link) = (None, None, None);
        let message = Message { id: &id, event, body: &body, before: 0, run, resource, link };
        let answer = self.attempt(&message).await;
        (id, answer)
    }

    async fn send(&self, message: &Message<'_>) -> Answer {
        let began = Instant::now();
        let span = layer::current();
        let request = self.0.client.post(self.0.target.reveal());
        let request = request.headers(self.headers(message, span)).timeout(self.0.patience);
        let answer = |outcome, status, error, text| Answer {
            outcome,
            status,
            error,
            text,
            took: began.elapsed(),
            span,
        };
        let mut response = match request.body(message.body.to_owned()).send().await {
            Ok(response) => response,
            Err(error) => {
                let error = self.0.target.hide_in(&unreachable(error));
                return answer(Outcome::Again(None), None, Some(error), None);
            }
        };
        let status = response.status();
        let outcome = outcome(status, response.headers());
        let mut text = Vec::new();
        while text.len() < READ
            && let Ok(Some(chunk)) = response.chunk().await
        {
            text.extend_from_slice(&chunk[..chunk.len().min(READ)]);
        }
        let text = self.0.target.hide_in(String::from_utf8_lossy(&text).trim());
        let text =
            Some(text.chars().take(SHOWN).collect()).filter(|text: &String| !text.is_empty());
        let error = (outcome != Outcome::Delivered).then(|| format!("it answered {status}"));
        answer(outcome, Some(status), error, text)
    }

    fn headers(&self, message: &Message<'_>, span: Option<SpanContext>) -> HeaderMap {
        let seconds = Timestamp::now().as_second();
        let signature = self.0.keys.sign(message.id, seconds, message.body);
        let named = [
            ("webhook-id", message.id.to_owned()),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-signature", signature),
        ];
        let named = named.into_iter().filter_map(|(name, value)| {
            Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
        });
        let mut headers: HeaderMap = named.collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(span) = span {
            propagation::inject(span, &mut headers);
        }
        headers
    }
}

/// The URL is left out, in which there may be a secret.
fn unreachable(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    match timed_out {
        true => "it did not answer in time".to_owned(),
        false => {
            let error: &(dyn StdError + 'static) = &error;
            format!("it could not be reached: {}", Chain(error))
        }
    }
}

fn outcome(status: StatusCode, headers: &HeaderMap) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::GONE => Outcome::Gone,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Outcome::Again(retry_after(headers, SystemTime::now()))
        }
        _ => Outcome::Again(None),
    }
}

/// Says on the span how the attempt went.
fn tell(span: &Span, event: WebhookEvent, answer: &Answer) {
    if let Some(status) = answer.status {
        span.record("http.response.status_code", status.as_u16());
    }
    match &answer.error {
        None => span.in_scope(|| tracing::info!("{event} was delivered")),
        Some(error) => {
            let status = answer.status.map(|status| status.as_u16().to_string());
            span.record("error.type", status.as_deref().unwrap_or("unreachable"));
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", error.as_str());
            span.in_scope(|| tracing::warn!("{event} was not delivered: {error}"));
        }
    }
}
