//! How much each piece of evidence matters, and which service it points at.
//!
//! Not here: which of two findings is the cause of the other. The surprise: the suspect need not be
//! where the evidence is. A slow way to a service speaks against that service, as long as the
//! caller's ways to and from others are not slow too.

use std::collections::BTreeMap;

use super::{
    Limits,
    evidence::{Evidence, Evidences, Sign},
};
use crate::compare::{
    label::Name,
    profile::paths::{EDGE, PathId},
};

/// Two ways are about as slow if the lesser has this share of the greater's weight.
const ABOUT: f64 = 0.5;

/// Half of a trace that is slow says more than twice as much as a quarter, but not all of it.
const SHARE: f64 = 0.25;

/// What takes longer than usual by less than this share of the trace goes unnoticed.
const NOTICED: f64 = 0.005;

/// Evidence that counts.
#[derive(Debug, Clone)]
pub(super) struct Weighed {
    pub(super) evidence: Evidence,
    pub(super) score: f64,
    /// What the score must reach for it to stand for itself.
    pub(super) hurdle: f64,
    /// In the names of the traces' own profile.
    pub(super) suspect: Name,
}

/// Evidence that is past the limit, the weightiest first. `trace` is how long a trace takes.
pub(super) fn weigh(
    evidences: &Evidences<'_>,
    list: Vec<Evidence>,
    trace: f64,
    limits: Limits,
) -> Vec<Weighed> {
    let least = limits.bits.min(known(evidences.good.traces()));
    // Values, orders, repetitions and lines of no alarm vary by themselves, and a few traces do not show how.
    let loose = 1.5 + 8.0 / evidences.good.traces().max(1) as f64;
    let slow_tests = (evidences.here.paths().len() as f64).log2();
    let slow = slow_services(evidences, &list, trace);
    let mut weighed: Vec<Weighed> = list
        .into_iter()
        .filter_map(|evidence| {
            let suspect = suspect(evidences, &evidence, &slow)?;
            let weight = weight(evidences, &evidence, trace);
            let score = evidence.bits * weight;
            let hurdle = match evidence.sign {
                // Of so many durations one may well be slow.
                // What nobody would notice is not told, however rare it is.
                Sign::Slow { excess, .. } if least > 0.0 && excess < NOTICED * trace => {
                    f64::INFINITY
                }
                Sign::Slow { .. } if least > 0.0 => weight * (least + slow_tests / 2.0),
                Sign::More { .. } | Sign::Fewer { .. } if again(&evidence) => loose * least,
                Sign::Order { .. } => loose * least,
                // Few traces do not show which values vary at all: of none there is less to know.
                Sign::Value { .. } => weight * loose * limits.bits,
                Sign::Lines { .. } if weight < 1.0 => loose * least,
                _ => least,
            };
            Some(Weighed { evidence, score, hurdle, suspect })
        })
        // Less will do for what speaks for something else.
        .filter(|weighed| weighed.score >= least / 4.0)
        .filter(|weighed| least == 0.0 || weighed.evidence.good.share() < 0.5)
        .collect();
    let depth = |path: PathId| {
        let up = |&path: &PathId| (path != 0).then(|| evidences.here.path(path).parent);
        std::iter::successors(Some(path), up).count()
    };
    // Deeper first, then as traces were read: a total order.
    weighed.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| depth(b.evidence.path).cmp(&depth(a.evidence.path)))
            .then_with(|| a.evidence.path.cmp(&b.evidence.path))
    });
    weighed
}

/// How surprising something can be at least to count, as far as so many good traces can tell. From
/// one good trace one learns only in what another differs.
fn known(good: u64) -> f64 {
    1.5 * (good as f64 + 1.0).log2()
}

/// How much a kind of evidence says, beside how surprising it is. `trace` is how long a trace takes.
fn weight(evidences: &Evidences<'_>, evidence: &Evidence, trace: f64) -> f64 {
    match evidence.sign {
        // What is slow matters as far as it makes the whole slow.
        Sign::Slow { excess, .. } => {
            let share = (excess / trace.max(1.0)).clamp(0.01, 1.0);
            (1.0 + excess / 1e6).ln().min(8.0) / 4.0 * share.powf(SHARE)
        }
        Sign::Fewer { .. } | Sign::More { .. } | Sign::Failed | Sign::Open => 1.0,
        Sign::Order { .. } => 0.9,
        Sign::Lines { then, .. } => {
            let line = evidences.here.names().text_of(then);
            if line.starts_with("ERROR") || line.starts_with("WARN") { 1.0 } else { 0.8 }
        }
        Sign::Value { .. } => 0.5,
    }
}

/// Whether a call is made in good traces as well as here, but not as often.
fn again(evidence: &Evidence) -> bool {
    match evidence.sign {
        Sign::More { usual, .. } => usual > 0,
        Sign::Fewer { least, .. } => least > 1,
        _ => false,
    }
}

/// Services whose ways to or from two others or more are slow, and about as slow; with how many.
fn slow_services(
    evidences: &Evidences<'_>,
    list: &[Evidence],
    trace: f64,
) -> BTreeMap<Name, usize> {
    let mut ways: BTreeMap<Name, BTreeMap<Name, f64>> = BTreeMap::new();
    for evidence in list.iter() {
        if let Sign::Slow { edge: true, .. } = evidence.sign
            && let Some(caller) = service(evidences, evidence.path)
            && let Some(callee) = callee(evidences, evidence.path)
        {
            for (one, other) in [(caller, callee), (callee, caller)] {
                let slowest = ways.entry(one).or_default().entry(other).or_default();
                *slowest = slowest.max(evidence.bits * weight(evidences, evidence, trace));
            }
        }
    }
    let about_as_slow = |others: BTreeMap<Name, f64>| {
        let slowest = others.values().copied().fold(0.0, f64::max);
        others.values().filter(|&&slow| slow >= ABOUT * slowest).count()
    };
    ways.into_iter().map(|(one, others)| (one, about_as_slow(others))).collect()
}

fn suspect(
    evidences: &Evidences<'_>,
    evidence: &Evidence,
    slow: &BTreeMap<Name, usize>,
) -> Option<Name> {
    let here = service(evidences, evidence.path);
    match evidence.sign {
        // The end that has more slow ways; the far one, if neither has.
        Sign::Slow { edge: true, .. } => {
            let ways = |end: Option<Name>| end.and_then(|end| slow.get(&end)).copied().unwrap_or(0);
            let there = callee(evidences, evidence.path);
            if ways(here) > ways(there) { here } else { there.or(here) }
        }
        // Nothing more after a call: what it answered is to be looked at.
        Sign::Order { before, then: EDGE, .. } if before != EDGE => {
            callee(evidences, before).or_else(|| service(evidences, before)).or(here)
        }
        Sign::More { call, .. } => here.or_else(|| service(evidences, call)),
        Sign::Fewer { call, good, .. } => {
            here.or_else(|| service(evidences, call?)).or_else(|| {
                let label = evidences.good.path(good).label?;
                evidences.here.names().known(evidences.good.names().text(label.service))
            })
        }
        _ => here,
    }
}

fn service(evidences: &Evidences<'_>, path: PathId) -> Option<Name> {
    evidences.here.path(path).label.map(|label| label.service)
}

/// The other service that a path calls.
pub(super) fn callee(evidences: &Evidences<'_>, path: PathId) -> Option<Name> {
    let own = service(evidences, path)?;
    let children = &evidences.here.path(path).children;
    children.iter().filter_map(|&child| service(evidences, child)).find(|&other| other != own)
}
