//! Who is told what went wrong for good: flags of `dev` and `serve`.
//!
//! Not here: the command `webhook`. The surprise: the secret has no flag, and the URL can do without
//! one. What stands on a command line is seen by all who share the machine.

use std::path::PathBuf;

use fixpoint_client::WebhookEvent;
use fixpoint_server::{Webhook, WebhookError};

use crate::{
    error::{CliError, Result},
    file,
};

/// Where the secret is, if it is in no file.
const SECRET: &str = "FIXPOINT_WEBHOOK_SECRET";

/// Who is told what went wrong.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Webhook")]
pub(super) struct Telling {
    /// Where to send runs that failed for good or were paused, and drift, by signed POST requests
    #[arg(long, value_name = "URL", env = "FIXPOINT_WEBHOOK", hide_env_values = true)]
    webhook: Option<String>,
    /// The file with the secret that signs them; FIXPOINT_WEBHOOK_SECRET holds it, too
    #[arg(long, value_name = "FILE")]
    webhook_secret_file: Option<PathBuf>,
    /// Only these, parted by commas: run.failed, run.paused, resource.rolled_back or
    /// resource.drifted [default: all]
    #[arg(long, value_name = "EVENTS", value_delimiter = ',')]
    webhook_events: Vec<WebhookEvent>,
    /// Where people open this server's pages, for links in what it sends
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Telling {
    /// The webhook, if there is to be one.
    pub(super) fn webhook(&self) -> Result<Option<Webhook>> {
        let Self { webhook, webhook_secret_file, webhook_events, public_url } = self;
        let Some(url) = webhook.as_deref().filter(|url| !url.is_empty()) else {
            let of_no_use = webhook_secret_file.is_some() || !webhook_events.is_empty();
            return match of_no_use {
                true => Err(CliError::usage("there is no webhook").hint("give --webhook URL, too")),
                false => Ok(None),
            };
        };
        let secret = match webhook_secret_file {
            Some(path) => String::from_utf8_lossy(&file::read(path)?).into_owned(),
            None => std::env::var(SECRET).unwrap_or_default(),
        };
        let events = match webhook_events.is_empty() {
            true => &WebhookEvent::ALL,
            false => &webhook_events[..],
        };
        let webhook = Webhook::new(url, &secret, events, public_url.as_deref());
        webhook.map(Some).map_err(|error| match error {
            WebhookError::Secret(_) => CliError::usage_because("nothing can be signed", error)
                .hint(format!("give --webhook-secret-file FILE, or set {SECRET}"))
                .hint("make one with: echo \"whsec_$(openssl rand -base64 32)\""),
            _ => CliError::usage_because("nobody can be told", error),
        })
    }
}
