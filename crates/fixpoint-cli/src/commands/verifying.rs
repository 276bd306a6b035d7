//! How solved resources are kept an eye on: flags of `dev` and `serve`.
//!
//! Not here: the command `verify`. The surprise: the period is in real time, whatever
//! `--time-scale` says, for what it costs is calls and traces.

use std::{str::FromStr, time::Duration};

use fixpoint_server::Verifying;
use fixpoint_trace::query::Length;

/// Whether solved resources are still as wanted.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Drift")]
pub(super) struct Verification {
    /// How often each solved resource is looked at again, or off
    #[arg(long, value_name = "TIME", default_value = "10m")]
    verify_every: Every,
    /// How often a day one resource with `mend: true` is mended by itself
    #[arg(long, value_name = "N", default_value_t = Verifying::default().mends_per_day)]
    mends_per_day: u32,
    /// How many resources are mended by themselves at the same time
    #[arg(long, value_name = "N", default_value_t = Verifying::default().mends_at_once)]
    mends_at_once: u32,
}

impl Verification {
    pub(super) fn verifying(&self) -> Verifying {
        let Self { verify_every: Every(every), mends_per_day, mends_at_once } = *self;
        Verifying { every, mends_per_day, mends_at_once }
    }
}

/// How often; none: off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Every(Option<Duration>);

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let length: Length = text.parse().map_err(|why| format!("{why}"))?;
        let every = Duration::from_nanos(length.0);
        let possible = Duration::from_secs(1)..=Duration::from_secs(7 * 24 * 60 * 60);
        if possible.contains(&every) {
            Ok(Self(Some(every)))
        } else {
            Err("from 1s to 7d is possible, or off".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_length_of_time_or_off() {
        assert_eq!("off".parse(), Ok(Every(None)));
        assert_eq!("10m".parse(), Ok(Every(Some(Duration::from_secs(600)))));
        for bad in ["", "0s", "500ms", "8d", "often"] {
            assert!(bad.parse::<Every>().is_err(), "{bad}");
        }
    }
}
