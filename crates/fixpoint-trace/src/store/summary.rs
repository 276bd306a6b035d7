//! Sums up a trace in a line, from its spans and lines in any order.
//!
//! The surprise: a trace continued from a caller elsewhere has no root here, so the earliest span
//! stands in for it.

use super::TraceSummary;
use crate::{
    model::{Rank, Resource, Span, Status, Trace, TraceId, UnixNanos, Value},
    semconv,
};

/// A summary, and what is needed to go on with it.
#[derive(Debug)]
pub(super) struct Tally {
    summary: TraceSummary,
    /// The latest end so far, also while other spans are open.
    latest: UnixNanos,
    /// The rank of the span that the trace goes by.
    head: Option<Rank>,
}

impl Tally {
    fn new(trace_id: TraceId) -> Self {
        Self {
            summary: TraceSummary {
                trace_id,
                root: None,
                name: String::new(),
                service: String::new(),
                start: 0,
                end: None,
                status: Status::Unset,
                spans: 0,
                open: 0,
                errors: 0,
                logs: 0,
            },
            latest: 0,
            head: None,
        }
    }

    /// The tally of a whole trace.
    pub(super) fn of(id: TraceId, trace: &Trace) -> Self {
        let mut tally = Self::new(id);
        trace.logs.iter().for_each(|log| tally.log(log.time));
        trace.spans.iter().for_each(|span| tally.span(span));
        tally
    }

    fn span(&mut self, span: &Span) {
        let summary = &mut self.summary;
        summary.spans = summary.spans.saturating_add(1);
        summary.open = summary.open.saturating_add(span.end.is_none().into());
        summary.errors = summary.errors.saturating_add(span.failed().into());
        if summary.spans == 1 || span.start < summary.start {
            summary.start = span.start;
        }
        self.latest = self.latest.max(span.end.unwrap_or(0));
        summary.end = (summary.open == 0).then_some(self.latest);

        if self.head.is_none_or(|head| span.rank() < head) {
            self.head = Some(span.rank());
            summary.root = span.parent.is_none().then_some(span.span_id);
            summary.name.clone_from(&span.name);
            summary.service = service(&span.resource).to_owned();
            summary.status = span.status.clone();
        }
    }

    /// A log line came. A trace of which only lines are known starts with the earliest.
    fn log(&mut self, time: UnixNanos) {
        let summary = &mut self.summary;
        if summary.spans == 0 && (summary.logs == 0 || time < summary.start) {
            summary.start = time;
        }
        summary.logs = summary.logs.saturating_add(1);
    }

    pub(super) fn into_summary(self) -> TraceSummary {
        self.summary
    }
}

impl TraceSummary {
    /// Sums up a whole trace.
    pub fn of(id: TraceId, trace: &Trace) -> Self {
        Tally::of(id, trace).into_summary()
    }
}

fn service(resource: &Resource) -> &str {
    match resource.get(semconv::SERVICE_NAME) {
        Some(Value::String(name)) => name,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SpanContext, SpanId};

    #[test]
    fn a_trace_goes_by_the_same_span_in_whatever_order_its_spans_come() {
        let trace_id = TraceId::random();
        let span = |n: u8, name: &str| {
            let span_id = SpanId::from_bytes([n; 8]).unwrap();
            Span::new(SpanContext { trace_id, span_id }, name, 42)
        };
        let named = |spans: Vec<Span>| {
            let trace = Trace { spans, logs: Vec::new(), partial: None };
            (TraceSummary::of(trace_id, &trace).name, trace.head().unwrap().name.clone())
        };
        let (a, b) = (span(1, "a"), span(2, "b"));
        for spans in [vec![a.clone(), b.clone()], vec![b, a]] {
            assert_eq!(named(spans), ("a".to_owned(), "a".to_owned()));
        }
    }
}
