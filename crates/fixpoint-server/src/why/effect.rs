//! What calls claim and nobody sees: a change that was answered as made, and a look that does not
//! show it.
//!
//! Needs no good run. Not here: how a claim is told from an answer (`claims.rs`), and what else may
//! be the cause (`rank.rs`). The surprise: a change and the look after it speak against each other,
//! and a trace alone cannot tell which of the two is wrong. So both are named, always.

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{compare::tree::At, semconv};

use super::{
    claims::{Call, Calls, names_a_thing},
    plan::{at_place, call_failure},
    view::{CREATE, View, text, with_request},
};

/// The call behind what is blamed, if what it claims does not show; what is blamed is its
/// consequence.
pub(super) fn unseen(view: &View, blamed: &Cause, places: &[At]) -> Option<Cause> {
    let at = blamed.span_id.as_ref()?.parse().ok().and_then(|id| view.place(id))?;
    let calls = Calls::read(view);
    let effect = Effect { view, calls: &calls };
    let mut cause = match blamed.kind {
        CauseKind::Failed if view.is_call(at) => effect.not_found(at, blamed)?,
        CauseKind::Failed | CauseKind::NotMoving => effect.in_step(view.step(at)?, blamed)?,
        CauseKind::WithoutEffect => effect.in_plan(places, blamed)?,
        _ => return None,
    };
    cause.consequences.push(blamed.clone());
    Some(cause)
}

/// What is blamed, where nothing else tells why: with the change that was made in vain, or with what
/// a wait has looked at.
pub(super) fn alone(view: &View, mut blamed: Cause, places: &[At]) -> Cause {
    match blamed.kind {
        CauseKind::WithoutEffect => in_vain(view, &blamed, places).unwrap_or(blamed),
        CauseKind::NotMoving => {
            if let Some(looked) = looked_at(view, &blamed) {
                blamed.evidence.insert(0, looked);
            }
            blamed
        }
        _ => blamed,
    }
}

/// The last change in steps that ran in vain. Whether a look shows it cannot be told from what was
/// asked.
fn in_vain(view: &View, blamed: &Cause, places: &[At]) -> Option<Cause> {
    let calls = Calls::read(view);
    let effect = Effect { view, calls: &calls };
    let within = |call: &&Call| view.upwards(call.at).any(|at| places.contains(&at));
    let change = calls.all().rev().filter(|call| call.claims()).find(within)?;
    let looks = effect.by_plan(change);
    let mut cause = effect.doubted(change, looks.last()?, looks.len(), &blamed.sentence);
    cause.consequences.push(blamed.clone());
    Some(cause)
}

/// What a wait looked at, if it always looked at one thing: what it saw comes from there.
fn looked_at(view: &View, waited: &Cause) -> Option<Evidence> {
    let at = waited.span_id.as_ref()?.parse().ok().and_then(|id| view.place(id))?;
    let looks: Vec<At> = view.tree.below(at).filter(|&at| view.is_call(at)).collect();
    let last = view.span(*looks.last()?);
    if !looks.iter().all(|&at| view.only_looks(at) && view.span(at).name == last.name) {
        return None;
    }
    let answer = |at: At| text(view.span(at), semconv::RESPONSE);
    let same = looks.iter().all(|&look| answer(look) == text(last, semconv::RESPONSE));
    let said = match (looks.len(), same) {
        (1, _) => format!("{} was asked once", last.name),
        (times, true) => format!("{} was asked {times} times, with the same answer", last.name),
        (times, false) => format!("{} was asked {times} times", last.name),
    };
    let text = with_request(&said, text(last, semconv::AWS_REQUEST_ID));
    Some(Evidence { text, span_id: Some(last.span_id.to_string()) })
}

/// Calls, to hold against each other.
pub(super) struct Effect<'a, 'b> {
    pub(super) view: &'a View<'b>,
    pub(super) calls: &'a Calls,
}

impl Effect<'_, '_> {
    /// A call failed since AWS does not know what it was asked about: the change that is said to have
    /// made that, if no look has shown it either.
    fn not_found(&self, at: At, blamed: &Cause) -> Option<Cause> {
        let failed = self.calls.at(at).filter(|_| self.is_not_found(at))?;
        let maker = self.maker(failed)?;
        let sentence = format!(
            "{} reported success, but its effect does not show: {}",
            self.name(maker),
            blamed.sentence
        );
        let text = with_request(&blamed.sentence, blamed.request_id.as_deref());
        Some(self.cause(maker, &sentence, Evidence { text, span_id: blamed.span_id.clone() }))
    }

