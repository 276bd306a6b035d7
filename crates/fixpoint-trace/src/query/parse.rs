//! Reads a query from its text.
//!
//! ```text
//! query       = [ alternative { "or" alternative } ]
//! alternative = condition { "and" condition }
//! condition   = field op value | field ( "exists" | "missing" ) | name | "error" | "open"
//!             | "has" group | "missing" group [ "after" ( name | group ) ]
//! group       = "(" condition { "and" condition } ")"
//! ```
//!
//! Not here: what a query means (`matches.rs`). The surprise: words of the language and names of
//! fields may be written in any case, names of attributes may not.

mod comparison;
mod mistakes;

use std::{ops::Range, str::FromStr};

use super::{
    Alternative, Condition, Field, Query, SpanFilter, TraceCondition,
    error::QueryError,
    fields::{self, Subject},
    lex::{self, Placed, Token},
};

/// How long a query may be, in bytes. A person writes less; a program should not write more.
pub const MAX_LENGTH: usize = 4096;
/// How many conditions it may have.
pub const MAX_CONDITIONS: usize = 64;

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_LENGTH {
            return Err(QueryError::new(
                text,
                text.floor_char_boundary(MAX_LENGTH)..text.len(),
                format!("the query has {} bytes", text.len()),
                format!("at most {MAX_LENGTH}"),
                "look for a part of a long text: `db.query.text ~ \"orders\"`",
            ));
        }
        let tokens = lex::tokens(text)?;
        Parser { text, tokens, next: 0, conditions: 0 }.query()
    }
}

/// A condition, by what it is about.
enum Parsed {
    Span(Condition),
    Trace(TraceCondition),
}

struct Parser<'a> {
    text: &'a str,
    /// Ends with [`Token::End`].
    tokens: Vec<Placed>,
    next: usize,
    conditions: usize,
}

type Result<T, E = QueryError> = std::result::Result<T, E>;

impl<'a> Parser<'a> {
    fn query(mut self) -> Result<Query> {
        let mut query = Query::default();
        if self.peek().token == Token::End {
            return Ok(query);
        }
        loop {
            query.any.push(self.alternative()?);
            if !self.takes("or") {
                return match self.peek().token {
                    Token::End => Ok(query),
                    _ => Err(self.stray()),
                };
            }
        }
    }

    fn alternative(&mut self) -> Result<Alternative> {
        let mut alternative = Alternative::default();
        loop {
            match self.condition()? {
                Parsed::Span(condition) => alternative.span.push(condition),
                Parsed::Trace(condition) => alternative.trace.push(condition),
            }
            if !self.takes("and") {
                return Ok(alternative);
            }
        }
    }

