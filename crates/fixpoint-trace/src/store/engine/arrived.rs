//! A request that has come, looked through: where each span and line lies in it, and the little
//! that most questions need.
//!
//! Made on the sender's own task, before anything is locked. The surprise: a span that is not
//! valid costs only itself; the request is stored as it came, with the bad span in it, and the bad
//! span is left out again whenever the log is read.

use std::ops::Range;

use bytes::Bytes;

use crate::{
    model::{Kind, Record, SpanId, TraceId, UnixNanos},
    otlp::{
        proto::{self, Invalid, Place, Visitor},
        view::{LogView, SpanView},
    },
    store::{Accepted, Fault, Signal, StoreError},
};

/// One request.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) signal: Signal,
    pub(super) request: Bytes,
    /// Where the resource and the scope of each origin lie.
    pub(super) origins: Vec<(Range<u32>, Range<u32>)>,
    pub(super) spans: Vec<LightSpan>,
    pub(super) logs: Vec<LightLog>,
    pub(super) accepted: Accepted,
}

/// Where a message lies in its request, and which origin it has.
#[derive(Debug, Clone)]
pub(super) struct Located {
    pub(super) body: Range<u32>,
    pub(super) origin: u32,
}

/// A span, as far as most searches ask.
#[derive(Debug)]
pub(super) struct LightSpan {
    pub(super) located: Located,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) parent: Option<SpanId>,
    /// Where its name lies.
    pub(super) name: Range<u32>,
    pub(super) kind: Kind,
    pub(super) start: UnixNanos,
    pub(super) end: Option<UnixNanos>,
    pub(super) status: u8,
}

/// A log line, likewise.
#[derive(Debug)]
pub(super) struct LightLog {
    pub(super) located: Located,
    pub(super) trace_id: Option<TraceId>,
    pub(super) time: UnixNanos,
}

impl Arrived {
    /// Looks through a request.
    ///
    /// # Errors
    /// If it is no OTLP request, or larger than 4 GiB.
    pub(super) fn look_through(signal: Signal, request: Bytes) -> Result<Self, StoreError> {
        let bad = |why: Box<dyn std::error::Error + Send + Sync>| {
            StoreError::new("read an OTLP request", why).with_fault(Fault::Request)
        };
        if u32::try_from(request.len()).is_err() {
            return Err(bad("it is larger than 4 GiB".into()));
        }
        let arrived = Self {
            signal,
            request: request.clone(),
            origins: Vec::new(),
            spans: Vec::new(),
            logs: Vec::new(),
            accepted: Accepted::default(),
        };
        let mut looking = Looking { arrived, start: request.as_ptr().addr() };
        proto::walk(signal, &request, &mut looking).map_err(|why| bad(why.into()))?;
        Ok(looking.arrived)
    }

    /// Our own records, as requests: spans first, so that no line comes before its span.
    pub(super) fn of_records(records: &[Record]) -> Result<Vec<Self>, StoreError> {
        let (mut spans, mut logs) = (Vec::new(), Vec::new());
        for record in records {
            match record {
                Record::Span(span) => spans.push(span),
                Record::Log(log) => logs.push(log),
            }
        }
        let mut requests = Vec::with_capacity(2);
        if !spans.is_empty() {
            requests.push((Signal::Traces, proto::encode_spans(&spans)));
        }
        if !logs.is_empty() {
            requests.push((Signal::Logs, proto::encode_logs(&logs)));
        }
        let look = |(signal, request)| Self::look_through(signal, Bytes::from(request));
        requests.into_iter().map(look).collect()
    }

    pub(super) fn bytes(&self, at: &Range<u32>) -> &[u8] {
        &self.request[at.start as usize..at.end as usize]
    }

    pub(super) fn text(&self, at: &Range<u32>) -> &str {
        // It was a text when the request was looked through.
        std::str::from_utf8(self.bytes(at)).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.logs.is_empty()
    }
}

struct Looking {
    arrived: Arrived,
    /// The request's address, to tell where a part of it lies.
    start: usize,
}

impl Looking {
    fn located(&mut self, place: &Place) -> Located {
        let origin = (short(&place.resource), short(&place.scope));
        // Messages of one origin come one after the other.
        if self.arrived.origins.last() != Some(&origin) {
            self.arrived.origins.push(origin);
        }
        Located { body: short(&place.message), origin: self.arrived.origins.len() as u32 - 1 }
    }
}

impl Visitor for Looking {
    fn span(&mut self, place: &Place, span: &SpanView<'_>) {
        let located = self.located(place);
        let name = span.name.as_ptr().addr().saturating_sub(self.start);
        // An empty text lies nowhere.
        let name = if span.name.is_empty() { 0..0 } else { name..name + span.name.len() };
        self.arrived.accepted.accepted += 1;
        self.arrived.spans.push(LightSpan {
            located,
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: span.parent,
            name: short(&name),
            kind: span.kind,
            start: span.start,
            end: span.end,
            status: span.status,
        });
    }

    fn log(&mut self, place: &Place, log: &LogView<'_>) {
        let located = self.located(place);
        self.arrived.accepted.accepted += 1;
        self.arrived.logs.push(LightLog { located, trace_id: log.trace_id, time: log.time });
    }

    fn rejected(&mut self, why: Invalid) {
        let accepted = &mut self.arrived.accepted;
        accepted.rejected += 1;
        if accepted.message.is_empty() {
            accepted.message = why.to_string();
        }
    }
}

/// A place within a request, which is shorter than 4 GiB.
fn short(place: &Range<usize>) -> Range<u32> {
    let edge = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    edge(place.start)..edge(place.end)
}
