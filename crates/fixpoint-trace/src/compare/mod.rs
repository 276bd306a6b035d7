//! Compares traces: one with another, and one with all the good ones.
//!
//! For saying what is missing, extra, failed, slow or answered differently in a trace. Not here:
//! plans, runs and AWS; who knows of them passes it in. The surprise: spans are told apart by what
//! they do below whom ([`label`]), never by their ids, times or raw names.

pub mod diff;
pub mod explain;
pub mod label;
pub mod profile;
pub mod tree;

#[cfg(test)]
mod testing {
    use std::{ops::Range, sync::Arc};

    use crate::{
        model::{Resource, Span, SpanContext, SpanId, TraceId},
        semconv::SERVICE_NAME,
    };

    /// A span of a shop; parent 0 is none.
    pub(super) fn span(trace: u8, id: u8, parent: u8, times: Range<u64>, name: &str) -> Span {
        let id_of = |byte: u8| SpanId::from_bytes([byte; 8]);
        let trace_id = TraceId::from_bytes([trace; 16]).unwrap();
        let context = SpanContext { trace_id, span_id: id_of(id).unwrap() };
        let service = Resource::from_iter([(SERVICE_NAME.to_owned(), "shop".into())]);
        Span {
            parent: id_of(parent),
            end: Some(times.end),
            resource: Arc::new(service),
            ..Span::new(context, name, times.start)
        }
    }
}
