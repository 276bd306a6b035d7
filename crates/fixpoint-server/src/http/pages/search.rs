//! `/traces` and `/search`: what the one box finds.
//!
//! Not here: the query language (`fixpoint_trace::query`) and how the page looks (`ui/search.rs`).
//! The surprise: filters are no parameters of the page. A form that sets one is answered with a
//! redirect to the page whose query says so.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use fixpoint_trace::{
    model::{TraceId, UnixNanos},
    query::{Condition, Field, Query},
    store::{TraceQuery, TraceSummary},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Deserialize;

use super::{REFRESH, draw};
use crate::{
    http::{
        Problem, View,
        find::hits,
        page::{self, Params, While, bad_parameter},
        traces::{summary, timestamp},
    },
    ui::{self, Asked, Chrome, Filter, Found, Mistake, Scatter, Shape, TraceRow, TracesPage},
};

/// How many traces are listed, and how many are drawn.
const ROWS: usize = 50;
const DOTS: usize = 500;

/// How many spans a trace may have to be read whole for a picture of a few pixels.
const MOST_SPANS: u32 = 2_000;

/// How many traces are read at once: they may lie far away.
const AT_ONCE: usize = 8;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TracesParams {
    q: String,
    since: String,
    until: String,
    page_token: Option<String>,
    // Set by forms, and by links.
    service: Option<String>,
    operation: Option<String>,
    min: Option<String>,
    max: Option<String>,
    errors: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl TracesParams {
    fn asked(&self) -> Asked {
        let trimmed = |text: &str| text.trim().to_owned();
        Asked { q: trimmed(&self.q), since: trimmed(&self.since), until: trimmed(&self.until) }
    }

    /// The filters that are to be set.
    fn filters(&self) -> impl Iterator<Item = (Filter, &str)> {
        [
            (Filter::Service, &self.service),
            (Filter::Operation, &self.operation),
            (Filter::Min, &self.min),
            (Filter::Max, &self.max),
            (Filter::Errors, &self.errors),
        ]
        .into_iter()
        .filter_map(|(filter, text)| Some((filter, text.as_deref()?)))
    }
}

pub(super) async fn traces(
    app: View,
    Params(params): Params<TracesParams>,
) -> Result<Response, Problem> {
    let now = Timestamp::now();
    let mut asked = params.asked();
    let query: Query = match asked.q.parse() {
        Ok(query) => query,
        Err(error) => return mistaken(asked, Query::default(), Mistake::from(&error)),
    };
    let mut edited = query.clone();
    for (filter, text) in params.filters() {
        edited = match filter.write(edited, text) {
            Ok(edited) => edited,
            Err(error) => {
                let what = format!("{text:?} is {error}.");
                let hint = "nothing was changed".to_owned();
                return mistaken(asked, query, Mistake { what, excerpt: String::new(), hint });
            }
        };
    }
    if params.filters().next().is_some() || params.from.is_some() || params.to.is_some() {
        if edited != query {
            asked.q = edited.to_string();
        }
        for (text, bound) in [(&params.from, &mut asked.since), (&params.to, &mut asked.until)] {
            if let Some(text) = text {
                *bound = local(text)?;
            }
        }
        return Ok(Redirect::to(&asked.href()).into_response());
    }

    let bound = |text: &String| (!text.is_empty()).then(|| text.clone());
    let bounds = While::new(bound(&asked.since).as_deref(), bound(&asked.until).as_deref(), now)?;
    let list = format!("traces page {asked:?}");
    let before = match page::after(&list, params.page_token.as_deref())? {
        None => None,
        Some(last) => Some(place(&last).ok_or_else(|| bad_parameter("page_token is damaged."))?),
    };
    let found = search(&app, &query, bounds, before, now).await?;
    let next = found.next.map(|(start, id)| {
        // An hour back from now is another hour on the next page, so that has the first one's.
        let since = bounds.since.map(|since| timestamp(since).to_string()).unwrap_or_default();
        let until = bounds.until.map(|until| timestamp(until).to_string()).unwrap_or_default();
        let asked = asked.during(&since, &until);
        let list = format!("traces page {asked:?}");
        asked.with("page_token", &page::token(&list, &format!("{start} {id}")))
    });
    // Nothing new comes into a while that is over, nor before a page's end.
    let live = before.is_none() && asked.until.is_empty();
    let chrome = chrome(&asked).refresh(if live { 5 * REFRESH } else { 0 });
    let found = Found { next, ..found.found };
    draw(&TracesPage { chrome, asked, query, mistake: None, found })
}

fn chrome(asked: &Asked) -> Chrome {
    let title =
        if asked.q.is_empty() { "Traces".to_owned() } else { format!("{} · Traces", asked.q) };
    Chrome::new(title).section("traces")
}

fn mistaken(asked: Asked, query: Query, mistake: Mistake) -> Result<Response, Problem> {
    let chrome = chrome(&asked);
    let found = Found::default();
    let page = TracesPage { chrome, asked, query, mistake: Some(mistake), found };
    Ok((StatusCode::BAD_REQUEST, draw(&page)?).into_response())
}

/// What a field for date and time holds, which is in UTC like every time on the pages.
fn local(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.parse::<Timestamp>().is_ok() {
        return Ok(text.to_owned());
    }
    let at = text.parse::<civil::DateTime>().and_then(|at| at.to_zoned(TimeZone::UTC));
    at.map(|at| at.timestamp().to_string()).map_err(|_| {
        bad_parameter(format!("{text} is no time; one such as 2026-05-04T03:00 is wanted."))
    })
}

type Place = (UnixNanos, TraceId);

fn place(last: &str) -> Option<Place> {
    let (start, id) = last.split_once(' ')?;
    Some((start.parse().ok()?, id.parse().ok()?))
}

struct Searched {
    found: Found,
    next: Option<Place>,
}

async fn search(
    app: &View,
    query: &Query,
    bounds: While,
    before: Option<Place>,
    now: Timestamp,
) -> Result<Searched, Problem> {
    let While { since, until } = bounds;
    let wanted =
        TraceQuery { filter: query.clone(), since, until, limit: DOTS, before, tenant: None };
    let page = app.traces.search(wanted).await?;
    let (drawn, more) = (page.items.len(), page.next.is_some());
    let last = page.items.get(ROWS - 1).filter(|_| drawn > ROWS || more);
    let next = last.map(|last| (last.start, last.trace_id));

    let rows = page.items.iter().take(ROWS).cloned().map(|trace| row(app, trace, now));
    let rows = stream::iter(rows).buffered(AT_ONCE).try_collect().await?;
    let items: Vec<_> = page.items.into_iter().map(summary).collect();
    // What is not drawn leaves no empty space.
    let left = since.map(timestamp).filter(|_| !more);
    let right = until.map_or(now, timestamp).min(now);
    let right = if before.is_some() { None } else { Some(right) };
    let found = Found {
        rows,
        scatter: Scatter::new(&items, (left, right), now),
        drawn,
        more,
        before: before.map(|(start, _)| timestamp(start)),
        next: None,
        partial: page.partial,
    };
    Ok(Searched { found, next })
}

/// The row of a trace, with its picture unless it is too large.
async fn row(app: &View, trace: TraceSummary, now: Timestamp) -> Result<TraceRow, Problem> {
    let whole =
        if trace.spans > MOST_SPANS { None } else { app.traces.trace(trace.trace_id).await? };
    let nanos = UnixNanos::try_from(now.as_nanosecond()).unwrap_or_default();
    let shape = whole.map(|trace| Shape::new(&trace, nanos));
    Ok(TraceRow::new(summary(trace), shape, now))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct SearchParams {
    q: String,
    since: String,
    until: String,
}

/// Where the box leads: to the thing whose id it holds, or to the traces that match its query.
pub(super) async fn find(
    app: View,
    Params(SearchParams { q, since, until }): Params<SearchParams>,
) -> Result<Response, Problem> {
    let asked = Asked { q: q.trim().to_owned(), since, until };
    let traces = || Ok(Redirect::to(&asked.href()).into_response());
    if asked.q.is_empty() || asks(&asked.q) {
        return traces();
    }
    let hits = ui::HitView::all(&hits(&app, &asked.q).await?, &asked.q);
    if let [only] = &hits[..] {
        return Ok(Redirect::to(&only.href).into_response());
    }
    let named = asked.q.parse::<Query>().is_ok();
    if hits.is_empty() && named {
        let filter = asked.q.parse()?;
        let any = TraceQuery { filter, limit: 1, ..TraceQuery::default() };
        if !app.traces.search(any).await?.items.is_empty() {
            return traces();
        }
    }
    let chrome = Chrome { query: asked.q.clone(), ..Chrome::new("Search") };
    draw(&ui::SearchPage { chrome, hits, as_query: named.then(|| asked.href()) })
}

/// Whether a text is a query rather than an id. A word alone, which is the name of a span to the
/// language, is an id first.
fn asks(text: &str) -> bool {
    match text.parse::<Query>() {
        Ok(query) => query != Query::of_span(vec![Condition::equal(Field::Name, text)]),
        Err(_) => text.contains(|c: char| c.is_whitespace() || "=<>~\"'`()".contains(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_a_query() {
        for id in [
            "d572232a8fed45fad572232a8fed45fa",
            "01k9q7m3v0aa",
            "clusters/idg",
            "i-0f3a9c2be41d7a003",
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/idg/6d0e",
            "ELBv2.RegisterTargets",
            "12345678",
            "duration",
        ] {
            assert!(!asks(id), "{id}");
        }
        for query in
            ["error", "open", "name = x", "missing(x)", "duration > ", "two words", "\"x\""]
        {
            assert!(asks(query), "{query}");
        }
    }

    #[test]
    fn a_local_time_is_in_utc() {
        assert_eq!(local("2026-05-04T03:00").ok().as_deref(), Some("2026-05-04T03:00:00Z"));
        assert_eq!(local("2026-05-04T03:00:30").ok().as_deref(), Some("2026-05-04T03:00:30Z"));
        assert_eq!(local("2026-05-04T03:00:00.5Z").ok().as_deref(), Some("2026-05-04T03:00:00.5Z"));
        assert_eq!(local(" ").ok().as_deref(), Some(""));
        assert!(local("yesterday").is_err());
    }
}
