//! How spans are taken out of a trace, put in, and moved in time.
//!
//! Not here: which ones, and why (`mutation.rs`). The surprise: what is slow makes later what
//! waited for it, and nothing else. Whatever went on beside it ends when it did.

use std::collections::{HashMap, HashSet};

use fastrand::Rng;
use fixpoint_trace::model::{SpanId, Trace};

/// How much longer something takes at least, in nanoseconds.
const AT_LEAST: u64 = 100_000_000;

pub(super) fn parent(trace: &Trace, at: usize) -> Option<usize> {
    let parent = trace.spans[at].parent?;
    trace.spans.iter().position(|span| span.span_id == parent)
}

/// All with the same parent, and itself.
pub(super) fn siblings(trace: &Trace, at: usize) -> impl Iterator<Item = usize> {
    let parent = trace.spans[at].parent;
    (0..trace.spans.len()).filter(move |&other| trace.spans[other].parent == parent)
}

/// The next call of the same caller, if it waited for this one and is another one.
pub(super) fn next(trace: &Trace, at: usize) -> Option<usize> {
    let end = end(trace, at);
    let later =
        siblings(trace, at).filter(|&other| trace.spans[other].start > trace.spans[at].start);
    let next = later.min_by_key(|&other| trace.spans[other].start)?;
    let (one, other) = (&trace.spans[at], &trace.spans[next]);
    (other.start >= end && !same(trace, at, next) && one.end.is_some()).then_some(next)
}

/// The next call of the same caller, if it began while this one went on.
pub(super) fn beside(trace: &Trace, at: usize) -> Option<usize> {
    let end = end(trace, at);
    let later =
        siblings(trace, at).filter(|&other| trace.spans[other].start > trace.spans[at].start);
    let next = later.min_by_key(|&other| trace.spans[other].start)?;
    (trace.spans[next].start < end).then_some(next)
}

/// The first call of another service right below a span.
pub(super) fn callee(trace: &Trace, at: usize) -> Option<usize> {
    let span = &trace.spans[at];
    (0..trace.spans.len()).find(|&other| {
        let other = &trace.spans[other];
        other.parent == Some(span.span_id) && other.service() != span.service()
    })
}

/// Takes calls of one caller out, with all below them. The time that they took is not spent.
pub(super) fn remove(trace: &mut Trace, spans: &[usize]) {
    let took = |&at: &usize| end(trace, at).saturating_sub(trace.spans[at].start);
    let saved: Vec<(usize, u64)> = spans.iter().map(|at| (*at, took(at))).collect();
    let gone: HashSet<SpanId> = spans.iter().flat_map(|&at| subtree(trace, at)).collect();
    for (at, took) in saved {
        end_later(trace, at, -(took as i64));
    }
    trace.spans.retain(|span| !gone.contains(&span.span_id));
}

/// Makes a call three times more, with all that it called, one after the other.
pub(super) fn repeat(trace: &mut Trace, at: usize, rng: &mut Rng) {
    let took = end(trace, at).saturating_sub(trace.spans[at].start);
    let call = trace.spans[at].span_id;
    let all = subtree(trace, at);
    let of_call = trace.spans.iter().filter(|span| all.contains(&span.span_id));
    let of_call: Vec<_> = of_call.cloned().collect();
    let caller = trace.spans[at].parent;
    end_later(trace, at, 3 * took as i64);
    // It is the call itself that took as long as before; its copies take the time.
    if let Some(first) = trace.spans.iter_mut().find(|span| span.span_id == call) {
        first.end = Some(first.start + took);
    }
    for time in 1..=3 {
        let mut ids: HashMap<SpanId, SpanId> = HashMap::new();
        for span in &of_call {
            ids.extend(SpanId::from_bytes(rng.u64(1..).to_be_bytes()).map(|id| (span.span_id, id)));
        }
        for span in &of_call {
            let mut again = span.clone();
            again.span_id = ids[&span.span_id];
            again.parent =
                if span.span_id == call { caller } else { span.parent.map(|up| ids[&up]) };
            again.start += time * took;
            again.end = again.end.map(|end| end + time * took);
            trace.spans.push(again);
        }
    }
}

/// Has a span make a call of which the trace has one elsewhere, and it has none. None if it makes
/// all that there are.
pub(super) fn insert(trace: &mut Trace, at: usize, rng: &mut Rng) -> Option<()> {
    let made: Vec<usize> = (0..trace.spans.len())
        .filter(|&other| trace.spans[other].parent == Some(trace.spans[at].span_id))
        .collect();
    let fit: Vec<usize> = (0..trace.spans.len())
        .filter(|&other| parent(trace, other).is_some() && other != at)
        .filter(|&other| !made.iter().any(|&made| same(trace, made, other)))
        .collect();
    let of = *fit.get(rng.usize(..fit.len().max(1)))?;
    let caller = &trace.spans[at];
    let mut call = trace.spans[of].clone();
    call.span_id = SpanId::from_bytes(rng.u64(1..).to_be_bytes())?;
    call.parent = Some(caller.span_id);
    // It takes no time of its own, so that nothing else changes.
    let end = end(trace, at);
    call.start = end;
    call.end = Some(end);
    trace.spans.push(call);
    Some(())
}

