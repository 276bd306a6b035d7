//! The JSON of Jaeger's query API, as its own page and Grafana read it.
//!
//! Not here: what it means to us. The surprise: lists and warnings that are empty are there all
//! the same, as Jaeger has them, since its readers do not ask.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::formats::lenient::Int;

/// An answer. Only `data` says anything; Jaeger itself leaves the counts at 0.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Answer<T> {
    pub(super) data: Vec<T>,
    pub(super) total: Int<u64>,
    pub(super) limit: Int<u64>,
    pub(super) offset: Int<u64>,
    pub(super) errors: Option<Json>,
}

/// A trace, its spans decoded or not.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Trace<S> {
    #[serde(rename = "traceID")]
    pub(super) trace_id: String,
    pub(super) spans: Vec<S>,
    pub(super) processes: IndexMap<String, Process>,
    pub(super) warnings: Option<Vec<String>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Span {
    #[serde(rename = "traceID")]
    pub(super) trace_id: String,
    #[serde(rename = "spanID")]
    pub(super) span_id: String,
    /// No longer written; a reference says it.
    #[serde(rename = "parentSpanID", skip_serializing)]
    pub(super) parent_span_id: String,
    pub(super) flags: Int<u32>,
    pub(super) operation_name: String,
    pub(super) references: Vec<Reference>,
    /// In microseconds since the Unix epoch.
    pub(super) start_time: Int<u64>,
    /// In microseconds.
    pub(super) duration: Int<u64>,
    pub(super) tags: Vec<Tag>,
    pub(super) logs: Vec<Log>,
    #[serde(rename = "processID")]
    pub(super) process_id: String,
    /// Instead of `processID`, in some files.
    #[serde(skip_serializing)]
    pub(super) process: Option<Process>,
    pub(super) warnings: Option<Vec<String>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "refType")]
    pub(super) ref_type: RefType,
    #[serde(rename = "traceID")]
    pub(super) trace_id: String,
    #[serde(rename = "spanID")]
    pub(super) span_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RefType {
    ChildOf,
    FollowsFrom,
}

/// A value by name: `string`, `bool`, `int64`, `float64` or `binary`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) r#type: String,
    pub(super) value: Json,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Log {
    /// In microseconds since the Unix epoch.
    pub(super) timestamp: Int<u64>,
    pub(super) fields: Vec<Tag>,
}

/// What produced the spans.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Process {
    pub(super) service_name: String,
    pub(super) tags: Vec<Tag>,
}
