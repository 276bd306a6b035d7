//! Wire types of what is told of many traces at once: services, operations, the store itself.
//!
//! Not here: single traces and lists of them (`types.rs`). The surprise: durations are whole
//! nanoseconds, as OpenTelemetry counts them, and a percentile is within 6 % of the true one.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Services, the busiest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePage {
    /// By spans.
    pub items: Vec<ServiceSummary>,
    /// True if less busy ones were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A service in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceSummary {
    /// Its `service.name`; empty for spans that name none.
    pub service: String,
    /// How many operations of it there are.
    pub operations: u64,
    /// How often they happened, fail and how long they take.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Operations, the busiest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationPage {
    /// By spans.
    pub items: Vec<OperationSummary>,
    /// True if less busy ones were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// An operation in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OperationSummary {
    /// The service that does it.
    pub service: String,
    /// The name of its spans.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// How often it happened, failed and how long it took.
    #[serde(flatten)]
    pub counts: Counts,
}

/// How often something happened, failed, and how long it took. Spans that are open do not count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// How many spans.
    pub spans: u64,
    /// How many of them failed.
    pub errors: u64,
    /// Spans per second.
    pub rate: f64,
    /// The duration that half of them do not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_nanos: Option<u64>,
    /// The duration that nine of ten do not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90_nanos: Option<u64>,
    /// The duration that 99 of a hundred do not exceed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_nanos: Option<u64>,
}

/// Operations over time, the busiest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RatePage {
    /// By spans.
    pub items: Vec<Rates>,
    /// True if less busy ones were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// The width of a bucket, in seconds.
    pub step_seconds: u64,
}

/// An operation over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// The service that does it.
    pub service: String,
    /// The name of its spans.
    pub name: String,
    /// `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// By time; empty ones are left out.
    pub buckets: Vec<RateBucket>,
}

/// An operation in a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateBucket {
    /// When the while begins.
    pub time: Timestamp,
    /// How often it happened, failed and how long it took.
    #[serde(flatten)]
    pub counts: Counts,
    /// How many spans took how long, by duration; empty ranges are left out.
    pub durations: Vec<DurationBucket>,
}

/// How many spans took about so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DurationBucket {
    /// At least this long.
    pub from_nanos: u64,
    /// Less long than this.
    pub to_nanos: u64,
    /// How many.
    pub count: u64,
}

/// Names of attributes, or values of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttributePage {
    /// Sorted.
    pub items: Vec<String>,
    /// True if others were left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// The traces that are kept past the retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PinPage {
    /// Their ids, 32 hex digits each.
    pub trace_ids: Vec<String>,
}

/// What the trace store holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoreStats {
    /// How many spans are stored.
    pub spans: u64,
    /// How many log lines.
    pub logs: u64,
    /// How many bytes that takes on disk, indexes and write-ahead log included.
    pub bytes: u64,
    /// How many sealed segments there are.
    pub segments: u64,
    /// The start of the oldest trace; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// How many spans and log lines were refused as not valid since the start.
    pub rejected: u64,
    /// How many requests were refused since the store was overloaded.
    pub overloaded: u64,
    /// How many spans and log lines the retention has removed since the start.
    pub expired: u64,
    /// The bucket that sealed segments are shared through; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketStats>,
}

/// How the trace store gets on with its bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BucketStats {
    /// What it is called, such as `s3://bucket/prefix`.
    pub name: String,
    /// How many sealed segments are not in it yet.
    pub unpublished: u64,
    /// How many segments of it cannot be read here yet.
    pub absent: u64,
    /// How many bytes of its segments' rows are here, where reading is fast.
    pub held: u64,
    /// How often it could not be reached or refused, since the start.
    pub failures: u64,
    /// Why it cannot be used just now; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
