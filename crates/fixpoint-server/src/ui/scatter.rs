//! Traces as dots: when each began, and how long it took.
//!
//! Not here: dragging and the label at the pointer (`assets/scatter.mjs`). The surprise: it is a
//! picture that the server draws, of links; it works without scripts, and grows with the window
//! since every place is a percentage.

use std::fmt;

use fixpoint_client::TraceSummary;
use jiff::{SignedDuration, Timestamp};

use super::text;

/// How much room is left between the outermost dots and the edge, as a share of the whole.
const MARGIN: f64 = 0.03;
/// About how many times are written beneath.
const TIMES: i64 = 7;

/// Lengths of time that are worth a line, in nanoseconds: the few of a wide picture, and what
/// stands between them in a narrow one.
const LENGTHS: [u64; 13] = [
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    SECOND,
    10 * SECOND,
    60 * SECOND,
    600 * SECOND,
    3_600 * SECOND,
    36_000 * SECOND,
    360_000 * SECOND,
];
const BETWEEN: [u64; 3] = [2, 3, 5];
const SECOND: u64 = 1_000_000_000;

/// Widths of a step between two times, in seconds.
const STEPS: [i64; 16] = [
    1, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800,
    2_592_000,
];

/// The picture.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    /// The dots; those that failed last, so that nothing hides them.
    pub(crate) dots: Vec<Dot>,
    /// Times along the bottom.
    pub(crate) times: Vec<Tick>,
    /// Lengths along the left.
    pub(crate) lengths: Vec<Tick>,
    /// The times at the left and right edge, in milliseconds since 1970.
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// The lengths at the lower and upper edge, as logarithms (base 10) of nanoseconds.
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// A trace in the picture.
#[derive(Debug, Clone)]
pub(crate) struct Dot {
    pub(crate) trace_id: String,
    pub(crate) x: Percent,
    pub(crate) y: Percent,
    /// In pixels: the more spans, the larger.
    pub(crate) radius: String,
    /// How it went.
    pub(crate) class: &'static str,
    /// What is told at the pointer.
    pub(crate) tip: String,
}

/// A line of the grid.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    pub(crate) at: Percent,
    pub(crate) label: String,
}

/// A place in the picture, as SVG writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percent(f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}%", self.0 * 100.0)
    }
}

impl Scatter {
    /// The picture of some traces, from `since` or else from the first of them, to `until` or else
    /// to the last; none without traces.
    pub(crate) fn new(
        traces: &[TraceSummary],
        (since, until): (Option<Timestamp>, Option<Timestamp>),
        now: Timestamp,
    ) -> Option<Self> {
        let starts = || traces.iter().map(|trace| trace.started_at.as_millisecond());
        let (first, last) = (starts().min()?, starts().max()?);
        let first = since.map_or(first, |since| since.as_millisecond());
        let last = until.map_or(last, |until| until.as_millisecond()).max(first + 1);
        let (from, to) = widened(first as f64, last as f64);

        let logs = || traces.iter().map(|trace| log_nanos(trace, now));
        let (least, most) = (logs().reduce(f64::min)?, logs().reduce(f64::max)?);
        // One length alone stands in the middle of a picture that has a scale.
        let spare = (1.0 - (most - least)).max(0.0) / 2.0;
        let (least, most) = widened(least - spare, most + spare);

        let across = |ms: f64| Percent((ms - from) / (to - from));
        let up = |log: f64| Percent(1.0 - (log - least) / (most - least));
        let mut dots: Vec<_> = traces
            .iter()
            .map(|trace| Dot {
                trace_id: trace.trace_id.clone(),
                x: across(trace.started_at.as_millisecond() as f64),
                y: up(log_nanos(trace, now)),
                radius: format!("{:.1}", 3.0 + 1.6 * f64::from(trace.spans.max(1)).log10()),
                class: outcome(trace),
                tip: tip(trace, now),
            })
            .collect();
        dots.sort_by_key(|dot| rank(dot.class));
        Some(Self {
            dots,
            times: times(from as i64, to as i64)
                .into_iter()
                .map(|(ms, label)| Tick { at: across(ms as f64), label })
                // A label that stands on the edge is cut in half.
                .filter(|tick| (MARGIN..=1.0 - MARGIN).contains(&tick.at.0))
                .collect(),
            lengths: lengths(least, most)
                .into_iter()
                .map(|nanos| Tick { at: up((nanos as f64).log10()), label: text::tick(nanos) })
                .collect(),
            from: from as i64,
            to: to as i64,
            least,
            most,
        })
    }
}

