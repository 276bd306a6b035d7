//! Trace context in and out of HTTP headers.
