//! What of the records that are stored goes out: all log lines, and the spans that have ended.
//!
//! Not here: where it goes. The surprise: nearly every request of others goes out as it came,
//! looked through but not decoded. One is made anew only if something in it stays at home, or if
//! it is larger than other receivers commonly take.

use bytes::Bytes;

use crate::{
    model::{LogRecord, Record, Span},
    otlp::{
        self,
        proto::{self, Invalid, Place, Visitor},
        view::{LogView, SpanView},
    },
    store::Signal,
};

/// Receivers of OTLP by gRPC commonly take 4 MiB.
const LARGEST: usize = 3 << 20;

/// An export request, and how many spans or log lines it holds.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) signal: Signal,
    pub(super) request: Bytes,
    pub(super) records: u32,
}

/// What goes out of our own records.
pub(super) fn of_records(records: &[Record]) -> Vec<Outgoing> {
    let (mut spans, mut logs) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::Span(span) if span.end.is_some() => spans.push(span),
            Record::Span(_) => {}
            Record::Log(log) => logs.push(log),
        }
    }
    let mut out = Vec::new();
    encode(Signal::Traces, &spans, &|spans: &[&Span]| otlp::encode_spans(spans), &mut out);
    encode(Signal::Logs, &logs, &|logs: &[&LogRecord]| otlp::encode_logs(logs), &mut out);
    out
}

/// What goes out of somebody's request, which was stored.
pub(super) fn of_request(signal: Signal, request: &Bytes) -> Vec<Outgoing> {
    let mut look = Look::default();
    // A request that the store took can be looked through.
    if proto::walk(signal, request, &mut look).is_err() {
        return Vec::new();
    }
    match look {
        Look { ended: 0, .. } => Vec::new(),
        Look { ended, stays: 0 } if request.len() <= LARGEST => {
            vec![Outgoing { signal, request: request.clone(), records: ended }]
        }
        Look { .. } => {
            let decoded = otlp::decode(signal, request).unwrap_or_default();
            of_records(&decoded.records)
        }
    }
}

/// Encodes records, in as many requests as it takes for none to be too large.
fn encode<T>(
    signal: Signal,
    records: &[T],
    encoded: &impl Fn(&[T]) -> Vec<u8>,
    out: &mut Vec<Outgoing>,
) {
    if records.is_empty() {
        return;
    }
    let request = encoded(records);
    if request.len() > LARGEST && records.len() > 1 {
        let (first, second) = records.split_at(records.len() / 2);
        encode(signal, first, encoded, out);
        encode(signal, second, encoded, out);
    } else {
        let records = u32::try_from(records.len()).unwrap_or(u32::MAX);
        out.push(Outgoing { signal, request: request.into(), records });
    }
}

/// Counts what may go out, and what may not: open spans, and what is not valid.
#[derive(Debug, Default)]
struct Look {
    ended: u32,
    stays: u32,
}

impl Visitor for Look {
    fn span(&mut self, _: &Place, span: &SpanView<'_>) {
        match span.end {
            Some(_) => self.ended += 1,
            None => self.stays += 1,
        }
    }

    fn log(&mut self, _: &Place, _: &LogView<'_>) {
        self.ended += 1;
    }

    fn rejected(&mut self, _: Invalid) {
        self.stays += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Level, SpanContext, SpanId, TraceId};

    fn span(end: Option<u64>, name: impl Into<String>) -> Span {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        Span { end, ..Span::new(context, name, 1) }
    }

    fn decoded(out: &[Outgoing]) -> Vec<Record> {
        out.iter().flat_map(|out| otlp::decode(out.signal, &out.request).unwrap().records).collect()
    }

    #[test]
    fn open_spans_stay_at_home() {
        let (open, ended) = (span(None, "open"), span(Some(2), "ended"));
        let line = LogRecord::new(1, Level::Info, "line");
        let all = [Record::Span(open.clone()), Record::Log(line), Record::Span(ended.clone())];
        let own = of_records(&all);
        assert_eq!(decoded(&own), [all[2].clone(), all[1].clone()]);
        let foreign = Bytes::from(otlp::encode_spans(&[&open, &ended]));
        let out = of_request(Signal::Traces, &foreign);
        assert_eq!((decoded(&out), out[0].records), (vec![all[2].clone()], 1));
        let foreign = Bytes::from(otlp::encode_spans(&[&open]));
        assert!(of_request(Signal::Traces, &foreign).is_empty());
    }

    #[test]
    fn a_request_goes_out_as_it_came() {
        let spans = [span(Some(2), "a"), span(Some(3), "b")];
        let mut request = otlp::encode_spans(&spans.each_ref());
        // A field of a later version, which decoding would lose.
        request.extend([0x7a, 1, 7]);
        let request = Bytes::from(request);
        let out = of_request(Signal::Traces, &request);
        assert_eq!((out.len(), &out[0].request, out[0].records), (1, &request, 2));
    }

    #[test]
    fn a_request_that_is_too_large_for_others_goes_out_in_parts() {
        let spans: Vec<_> = (0..5).map(|_| span(Some(2), "x".repeat(1 << 20))).collect();
        let request = Bytes::from(otlp::encode_spans(&spans.iter().collect::<Vec<_>>()));
        let out = of_request(Signal::Traces, &request);
        assert!(out.len() > 1 && out.iter().all(|out| out.request.len() <= LARGEST));
        assert_eq!(out.iter().map(|out| out.records).sum::<u32>(), 5);
        assert_eq!(decoded(&out), spans.into_iter().map(Record::Span).collect::<Vec<_>>());
    }
}
