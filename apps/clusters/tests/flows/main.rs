//! The flows of a cluster, from an empty account to an empty account, in the sandbox cloud.
//!
//! Time is Tokio's paused clock, so a creation of ten minutes takes as long as its computing. The
//! surprise: `moto.rs` runs the same flows against somebody else's simulator, over real HTTP.

#![allow(clippy::unwrap_used, reason = "what a test unwraps is its assertion")]

mod addons;
mod create;
mod faults;
mod half_made;
mod moto;
mod scale;
mod terminate;
mod trace;
#[path = "../whole/mod.rs"]
mod whole;
mod world;
