//! Writes a segment: rows and index side by side, trace by trace.
//!
//! The surprise: nothing is renamed. A segment exists once the manifest names it; files that are
//! not named are swept away at the next start.

use std::{
    borrow::Cow,
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Files, Meta, SegmentError, file,
    index::{Gather, Noted, Owner},
    rows::{LogsWriter, SpansWriter},
};
use crate::{
    model::{Attributes, Resource, Scope, TraceId, UnixNanos, Value},
    otlp::view::{LogView, SpanView, Spare, ValueView},
    semconv,
    store::tokens,
};

/// How a segment is written.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct WriterOptions {
    /// How well rows are compressed: 1 is fast, 3 and more is small.
    pub(in super::super) zstd_level: i32,
}

type Pair<'a> = (&'a str, ValueView<'a>);

/// A segment that is being written.
pub(in super::super) struct Writer {
    folder: PathBuf,
    files: Files,
    options: WriterOptions,
    spans: SpansWriter,
    /// Made when the first line comes.
    logs: Option<LogsWriter>,
    gather: Gather,
    /// Lines without a trace are being written.
    loose: bool,
    /// The origin of the span before, in this trace: its attributes are noted once.
    origin: Option<(Arc<Resource>, Arc<Scope>)>,
    times: Option<(UnixNanos, UnixNanos)>,
    spare: Spare,
}

impl Writer {
    pub(in super::super) fn create(
        folder: &Path,
        id: u64,
        options: WriterOptions,
    ) -> Result<Self, SegmentError> {
        let files = Files::of(folder, id);
        Ok(Self {
            folder: folder.to_owned(),
            spans: SpansWriter::create(&files.spans, options.zstd_level)?,
            files,
            options,
            logs: None,
            gather: Gather::default(),
            loose: false,
            origin: None,
            times: None,
            spare: Spare::default(),
        })
    }

    /// The next trace begins. They come by their start; without an id come, last, lines that
    /// belong to none.
    pub(in super::super) fn trace(&mut self, id: Option<TraceId>) -> Result<(), SegmentError> {
        let log_row = self.logs.as_ref().map_or(0, LogsWriter::rows);
        self.loose = id.is_none();
        self.origin = None;
        if let Some(id) = id {
            self.gather.trace(id, self.spans.rows(), log_row);
        }
        Ok(())
    }

    pub(in super::super) fn span(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        span: &SpanView<'_>,
    ) -> Result<(), SegmentError> {
        let attributes = unique(&span.attributes);
        self.spans.push(resource, scope, span, &attributes)?;
        let service = resource.get(semconv::SERVICE_NAME).and_then(Value::as_str);
        self.gather.span(Noted {
            id: span.span_id,
            root: span.parent.is_none(),
            service: service.unwrap_or_default(),
            name: span.name,
            kind: span.kind,
            start: span.start,
            end: span.end,
            status: span.status,
            message: span.status_message,
        });
        for (name, value) in &*attributes {
            self.gather.name(name, Owner::Span);
            match value {
                ValueView::Str(text) => note_text(&mut self.gather, name, text),
                other => note(&mut self.gather, name, &other.to_value()?),
            }
        }
        let known = self.origin.as_ref().is_some_and(|(known_resource, known_scope)| {
            Arc::ptr_eq(known_resource, resource) && Arc::ptr_eq(known_scope, scope)
        });
        if !known {
            note_all(&mut self.gather, resource, Owner::Resource);
            note_all(&mut self.gather, &scope.attributes, Owner::Scope);
            self.origin = Some((Arc::clone(resource), Arc::clone(scope)));
        }
        Ok(())
    }

    pub(in super::super) fn log(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        log: &LogView<'_>,
    ) -> Result<(), SegmentError> {
        let body = log.body.to_value()?;
        let logs = match &mut self.logs {
            Some(logs) => logs,
            none => none.insert(LogsWriter::create(&self.files.logs, self.options.zstd_level)?),
        };
        let attributes = unique(&log.attributes);
        logs.push(resource, scope, log, &attributes, &body)?;
        if self.loose {
            let (first, last) = self.times.unwrap_or((log.time, log.time));
            self.times = Some((first.min(log.time), last.max(log.time)));
            return Ok(());
        }
        self.gather.log(log.time, &body.to_text());
        for (name, value) in &*attributes {
            note_words(&mut self.gather, name, &value.to_value()?);
        }
        Ok(())
    }

