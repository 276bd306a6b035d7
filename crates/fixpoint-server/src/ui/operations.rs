//! `/operations`: how often each operation happens, fails, and how long it takes.
//!
//! Not here: counting (the trace store does, minute by minute). The surprise: all histograms of
//! the page have one scale, so that two operations can be compared by eye.

use std::{cmp::Reverse, collections::BTreeMap};

use askama::Template;
use fixpoint_trace::{
    query::{Condition, Field, Length, Literal, Op, Query},
    store::{Histogram, RateBucket, Rates},
};

use super::{
    Asked, Chrome,
    chart::{Bar, Column, HEIGHT, Height, Window, edge, rung},
    search::PRESETS,
    text,
};

/// What the rows can be sorted by: name in the address, head of the column.
const SORTS: [(Sort, &str, &str); 7] = [
    (Sort::Name, "name", "Operation"),
    (Sort::Service, "service", "Service"),
    (Sort::Rate, "rate", "Rate"),
    (Sort::Errors, "errors", "Failed"),
    (Sort::P50, "p50", "p50"),
    (Sort::P90, "p90", "p90"),
    (Sort::P99, "p99", "p99"),
];

/// What the rows are sorted by. Names go up; figures go down, so that trouble is on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    /// By how many failed.
    #[default]
    Errors,
    /// By how many there were.
    Rate,
    /// By percentile.
    P50,
    P90,
    P99,
    /// By the alphabet.
    Name,
    Service,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "operations.html")]
pub(crate) struct OperationsPage {
    /// Around it.
    pub(crate) chrome: Chrome,
    /// The service that the page is narrowed to; empty for all.
    pub(crate) service: String,
    /// From when on, as the address says it.
    pub(crate) since: String,
    /// Until when; empty for now.
    pub(crate) until: String,
    /// The same while, in figures.
    pub(crate) window: Window,
    /// The order.
    pub(crate) sort: Sort,
    /// The services that there are.
    pub(crate) services: Vec<String>,
    /// Sorted.
    pub(crate) rows: Vec<OperationRow>,
    /// How many operations there are.
    pub(crate) total: usize,
    /// How many of them had failures.
    pub(crate) failing: usize,
    /// The ends of the histograms' scale.
    pub(crate) scale: Option<(String, String)>,
}

/// An operation in a row.
#[derive(Debug)]
pub(crate) struct OperationRow {
    pub(crate) service: String,
    pub(crate) name: String,
    kind: &'static str,
    spans: u64,
    errors: u64,
    /// How long the while is, in nanoseconds.
    window: u64,
    percentiles: [Option<u64>; 3],
    durations: Histogram,
    /// How long they took, by a scale that all rows share.
    bars: Vec<Bar>,
    /// How many there were, by time.
    line: Vec<Column>,
    /// What the highest column stands for.
    peak: u64,
    /// The width of a column, in nanoseconds.
    step: u64,
    asked: Asked,
}

impl OperationRow {
    /// The row of an operation; its links search in the same while.
    pub(crate) fn new(rates: Rates, window: Window, asked: &Asked) -> Self {
        let mut durations = Histogram::default();
        rates.buckets.iter().for_each(|bucket| durations.merge(&bucket.durations));
        let sum = |of: fn(&RateBucket) -> u64| rates.buckets.iter().map(of).sum();
        let peak = rates.buckets.iter().map(|bucket| bucket.spans).max().unwrap_or_default();
        let column = |bucket: &RateBucket| Column {
            x: window.column(bucket.time),
            height: Height::new(bucket.spans, peak),
            failed: (bucket.errors > 0).then(|| Height::new(bucket.errors, peak)),
        };
        Self {
            spans: sum(|bucket| bucket.spans),
            errors: sum(|bucket| bucket.errors),
            window: window.to.saturating_sub(window.from).max(1),
            percentiles: [0.5, 0.9, 0.99].map(|share| durations.quantile(share)),
            line: rates.buckets.iter().map(column).collect(),
            kind: rates.kind.as_str(),
            service: rates.service,
            name: rates.name,
            bars: Vec::new(),
            durations,
            peak,
            step: window.step,
            asked: asked.clone(),
        }
    }

    /// The address of the spans of this operation that fulfil some more conditions.
    fn search(&self, more: impl IntoIterator<Item = Condition>) -> String {
        let mut conditions = vec![Condition::equal(Field::Name, &self.name)];
        if !self.service.is_empty() {
            conditions.insert(0, Condition::equal(Field::Service, &self.service));
        }
        conditions.extend(more);
        Asked { q: Query::of_span(conditions).to_string(), ..self.asked.clone() }.href()
    }

    fn href(&self) -> String {
        self.search([])
    }

    fn errors_href(&self) -> String {
        self.search([Condition::equal(Field::Status, "error")])
    }

