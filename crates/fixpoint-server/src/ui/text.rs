//! Times, durations and addresses as the pages write them.
//!
//! All times are UTC: they stand beside log lines, which are UTC too.

use jiff::{SignedDuration, Timestamp};

/// `2026-03-01 09:30:07 UTC`.
pub(super) fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `09:30:07`.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `0.34 s`, `12.3 s`, `2 m 05 s`, `1 h 02 m`; as in the waterfall.
pub(crate) fn duration(span: SignedDuration) -> String {
    let seconds = span.as_secs_f64().max(0.0);
    let whole = seconds.round() as u64;
    match seconds {
        s if s < 0.9995 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 59.95 => format!("{s:.1} s"),
        _ if whole < 3600 => format!("{} m {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} m", whole / 3600, whole % 3600 / 60),
    }
}

/// As [`duration`], and finer below ten milliseconds: `340 µs`, `1.2 ms`.
pub(super) fn length(span: SignedDuration) -> String {
    let micros = span.as_secs_f64() * 1e6;
    match micros {
        ..=0.0 => "0".to_owned(),
        ..999.5 => format!("{:.0} µs", micros.max(1.0)),
        ..9_950.0 => format!("{:.1} ms", micros / 1e3),
        _ => duration(span),
    }
}

/// As [`length`], of nanoseconds.
pub(super) fn nanos(nanos: u64) -> String {
    length(SignedDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

/// A round length, for the lines of a scale: `20 µs`, `2 m`.
pub(super) fn tick(nanos: u64) -> String {
    let units =
        [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms")];
    let unit = units.into_iter().find(|(unit, _)| nanos >= *unit && nanos.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1_000, "µs"));
    format!("{} {name}", nanos / unit)
}

/// How long ago something was, roughly: `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`.
pub(super) fn ago(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    match seconds {
        ..1 => "just now".to_owned(),
        1..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// Percent-encoded, for a segment of a path or the value of a query parameter: all but RFC 3986's
/// unreserved characters, so it is right in both.
pub(super) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

/// An address with those of the parameters that have a value.
pub(super) fn address(path: &str, parameters: &[(&str, &str)]) -> String {
    let said = parameters.iter().filter(|(_, value)| !value.is_empty());
    let said: Vec<_> = said.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_at_every_size() {
        let text = |ms| duration(SignedDuration::from_millis(ms));
        assert_eq!(text(340), "340 ms");
        assert_eq!(text(1_250), "1.25 s");
        assert_eq!(text(12_340), "12.3 s");
        assert_eq!(text(125_000), "2 m 05 s");
        assert_eq!(text(3_725_000), "1 h 02 m");
        assert_eq!(text(-5), "0 ms");
    }

    #[test]
    fn short_lengths_keep_two_digits() {
        let text = |nanos| length(SignedDuration::from_nanos(nanos));
        assert_eq!(text(0), "0");
        assert_eq!(text(120), "1 µs");
        assert_eq!(text(340_000), "340 µs");
        assert_eq!(text(1_234_000), "1.2 ms");
        assert_eq!(text(34_000_000), "34 ms");
        assert_eq!(nanos(u64::MAX), "2562047 h 47 m");
    }

    #[test]
    fn the_past_is_told_in_one_unit() {
        let text = |seconds| ago(SignedDuration::from_secs(seconds));
        assert_eq!(text(-1), "just now");
        assert_eq!(text(59), "59 s ago");
        assert_eq!(text(7_199), "1 h ago");
        assert_eq!(text(3_599), "59 min ago");
        assert_eq!(text(100_000), "27 h ago");
        assert_eq!(text(259_200), "3 days ago");
    }

    #[test]
    fn nothing_in_an_id_can_leave_its_segment() {
        assert_eq!(encoded("a/b?c=d#e é"), "a%2Fb%3Fc%3Dd%23e%20%C3%A9");
    }
}
