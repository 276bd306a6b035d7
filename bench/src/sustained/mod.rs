//! Sustained load: a server with a thousand resources, runs asked for at a rate, and people who look.
//!
//! `plants.rs` holds what the server provisions and the process that it is, `asking.rs` who asks for what
//! and how long the answers take, `round.rs` one round at one rate and what is told of it. Not here:
//! which rates are tried (`bin/sustain.rs`). The surprise: nobody waits for an answer before asking the
//! next thing, and an answer's time counts from when its question was due. A server that stands still
//! for a second is asked all the same, and all of that second is in the figures.

pub mod asking;
pub mod plants;
pub mod round;

pub use crate::errors::Result;
