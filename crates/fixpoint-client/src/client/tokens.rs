//! The calls about API tokens, for administrators.

use reqwest::Method;

use super::Client;
use crate::{CreatedToken, Error, NewToken, Token, TokenPage};

impl Client {
    /// Makes a token: `POST /v1/tokens`. The answer alone holds its secret.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 422 if what is asked for makes no sense.
    pub async fn create_token(&self, wanted: &NewToken) -> Result<CreatedToken, Error> {
        self.json(self.request(Method::POST, &["v1", "tokens"])?.json(wanted)).await
    }

    /// All tokens, without their secrets: `GET /v1/tokens`.
    ///
    /// # Errors
    /// As for any call.
    pub async fn tokens(&self) -> Result<TokenPage, Error> {
        self.json(self.request(Method::GET, &["v1", "tokens"])?).await
    }

    /// Ends a token at once: `DELETE /v1/tokens/{id}`.
    ///
    /// # Errors
    /// A [`Problem`](crate::Problem) with status 404 if there is none.
    pub async fn revoke_token(&self, id: &str) -> Result<Token, Error> {
        self.json(self.request(Method::DELETE, &["v1", "tokens", id])?).await
    }
}
