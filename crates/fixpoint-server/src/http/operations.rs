//! What many traces come to: services, operations, their rates over time, and the store's own.
//!
//! Not here: counting (the trace store does, minute by minute). The surprise: the busiest come
//! first and the rest is cut, since a sender that puts ids into span names has millions of
//! "operations"; the answer says when it was.

use std::collections::BTreeMap;

use axum::{Json, Router, routing::get};
use fixpoint_client::{
    AttributePage, BucketStats, Counts, DurationBucket, OperationPage, OperationSummary,
    RateBucket, RatePage, Rates, ServicePage, ServiceSummary, StoreStats,
};
use fixpoint_trace::{
    model::UnixNanos,
    query::Length,
    store::{self, Histogram, RateQuery},
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    App, Problem, View,
    page::{Params, While, bad_parameter},
    traces::timestamp,
};

/// How many services, operations or values are listed unless told otherwise, and at most.
const DEFAULT_LIMIT: usize = 200;
const MAX_LIMIT: usize = 2_000;
/// How many buckets one operation may have: more than any screen has columns.
const MAX_BUCKETS: u64 = 1_500;

const MINUTE: u64 = 60_000_000_000;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/services", get(services))
        .route("/v1/operations", get(operations))
        .route("/v1/rates", get(rates))
        .route("/v1/attributes", get(attributes))
        .route("/v1/store", get(stats))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceParams {
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
}

