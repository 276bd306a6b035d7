//! Times gathered and told: median, the 99th and the 99.9th percentile, and the longest.

use std::{fmt, time::Duration};

/// Times, as they come in.
#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

/// What they amount to, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// How many there were.
    pub count: usize,
    /// Half of them took no longer.
    pub p50: f64,
    /// 99 of a hundred took no longer.
    pub p99: f64,
    /// 999 of a thousand took no longer.
    pub p999: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// What they amount to.
    pub fn summary(mut self) -> Summary {
        self.0.sort_unstable();
        let rank = |per_mille: usize| {
            let place = (self.0.len() * per_mille).div_ceil(1000).max(1) - 1;
            self.0.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        let [p50, p99, p999, max] = [500, 990, 999, 1000].map(rank);
        Summary { count: self.0.len(), p50, p99, p999, max }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", self.p50, self.p99, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_occurred() {
        let mut times = Times::default();
        (1..=200).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        let summary = times.summary();
        assert_eq!(
            summary,
            Summary { count: 200, p50: 100.0, p99: 198.0, p999: 200.0, max: 200.0 }
        );
        assert_eq!(Times::default().summary(), Summary::default());
    }
}
