//! Makes a client: where the server is, and what to show it.
//!
//! Not here: where a token comes from; a library reads no environment. The surprise: `Debug` shows
//! that there is a token, never which.

use std::{fmt, time::Duration};

use reqwest::{
    Certificate, Identity, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};

use super::Client;
use crate::Error;

/// Puts a [`Client`] together.
#[derive(Clone)]
pub struct Builder {
    base: String,
    token: Option<String>,
    ca: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "[redacted]");
        f.debug_struct("Builder")
            .field("base", &self.base)
            .field("token", &token)
            .finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(base: &str) -> Self {
        Self { base: base.to_owned(), token: None, ca: None, identity: None }
    }

    /// Sends this API token with every request.
    #[must_use]
    pub fn token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// Trusts servers whose certificates these (PEM) have signed, and no others. Without: those
    /// that the system trusts.
    #[must_use]
    pub fn ca(mut self, pem: Option<Vec<u8>>) -> Self {
        self.ca = pem;
        self
    }

    /// Shows servers that want one this certificate, with its key behind it in the same PEM.
    #[must_use]
    pub fn identity(mut self, pem: Option<Vec<u8>>) -> Self {
        self.identity = pem;
        self
    }

    /// The client. Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Address`] if the address is no `http` or `https` URL, [`Error::Token`] if the
    /// token cannot stand in a header, [`Error::Certificate`] if a certificate is none.
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
        let malformed = |what| move |_| Error::Certificate { what };
        let mut http = reqwest::Client::builder();
        if let Some(pem) = &self.ca {
            let certificates = Certificate::from_pem_bundle(pem)
                .map_err(malformed("certificate of an authority"))?;
            // A file without any is no bundle of none: it would trust nobody, and say why nowhere.
            if certificates.is_empty() {
                return Err(Error::Certificate { what: "certificate of an authority" });
            }
            http = http.tls_certs_only(certificates);
        }
        if let Some(pem) = &self.identity {
            let identity =
                Identity::from_pem(pem).map_err(malformed("certificate with its key"))?;
            http = http.identity(identity);
        }
        let http = http
            .user_agent(concat!("fixpoint/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(5))
            // A library reads no environment, and a proxy must not stand before a local server.
            .no_proxy()
            .build()
            .map_err(malformed("certificate with its key"))?;
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
    fn a_file_without_certificates_is_refused() {
        for pem in ["", "nonsense", "-----BEGIN X-----\nAAAA\n-----END X-----\n"] {
            let built = Client::builder("https://h").ca(Some(pem.into())).build();
            assert!(matches!(built, Err(Error::Certificate { .. })), "{pem}");
        }
    }

    #[test]
    fn a_token_of_two_lines_is_refused_and_not_repeated() {
        let built = Client::builder("http://h").token(Some("Canary7\nhunter2".to_owned())).build();
        let error = built.unwrap_err();
        assert!(matches!(error, Error::Token));
        assert!(!format!("{error} {error:?}").contains("Canary7"));
    }
}
