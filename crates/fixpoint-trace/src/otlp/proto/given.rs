//! Gives what a request holds to a tenant, whoever it says that it is of.
//!
//! For receivers, which know who sends. The surprise: the mark is written once for each resource,
//! and what spans and lines claim is taken out; the rest stays as it came, byte for byte.

use bytes::Bytes;

use super::{
    Invalid,
    wire::{Field, Fields, Writer},
};
use crate::{formats::FormatError, semconv, store::Signal};

/// The request, all of it of that tenant.
///
/// # Errors
/// If it is no OTLP export request at all.
pub fn given_to(signal: Signal, request: &[u8], tenant: &str) -> Result<Bytes, FormatError> {
    let mut out = Writer::default();
    let given = groups(signal, request, tenant, &mut out);
    given.map_err(|why| FormatError::new("OTLP in protobuf", why))?;
    Ok(out.finish().into())
}

fn groups(signal: Signal, request: &[u8], tenant: &str, out: &mut Writer) -> Result<(), Invalid> {
    for field in Fields::of(request) {
        match field? {
            (1, Field::Bytes(group)) => {
                let mut given = Writer::default();
                group_of(signal, group, tenant, &mut given)?;
                out.member_bytes(1, &given.finish());
            }
            (number, field) => out.field(number, field)?,
        }
    }
    Ok(())
}

/// A resource, and what it has sent. As everywhere, of several resources the last one counts.
fn group_of(signal: Signal, group: &[u8], tenant: &str, out: &mut Writer) -> Result<(), Invalid> {
    let mut resource: &[u8] = &[];
    for field in Fields::of(group) {
        match field? {
            (1, Field::Bytes(message)) => resource = message,
            (2, Field::Bytes(scoped)) => {
                let mut given = Writer::default();
                scoped_of(signal, scoped, &mut given)?;
                out.member_bytes(2, &given.finish());
            }
            (number, field) => out.field(number, field)?,
        }
    }
    // One that cannot be read has its spans rejected as before.
    let mut said = unclaimed(resource, 1).unwrap_or_else(|_| resource.to_vec());
    let mut mark = Writer::default();
    mark.message(1, |out| {
        out.bytes(1, semconv::TENANT.as_bytes());
        out.message(2, |out| out.member_bytes(1, tenant.as_bytes()));
    });
    said.extend(mark.finish());
    out.member_bytes(1, &said);
    Ok(())
}

fn scoped_of(signal: Signal, scoped: &[u8], out: &mut Writer) -> Result<(), Invalid> {
    let attributes = match signal {
        Signal::Traces => 9,
        Signal::Logs => 6,
    };
    for field in Fields::of(scoped) {
        let (number, field) = field?;
        let within = match number {
            1 => 3,
            2 => attributes,
            _ => 0,
        };
        match field {
            // What cannot be read is rejected by itself, as before.
            Field::Bytes(message) if within > 0 => match unclaimed(message, within) {
                Ok(message) => out.field(number, Field::Bytes(&message))?,
                Err(_) => out.field(number, Field::Bytes(message))?,
            },
            field => out.field(number, field)?,
        }
    }
    Ok(())
}

/// The message without attributes, of that number, that say whose it is.
fn unclaimed(message: &[u8], attributes: u64) -> Result<Vec<u8>, Invalid> {
    let mut out = Writer::default();
    for field in Fields::of(message) {
        match field? {
            (number, Field::Bytes(pair)) if number == attributes && claims(pair) => {}
            (number, field) => out.field(number, field)?,
        }
    }
    Ok(out.finish())
}

/// Whether an attribute has the mark's name, also if it has several names.
fn claims(pair: &[u8]) -> bool {
    let name = Field::Bytes(semconv::TENANT.as_bytes());
    Fields::of(pair).any(|field| field == Ok((1, name)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{Level, LogRecord, Record, Scope, Span, SpanContext, SpanId, TraceId},
        otlp,
    };

    fn whose(signal: Signal, request: &[u8]) -> Vec<Option<String>> {
        let records = otlp::decode(signal, request).unwrap().records;
        records.iter().map(|record| record.tenant().map(str::to_owned)).collect()
    }

    #[test]
    fn everything_is_the_senders_whatever_it_claims() {
        let claim = || (semconv::TENANT.to_owned(), "globex".into());
        let plain = || ("kept".to_owned(), 1.into());
        let resource = Arc::new([claim(), plain()].into_iter().collect());
        let scope = Arc::new(Scope {
            attributes: [claim(), plain()].into_iter().collect(),
            ..Scope::named("scope")
        });
        let context = || SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        let span = |claims: bool| Span {
            attributes: claims.then(claim).into_iter().chain([plain()]).collect(),
            flags: 3,
            ..Span::new(context(), "work", 7)
        };
        let spans = [
            span(true),
            span(false),
            Span { resource: Arc::clone(&resource), scope: Arc::clone(&scope), ..span(true) },
        ];
        let request = otlp::encode_spans(&spans.each_ref());
        assert_eq!(whose(Signal::Traces, &request)[1..], [None, Some("globex".to_owned())]);
        let given = given_to(Signal::Traces, &request, "acme").unwrap();
        assert_eq!(whose(Signal::Traces, &given), vec![Some("acme".to_owned()); 3]);
        let text = String::from_utf8_lossy(&given).into_owned();
        assert!(!text.contains("globex"), "{text}");
        for (record, span) in
            otlp::decode(Signal::Traces, &given).unwrap().records.iter().zip(&spans)
        {
            let Record::Span(given) = record else { panic!("{record:?}") };
            assert_eq!((given.context(), given.start, given.flags), (span.context(), 7, 3));
            assert_eq!(given.attributes.get("kept"), Some(&1.into()));
            assert_eq!(given.scope.name, span.scope.name);
        }

        let log = LogRecord {
            attributes: [claim(), plain()].into_iter().collect(),
            resource,
            scope,
            ..LogRecord::new(7, Level::Info, "said")
        };
        let given = given_to(Signal::Logs, &otlp::encode_logs(&[&log]), "acme").unwrap();
        assert_eq!(whose(Signal::Logs, &given), [Some("acme".to_owned())]);
        assert!(!String::from_utf8_lossy(&given).contains("globex"));
    }

    #[test]
    fn a_name_that_is_said_twice_is_a_claim_as_well() {
        let mut pair = Writer::default();
        pair.bytes(1, b"harmless");
        pair.bytes(1, semconv::TENANT.as_bytes());
        pair.message(2, |out| out.member_bytes(1, b"globex"));
        let pair = pair.finish();
        let mut request = Writer::default();
        request.message(1, |out| {
            out.message(1, |out| out.member_bytes(1, &pair));
            out.message(2, |out| {
                out.message(2, |out| {
                    out.bytes(1, &TraceId::random().to_bytes());
                    out.bytes(2, &SpanId::random().to_bytes());
                    out.member_bytes(9, &pair);
                });
                // No span at all, which costs only itself.
                out.member_bytes(2, &[0x0a, 0x7f]);
            });
        });
        let request = request.finish();
        assert_eq!(whose(Signal::Traces, &request), [Some("globex".to_owned())]);
        let given = given_to(Signal::Traces, &request, "acme").unwrap();
        assert_eq!(whose(Signal::Traces, &given), [Some("acme".to_owned())]);
        let accepted = otlp::decode(Signal::Traces, &given).unwrap().accepted;
        assert_eq!((accepted.accepted, accepted.rejected), (1, 1));
        assert!(given_to(Signal::Traces, &[0x0a, 0xff, 0x7f], "acme").is_err());
    }
}
