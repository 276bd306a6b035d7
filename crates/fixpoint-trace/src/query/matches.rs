//! Whether a trace matches a query: the meaning of every query, in one place.
//!
//! Each store comes to this in the end, whatever index led it to the trace. The surprise: `!=`
//! wants a value; a span without the attribute is found by neither `=` nor `!=`.

use super::{Alternative, Condition, Field, Literal, Op, Query, TraceCondition, number};
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
            Self::Log(text) => trace.logs.iter().any(|log| contains(&log.message(), text)),
            Self::Has(filter) => has(trace, filter),
            Self::Missing { what, after: None } => !has(trace, what),
            Self::Missing { what, after: Some(after) } => {
                let first = |filter: &[Condition]| {
                    trace.spans.iter().filter(|span| all(filter, span)).map(|span| span.start).min()
                };
                first(after).is_some_and(|first| {
                    !trace.spans.iter().any(|span| span.start >= first && all(what, span))
                })
            }
        }
    }
}

impl Condition {
    /// Whether the span fulfils the condition.
    pub fn matches(&self, span: &Span) -> bool {
        let text = |it: &str| match (&self.op, &self.value) {
            (Op::Exists, _) => !it.is_empty(),
            (op, Literal::Text(wanted)) => text_matches(*op, it, wanted),
            _ => false,
        };
        match &self.field {
            Field::Service => text(span.service()),
            Field::Name => text(&span.name),
            Field::Kind => text(span.kind.as_str()),
            Field::Status => match (&span.status, &self.value) {
                (_, Literal::Text(wanted)) if wanted == "open" => {
                    span.end.is_none() == (self.op == Op::Equal)
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
                (Some(_), _) if self.op == Op::Exists => true,
                (Some(it), Literal::Duration(wanted)) => ordered(self.op, it, *wanted),
                _ => false,
            },
            Field::Scope => text(&span.scope.name),
            Field::Attribute(name) => {
                let value = span.attributes.get(name).or_else(|| span.resource.get(name));
                let value = value.or_else(|| span.scope.attributes.get(name));
                value.is_some_and(|value| self.matches_value(value))
            }
        }
    }

    fn matches_value(&self, value: &Value) -> bool {
        if self.op == Op::Exists {
            return true;
        }
        if let Value::Array(values) = value {
            return values.iter().any(|value| self.matches_value(value));
        }
        match &self.value {
            Literal::Text(wanted) => text_matches(self.op, &value.to_text(), wanted),
            Literal::Number(wanted) => {
                number(value).is_some_and(|it| ordered(self.op, it, *wanted))
            }
            // An attribute that is a length of time is a number of nanoseconds.
            #[allow(clippy::cast_precision_loss, reason = "compared as JSON numbers are")]
            Literal::Duration(wanted) => {
                number(value).is_some_and(|it| ordered(self.op, it, *wanted as f64))
            }
            Literal::Bool(wanted) => {
                text_matches(self.op, &value.to_text(), if *wanted { "true" } else { "false" })
            }
        }
    }
}

fn text_matches(op: Op, it: &str, wanted: &str) -> bool {
    match op {
        Op::Equal => it == wanted,
        Op::NotEqual => it != wanted,
        Op::Contains => contains(it, wanted),
        Op::Exists => true,
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
        Op::Contains | Op::Exists => false,
    }
}
