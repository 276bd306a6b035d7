//! Good traces with one thing changed, and which span that was.
//!
//! For checking that the right span is named, and the right kind of change; the labelled failures
//! only tell the service. Not here: what the mutants are held against, and how a trace is cut up
//! (`surgery.rs`). The surprise: some changes are none. A clock that is off by a little or another
//! order of calls that ran side by side must be found to differ in nothing.

use fastrand::Rng;
use fixpoint_trace::{
    compare::explain::{Finding, What},
    model::{SpanId, Status, Trace, Value},
};

use super::{dress, surgery};

/// A change, and of a change that is one, the kind of finding it must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A call and all below it are gone.
    Drop,
    /// The same, with all its later siblings.
    Return,
    /// A call that its caller never makes: one that is made elsewhere in the trace.
    Insert,
    /// A call is made four times.
    Repeat,
    /// Two calls of which one waited for the other change places.
    Swap,
    /// A call fails, and two callers above it with it.
    Fail,
    /// A call fails, and nobody above it does.
    Swallow,
    /// A span takes ten times as long by itself, and all that waited for it are later.
    Slow,
    /// The same of the way to another service and back.
    Lag,
    /// An attribute has a value that it never has.
    Value,
    /// An attribute is gone.
    Gone,
    /// An attribute is there that never is.
    Added,
    /// A list in an answer is empty.
    Empty,
    /// All clocks of one service are off by up to five milliseconds: no change.
    Skew,
    /// Calls that ran side by side began in another order: no change.
    Jostle,
    /// Nothing at all: no change.
    Nothing,
}

impl Mutation {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::Drop,
        Self::Return,
        Self::Insert,
        Self::Repeat,
        Self::Swap,
        Self::Fail,
        Self::Swallow,
        Self::Slow,
        Self::Lag,
        Self::Value,
        Self::Gone,
        Self::Added,
        Self::Empty,
        Self::Skew,
        Self::Jostle,
        Self::Nothing,
    ];

    /// What is done, in the words of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "a call and all below it gone",
            Self::Return => "the same, with its later siblings",
            Self::Insert => "a call that its caller never makes",
            Self::Repeat => "a call made three times more",
            Self::Swap => "two calls, one after the other, swapped",
            Self::Fail => "a call fails, and its callers with it",
            Self::Swallow => "a call fails, and nobody else",
            Self::Slow => "ten times as slow, by 100 ms at least",
            Self::Lag => "the way to another service as slow",
            Self::Value => "an attribute with another value",
            Self::Gone => "an attribute gone",
            Self::Added => "an attribute more",
            Self::Empty => "an answer with an empty list",
            Self::Skew => "*clock of one service off by 5 ms at most*",
            Self::Jostle => "*calls side by side in another order*",
            Self::Nothing => "*nothing*",
        }
    }

    /// Whether nothing must be found.
    pub fn is_null(self) -> bool {
        matches!(self, Self::Skew | Self::Jostle | Self::Nothing)
    }

    /// Whether a finding is of the right kind.
    pub fn is_told_by(self, finding: &Finding) -> bool {
        match (self, &finding.what) {
            (Self::Drop | Self::Return, What::MissingCall { .. })
            | (Self::Return | Self::Swap, What::Reordered { .. })
            | (Self::Insert | Self::Repeat, What::ExtraCall { .. })
            | (Self::Fail | Self::Swallow, What::Failed { .. })
            | (Self::Slow | Self::Lag, What::Slow(_) | What::SlowEdge { .. }) => true,
            (Self::Value | Self::Gone, What::Changed { attribute, .. }) => attribute == dress::KIND,
            (Self::Added, What::Changed { attribute, .. }) => attribute == dress::NEW,
            (Self::Empty, What::Changed { attribute, .. }) => attribute == dress::ANSWER,
            _ => false,
        }
    }
}

/// A trace with one thing changed.
#[derive(Debug)]
pub struct Mutant {
    /// The trace.
    pub trace: Trace,
    /// The span that a finding must name: of calls that are gone, too many or in another order, the
    /// caller. None if there is nothing to find.
    pub truth: Option<SpanId>,
}

