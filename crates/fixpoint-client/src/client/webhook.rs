//! The call about the server's webhook, for administrators.

use reqwest::Method;

use super::Client;
use crate::{Error, WebhookTest};

impl Client {
    /// Has the server send its webhook a ping: `POST /v1/webhook/test`. One that is not taken is an
    /// answer, too.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 409 if there is no webhook.
    pub async fn test_webhook(&self) -> Result<WebhookTest, Error> {
        self.json(self.request(Method::POST, &["v1", "webhook", "test"])?).await
    }
}
