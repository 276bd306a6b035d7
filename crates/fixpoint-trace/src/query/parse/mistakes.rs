//! What is said where a condition, or what joins two, is not what it should be.
//!
//! Not here: mistakes within a comparison. The surprise: this is the longest part of the parser.
//! Each case is a thing that people do write, most often since another language has it.

use std::ops::Range;

use super::{Parsed, Parser, Result, comparison::literal};
use crate::query::{
    Condition, Field, Literal,
    error::{QueryError, named, near},
    fields,
    lex::{Placed, Token},
};

/// Every comparison, for whoever wrote none.
const OPS: &str = "one of `=` `!=` `<` `<=` `>` `>=` `~` `!~` `exists` `missing`";

impl<'a> Parser<'a> {
    /// A word alone: the name of a span, unless it looks like something else.
    pub(super) fn bare(&self, word: &str, at: Range<usize>) -> Result<Parsed> {
        let end = at.end..at.end;
        if let Some((op, hint)) = self.foreign_op() {
            let at = self.peek().at.clone();
            return Err(self.mistake(at, format!("`{op}` is no comparison"), OPS, hint));
        }
        if fields::built_in(word).is_some() {
            let example = match word.to_ascii_lowercase().as_str() {
                "duration" | "trace.duration" => "> 1s",
                "trace.spans" | "trace.errors" => "> 0",
                "kind" => "= server",
                "status" => "= error",
                "log" => "~ \"timeout\"",
                _ => "= \"x\"",
            };
            let hint =
                format!("write `{word} {example}`; a span named so goes in quotes: \"{word}\"");
            return Err(self.mistake(end, format!("`{word}` is not compared"), OPS, hint));
        }
        if fields::is_reserved(word) {
            let joins = ["and", "or", "after"].iter().any(|it| it.eq_ignore_ascii_case(word));
            let hint = match word.to_ascii_lowercase().as_str() {
                "not" => {
                    "write `status != error` for other spans, `missing(error)` for none".into()
                }
                _ if joins => {
                    format!("`{word}` stands between two conditions: `error {word} open`")
                }
                "has" | "missing" => format!("write `{word}(\"ELBv2.RegisterTargets\")`"),
                _ => format!("a span named so goes in double quotes: \"{word}\""),
            };
            let what = format!("`{word}` is no condition");
            return Err(self.mistake(at, what, "a condition", hint));
        }
        if let Some((field, value)) = word.split_once(':')
            && fields::built_in(field).is_some()
        {
            let what = "`:` does not compare";
            let at = at.start + field.len()..at.start + field.len() + 1;
            return Err(self.mistake(at, what, OPS, format!("write `{field} = \"{value}\"`")));
        }
        match literal(word) {
            Literal::Text(name) => Ok(Parsed::Span(Condition::equal(Field::Name, name))),
            Literal::Duration(_) => {
                let hint = format!("write `duration > {word}`");
                Err(self.mistake(at, "a length of time alone says nothing", "a condition", hint))
            }
            Literal::Number(_) | Literal::Bool(_) => {
                let hint = format!("write `http.response.status_code = {word}`");
                Err(self.mistake(at, "a value alone says nothing", "a condition", hint))
            }
        }
    }

    /// A name in backquotes that no comparison follows.
    pub(super) fn not_compared(&self, at: Range<usize>) -> QueryError {
        let hint = "backquotes hold an attribute's name: `` `customer name` = \"idg\" ``; \
                    a span's name goes in double quotes";
        self.mistake(at.end..at.end, "this is not compared", OPS, hint)
    }

