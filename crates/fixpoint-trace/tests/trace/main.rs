//! Tests of the crate through its public surface, in one binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod any;
mod bucket;
mod comparing;
mod crash;
mod engine;
mod exporting;
mod formats;
mod jaeger;
mod matching;
mod other_readers;
mod otlp_proto;
mod queries;
mod recording;
mod refused;
mod stores;
mod tempo;
mod wire;
mod zipkin;
