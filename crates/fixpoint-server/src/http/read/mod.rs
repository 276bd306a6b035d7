//! Lets clients of Zipkin, Jaeger and Tempo read what is stored, Grafana's data sources above all.
//!
//! One file an interface: which paths and parameters it has, and what they mean as a query of
//! ours. Here is what they have in common. Not here: the formats of the answers
//! (`fixpoint_trace`), and our own API (`traces.rs`). The surprise: errors are our problems and
//! not each system's own; their clients go by the status and show the rest as it is.

mod calls;
mod jaeger;
mod jaeger_v3;
mod tempo;
mod traceql;
pub(super) mod zipkin;

use std::collections::BTreeSet;

use axum::{Router, extract::Path, http::HeaderMap, response::Response, routing::get};
use fixpoint_trace::{
    model::{Span, Trace, TraceId, UnixNanos},
    query::{Condition, Field, Literal, Op, Query},
    store::{RateQuery, TraceQuery},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{App, Problem, View, page::bad_parameter};

/// The most traces that one answer holds, whatever is asked for.
const MAX_TRACES: usize = 500;

/// An answer of whole traces ends with the one that goes beyond so many spans.
const MAX_SPANS: usize = 250_000;

/// The most names that one answer lists.
const MAX_NAMES: usize = 5_000;

/// In milliseconds.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Each interface under a prefix of its own, for a client that takes a base URL, and all of them
/// side by side where they agree.
pub(super) fn routes() -> Router<App> {
    let jaeger = || jaeger::routes().merge(jaeger_v3::routes());
    Router::new()
        .nest("/zipkin", zipkin::routes())
        .nest("/jaeger", jaeger().route("/api/traces/{id}", get(jaeger::trace)))
        .nest("/tempo", tempo::routes().route("/api/traces/{id}", get(tempo::trace)))
        .merge(zipkin::routes())
        .merge(jaeger())
        .merge(tempo::routes())
        .route("/api/traces/{id}", get(either))
}

/// The one path that Jaeger and Tempo both have: Tempo's clients ask for protobuf.
async fn either(app: View, id: Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    match tempo::wants_protobuf(&headers) {
        true => tempo::trace(app, id, headers).await,
        false => jaeger::trace(app, id).await,
    }
}

/// The services that have sent spans.
async fn services(app: &View) -> Result<BTreeSet<String>, Problem> {
    let found: BTreeSet<_> = match app.traces.whole() {
        Ok(store) => {
            let rates = store.rates(&RateQuery::default()).await?;
            rates.into_iter().map(|rates| rates.service).collect()
        }
        Err(_) => newest(app).await?.iter().map(|span| span.service().to_owned()).collect(),
    };
    Ok(found.into_iter().filter(|name| !name.is_empty()).collect())
}

/// The names and kinds of the spans of a service, or of all.
async fn operations(
    app: &View,
    service: Option<&str>,
) -> Result<BTreeSet<(String, &'static str)>, Problem> {
    let Ok(store) = app.traces.whole() else {
        let spans = newest(app).await?.into_iter();
        let spans = spans.filter(|span| service.is_none_or(|wanted| span.service() == wanted));
        return Ok(spans.map(|span| (span.name, span.kind.as_str())).collect());
    };
    let query = RateQuery { service: service.map(str::to_owned), ..RateQuery::default() };
    let rates = store.rates(&query).await?;
    Ok(rates.into_iter().map(|rates| (rates.name, rates.kind.as_str())).collect())
}

/// The names of attributes or, of one, its values.
async fn attributes(app: &View, name: Option<&str>) -> Result<BTreeSet<String>, Problem> {
    if let Ok(store) = app.traces.whole() {
        return Ok(store.attributes(name, MAX_NAMES).await?.into_iter().collect());
    }
    let mut found = BTreeSet::new();
    for span in newest(app).await? {
        for (key, value) in span.attributes.iter().chain(span.resource.iter()) {
            match name {
                None => found.insert(key.clone()),
                Some(name) => name == key && found.insert(value.to_text().into_owned()),
            };
        }
    }
    Ok(found.into_iter().take(MAX_NAMES).collect())
}

/// The spans of a tenant's newest traces, which stand for all: names are not kept by tenant.
async fn newest(app: &View) -> Result<Vec<Span>, Problem> {
    let query = TraceQuery { limit: MAX_TRACES, ..TraceQuery::default() };
    Ok(traces(app, query).await?.into_iter().flat_map(|trace| trace.spans).collect())
}

/// Which traces somebody asks for, in the terms that the interfaces share.
#[derive(Debug, Default)]
struct Wanted {
    /// What one and the same span fulfils.
    span: Vec<Condition>,
    since: Option<UnixNanos>,
    until: Option<UnixNanos>,
    limit: usize,
}

impl Wanted {
    /// A span's field equals the text, if there is one.
    fn equal(&mut self, field: Field, text: Option<String>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.span.push(Condition::equal(field, text));
        }
    }

    /// A span took at least and at most so long.
    fn duration(&mut self, least: Option<u64>, most: Option<u64>) {
        for (op, nanos) in [(Op::AtLeast, least), (Op::AtMost, most)] {
            let value = nanos.map(Literal::Duration);
            let condition = value.map(|value| Condition { field: Field::Duration, op, value });
            self.span.extend(condition);
        }
    }

    /// A span has an attribute of this value, or at all. `error` says how it ended.
    fn tag(&mut self, name: &str, value: Option<&str>) {
        let condition = match (name, value) {
            ("error", None | Some("true")) => Condition::equal(Field::Status, "error"),
            ("error", Some("false")) => {
                Condition { op: Op::NotEqual, ..Condition::equal(Field::Status, "error") }
            }
            ("span.kind", Some(kind)) => Condition::equal(Field::Kind, kind),
            (_, Some(value)) => Condition::equal(Field::Attribute(name.to_owned()), value),
            (_, None) => Condition {
                op: Op::Exists,
                ..Condition::equal(Field::Attribute(name.to_owned()), "")
            },
        };
        self.span.push(condition);
    }

    /// The same for each of a JSON object, as Jaeger's clients write them.
    fn tags(&mut self, text: Option<&str>) -> Result<(), Problem> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        let tags: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
            bad_parameter(format!("tags or attributes are no JSON object of texts: {error}."))
        })?;
        for (name, value) in tags {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            self.tag(&name, Some(&text));
        }
        Ok(())
    }

    fn into_query(self) -> TraceQuery {
        let filter =
            if self.span.is_empty() { Query::default() } else { Query::of_span(self.span) };
        let limit = self.limit.clamp(1, MAX_TRACES);
        TraceQuery { filter, since: self.since, until: self.until, limit, ..TraceQuery::default() }
    }
}