/// How a trace went, in a word: `failed` if its root did, `partly` if only another span did.
pub(super) fn outcome(trace: &TraceSummary) -> &'static str {
    match trace {
        _ if trace.failed => "failed",
        _ if trace.open > 0 => "open",
        _ if trace.errors > 0 => "partly",
        _ => "ok",
    }
}

fn rank(class: &str) -> usize {
    ["ok", "open", "partly", "failed"].iter().position(|it| *it == class).unwrap_or_default()
}

/// How long a trace took; one that goes on, until now.
pub(super) fn length(trace: &TraceSummary, now: Timestamp) -> SignedDuration {
    trace.ended_at.unwrap_or(now).duration_since(trace.started_at).max(SignedDuration::ZERO)
}

fn log_nanos(trace: &TraceSummary, now: Timestamp) -> f64 {
    // The scale has no zero; a microsecond is short enough.
    (length(trace, now).as_nanos().max(1_000) as f64).log10()
}

fn tip(trace: &TraceSummary, now: Timestamp) -> String {
    let failed =
        if trace.errors > 0 { format!(", {} failed", trace.errors) } else { String::new() };
    let open = if trace.open > 0 { format!(", {} open", trace.open) } else { String::new() };
    format!(
        "{} · {}\n{} · {} spans{failed}{open}\n{}",
        trace.name,
        trace.service,
        text::length(length(trace, now)),
        trace.spans,
        text::stamp(trace.started_at),
    )
}

/// The lengths between two, given as logarithms, that are worth a line.
fn lengths(least: f64, most: f64) -> Vec<u64> {
    let within = |nanos: &u64| (least..=most).contains(&(*nanos as f64).log10());
    let few: Vec<_> = LENGTHS.into_iter().filter(within).collect();
    if few.len() > 1 {
        return few;
    }
    let between = |nanos: u64| BETWEEN.map(|times| nanos.saturating_mul(times));
    let mut all: Vec<_> = LENGTHS.into_iter().flat_map(between).chain(few).collect();
    all.retain(within);
    all.sort_unstable();
    all.dedup();
    all
}

fn widened(from: f64, to: f64) -> (f64, f64) {
    let by = (to - from) * MARGIN;
    (from - by, to + by)
}

