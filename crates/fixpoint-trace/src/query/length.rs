//! Lengths of time as people write them: `200ms`, `1.5s`, `1h30m`, `7d`.
//!
//! In queries, and wherever a time is given as a length back from now. Not for showing a duration
//! in a column. The surprise: they are exact, to the nanosecond; no float is involved.

use std::{fmt, str::FromStr};

const SECOND: u64 = 1_000_000_000;

/// The units, the longest first, in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// From here on in [`UNITS`], one unit with a fraction says the rest.
const FRACTIONS: usize = 3;

/// A length of time in nanoseconds. Its text is exact both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub u64);

/// The text is no length of time, or longer than 584 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a length of time, such as `200ms`, `1.5s`, `1h30m` or `7d`")]
pub struct InvalidLength;

impl FromStr for Length {
    type Err = InvalidLength;

    fn from_str(text: &str) -> Result<Self, InvalidLength> {
        if text.is_empty() {
            return Err(InvalidLength);
        }
        let (mut total, mut rest) = (0_u64, text);
        while !rest.is_empty() {
            let number =
                rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(InvalidLength)?;
            let (amount, after) = rest.split_at(number);
            let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(unit);
            let nanos = part(amount, unit).ok_or(InvalidLength)?;
            total = total.checked_add(nanos).ok_or(InvalidLength)?;
            rest = after;
        }
        Ok(Self(total))
    }
}

/// A number of one unit, in nanoseconds. What is finer than a nanosecond is cut off.
fn part(amount: &str, unit: &str) -> Option<u64> {
    // Micro, by its two code points.
    let unit = if matches!(unit, "µs" | "μs") { "us" } else { unit };
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.len() > 18 {
        return None;
    }
    let scale = 10_u128.pow(fraction.len() as u32);
    let fraction = u128::from(unit) * u128::from(fraction.parse::<u64>().ok()?) / scale;
    let nanos = u128::from(unit) * u128::from(whole.parse::<u64>().ok()?) + fraction;
    u64::try_from(nanos).ok()
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left == 0 {
            return f.write_str("0s");
        }
        for (name, unit) in &UNITS[..FRACTIONS] {
            if left >= *unit {
                write!(f, "{}{name}", left / unit)?;
                left %= unit;
            }
        }
        match UNITS[FRACTIONS..].iter().find(|(_, unit)| left >= *unit) {
            None => Ok(()),
            Some((name, unit)) if left.is_multiple_of(*unit) => write!(f, "{}{name}", left / unit),
            Some((name, unit)) => {
                let digits = unit.ilog10() as usize;
                let fraction = format!("{:0digits$}", left % unit);
                write!(f, "{}.{}{name}", left / unit, fraction.trim_end_matches('0'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_is_read_in_every_unit_and_as_a_sum() {
        for (text, nanos) in [
            ("7ns", 7),
            ("5us", 5_000),
            ("5µs", 5_000),
            ("5μs", 5_000),
            ("200ms", 200_000_000),
            ("1.5s", 1_500_000_000),
            ("10m", 600 * SECOND),
            ("1h30m", 5_400 * SECOND),
            ("7d", 604_800 * SECOND),
            ("0s", 0),
            ("0.0000000019s", 1),
        ] {
            assert_eq!(text.parse(), Ok(Length(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in
            ["", "s", "1", "1h30", "1.s", ".5s", "1..5s", "-1s", "1 s", "1x", "1S", "999999999d"]
        {
            assert_eq!(text.parse::<Length>(), Err(InvalidLength), "{text:?}");
        }
    }

    #[test]
    fn a_length_is_written_as_people_do() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5us"),
            (1_234_567, "1.234567ms"),
            (90 * SECOND, "1m30s"),
            (86_400 * SECOND, "1d"),
            (3_600 * SECOND + 1, "1h1ns"),
        ] {
            assert_eq!(Length(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos: u64) {
            prop_assert_eq!(Length(nanos).to_string().parse(), Ok(Length(nanos)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-zµ.]{0,40}") {
            let _ = text.parse::<Length>();
        }
    }
}