    /// Spans in a unit of time that leaves a number one can read.
    #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
    fn rate(&self) -> String {
        let per = |seconds: f64| self.spans as f64 / (self.window as f64 / 1e9) * seconds;
        let (rate, unit) = match per(1.0) {
            rate if rate >= 1.0 => (rate, "s"),
            _ if per(60.0) >= 1.0 => (per(60.0), "min"),
            _ => (per(3_600.0), "h"),
        };
        if rate < 9.95 { format!("{rate:.1}/{unit}") } else { format!("{rate:.0}/{unit}") }
    }

    #[allow(clippy::cast_precision_loss, reason = "shown with two digits")]
    fn errors_share(&self) -> String {
        let share = self.errors as f64 * 100.0 / self.spans.max(1) as f64;
        if share > 0.0 && share < 0.95 { format!("{share:.2} %") } else { format!("{share:.0} %") }
    }

    fn percentiles(&self) -> [(&'static str, String); 3] {
        let [p50, p90, p99] = self.percentiles.map(|it| it.map(text::nanos).unwrap_or_default());
        [("p50", p50), ("p90", p90), ("p99", p99)]
    }

    fn line_tip(&self) -> String {
        format!("at most {} in {}", self.peak, Length(self.step))
    }
}

impl OperationsPage {
    /// Puts the rows in order, leaves out what is too much for a page, and draws the histograms of
    /// the rest.
    pub(crate) fn arranged(mut self, most: usize) -> Self {
        let sort = self.sort;
        let figure = |row: &OperationRow| match sort {
            Sort::Errors => row.errors,
            Sort::Rate => row.spans,
            Sort::P50 => row.percentiles[0].unwrap_or_default(),
            Sort::P90 => row.percentiles[1].unwrap_or_default(),
            Sort::P99 => row.percentiles[2].unwrap_or_default(),
            Sort::Name | Sort::Service => 0,
        };
        let word = |row: &OperationRow| match sort {
            Sort::Name => (row.name.clone(), row.service.clone()),
            Sort::Service => (row.service.clone(), row.name.clone()),
            _ => Default::default(),
        };
        self.rows.sort_by_cached_key(|row| {
            (Reverse((figure(row), row.spans)), row.service.clone(), row.name.clone())
        });
        if matches!(sort, Sort::Name | Sort::Service) {
            self.rows.sort_by_cached_key(word);
        }
        self.total = self.rows.len();
        self.failing = self.rows.iter().filter(|row| row.errors > 0).count();
        self.rows.truncate(most);
        self.draw();
        self
    }

    fn draw(&mut self) {
        let counts = |row: &OperationRow| {
            let mut counts = BTreeMap::<usize, u64>::new();
            for (from, to, count) in row.durations.buckets() {
                *counts.entry(rung(from + (to - from) / 2)).or_default() += count;
            }
            counts
        };
        let all: Vec<_> = self.rows.iter().map(counts).collect();
        let used = || all.iter().flat_map(|counts| counts.keys().copied());
        let Some((least, most)) = used().min().zip(used().max()) else { return };
        for (row, counts) in self.rows.iter_mut().zip(&all) {
            let highest = counts.values().max().copied().unwrap_or_default();
            let bar = |(&at, &count): (&usize, &u64)| {
                // What is shorter than the ladder stands on its first rung.
                let (from, to) = (if at == 0 { 0 } else { edge(at) }, edge(at + 1));
                let bound = |op, nanos| Condition {
                    field: Field::Duration,
                    op,
                    value: Literal::Duration(nanos),
                };
                Bar {
                    x: at - least,
                    height: Height::new(count, highest),
                    tip: format!("{} to {}: about {count}", text::nanos(from), text::nanos(to)),
                    href: row.search([bound(Op::AtLeast, from), bound(Op::Less, to)]),
                }
            };
            row.bars = counts.iter().map(bar).collect();
        }
        self.scale = Some((text::nanos(edge(least)), text::nanos(edge(most + 1))));
    }

    /// How many bars a histogram has room for.
    fn width(&self) -> usize {
        self.rows.iter().flat_map(|row| &row.bars).map(|bar| bar.x + 1).max().unwrap_or(1)
    }

    fn address(&self, service: &str, since: &str, until: &str, sort: Sort) -> String {
        let sort = SORTS.iter().find(|(it, ..)| *it == sort && sort != Sort::default());
        let sort = sort.map_or("", |(_, name, _)| *name);
        let said = [("service", service), ("since", since), ("until", until), ("sort", sort)];
        text::address("/operations", &said)
    }

    fn presets(&self) -> Vec<(String, &'static str, bool)> {
        let preset = |(since, text): (&str, &'static str)| {
            let current = self.since == since && self.until.is_empty();
            (self.address(&self.service, since, "", self.sort), text, current)
        };
        // The rate of something in all the time there is says little.
        PRESETS.into_iter().filter(|(since, _)| !since.is_empty()).map(preset).collect()
    }

    /// Address, text, and whether the rows are in this order.
    fn heads(&self) -> Vec<(String, &'static str, bool)> {
        let head = |(sort, _, text): (Sort, &str, &'static str)| {
            (self.address(&self.service, &self.since, &self.until, sort), text, self.sort == sort)
        };
        SORTS.into_iter().map(head).collect()
    }

