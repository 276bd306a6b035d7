//! `/operations`: rate, errors and durations of everything that is done, over a while.
//!
//! Not here: how the page looks (`ui/operations.rs`). The surprise: the store counts whole minutes,
//! so the first column holds a little more than was asked for.

use axum::response::Response;
use fixpoint_trace::{model::UnixNanos, store::RateQuery};
use jiff::Timestamp;
use serde::Deserialize;

use super::{REFRESH, draw};
use crate::{
    http::{
        Problem, View,
        page::{Params, While},
    },
    ui::{Asked, Chrome, OperationRow, OperationsPage, Sort, Window},
};

/// How many operations are listed, and services to choose from. A sender that puts ids into span
/// names has millions.
const ROWS: usize = 200;
const SERVICES: usize = 40;

/// About how many columns the chart of a rate has.
const COLUMNS: u64 = 30;

const MINUTE: u64 = 60_000_000_000;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OperationsParams {
    service: String,
    since: String,
    until: String,
    sort: Sort,
}

pub(super) async fn operations(
    app: View,
    Params(params): Params<OperationsParams>,
) -> Result<Response, Problem> {
    let OperationsParams { service, mut since, until, sort } = params;
    if since.is_empty() {
        "1h".clone_into(&mut since);
    }
    let now = Timestamp::now();
    let last = (!until.is_empty()).then_some(until.as_str());
    let bounds = While::new(Some(&since), last, now)?;
    let from = bounds.since.unwrap_or_default();
    let now = UnixNanos::try_from(now.as_nanosecond()).unwrap_or_default();
    let to = bounds.until.unwrap_or(now);
    let step = (to.saturating_sub(from) / COLUMNS).div_ceil(MINUTE).max(1) * MINUTE;
    let window = Window { from, to, step };

    // All of them, whatever the page is narrowed to: it names the other services as well.
    let query = RateQuery { since: Some(from), until: Some(to), step, ..RateQuery::default() };
    let found = app.traces.whole()?.rates(&query).await?;
    let mut services: Vec<_> = found.iter().map(|rates| rates.service.clone()).collect();
    services.retain(|service| !service.is_empty());
    services.sort_unstable();
    services.dedup();
    services.truncate(SERVICES);

    let asked = Asked { q: String::new(), since: since.clone(), until: until.clone() };
    let rows = found.into_iter().filter(|rates| service.is_empty() || rates.service == service);
    let rows = rows.map(|rates| OperationRow::new(rates, window, &asked)).collect();
    let chrome = Chrome::new("Operations").section("operations");
    let chrome = chrome.refresh(if until.is_empty() { 10 * REFRESH } else { 0 });
    let page = OperationsPage {
        chrome,
        service,
        since,
        until,
        window,
        sort,
        services,
        rows,
        total: 0,
        failing: 0,
        scale: None,
    };
    draw(&page.arranged(ROWS))
}
