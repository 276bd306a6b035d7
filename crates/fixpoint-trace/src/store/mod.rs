//! Where traces are kept: the [`TraceStore`] boundary and the store behind it.
//!
//! Not here: how records get here (`record.rs`) or leave (`otlp.rs`, `export.rs`). The surprise:
//! whoever follows a trace is told of records only after they are durable.

pub mod bucket;
pub mod engine;
pub(crate) mod file;
pub mod memory;
mod rollup;
mod segment;
mod summary;
mod tokens;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::broadcast;

pub use self::rollup::Histogram;
use crate::{
    model::{Kind, LogRecord, Record, Span, SpanId, Status, Trace, TraceId, UnixNanos},
    otlp,
    query::{Condition, Field, Query, TraceCondition},
    semconv,
};

/// How many batches a follower may fall behind before it is told that it lagged.
const FOLLOW: usize = 1024;

/// Stores records and reads them back. Public so that another engine can stand in its place;
/// `testing::contract` is the suite that every engine passes.
#[async_trait]
pub trait TraceStore: Send + Sync + std::fmt::Debug {
    /// Stores the records, in order. Returns when they survive the death of the process.
    async fn append(&self, records: &[Record]) -> Result<(), StoreError>;

    /// Stores what an OTLP export request in protobuf holds, as it came. Returns when that
    /// survives the death of the process. What is not valid is left out and told.
    async fn append_otlp(&self, signal: Signal, request: Bytes) -> Result<Accepted, StoreError> {
        let decoded = otlp::decode(signal, &request)
            .map_err(|error| StoreError::new("read a request", error).with_fault(Fault::Request))?;
        self.append(&decoded.records).await?;
        Ok(decoded.accepted)
    }

    /// The trace as it now is, or none if nothing of it is known.
    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError>;

    /// Several traces, in the order of `ids`, of which each is named once.
    async fn traces(&self, ids: &[TraceId]) -> Result<Vec<Option<Trace>>, StoreError> {
        let mut found = Vec::with_capacity(ids.len());
        for &id in ids {
            found.push(self.trace(id).await?);
        }
        Ok(found)
    }

    /// Summaries of the traces that match, newest first.
    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError>;

    /// Traces in which `id` occurs: a trace or span id (a prefix of 8 digits or more will do) or
    /// the value of any id-like attribute (run, resource, instance, ARN, AWS request id), newest first.
    /// With a tenant, as if nothing but what is that tenant's were stored.
    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError>;

    /// Spans that have not ended, oldest first: what a crash left open.
    async fn open_spans(&self) -> Result<Vec<Span>, StoreError>;

    /// Every record of every trace from now on, once it is durable. A follower that falls behind
    /// is told that it lagged and should read the trace again.
    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>>;

    /// Log lines without a trace, or of all traces, newest last.
    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError>;

    /// Rate, errors and durations of operations over time, by service and name.
    async fn rates(&self, _query: &RateQuery) -> Result<Vec<Rates>, StoreError> {
        Err(unsupported("count operations"))
    }

    /// The names of attributes in use or, of one attribute, its most frequent values; sorted.
    async fn attributes(
        &self,
        _name: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        Err(unsupported("list attributes"))
    }

    /// Keeps a trace past the retention, or no longer.
    async fn pin(&self, _id: TraceId, _pinned: bool) -> Result<(), StoreError> {
        Err(unsupported("pin a trace"))
    }

    /// The traces that are kept past the retention.
    async fn pins(&self) -> Result<Vec<TraceId>, StoreError> {
        Ok(Vec::new())
    }

    /// What the store holds, and what it cost.
    async fn stats(&self) -> Result<Stats, StoreError> {
        Ok(Stats::default())
    }
}

fn unsupported(what: &str) -> StoreError {
    StoreError::new(what, "this engine does not")
}

/// How much of each span is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Columns {
    /// Ids, names, times, kinds, status and service. Of log lines, their times.
    Light,
    /// Everything.
    All,
}

/// What an OTLP request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// `ExportTraceServiceRequest`
    Traces,
    /// `ExportLogsServiceRequest`
    Logs,
}

impl Signal {
    /// `traces` or `logs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }
}

/// What became of an OTLP request: its partial success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// How many spans or log lines are stored.
    pub accepted: u64,
    /// How many were left out, since they are not valid.
    pub rejected: u64,
    /// Why the first of them was; empty if none was.
    pub message: String,
}

impl Accepted {
    /// Counts one that is not valid.
    pub(crate) fn reject(&mut self, why: impl std::fmt::Display) {
        self.rejected += 1;
        if self.message.is_empty() {
            self.message = why.to_string();
        }
    }
}

/// Which traces to find.
#[derive(Debug, Clone, Default)]
pub struct TraceQuery {
    /// What they must be like.
    pub filter: Query,
    /// Only traces that started at or after this time.
    pub since: Option<UnixNanos>,
    /// Only traces that started before this time.
    pub until: Option<UnixNanos>,
    /// At most this many; 0 means 50.
    pub limit: usize,
    /// Where the page before ended.
    pub before: Option<(UnixNanos, TraceId)>,
    /// As if nothing but what is this tenant's were stored ([`semconv::TENANT`]). A trace of which
    /// only log lines are is not found. Traces stand where they would without a tenant: one that
    /// others began has its place by that.
    pub tenant: Option<String>,
}