    /// The change before a call that claims to have made something which the call names, if nothing
    /// has confirmed that: no look has shown it, and no other change of it has succeeded.
    fn maker(&self, of: &Call) -> Option<&Call> {
        let named = of.asked().filter(|pair| names_a_thing(&pair.0));
        let makers = named.filter_map(|pair| {
            let mut claims = self.calls.all().filter(|call| {
                call.claims()
                    && call.end <= of.start
                    && (call.was_asked(pair) || call.answered(pair))
            });
            let only = claims.next().filter(|_| claims.next().is_none())?;
            (!self.calls.is_shown(pair, only.end)).then_some(only)
        });
        makers.max_by_key(|change| change.end)
    }

    fn is_not_found(&self, at: At) -> bool {
        let code = text(self.view.span(at), semconv::ERROR_TYPE).unwrap_or_default();
        code.ends_with("NotFound") || code.starts_with("NoSuch")
    }

    /// A step gave up: the change in it that the looks after it, in the same step, do not show.
    fn in_step(&self, step: At, blamed: &Cause) -> Option<Cause> {
        let within = |call: &&Call| self.view.step(call.at) == Some(step);
        let changes: Vec<_> =
            self.calls.all().filter(within).filter(|call| call.claims()).collect();
        let looks = |change: &Call| {
            let after = |call: &&Call| !call.changes && call.start >= change.end;
            self.calls.all().filter(within).filter(after).collect::<Vec<_>>()
        };
        // What made something comes before what only set something of it.
        let made = changes.iter().filter(|change| !self.calls.made(change).is_empty());
        made.chain(&changes).find_map(|change| {
            let about = self.calls.about(change, looks(change));
            self.against(change, &about, &blamed.sentence)
        })
    }

    /// A step ran, and the plan plans it again: the change in it that the plan's later looks do not
    /// show. What it did last is asked about first.
    fn in_plan(&self, places: &[At], blamed: &Cause) -> Option<Cause> {
        let mut runs: Vec<At> = places.to_vec();
        runs.sort_by_key(|&at| std::cmp::Reverse(self.view.span(at).start));
        let changes = |&run: &At| {
            let below = self.view.tree.below(run);
            let calls: Vec<_> = below.filter_map(|at| self.calls.at(at)).collect();
            calls.into_iter().filter(|call| call.claims())
        };
        runs.iter()
            .flat_map(changes)
            .find_map(|change| self.against(change, &self.by_plan(change), &blamed.sentence))
    }

    /// How the plan looked, after a change, at what was changed.
    pub(super) fn by_plan(&self, change: &Call) -> Vec<&Call> {
        let looks = self.calls.all().filter(|call| {
            let step = self.view.step(call.at);
            !call.changes
                && call.start >= change.end
                && step.is_some_and(|at| self.view.span(at).name == CREATE)
        });
        self.calls.about(change, looks.collect())
    }

    /// A change and the looks after it, if the last of them does not show it.
    pub(super) fn against(&self, change: &Call, looks: &[&Call], then: &str) -> Option<Cause> {
        let last = looks.last()?;
        if last.failed {
            return Some(self.blind(last, change));
        }
        let shown = self.calls.shows(last, change);
        (!shown).then(|| self.doubted(change, last, looks.len(), then))
    }

    fn doubted(&self, change: &Call, look: &Call, times: usize, then: &str) -> Cause {
        let (changed, looked) = (self.name(change), self.name(look));
        let sentence =
            format!("{changed} reported success, but its effect does not show in {looked}: {then}");
        let often = if times > 1 { format!(", asked {times} times since,") } else { String::new() };
        let said = format!("{looked}{often} does not show it");
        let span = self.view.span(look.at);
        let text = with_request(&said, text(span, semconv::AWS_REQUEST_ID));
        let span_id = Some(span.span_id.to_string());
        self.cause(change, &sentence, Evidence { text, span_id })
    }

    /// A look that failed, after a change that it could have shown.
    fn blind(&self, look: &Call, change: &Call) -> Cause {
        let step = self.view.step(look.at).unwrap_or(look.at);
        let step = match &*self.view.span(step).name {
            CREATE => "while the plan looked at the world",
            name => name,
        };
        let mut cause = call_failure(self.view, look.at, step);
        let span_id = Some(self.view.span(change.at).span_id.to_string());
        let text = format!("so the effect of {} was not seen", self.name(change));
        cause.evidence.push(Evidence { text, span_id });
        cause
    }

    fn cause(&self, change: &Call, sentence: &str, evidence: Evidence) -> Cause {
        let mut cause = at_place(self.view, change.at, CauseKind::WithoutEffect, sentence);
        cause.evidence.insert(0, evidence);
        cause
    }

    fn name(&self, call: &Call) -> &str {
        &self.view.span(call.at).name
    }
}

#[cfg(test)]
mod tests;
