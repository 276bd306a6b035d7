//! Copies ended spans to an outside collector by OTLP.
