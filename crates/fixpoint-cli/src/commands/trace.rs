//! `fixpoint trace`: a whole trace as a waterfall in the terminal.

use fixpoint_client::Trace;
use jiff::Timestamp;

use super::trace_id;
use crate::{
    Session,
    error::{CliError, Result},
    waterfall,
};

/// Show a trace as a waterfall
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id of a trace or a run, a cluster's name, or any id that occurs in a trace
    id: String,
    /// Fold nothing: every look, every poll, every attempt
    #[arg(short, long)]
    all: bool,
    /// Show only this many levels beneath the root
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Give it as a file instead: otlp, otlp-protobuf, jaeger or zipkin
    #[arg(long, value_name = "FORMAT", conflicts_with_all = ["all", "depth"])]
    format: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint trace idg
  fixpoint trace d572232a8fed45fa9b3c7d1e5f60718a --depth 2
  fixpoint trace i-0a1b2c3d4e5f60718 --all
  fixpoint trace idg -o json > trace.json      OTLP JSON, for other tools
  fixpoint trace idg --format jaeger > trace.json";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let id = trace_id(session, &self.id).await?;
        if let Some(format) = &self.format {
            return Ok(output.bytes(&session.client.trace_file(&id, format).await?)?);
        }
        let body = session.client.trace_json(&id).await?;
        if output.is_json() {
            return Ok(output.json(&body)?);
        }
        let trace = Trace::from_otlp(body)
            .map_err(|error| CliError::because("the trace is not understood", error).trace(&id))?;
        let style = waterfall::Style {
            width: output.width(),
            all: self.all,
            depth: self.depth,
            paint: output.out,
        };
        let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        Ok(output.text(waterfall::draw(&trace, style, now))?)
    }
}
