//! Cuts a query into words, texts and signs.
//!
//! Not here: what they mean together (`parse.rs`). The surprise: a word may hold nearly anything,
//! so that `arn:aws:iam::1:role/x` and `eu-west-1` need no quotes; signs, quotes, parentheses and
//! blanks end it.

use std::ops::Range;

use super::{Op, error::QueryError};

/// What a query consists of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A word without quotes; its place says which.
    Word,
    /// What stands in double quotes.
    Text(String),
    /// What stands in backquotes.
    Name(String),
    /// A comparison by sign.
    Op(Op),
    /// `(`
    Open,
    /// `)`
    Close,
    /// The end of the query.
    End,
}

/// A token and the bytes of the query that it stands at.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

/// The longer first.
const OPS: [(&str, Op); 8] = [
    ("!=", Op::NotEqual),
    ("!~", Op::Lacks),
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::More),
    ("~", Op::Contains),
];

/// What other languages write, and what it is called here.
const FOREIGN: [(&str, &str, &str); 16] = [
    ("==", "`=`", "one sign is enough: `status = error`"),
    ("=~", "`~`", "`~` looks for a text, without regard to case: `name ~ \"target\"`"),
    ("~=", "`~`", "`~` looks for a text, without regard to case: `name ~ \"target\"`"),
    ("=<", "`<=`", "write `duration <= 1s`"),
    ("=>", "`>=`", "write `duration >= 1s`"),
    ("<>", "`!=`", "write `service != \"api\"`"),
    ("&&", "`and`", "write `error and duration > 1s`"),
    ("||", "`or`", "write `error or duration > 1s`"),
    ("&", "`and`", "conditions are joined by `and`; a text with `&` in it goes in double quotes"),
    ("|", "`or`", "conditions are joined by `or`; a text with `|` in it goes in double quotes"),
    (
        ",",
        "`and` or `or`",
        "write `service = \"a\" or service = \"b\"`; a text with `,` in it goes in quotes",
    ),
    (";", "`and`", "conditions are joined by `and`; a text with `;` in it goes in double quotes"),
    (
        "{",
        "a condition",
        "no braces: `name = \"x\" and error`; a text with `{` in it goes in quotes",
    ),
    (
        "}",
        "a condition",
        "no braces: `name = \"x\" and error`; a text with `}` in it goes in quotes",
    ),
    ("!", "`!=` or `!~`", "write `status != error` for other spans, `missing(error)` for none"),
    ("\\", "a condition", "a text with `\\` in it goes in double quotes: `path = \"C:\\\\x\"`"),
];

/// What many editors make of a quote, and what a shell takes for itself.
const QUOTES: [char; 7] = ['\'', '“', '”', '„', '‘', '’', '«'];

/// The tokens of the query; the last is its end.
pub(super) fn tokens(query: &str) -> Result<Vec<Placed>, QueryError> {
    let mut tokens = Vec::new();
    let mut from = 0;
    loop {
        from += query[from..].len() - query[from..].trim_start().len();
        let (token, len) = token(query, from)?;
        let end = token == Token::End;
        tokens.push(Placed { token, at: from..from + len });
        if end {
            return Ok(tokens);
        }
        from += len;
    }
}

/// The token at this byte, and how long it is.
fn token(query: &str, from: usize) -> Result<(Token, usize), QueryError> {
    let rest = &query[from..];
    let Some(first) = rest.chars().next() else { return Ok((Token::End, 0)) };
    match first {
        '(' => return Ok((Token::Open, 1)),
        ')' => return Ok((Token::Close, 1)),
        '"' => return quoted(query, from, '"').map(|(text, len)| (Token::Text(text), len)),
        '`' => return quoted(query, from, '`').map(|(name, len)| (Token::Name(name), len)),
        _ => {}
    }
    if QUOTES.contains(&first) {
        return Err(QueryError::new(
            query,
            from..from + first.len_utf8(),
            format!("`{first}` does not begin a text"),
            "a double quote, `\"`",
            "write `name = \"create node\"`; in a shell, single quotes go around the whole query",
        ));
    }
    let foreign = FOREIGN.iter().find(|(sign, ..)| rest.starts_with(sign));
    let op = OPS.iter().find(|(sign, _)| rest.starts_with(sign));
    match (foreign, op) {
        (Some((sign, ..)), Some((ours, op))) if ours.len() > sign.len() => {
            Ok((Token::Op(*op), ours.len()))
        }
        (Some((sign, expected, hint)), _) => {
            let at = from..from + sign.len();
            Err(QueryError::new(
                query,
                at,
                format!("`{sign}` has no meaning here"),
                *expected,
                *hint,
            ))
        }
        (None, Some((sign, op))) => Ok((Token::Op(*op), sign.len())),
        (None, None) if in_word(first) => {
            Ok((Token::Word, rest.find(|c| !in_word(c)).unwrap_or(rest.len())))
        }
        (None, None) => Err(QueryError::new(
            query,
            from..from + first.len_utf8(),
            "this character has no meaning here",
            "a condition",
            "a text that has it goes in double quotes: `name = \"x\"`",
        )),
    }
}

/// Whether a word goes on with it.
pub(super) fn in_word(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !"\"'`()=!<>~&|,;{}\\".contains(c)
}

/// What stands between two quotes, and the length with them.
fn quoted(query: &str, from: usize, quote: char) -> Result<(String, usize), QueryError> {
    let mut text = String::new();
    let mut chars = query[from..].char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((text, at + 1)),
            '\\' => {
                let escaped = chars.next().map(|(_, escaped)| escaped);
                text.push(match escaped {
                    Some('n') => '\n',
                    Some('r') => '\r',
                    Some('t') => '\t',
                    Some(itself @ ('"' | '`' | '\\')) => itself,
                    None => break,
                    Some(other) => {
                        let at = from + at..from + at + 1 + other.len_utf8();
                        return Err(QueryError::new(
                            query,
                            at,
                            format!("`\\{other}` stands for no character"),
                            "one of `\\\"` `\\\\` `\\n` `\\r` `\\t`",
                            "a backslash itself is written twice: `\"C:\\\\temp\"`",
                        ));
                    }
                });
            }
            _ => text.push(c),
        }
    }
    let what = if quote == '"' { "this text does not end" } else { "this name does not end" };
    Err(QueryError::new(
        query,
        from..query.len(),
        what,
        format!("another `{quote}`"),
        format!("a {quote} within it is written \\{quote}"),
    ))
}
