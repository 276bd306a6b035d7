//! Writes every event as one line of JSON: for stdout, where the platform collects it.
//!
//! `{"time", "level", "message", "trace_id", "span_id", "target", ...fields}`, secrets removed.
//! Not buffered: a line is out when the call returns. The surprise: trace and span ids are those
//! that [`RecordLayer`](super::RecordLayer) gave; without it the lines have none.

use std::{
    fmt,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tracing::{Event, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    layer::{Context, Layer},
    registry::LookupSpan,
};

use super::{fields::Fields, nearest, noise::is_noise};
use crate::{model::Level, redact};

/// Writes events as lines of JSON.
pub struct JsonLines {
    out: Mutex<Box<dyn Write + Send>>,
}

impl JsonLines {
    /// Lines to stdout.
    pub fn stdout() -> Self {
        Self::to(io::stdout())
    }

    /// Lines to any writer; each comes in one call of `write_all`.
    pub fn to(out: impl Write + Send + 'static) -> Self {
        Self { out: Mutex::new(Box::new(out)) }
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").finish_non_exhaustive()
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_noise(metadata) { Interest::never() } else { Interest::always() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !is_noise(metadata)
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let metadata = event.metadata();
        if is_noise(metadata) {
            return;
        }
        let (fields, message) = Fields::of_event(event);
        let mut line = Map::new();
        line.insert("time".into(), Timestamp::now().to_string().into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("message".into(), message.into());
        if let Some(context) = cx.event_span(event).and_then(nearest) {
            line.insert("trace_id".into(), context.trace_id.to_string().into());
            line.insert("span_id".into(), context.span_id.to_string().into());
        }
        line.insert("target".into(), metadata.target().into());
        for (name, value) in fields {
            // A field must not pass itself off as, say, the line's trace.
            let name = name.strip_prefix("r#").unwrap_or(name);
            let name = if line.contains_key(name) || matches!(name, "trace_id" | "span_id") {
                format!("field.{name}")
            } else {
                name.to_owned()
            };
            // A value has text keys only, so this does not fail.
            line.insert(name, serde_json::to_value(value).unwrap_or_default());
        }
        let mut line = Json::Object(line);
        redact::json(&mut line);
        let line = format!("{line}\n");
        // A closed pipe must not end the process that is being watched through it.
        let _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}

pub(super) fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::TRACE => Level::Trace,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::INFO => Level::Info,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::ERROR => Level::Error,
    }
}
