//! Which findings are consequences of others, and what speaks for a finding.
//!
//! Not here: how much a finding matters. The surprise: what went wrong first need not be the most
//! surprising. Of findings that are nearly as weighty as the weightiest, in one trace, the one that
//! came first in time is the cause.

use std::cmp::Reverse;

use super::{Finding, What, places::Found};

/// A finding with this share of the greatest score is nearly as weighty.
const NEARLY: f64 = 0.5;
/// What is below the weightiest may have caused it, and need not be as weighty.
const BELOW: f64 = 0.25;

/// Puts findings together, the first cause first and the others by weight. What is too weak to
/// stand for itself is left out if it does not belong to what is not.
pub(super) fn put_together(mut found: Vec<Found>, most: usize) -> Vec<Finding> {
    if let Some(first) = first_cause(&found) {
        let first = found.remove(first);
        found.insert(0, first);
    }
    let mut causes: Vec<Found> = Vec::new();
    for found in found {
        let related = causes.iter_mut().find_map(|cause| Some((relation(cause, &found)?, cause)));
        match related {
            Some((Relation::Same, _)) => {}
            Some((Relation::Evidence, cause)) => cause.finding.because.push(found.finding),
            Some((Relation::Consequence, cause)) => cause.finding.consequences.push(found.finding),
            None if found.finding.stands => causes.push(found),
            None => {}
        }
    }
    let shortened = |found: Found| {
        let mut finding = found.finding;
        finding.because.truncate(most);
        finding.consequences.truncate(most);
        finding
    };
    causes.into_iter().map(shortened).take(most).collect()
}

/// The weightiest finding, or what came before it in the same trace and is nearly as weighty.
fn first_cause(found: &[Found]) -> Option<usize> {
    let best = found.iter().find(|found| found.finding.stands)?;
    let slow = |finding: &Finding| matches!(finding.what, What::Slow(_) | What::SlowEdge { .. });
    let weighty = |other: &Found| {
        let below = other.line.len() > best.line.len() && other.line.starts_with(&best.line);
        let share = if below { BELOW } else { NEARLY };
        other.finding.stands
            && other.trace == best.trace
            && other.finding.score >= share * best.finding.score
            // That something took longer does not make another call go missing.
            && slow(&other.finding) == slow(&best.finding)
    };
    let earlier = |at: usize| {
        let found = &found[at];
        // At the same moment, a changed answer speaks for the missing call after it.
        let told = match found.finding.what {
            What::Changed { .. } | What::ChangedLines { .. } => 2,
            What::Reordered { .. } => 1,
            _ => 0,
        };
        (found.time, told, Reverse(found.line.len()), at)
    };
    (0..found.len()).filter(|&at| weighty(&found[at])).min_by_key(|&at| earlier(at))
}

enum Relation {
    /// The same thing told in another way.
    Same,
    /// It speaks for the cause.
    Evidence,
    /// It follows from the cause.
    Consequence,
}

/// How a finding has to do with its cause, if it has.
fn relation(cause: &Found, other: &Found) -> Option<Relation> {
    if cause.trace != other.trace {
        return relation_of_paths(&cause.finding, &other.finding);
    }
    let structure = |finding: &Finding| {
        matches!(
            finding.what,
            What::MissingCall { .. } | What::ExtraCall { .. } | What::Reordered { .. }
        )
    };
    let (has_structure, is_structure) = (structure(&cause.finding), structure(&other.finding));
    if has_structure {
        // Something about the call after which it went another way, or about what is below it.
        let before = cause.after.is_some_and(|after| other.line.contains(&after));
        if before && !is_structure {
            return Some(Relation::Evidence);
        }
        if is_structure && cause.at == other.at {
            let same = cause.after == other.after
                && matches!(other.finding.what, What::Reordered { .. })
                && cause.finding.suspect == other.finding.suspect;
            return Some(if same { Relation::Same } else { Relation::Consequence });
        }
    }
    // What a caller is like follows from what it called.
    let above = other.line.len() < cause.line.len() && cause.line.starts_with(&other.line);
    // What came later, in the same service, may well follow.
    let later = other.time > cause.time && other.finding.suspect == cause.finding.suspect;
    (above || later).then_some(Relation::Consequence)
}

/// The same for findings that are shown in different traces.
fn relation_of_paths(cause: &Finding, other: &Finding) -> Option<Relation> {
    let (longer, shorter) = (&cause.path, &other.path);
    let slow = |finding: &Finding| matches!(finding.what, What::Slow(_) | What::SlowEdge { .. });
    (slow(other) && !slow(cause) && shorter.len() < longer.len() && longer.starts_with(shorter))
        .then_some(Relation::Consequence)
}
