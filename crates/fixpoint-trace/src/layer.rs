//! The tracing Layer.
