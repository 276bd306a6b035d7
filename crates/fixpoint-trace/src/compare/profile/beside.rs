//! Which calls of one span were at work at the same time.
//!
//! Of such calls none came first, whichever began first. Not here: which call began after which,
//! which is counted as well. The surprise: once is enough. Two calls that good traces know side by side
//! do not wait for each other, also where one happened to be over before the other began.

use hashbrown::HashSet;

use super::{
    NOWHERE,
    paths::{Path, PathId, ordered},
};
use crate::compare::tree::{At, Tree};

/// So much of a call may overlap with the next one: clocks and threads are not exact.
const SLACK: u64 = 16;

/// More calls than this that are at work at the same time are a crowd.
const CROWD: usize = 32;

impl Path {
    /// Whether two of its calls were ever at work at the same time.
    pub fn side_by_side(&self, a: PathId, b: PathId) -> bool {
        self.beside.count(&ordered(a, b)) > 0
    }

    /// How often a call began right after another. Of two that were ever side by side either may
    /// come first, so each stands for both.
    pub fn successions(&self, before: PathId, then: PathId) -> u64 {
        if self.beside.total() == 0 {
            return self.calls.count(&(before, then));
        }
        let alike = |a: PathId, b: PathId| a == b || self.side_by_side(a, b);
        let pairs = self
            .calls
            .iter()
            .filter(|&(&(a, b), _)| b == then && alike(a, before) || a == before && alike(b, then));
        pairs.map(|(_, times)| times).max().unwrap_or(0)
    }
}

/// The calls that were at work at the same time as another, each two once. Siblings stand by start.
pub(super) fn side_by_side(
    tree: &Tree<'_>,
    places: &[PathId],
    siblings: impl Iterator<Item = At>,
) -> HashSet<(PathId, PathId)> {
    let (mut found, mut at_work) = (HashSet::new(), Vec::<(u64, PathId)>::new());
    for at in siblings.filter(|&at| places[at] != NOWHERE) {
        let (start, place) = (tree.span(at).start, places[at]);
        at_work.retain(|&(end, _)| end > start);
        at_work.truncate(CROWD);
        let others = at_work.iter().map(|&(_, other)| other).filter(|&other| other != place);
        found.extend(others.map(|other| ordered(place, other)));
        let end = end(tree, at);
        match at_work.iter_mut().find(|known| known.1 == place) {
            Some(known) => known.0 = known.0.max(end),
            None => at_work.push((end, place)),
        }
    }
    found
}

/// When a call was over, as far as others may have waited for it.
fn end(tree: &Tree<'_>, at: At) -> u64 {
    let span = tree.span(at);
    span.end.map_or(u64::MAX, |end| end - end.saturating_sub(span.start) / SLACK)
}