    fn condition(&mut self) -> Result<Parsed> {
        let Placed { token, at } = self.take();
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(self.mistake(
                at,
                "the query has too many conditions",
                format!("at most {MAX_CONDITIONS}"),
                "several names can be one condition if they have a part in common: `name ~ \"Target\"`",
            ));
        }
        match token {
            Token::Text(name) if !self.compares() => {
                Ok(Parsed::Span(Condition::equal(Field::Name, name)))
            }
            Token::Text(name) | Token::Name(name) => self.attribute(name, at),
            Token::Word => self.word(at),
            Token::Open => Err(self.mistake(
                at,
                "parentheses do not group conditions",
                "a condition",
                "they belong to `has(...)` and `missing(...)`; `and` binds tighter than `or`: \
                 `a and c or b and c`",
            )),
            Token::Op(_) | Token::Close | Token::End => Err(self.no_condition(&token, at)),
        }
    }

    /// A condition that begins with a word without quotes.
    fn word(&mut self, at: Range<usize>) -> Result<Parsed> {
        let word = &self.text[at.clone()];
        let lower = word.to_ascii_lowercase();
        if self.peek().token == Token::Open {
            return match lower.as_str() {
                "has" => {
                    let filter = self.group()?;
                    match self.is("after") {
                        true => Err(self.after_has()),
                        false => Ok(Parsed::Trace(TraceCondition::Has(filter))),
                    }
                }
                "missing" => self.missing().map(Parsed::Trace),
                _ => Err(self.no_group(word, at)),
            };
        }
        if self.compares() {
            return match fields::subject(word) {
                Ok(subject) => self.comparison(subject, at),
                Err(it) => Err(self.mistake(at, it.what, it.expected, it.hint)),
            };
        }
        match lower.as_str() {
            "error" => Ok(Parsed::Span(Condition::equal(Field::Status, "error"))),
            "open" => Ok(Parsed::Trace(TraceCondition::Open(true))),
            "trace.open" => Ok(Parsed::Trace(TraceCondition::Open(true))),
            _ => self.bare(word, at),
        }
    }

    /// `missing(...)`, and what follows `after`.
    fn missing(&mut self) -> Result<TraceCondition> {
        let what = self.group()?;
        if !self.takes("after") {
            return Ok(TraceCondition::Missing { what, after: None });
        }
        let after = match self.peek().token {
            Token::Open => self.group()?,
            _ => vec![self.of_one_span("after")?],
        };
        Ok(TraceCondition::Missing { what, after: Some(after) })
    }

    /// Conditions in parentheses, all of them on one span.
    fn group(&mut self) -> Result<SpanFilter> {
        let open = self.take().at;
        let mut filter = vec![self.of_one_span("(")?];
        loop {
            let Placed { token, at } = self.peek().clone();
            if self.takes("and") {
                filter.push(self.of_one_span("and")?);
            } else if token == Token::Close {
                self.take();
                return Ok(filter);
            } else if token == Token::End {
                let hint = "write `missing(name = \"x\" and error)`";
                return Err(self.mistake(open, "this `(` is not closed", "`)` after it", hint));
            } else if self.is("or") {
                let hint = "write it twice: `has(\"a\") or has(\"b\")`, \
                            `missing(\"a\") and missing(\"b\")`";
                return Err(self.mistake(at, "no `or` in parentheses", "`and` or `)`", hint));
            } else {
                return Err(self.stray());
            }
        }
    }

    fn of_one_span(&mut self, before: &str) -> Result<Condition> {
        let Placed { token, at } = self.peek().clone();
        if matches!(token, Token::Close | Token::End) {
            let what = format!("nothing stands after `{before}`");
            let hint = "write the name of a span, or conditions: \
                        `missing(\"ELBv2.RegisterTargets\") after \"ELBv2.DescribeTargetGroups\"`";
            return Err(self.mistake(at, what, "a condition on a span", hint));
        }
        let from = at.start;
        match self.condition()? {
            Parsed::Span(condition) => Ok(condition),
            Parsed::Trace(_) => {
                let to = self.tokens[self.next - 1].at.end;
                let text = &self.text[from..to];
                Err(self.mistake(
                    from..to,
                    format!("`{text}` is about the whole trace"),
                    "a condition on a span",
                    "put it outside: `missing(\"x\") and trace.duration > 10m`",
                ))
            }
        }
    }

    /// A condition that begins with the name of an attribute in quotes.
    fn attribute(&mut self, name: String, at: Range<usize>) -> Result<Parsed> {
        if name.is_empty() {
            let hint = "write `customer = \"idg\"`, or `` `customer name` = \"idg\" ``";
            return Err(self.mistake(at, "this name is empty", "a name", hint));
        }
        match self.compares() {
            true => self.comparison(Subject::Span(Field::Attribute(name)), at),
            false => Err(self.not_compared(at)),
        }
    }

    fn peek(&self) -> &Placed {
        // The end is never taken for good.
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Placed {
        let placed = self.peek().clone();
        self.next += 1;
        placed
    }

    /// Whether the next token is this word.
    fn is(&self, word: &str) -> bool {
        let next = self.peek();
        next.token == Token::Word && self.text[next.at.clone()].eq_ignore_ascii_case(word)
    }

    /// The same, and takes it if it is.
    fn takes(&mut self, word: &str) -> bool {
        let is = self.is(word);
        self.next += usize::from(is);
        is
    }

    /// Whether the next token is a comparison.
    fn compares(&self) -> bool {
        self.compares_from(self.next)
    }

    fn compares_from(&self, next: usize) -> bool {
        let Some(placed) = self.tokens.get(next) else { return false };
        let word = &self.text[placed.at.clone()];
        let group = self.tokens.get(next + 1).is_some_and(|it| it.token == Token::Open);
        match placed.token {
            Token::Op(_) => true,
            Token::Word if word.eq_ignore_ascii_case("exists") => true,
            Token::Word => word.eq_ignore_ascii_case("missing") && !group,
            _ => false,
        }
    }
}
