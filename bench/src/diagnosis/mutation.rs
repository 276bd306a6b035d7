//! Good traces with one thing changed, and which span that was.
//!
//! For checking that the right span is named, and the right kind of change; the labelled failures
//! only tell the service. Not here: what the mutants are held against. The surprise: some changes
//! are none. A clock that is off by a little or another order of calls that ran side by side must
//! be found to differ in nothing.

use fastrand::Rng;
use fixpoint_trace::{
    compare::explain::{Finding, What},
    model::{SpanId, Status, Trace},
};

/// A change, and of a change that is one, the kind of finding it must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A call and all below it are gone.
    Drop,
    /// The same, with all its later siblings.
    Return,
    /// A call is made four times.
    Repeat,
    /// A call fails, and two callers above it with it.
    Fail,
    /// A call fails, and nobody above it does.
    Swallow,
    /// A span takes ten times as long by itself, and all that waited for it are later.
    Slow,
    /// All clocks of one service are off by up to five milliseconds: no change.
    Skew,
    /// Nothing at all: no change.
    Nothing,
}

impl Mutation {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::Drop,
        Self::Return,
        Self::Repeat,
        Self::Fail,
        Self::Swallow,
        Self::Slow,
        Self::Skew,
        Self::Nothing,
    ];

    /// Whether nothing must be found.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Skew | Self::Nothing)
    }

    /// Whether a finding is of the right kind.
    pub fn is_told_by(self, finding: &Finding) -> bool {
        match self {
            Self::Drop => matches!(finding.what, What::MissingCall { .. }),
            Self::Return => {
                matches!(finding.what, What::MissingCall { .. } | What::Reordered { .. })
            }
            Self::Repeat => matches!(finding.what, What::ExtraCall { .. }),
            Self::Fail | Self::Swallow => matches!(finding.what, What::Failed { .. }),
            Self::Slow => matches!(finding.what, What::Slow(_) | What::SlowEdge { .. }),
            Self::Skew | Self::Nothing => false,
        }
    }
}

/// A trace with one thing changed.
#[derive(Debug)]
pub struct Mutant {
    /// The trace.
    pub trace: Trace,
    /// The span that a finding must name: of calls that are gone or too many, the caller. None if
    /// there is nothing to find.
    pub truth: Option<SpanId>,
}

/// Changes one thing of a trace; none if it has no span for that.
pub fn mutate(mutation: Mutation, trace: &Trace, rng: &mut Rng) -> Option<Mutant> {
    let mut trace = trace.clone();
    // A root has no caller that could miss it, and what nobody calls cannot return early.
    let called: Vec<usize> =
        (0..trace.spans.len()).filter(|&at| parent(&trace, at).is_some()).collect();
    if mutation.is_null() {
        if mutation == Mutation::Skew {
            skew(&mut trace, rng);
        }
        return Some(Mutant { trace, truth: None });
    }
    let at = *called.get(rng.usize(..called.len().max(1)))?;
    let caller = parent(&trace, at)?;
    let truth = match mutation {
        Mutation::Fail | Mutation::Swallow | Mutation::Slow => trace.spans[at].span_id,
        _ => trace.spans[caller].span_id,
    };
    match mutation {
        Mutation::Drop => remove(&mut trace, &[at]),
        Mutation::Return => {
            let start = trace.spans[at].start;
            let caller = trace.spans[at].parent;
            let later: Vec<usize> = (0..trace.spans.len())
                .filter(|&at| trace.spans[at].parent == caller && trace.spans[at].start >= start)
                .collect();
            remove(&mut trace, &later);
        }
        Mutation::Repeat => repeat(&mut trace, at, rng),
        Mutation::Fail => {
            let mut failing = Some(at);
            for _ in 0..3 {
                let Some(at) = failing else { break };
                trace.spans[at].status = Status::Error("made to fail".to_owned());
                failing = parent(&trace, at);
            }
        }
        Mutation::Swallow => trace.spans[at].status = Status::Error("made to fail".to_owned()),
        Mutation::Slow => delay(&mut trace, at),
        Mutation::Skew | Mutation::Nothing => {}
    }
    trace.sort();
    Some(Mutant { trace, truth: Some(truth) })
}

fn parent(trace: &Trace, at: usize) -> Option<usize> {
    let parent = trace.spans[at].parent?;
    trace.spans.iter().position(|span| span.span_id == parent)
}