async fn services(
    app: View,
    Params(params): Params<ServiceParams>,
) -> Result<Json<ServicePage>, Problem> {
    let limit = limit(params.limit)?;
    let now = Timestamp::now();
    let bounds = While::new(params.since.as_deref(), params.until.as_deref(), now)?;
    let query = RateQuery { since: bounds.since, until: bounds.until, ..RateQuery::default() };
    let mut services: BTreeMap<String, Vec<store::RateBucket>> = BTreeMap::new();
    for mut rates in app.traces.whole()?.rates(&query).await? {
        services.entry(rates.service).or_default().append(&mut rates.buckets);
    }
    let window = window(&app, bounds, now).await?;
    let items = services.into_iter().map(|(service, buckets)| ServiceSummary {
        service,
        operations: buckets.len() as u64,
        counts: counts(&buckets, window),
    });
    let (items, truncated) = busiest(items.collect(), limit, |item| item.counts.spans);
    Ok(Json(ServicePage { items, truncated }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationParams {
    service: Option<String>,
    name: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
}

async fn operations(
    app: View,
    Params(params): Params<OperationParams>,
) -> Result<Json<OperationPage>, Problem> {
    let limit = limit(params.limit)?;
    let now = Timestamp::now();
    let bounds = While::new(params.since.as_deref(), params.until.as_deref(), now)?;
    let query = RateQuery {
        service: params.service,
        name: params.name,
        since: bounds.since,
        until: bounds.until,
        step: 0,
    };
    let found = app.traces.whole()?.rates(&query).await?;
    let window = window(&app, bounds, now).await?;
    let items = found.into_iter().map(|rates| OperationSummary {
        service: rates.service,
        name: rates.name,
        kind: rates.kind.as_str().to_owned(),
        counts: counts(&rates.buckets, window),
    });
    let (items, truncated) = busiest(items.collect(), limit, |item| item.counts.spans);
    Ok(Json(OperationPage { items, truncated }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RateParams {
    service: Option<String>,
    name: Option<String>,
    since: Option<String>,
    until: Option<String>,
    step: Option<String>,
    limit: Option<usize>,
}

async fn rates(app: View, Params(params): Params<RateParams>) -> Result<Json<RatePage>, Problem> {
    let limit = limit(params.limit)?;
    let since = params.since.as_deref().unwrap_or("1h");
    let now = Timestamp::now();
    let bounds = While::new(Some(since), params.until.as_deref(), now)?;
    let from = bounds.since.unwrap_or_default();
    let length = bounds.until.unwrap_or_else(|| nanos(now)).saturating_sub(from);
    let step = match params.step.as_deref() {
        // As many as a chart has room for.
        None => length / 60,
        Some(step) => {
            let invalid =
                |_| bad_parameter(format!("step is {step}; a length such as 5m is wanted."));
            step.parse().map(|Length(nanos)| nanos).map_err(invalid)?
        }
    };
    let step = step.div_ceil(MINUTE).max(1) * MINUTE;
    if length / step > MAX_BUCKETS {
        let detail = format!("That makes {} buckets; {MAX_BUCKETS} are allowed.", length / step);
        return Err(bad_parameter(detail).hint("Take a longer step, or a shorter while."));
    }
    let query = RateQuery {
        service: params.service,
        name: params.name,
        since: bounds.since,
        until: bounds.until,
        step,
    };
    let items = app.traces.whole()?.rates(&query).await?.into_iter().map(|rates| Rates {
        service: rates.service,
        name: rates.name,
        kind: rates.kind.as_str().to_owned(),
        buckets: rates.buckets.iter().map(|it| bucket(it, step)).collect(),
    });
    let spans = |rates: &Rates| rates.buckets.iter().map(|bucket| bucket.counts.spans).sum();
    let (items, truncated) = busiest(items.collect(), limit, spans);
    Ok(Json(RatePage { items, truncated, step_seconds: step / 1_000_000_000 }))
}

fn bucket(bucket: &store::RateBucket, step: u64) -> RateBucket {
    let durations = bucket
        .durations
        .buckets()
        .map(|(from_nanos, to_nanos, count)| DurationBucket { from_nanos, to_nanos, count });
    RateBucket {
        time: timestamp(bucket.time),
        counts: counts(std::slice::from_ref(bucket), step),
        durations: durations.collect(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeParams {
    name: Option<String>,
    limit: Option<usize>,
}

async fn attributes(
    app: View,
    Params(params): Params<AttributeParams>,
) -> Result<Json<AttributePage>, Problem> {
    let limit = limit(params.limit)?;
    // One more, to know whether there are more.
    let mut items = app.traces.whole()?.attributes(params.name.as_deref(), limit + 1).await?;
    let truncated = items.len() > limit;
    items.truncate(limit);
    Ok(Json(AttributePage { items, truncated }))
}

async fn stats(app: View) -> Result<Json<StoreStats>, Problem> {
    let stats = app.traces.whole()?.stats().await?;
    Ok(Json(StoreStats {
        spans: stats.spans,
        logs: stats.logs,
        bytes: stats.bytes,
        segments: stats.segments,
        oldest: stats.oldest.map(timestamp),
        rejected: stats.rejected,
        overloaded: stats.overloaded,
        expired: stats.expired,
        bucket: stats.bucket.map(|bucket| BucketStats {
            name: bucket.name,
            unpublished: bucket.unpublished,
            absent: bucket.absent,
            held: bucket.held,
            failures: bucket.failures,
            error: bucket.error,
        }),
    }))
}

fn limit(wanted: Option<usize>) -> Result<usize, Problem> {
    match wanted.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        limit => Err(bad_parameter(format!("limit is {limit}; 1 to {MAX_LIMIT} are allowed."))),
    }
}

/// At most `limit` of the items, those of most spans first, and whether others are left out.
fn busiest<T>(mut items: Vec<T>, limit: usize, spans: impl Fn(&T) -> u64) -> (Vec<T>, bool) {
    let truncated = items.len() > limit;
    items.sort_by_key(|item| std::cmp::Reverse(spans(item)));
    items.truncate(limit);
    (items, truncated)
}

/// How long the while is that was counted, in nanoseconds. Counts are kept by the minute, so it
/// begins with one; without bounds, it is all that is stored.
async fn window(app: &View, bounds: While, now: Timestamp) -> Result<u64, Problem> {
    let to = bounds.until.unwrap_or_else(|| nanos(now));
    let from = match bounds.since {
        Some(since) => since - since % MINUTE,
        None => app.traces.whole()?.stats().await?.oldest.unwrap_or(to),
    };
    Ok(to.saturating_sub(from))
}

fn nanos(at: Timestamp) -> UnixNanos {
    UnixNanos::try_from(at.as_nanosecond()).unwrap_or_default()
}

/// What the buckets come to in a while of that length, in nanoseconds.
#[allow(clippy::cast_precision_loss, reason = "a rate")]
fn counts(buckets: &[store::RateBucket], window: u64) -> Counts {
    let mut durations = Histogram::default();
    buckets.iter().for_each(|bucket| durations.merge(&bucket.durations));
    let spans = buckets.iter().map(|bucket| bucket.spans).sum();
    let rate = if window == 0 { 0.0 } else { spans as f64 / (window as f64 / 1e9) };
    Counts {
        spans,
        errors: buckets.iter().map(|bucket| bucket.errors).sum(),
        rate,
        p50_nanos: durations.quantile(0.5),
        p90_nanos: durations.quantile(0.9),
        p99_nanos: durations.quantile(0.99),
    }
}