/// Changes one thing of a trace; none if it has no span for that.
pub fn mutate(mutation: Mutation, trace: &Trace, rng: &mut Rng) -> Option<Mutant> {
    let mut trace = trace.clone();
    // A root has no caller that could miss it, and what nobody calls cannot return early.
    let fit: Vec<usize> = (0..trace.spans.len())
        .filter(|&at| surgery::parent(&trace, at).is_some() && fits(mutation, &trace, at))
        .collect();
    let at = match mutation {
        Mutation::Skew | Mutation::Nothing => 0,
        _ => *fit.get(rng.usize(..fit.len().max(1)))?,
    };
    let caller = trace.spans[at].parent;
    let itself = Some(trace.spans[at].span_id);
    let truth = match mutation {
        Mutation::Drop => {
            surgery::remove(&mut trace, &[at]);
            caller
        }
        Mutation::Return => {
            let later: Vec<usize> = surgery::siblings(&trace, at)
                .filter(|&other| trace.spans[other].start >= trace.spans[at].start)
                .collect();
            surgery::remove(&mut trace, &later);
            caller
        }
        Mutation::Insert => {
            surgery::insert(&mut trace, at, rng)?;
            itself
        }
        Mutation::Repeat => {
            surgery::repeat(&mut trace, at, rng);
            caller
        }
        Mutation::Swap => {
            let next = surgery::next(&trace, at)?;
            surgery::swap(&mut trace, at, next);
            caller
        }
        Mutation::Fail => {
            let mut failing = Some(at);
            for _ in 0..3 {
                let Some(at) = failing else { break };
                trace.spans[at].status = Status::Error("made to fail".to_owned());
                failing = surgery::parent(&trace, at);
            }
            itself
        }
        Mutation::Swallow => {
            trace.spans[at].status = Status::Error("made to fail".to_owned());
            itself
        }
        Mutation::Slow => {
            surgery::delay(&mut trace, at);
            itself
        }
        Mutation::Lag => {
            surgery::lag(&mut trace, at);
            itself
        }
        Mutation::Value => set(&mut trace, at, dress::KIND, "quite another".into()),
        Mutation::Added => set(&mut trace, at, dress::NEW, "true".into()),
        Mutation::Empty => set(&mut trace, at, dress::ANSWER, dress::NO_ITEM.into()),
        Mutation::Gone => {
            trace.spans[at].attributes.shift_remove(dress::KIND);
            itself
        }
        Mutation::Skew => {
            surgery::skew(&mut trace, rng);
            None
        }
        Mutation::Jostle => {
            surgery::jostle(&mut trace, at, rng);
            None
        }
        Mutation::Nothing => None,
    };
    trace.sort();
    Some(Mutant { trace, truth })
}

/// Whether a span can be changed so.
fn fits(mutation: Mutation, trace: &Trace, at: usize) -> bool {
    match mutation {
        Mutation::Swap => surgery::next(trace, at).is_some(),
        Mutation::Jostle => surgery::beside(trace, at).is_some(),
        Mutation::Lag => surgery::callee(trace, at).is_some(),
        // A list that is always empty says nothing.
        Mutation::Empty => {
            let answer = trace.spans[at].attributes.get(dress::ANSWER);
            answer.is_some_and(|answer| *answer != Value::from(dress::NO_ITEM))
        }
        _ => true,
    }
}

fn set(trace: &mut Trace, at: usize, name: &str, value: Value) -> Option<SpanId> {
    trace.spans[at].attributes.insert(name.to_owned(), value);
    Some(trace.spans[at].span_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_other_where_it_says() {
        for mutation in Mutation::ALL {
            for seed in 0..20 {
                let mut rng = Rng::with_seed(seed);
                let mut good = surgery::tests::trace();
                dress::dress(&mut good);
                let mutant = mutate(mutation, &good, &mut rng);
                let Some(mutant) = mutant else { panic!("{mutation:?} {seed}") };
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
}
