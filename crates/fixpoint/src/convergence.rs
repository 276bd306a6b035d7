//! Tells a plan that gets somewhere from one that goes in circles.
//!
//! An answer's fingerprint is made of its steps' names and keys and of the facts the plan saw.
//! The same fingerprints in the same order, again and again, are a circle: A, A, A or A, B, A, B.
//! Not here: slow progress; that is what the bound on iterations is for. The surprise: a world
//! that moves is recognised only by what the plan says it saw.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use crate::{Seen, Steps};

/// The widest circle that is looked for. Two kinds of step that undo one another make a circle of
/// two; wider ones than this have not been met, and end at the bound on iterations.
const WIDEST: usize = 8;

/// A cloud that is consistent only eventually shows most effects within seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Beyond this the caller's own backoff is the better place to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What the past says of a new answer.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Not seen lately.
    Fresh,
    /// It closes a circle for the `turns`th time.
    Repeated { turns: u32, pause: Duration },
    /// Once too often. With each step's name and key, and the facts, of the whole circle.
    Stuck { steps: Vec<(String, String)>, seen: Vec<Seen>, turns: u32 },
}

/// The last few answers of a plan.
#[derive(Debug)]
pub(crate) struct History {
    repeats: u32,
    /// Fingerprints, newest first.
    recent: VecDeque<u64>,
    /// `matches[p - 1]`: how many answers in a row, up to now, equal the one `p` before them.
    matches: [usize; WIDEST],
    /// What the answers said, oldest first, for as long as they may be part of a circle.
    suspects: VecDeque<Said>,
}

#[derive(Debug)]
struct Said {
    steps: Vec<(String, String)>,
    seen: Vec<Seen>,
}

impl History {
    pub(crate) fn new(repeats: u32) -> Self {
        let recent = VecDeque::with_capacity(WIDEST + 1);
        Self { repeats, recent, matches: [0; WIDEST], suspects: VecDeque::new() }
    }

    /// Adds an answer.
    pub(crate) fn judge(&mut self, answer: &Steps) -> Verdict {
        let print = fingerprint(answer);
        for (back, matches) in self.matches.iter_mut().enumerate() {
            *matches = if self.recent.get(back) == Some(&print) { *matches + 1 } else { 0 };
        }
        self.recent.push_front(print);
        self.recent.truncate(WIDEST);

        if self.matches.iter().all(|matches| *matches == 0) {
            self.suspects.clear();
            return Verdict::Fresh;
        }
        self.suspects.push_back(Said::by(answer));
        if self.suspects.len() > WIDEST {
            self.suspects.pop_front();
        }
        // The narrowest circle has turned most often: A, A, A, A is also A, A twice.
        let turned = |width: usize| (1 + self.matches[width - 1] / width, width);
        let (turns, width) = (1..=WIDEST).map(turned).max().unwrap_or((1, 1));
        let turns = u32::try_from(turns).unwrap_or(u32::MAX);
        match turns {
            0 | 1 => Verdict::Fresh,
            _ if turns < self.repeats => {
                let doubled = FIRST_PAUSE.saturating_mul(1 << (turns - 2).min(16));
                Verdict::Repeated { turns, pause: doubled.min(LONGEST_PAUSE) }
            }
            _ => self.stuck(turns, width),
        }
    }

    fn stuck(&self, turns: u32, width: usize) -> Verdict {
        let circle = || self.suspects.iter().skip(self.suspects.len().saturating_sub(width));
        let mut seen = Vec::new();
        for fact in circle().flat_map(|said| &said.seen) {
            if !seen.contains(fact) {
                seen.push(fact.clone());
            }
        }
        Verdict::Stuck {
            steps: circle().flat_map(|said| said.steps.clone()).collect(),
            seen,
            turns,
        }
    }
}

impl Said {
    fn by(answer: &Steps) -> Self {
        let steps = answer.parts().map(|step| (step.name().to_owned(), step.key()));
        Self { steps: steps.collect(), seen: answer.seen().to_vec() }
    }
}

fn fingerprint(answer: &Steps) -> u64 {
    let mut hasher = DefaultHasher::new();
    for step in answer.steps() {
        step.name().hash(&mut hasher);
        step.key().hash(&mut hasher);
    }
    // Parts the steps from the facts: two lists of other lengths must not read as the same.
    answer.len().hash(&mut hasher);
    answer.seen().hash(&mut hasher);
    hasher.finish()
}
