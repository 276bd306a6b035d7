//! Leaves spans and log lines out of a request that are larger than somebody wants to keep.
//!
//! For receivers, which bound what one span may cost whoever reads it. Not for what is not valid:
//! that is found where it is parsed. The surprise: a request that is itself no larger than the
//! limit is never looked into, and that is nearly every one.

use bytes::Bytes;

use super::{
    Invalid,
    wire::{Field, Fields, Writer},
};
use crate::{formats::FormatError, model::Record};

/// The field that leads on, in a request, a resource's group and a scope's group.
const PATH: [u64; 3] = [1, 2, 2];

/// The request without its spans or log lines of more than `limit` bytes, and how many those were.
/// Everything else stays as it came.
///
/// # Errors
/// If it is no OTLP export request at all.
pub fn within(request: &Bytes, limit: usize) -> Result<(Bytes, u64), FormatError> {
    if request.len() <= limit {
        return Ok((request.clone(), 0));
    }
    let (mut out, mut left_out) = (Writer::default(), 0);
    copy(request, &PATH, limit, &mut out, &mut left_out)
        .map_err(|why| FormatError::new("OTLP in protobuf", why))?;
    let request = if left_out == 0 { request.clone() } else { out.finish().into() };
    Ok((request, left_out))
}

fn copy(
    message: &[u8],
    path: &[u64],
    limit: usize,
    out: &mut Writer,
    left_out: &mut u64,
) -> Result<(), Invalid> {
    for field in Fields::of(message) {
        let (number, field) = field?;
        match field {
            Field::Bytes(part) if path.first() == Some(&number) && part.len() > limit => {
                match &path[1..] {
                    [] => *left_out += 1,
                    path => {
                        let mut copied = Writer::default();
                        copy(part, path, limit, &mut copied, left_out)?;
                        out.field(number, Field::Bytes(&copied.finish()))?;
                    }
                }
            }
            field => out.field(number, field)?,
        }
    }
    Ok(())
}

/// How many bytes a span or a log line takes in OTLP, with the resource and scope it came with.
pub fn size(record: &Record) -> usize {
    match record {
        Record::Span(span) => super::encode_spans(&[span]).len(),
        Record::Log(log) => super::encode_logs(&[log]).len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Span, SpanContext, SpanId, TraceId},
        otlp,
        store::Signal,
    };

    fn span(name_len: usize) -> Span {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        Span::new(context, "x".repeat(name_len), 1)
    }

    #[test]
    fn only_what_is_larger_than_the_limit_is_left_out() {
        let spans = [span(10), span(2_000), span(20), span(900)];
        let request = Bytes::from(otlp::encode_spans(&spans.each_ref()));
        let (shorter, left_out) = within(&request, 1_000).unwrap();
        assert_eq!(left_out, 1);
        let kept = [&spans[0], &spans[2], &spans[3]];
        assert_eq!(shorter, otlp::encode_spans(&kept));
        assert_eq!(otlp::decode(Signal::Traces, &shorter).unwrap().accepted.accepted, 3);
    }

    #[test]
    fn a_request_that_loses_nothing_is_the_same_to_the_byte() {
        let spans = [span(600), span(700)];
        let mut request = otlp::encode_spans(&spans.each_ref());
        // A field of a later version.
        request.extend([0x7a, 1, 7]);
        let request = Bytes::from(request);
        for limit in [1_000, 1 << 20] {
            assert_eq!(within(&request, limit).unwrap(), (request.clone(), 0));
        }
    }

    #[test]
    fn what_is_no_request_is_said_to_be_none() {
        let torn = Bytes::from_iter([0x0a, 0xff, 0x7f].into_iter().chain([0; 50]));
        assert!(within(&torn, 10).is_err());
    }
}