/// Traces that match, whole, newest first.
async fn traces(app: &View, query: TraceQuery) -> Result<Vec<Trace>, Problem> {
    let found = app.traces.search(query).await?.items;
    by_ids(app, found.iter().map(|summary| summary.trace_id).collect()).await
}

/// The traces of these ids, as far as they are known.
async fn by_ids(app: &View, ids: Vec<TraceId>) -> Result<Vec<Trace>, Problem> {
    let (mut found, mut spans) = (Vec::new(), 0);
    for id in ids.into_iter().take(MAX_TRACES) {
        if let Some(trace) = app.traces.trace(id).await? {
            spans += trace.spans.len();
            found.push(trace);
        }
        if spans > MAX_SPANS {
            break;
        }
    }
    Ok(found)
}

/// The trace that a path names.
async fn by_id(app: &View, id: &str) -> Result<Trace, Problem> {
    let id = trace_id(id)?;
    let trace = app.traces.trace(id).await?;
    trace.ok_or_else(|| Problem::not_found(format_args!("trace {id}")))
}

/// A trace id; these systems leave zeros at its beginning out.
fn trace_id(text: &str) -> Result<TraceId, Problem> {
    let padded = format!("{:0>32}", text.trim().to_ascii_lowercase());
    padded.parse().map_err(|_| {
        let detail = format!("{text} is no trace id; up to 32 hex digits are wanted.");
        Problem::bad_request("bad-trace-id", "Not a trace id", detail)
    })
}

/// A length of time as Go writes it: `1.5s`, `1h30m`, `200us`.
fn duration(text: &str) -> Result<u64, Problem> {
    let wrong = || bad_parameter(format!("{text} is no duration; write it like 1.5s or 200ms."));
    let mut nanos = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len());
        let (unit, after) = unit.split_at(end);
        let scale = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return Err(wrong()),
        };
        nanos += number.parse::<f64>().map_err(|_| wrong())? * scale;
        rest = after;
    }
    // Saturates; a span of 584 years is long enough.
    Ok(nanos as u64)
}

/// A length of time that may be left out.
fn optional_duration(text: Option<&str>) -> Result<Option<u64>, Problem> {
    text.filter(|text| !text.is_empty()).map(duration).transpose()
}

/// The time now.
fn now() -> UnixNanos {
    UnixNanos::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// A while as Zipkin and Jaeger ask for it, in milliseconds; the last day unless told otherwise.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    /// Its end, since 1970.
    end_ts: Option<u64>,
    /// Its length.
    lookback: Option<u64>,
}

impl Window {
    /// Since when and until when, in nanoseconds.
    fn bounds(&self) -> (UnixNanos, UnixNanos) {
        let until = self.end_ts.map_or_else(now, |millis| millis.saturating_mul(1_000_000));
        let lookback = self.lookback.unwrap_or(DAY).saturating_mul(1_000_000);
        (until.saturating_sub(lookback), until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, nanos) in [
            ("1.5s", 1_500_000_000),
            ("200ms", 200_000_000),
            ("10us", 10_000),
            ("10µs", 10_000),
            ("1h30m", 5_400_000_000_000),
            ("7ns", 7),
        ] {
            assert_eq!(duration(text).unwrap(), nanos, "{text}");
        }
        for text in ["", "1", "s", "1.5.2s", "-1s", "1 fortnight"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn trace_ids_may_lack_the_zeros_at_their_beginning() {
        let id = trace_id("7B").unwrap();
        assert_eq!(id.to_string(), "0000000000000000000000000000007b");
        assert!(trace_id("0").is_err());
        assert!(trace_id(&"1".repeat(33)).is_err());
        assert!(trace_id("xyz").is_err());
    }
}
