//! Puts what the run blames and what the comparison found in one order: the first cause first.
//!
//! Not here: finding either. The surprise: a failed call needs no comparison to be the cause; for
//! everything else a difference in the blamed step explains it better than the step's own words.

use std::collections::HashSet;

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{compare::tree::At, semconv};

use super::{
    compared::Found,
    effect, passing,
    plan::Blame,
    view::{CREATE, View, text, with_request},
};

/// What explains nothing must be more surprising than this to be told, in bits: once in two.
const WORTH_TELLING: f64 = 1.0;

/// One order of causes; what follows from the first is folded beneath it.
/// Outside of what is blamed, only what is more surprising than `telling` bits is told.
pub(super) fn rank(blame: Blame, found: Vec<Found>, view: &View, telling: f64) -> Vec<Cause> {
    let Blame { causes, places } = blame;
    let mut blamed = causes.into_iter();
    let Some(first) = blamed.next() else {
        return in_order(found, view);
    };
    // What follows from what was found out about all traces; this one has a place to begin with.
    let mut found = Found::flat(found);
    let focus = Focus::new(&places, view);
    found.retain(|found| found.bits >= telling || found.place.is_some_and(|at| focus.has(at)));
    let reason = || focus.reason(&found).filter(|_| !is_failed_call(&first));
    let mut cause = match effect::unseen(view, &first, &places) {
        Some(cause) => cause,
        None => match reason() {
            Some(at) => {
                let mut cause = found.remove(at).cause;
                cause.consequences.push(first);
                cause
            }
            None => effect::alone(view, first, &places),
        },
    };
    cause.consequences.extend(blamed);
    let missing = cause.kind == CauseKind::Missing;
    if let Some(at) = focus.odd_answer(&found, &cause).filter(|_| missing) {
        let Found { cause: odd, counted, .. } = found.remove(at);
        cause.sentence = format!("{}; before that, {}", cause.sentence, odd.sentence);
        let text = format!("{}: {counted}", with_request(&odd.sentence, odd.request_id.as_deref()));
        cause.evidence.insert(0, Evidence { text, span_id: odd.span_id });
    } else if let Some((at, what)) = focus.found_nothing(&cause).filter(|_| missing) {
        // With few good runs it is not known to be odd; that nothing follows from nothing is plain.
        let span = view.span(at);
        let found_nothing = format!("{} answered with no {what}", span.name);
        cause.sentence = format!("{}; before that, {found_nothing}", cause.sentence);
        let text = with_request(&found_nothing, text(span, semconv::AWS_REQUEST_ID));
        cause.evidence.insert(0, Evidence { text, span_id: Some(span.span_id.to_string()) });
    }
    // The same place may be blamed and differ: it is said once.
    let said: HashSet<_> = std::iter::once(&cause)
        .chain(&cause.consequences)
        .map(|cause| (cause.kind, cause.span_id.clone(), cause.operation.clone()))
        .collect();
    let (follows, others): (Vec<_>, Vec<_>) = found
        .into_iter()
        .filter(|found| {
            let cause = &found.cause;
            found.bits >= WORTH_TELLING
                && !said.contains(&(cause.kind, cause.span_id.clone(), cause.operation.clone()))
        })
        .partition(|found| focus.follows(found, &cause));
    cause.consequences.extend(follows.into_iter().map(|found| found.cause));
    std::iter::once(cause).chain(others.into_iter().map(|found| found.cause)).collect()
}

/// What was found where nothing is blamed; beneath what went wrong before it in passing, if that is
/// why the first of it is there.
fn in_order(found: Vec<Found>, view: &View) -> Vec<Cause> {
    let first = found.first().filter(|found| found.tells_of_a_call());
    let passing = first.and_then(|found| passing::before(view, found.place?));
    let found = found.into_iter().map(Found::into_cause);
    match passing {
        Some(mut cause) => {
            cause.consequences.extend(found);
            vec![cause]
        }
        None => found.collect(),
    }
}