/// Lets two calls, of which the second waited for the first, change places.
pub(super) fn swap(trace: &mut Trace, first: usize, second: usize) {
    let (earlier, later) = (trace.spans[first].start, trace.spans[second].start);
    let longer = end(trace, second).saturating_sub(end(trace, first));
    let (one, other) = (subtree(trace, first), subtree(trace, second));
    shift(trace, &one, longer as i64);
    shift(trace, &other, -((later - earlier) as i64));
}

/// Lets the next call, which ran beside this one, begin before it.
pub(super) fn jostle(trace: &mut Trace, at: usize, rng: &mut Rng) {
    let Some(next) = beside(trace, at) else { return };
    let between = trace.spans[next].start - trace.spans[at].start;
    // Not before what it may have waited for.
    let before = siblings(trace, at).filter(|&other| end(trace, other) <= trace.spans[at].start);
    let ended = before.map(|other| end(trace, other)).max();
    let caller = parent(trace, at).map_or(0, |caller| trace.spans[caller].start);
    let room = trace.spans[at].start.saturating_sub(ended.unwrap_or(caller));
    let by = between + rng.u64(..=room.min(1_000_000));
    let moved = subtree(trace, next);
    shift(trace, &moved, -(by as i64));
}

/// Makes a span ten times as long by itself.
pub(super) fn delay(trace: &mut Trace, at: usize) {
    let more = (end(trace, at).saturating_sub(trace.spans[at].start) * 9).max(AT_LEAST);
    end_later(trace, at, more as i64);
}

/// Makes the way to the service that a span calls, and back, ten times as long.
pub(super) fn lag(trace: &mut Trace, at: usize) {
    let Some(callee) = callee(trace, at) else { return };
    let took = |trace: &Trace, at| end(trace, at).saturating_sub(trace.spans[at].start);
    let way = took(trace, at).saturating_sub(took(trace, callee));
    let more = (way * 9).max(AT_LEAST);
    end_later(trace, at, more as i64);
    let there = subtree(trace, callee);
    shift(trace, &there, (more / 2) as i64);
}

/// Lets a span end later, or earlier, and all that waited for that be later.
fn end_later(trace: &mut Trace, at: usize, more: i64) {
    let over = end(trace, at);
    let mut here = at;
    while let Some(caller) = parent(trace, here) {
        let waited: Vec<usize> = siblings(trace, here)
            .filter(|&other| other != here && trace.spans[other].start >= over)
            .collect();
        for other in waited {
            let all = subtree(trace, other);
            shift(trace, &all, more);
        }
        here = caller;
    }
    let mut here = Some(at);
    while let Some(span) = here {
        let waited = trace.spans[span].end.is_some_and(|end| end >= over);
        if !waited {
            break;
        }
        let start = trace.spans[span].start;
        let moved = |end: u64| end.saturating_add_signed(more).max(start);
        trace.spans[span].end = trace.spans[span].end.map(moved);
        here = parent(trace, span);
    }
}

/// Moves all spans of one service by up to five milliseconds.
pub(super) fn skew(trace: &mut Trace, rng: &mut Rng) {
    let Some(service) = rng.choice(&trace.spans).map(|span| span.service().to_owned()) else {
        return;
    };
    let by = rng.i64(-5_000_000..=5_000_000);
    let of_it = trace.spans.iter().filter(|span| span.service() == service);
    let of_it: HashSet<SpanId> = of_it.map(|span| span.span_id).collect();
    shift(trace, &of_it, by);
}

fn shift(trace: &mut Trace, spans: &HashSet<SpanId>, by: i64) {
    for span in trace.spans.iter_mut().filter(|span| spans.contains(&span.span_id)) {
        span.start = span.start.saturating_add_signed(by);
        span.end = span.end.map(|end| end.saturating_add_signed(by));
    }
}

