//! What flows survive: the death of their server at any moment, and a cloud that fails.
//!
//! Each flow goes through a real server, over HTTP, in a sandbox that outlives it. Not here: deaths
//! of the real binary (`fixpoint-cli`) and damage to the stores' files (`fixpoint-trace`). The
//! surprise: everything happens a thousand times as fast as on AWS, but not at once; a hundred
//! lives take a minute.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what a test unwraps is its assertion"
)]

mod crash;
mod drift;
mod evidence;
mod flow;
mod life;
mod moments;
mod storm;
#[path = "../whole/mod.rs"]
mod whole;
