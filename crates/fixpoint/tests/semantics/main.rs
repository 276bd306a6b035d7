//! The semantics that the planner promises, each proved by name; one file a promise.

#![allow(
    clippy::unwrap_used,
    reason = "a test may; clippy does not see that these helpers are tests"
)]

mod bounds;
mod convergence;
mod failure;
mod kit;
mod order;
mod record;
mod skips;
mod testing;
mod together;
mod wait;
