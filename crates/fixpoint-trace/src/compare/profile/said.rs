//! What spans say: their attributes, and their events and log lines.
//!
//! Not here: what of it is usual. The surprise: an answer in JSON says one thing for each of its
//! places, so what it holds is told apart where the whole text never is the same.

use std::collections::HashMap;

use super::shape;
use crate::{
    compare::{
        label::{Names, without_ids},
        tree::{At, Tree},
    },
    model::{LogRecord, SpanId, UnixNanos},
};

/// How much of a log line tells it from others.
const LONGEST_LINE: usize = 120;
/// How much of a value tells it from others.
const LONGEST_VALUE: usize = 256;

/// Calls `each` with every attribute of a span and what stands for its value, and with every place
/// in an attribute that holds JSON: `fixpoint.response TargetGroups`, `0 items`.
pub(in crate::compare) fn each_value(tree: &Tree<'_>, at: At, mut each: impl FnMut(&str, &str)) {
    let mut key = String::new();
    for (name, value) in &tree.span(at).attributes {
        let text = value.to_text();
        match shape::shape(&text) {
            Some(places) => {
                for (place, value) in places {
                    key.clear();
                    key.extend([name.as_str(), " ", &place]);
                    each(&key, &value);
                }
            }
            None => each(name, begin(&without_ids(&text), LONGEST_VALUE)),
        }
    }
}

/// The events and log lines of a trace, by span.
pub(in crate::compare) struct Lines<'a> {
    logs: HashMap<SpanId, Vec<&'a LogRecord>>,
}

impl<'a> Lines<'a> {
    pub(in crate::compare) fn of(tree: &Tree<'_>, logs: &'a [LogRecord]) -> Self {
        let mut by_span: HashMap<SpanId, Vec<&LogRecord>> = HashMap::new();
        if !tree.is_empty() {
            for log in logs {
                if let Some(span) = log.span_id {
                    by_span.entry(span).or_default().push(log);
                }
            }
        }
        Self { logs: by_span }
    }

    /// The numbers of a span's events and log lines, in order of time.
    pub(in crate::compare) fn names(
        &self,
        at: At,
        tree: &Tree<'_>,
        names: &mut Names,
    ) -> std::vec::IntoIter<u32> {
        let span = tree.span(at);
        let logs = self.logs.get(&span.span_id).map_or(&[][..], |logs| logs);
        let mut lines: Vec<(UnixNanos, u32)> = Vec::with_capacity(span.events.len() + logs.len());
        for event in &span.events {
            lines.push((event.time, names.number_without_ids(cut(&event.name)).number()));
        }
        for log in logs {
            let text = format!("{} {}", log.level().as_str(), log.message());
            lines.push((log.time, names.number_without_ids(cut(&text)).number()));
        }
        lines.sort_by_key(|&(time, _)| time);
        lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().into_iter()
    }
}

fn cut(text: &str) -> &str {
    begin(text.lines().next().unwrap_or_default(), LONGEST_LINE)
}

fn begin(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
