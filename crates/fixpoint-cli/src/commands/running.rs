//! Where resources and runs are kept: flags of `serve`.
//!
//! Not here: traces, which are kept elsewhere (`keeping.rs`). The surprise: nothing here says how
//! many servers there are. Those that name the same place share the work.

mod etcd;

use std::{path::PathBuf, time::Duration};

use fixpoint_trace::query::Length;

use crate::{
    error::{CliError, Result},
    file,
    host::Runs,
};

/// Where resources and runs are kept, and who works on them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Runs")]
pub(super) struct Running {
    /// Keep resources and runs in etcd, where servers share them:
    /// etcd://HOST:PORT,HOST:PORT,.../PREFIX, or etcds:// for TLS [default: in the data folder]
    #[arg(long, value_name = "URL")]
    runs: Option<etcd::Place>,
    /// The certificates, in PEM, that sign etcd's [default: the system's]
    #[arg(long, value_name = "FILE", requires = "runs")]
    etcd_ca: Option<PathBuf>,
    /// The certificate, in PEM, to show etcd
    #[arg(long, value_name = "FILE", requires_all = ["runs", "etcd_key"])]
    etcd_cert: Option<PathBuf>,
    /// The private key of that certificate, in PEM
    #[arg(long, value_name = "FILE", requires_all = ["runs", "etcd_cert"])]
    etcd_key: Option<PathBuf>,
    /// The name to sign in to etcd with; the password comes from FIXPOINT_ETCD_PASSWORD
    #[arg(long, value_name = "NAME", requires = "runs")]
    etcd_user: Option<String>,
    /// How long after a server was last heard of the others take over its runs
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = take_over_after)]
    take_over_after: Length,
}

fn take_over_after(text: &str) -> std::result::Result<Length, String> {
    let length: Length = text.parse().map_err(|why| format!("{why}"))?;
    // What is shorter, etcd makes longer by itself, and what is longer helps nobody.
    if (2_000_000_000..=600_000_000_000).contains(&length.0) {
        Ok(length)
    } else {
        Err("from 2s to 10m is possible".into())
    }
}

impl Running {
    /// Whether other servers may work on the same runs.
    pub(super) fn is_shared(&self) -> bool {
        self.runs.is_some()
    }

    pub(super) fn take_over_after(&self) -> Duration {
        Duration::from_nanos(self.take_over_after.0)
    }

    /// Where runs are kept.
    pub(super) async fn place(&self) -> Result<Runs> {
        let Some(place) = &self.runs else { return Ok(Runs::Folder) };
        let ca = self.etcd_ca.as_deref().map(file::read).transpose()?;
        let identity = match (&self.etcd_cert, &self.etcd_key) {
            (Some(certificate), Some(key)) => Some((file::read(certificate)?, file::read(key)?)),
            _ => None,
        };
        let user = match &self.etcd_user {
            Some(name) => {
                let password = std::env::var("FIXPOINT_ETCD_PASSWORD").map_err(|_| {
                    CliError::usage(format!("the password of {name} is not known"))
                        .hint("set FIXPOINT_ETCD_PASSWORD")
                })?;
                Some((name.clone(), password))
            }
            None => None,
        };
        place.open(etcd::Secrets { ca, identity, user }).await
    }
}
