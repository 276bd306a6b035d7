//! The words of the language: what each names, and what a misspelt one may have meant.
//!
//! Not here: what may stand around them (`parse.rs`). The surprise: a word that is none of these is
//! an attribute, so one that looks like a slip is refused rather than searched for in vain.

use super::{
    Field,
    error::{near, one_of},
};

/// What a condition is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subject {
    /// Something of one span.
    Span(Field),
    /// `root`
    Root,
    /// `trace.duration`
    TraceDuration,
    /// `trace.spans`
    TraceSpans,
    /// `trace.errors`
    TraceErrors,
    /// `trace.open`
    TraceOpen,
    /// `log`
    Log,
}

const SUBJECTS: [(&str, Subject); 13] = [
    ("service", Subject::Span(Field::Service)),
    ("name", Subject::Span(Field::Name)),
    ("kind", Subject::Span(Field::Kind)),
    ("status", Subject::Span(Field::Status)),
    ("status.message", Subject::Span(Field::StatusMessage)),
    ("duration", Subject::Span(Field::Duration)),
    ("scope", Subject::Span(Field::Scope)),
    ("root", Subject::Root),
    ("trace.duration", Subject::TraceDuration),
    ("trace.spans", Subject::TraceSpans),
    ("trace.errors", Subject::TraceErrors),
    ("trace.open", Subject::TraceOpen),
    ("log", Subject::Log),
];

/// Words with a meaning of their own, which are no attributes unless in backquotes.
const RESERVED: [&str; 11] =
    ["and", "or", "not", "has", "missing", "after", "exists", "error", "open", "true", "false"];

/// What people call an id of a trace or a span.
const IDS: [&str; 8] =
    ["trace", "traceid", "trace_id", "trace.id", "span", "spanid", "span_id", "span.id"];

/// Why a word is no name of a field.
pub(super) struct NoField {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) hint: String,
}

/// Whether the word has a meaning of its own.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word))
}

/// The field that is called so, attributes aside.
pub(super) fn built_in(word: &str) -> Option<Subject> {
    let found = SUBJECTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    found.map(|(_, subject)| subject.clone())
}

/// What the word names in front of a comparison.
pub(super) fn subject(word: &str) -> Result<Subject, NoField> {
    if let Some(subject) = built_in(word) {
        return Ok(subject);
    }
    let lower = word.to_lowercase();
    let no_field = |hint: String| NoField {
        what: format!("there is no field `{word}`"),
        expected: "a field or an attribute".to_owned(),
        hint,
    };
    let quoted = format!("an attribute of this name goes in backquotes: `` `{word}` ``");
    if IDS.contains(&lower.as_str()) {
        return Err(no_field(
            "ids are looked up, not searched for: `fixpoint find ID` takes any id".to_owned(),
        ));
    }
    if is_reserved(word) {
        return Err(no_field(match lower.as_str() {
            "error" => format!("write `error` alone, or `status != error`; {quoted}"),
            "open" => format!("write `open` alone, or `trace.open = false`; {quoted}"),
            "not" => "there is no `not`: write `status != error` or `missing(error)`".to_owned(),
            _ => quoted,
        }));
    }
    if let Some(attribute) = word.strip_prefix('.') {
        return Err(no_field(format!("an attribute has no dot before its name: `{attribute}`")));
    }
    let names = SUBJECTS.iter().map(|(name, _)| *name);
    for family in ["trace.", "status."] {
        if lower.starts_with(family) {
            let known: Vec<_> = names.filter(|name| name.starts_with(family)).collect();
            let hint = match family {
                "status." => format!("a span that failed is found by `error`; {quoted}"),
                _ => quoted,
            };
            return Err(NoField { expected: one_of(&known), ..no_field(hint) });
        }
    }
    // A slip that has a dot in it is seldom; an attribute that looks like one would be refused.
    match near(word, names).filter(|_| !word.contains('.')) {
        Some(meant) => Err(no_field(format!("did you mean `{meant}`? {quoted}"))),
        None => Ok(Subject::Span(Field::Attribute(word.to_owned()))),
    }
}