/// Whether a cause is a call that failed, rather than a step.
fn is_failed_call(cause: &Cause) -> bool {
    cause.kind == CauseKind::Failed
        && cause.step.as_ref().is_some_and(|step| *step != cause.operation)
}

/// The places that are blamed, and all below them.
struct Focus<'a, 'b> {
    view: &'a View<'b>,
    places: HashSet<At>,
    /// When the first of them began.
    since: u64,
}

impl<'a, 'b> Focus<'a, 'b> {
    fn new(places: &[At], view: &'a View<'b>) -> Self {
        let since = places.iter().map(|&at| view.span(at).start).min().unwrap_or(u64::MAX);
        Self { view, places: places.iter().copied().collect(), since }
    }

    fn has(&self, at: At) -> bool {
        self.view.upwards(at).any(|at| self.places.contains(&at))
    }

    /// The difference that explains best why what is blamed went wrong: in it, or in what the plan
    /// saw, or in what was done before.
    fn reason(&self, found: &[Found]) -> Option<usize> {
        let explains = |found: &Found| {
            // A step that is not there, since the run ended before it, explains nothing.
            let missing_step = found.cause.kind == CauseKind::Missing && !found.call;
            !missing_step && found.cause.kind != CauseKind::Unfinished
        };
        let inside = |found: &Found| found.place.is_some_and(|at| self.has(at));
        let looking = |found: &Found| {
            let create =
                |at: At| self.view.step(at).is_some_and(|at| self.view.span(at).name == CREATE);
            found.place.is_some_and(create)
        };
        let before =
            |found: &Found| found.place.is_some_and(|at| self.view.span(at).start < self.since);
        let orders: [&dyn Fn(&Found) -> bool; 3] = [&inside, &looking, &before];
        orders.iter().find_map(|of| {
            found.iter().position(|found| explains(found) && of(found) && found.call)
        })
    }

    /// The last call in the step of something missing that only looked, and found nothing; with what
    /// it looked for.
    fn found_nothing(&self, missing: &Cause) -> Option<(At, String)> {
        let place = missing.span_id.as_ref()?.parse().ok().and_then(|id| self.view.place(id))?;
        let step = self.view.step(place)?;
        let calls = self.view.tree.below(step).rev().filter(|&at| self.view.is_call(at));
        calls.filter(|&at| self.view.only_looks(at)).find_map(|at| {
            let answer = text(self.view.span(at), semconv::RESPONSE)?;
            let answer: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(answer).ok()?;
            let nothing = |value: &serde_json::Value| match value {
                serde_json::Value::String(text) => text.is_empty(),
                serde_json::Value::Array(items) => items.is_empty(),
                _ => false,
            };
            let what = answer.into_iter().find(|(_, value)| nothing(value))?.0;
            Some((at, what))
        })
    }

    /// An answer in the same step that was not as usual, and may be why a call is missing.
    fn odd_answer(&self, found: &[Found], cause: &Cause) -> Option<usize> {
        let told = |found: &Found| {
            cause.evidence.iter().any(|evidence| evidence.text.contains(&found.cause.operation))
        };
        found.iter().position(|found| {
            let changed = matches!(found.cause.kind, CauseKind::Changed | CauseKind::Failed);
            changed
                && found.call
                && found.cause.step == cause.step
                && found.place.is_some_and(|at| self.has(at) && self.view.is_call(at))
                && !told(found)
        })
    }

    /// Whether a difference follows from the cause: it is in what is blamed, or came after it.
    fn follows(&self, found: &Found, cause: &Cause) -> bool {
        let missing_step = found.cause.kind == CauseKind::Missing && !found.call;
        let later = found.place.is_some_and(|at| self.view.span(at).start >= self.since);
        missing_step
            || later
            || found.cause.kind == cause.kind && found.cause.operation == cause.operation
    }
}
