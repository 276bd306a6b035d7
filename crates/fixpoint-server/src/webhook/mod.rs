//! Tells the operator's webhook what went wrong for good: a run, or a resource that has drifted.
//!
//! ```text
//!  a run's end, a look's result ──one commit──▶ notification + mark ──watch──▶ every server
//!                                                                               │ each when it is due:
//!   delivered, given up, or when to try again ◀── send, signed ◀── claim: note the attempt
//! ```
//!
//! Not here: what makes an end one for good (`runner/ending.rs`). The surprise: an attempt is written
//! down before it is made, with when the next may be. Whoever writes it first makes it; a server that
//! dies at it needs no successor, since the next attempt is due for everybody then. So a webhook
//! is told at least once, and knows a repetition by its `webhook-id`.

mod attempt;
mod deliver;
mod event;
mod record;
mod sign;
mod target;

use std::{fmt, sync::Arc, time::Duration};

use fixpoint_client::WebhookEvent;

pub(crate) use self::{
    attempt::{Answer, Message, Outcome},
    deliver::deliver,
    event::{News, tell},
};
use self::{sign::Keys, target::Target};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The webhook cannot be used. No part of the URL or of the secret is in this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The URL makes no sense.
    #[error("the webhook's URL cannot be used: {0}")]
    Url(Box<dyn std::error::Error + Send + Sync>),
    /// The URL of the server's pages makes no sense.
    #[error("the public URL cannot be used: {0}")]
    Pages(Box<dyn std::error::Error + Send + Sync>),
    /// The secret makes no sense.
    #[error("the webhook's secret cannot be used: {0}")]
    Secret(&'static str),
    /// There is no way to make TLS connections.
    #[error("no client could be made for the webhook")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where operators want to be told, and of what. Cheap to clone; its `Debug` shows no secret.
#[derive(Clone)]
pub struct Webhook(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    client: reqwest::Client,
    target: Target,
    keys: Keys,
    events: Vec<WebhookEvent>,
    /// Where people open the server's pages.
    pages: Option<Target>,
    patience: Duration,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Webhook").field(&self.place()).finish()
    }
}

impl Webhook {
    /// A webhook at `url`. `secrets` are those of Standard Webhooks, `whsec_` and base64, parted by
    /// space: each request is signed with every one, so that one can take another's place. It is told
    /// of `events`, with links to pages below `pages`, if that is known.
    ///
    /// # Errors
    /// If a URL or a secret makes no sense.
    pub fn new(
        url: &str,
        secrets: &str,
        events: &[WebhookEvent],
        pages: Option<&str>,
    ) -> Result<Self, WebhookError> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("fixpoint/", env!("CARGO_PKG_VERSION")))
            // What is signed for one place is not for others.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| WebhookError::Client(error.into()))?;
        Ok(Self(Arc::new(Inner {
            client,
            target: Target::parse(url).map_err(WebhookError::Url)?,
            keys: Keys::parse(secrets)?,
            events: events.to_vec(),
            pages: pages.map(Target::parse).transpose().map_err(WebhookError::Pages)?,
            patience: PATIENCE,
        })))
    }

    /// The scheme, host and port: what of its URL is certainly no secret.
    pub(crate) fn place(&self) -> String {
        self.0.target.place()
    }

    /// The same, which has so long to answer.
    #[cfg(test)]
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        Arc::make_mut(&mut self.0).patience = patience;
        self
    }
}
