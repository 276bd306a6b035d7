//! Words for what differs: values, counts and times.
//!
//! Not here: what differs (`compared.rs`). The surprise: of two long values only what sets them
//! apart is said. Both whole stand in the comparison of the two traces.

use fixpoint_trace::semconv;
use jiff::SignedDuration;

use crate::ui::text::duration;

/// More of a value than this is not read in a sentence.
const LONGEST: usize = 80;

/// How much that two long values have in common is said around what they have not.
const AROUND: usize = 12;

/// A value that is other than usual, in a sentence.
pub(super) fn changed(
    operation: &str,
    attribute: &str,
    place: Option<&str>,
    usual: Option<&str>,
    value: Option<&str>,
) -> String {
    let said = |value: Option<&str>| match value {
        None | Some("") => "nothing".to_owned(),
        Some(value) => value.to_owned(),
    };
    let (value, usual) = apart(&said(value), &said(usual));
    let none = value == "nothing" || value == "0 items";
    match (attribute, place) {
        (semconv::RESPONSE, Some(place)) if none => {
            format!("{operation} answered with no {place}, usually {usual}")
        }
        (semconv::RESPONSE, Some(place)) => {
            format!("{operation} answered with {place} {value}, usually {usual}")
        }
        (semconv::REQUEST, Some(place)) => {
            format!("{operation} was asked for {place} {value}, usually {usual}")
        }
        (semconv::STEP_KEY, _) => format!("{operation} was to do {value}, usually {usual}"),
        _ => format!("{attribute} of {operation} was {value}, usually {usual}"),
    }
}

/// Two values; if one is long, without most of what they begin and end with both.
fn apart(one: &str, other: &str) -> (String, String) {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut begin = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let most = one.len().min(other.len()) - begin;
    let mut end = one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count();
    end = end.min(most);
    if one.len().max(other.len()) <= LONGEST {
        (begin, end) = (0, 0);
    }
    let cut = |text: &[char]| {
        let from = begin.saturating_sub(AROUND);
        let to = (text.len() - end.saturating_sub(AROUND)).min(from + LONGEST);
        let before = if from > 0 { "…" } else { "" };
        let after = if to < text.len() { "…" } else { "" };
        format!("{before}{}{after}", text[from..to].iter().collect::<String>())
    };
    (cut(&one), cut(&other))
}

/// How often, in a word.
pub(super) fn times(count: u32) -> String {
    match count {
        0 => "not at all".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

/// Nanoseconds, as one says them.
pub(super) fn time(nanos: u64) -> String {
    duration(SignedDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_values_only_what_sets_them_apart_is_said() {
        let value = |nodes: &str| {
            format!(
                "RegisterClusterNodeToLb {{ cluster: idg, balancer: \"idg-balancer\", \
                 nodes: [{nodes}], port: 8086, of the customer: \"idg\" }}"
            )
        };
        let (two, three) = (value("\"a\", \"b\""), value("\"a\", \"b\", \"c\""));
        assert_eq!(
            apart(&two, &three),
            (
                "…s: [\"a\", \"b\"], port: 808…".into(),
                "…s: [\"a\", \"b\", \"c\"], port: 808…".into()
            )
        );
        assert_eq!(apart("1 item", "2 items"), ("1 item".into(), "2 items".into()));
        let long = "word ".repeat(40);
        let (one, other) = apart(&long, "nothing");
        assert_eq!((one.chars().count(), other.as_str()), (LONGEST + 1, "nothing"));
        assert_eq!(apart(&long, &long).0, apart(&long, &long).1);
    }
}