/// Round times between two, in milliseconds, with what is written beneath.
fn times(from: i64, to: i64) -> Vec<(i64, String)> {
    let seconds = (to - from) / 1_000;
    let step = STEPS.iter().find(|step| **step * TIMES >= seconds);
    let step = step.copied().unwrap_or(seconds / TIMES).max(1);
    let form = match step {
        ..60 => "%H:%M:%S",
        60..43_200 => "%H:%M",
        _ => "%m-%d",
    };
    // Days are named where a time of day alone would name two moments.
    let form = if seconds > 86_400 && step < 86_400 { "%m-%d %H:%M" } else { form };
    let first = from.div_euclid(step * 1_000) + 1;
    (first..)
        .map(|n| n * step * 1_000)
        .take_while(|ms| *ms <= to)
        .filter_map(|ms| {
            let at = Timestamp::from_millisecond(ms).ok()?;
            Some((ms, at.strftime(form).to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(start: i64, millis: Option<i64>, spans: u32) -> TraceSummary {
        let started_at = Timestamp::from_second(start).unwrap();
        TraceSummary {
            trace_id: format!("{start:032x}"),
            name: "run clusters".into(),
            service: "fixpoint".into(),
            started_at,
            ended_at: millis.map(|ms| started_at + SignedDuration::from_millis(ms)),
            failed: false,
            spans,
            open: u32::from(millis.is_none()),
            errors: 0,
            logs: 0,
        }
    }

    #[test]
    fn later_is_further_right_and_longer_is_higher() {
        let now = Timestamp::from_second(1_000).unwrap();
        let traces = [trace(900, Some(10), 1), trace(400, Some(1_000), 100), trace(990, None, 10)];
        let drawn = Scatter::new(&traces, (None, None), now).unwrap();
        let place = |n: i64| {
            let id = format!("{n:032x}");
            let dot = drawn.dots.iter().find(|dot| dot.trace_id == id).unwrap();
            (dot.x.0, dot.y.0, dot.radius.parse::<f64>().unwrap())
        };
        let (short, long, open) = (place(900), place(400), place(990));
        assert!(long.0 < short.0 && short.0 < open.0);
        assert!(open.1 < long.1 && long.1 < short.1, "an open one has taken ten seconds so far");
        assert!(short.2 < open.2 && open.2 < long.2);
        for at in drawn.dots.iter().flat_map(|dot| [dot.x.0, dot.y.0]) {
            assert!((0.0..=1.0).contains(&at));
        }
        let lengths: Vec<_> = drawn.lengths.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(lengths, ["10 ms", "100 ms", "1 s", "10 s"]);
    }

    #[test]
    fn what_failed_is_drawn_over_the_rest() {
        let mut failed = trace(1, Some(5), 3);
        failed.failed = true;
        let mut partly = trace(2, Some(5), 3);
        partly.errors = 1;
        let traces = [failed, partly, trace(3, None, 1), trace(4, Some(5), 3)];
        let drawn = Scatter::new(&traces, (None, None), Timestamp::from_second(9).unwrap());
        let classes: Vec<_> = drawn.unwrap().dots.iter().map(|dot| dot.class).collect();
        assert_eq!(classes, ["ok", "open", "partly", "failed"]);
    }

    #[test]
    fn one_trace_or_none_makes_no_trouble() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert!(Scatter::new(&[], (None, Some(now)), now).is_none());
        let drawn = Scatter::new(&[trace(1, Some(0), 0)], (None, None), now).unwrap();
        assert!((drawn.dots[0].y.0 - 0.5).abs() < 0.01);
        assert!(drawn.from < drawn.to);
    }

    #[test]
    fn a_narrow_picture_has_finer_lines() {
        let said = |from: f64, to: f64| -> Vec<String> {
            lengths(from.log10(), to.log10()).into_iter().map(text::tick).collect()
        };
        assert_eq!(said(5e5, 2e10), ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!(said(1.5e9, 9e9), ["2 s", "3 s", "5 s"]);
        assert_eq!(said(5e8, 3.1e9), ["500 ms", "1 s", "2 s", "3 s"]);
        assert_eq!(said(100e9, 500e9), ["2 m", "3 m", "5 m"]);
    }

    #[test]
    fn times_are_round_and_name_the_day_where_they_must() {
        let day = 86_400_000;
        let labels = |from: i64, to: i64| -> Vec<String> {
            times(20_000 * day + from, 20_000 * day + to).into_iter().map(|(_, it)| it).collect()
        };
        assert_eq!(labels(-100, 3_600_000)[..3], ["00:00", "00:10", "00:20"]);
        assert_eq!(labels(500, 4_500), ["00:00:01", "00:00:02", "00:00:03", "00:00:04"]);
        assert_eq!(labels(1, day + day / 2)[0], "10-04 06:00");
        assert_eq!(labels(1, 7 * day)[0], "10-05");
        assert!(labels(0, 4_000 * day).len() < 12);
    }
}
