//! Where traces are kept: the [`TraceStore`] boundary and the store behind it.
//!
//! Not here: how records get here (`record.rs`) or leave (`otlp.rs`, `export.rs`). The surprise:
//! whoever follows a trace is told of records only after they are durable.

pub mod disk;
pub mod memory;
mod summary;
mod tokens;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::model::{LogRecord, Record, SpanId, Status, Trace, TraceId, UnixNanos};

/// How many batches a follower may fall behind before it is told that it lagged.
const FOLLOW: usize = 1024;

/// Stores records and reads them back. Public so that another engine can stand in its place;
/// `testing::contract` is the suite that every engine passes.
#[async_trait]
pub trait TraceStore: Send + Sync + std::fmt::Debug {
    /// Stores the records, in order. Returns when they survive the death of the process.
    async fn append(&self, records: Vec<Record>) -> Result<(), StoreError>;

    /// The trace as it now is, or none if nothing of it is known.
    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError>;

    /// Summaries of the traces that match, newest first.
    async fn list(&self, query: &TraceQuery) -> Result<TracePage, StoreError>;

    /// Traces in which `id` occurs: a trace or span id (a prefix of 8 digits or more will do) or
    /// the value of any id-like attribute (run, resource, instance, ARN, AWS request id), newest first.
    async fn find(&self, id: &str, limit: usize) -> Result<Vec<TraceSummary>, StoreError>;

    /// Spans that have not ended, oldest first: what a crash left open.
    async fn open_spans(&self) -> Result<Vec<crate::model::Span>, StoreError>;

    /// Every record of every trace from now on, once it is durable. A follower that falls behind
    /// is told that it lagged and should read the trace again.
    fn follow(&self) -> broadcast::Receiver<std::sync::Arc<Vec<Record>>>;

    /// Log lines without a trace, or of all traces, newest last.
    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError>;
}

/// Which traces to list.
#[derive(Debug, Clone, Default)]
pub struct TraceQuery {
    /// Only traces whose root has this name.
    pub root_name: Option<String>,
    /// Only traces of this service.
    pub service: Option<String>,
    /// Only traces with (or without) an error in them.
    pub error: Option<bool>,
    /// Only traces that started at or after this time.
    pub since: Option<UnixNanos>,
    /// At most this many; 0 means 50.
    pub limit: usize,
    /// Where the page before ended.
    pub before: Option<(UnixNanos, TraceId)>,
}

impl TraceQuery {
    /// How many to list, with the default filled in.
    fn limit(&self) -> usize {
        if self.limit == 0 { 50 } else { self.limit }
    }

    /// Whether the summary has what is asked for; the time bounds are for the store to keep.
    fn matches(&self, summary: &TraceSummary) -> bool {
        self.root_name.as_ref().is_none_or(|name| *name == summary.name)
            && self.service.as_ref().is_none_or(|service| *service == summary.service)
            && self.error.is_none_or(|error| error == (summary.errors > 0))
    }
}

/// A page of summaries.
#[derive(Debug, Clone, Default)]
pub struct TracePage {
    /// Newest first.
    pub items: Vec<TraceSummary>,
    /// Pass as `before` for the next page; none on the last.
    pub next: Option<(UnixNanos, TraceId)>,
}

/// A trace in a line.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// The root span's id, once it is known.
    pub root: Option<SpanId>,
    /// The root span's name, or that of the earliest span while the root is unknown.
    pub name: String,
    /// The root's service.
    pub service: String,
    /// The earliest start.
    pub start: UnixNanos,
    /// The latest end; none while a span is open.
    pub end: Option<UnixNanos>,
    /// The root's status.
    pub status: Status,
    /// How many spans there are.
    pub spans: u32,
    /// How many of them are still open.
    pub open: u32,
    /// How many of them failed.
    pub errors: u32,
    /// How many log lines there are.
    pub logs: u32,
}

/// Which log lines to read.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Only lines of this trace.
    pub trace_id: Option<TraceId>,
    /// Only lines of this span.
    pub span_id: Option<SpanId>,
    /// At most this many, the newest; 0 means 1,000.
    pub limit: usize,
}

impl LogQuery {
    /// How many lines to read, with the default filled in.
    fn limit(&self) -> usize {
        if self.limit == 0 { 1000 } else { self.limit }
    }
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the trace store could not {what}")]
pub struct StoreError {
    what: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl StoreError {
    /// `what` completes "the trace store could not …".
    pub fn new(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}
