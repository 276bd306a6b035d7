//! What is wrong with a query, told so that it can be put right at once.
//!
//! Not here: what is right (`parse.rs`). The surprise: every mistake says what was expected at its
//! place and gives an example, since whoever reads it has something on fire.

use std::{fmt, ops::Range};

use super::lex::Token;

/// How much of a long query is shown on each side of the mistake, in characters.
const AROUND: usize = 40;

/// The text is no query.
///
/// Its `Display` is one line; [`QueryError::excerpt`] shows the place, [`QueryError::hint`] the
/// way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    what: String,
    expected: String,
    hint: String,
    at: Range<usize>,
    excerpt: String,
}

impl QueryError {
    /// A mistake at these bytes of the query.
    pub(super) fn new(
        query: &str,
        at: Range<usize>,
        what: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let excerpt = excerpt(query, &at);
        Self { what: what.into(), expected: expected.into(), hint: hint.into(), at, excerpt }
    }

    /// Where the mistake is, in bytes of the query. Empty at its end, where something is missing.
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// What could have stood there.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What to write instead, with an example.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Two lines for a terminal: the line of the query, and beneath it `^` under the mistake.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}", self.what, self.expected)
    }
}

impl std::error::Error for QueryError {}

fn excerpt(query: &str, at: &Range<usize>) -> String {
    let from = query[..at.start].rfind('\n').map_or(0, |newline| newline + 1);
    let to = query[at.start..].find('\n').map_or(query.len(), |newline| at.start + newline);
    let (before, rest) = query[from..to].split_at(at.start - from);
    let (wrong, after) = rest.split_at(at.end.min(to) - at.start);

    let cut = before.chars().count().saturating_sub(AROUND);
    let before: String = before.chars().skip(cut).map(printable).collect();
    let before = if cut > 0 { format!("…{before}") } else { before };
    let carets = wrong.chars().take(AROUND).count().max(1);
    let mut rest = wrong.chars().chain(after.chars()).map(printable);
    let mut line = before.clone();
    line.extend(rest.by_ref().take(carets + AROUND));
    line.push_str(if rest.next().is_some() { "…" } else { "" });
    let blanks = " ".repeat(before.chars().count());
    format!("{}\n{blanks}{}", line.trim_end(), "^".repeat(carets))
}

/// A tab or a control character would put the `^` out of place, or worse.
fn printable(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// A token as messages name it.
pub(super) fn named(token: &Token, text: &str) -> String {
    match token {
        Token::End => "nothing".to_owned(),
        Token::Name(_) => text.to_owned(),
        _ => format!("`{text}`"),
    }
}

/// "`a`, `b` or `c`".
pub(super) fn one_of(words: &[&str]) -> String {
    let mut words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// The word that is most like this one, if it can be a slip of the hand.
pub(super) fn near<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let slips = match word.chars().count() {
        0..=2 => 0,
        3..=6 => 1,
        _ => 2,
    };
    let near = known.into_iter().map(|known| (distance(&word, known), known));
    near.filter(|(distance, _)| *distance <= slips).min().map(|(_, known)| known)
}

/// How many characters must be put in, taken out, changed, or swapped with their neighbour
/// (<https://en.wikipedia.org/wiki/Damerau–Levenshtein_distance#Optimal_string_alignment_distance>).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<_>, Vec<_>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_recognised_and_another_word_is_not() {
        let fields = ["service", "name", "kind", "status", "duration", "log"];
        for (word, meant) in [
            ("servcie", Some("service")),
            ("Services", Some("service")),
            ("knid", Some("kind")),
            ("duraton", Some("duration")),
            ("state", None),
            ("region", None),
            ("lo", None),
            ("", None),
        ] {
            assert_eq!(near(word, fields), meant, "{word}");
        }
    }

    #[test]
    fn the_carets_stand_under_the_mistake_whatever_is_around_it() {
        assert_eq!(excerpt("kind = x", &(7..8)), "kind = x\n       ^");
        assert_eq!(excerpt("a = ", &(4..4)), "a =\n    ^");
        assert_eq!(excerpt("", &(0..0)), "\n^");
        assert_eq!(excerpt("a and\n\tknd = x\nor b", &(7..10)), " knd = x\n ^^^");
        assert_eq!(excerpt("ä = ö", &(5..7)), "ä = ö\n    ^");
        assert_eq!(excerpt("a = \"b\nc", &(4..8)), "a = \"b\n    ^^");
        let long = format!("{} kind {}", "x".repeat(100), "y".repeat(100));
        let shown = excerpt(&long, &(101..105));
        let expected =
            format!("…{} kind {}…\n{}^^^^", "x".repeat(39), "y".repeat(39), " ".repeat(41));
        assert_eq!(shown, expected);
    }
}
