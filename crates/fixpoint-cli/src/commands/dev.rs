//! `fixpoint dev`: a server on a sandbox of AWS, for trying things out.
//!
//! The flags it shares with `serve` live here. The surprise: a time scale above 1 makes the
//! sandbox's own latencies shorter, too, so a creation of ten minutes takes seconds.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::{Path, PathBuf},
    time::Duration,
};

use fixpoint::Pace;
use fixpoint_aws::sandbox::Faults;
use fixpoint_server::Protocol;

use super::{keeping::Keeping, telling::Telling, verifying::Verification};
use crate::{
    error::{CliError, Result},
    host::{self, Asking, Cloud, Host, Lines, Options, Place, Runs, TlsFiles},
    output::Output,
};

/// Start a server on a sandbox of AWS: no account, no cost
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    shared: Shared,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint dev
  fixpoint dev --listen 127.0.0.1:7171 --data ./data --time-scale 60
  fixpoint dev --faults examples/faults.yaml

Log lines go to stdout as JSON, each with its trace_id. While it runs:
  curl -X PUT -H 'content-type: application/json' http://127.0.0.1:7171/dev/faults -d @faults.json
  curl http://127.0.0.1:7171/dev/sandbox           what the sandbox holds
Other programs' spans are taken in, too: docs/receivers.md.
Traces are copied to an OpenTelemetry collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.";

/// What `dev` and `serve` have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Shared {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value_t = DEFAULT_LISTEN, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// The folder of resources, runs and traces
    #[arg(long, default_value = "fixpoint-data", value_name = "DIR")]
    data: PathBuf,
    /// How many times faster than real the world goes: 60 makes a minute's wait a second
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = time_scale)]
    time_scale: f64,
    /// Rules of how the sandbox misbehaves, YAML or JSON; see examples/faults.yaml
    #[arg(long, value_name = "FILE")]
    pub(super) faults: Option<PathBuf>,
    #[command(flatten)]
    receivers: Receivers,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    verification: Verification,
    #[command(flatten)]
    telling: Telling,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    tls: TlsFiles,
}

/// Who may ask.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access")]
struct Access {
    /// Whether requests want an API token: on or off [default: off for dev, on for serve]
    #[arg(long, value_name = "WHETHER", value_enum, hide_possible_values = true)]
    auth: Option<Auth>,
    /// Listen on an address that others can reach, though nobody has to show a token
    #[arg(long)]
    allow_remote_without_auth: bool,
    /// A name that this server is called by, where nobody has to show a token; may be repeated
    #[arg(long = "host-name", value_name = "NAME")]
    host_names: Vec<String>,
    /// Make another administrator's token, in the file admin-token of the folder of --data
    #[arg(long)]
    new_admin_token: bool,
}

/// Whether requests want an API token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Auth {
    /// Whoever has a token may, as much as its role allows.
    On,
    /// Whoever reaches the server may, everything.
    Off,
}

impl Access {
    /// Who may ask a server that listens there. `usual` is what holds if nothing is said.
    fn asking(
        self,
        usual: Auth,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Result<Asking> {
        let Self { auth, allow_remote_without_auth: allowed, host_names, new_admin_token } = self;
        match auth.unwrap_or(if allowed { Auth::Off } else { usual }) {
            Auth::On => Ok(Asking::Tokens { new_admin: new_admin_token }),
            Auth::Off if new_admin_token => {
                Err(CliError::usage("--new-admin-token is of no use where nobody shows a token")
                    .hint("give --auth on, too"))
            }
            Auth::Off => {
                let remote = addresses.into_iter().find(|address| !address.ip().is_loopback());
                match remote.filter(|_| !allowed) {
                    None => Ok(Asking::Anyone { names: host_names }),
                    Some(remote) => {
                        let what =
                            format!("{remote} can be reached by others, and nobody has to sign in");
                        Err(CliError::usage(what).hint(
                            "give --auth on, listen on 127.0.0.1, or say \
                             --allow-remote-without-auth",
                        ))
                    }
                }
            }
        }
    }
}

/// Where other programs' spans come in.
#[derive(Debug, clap::Args)]
struct Receivers {
    /// Where spans and logs come in as OTLP by gRPC, or off [default: 127.0.0.1:4317, if free]
    #[arg(long, value_name = "ADDRESS:PORT")]
    otlp_grpc: Option<Place>,
    /// Where spans and logs come in as OTLP by HTTP, or off [default: 127.0.0.1:4318, if free]
    #[arg(long, value_name = "ADDRESS:PORT")]
    otlp_http: Option<Place>,
    /// Where spans come in as Zipkin's, or off [default: 127.0.0.1:9411, if free]
    #[arg(long, value_name = "ADDRESS:PORT")]
    zipkin: Option<Place>,
}

impl Receivers {
    fn places(&self) -> [(Protocol, Place); 3] {
        [
            (Protocol::OtlpGrpc, self.otlp_grpc),
            (Protocol::OtlpHttp, self.otlp_http),
            (Protocol::Zipkin, self.zipkin),
        ]
        .map(|(protocol, place)| (protocol, place.unwrap_or(Place::Standard)))
    }
}

const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7171));

