//! What to search traces for: the query, its text form, and what a trace must be like to match.
//!
//! One language in the API, the command line and the page; `docs/search.md` teaches it. Not here:
//! how a store finds candidates fast (`store/`). The surprise: conditions that are joined by `and`
//! hold for one and the same span; what must hold for another span goes into `has(...)`.

mod error;
mod fields;
mod length;
mod lex;
mod matches;
mod parse;
mod write;

use crate::model::{Kind, Value};

pub use self::{
    error::QueryError,
    length::{InvalidLength, Length},
    parse::{MAX_CONDITIONS, MAX_LENGTH},
};

/// Which traces to find: those that match one of the alternatives. Without any, every trace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// The parts that `or` joins.
    pub any: Vec<Alternative>,
}

/// What `and` joins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alternative {
    /// Conditions that one and the same span fulfils. Without any, no span is asked for.
    pub span: SpanFilter,
    /// Conditions that the trace as a whole fulfils.
    pub trace: Vec<TraceCondition>,
}

/// Conditions that one and the same span fulfils.
pub type SpanFilter = Vec<Condition>;

/// A condition on one span.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// What is looked at.
    pub field: Field,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: Literal,
}

/// What of a span is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    /// `service`: the resource's `service.name`.
    Service,
    /// `name`: the span's name, also called operation.
    Name,
    /// `kind`: `internal`, `server`, `client`, `producer` or `consumer`.
    Kind,
    /// `status`: `unset`, `ok`, `error`; and `open` for a span that has not ended.
    Status,
    /// `status.message`: why it failed.
    StatusMessage,
    /// `duration`. An open span has none.
    Duration,
    /// `scope`: the library or module.
    Scope,
    /// Any other name: an attribute of the span; if it has none of the name, of its resource; if
    /// that has none, of its scope.
    Attribute(String),
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`: there is a value, and it is another. Of a list, none equals it.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `~`: contains the text, without regard to case.
    Contains,
    /// `!~`: there is a value, and it does not contain the text.
    Lacks,
    /// `exists`: there is a value. The literal is not looked at.
    Exists,
    /// `missing`: there is no value. The literal is not looked at.
    Absent,
}

/// What is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A text. Compared by order, it must be a number on both sides.
    Text(String),
    /// A number. Equal to a text that is the same number, plainly written: `200`, not `2e2`.
    Number(f64),
    /// A length of time, in nanoseconds. Equal to a text that is the same length, and to a number
    /// of nanoseconds.
    Duration(u64),
    /// `true` or `false`
    Bool(bool),
}

/// A condition on the trace as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum TraceCondition {
    /// `root = "run clusters"`: the name that the trace goes by, its root's.
    Root(Op, String),
    /// `trace.duration > 10m`: from the earliest start to the latest end; none while it is open.
    Duration(Op, u64),
    /// `trace.spans > 100`
    Spans(Op, u64),
    /// `trace.errors > 0`: how many spans failed.
    Errors(Op, u64),
    /// `trace.open`, or `trace.open = false`: whether a span has not ended.
    Open(bool),
    /// `log ~ "target group"`: a log line of the trace contains the text, without regard to case.
    /// `log !~ "registered"`: no line of it does.
    Log(Op, String),
    /// `has("X")`, `has(name = "X" and error)`: there is such a span.
    Has(SpanFilter),
    /// `missing("X")`, `missing("X") after "Y"`: there is no such span; with `after`, there is a
    /// span Y, and no other span X starts at or after the start of the first Y.
    Missing {
        /// What is not there.
        what: SpanFilter,
        /// Since when.
        after: Option<SpanFilter>,
    },
}

impl Query {
    /// Traces that have a span which fulfils all the conditions.
    pub fn of_span(conditions: SpanFilter) -> Self {
        Self { any: vec![Alternative { span: conditions, trace: Vec::new() }] }
    }

    /// Narrows each alternative down by one more condition on the trace.
    #[must_use]
    pub fn and(mut self, condition: TraceCondition) -> Self {
        if self.any.is_empty() {
            self.any.push(Alternative::default());
        }
        for alternative in &mut self.any {
            alternative.trace.push(condition.clone());
        }
        self
    }
}

impl Query {
    /// What of a trace must be known to tell whether it matches.
    pub(crate) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for alternative in &self.any {
            needs.look(&alternative.span);
            for condition in &alternative.trace {
                match condition {
                    TraceCondition::Log(..) => needs.logs = true,
                    TraceCondition::Has(filter) => needs.look(filter),
                    TraceCondition::Missing { what, after } => {
                        needs.look(what);
                        needs.look(after.as_deref().unwrap_or_default());
                    }
                    TraceCondition::Root(..)
                    | TraceCondition::Duration(..)
                    | TraceCondition::Spans(..)
                    | TraceCondition::Errors(..)
                    | TraceCondition::Open(_) => {}
                }
            }
        }
        needs
    }
}

/// What of a trace must be known, besides names, services, kinds, times and statuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Attributes, scopes, or why a span failed.
    pub(crate) attributes: bool,
    /// Log lines.
    pub(crate) logs: bool,
}

impl Needs {
    fn look(&mut self, filter: &[Condition]) {
        self.attributes |= filter.iter().any(|condition| {
            matches!(condition.field, Field::Scope | Field::StatusMessage | Field::Attribute(_))
        });
    }
}

impl Condition {
    /// `field = text`
    pub fn equal(field: Field, text: impl Into<String>) -> Self {
        Self { field, op: Op::Equal, value: Literal::Text(text.into()) }
    }
}

impl Kind {
    /// As queries and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// The number that a value is or, written as text, stands for.
fn number(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss, reason = "compared as JSON numbers are")]
        Value::Int(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
