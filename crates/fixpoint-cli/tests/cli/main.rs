//! The command as its users meet it: as a child process, with a server started for the test.
//!
//! Few and whole; what can be tested in a unit is tested there. The surprise: `layers.rs` tests no
//! behaviour but the rules of the house, because this crate is the only one that sees all rooms.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod client;
mod clock;
mod crash;
mod diff;
mod disk;
mod drift;
mod errors;
mod export;
mod help;
mod hostile;
mod layers;
mod operate;
mod receive;
mod search;
mod secrets;
#[cfg(feature = "etcd")]
mod several;
mod support;
mod tls;
mod webhook;
mod why;
