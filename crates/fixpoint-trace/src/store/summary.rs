//! Keeps a trace's summary while its records come in, one at a time and in any order.
//!
//! The surprise: a trace continued from a caller elsewhere has no root here, so the earliest span
//! stands in for it.

use serde::{Deserialize, Serialize};

use super::TraceSummary;
use crate::{
    model::{Resource, Span, SpanId, Status, Trace, TraceId, UnixNanos, Value},
    semconv,
};

/// A summary, and what is needed to bring it up to date without reading the trace again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tally {
    summary: TraceSummary,
    /// The latest end so far, also while other spans are open.
    latest: UnixNanos,
    /// The span that the trace is named after, and when it started.
    head: Option<(SpanId, UnixNanos)>,
}

impl Tally {
    pub(super) fn new(trace_id: TraceId) -> Self {
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
        trace.spans.iter().for_each(|span| tally.span(None, span));
        tally
    }

    /// A span came, in the place of `before` if it was known.
    pub(super) fn span(&mut self, before: Option<&Span>, span: &Span) {
        let summary = &mut self.summary;
        let count = |counter: &mut u32, was: bool, is: bool| {
            *counter = counter.saturating_add_signed(i32::from(is) - i32::from(was));
        };
        let failed = |span: &Span| matches!(span.status, Status::Error(_));
        count(&mut summary.spans, before.is_some(), true);
        count(&mut summary.open, before.is_some_and(|span| span.end.is_none()), span.end.is_none());
        count(&mut summary.errors, before.is_some_and(failed), failed(span));

        if summary.spans == 1 && before.is_none() || span.start < summary.start {
            summary.start = span.start;
        }
        self.latest = self.latest.max(span.end.unwrap_or(0));
        summary.end = (summary.open == 0).then_some(self.latest);

        let leads = match self.head {
            None => true,
            Some((head, _)) if head == span.span_id => true,
            Some((_, start)) if summary.root.is_none() == span.parent.is_some() => {
                span.start < start
            }
            Some(_) => span.parent.is_none(),
        };
        if leads {
            self.head = Some((span.span_id, span.start));
            summary.root = span.parent.is_none().then_some(span.span_id);
            summary.name.clone_from(&span.name);
            summary.service = service(&span.resource).to_owned();
            summary.status = span.status.clone();
        }
    }

    /// A log line came. A trace of which only lines are known starts with the earliest.
    pub(super) fn log(&mut self, time: UnixNanos) {
        let summary = &mut self.summary;
        if summary.spans == 0 && (summary.logs == 0 || time < summary.start) {
            summary.start = time;
        }
        summary.logs = summary.logs.saturating_add(1);
    }

    pub(super) fn summary(&self) -> &TraceSummary {
        &self.summary
    }

    pub(super) fn into_summary(self) -> TraceSummary {
        self.summary
    }
}

fn service(resource: &Resource) -> &str {
    match resource.get(semconv::SERVICE_NAME) {
        Some(Value::String(name)) => name,
        _ => "",
    }
}
