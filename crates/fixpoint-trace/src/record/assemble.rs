//! Makes whole records of what the emitting threads said, and takes secrets out of them.
//!
//! Not here: any I/O. The surprise: a span that opens and closes within one batch is stored once,
//! as it ended, in the place where it opened; parents still come before children.

use std::{collections::HashMap, sync::Arc};

use super::queue::{Field, Line, Message, Opening};
use crate::{
    model::{
        Attributes, Kind, Link, LogRecord, Record, Scope, Span, SpanContext, Status, UnixNanos,
        Value,
    },
    redact,
    semconv::{self, special},
};

/// The spans now open, and the records of the batch being made.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    open: HashMap<SpanContext, Span>,
    /// None stands for a span as it is in `open` when the batch is finished.
    batch: Vec<Option<Record>>,
    /// Where in the batch a span is.
    places: HashMap<SpanContext, usize>,
}

impl Assembly {
    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    pub(super) fn knows(&self, context: SpanContext) -> bool {
        self.open.contains_key(&context)
    }

    /// Takes up a span that was stored before.
    pub(super) fn adopt(&mut self, span: Span) {
        self.open.insert(span.context(), span);
    }

    pub(super) fn take(&mut self, message: Message) {
        match message {
            Message::Open(opening) => self.open(opening),
            Message::Set { context, fields } => {
                self.change(context, |span| set(span, fields));
            }
            Message::Link { context, to } => {
                self.change(context, |span| span.links.push(to.into()));
            }
            Message::Close { context, time } => self.close(context, time),
            Message::Line(line) => self.batch.push(Some(Record::Log(log(*line)))),
            Message::Whole(record) => self.whole(*record),
            Message::Flush(_) => {}
        }
    }

    /// The batch, in the order in which its spans opened and its lines were written.
    pub(super) fn finish(&mut self) -> Vec<Record> {
        for (context, place) in self.places.drain() {
            if let Some(entry @ None) = self.batch.get_mut(place) {
                *entry = self.open.get(&context).cloned().map(Record::Span);
            }
        }
        self.batch.drain(..).flatten().collect()
    }

    /// Takes a batch back that could not be stored: the next one begins with it.
    pub(super) fn put_back(&mut self, records: Vec<Record>) {
        for (place, record) in records.iter().enumerate() {
            if let Record::Span(span) = record {
                self.places.insert(span.context(), place);
            }
        }
        self.batch = records.into_iter().map(Some).collect();
    }

    /// Drops what is behind the first `limit` records of the batch. Returns how many that were.
    pub(super) fn shorten(&mut self, limit: usize) -> usize {
        let lost = self.batch.len().saturating_sub(limit);
        self.batch.truncate(limit);
        self.places.retain(|_, place| *place < limit);
        lost
    }

    /// A span as the batch has it, whether it is open or not.
    pub(super) fn kept(&self, context: SpanContext) -> Option<Span> {
        match self.batch.get(*self.places.get(&context)?)? {
            Some(Record::Span(span)) => Some(span.clone()),
            _ => self.open.get(&context).cloned(),
        }
    }

    fn open(&mut self, opening: Opening) {
        let Opening { context, parent, name, time, fields, resource, .. } = opening;
        let span = self.open.entry(context).or_insert_with(|| Span {
            attributes: Attributes::with_capacity(fields.len()),
            resource,
            ..Span::new(context, name, time)
        });
        span.parent = parent.or(span.parent);
        // What a span that goes on was closed with while nobody worked on it no longer holds.
        span.end = None;
        span.status = Status::Unset;
        if span.attributes.get(semconv::ERROR_TYPE).and_then(text) == Some(semconv::WORKER_LOST) {
            span.attributes.shift_remove(semconv::ERROR_TYPE);
        }
        set(span, fields);
        self.place(context);
    }

    /// Changes an open span. One that is not known was dropped when it opened.
    fn change(&mut self, context: SpanContext, change: impl FnOnce(&mut Span)) {
        if let Some(span) = self.open.get_mut(&context) {
            change(span);
            self.place(context);
        }
    }

