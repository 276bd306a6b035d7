//! `/v1/logs`: the log lines of a trace, of a span, or the newest of all.
//!
//! Not here: searching their text. The surprise: lines come oldest first, and when there are too
//! many it is the oldest that are left out.

use axum::Json;
use fixpoint_client::{LogLine, LogPage};
use fixpoint_trace::{
    model::{LogRecord, SpanId, TraceId},
    store::LogQuery,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Problem, View,
    page::{Params, bad_parameter},
    traces::timestamp,
};

/// What a page or a terminal can still show; a trace seldom has more.
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    trace_id: Option<String>,
    span_id: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    app: View,
    Params(params): Params<ListParams>,
) -> Result<Json<LogPage>, Problem> {
    let limit = match params.limit {
        None => DEFAULT_LIMIT,
        Some(limit @ 1..=MAX_LIMIT) => limit,
        Some(limit) => {
            let detail = format!("limit is {limit}; 1 to {MAX_LIMIT} are allowed.");
            return Err(bad_parameter(detail));
        }
    };
    let query = LogQuery {
        trace_id: params.trace_id.as_deref().map(id::<TraceId>).transpose()?,
        span_id: params.span_id.as_deref().map(id::<SpanId>).transpose()?,
        // One more, to know whether there are more.
        limit: limit + 1,
        tenant: None,
    };
    let mut logs = app.traces.logs(query).await?;
    let truncated = logs.len() > limit;
    logs.drain(..logs.len().saturating_sub(limit));
    Ok(Json(LogPage { logs: logs.into_iter().map(line).collect(), truncated }))
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.to_ascii_lowercase().parse().map_err(|error| bad_parameter(format!("{text} is {error}.")))
}

/// A log line as the API shows it.
pub(super) fn line(log: LogRecord) -> LogLine {
    let (level, message, target) =
        (log.level().as_str(), log.message().into_owned(), log.target().to_owned());
    let mut fields = Map::new();
    for (name, value) in log.attributes {
        // A number that JSON cannot say is left out.
        fields.insert(name, serde_json::to_value(value).unwrap_or(Value::Null));
    }
    LogLine {
        time: timestamp(log.time),
        level: level.to_owned(),
        message,
        trace_id: log.trace_id.map(|id| id.to_string()),
        span_id: log.span_id.map(|id| id.to_string()),
        target,
        fields,
    }
}
