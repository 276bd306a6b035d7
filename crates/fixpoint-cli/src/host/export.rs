//! Sets up the copy to another backend, as the environment says.
//!
//! Not here: what the variables mean (`fixpoint_trace::export`). The surprise: a server that would
//! send to its own receivers does not start. It would copy every copy, for ever.

use std::{net::SocketAddr, path::Path};

use fixpoint_trace::export::{Exporter, Options, Settings};

use crate::error::{CliError, Result};

/// What copies to the collector that the environment names; none if it names none.
///
/// # Errors
/// If a variable has no meaning, the queue cannot be opened, or the way leads back to one of the
/// addresses that this server listens on.
pub(crate) async fn exporter(data: &Path, listening: &[SocketAddr]) -> Result<Option<Exporter>> {
    let settings = Settings::from_variables(|name| std::env::var(name).ok())
        .map_err(|error| CliError::usage_because("traces cannot be exported", error))?;
    let Some(settings) = settings else { return Ok(None) };
    if let Some(own) = settings.leads_to(listening).await {
        let what = format!("traces cannot be exported to {own}, which is this server itself");
        return Err(CliError::usage(what).hint(
            "OTEL_EXPORTER_OTLP_ENDPOINT names where this server copies to; unset it, or move the \
             receiver with --otlp-grpc or --otlp-http",
        ));
    }
    let exporter = Exporter::open(settings, data.join("export"), Options::default());
    exporter.map(Some).map_err(|error| CliError::because("traces cannot be exported", error))
}