    fn close(&mut self, context: SpanContext, time: UnixNanos) {
        if let Some(mut span) = self.open.remove(&context) {
            // The wall clock may have been set back meanwhile.
            span.end = Some(time.max(span.start));
            self.put(context, Some(Record::Span(span)));
        }
    }

    fn whole(&mut self, mut record: Record) {
        match &mut record {
            Record::Span(span) => {
                redact_all(&mut span.attributes);
                let context = span.context();
                if self.knows(context) && span.end.is_none() {
                    self.adopt(span.clone());
                } else {
                    self.open.remove(&context);
                }
                self.put(context, Some(record));
            }
            Record::Log(line) => {
                line.body = redacted(std::mem::take(&mut line.body), "");
                redact_all(&mut line.attributes);
                self.batch.push(Some(record));
            }
        }
    }

    /// Sees to it that the batch says of the span what `open` does.
    fn place(&mut self, context: SpanContext) {
        self.put(context, None);
    }

    fn put(&mut self, context: SpanContext, record: Option<Record>) {
        let place = *self.places.entry(context).or_insert(self.batch.len());
        match self.batch.get_mut(place) {
            Some(entry) => *entry = record,
            None => self.batch.push(record),
        }
    }
}

/// Acts on the special fields and keeps the others as attributes.
fn set(span: &mut Span, fields: Vec<Field>) {
    for (name, value) in fields {
        match (name, text(&value)) {
            (special::NAME, Some(name)) => redact::text(name).as_ref().clone_into(&mut span.name),
            (special::KIND, Some(kind)) => span.kind = kind_named(kind),
            (special::STATUS_CODE, Some(code)) => span.status = status(code, &span.status),
            (special::STATUS_DESCRIPTION, Some(why)) => {
                span.status = Status::Error(redact::text(why).into_owned());
            }
            (special::LINK, Some(links)) => span.links.extend(links.split(',').filter_map(link)),
            _ => {
                let name = name.strip_prefix("r#").unwrap_or(name);
                span.attributes.insert(name.to_owned(), redacted(value, name));
            }
        }
    }
}

fn log(line: Line) -> LogRecord {
    let Line { context, time, level, target, mut message, fields, resource } = line;
    redact_text(&mut message);
    LogRecord {
        trace_id: context.map(|c| c.trace_id),
        span_id: context.map(|c| c.span_id),
        attributes: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), redacted(value, name)))
            .collect(),
        scope: Arc::new(Scope::named(target)),
        resource,
        ..LogRecord::new(time, level, message)
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn kind_named(kind: &str) -> Kind {
    [
        ("server", Kind::Server),
        ("client", Kind::Client),
        ("producer", Kind::Producer),
        ("consumer", Kind::Consumer),
    ]
    .into_iter()
    .find_map(|(name, value)| kind.eq_ignore_ascii_case(name).then_some(value))
    .unwrap_or_default()
}

/// A code keeps the description that came before it.
fn status(code: &str, before: &Status) -> Status {
    match (code.to_ascii_uppercase().as_str(), before) {
        ("OK", _) => Status::Ok,
        ("ERROR", Status::Error(why)) => Status::Error(why.clone()),
        ("ERROR", _) => Status::Error(String::new()),
        _ => Status::Unset,
    }
}

fn link(link: &str) -> Option<Link> {
    let (trace_id, span_id) = link.trim().split_once('-')?;
    let to = SpanContext { trace_id: trace_id.parse().ok()?, span_id: span_id.parse().ok()? };
    Some(to.into())
}

fn redact_all(attributes: &mut Attributes) {
    for (name, value) in attributes {
        *value = redacted(std::mem::take(value), name);
    }
}

fn redacted(value: Value, name: &str) -> Value {
    match value {
        Value::String(_) if redact::is_secret_name(name) => {
            Value::String(redact::REDACTED.to_owned())
        }
        Value::String(mut text) => {
            redact_text(&mut text);
            Value::String(text)
        }
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| redacted(value, name)).collect())
        }
        Value::Map(mut map) => {
            redact_all(&mut map);
            Value::Map(map)
        }
        plain => plain,
    }
}

fn redact_text(text: &mut String) {
    if let std::borrow::Cow::Owned(clean) = redact::text(text) {
        *text = clean;
    }
}
