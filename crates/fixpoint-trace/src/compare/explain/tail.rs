//! How long is too long, for durations of which one has only seen so many.
//!
//! Not here: which durations are compared. The surprise: beyond the longest known one there is
//! still something to say, by how the known ones thin out.

use crate::compare::profile::histogram::Histogram;

/// Hardly any: one of so many.
const HARDLY: f64 = 64.0;

/// How durations thin out towards the longest: as a power of the duration, fitted to the median
/// and the longest of them.
pub(super) struct Tail {
    longest: f64,
    power: f64,
    count: f64,
}

impl Tail {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let longest = histogram.max().unwrap_or(0).max(1) as f64;
        let median = histogram.quantile(0.5).unwrap_or(0).max(1) as f64;
        let power = (histogram.count() as f64).ln() / (longest / median).ln().max(0.01);
        // Few durations that are alike do not mean that there can be no other.
        let most = (histogram.count() as f64).log2() / 3.0;
        let count = histogram.count() as f64;
        Self { longest, power: power.clamp(1.0, most.max(1.0)), count }
    }

    /// What hardly any takes longer than, in nanoseconds; longer than the longest by half at least.
    pub(super) fn most(&self) -> u64 {
        let rarer = HARDLY / (self.count + 1.0);
        (self.longest * rarer.powf(1.0 / self.power).max(1.5)) as u64
    }

    /// How much less likely a duration is than the longest.
    pub(super) fn beyond(&self, nanos: u64) -> f64 {
        (self.longest / nanos.max(1) as f64).min(1.0).powf(self.power)
    }
}
