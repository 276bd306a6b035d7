//! What went wrong in passing: a run went on, and reached its end, but did something twice.
//!
//! Tells nothing by itself: only where something differs from good runs is it asked whether that
//! follows from a change that had to be made again, or from a look that for once did not show what
//! is there. Not here: runs that failed (`effect.rs`). The surprise: what differs stands in the step
//! that was run once more, where nothing was wrong.

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{compare::tree::At, semconv};

use super::{
    claims::{Call, Calls, Pair, names_a_thing},
    effect::Effect,
    plan::at_place,
    view::{View, text, with_request},
};

/// What went wrong before `then`, and was got over.
pub(super) fn before(view: &View, then: At) -> Option<Cause> {
    let calls = Calls::read(view);
    let effect = Effect { view, calls: &calls };
    let since = view.span(then).start;
    let earlier: Vec<_> = calls.all().filter(|call| call.end <= since && !call.failed).collect();
    let again = || earlier.iter().find_map(|change| made_again(&effect, change));
    earlier.iter().find_map(|look| for_once(&effect, look)).or_else(again)
}

/// A change that was made once more with the same words, since the looks after it did not show it.
fn made_again(effect: &Effect, change: &Call) -> Option<Cause> {
    let again = effect.calls.all().find(|again| {
        change.claims() && again.claims() && again.start >= change.end && again.is_like(change)
    })?;
    let looks = effect.by_plan(change);
    let looks: Vec<_> = looks.into_iter().filter(|look| look.end <= again.start).collect();
    effect.against(change, &looks, "it was made again")
}

/// A look that did not show what the same look showed before it, and after it.
fn for_once(effect: &Effect, look: &Call) -> Option<Cause> {
    if look.changes {
        return None;
    }
    let same = effect.calls.all().filter(|other| other.is_like(look) && !other.failed);
    let same: Vec<_> = same.collect();
    let before = same.iter().rev().find(|other| other.end <= look.start)?;
    let after = same.iter().find(|other| other.start >= look.end)?;
    let is_lost =
        |pair: &&Pair| names_a_thing(&pair.0) && after.answered(pair) && !look.answered(pair);
    let (_, lost) = before.answer().filter(is_lost).min()?;
    let span = effect.view.span(look.at);
    let sentence = format!(
        "{} for once did not show {lost}, which it had shown before and showed again afterwards",
        span.name
    );
    let text = with_request(&sentence, text(span, semconv::AWS_REQUEST_ID));
    let mut cause = at_place(effect.view, look.at, CauseKind::Changed, &sentence);
    cause.evidence.insert(0, Evidence { text, span_id: cause.span_id.clone() });
    Some(cause)
}
