//! `fixpoint demo`: the story that Fixpoint comes from, told in under a minute.
//!
//! Starts a server on a sandbox in this process and talks to it as any client would. What is told
//! is in `story.rs`. The surprise: nothing of the story is written down beforehand. Which steps
//! ran, what they called and what the plan saw is read from the runs and their traces.

mod story;

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
};

use fixpoint::Pace;
use fixpoint_aws::sandbox::Faults;
use fixpoint_client::Client;
use fixpoint_server::Verifying;

use self::story::Story;
use crate::{
    error::{CliError, Result},
    host::{Asking, Cloud, Host, Lines, Options, Runs, Signals, TlsFiles},
    output::Output,
};

/// Tell the whole story on a sandbox, in under a minute
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// End after the story; the exit code says whether it went as told
    #[arg(long)]
    exit: bool,
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value_t = ANY_PORT, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint demo                             stays up, for you to look around
  fixpoint demo --exit && echo as told      for scripts

A customer's cluster is created. The same plan, asked again, has nothing left to do. A second
cluster does not come to its end, though AWS reports no error: one call is missing.";

const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A creation takes some ten minutes on AWS; the story has less than one for two of them.
const TIMES: f64 = 10.0;

impl Args {
    pub(crate) fn run(self, output: Output) -> Result {
        if !self.listen.ip().is_loopback() {
            return Err(CliError::usage("the demo listens on this machine only")
                .hint("`fixpoint dev --listen` takes other addresses"));
        }
        let folder = tempfile::Builder::new()
            .prefix("fixpoint-demo-")
            .tempdir()
            .map_err(|error| CliError::because("a temporary folder could not be made", error))?;
        let told = crate::runtime()?.block_on(self.play(folder.path(), output));
        // Only now that the runtime is gone, nothing writes there any more.
        drop(folder);
        told
    }

    async fn play(self, folder: &Path, output: Output) -> Result {
        let log = folder.join("log.jsonl");
        let host = Host::start(Options {
            listen: self.listen,
            receivers: Vec::new(),
            asking: Asking::Anyone { names: Vec::new() },
            tls: TlsFiles::default(),
            data: folder.to_owned(),
            runs: Runs::Folder,
            take_over_after: None,
            verifying: Verifying::default(),
            webhook: None,
            traces: fixpoint_trace::store::engine::Options::default(),
            pace: Pace::times(TIMES),
            cloud: Cloud::Sandbox(Faults::default()),
            lines: Lines::File(log.clone()),
        })
        .await?;
        let client = Client::new(&host.url)?;
        let mut signals = Signals::new()?;
        let story = async {
            tell(&client, output, &log, self.exit).await?;
            if self.exit { Ok(()) } else { std::future::pending().await }
        };
        // Whatever ends first, ends the rest at once: nobody comes back to this data.
        tokio::select! {
            told = story => told,
            served = host.run(std::future::pending(), std::future::pending()) => {
                served.and_then(|()| Err(CliError::failed("the server stopped before the story did")))
            }
            () = signals.next() => match self.exit {
                true => Err(CliError::failed("the story was interrupted")),
                false => Ok(()),
            },
        }
    }
}

async fn tell(client: &Client, output: Output, log: &Path, exit: bool) -> Result {
    let mut story = Story::new(client, output);
    story.opening(log, TIMES)?;
    let good = story.good_cluster().await?;
    story.plan_again(&good).await?;
    let bad = story.bad_cluster().await?;
    story.what_happened(&good, &bad).await?;
    story.ending(exit)
}
