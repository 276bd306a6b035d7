//! Words to find within a trace.
//!
//! Not here: finding traces (the trace store). The surprise: a span's log lines count as its own
//! text, so one finds the call by what was said while it went on.

use std::collections::HashSet;

use fixpoint_trace::model::{Attributes, LogRecord, Span, SpanId, Status, Trace};
use regex::{Regex, RegexBuilder};

use super::{Problem, page::bad_parameter};

/// Each word is looked for in every span.
const MAX_WORDS: usize = 16;

/// What to look for: words that a span must all hold, whatever their case. A word is found in the
/// span's name, service, id, message, attributes, events and log lines; `key=word` only in the
/// attribute of that name.
pub(super) struct Words(Vec<Word>);

struct Word {
    key: Option<String>,
    text: Regex,
}

impl Words {
    /// The words of a query.
    pub(super) fn of(query: &str) -> Result<Self, Problem> {
        if query.split_whitespace().count() > MAX_WORDS {
            return Err(bad_parameter(format!("q may hold {MAX_WORDS} words at most.")));
        }
        let words = query.split_whitespace().map(|word| {
            let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
            let text = pair.map_or(word, |(_, value)| value);
            let mut regex = RegexBuilder::new(&regex::escape(text));
            let text = regex
                .case_insensitive(true)
                .build()
                .map_err(|_| bad_parameter("q has a word that is too long to look for."))?;
            Ok(Word { key: pair.map(|(key, _)| key.to_ascii_lowercase()), text })
        });
        words.collect::<Result<_, _>>().map(Self)
    }

    /// The spans that hold every word, in the trace's order.
    pub(super) fn find(&self, trace: &Trace) -> Vec<SpanId> {
        let logged: Vec<HashSet<SpanId>> = self.0.iter().map(|word| word.logged(trace)).collect();
        let holds = |span: &&Span| {
            self.0
                .iter()
                .zip(&logged)
                .all(|(word, logged)| word.is_in(span) || logged.contains(&span.span_id))
        };
        trace.spans.iter().filter(holds).map(|span| span.span_id).collect()
    }
}

impl Word {
    /// The spans with a log line that holds the word.
    fn logged(&self, trace: &Trace) -> HashSet<SpanId> {
        let holds = |log: &&LogRecord| {
            (self.key.is_none() && self.text.is_match(&log.message()))
                || self.in_attributes(&log.attributes)
        };
        trace.logs.iter().filter(holds).filter_map(|log| log.span_id).collect()
    }

    fn is_in(&self, span: &Span) -> bool {
        let own = |span: &Span| {
            let message = match &span.status {
                Status::Error(message) => message.as_str(),
                _ => "",
            };
            [span.name.as_str(), span.service(), message]
                .iter()
                .any(|text| self.text.is_match(text))
                || self.text.is_match(&span.span_id.to_string())
                || span.events.iter().any(|event| self.text.is_match(&event.name))
        };
        (self.key.is_none() && own(span))
            || self.in_attributes(&span.attributes)
            || span.events.iter().any(|event| self.in_attributes(&event.attributes))
            || (self.key.is_some() && self.in_attributes(&span.resource))
    }

    fn in_attributes(&self, attributes: &Attributes) -> bool {
        attributes.iter().any(|(name, value)| match &self.key {
            Some(key) => name.eq_ignore_ascii_case(key) && self.text.is_match(&value.to_text()),
            None => self.text.is_match(name) || self.text.is_match(&value.to_text()),
        })
    }
}
