//! The `fixpoint` command.
//!
//! Arguments in, exit code out; the work is in `commands/`, one file each. The surprise: one
//! binary is both the client and the server, so that a newcomer has one thing to start.

mod commands;
mod document;
mod error;
mod file;
mod host;
mod output;
mod progress;
mod waterfall;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use fixpoint_client::Client;

use crate::{
    error::Result,
    output::{Color, Format, Output},
};

/// Of a server that was busy, glibc's keeps nearly three times what is in use.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Provisions what you describe, and shows each run as a trace.
#[derive(Debug, Parser)]
#[command(name = "fixpoint", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint demo                                    the whole story, in under a minute
  fixpoint dev --data ./data --time-scale 60       a server on a sandbox of AWS
  fixpoint apply -f examples/cluster.yaml --wait   create a cluster, and watch its steps
  fixpoint trace idg                               its newest run, as a waterfall
  fixpoint why idg                                 what went wrong in it, and how one knows
  fixpoint diff idg umbrella                       what differs between their newest runs
  fixpoint find i-0a1b2c3d4e5f60718                where any id occurs
  fixpoint search 'error and duration > 5s'        traces by what is in them, or missing

Exit codes: 0 done, 1 the run failed, 2 wrong use, 3 the server cannot be reached";

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// The server's address
    #[arg(
        long,
        global = true,
        env = "FIXPOINT_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:7171",
        value_name = "URL",
        help_heading = "Global options"
    )]
    url: String,
    #[command(flatten)]
    trust: Trust,
    /// A file that holds the API token to send; FIXPOINT_TOKEN does, too
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    token_file: Option<PathBuf>,
    /// The form of data on stdout
    #[arg(
        long,
        short,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        hide_possible_values = true,
        help = "The form of data on stdout: text or json",
        help_heading = "Global options"
    )]
    output: Format,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true,
        help = "When to use colours: auto, always or never",
        help_heading = "Global options"
    )]
    color: Color,
}

/// Whom to trust, and how to be trusted.
#[derive(Debug, Args)]
struct Trust {
    /// The authorities (PEM) that sign the server's certificate; those of the system if not given
    #[arg(
        long,
        global = true,
        env = "FIXPOINT_CA",
        hide_env = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    ca: Option<PathBuf>,
    /// The certificate (PEM) to show a server that wants one
    #[arg(
        long,
        global = true,
        env = "FIXPOINT_CLIENT_CERT",
        hide_env = true,
        requires = "client_key",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    client_cert: Option<PathBuf>,
    /// The key (PEM) of that certificate
    #[arg(
        long,
        global = true,
        env = "FIXPOINT_CLIENT_KEY",
        hide_env = true,
        requires = "client_cert",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    client_key: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(commands::demo::Args),
    Dev(Box<commands::dev::Args>),
    Serve(Box<commands::serve::Args>),
    Apply(commands::apply::Args),
    Get(commands::get::Args),
    Delete(commands::delete::Args),
    Plan(commands::plan::Args),
    Verify(commands::verify::Args),
    Runs(commands::runs::Args),
    Cancel(commands::operate::CancelArgs),
    Pause(commands::operate::PauseArgs),
    Resume(commands::operate::ResumeArgs),
    Retry(commands::operate::RetryArgs),
    Replan(commands::operate::ReplanArgs),
    Skip(commands::operate::SkipArgs),
    Trace(commands::trace::Args),
    Why(commands::why::Args),
    Diff(commands::diff::Args),
    Upload(commands::upload::Args),
    Logs(commands::logs::Args),
    Find(commands::find::Args),
    Search(commands::search::Args),
    Services(commands::operations::ServiceArgs),
    Operations(commands::operations::OperationArgs),
    Apis(commands::apis::Args),
    Pin(commands::pin::PinArgs),
    Unpin(commands::pin::UnpinArgs),
    Token(commands::token::Args),
    Webhook(commands::webhook::Args),
    Completions(commands::completions::Args),
}

/// What a client command works with.
#[derive(Debug)]
struct Session {
    client: Client,
    output: Output,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.global.output, cli.global.color);
    match run(cli, output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(&output),
    }
}

fn run(cli: Cli, output: Output) -> Result {
    let session =
        || Ok::<_, error::CliError>(Session { client: client(&cli.global, &output)?, output });
    match cli.command {
        Command::Completions(args) => args.run(&output),
        Command::Demo(args) => args.run(output),
        Command::Dev(args) => runtime()?.block_on(args.run(output)),
        Command::Serve(args) => runtime()?.block_on(args.run(output)),
        Command::Apply(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Get(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Delete(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Plan(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Verify(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Runs(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Cancel(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Pause(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Resume(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Retry(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Replan(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Skip(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Diff(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Trace(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Why(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Upload(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Logs(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Find(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Search(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Services(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Operations(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Apis(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Pin(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Unpin(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Token(args) => runtime()?.block_on(args.run(&session()?)),
        Command::Webhook(args) => runtime()?.block_on(args.run(&session()?)),
    }
}

/// A client of the server that is meant. A token is never an argument: those are seen by all.
fn client(global: &Global, output: &Output) -> Result<Client> {
    let token = match &global.token_file {
        Some(file) => Some(String::from_utf8_lossy(&file::read(file)?).into_owned()),
        None => std::env::var("FIXPOINT_TOKEN").ok().filter(|token| !token.is_empty()),
    };
    let has_token = token.is_some();
    let Trust { ca, client_cert, client_key } = &global.trust;
    let ca = ca.as_deref().map(file::read).transpose()?;
    let identity = match (client_cert, client_key) {
        (Some(certificate), Some(key)) => {
            let mut pem = file::read(certificate)?;
            pem.push(b'\n');
            pem.extend(file::read(key)?);
            Some(pem)
        }
        _ => None,
    };
    let client = Client::builder(&global.url).token(token).ca(ca).identity(identity).build()?;
    if has_token && client.is_in_clear() {
        output.note(format!("warning: the token is sent to {} in clear", client.base()));
    }
    Ok(client)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error::CliError::because("the runtime could not be started", error))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
