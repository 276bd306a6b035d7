//! The semantics that the planner promises, each proved by name; one file a promise.

mod bounds;
mod convergence;
mod failure;
mod kit;
mod order;
mod record;
mod testing;
mod together;
mod wait;