fn time_scale(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(times) if (0.01..=10_000.0).contains(&times) => Ok(times),
        _ => Err("a number from 0.01 to 10000 is wanted".into()),
    }
}

impl Args {
    pub(crate) async fn run(self, output: Output) -> Result {
        let faults = match &self.shared.faults {
            Some(path) => read_faults(path)?,
            None => Faults::default(),
        };
        self.shared.serve(Cloud::Sandbox(faults), Runs::Folder, None, Auth::Off, output).await
    }
}

impl Shared {
    pub(super) fn shares_traces(&self) -> bool {
        self.keeping.shares()
    }

    pub(super) async fn serve(
        self,
        cloud: Cloud,
        runs: Runs,
        take_over_after: Option<Duration>,
        usual: Auth,
        output: Output,
    ) -> Result {
        let receivers = self.receivers.places();
        let asked_for = receivers.iter().filter_map(|(_, place)| place.address());
        let addresses = std::iter::once(self.listen).chain(asked_for).collect::<Vec<_>>();
        let asking = self.access.asking(usual, addresses.iter().copied())?;
        let remote = addresses.iter().find(|address| !address.ip().is_loopback());
        if let (Some(remote), Asking::Tokens { .. }, false) = (remote, &asking, self.tls.is_given())
        {
            output.note(format!(
                "warning: on {remote} tokens travel in clear; give --tls-cert and --tls-key, or put \
                 a proxy that speaks TLS in front"
            ));
        }
        let host = Host::start(Options {
            listen: self.listen,
            receivers: receivers.to_vec(),
            asking,
            tls: self.tls,
            data: self.data,
            runs,
            take_over_after,
            verifying: self.verification.verifying(),
            webhook: self.telling.webhook()?,
            traces: self.keeping.options().await?,
            pace: Pace::times(self.time_scale),
            cloud,
            lines: Lines::Stdout,
        })
        .await?;
        for (protocol, address) in &host.receivers {
            output.note(format!("{protocol} on {address}"));
        }
        if let Some(file) = &host.admin_token {
            output.note(format!("an administrator's token is in {}", file.display()));
        }
        for warning in &host.warnings {
            output.note(format!("warning: {warning}"));
        }
        output.note(format!("listening on {}", host.url));
        host::serve(host).await
    }
}

fn read_faults(path: &Path) -> Result<Faults> {
    let said = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::usage_because(format!("{said} could not be read"), error))?;
    serde_saphyr::from_str(&text).map_err(|error| {
        CliError::usage_because(format!("{said} holds no fault rules"), error)
            .hint("examples/faults.yaml shows what a rule can say")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(auth: Option<Auth>, usual: Auth, address: &str, allowed: bool) -> Result<Asking> {
        let access = Access {
            auth,
            allow_remote_without_auth: allowed,
            host_names: Vec::new(),
            new_admin_token: false,
        };
        access.asking(usual, [DEFAULT_LISTEN, address.parse().unwrap()])
    }

    #[test]
    fn nobody_is_let_in_from_elsewhere_without_a_token_unless_that_is_said() {
        let anyone = Asking::Anyone { names: Vec::new() };
        let tokens = Asking::Tokens { new_admin: false };
        let (here, there) = ("127.0.0.1:1", "10.0.0.7:1");
        for (auth, usual, address, allowed, expected) in [
            (None, Auth::Off, here, false, Some(&anyone)),
            (None, Auth::Off, there, false, None),
            (None, Auth::Off, there, true, Some(&anyone)),
            (None, Auth::On, here, false, Some(&tokens)),
            (None, Auth::On, there, false, Some(&tokens)),
            (None, Auth::On, there, true, Some(&anyone)),
            (Some(Auth::Off), Auth::On, here, false, Some(&anyone)),
            (Some(Auth::Off), Auth::On, there, false, None),
            (Some(Auth::Off), Auth::On, "0.0.0.0:0", false, None),
            (Some(Auth::Off), Auth::On, "[::]:0", false, None),
            (Some(Auth::On), Auth::Off, there, false, Some(&tokens)),
            (Some(Auth::On), Auth::Off, there, true, Some(&tokens)),
        ] {
            let found = asking(auth, usual, address, allowed).ok();
            assert_eq!(found.as_ref(), expected, "{auth:?} {usual:?} {address} {allowed}");
        }
    }
}
