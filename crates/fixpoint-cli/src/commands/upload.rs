//! `fixpoint upload`: stores the traces of a file.
//!
//! Not for programs that send as they go; the receivers are (`docs/receivers.md`). The surprise:
//! which format a file is of is found by looking at it.

use std::{io::Read, path::PathBuf};

use fixpoint_client::Upload;

use crate::{
    Session,
    error::{CliError, Result},
};

/// Store the traces of a file: OTLP (JSON or protobuf), Zipkin or Jaeger JSON
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file; - reads from stdin
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint upload trace.json
  fixpoint trace idg --format otlp | fixpoint --url http://127.0.0.1:7172 upload -

The ids of the traces go to stdout, one a line.";

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let uploaded = session.client.upload(self.read()?).await?;
        if output.is_json() {
            return Ok(output.json(&uploaded)?);
        }
        let Upload { trace_ids, accepted, rejected, message } = uploaded;
        let many = if trace_ids.len() == 1 { "" } else { "s" };
        let traces = trace_ids.len();
        output.note(format!("{accepted} spans and log lines of {traces} trace{many}"));
        if rejected > 0 {
            output.note(format!("warning: {rejected} were left out: {message}"));
        }
        Ok(output.text(trace_ids.join("\n"))?)
    }

    fn read(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let read = match self.file.as_os_str() == "-" {
            true => std::io::stdin().lock().read_to_end(&mut file),
            false => {
                std::fs::File::open(&self.file).and_then(|mut from| from.read_to_end(&mut file))
            }
        };
        let said = self.file.display();
        read.map(|_| file)
            .map_err(|error| CliError::usage_because(format!("{said} could not be read"), error))
    }
}
