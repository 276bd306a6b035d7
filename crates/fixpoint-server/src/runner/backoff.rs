//! How long to wait after a failed run, and when to stop trying.
//!
//! Not for waits within a run, nor for the attempts of one cloud call. The surprise: durations
//! are in world time, so that a fast sandbox also retries fast.

use std::time::Duration;

use fixpoint::Pace;
use jiff::Timestamp;

/// A cloud's hiccup is mostly over in seconds.
const FIRST: Duration = Duration::from_secs(5);

/// Longer than this, and an operator who has mended the cause wonders why nothing happens.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// Eight runs stretch over about ten minutes. What has not gone away by then needs a person, or
/// a change of the spec.
pub(super) const MAX_FAILURES: u32 = 8;

/// How long to wait after so many failures in a row, in world time; none: do not try again.
///
/// Doubles each time. The jitter takes off up to half, so that resources which failed together
/// do not come back together.
pub(super) fn delay(failures: u32) -> Option<Duration> {
    if failures >= MAX_FAILURES {
        return None;
    }
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1)).min(LONGEST);
    Some(doubled.mul_f64(1.0 - fastrand::f64() / 2.0))
}

/// Whether a retry at `time` is still to come. One further away than any delay is not: it says that
/// the clock was set back, and nobody should have to wait until it is there again.
pub(super) fn is_to_come(time: Timestamp, now: Timestamp, pace: Pace) -> bool {
    let left = Duration::try_from(time.duration_since(now)).unwrap_or_default();
    !left.is_zero() && left <= pace.wall(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_that_is_further_away_than_any_delay_is_due() {
        let at = |seconds: i64| Timestamp::from_second(1_763_800_000 + seconds).unwrap();
        let is_to_come = |seconds| is_to_come(at(seconds), at(0), Pace::REAL);
        assert_eq!([-1, 0, 1, 300].map(is_to_come), [false, false, true, true]);
        assert!(!is_to_come(3_600), "the clock was set back by an hour");
    }

    #[test]
    fn delays_double_up_to_a_bound_with_at_most_half_taken_off_and_then_end() {
        for (failures, whole) in [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300)] {
            let delay = delay(failures).unwrap();
            let whole = Duration::from_secs(whole);
            assert!(delay <= whole && delay >= whole / 2, "{failures}: {delay:?}");
        }
        assert_eq!(delay(MAX_FAILURES), None);
    }
}
