//! `fixpoint demo`: the story that Fixpoint comes from, told in under a minute.
//!
//! Starts a server on a sandbox in this process and talks to it as any client would. What is told
//! is in `story.rs`. The surprise: nothing of the story is written down beforehand. Which steps
//! ran, what they called and what the plan saw is read from the runs and their traces.

mod story;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use fixpoint::Pace;
use fixpoint_aws::sandbox::Faults;
use fixpoint_client::Client;
use tokio::sync::oneshot;

use self::story::Story;
use crate::{
    error::{CliError, Result},
    host::{Cloud, Host, Lines, Options, Signals},
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
    pub(crate) async fn run(self, output: Output) -> Result {
        if !self.listen.ip().is_loopback() {
            return Err(CliError::usage("the demo listens on this machine only")
                .hint("`fixpoint dev --listen` takes other addresses"));
        }
        let folder = tempfile::Builder::new()
            .prefix("fixpoint-demo-")
            .tempdir()
            .map_err(|error| CliError::because("a temporary folder could not be made", error))?;
        let log = folder.path().join("log.jsonl");
        let host = Host::start(Options {
            listen: self.listen,
            data: folder.path().to_owned(),
            pace: Pace::times(TIMES),
            cloud: Cloud::Sandbox(Faults::default()),
            lines: Lines::File(log.clone()),
        })
        .await?;
        let client = Client::new(&format!("http://{}", host.address))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let mut signals = Signals::new()?;
        // The server, the story and a signal: whichever ends first ends the demo.
        let server = host.run(async move { drop(stopped.await) }, std::future::pending());
        let told = async {
            let told = tokio::select! {
                told = tell(&client, output, &log, self.exit) => told,
                () = signals.next() => Ok(()),
            };
            let told = match told {
                Ok(()) if !self.exit => {
                    signals.next().await;
                    Ok(())
                }
                told => told,
            };
            drop(stop);
            told
        };
        let (served, told) = tokio::join!(server, told);
        told.and(served)
    }
}

async fn tell(client: &Client, output: Output, log: &std::path::Path, exit: bool) -> Result {
    let mut story = Story::new(client, output);
    story.opening(log, TIMES)?;
    let good = story.good_cluster().await?;
    story.plan_again(&good).await?;
    let bad = story.bad_cluster().await?;
    story.what_happened(&good, &bad).await?;
    story.ending(exit)
}
