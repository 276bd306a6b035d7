//! Reads the server's certificates from files, at the start and on SIGHUP.
//!
//! Not here: TLS itself (`fixpoint_server`). The surprise: files that cannot be used on SIGHUP change
//! nothing. A server that serves with an old certificate is better than one that does not serve.

use std::path::PathBuf;

use fixpoint::Chain;
use fixpoint_server::Tls;

use crate::{
    error::{CliError, Result},
    file,
};

/// Where the server's certificate is, and whom it talks to.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct TlsFiles {
    /// The server's certificate and those between it and its root (PEM); read again on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Talk only to clients with a certificate that one of these authorities signed (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Whether there is a certificate, so that nothing travels in clear.
    pub(crate) fn is_given(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// What is in the files; none if none are named.
    pub(crate) fn read(&self) -> Result<Option<Tls>> {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let client_ca = self.tls_client_ca.as_deref().map(file::read).transpose()?;
        let tls = Tls::from_pem(&file::read(certificate)?, &file::read(key)?, client_ca.as_deref());
        tls.map(Some).map_err(|error| {
            let what = format!("{} and its key cannot be used for TLS", certificate.display());
            CliError::usage_because(what, error)
        })
    }

    /// Reads the files again on each SIGHUP, until `stop`.
    #[cfg(unix)]
    pub(super) async fn renew(self, tls: Tls, stop: impl Future<Output = ()>) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangups = match signal(SignalKind::hangup()) {
            Ok(hangups) => hangups,
            Err(error) => {
                tracing::warn!("SIGHUP cannot be listened for: {error}");
                return;
            }
        };
        let renewing = async {
            while hangups.recv().await.is_some() {
                self.again(&tls);
            }
        };
        tokio::select! {
            () = renewing => {}
            () = stop => {}
        }
    }

    /// There is no SIGHUP here: certificates are read at the start.
    #[cfg(not(unix))]
    pub(super) async fn renew(self, _: Tls, stop: impl Future<Output = ()>) {
        stop.await;
    }

    #[cfg(unix)]
    fn again(&self, tls: &Tls) {
        match self.read() {
            Ok(Some(new)) => {
                tls.replace(new);
                tracing::info!("read the certificates again");
            }
            Ok(None) => {}
            Err(error) => {
                let why = error.into_source();
                tracing::error!("the old certificates stay in use: {}", Chain(&*why));
            }
        }
    }
}