    /// A span of which there is the message.
    pub(in super::super) fn span_message(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        message: &[u8],
    ) -> Result<(), SegmentError> {
        let mut spare = std::mem::take(&mut self.spare);
        let span = SpanView::parse(message, &mut spare)?;
        self.span(resource, scope, &span)?;
        span.recycle(&mut spare);
        self.spare = spare;
        Ok(())
    }

    /// A log line of which there is the message.
    pub(in super::super) fn log_message(
        &mut self,
        resource: &Arc<Resource>,
        scope: &Arc<Scope>,
        message: &[u8],
    ) -> Result<(), SegmentError> {
        let mut spare = std::mem::take(&mut self.spare);
        let log = LogView::parse(message, &mut spare)?;
        self.log(resource, scope, &log)?;
        log.recycle(&mut spare);
        self.spare = spare;
        Ok(())
    }

    /// Completes the files. When this returns they are on the disk.
    pub(in super::super) fn finish(mut self) -> Result<Meta, SegmentError> {
        let (spans, logs) = (self.spans.rows(), self.logs.as_ref().map_or(0, LogsWriter::rows));
        let mut bytes = self.spans.finish()?;
        if let Some(logs) = self.logs {
            bytes += logs.finish()?;
        }
        let pieces = self.gather.pieces();
        let starts = pieces.iter().map(|piece| piece.start);
        let times = self.times.map(|(first, last)| [first, last]).into_iter().flatten();
        let (min_start, max_start) = starts
            .chain(times)
            .fold((UnixNanos::MAX, 0), |(min, max), start| (min.min(start), max.max(start)));
        let traces = u32::try_from(pieces.len()).map_err(|_| SegmentError::TOO_LARGE)?;
        let index = File::create(&self.files.index)?;
        bytes += self.gather.write(BufWriter::with_capacity(1 << 20, &index))?;
        index.sync_all()?;
        file::sync_folder(&self.folder)?;
        Ok(Meta { traces, spans, logs, min_start, max_start, bytes })
    }
}

fn note_all(gather: &mut Gather, attributes: &Attributes, owner: Owner) {
    for (name, value) in attributes {
        gather.name(name, owner);
        note(gather, name, value);
    }
}

/// Notes what an attribute is found by; it is what `query/matches.rs` compares.
fn note(gather: &mut Gather, name: &str, value: &Value) {
    match value {
        Value::String(text) => note_text(gather, name, text),
        Value::Array(values) => values.iter().for_each(|it| note(gather, name, it)),
        Value::Map(map) => map.iter().for_each(|(name, value)| note_words(gather, name, value)),
        Value::Empty => {}
        // Measured values are all different, and nobody looks for one of them.
        Value::Double(value) if value.fract() != 0.0 => {}
        Value::Double(number) => {
            if let Some(whole) = tokens::whole(*number) {
                gather.number(name, &whole);
            }
            note_text(gather, name, &value.to_text());
        }
        Value::Bytes(_) => {
            let text = value.to_text();
            // It looks like a number, and is none.
            if text.bytes().all(|b| b.is_ascii_digit()) {
                gather.doubt(name);
            }
            note_text(gather, name, &text);
        }
        Value::Bool(_) | Value::Int(_) => note_text(gather, name, &value.to_text()),
    }
}

fn note_text(gather: &mut Gather, name: &str, text: &str) {
    if tokens::is_indexed(name, text) {
        gather.value(name, text);
        if let (semconv::RESOURCE, Some((_, last))) = (name, text.rsplit_once('/')) {
            gather.word(&tokens::normal(last));
        }
    } else {
        tokens::text_words(name, text, &mut |word| gather.word(word));
    }
}

/// Notes words of what no query compares, but `find` does.
fn note_words(gather: &mut Gather, name: &str, value: &Value) {
    tokens::value_words(name, value, &mut |word| gather.word(word));
}

/// Attributes as they count: of several by one name the last one, in the place of the first.
fn unique<'a, 'v>(attributes: &'a [Pair<'v>]) -> Cow<'a, [Pair<'v>]> {
    let repeats = |n: usize| attributes[..n].iter().any(|(name, _)| *name == attributes[n].0);
    if !(1..attributes.len()).any(repeats) {
        return attributes.into();
    }
    let mut kept: Vec<Pair<'v>> = Vec::new();
    for &(name, value) in attributes {
        match kept.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => kept.push((name, value)),
        }
    }
    kept.into()
}
