//! Whether a trace matches a query: the meaning of every query, in one place.
//!
//! Each store comes to this in the end, whatever index led it to the trace. The surprise: `!=` and
//! `!~` want a value; a span without the attribute is found by `missing` alone.

use super::{Alternative, Condition, Field, Length, Literal, Op, Query, TraceCondition, number};
use crate::model::{Span, Status, Trace, Value};

impl Query {
    /// Whether the trace matches. The trace must be whole and sorted.
    pub fn matches(&self, trace: &Trace) -> bool {
        self.any.is_empty() || self.any.iter().any(|alternative| alternative.matches(trace))
    }
}

impl Alternative {
    fn matches(&self, trace: &Trace) -> bool {
        (self.span.is_empty() || has(trace, &self.span))
            && self.trace.iter().all(|condition| condition.matches(trace))
    }
}

fn has(trace: &Trace, filter: &[Condition]) -> bool {
    trace.spans.iter().any(|span| all(filter, span))
}

fn all(filter: &[Condition], span: &Span) -> bool {
    filter.iter().all(|condition| condition.matches(span))
}

impl TraceCondition {
    fn matches(&self, trace: &Trace) -> bool {
        match self {
            Self::Root(op, name) => {
                trace.head().is_some_and(|head| text_matches(*op, &head.name, name))
            }
            Self::Duration(op, wanted) => {
                trace.duration().is_some_and(|it| ordered(*op, it, *wanted))
            }
            Self::Spans(op, wanted) => ordered(*op, trace.spans.len() as u64, *wanted),
            Self::Errors(op, wanted) => {
                let errors = trace.spans.iter().filter(|span| span.failed()).count();
                ordered(*op, errors as u64, *wanted)
            }
            Self::Open(wanted) => trace.spans.iter().any(|span| span.end.is_none()) == *wanted,
            Self::Log(op, text) => {
                let said = trace.logs.iter().any(|log| contains(&log.message(), text));
                said == (*op != Op::Lacks)
            }
            Self::Has(filter) => has(trace, filter),
            Self::Missing { what, after: None } => !has(trace, what),
            Self::Missing { what, after: Some(after) } => {
                let first = trace.spans.iter().filter(|span| all(after, span));
                first.min_by_key(|span| span.start).is_some_and(|first| {
                    let later =
                        |span: &&Span| span.start >= first.start && span.span_id != first.span_id;
                    !trace.spans.iter().filter(later).any(|span| all(what, span))
                })
            }
        }
    }
}

impl Condition {
    /// Whether the span fulfils the condition.
    pub fn matches(&self, span: &Span) -> bool {
        let holds = |op| self.holds(op, span);
        match self.op {
            Op::NotEqual => holds(Op::Exists) && !holds(Op::Equal),
            Op::Lacks => holds(Op::Exists) && !holds(Op::Contains),
            Op::Absent => !holds(Op::Exists),
            op => holds(op),
        }
    }

    /// Whether the comparison, one without a "not" in it, holds for the span.
    fn holds(&self, op: Op, span: &Span) -> bool {
        let text = |it: &str| match (op, &self.value) {
            (Op::Exists, _) => !it.is_empty(),
            (_, Literal::Text(wanted)) => text_matches(op, it, wanted),
            _ => false,
        };
        match &self.field {
            Field::Service => text(span.service()),
            Field::Name => text(&span.name),
            Field::Kind => text(span.kind.as_str()),
            Field::Status => match (&span.status, &self.value) {
                (_, Literal::Text(wanted)) if wanted == "open" && op == Op::Equal => {
                    span.end.is_none()
                }
                (Status::Unset, _) => text("unset"),
                (Status::Ok, _) => text("ok"),
                (Status::Error(_), _) => text("error"),
            },
            Field::StatusMessage => match &span.status {
                Status::Error(why) => text(why),
                _ => false,
            },
            Field::Duration => match (span.duration(), &self.value) {
                (Some(_), _) if op == Op::Exists => true,
                (Some(it), Literal::Duration(wanted)) => ordered(op, it, *wanted),
                _ => false,
            },
            Field::Scope => text(&span.scope.name),
            Field::Attribute(name) => {
                let value = span.attributes.get(name).or_else(|| span.resource.get(name));
                let value = value.or_else(|| span.scope.attributes.get(name));
                value.is_some_and(|value| op == Op::Exists || self.value.compares(op, value))
            }
        }
    }
}

impl Literal {
    /// Whether the comparison holds for the value or, of a list, for one value in it.
    fn compares(&self, op: Op, value: &Value) -> bool {
        if let Value::Array(values) = value {
            return values.iter().any(|value| self.compares(op, value));
        }
        match self {
            Self::Text(wanted) => text_matches(op, &value.to_text(), wanted),
            // A text equals a number that is written just so: an index of texts can find it.
            Self::Number(wanted)
                if matches!((op, value), (Op::Equal | Op::NotEqual, Value::String(_))) =>
            {
                text_matches(op, &value.to_text(), &wanted.to_string())
            }
            Self::Number(wanted) => number(value).is_some_and(|it| ordered(op, it, *wanted)),
            Self::Duration(wanted) => nanos(value).is_some_and(|it| ordered(op, it, *wanted)),
            Self::Bool(wanted) => text_matches(op, &value.to_text(), &wanted.to_string()),
        }
    }
}

/// The length of time that a value is: written as one, or a number of nanoseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a length of time is not negative, and 585 years are enough"
)]
fn nanos(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok().map(|Length(nanos)| nanos),
        _ => number(value).filter(|nanos| *nanos >= 0.0).map(|nanos| nanos as u64),
    }
}

fn text_matches(op: Op, it: &str, wanted: &str) -> bool {
    match op {
        Op::Equal => it == wanted,
        Op::NotEqual => it != wanted,
        Op::Contains => contains(it, wanted),
        Op::Lacks => !contains(it, wanted),
        Op::Exists => true,
        Op::Absent => false,
        Op::Less | Op::AtMost | Op::More | Op::AtLeast => {
            match (it.trim().parse::<f64>(), wanted.trim().parse::<f64>()) {
                (Ok(it), Ok(wanted)) => ordered(op, it, wanted),
                _ => false,
            }
        }
    }
}

fn contains(it: &str, wanted: &str) -> bool {
    it.to_lowercase().contains(&wanted.to_lowercase())
}

fn ordered<T: PartialOrd>(op: Op, it: T, wanted: T) -> bool {
    match op {
        Op::Equal => it == wanted,
        Op::NotEqual => it != wanted,
        Op::Less => it < wanted,
        Op::AtMost => it <= wanted,
        Op::More => it > wanted,
        Op::AtLeast => it >= wanted,
        Op::Contains | Op::Lacks | Op::Exists | Op::Absent => false,
    }
}
