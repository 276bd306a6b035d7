//! Records, stores, reads and exports distributed traces: spans and the log lines beside them.
//!
//! For any process that wants its own traces kept, live and complete. Not a metrics library, and
//! no knowledge of plans or runs lives here. The surprise: spans are stored when they *open*, so
//! a trace can be read while it happens and survives the death of its process.
//!
//! The way of a span: `tracing` → [`layer::RecordLayer`] → [`record::Recorder`] → [`store`].

// So that tests in here can share with those in `tests/`.
#[cfg(test)]
extern crate self as fixpoint_trace;

mod chain;
pub mod compare;
pub mod export;
pub mod formats;
pub mod jaeger;
pub mod layer;
pub mod model;
pub mod otlp;
pub mod propagation;
pub mod query;
pub mod record;
pub mod redact;
pub mod semconv;
pub mod store;
pub mod tempo;
pub mod testing;
pub mod zipkin;