/// A span and all below it. Parents stand before their children, but for those that were moved.
fn subtree(trace: &Trace, at: usize) -> HashSet<SpanId> {
    let mut all = HashSet::from([trace.spans[at].span_id]);
    loop {
        let below = |span: &&fixpoint_trace::model::Span| {
            span.parent.is_some_and(|up| all.contains(&up)) && !all.contains(&span.span_id)
        };
        let more: Vec<SpanId> = trace.spans.iter().filter(below).map(|s| s.span_id).collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn end(trace: &Trace, at: usize) -> u64 {
    trace.spans[at].end.unwrap_or(trace.spans[at].start)
}

/// Whether two calls have the same name.
fn same(trace: &Trace, one: usize, other: usize) -> bool {
    let (one, other) = (&trace.spans[one], &trace.spans[other]);
    (one.service(), &one.name) == (other.service(), &other.name)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use fixpoint_trace::{
        model::{Resource, Span, SpanContext, TraceId},
        semconv::SERVICE_NAME,
    };

    use super::*;

    /// A root with three calls one after the other and one beside the last, each with one below in
    /// another service.
    pub(in super::super) fn trace() -> Trace {
        let trace_id = TraceId::from_bytes([1; 16]).unwrap();
        let mut spans: Vec<Span> = Vec::new();
        let mut add = |id: u8, parent: u8, start: u64, end: u64| {
            let span_id = SpanId::from_bytes([id; 8]).unwrap();
            let mut span = Span::new(SpanContext { trace_id, span_id }, format!("s{id}"), start);
            let service = if id > 5 { "stock" } else { "shop" };
            let resource = [(SERVICE_NAME.to_owned(), service.into())];
            span.resource = Arc::new(Resource::from_iter(resource));
            span.parent = SpanId::from_bytes([parent; 8]);
            span.end = Some(end);
            spans.push(span);
        };
        add(1, 0, 10_000_000, 10_000_100);
        for (n, start) in [10, 30, 50, 52].into_iter().enumerate() {
            let (n, start) = (n as u8, 10_000_000 + start);
            add(2 + n, 1, start, start + 15);
            add(6 + n, 2 + n, start + 2, start + 10);
        }
        let mut trace = Trace { spans, ..Trace::default() };
        trace.sort();
        trace
    }

    fn named(trace: &Trace, name: &str) -> usize {
        trace.spans.iter().position(|span| span.name == name).unwrap()
    }

    fn times(trace: &Trace, name: &str) -> (u64, u64) {
        let span = &trace.spans[named(trace, name)];
        (span.start - 10_000_000, span.end.unwrap() - 10_000_000)
    }

    #[test]
    fn what_waited_for_a_slow_span_is_later_and_nothing_else() {
        let mut slow = trace();
        let at = named(&slow, "s2");
        delay(&mut slow, at);
        let more = AT_LEAST;
        assert_eq!(times(&slow, "s1"), (0, 100 + more));
        assert_eq!(times(&slow, "s2"), (10, 25 + more));
        assert_eq!(times(&slow, "s6"), (12, 20));
        assert_eq!(times(&slow, "s7"), (32 + more, 40 + more));

        let mut slow = trace();
        let at = named(&slow, "s4");
        delay(&mut slow, at);
        assert_eq!(times(&slow, "s5"), (52, 67), "it ran beside it");
    }

    #[test]
    fn a_slow_way_leaves_both_ends_as_fast() {
        let mut slow = trace();
        let at = named(&slow, "s3");
        lag(&mut slow, at);
        assert_eq!(times(&slow, "s3"), (30, 45 + AT_LEAST));
        assert_eq!(times(&slow, "s7"), (32 + AT_LEAST / 2, 40 + AT_LEAST / 2));
        assert_eq!(times(&slow, "s4").0, 50 + AT_LEAST);
    }

    #[test]
    fn a_call_that_is_gone_took_no_time_and_one_made_again_took_more() {
        let mut less = trace();
        let at = named(&less, "s2");
        remove(&mut less, &[at]);
        assert_eq!((less.spans.len(), times(&less, "s1")), (7, (0, 85)));
        assert_eq!((times(&less, "s3"), times(&less, "s8")), ((15, 30), (37, 45)));

        let mut more = trace();
        let at = named(&more, "s3");
        repeat(&mut more, at, &mut Rng::with_seed(1));
        assert_eq!((more.spans.len(), times(&more, "s1")), (15, (0, 145)));
        assert_eq!((times(&more, "s3"), times(&more, "s4").0), ((30, 45), 95));
        let again = more.spans.iter().filter(|span| span.name == "s7");
        assert_eq!(again.map(|span| span.start - 10_000_000).collect::<Vec<_>>(), [32, 47, 62, 77]);
    }

    #[test]
    fn swapped_calls_take_each_others_place() {
        let mut swapped = trace();
        let (one, other) = (named(&swapped, "s2"), named(&swapped, "s3"));
        assert_eq!(next(&swapped, one), Some(other));
        swap(&mut swapped, one, other);
        assert_eq!((times(&swapped, "s2"), times(&swapped, "s3")), ((30, 45), (10, 25)));
        assert_eq!(times(&swapped, "s6"), (32, 40));
    }
}
