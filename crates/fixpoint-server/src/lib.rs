//! The Fixpoint server as a library: resources, runs, the runner, the HTTP API and the pages.
//!
//! For applications that bring their own [`Kind`] of resource and want it provisioned, traced and
//! looked at. Not for planning (that is `fixpoint`) nor for traces (`fixpoint-trace`). The
//! surprise: this is no binary. Each application's binary is its own; ours is `fixpoint-cli`.

mod access;
mod acts;
mod http;
mod intents;
mod kind;
mod kinds;
mod metrics;
mod records;
mod resource;
mod run;
mod runner;
mod seen;
mod server;
pub mod store;
#[cfg(test)]
mod tests;
mod ui;
mod verify;
mod webhook;
mod why;

pub use access::{Access, FirstTokenError, Hosts, first_token};
pub use http::{Control, ControlError, Limits, Protocol, Receivers, Tls, TlsError};
pub use kind::{Invalid, Kind, ResourceRef, StatusCell};
pub use runner::{NotOwner, may_act};
pub use server::{Builder, Error, Server};
pub use verify::{OnlyLooks, Verifying, may_change};
pub use webhook::{Webhook, WebhookError};
pub use why::Hints;
