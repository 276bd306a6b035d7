//! TLS for the API and the receivers: certificates in, connections that nobody else can read out.
//!
//! Not here: reading files (the binary's) and what goes over the connection (`listen.rs`). The
//! surprise: certificates can be replaced while the server runs, for they do not last. Connections
//! that are open keep the old ones.

use std::{
    fmt,
    io::Error as IoError,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::listen::Wire;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is none in the text.
    #[error("there is no {0} in PEM here")]
    Missing(&'static str),
    /// It is not well-formed.
    #[error("the {what} cannot be read")]
    Malformed {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("certificate and key cannot be used together")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The server's certificate and key, and which clients it talks to. Clones share what they hold.
#[derive(Clone)]
pub struct Tls {
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// From PEM: the server's certificate and those between it and its root, and its key. With
    /// `client_ca` only clients are talked to that have a certificate which one of those signed.
    ///
    /// # Errors
    /// If something is missing, malformed, or does not fit the rest.
    pub fn from_pem(
        certificates: &[u8],
        key: &[u8],
        client_ca: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let config = config(certificates, key, client_ca)?;
        Ok(Self { config: Arc::new(RwLock::new(Arc::new(config))) })
    }

    /// Uses what `other` holds for connections from now on.
    pub fn replace(&self, other: Self) {
        let new = other.current();
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Agrees on keys with whoever connected.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        wire: Wire,
    ) -> Result<TlsStream<TcpStream>, IoError> {
        let mut config = ServerConfig::clone(&self.current());
        config.alpn_protocols = match wire {
            Wire::Http1 => vec![b"http/1.1".to_vec()],
            Wire::Http2 => vec![b"h2".to_vec()],
        };
        TlsAcceptor::from(Arc::new(config)).accept(stream).await
    }
}

fn config(
    certificates: &[u8],
    key: &[u8],
    client_ca: Option<&[u8]>,
) -> Result<ServerConfig, TlsError> {
    let unusable = |error: Box<dyn std::error::Error + Send + Sync>| TlsError::Unusable(error);
    let chain = read("certificate", certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| match source {
        rustls::pki_types::pem::Error::NoItemsFound => TlsError::Missing("private key"),
        // Whatever it says, it must not say what is in the key.
        _ => TlsError::Malformed { what: "private key", source: "it is not well-formed".into() },
    })?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.into()))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in read("client CA", pem)? {
                roots.add(certificate).map_err(|error| TlsError::Malformed {
                    what: "client CA",
                    source: error.into(),
                })?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| unusable(error.into()))?)
        }
    };
    builder.with_single_cert(chain, key).map_err(|error| unusable(error.into()))
}

fn read(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| TlsError::Malformed { what, source: error.into() })?;
    match found.is_empty() {
        true => Err(TlsError::Missing(what)),
        false => Ok(found),
    }
}
