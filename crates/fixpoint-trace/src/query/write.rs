//! Writes a query as text, in the form that `parse.rs` reads back to the same query.
//!
//! The surprise: an alternative without conditions takes every trace, and so does the whole query;
//! it is written as the empty text.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    Alternative, Condition, Field, Length, Literal, Op, Query, TraceCondition,
    fields::{self, Subject},
    lex::in_word,
};

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let everything = |it: &Alternative| it.span.is_empty() && it.trace.is_empty();
        if self.any.iter().any(everything) {
            return Ok(());
        }
        joined(f, self.any.iter(), " or ")
    }
}

impl Display for Alternative {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, self.span.iter(), " and ")?;
        let both = !self.span.is_empty() && !self.trace.is_empty();
        f.write_str(if both { " and " } else { "" })?;
        joined(f, self.trace.iter(), " and ")
    }
}

impl Display for TraceCondition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(op, name) => write!(f, "root {op} {}", Quoted('"', name)),
            Self::Duration(op, wanted) => write!(f, "trace.duration {op} {}", Length(*wanted)),
            Self::Spans(op, wanted) => write!(f, "trace.spans {op} {wanted}"),
            Self::Errors(op, wanted) => write!(f, "trace.errors {op} {wanted}"),
            Self::Open(true) => f.write_str("trace.open"),
            Self::Open(false) => f.write_str("trace.open = false"),
            Self::Log(op, text) => write!(f, "log {op} {}", Quoted('"', text)),
            Self::Has(filter) => write!(f, "has{}", Group(filter)),
            Self::Missing { what, after: None } => write!(f, "missing{}", Group(what)),
            Self::Missing { what, after: Some(after) } => {
                write!(f, "missing{} after ", Group(what))?;
                match name_alone(after) {
                    Some(name) => Quoted('"', name).fmt(f),
                    None => Group(after).fmt(f),
                }
            }
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { field, op, value } = self;
        match (field, op, value) {
            (_, Op::Exists | Op::Absent, _) => write!(f, "{field} {op}"),
            (Field::Kind | Field::Status, _, Literal::Text(word)) => {
                write!(f, "{field} {op} {word}")
            }
            _ => write!(f, "{field} {op} {value}"),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("service"),
            Self::Name => f.write_str("name"),
            Self::Kind => f.write_str("kind"),
            Self::Status => f.write_str("status"),
            Self::StatusMessage => f.write_str("status.message"),
            Self::Duration => f.write_str("duration"),
            Self::Scope => f.write_str("scope"),
            Self::Attribute(name) if is_plain(name) => f.write_str(name),
            Self::Attribute(name) => Quoted('`', name).fmt(f),
        }
    }
}

impl Display for Op {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Contains => "~",
            Self::Lacks => "!~",
            Self::Exists => "exists",
            Self::Absent => "missing",
        })
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Quoted('"', text).fmt(f),
            // Without a fraction where there is none; longer ones need a sign that they are numbers.
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                write!(f, "{number}")
            }
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Duration(nanos) => Length(*nanos).fmt(f),
            Self::Bool(answer) => answer.fmt(f),
        }
    }
}

/// Whether the name of an attribute needs no quotes.
fn is_plain(name: &str) -> bool {
    let attribute = Ok(Subject::Span(Field::Attribute(name.to_owned())));
    !name.is_empty()
        && name.chars().all(in_word)
        && fields::subject(name).map_err(|_| ()) == attribute
}

/// The name, if that is all that the filter asks for.
fn name_alone(filter: &[Condition]) -> Option<&str> {
    match filter {
        [Condition { field: Field::Name, op: Op::Equal, value: Literal::Text(name) }] => Some(name),
        _ => None,
    }
}

/// Conditions in parentheses; a name alone without its field.
struct Group<'a>(&'a [Condition]);

impl Display for Group<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        match name_alone(self.0) {
            Some(name) => Quoted('"', name).fmt(f)?,
            None => joined(f, self.0.iter(), " and ")?,
        }
        f.write_char(')')
    }
}

/// A text between two quotes of this sort.
struct Quoted<'a>(char, &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(quote, text) = self;
        f.write_char(*quote)?;
        for c in text.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\\' => f.write_str("\\\\")?,
                _ if c == *quote => write!(f, "\\{c}")?,
                _ => f.write_char(c)?,
            }
        }
        f.write_char(*quote)
    }
}

fn joined(
    f: &mut Formatter<'_>,
    parts: impl Iterator<Item: Display>,
    between: &str,
) -> fmt::Result {
    for (n, part) in parts.enumerate() {
        f.write_str(if n > 0 { between } else { "" })?;
        part.fmt(f)?;
    }
    Ok(())
}
