//! A trace as a picture of a few lines: its longest spans, one below the other, where they were.
//!
//! Not the waterfall, which the browser draws. The surprise: the first spans that failed are in the
//! picture, however short they were.

use std::fmt;

use fixpoint_trace::model::{Kind, Span, Trace, UnixNanos};

/// How many spans are drawn.
const LINES: usize = 9;
/// How many of them may be there since they failed.
const FAILED: usize = 2;
/// The height of a line, the gap beneath included; the picture is 100 wide.
const PITCH: usize = 3;
/// The least width of a bar, as a share of the whole.
const LEAST: f64 = 0.012;

/// The picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shape {
    /// From top to bottom.
    pub(crate) bars: Vec<Bar>,
}

/// One span of the picture.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// Where it begins and how wide it is.
    pub(crate) x: Share,
    pub(crate) width: Share,
    /// The top of its line.
    pub(crate) y: usize,
    /// What it is: `failed`, `open`, or by its kind `http`, `aws`, `step`.
    pub(crate) class: &'static str,
}

/// A share of a whole, written as a number of hundredths.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(crate) struct Share(pub(crate) f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0 * 100.0)
    }
}

impl Shape {
    /// The picture of a trace; what is open reaches to `now`.
    pub(crate) fn new(trace: &Trace, now: UnixNanos) -> Self {
        let end = |span: &Span| span.end.unwrap_or(now).max(span.start);
        let from = trace.spans.iter().map(|span| span.start).min().unwrap_or_default();
        let to = trace.spans.iter().map(end).max().unwrap_or_default();
        let whole = to.saturating_sub(from).max(1);
        #[allow(clippy::cast_precision_loss, reason = "for a picture of a few pixels")]
        let share = |nanos: u64| nanos as f64 / whole as f64;

        let mut chosen = chosen(trace, |span| end(span) - span.start);
        chosen.sort_unstable();
        // Few lines stand in the middle.
        let top = (LINES - chosen.len()) * PITCH / 2;
        let bars = chosen.into_iter().enumerate().map(|(line, index)| {
            let span = &trace.spans[index];
            let width = share(end(span) - span.start).max(LEAST);
            let x = share(span.start - from).min(1.0 - width);
            Bar { x: Share(x), width: Share(width), y: top + line * PITCH, class: class(span) }
        });
        Self { bars: bars.collect() }
    }

    /// The height of the picture.
    pub(crate) fn height() -> usize {
        LINES * PITCH
    }
}

/// The spans to draw, by their place in the trace, which is sorted: the first, some that failed,
/// and the longest of the others.
fn chosen(trace: &Trace, length: impl Fn(&Span) -> u64) -> Vec<usize> {
    let mut failed = (1..trace.spans.len()).filter(|&index| trace.spans[index].failed());
    let mut chosen: Vec<usize> = failed.by_ref().take(FAILED).collect();
    let mut others: Vec<usize> =
        (0..trace.spans.len()).filter(|index| !chosen.contains(index)).collect();
    // The first is the root or what comes closest to it.
    others.sort_by_key(|&index| (index != 0, std::cmp::Reverse(length(&trace.spans[index]))));
    chosen.extend(others.into_iter().take(LINES - chosen.len()));
    chosen
}

fn class(span: &Span) -> &'static str {
    match span.kind {
        _ if span.failed() => "failed",
        _ if span.end.is_none() => "open",
        Kind::Server | Kind::Consumer => "http",
        Kind::Client | Kind::Producer => "aws",
        Kind::Internal => "step",
    }
}

#[cfg(test)]
mod tests {
    use fixpoint_trace::model::{SpanContext, SpanId, Status, TraceId};

    use super::*;

    fn span(name: &str, start: u64, end: Option<u64>) -> Span {
        let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
        Span { end, ..Span::new(context, name, start) }
    }

    fn drawn(spans: Vec<Span>) -> Vec<(String, String, usize, &'static str)> {
        let shape = Shape::new(&Trace { spans, ..Trace::default() }, 1_000);
        let bar = |bar: Bar| (bar.x.to_string(), bar.width.to_string(), bar.y, bar.class);
        shape.bars.into_iter().map(bar).collect()
    }

    #[test]
    fn bars_stand_where_their_spans_were() {
        let mut call = span("call", 400, Some(600));
        call.kind = Kind::Client;
        let bars =
            drawn(vec![span("root", 0, Some(1_000)), call, span("late", 1_000, Some(1_000))]);
        let bar = |x: &str, width: &str, y, class| (x.to_owned(), width.to_owned(), y, class);
        assert_eq!(
            bars,
            [
                bar("0.00", "100.00", 9, "step"),
                bar("40.00", "20.00", 12, "aws"),
                bar("98.80", "1.20", 15, "step"),
            ]
        );
    }

    #[test]
    fn the_longest_are_drawn_in_their_order_and_so_is_what_failed() {
        let mut spans = vec![span("root", 0, Some(1_000))];
        spans.extend((1..20).map(|n| span("step", n * 10, Some(n * 10 + n))));
        spans[2].status = Status::Error("no".to_owned());
        let bars = drawn(spans);
        assert_eq!(bars.len(), LINES);
        assert_eq!((bars[0].3, bars[1].3), ("step", "failed"));
        let lefts: Vec<f64> = bars.iter().map(|bar| bar.0.parse().unwrap()).collect();
        assert!(lefts.is_sorted(), "{lefts:?}");
        assert!(lefts[2] >= 13.0, "short ones that went well are left out: {lefts:?}");
    }

    #[test]
    fn what_is_open_reaches_to_the_present() {
        let bars = drawn(vec![span("root", 0, None), span("step", 500, Some(500))]);
        assert_eq!((bars[0].1.as_str(), bars[0].3), ("100.00", "open"));
        assert_eq!(bars[1].0, "50.00");
        assert_eq!(drawn(vec![]), []);
    }
}
