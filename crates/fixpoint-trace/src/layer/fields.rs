//! Reads the fields of spans and events out of `tracing`.
//!
//! Runs on the thread that emits, so it copies values and no more; what they mean is found out
//! by the writer. Only the fields that decide a span's ids are acted on here.

use std::{error::Error, fmt, str::FromStr};

use tracing::{
    Event,
    field::{Field, Visit},
    span,
};

use crate::{
    chain::chain,
    model::{SpanId, TraceId, Value},
    record,
    semconv::special,
};

/// The ids that a span's fields ask for.
#[derive(Debug, Default)]
pub(super) struct Ids {
    pub(super) trace: Option<TraceId>,
    pub(super) span: Option<SpanId>,
    pub(super) parent: Option<SpanId>,
}

#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Vec<record::Field>,
    ids: Ids,
    message: String,
    of_event: bool,
}

impl Fields {
    /// A span's fields, and the ids that are asked for among them.
    pub(super) fn of_span(attributes: &span::Attributes<'_>) -> (Vec<record::Field>, Ids) {
        let mut fields = Self::with_room(attributes.metadata().fields().len());
        attributes.record(&mut fields);
        (fields.values, fields.ids)
    }

    /// Fields of a span that became known later. Its ids do not change any more.
    pub(super) fn of_record(values: &span::Record<'_>) -> Vec<record::Field> {
        let mut fields = Self::with_room(values.len());
        values.record(&mut fields);
        fields.values
    }

    /// An event's fields, and its message apart.
    pub(super) fn of_event(event: &Event<'_>) -> (Vec<record::Field>, String) {
        let mut fields = Self::with_room(event.metadata().fields().len().saturating_sub(1));
        fields.of_event = true;
        event.record(&mut fields);
        (fields.values, fields.message)
    }

    fn with_room(fields: usize) -> Self {
        Self { values: Vec::with_capacity(fields), ..Self::default() }
    }

    fn put(&mut self, field: &Field, value: Value) {
        self.values.push((field.name(), value));
    }

    /// Whether the field was one of those that name ids. A malformed id stays an attribute, where
    /// it can be seen.
    fn names_id(&mut self, name: &str, text: &str) -> bool {
        fn parse<T: FromStr>(into: &mut Option<T>, text: &str) -> bool {
            *into = text.parse().ok();
            into.is_some()
        }
        match name {
            special::TRACE_ID => parse(&mut self.ids.trace, text),
            special::SPAN_ID => parse(&mut self.ids.span, text),
            special::PARENT_ID => parse(&mut self.ids.parent, text),
            _ => false,
        }
    }

    fn put_text(&mut self, field: &Field, text: String) {
        let name = field.name();
        if self.of_event {
            if name == "message" {
                self.message = text;
                return;
            }
        } else if name.starts_with("fixpoint.") && self.names_id(name, &text) {
            return;
        }
        self.put(field, Value::String(text));
    }
}

/// OTLP has only 64 bits with a sign: what does not fit is kept as text, not rounded.
fn int<T: TryInto<i64> + fmt::Display + Copy>(value: T) -> Value {
    value.try_into().map_or_else(|_| Value::String(value.to_string()), Value::Int)
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, int(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, int(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, int(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Value::Double(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, value.to_owned());
    }

    /// The error and its causes, as one line.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_text(field, format!("{value:?}"));
    }
}