    fn direction(&self) -> &'static str {
        if matches!(self.sort, Sort::Name | Sort::Service) { "ascending" } else { "descending" }
    }

    /// Address, name, and whether the page is narrowed to it.
    fn service_links(&self) -> Vec<(String, &str, bool)> {
        let all = std::iter::once(("", "all services"));
        let each = self.services.iter().map(|service| (service.as_str(), service.as_str()));
        all.chain(each)
            .map(|(service, text)| {
                let href = self.address(service, &self.since, &self.until, self.sort);
                (href, text, self.service == service)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use fixpoint_trace::model::Kind;

    use super::*;

    const MINUTE: u64 = 60_000_000_000;

    fn rates(name: &str, durations: &[u64], errors: u64) -> Rates {
        let mut bucket = RateBucket { time: 10 * MINUTE, errors, ..RateBucket::default() };
        for duration in durations {
            bucket.spans += 1;
            bucket.durations.add(*duration);
        }
        Rates {
            service: "api".into(),
            name: name.into(),
            kind: Kind::Server,
            buckets: vec![bucket],
        }
    }

    fn page(rates: Vec<Rates>, sort: Sort) -> OperationsPage {
        let window = Window { from: 5 * MINUTE, to: 15 * MINUTE, step: MINUTE };
        let asked = Asked { since: "10m".into(), ..Asked::default() };
        let rows = rates.into_iter().map(|rates| OperationRow::new(rates, window, &asked));
        let page = OperationsPage {
            chrome: Chrome::new("Operations"),
            service: String::new(),
            since: "10m".into(),
            until: String::new(),
            window,
            sort,
            services: vec!["api".into()],
            rows: rows.collect(),
            total: 0,
            failing: 0,
            scale: None,
        };
        page.arranged(10)
    }

    fn names(page: &OperationsPage) -> Vec<&str> {
        page.rows.iter().map(|row| row.name.as_str()).collect()
    }

    #[test]
    fn trouble_is_on_top_unless_told_otherwise() {
        let all = || {
            vec![
                rates("busy", &[1_000_000; 9], 0),
                rates("failing", &[2_000_000; 3], 2),
                rates("slow", &[9_000_000_000], 0),
            ]
        };
        assert_eq!(names(&page(all(), Sort::default())), ["failing", "busy", "slow"]);
        assert_eq!(names(&page(all(), Sort::P99)), ["slow", "failing", "busy"]);
        assert_eq!(names(&page(all(), Sort::Rate)), ["busy", "failing", "slow"]);
        assert_eq!(names(&page(all(), Sort::Name)), ["busy", "failing", "slow"]);
        assert_eq!(page(all(), Sort::Name).failing, 1);
    }

    #[test]
    fn histograms_of_all_rows_share_one_scale() {
        let page = page(
            vec![rates("a", &[1_500_000, 1_600_000, 30_000_000], 0), rates("b", &[300_000], 0)],
            Sort::Name,
        );
        let places = |row: usize| -> Vec<_> { page.rows[row].bars.iter().map(|it| it.x).collect() };
        assert_eq!(page.scale, Some(("200 µs".to_owned(), "50 ms".to_owned())));
        assert_eq!((places(0), places(1)), (vec![2, 6], vec![0]));
        assert_eq!(page.rows[0].bars[0].tip, "1.0 ms to 2.0 ms: about 2");
        assert_eq!(page.width(), 7);
    }

    #[test]
    fn what_is_shown_can_be_searched_for() {
        let page = page(vec![rates("GET /", &[1_500_000], 1)], Sort::Rate);
        let row = &page.rows[0];
        for href in [row.href(), row.errors_href(), row.bars[0].href.clone()] {
            let q = href.split("q=").nth(1).and_then(|it| it.split('&').next()).unwrap();
            let pairs = form_decoded(q);
            assert!(pairs.parse::<Query>().is_ok(), "{pairs}");
            assert!(href.ends_with("&since=10m"), "{href}");
        }
        assert!(form_decoded(&row.errors_href()).contains("status = error"));
        assert!(form_decoded(&row.bars[0].href).contains("duration >= 1ms and duration < 2ms"));
    }

    fn form_decoded(text: &str) -> String {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
            out.push_str(&part[2..]);
        }
        out
    }

    #[test]
    fn figures_are_said_so_that_they_can_be_read() {
        let page = page(vec![rates("a", &[1_000_000; 300], 1)], Sort::Rate);
        let row = &page.rows[0];
        assert_eq!((row.rate().as_str(), row.errors_share().as_str()), ("30/min", "0.33 %"));
        assert_eq!(
            row.line,
            [Column { x: 5, height: Height::new(1, 1), failed: Some(Height::new(1, 300)) }]
        );
        assert_eq!(row.line_tip(), "at most 300 in 1m");
    }
}
