//! Tests of the crate through its public surface, in one binary.

mod crash;
mod exporting;
mod recording;
mod stores;
mod wire;
