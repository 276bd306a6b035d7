//! What `GET /api/search` answers.
//!
//! Not here: which traces match. The surprise: whole numbers of 64 bits are text, those of 32 are
//! numbers, as protobuf's JSON has them.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    model::{Span, SpanId, TraceId},
    store::TraceSummary,
};

/// A trace that was found.
#[derive(Debug)]
pub struct Found<'a> {
    /// The trace.
    pub summary: &'a TraceSummary,
    /// Those of its spans that match, or the first few of them.
    pub spans: Vec<&'a Span>,
    /// How many match in all.
    pub matched: usize,
}

/// `{"traces": [...], "metrics": {...}}`
pub fn search_answer(found: &[Found<'_>]) -> Json {
    let traces: Vec<_> = found.iter().map(TraceSearchMetadata::of).collect();
    json!({"traces": traces, "metrics": {"inspectedTraces": found.len()}})
}

#[derive(Serialize)]
struct TraceSearchMetadata<'a> {
    #[serde(rename = "traceID")]
    trace_id: TraceId,
    #[serde(rename = "rootServiceName")]
    service: &'a str,
    #[serde(rename = "rootTraceName")]
    name: &'a str,
    #[serde(rename = "startTimeUnixNano")]
    start: String,
    /// 0 while a span is open: it is not known then.
    #[serde(rename = "durationMs")]
    duration: u64,
    #[serde(rename = "spanSets", skip_serializing_if = "Option::is_none")]
    span_sets: Option<[SpanSet<'a>; 1]>,
}

#[derive(Serialize)]
struct SpanSet<'a> {
    spans: Vec<MatchedSpan<'a>>,
    matched: usize,
}

#[derive(Serialize)]
struct MatchedSpan<'a> {
    #[serde(rename = "spanID")]
    span_id: SpanId,
    name: &'a str,
    #[serde(rename = "startTimeUnixNano")]
    start: String,
    #[serde(rename = "durationNanos")]
    duration: String,
}

impl<'a> TraceSearchMetadata<'a> {
    fn of(found: &'a Found<'_>) -> Self {
        let summary = found.summary;
        let spans = found.spans.iter().map(|span| MatchedSpan {
            span_id: span.span_id,
            name: &span.name,
            start: span.start.to_string(),
            duration: span.duration().unwrap_or(0).to_string(),
        });
        let set = SpanSet { spans: spans.collect(), matched: found.matched };
        Self {
            trace_id: summary.trace_id,
            service: &summary.service,
            name: &summary.name,
            start: summary.start.to_string(),
            duration: summary.end.map_or(0, |end| end.saturating_sub(summary.start) / 1_000_000),
            span_sets: (found.matched > 0).then_some([set]),
        }
    }
}