    /// Something stands where `and`, `or` or the end should.
    pub(super) fn stray(&self) -> QueryError {
        let Placed { token, at } = self.peek().clone();
        let found = self.text[at.clone()].to_owned();
        let before = &self.tokens[self.next - 1];
        let what = format!("{} stands after a whole condition", named(&token, &found));
        let expected = "`and`, `or` or the end";
        let (whole, rest) = self.text.split_at(at.start);
        let joined = format!("conditions are joined: `{} and {rest}`", whole.trim_end());
        let short = ["error", "open"].iter().any(|it| it.eq_ignore_ascii_case(&found));
        let hint = match (&before.token, &token) {
            _ if self.is("after") => {
                return self.after_has();
            }
            (_, Token::Close) => "no `(` was opened for it; `missing(\"x\")` has both".to_owned(),
            (_, Token::Op(_)) => {
                "one comparison a condition: `duration > 1s and duration < 5s`".to_owned()
            }
            (Token::Word, Token::Word) if !short && !self.compares_from(self.next + 1) => {
                let words = self.tokens[self.next..].iter().enumerate();
                let words = words.take_while(|(n, placed)| {
                    let text = &self.text[placed.at.clone()];
                    let joins =
                        ["and", "or", "after"].iter().any(|it| it.eq_ignore_ascii_case(text));
                    placed.token == Token::Word && !joins && !self.compares_from(self.next + n + 1)
                });
                let end = words.last().map_or(at.end, |(_, last)| last.at.end);
                let text = &self.text[before.at.start..end];
                format!("a text of several words goes in double quotes: \"{text}\"")
            }
            _ => joined,
        };
        self.mistake(at, what, expected, hint)
    }

    pub(super) fn after_has(&self) -> QueryError {
        let at = self.peek().at.clone();
        let hint =
            "write `missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\"`";
        self.mistake(at, "`after` belongs to `missing(...)`", "`and`, `or` or the end", hint)
    }

    pub(super) fn no_group(&self, word: &str, at: Range<usize>) -> QueryError {
        let meant = near(word, ["has", "missing"]);
        let hint = match (meant, word.to_ascii_lowercase().as_str()) {
            (Some(meant), _) => format!("did you mean `{meant}(...)`?"),
            (None, "not") => "write `missing(error)` for traces in which no span failed".to_owned(),
            (None, "and" | "or") => {
                "parentheses do not group conditions: `a and c or b and c`".to_owned()
            }
            _ => format!("a name with a parenthesis goes in double quotes: \"{word}(...)\""),
        };
        let what = format!("`{word}` takes no parentheses");
        self.mistake(at, what, "`has(...)` or `missing(...)`", hint)
    }

    pub(super) fn no_condition(&self, token: &Token, at: Range<usize>) -> QueryError {
        let found = named(token, &self.text[at.clone()]);
        let before = self.next.checked_sub(2).map(|n| &self.text[self.tokens[n].at.clone()]);
        let what = match before {
            Some(before) => format!("{found} stands after `{before}`"),
            None => format!("{found} stands at the beginning"),
        };
        let hint = match token {
            Token::Op(op) => format!("a field stands before `{op}`: `service {op} \"api\"`"),
            _ => "write a field and a value, or a span's name: `service = \"api\" and error`"
                .to_owned(),
        };
        self.mistake(at, what, "a condition", hint)
    }

    /// A comparison of another language at the next token, and what it is called here.
    fn foreign_op(&self) -> Option<(&'a str, &'static str)> {
        let text = self.text;
        let next = self.peek();
        let word = &text[next.at.clone()];
        let hint = match word.to_ascii_lowercase().as_str() {
            "is" | "eq" | "equals" | ":" => "write `service = \"api\"`",
            "ne" => "write `service != \"api\"`",
            "contains" | "like" | "matches" | "has" | "includes" => "write `name ~ \"target\"`",
            "gt" => "write `duration > 1s`",
            "lt" => "write `duration < 1s`",
            "not" => "write `status != error`, `name !~ \"x\"` or `customer missing`",
            "in" => "write `service = \"a\" or service = \"b\"`",
            _ => return None,
        };
        (next.token == Token::Word).then_some((word, hint))
    }

    pub(super) fn mistake(
        &self,
        at: Range<usize>,
        what: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> QueryError {
        QueryError::new(self.text, at, what, expected, hint)
    }
}
