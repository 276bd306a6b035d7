//! Names that one trace has wherever the other has another one: `acme` here, `umbrella` there.
//!
//! Not for ids that look like ids ([`text`](super::text)), nor for the name of the resource, which
//! is known. The surprise: a name is only taken for renamed where names are, in neither trace for
//! anything else, and in two places or more. Everything else that differs is a change.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::{
    answer::{Change, Difference, Kind, Part, Renamed},
    sheet::Sheet,
};

/// Ends of keys under which things are called something.
const NAMES: [&str; 14] = [
    "name", "id", "arn", "key", "customer", "tenant", "user", "account", "host", "address", "url",
    "path", "cluster", "resource",
];

/// Parts of keys under which a name is no name: `State.Name` is `running`.
const STATES: [&str; 5] = ["state", "status", "code", "type", "error"];

/// Takes out of `differences` what is only another name, and says which names those are.
pub(super) fn take_out(
    a: &Sheet<'_>,
    b: &Sheet<'_>,
    differences: &mut Vec<Difference>,
) -> Vec<Renamed> {
    let learnt = learn(a, b, differences);
    if learnt.is_empty() {
        return Vec::new();
    }
    for difference in differences.iter_mut() {
        difference.changes.retain(|change| !explained(change, &learnt));
    }
    differences
        .retain(|difference| difference.kind != Kind::Changed || !difference.changes.is_empty());
    learnt.into_iter().map(|(a, b)| Renamed { a, b }).collect()
}

fn learn(a: &Sheet<'_>, b: &Sheet<'_>, differences: &[Difference]) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for change in differences.iter().flat_map(|difference| &difference.changes) {
        if let (Some(Value::String(x)), Some(Value::String(y))) = (&change.a, &change.b)
            && names(change)
            && let Some(pair) = differing(x, y)
        {
            *seen.entry(pair).or_default() += 1;
        }
    }
    seen.retain(|_, places| *places >= 2);
    let once = |side: fn(&(&str, &str)) -> String| {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        seen.keys().for_each(|pair| *count.entry(side(pair)).or_default() += 1);
        count
    };
    let of_a = once(|pair| pair.0.to_owned());
    let of_b = once(|pair| pair.1.to_owned());
    let mut learnt: BTreeMap<String, String> = seen
        .keys()
        .filter(|pair| of_a[pair.0] == 1 && of_b[pair.1] == 1)
        .map(|&(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    if !learnt.is_empty() {
        // A word that both traces know is no name of one of them.
        let in_b = known(b, learnt.keys());
        let in_a = known(a, learnt.values());
        learnt.retain(|a, b| !in_b.contains(a) && !in_a.contains(b));
    }
    learnt
}

/// Whether a change is at a place where things are called something.
fn names(change: &Change) -> bool {
    let path = change.path.to_ascii_lowercase();
    match change.part {
        Part::Name => true,
        Part::Request | Part::Response | Part::Attribute | Part::Resource => {
            NAMES.iter().any(|name| path.ends_with(name))
                && !STATES.iter().any(|state| path.contains(state))
        }
        Part::Status | Part::Event | Part::Log => false,
    }
}

/// What differs between two texts, in whole words.
fn differing<'t>(x: &'t str, y: &'t str) -> Option<(&'t str, &'t str)> {
    let boundary = |text: &str, at: usize| {
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        !(word(text[..at].chars().next_back()) && word(text[at..].chars().next()))
    };
    let common = |x: &mut dyn Iterator<Item = char>, y: &mut dyn Iterator<Item = char>| {
        x.zip(y).take_while(|(x, y)| x == y).map(|(c, _)| c.len_utf8()).sum::<usize>()
    };
    let mut head = common(&mut x.chars(), &mut y.chars());
    while !(x.is_char_boundary(head) && boundary(x, head) && boundary(y, head)) {
        head -= 1;
    }
    let (rest_x, rest_y) = (&x[head..], &y[head..]);
    let mut tail = common(&mut rest_x.chars().rev(), &mut rest_y.chars().rev());
    let fits = |text: &str, tail: usize| {
        let at = text.len() - tail;
        text.is_char_boundary(at) && boundary(text, at)
    };
    while !(fits(rest_x, tail) && fits(rest_y, tail)) {
        tail -= 1;
    }
    let pair = (&rest_x[..rest_x.len() - tail], &rest_y[..rest_y.len() - tail]);
    let plain = |text: &str| text.chars().any(char::is_alphanumeric);
    (plain(pair.0) && plain(pair.1)).then_some(pair)
}

/// Which of some words occur in a trace.
fn known<'w>(sheet: &Sheet<'_>, words: impl Iterator<Item = &'w String>) -> HashSet<String> {
    let mut unknown: BTreeSet<&String> = words.collect();
    let mut found = HashSet::new();
    sheet.texts(0..sheet.tree.len(), |text| {
        let here: Vec<&String> =
            unknown.iter().copied().filter(|word| has_word(&text, word)).collect();
        for word in here {
            unknown.remove(word);
            found.insert(word.clone());
        }
    });
    found
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| bounded(text, at, word))
}

fn bounded(text: &str, at: usize, word: &str) -> bool {
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !letter(text[..at].chars().next_back()) && !letter(text[at + word.len()..].chars().next())
}

/// Whether a change is only that of names.
fn explained(change: &Change, learnt: &BTreeMap<String, String>) -> bool {
    let (Some(a), Some(b)) = (&change.a, &change.b) else { return false };
    match (a, b) {
        (Value::String(a), Value::String(b)) => renamed(a, learnt) == *b,
        _ => false,
    }
}

fn renamed(text: &str, learnt: &BTreeMap<String, String>) -> String {
    let mut text = text.to_owned();
    for (a, b) in learnt {
        let places: Vec<usize> = text.match_indices(a.as_str()).map(|(at, _)| at).collect();
        for at in places.into_iter().rev().filter(|&at| bounded(&text, at, a)).collect::<Vec<_>>() {
            text.replace_range(at..at + a.len(), b);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_in_whole_words() {
        assert_eq!(differing("acme-lb", "umbrella-lb"), Some(("acme", "umbrella")));
        assert_eq!(differing("x/acme", "x/acne"), Some(("acme", "acne")));
        assert_eq!(differing("größe-a", "größe-ä"), Some(("a", "ä")));
        assert_eq!(differing("a", "a-b"), None);
    }

    #[test]
    fn a_name_is_put_for_another_only_where_it_is_a_word() {
        let learnt = BTreeMap::from([("acme".to_owned(), "umbrella".to_owned())]);
        assert_eq!(renamed("acme/acme-lb of acmes", &learnt), "umbrella/umbrella-lb of acmes");
    }
}
