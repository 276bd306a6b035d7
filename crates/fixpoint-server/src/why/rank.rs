//! Puts what the run blames and what the comparison found in one order: the first cause first.
//!
//! Not here: finding either. The surprise: a failed call needs no comparison to be the cause; for
//! everything else a difference in the blamed step explains it better than the step's own words.

use std::collections::HashSet;

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{compare::tree::At, semconv};

use super::{
    compared::Found,
    plan::Blame,
    plan::at_place,
    view::{CREATE, View, text},
};

/// What explains nothing must be more surprising than this to be told, in bits: once in two.
const WORTH_TELLING: f64 = 1.0;

/// One order of causes; what follows from the first is folded beneath it.
/// Outside of what is blamed, only what is more surprising than `telling` bits is told.
pub(super) fn rank(blame: Blame, found: Vec<Found>, view: &View, telling: f64) -> Vec<Cause> {
    let Blame { causes, places } = blame;
    let mut blamed = causes.into_iter();
    let Some(first) = blamed.next() else {
        return found.into_iter().map(Found::into_cause).collect();
    };
    // What follows from what was found out about all traces; this one has a place to begin with.
    let mut found = Found::flat(found);
    let focus = Focus::new(&places, view);
    found.retain(|found| found.bits >= telling || found.place.is_some_and(|at| focus.has(at)));
    let reason = if is_failed_call(&first) { None } else { focus.reason(&found) };
    let mut cause = match reason {
        Some(at) => {
            let mut found = found.remove(at);
            if let Some(at) = focus.change_before(&found) {
                found.cause = unseen(view, at, found.cause, &found.counted);
            }
            found.cause.consequences.push(first);
            found.cause
        }
        None => match focus.last_change(&first) {
            Some(at) => {
                let mut cause = unseen(view, at, first.clone(), "");
                cause.consequences.push(first);
                cause
            }
            None => first,
        },
    };
    cause.consequences.extend(blamed);
    let missing = cause.kind == CauseKind::Missing;
    if let Some(at) = focus.odd_answer(&found, &cause).filter(|_| missing) {
        let Found { cause: odd, counted, .. } = found.remove(at);
        cause.sentence = format!("{}; before that, {}", cause.sentence, odd.sentence);
        let request = odd.request_id.map(|id| format!(" (request id {id})")).unwrap_or_default();
        let text = format!("{}{request}: {counted}", odd.sentence);
        cause.evidence.insert(0, Evidence { text, span_id: odd.span_id });
    } else if let Some((at, what)) = focus.found_nothing(&cause).filter(|_| missing) {
        // With few good runs it is not known to be odd; that nothing follows from nothing is plain.
        let span = view.span(at);
        let found_nothing = format!("{} answered with no {what}", span.name);
        cause.sentence = format!("{}; before that, {found_nothing}", cause.sentence);
        let request = text(span, semconv::AWS_REQUEST_ID);
        let request = request.map(|id| format!(" (request id {id})")).unwrap_or_default();
        let span_id = Some(span.span_id.to_string());
        cause.evidence.insert(0, Evidence { text: format!("{found_nothing}{request}"), span_id });
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

/// A change that was answered as if it had been made, and does not show.
fn unseen(view: &View, call: At, shown: Cause, counted: &str) -> Cause {
    let name = &view.span(call).name;
    let sentence =
        format!("{name} reported success, but its effect does not show: {}", shown.sentence);
    let mut cause = at_place(view, call, CauseKind::WithoutEffect, &sentence);
    let request = shown.request_id.map(|id| format!(" (request id {id})")).unwrap_or_default();
    let counted = if counted.is_empty() { String::new() } else { format!(": {counted}") };
    let text = format!("{}{request}{counted}", shown.sentence);
    cause.evidence.insert(0, Evidence { text, span_id: shown.span_id });
    cause
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

    /// The call that made a change, before an odd answer of a call that only looks, in one step.
    fn change_before(&self, found: &Found) -> Option<At> {
        let at = found.place.filter(|&at| self.has(at) && self.view.is_call(at))?;
        let answered = found.cause.kind == CauseKind::Changed && self.view.only_looks(at);
        let step = self.view.step(at).filter(|_| answered)?;
        let below = self.view.tree.below(step);
        below.take_while(|&before| before < at).filter(|&at| self.is_change(at)).last()
    }

    /// The last call that made a change in a step which gave up waiting for its effect.
    fn last_change(&self, blamed: &Cause) -> Option<At> {
        let waited = matches!(
            blamed.kind,
            CauseKind::NotMoving | CauseKind::Failed | CauseKind::WithoutEffect
        );
        let place = blamed.span_id.as_ref().filter(|_| waited)?;
        let place = self.places.iter().copied().find(|&at| {
            self.view.step(at) == Some(at) && self.view.span(at).span_id.to_string() == *place
        })?;
        self.view.tree.below(place).rev().find(|&at| self.is_change(at))
    }

    fn is_change(&self, at: At) -> bool {
        self.view.is_call(at) && !self.view.only_looks(at) && !self.view.span(at).failed()
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
