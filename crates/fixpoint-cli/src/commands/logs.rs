//! `fixpoint logs`: the log lines of a trace, oldest first.

use std::time::Duration;

use fixpoint_client::LogLine;
use serde_json::Value;

use super::trace_id;
use crate::{Session, error::Result, output::Paint};

/// Show the log lines of a trace
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id of a trace or a run, a cluster's name, or any id that occurs in a trace
    #[arg(long, value_name = "ID")]
    trace: String,
    /// Stay, and show lines as they come, until the trace has ended
    #[arg(short, long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint logs --trace idg
  fixpoint logs --trace RUN --follow
  fixpoint logs --trace RUN -o json | jq 'select(.level == \"ERROR\")'";

/// A person reads no faster, and the server answers from memory.
const POLL: Duration = Duration::from_millis(500);

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let id = trace_id(session, &self.trace).await?;
        let mut shown = 0;
        loop {
            // Asked before the lines are read: lines written in between are not missed.
            let ended = !self.follow
                || session.client.trace(&id).await?.spans.iter().all(|span| span.end.is_some());
            let page = session.client.logs(&id).await?;
            if page.truncated && shown == 0 {
                session.output.note("older lines are left out");
            }
            for line in page.logs.iter().skip(shown) {
                match session.output.is_json() {
                    true => session.output.json_line(line)?,
                    false => session.output.text(text(line, session.output.out))?,
                }
            }
            shown = shown.max(page.logs.len());
            if ended {
                return Ok(());
            }
            pause(POLL).await;
        }
    }
}

fn text(line: &LogLine, paint: Paint) -> String {
    let level = match line.level.as_str() {
        "ERROR" => paint.bad("ERROR"),
        "WARN" => paint.busy("WARN "),
        other => paint.dim(format!("{other:<5}")),
    };
    let fields: Vec<String> = line
        .fields
        .iter()
        .map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
        .collect();
    let at = line.time.strftime("%H:%M:%S%.3f").to_string();
    let text =
        format!("{} {level} {}  {}", paint.dim(at), line.message, paint.dim(fields.join(" ")));
    text.trim_end().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "Ctrl-C ends the process; no run is involved")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
