//! The small charts of `/operations`: what stands where in them.
//!
//! Not here: what is counted. The surprise: they are stretched to their cells, so places and heights
//! are in units of their own: one bar or column is one wide.

use std::fmt;

use fixpoint_trace::model::UnixNanos;

/// How high a chart is.
pub(super) const HEIGHT: f64 = 24.0;

/// How many took so long.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(super) x: usize,
    pub(super) height: Height,
    pub(super) tip: String,
    pub(super) href: String,
}

/// How many there were in a while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(super) x: u64,
    pub(super) height: Height,
    /// How much of it failed, if any did.
    pub(super) failed: Option<Height>,
}

/// How high a count stands in a chart; its text is that of an SVG attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Height(f64);

impl Height {
    /// One is seen beside a million.
    const LEAST: f64 = 1.5;

    /// A count beside the highest one.
    #[allow(clippy::cast_precision_loss, reason = "for a chart of a few pixels")]
    pub(super) fn new(count: u64, of: u64) -> Self {
        Self((count as f64 / of.max(1) as f64 * HEIGHT).max(Self::LEAST))
    }

    /// Where it begins, counted from the top.
    pub(super) fn top(self) -> Self {
        Self(HEIGHT - self.0)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// A while, cut into columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// From here on.
    pub(crate) from: UnixNanos,
    /// Up to here.
    pub(crate) to: UnixNanos,
    /// The width of a column.
    pub(crate) step: u64,
}

impl Window {
    /// The first column may begin before the while does, since all are aligned.
    fn first(self) -> UnixNanos {
        self.from - self.from % self.step.max(1)
    }

    /// Which column a time stands in.
    pub(super) fn column(self, time: UnixNanos) -> u64 {
        time.saturating_sub(self.first()) / self.step.max(1)
    }

    /// How many columns there are.
    pub(super) fn columns(self) -> u64 {
        (self.to.saturating_sub(self.first())).div_ceil(self.step.max(1)).max(1)
    }
}

/// The rung of a ladder of lengths, three to a decade, that a length stands on.
pub(super) fn rung(nanos: u64) -> usize {
    (1..).take_while(|rung| edge(*rung) <= nanos && edge(*rung) < u64::MAX).count()
}

/// Where a rung begins: 1, 2, 5, 10, 20 … microseconds; the first holds what is less as well.
pub(super) fn edge(rung: usize) -> u64 {
    let power = u32::try_from(rung / 3).unwrap_or(u32::MAX);
    let decade = 10_u64.checked_pow(power).and_then(|it| it.checked_mul(1_000));
    decade.and_then(|it| it.checked_mul([1, 2, 5][rung % 3])).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_cover_the_while() {
        let window = Window { from: 130, to: 300, step: 60 };
        assert_eq!(window.columns(), 3);
        assert_eq!([120, 179, 180, 299].map(|time| window.column(time)), [0, 0, 1, 2]);
        assert_eq!(Window { from: 5, to: 5, step: 0 }.columns(), 1);
    }

    #[test]
    fn one_is_seen_beside_a_million() {
        assert_eq!(Height::new(1, 1_000_000).to_string(), "1.50");
        assert_eq!(Height::new(6, 8).to_string(), "18.00");
        assert_eq!(Height::new(6, 8).top().to_string(), "6.00");
    }

    #[test]
    fn every_length_has_its_rung() {
        for (nanos, expected) in
            [(0, 0), (1_999, 0), (2_000, 1), (9_999, 2), (10_000, 3), (1_000_000_000, 18)]
        {
            assert_eq!(rung(nanos), expected, "{nanos}");
        }
        let highest = rung(u64::MAX);
        assert!(edge(highest) < u64::MAX && edge(highest + 1) == u64::MAX);
    }
}