/// Takes spans out, with all below them. Parents stand before their children.
fn remove(trace: &mut Trace, spans: &[usize]) {
    let mut gone: Vec<SpanId> = spans.iter().map(|&at| trace.spans[at].span_id).collect();
    // As many rounds as there are generations.
    loop {
        let below = |span: &&fixpoint_trace::model::Span| {
            span.parent.is_some_and(|parent| gone.contains(&parent))
                && !gone.contains(&span.span_id)
        };
        let more: Vec<SpanId> = trace.spans.iter().filter(below).map(|s| s.span_id).collect();
        if more.is_empty() {
            break;
        }
        gone.extend(more);
    }
    trace.spans.retain(|span| !gone.contains(&span.span_id));
}

/// Makes a call three times more. What it called is not called again: its answer was at hand.
fn repeat(trace: &mut Trace, at: usize, rng: &mut Rng) {
    for _ in 0..3 {
        let mut again = trace.spans[at].clone();
        let bytes = rng.u64(1..).to_be_bytes();
        if let Some(id) = SpanId::from_bytes(bytes) {
            again.span_id = id;
            trace.spans.push(again);
        }
    }
}

/// Makes a span ten times as long, 100 ms longer at least. What starts after its end starts later,
/// and what was not over then is over later.
fn delay(trace: &mut Trace, at: usize) {
    let (start, end) =
        (trace.spans[at].start, trace.spans[at].end.unwrap_or(trace.spans[at].start));
    let more = (end.saturating_sub(start) * 9).max(100_000_000);
    for span in &mut trace.spans {
        if span.start >= end {
            span.start += more;
        }
        span.end = span.end.map(|other| if other >= end { other + more } else { other });
    }
}

/// Moves all spans of one service by up to five milliseconds.
fn skew(trace: &mut Trace, rng: &mut Rng) {
    let Some(service) = rng.choice(&trace.spans).map(|span| span.service().to_owned()) else {
        return;
    };
    let by = rng.i64(-5_000_000..=5_000_000);
    for span in trace.spans.iter_mut().filter(|span| span.service() == service) {
        span.start = span.start.saturating_add_signed(by);
        span.end = span.end.map(|end| end.saturating_add_signed(by));
    }
    trace.sort();
}

#[cfg(test)]
mod tests {
    use fixpoint_trace::model::{Span, SpanContext, TraceId};

    use super::*;

    /// A root with three calls, each with one below.
    fn trace() -> Trace {
        let trace_id = TraceId::from_bytes([1; 16]).unwrap();
        let mut spans: Vec<Span> = Vec::new();
        let mut add = |id: u8, parent: u8, start: u64, end: u64| {
            let span_id = SpanId::from_bytes([id; 8]).unwrap();
            let mut span = Span::new(SpanContext { trace_id, span_id }, format!("s{id}"), start);
            span.parent = SpanId::from_bytes([parent; 8]);
            span.end = Some(end);
            spans.push(span);
        };
        add(1, 0, 10_000_000, 10_000_100);
        for n in 0..3 {
            let start = 10_000_010 + 20 * u64::from(n);
            add(2 + n, 1, start, start + 15);
            add(5 + n, 2 + n, start + 2, start + 10);
        }
        Trace { spans, ..Trace::default() }
    }

    #[test]
    fn a_mutant_is_other_where_it_says() {
        for mutation in Mutation::ALL {
            for seed in 0..20 {
                let mut rng = Rng::with_seed(seed);
                let good = trace();
                let mutant = mutate(mutation, &good, &mut rng).unwrap();
                assert_eq!(mutant.truth.is_none(), mutation.is_null());
                if let Some(truth) = mutant.truth {
                    assert_ne!(mutant.trace, good, "{mutation:?}");
                    assert!(mutant.trace.spans.iter().any(|span| span.span_id == truth));
                }
                let again = mutate(mutation, &good, &mut Rng::with_seed(seed)).unwrap();
                assert_eq!(again.trace, mutant.trace, "{mutation:?}");
            }
        }
    }

    #[test]
    fn what_waited_for_a_slow_span_is_later() {
        let mut slow = trace();
        delay(&mut slow, 1);
        assert_eq!(slow.spans[0].end, Some(110_000_100));
        assert_eq!(slow.spans[3].start, 110_000_030);
        assert_eq!(slow.spans[2].end, Some(10_000_020));
    }
}
