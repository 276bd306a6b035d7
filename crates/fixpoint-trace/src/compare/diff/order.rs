//! Which siblings stand in another order.
//!
//! Not here: which belong together. The surprise: only an order that was kept counts. Of two that
//! were at work at the same time, in either trace, none was first.

use super::{lcs::rising, sheet::Sheet};
use crate::compare::tree::At;

/// Of pairs of siblings, in the order of the first trace: which stand in order in the second as
/// well, and which of the others are out of order for a reason.
pub(super) struct Order {
    /// By pair: it is one of the longest row of pairs in the same order.
    pub(super) spine: Vec<bool>,
    /// By pair: it was before another in the one trace, and after it in the other.
    pub(super) moved: Vec<bool>,
}

/// Orders pairs of places. `a` and `b` are by start, `pairs` by the places of `a` among them.
pub(super) fn order(pairs: &[(At, At)], a: &Sheet<'_>, b: &Sheet<'_>, rank: &[usize]) -> Order {
    let mut spine = vec![false; pairs.len()];
    rising(rank).into_iter().for_each(|at| spine[at] = true);
    let mut moved = vec![false; pairs.len()];
    if spine.iter().any(|of| !of) {
        let times = |sheet: &Sheet<'_>, at: At| {
            let span = sheet.span(at);
            // What takes no time still has a moment of its own.
            (span.start, span.end.unwrap_or(sheet.now).max(span.start + 1))
        };
        let of_a: Vec<_> = pairs.iter().map(|pair| times(a, pair.0)).collect();
        let of_b: Vec<_> = pairs.iter().map(|pair| times(b, pair.1)).collect();
        let first = overtaken(&of_a, &of_b);
        let last = overtaken(&of_b, &of_a);
        for (at, moved) in moved.iter_mut().enumerate() {
            *moved = !spine[at] && (first[at] || last[at]);
        }
    }
    Order { spine, moved }
}

/// For each: whether it ended before some other began by `x`, which ended before it began by `y`.
fn overtaken(x: &[(u64, u64)], y: &[(u64, u64)]) -> Vec<bool> {
    let mut by_start: Vec<usize> = (0..x.len()).collect();
    by_start.sort_unstable_by_key(|&at| std::cmp::Reverse(x[at].0));
    let mut by_end: Vec<usize> = (0..x.len()).collect();
    by_end.sort_unstable_by_key(|&at| std::cmp::Reverse(x[at].1));
    let mut later = by_start.into_iter().peekable();
    // The first end, by `y`, of those that began after the one at hand had ended, by `x`.
    let mut first_end = u64::MAX;
    let mut found = vec![false; x.len()];
    for at in by_end {
        while let Some(other) = later.next_if(|&other| x[other].0 >= x[at].1) {
            first_end = first_end.min(y[other].1);
        }
        found[at] = first_end <= y[at].0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_order_that_was_kept_counts() {
        let row = [(0, 10), (10, 20), (20, 30)];
        let reversed = [(20, 30), (10, 20), (0, 10)];
        let at_once = [(2, 30), (1, 30), (0, 30)];
        assert_eq!(overtaken(&row, &row), [false; 3]);
        assert_eq!(overtaken(&row, &reversed), [true, true, false]);
        assert_eq!(overtaken(&reversed, &row), [false, true, true]);
        assert_eq!(overtaken(&row, &at_once), [false; 3]);
        assert_eq!(overtaken(&at_once, &row), [false; 3]);
    }
}
