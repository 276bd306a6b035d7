//! World time: the sandbox's own clock, which may run faster than the one on the wall.
//!
//! Not for latencies, which are wall time divided by the pace. Two surprises: it is built on
//! tokio's clock, so a test with paused time moves AWS by hours in milliseconds; and after a
//! restart it goes on where it would be had the process never stopped.

use fixpoint::Pace;
use serde::{Deserialize, Serialize};

/// An instant of world time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Time(pub(super) i64);

impl Time {
    /// Reads the time on the wall.
    pub(super) fn wall() -> Self {
        Time(jiff::Timestamp::now().as_millisecond())
    }

    /// Adds milliseconds.
    pub(super) fn plus(self, milliseconds: i64) -> Self {
        Time(self.0.saturating_add(milliseconds))
    }

    /// Tells the milliseconds that passed since an earlier time, never negative.
    pub(super) fn since(self, earlier: Time) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }

    /// Writes the time as AWS does: `2026-11-22T16:00:00.000Z`.
    pub(super) fn iso(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => String::from("1970-01-01T00:00:00.000Z"),
        }
    }
}

/// Where the clock stood when the world was last saved.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Saved {
    wall: Time,
    world: Time,
    pace: f64,
}

/// A clock that started at some world time and runs at a pace.
#[derive(Debug)]
pub(super) struct Clock {
    start: Time,
    began: tokio::time::Instant,
    factor: f64,
}

impl Clock {
    /// Starts a clock: now on the wall, or where a saved one would be by now.
    pub(super) fn start(pace: Pace, saved: Option<Saved>) -> Self {
        let wall = Time::wall();
        let start = saved.map_or(wall, |saved| {
            // The gap ran at the old pace: readers of the old process saw times up to this one.
            saved.world.plus(scaled(wall.since(saved.wall), saved.pace))
        });
        Clock { start, began: tokio::time::Instant::now(), factor: pace.factor() }
    }

    /// Reads the world time.
    pub(super) fn now(&self) -> Time {
        let elapsed = self.began.elapsed().as_secs_f64() * 1000.0;
        self.start.plus((elapsed * self.factor).round() as i64)
    }

    /// Tells what must be kept so that the clock can go on after a restart.
    pub(super) fn save(&self) -> Saved {
        Saved { wall: Time::wall(), world: self.now(), pace: self.factor }
    }
}

fn scaled(milliseconds: i64, factor: f64) -> i64 {
    (milliseconds as f64 * factor) as i64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn world_time_runs_at_the_pace() {
        let clock = Clock::start(Pace::times(60.0), None);
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now().since(before), 120_000);
    }

    #[test]
    fn a_saved_clock_goes_on_and_never_jumps_back() {
        let saved = Saved { wall: Time::wall().plus(-10_000), world: Time(5_000_000), pace: 60.0 };
        let now = Clock::start(Pace::REAL, Some(saved)).now();
        assert!(now >= Time(5_000_000 + 600_000), "{now:?}");
        let from_future = Saved { wall: Time::wall().plus(60_000), ..saved };
        assert!(Clock::start(Pace::REAL, Some(from_future)).now() >= Time(5_000_000));
    }

    #[test]
    fn times_are_written_as_aws_writes_them() {
        assert_eq!(Time(1_700_000_000_123).iso(), "2023-11-14T22:13:20.123Z");
    }
}
