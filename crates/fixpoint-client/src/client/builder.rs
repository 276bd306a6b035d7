//! Makes a client: where the server is, and what to show it.
//!
//! Not here: where a token comes from; a library reads no environment. The surprise: `Debug` shows
//! that there is a token, never which.

use std::{fmt, time::Duration};

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::Client;
use crate::Error;

/// Puts a [`Client`] together.
#[derive(Clone)]
pub struct Builder {
    base: String,
    token: Option<String>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "[redacted]");
        f.debug_struct("Builder").field("base", &self.base).field("token", &token).finish()
    }
}

impl Builder {
    pub(super) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), token: None }
    }

    /// Sends this API token with every request.
    #[must_use]
    pub fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// The client. Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Address`] if the address is no `http` or `https` URL, [`Error::Token`] if the
    /// token cannot stand in a header.
    pub fn build(self) -> Result<Client, Error> {
        let refused = || Error::Address { url: self.base.clone() };
        let mut url = Url::parse(&self.base).map_err(|_| refused())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused());
        }
        // Url::join replaces the last segment of a path that does not end in a slash.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url.set_query(None);
        url.set_fragment(None);
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim()))
                .map_err(|_| Error::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("fixpoint/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            // A library reads no environment, and a proxy must not stand before a local server.
            .no_proxy()
            .build()
            .map_err(|_| refused())?;
        Ok(Client { http, base: url })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_no_debug_output() {
        let builder = Client::builder("http://h").token(Some("Canary7hunter2".to_owned()));
        let said = format!("{builder:?} {:?}", builder.clone().build().unwrap());
        assert!(said.contains("http://h") && !said.contains("Canary7"), "{said}");
    }

    #[test]
    fn a_token_of_two_lines_is_refused_and_not_repeated() {
        let built = Client::builder("http://h").token(Some("Canary7\nhunter2".to_owned())).build();
        let error = built.unwrap_err();
        assert!(matches!(error, Error::Token));
        assert!(!format!("{error} {error:?}").contains("Canary7"));
    }
}