impl TraceQuery {
    /// How many to list, with the default filled in.
    fn limit(&self) -> usize {
        if self.limit == 0 { 50 } else { self.limit }
    }

    /// What the index is asked: of a tenant's traces, those that have a span of the tenant as well.
    fn narrowed(&self) -> Self {
        let Some(tenant) = &self.tenant else { return self.clone() };
        let of_tenant = Condition::equal(Field::Attribute(semconv::TENANT.into()), &**tenant);
        let filter = self.filter.clone().and(TraceCondition::Has(vec![of_tenant]));
        Self { filter, ..self.clone() }
    }

    /// What of a trace is looked at; none if there is nothing.
    fn part(&self, trace: Trace) -> Option<Trace> {
        match &self.tenant {
            Some(tenant) => trace.part_of(tenant),
            None => Some(trace),
        }
    }

    /// Whether a trace of this start lies within the bounds of time and page.
    fn spans_over(&self, start: UnixNanos, id: TraceId) -> bool {
        self.since.is_none_or(|since| start >= since)
            && self.until.is_none_or(|until| start < until)
            && self.before.is_none_or(|before| (start, id) < before)
    }
}

/// A page of summaries.
#[derive(Debug, Clone, Default)]
pub struct TracePage {
    /// Newest first.
    pub items: Vec<TraceSummary>,
    /// Pass as `before` for the next page; none on the last.
    pub next: Option<(UnixNanos, TraceId)>,
    /// Why this is not all there is, if it is not: a file that could not be read, say.
    pub partial: Option<String>,
}

/// Which operations, and when.
#[derive(Debug, Clone, Default)]
pub struct RateQuery {
    /// Only of this service.
    pub service: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// From this time on; a minute is the finest that is kept.
    pub since: Option<UnixNanos>,
    /// Before this time.
    pub until: Option<UnixNanos>,
    /// The width of a bucket, in nanoseconds; rounded up to whole minutes. 0: one bucket for all.
    pub step: u64,
}

/// One operation over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// The service.
    pub service: String,
    /// The operation: the name of its spans.
    pub name: String,
    /// The kind of its spans.
    pub kind: Kind,
    /// By time; empty ones are left out.
    pub buckets: Vec<RateBucket>,
}

/// One operation in a while.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateBucket {
    /// When the while begins.
    pub time: UnixNanos,
    /// How many spans started in it (and have ended).
    pub spans: u64,
    /// How many of them failed.
    pub errors: u64,
    /// How long they took.
    pub durations: Histogram,
}

/// What a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// How many spans are stored, in all.
    pub spans: u64,
    /// How many log lines.
    pub logs: u64,
    /// How many bytes that takes on disk, indexes and write-ahead log included.
    pub bytes: u64,
    /// How many sealed segments there are.
    pub segments: u64,
    /// The start of the oldest trace.
    pub oldest: Option<UnixNanos>,
    /// How many spans and log lines were refused as not valid since the start.
    pub rejected: u64,
    /// How many requests were refused since the store was overloaded.
    pub overloaded: u64,
    /// How many spans and log lines the retention has removed since the start.
    pub expired: u64,
    /// The bucket that segments are kept in, if there is one.
    pub bucket: Option<BucketStats>,
}

/// How a store gets on with its bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct BucketStats {
    /// What it is called.
    pub name: String,
    /// How many sealed segments are not in it yet.
    pub unpublished: u64,
    /// How many segments of it cannot be read here yet.
    pub absent: u64,
    /// How many bytes of its segments' rows are here, where reading is fast.
    pub held: u64,
    /// How often it could not be reached or refused, since the start.
    pub failures: u64,
    /// Why it cannot be used just now, if it cannot.
    pub error: Option<String>,
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
    /// Only lines that are this tenant's ([`semconv::TENANT`]).
    pub tenant: Option<String>,
}

impl LogQuery {
    /// How many lines to read, with the default filled in.
    fn limit(&self) -> usize {
        if self.limit == 0 { 1000 } else { self.limit }
    }

    /// Whether a line is of the span and the tenant, if there is one of either.
    fn takes(&self, log: &LogRecord) -> bool {
        self.span_id.is_none_or(|id| log.span_id == Some(id))
            && self.tenant.as_deref().is_none_or(|tenant| log.tenant() == Some(tenant))
    }
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[error("the trace store could not {what}")]
pub struct StoreError {
    what: String,
    fault: Fault,
    #[source]
    source: BoxError,
}

/// Whose fault it is, which decides what a sender should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Ours: the disk, most often.
    Store,
    /// Too much came at once; the same will be taken a moment later.
    Overload,
    /// What came is not what it says it is; it never will be taken.
    Request,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// `what` completes "the trace store could not …".
    pub fn new(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self { what: what.into(), fault: Fault::Store, source: source.into() }
    }

    /// The same error, told to one of several who met it.
    pub(crate) fn shared(what: &str, error: Arc<Self>) -> Self {
        let fault = error.fault;
        Self::new(what, error).with_fault(fault)
    }

    /// The same, by somebody else's fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}
