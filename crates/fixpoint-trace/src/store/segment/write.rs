//! Writes a segment: what goes on of others as it is, then rows and index side by side, trace by
//! trace.
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
    Carry, Files, Meta, SegmentError, file,
    index::{Carried, Gather, Noted, Owner},
    rows::{LogsWriter, SpansWriter},
};
use crate::{
    model::{Attributes, Resource, Scope, Span, TraceId, UnixNanos, Value},
    otlp::view::{LogView, SpanView, Spare, ValueView},
    semconv,
    store::tokens,
};

/// About how many rows a group has.
const GROUP: usize = 64 << 10;

type Pair<'a> = (&'a str, ValueView<'a>);

/// A segment that is being written.
pub(in super::super) struct Writer {
    folder: PathBuf,
    files: Files,
    group: usize,
    spans: SpansWriter,
    /// Made when the first line comes.
    logs: Option<LogsWriter>,
    gather: Gather,
    /// What goes on of other segments.
    carried: Vec<Carry>,
    /// Lines without a trace are being written.
    loose: bool,
    /// The origin of the span before, in this trace: its attributes are noted once.
    origin: Option<(Arc<Resource>, Arc<Scope>)>,
    times: Option<(UnixNanos, UnixNanos)>,
    spare: Spare,
}

impl Writer {
    pub(in super::super) fn create(folder: &Path, id: u64) -> Result<Self, SegmentError> {
        Self::grouped(folder, id, GROUP)
    }

    /// One with groups of about so many rows.
    pub(in super::super) fn grouped(
        folder: &Path,
        id: u64,
        group: usize,
    ) -> Result<Self, SegmentError> {
        let files = Files::of(folder, id);
        Ok(Self {
            folder: folder.to_owned(),
            spans: SpansWriter::create(&files.spans, group)?,
            files,
            group,
            logs: None,
            gather: Gather::default(),
            carried: Vec::new(),
            loose: false,
            origin: None,
            times: None,
            spare: Spare::default(),
        })
    }

    /// Takes over what goes on of another segment. That comes first, and then the traces which do
    /// not go on as they are; of these, what the other segment had is [discounted](Self::discount).
    pub(in super::super) fn carry(&mut self, mut carry: Carry) -> Result<(), SegmentError> {
        carry.copy_spans(self.spans.table())?;
        if carry.has_lines()[0] {
            carry.copy_lines(false, lines(&mut self.logs, &self.files, self.group)?.table())?;
        }
        carry.segment().carry_counts(&mut self.gather)?;
        self.carried.push(carry);
        Ok(())
    }

    /// A span of a segment that was carried does not go on as it is.
    pub(in super::super) fn discount(&mut self, span: &Span) {
        self.gather.discount(span);
    }

    /// The next trace begins; without an id come, last, lines that belong to none.
    pub(in super::super) fn trace(&mut self, id: Option<TraceId>) -> Result<(), SegmentError> {
        self.spans.table().may_end_group()?;
        if let Some(logs) = &mut self.logs {
            logs.table().may_end_group()?;
        }
        self.origin = None;
        match id {
            Some(id) => {
                let log_row = self.logs.as_ref().map_or(0, LogsWriter::rows);
                self.gather.trace(id, self.spans.rows(), log_row);
                Ok(())
            }
            None => self.begin_loose(),
        }
    }

    fn begin_loose(&mut self) -> Result<(), SegmentError> {
        if std::mem::replace(&mut self.loose, true) {
            return Ok(());
        }
        if let Some(logs) = &mut self.logs {
            logs.table().end_group()?;
        }
        let mut times = Vec::new();
        for carry in self.carried.iter_mut().filter(|carry| carry.has_lines()[1]) {
            carry.copy_lines(true, lines(&mut self.logs, &self.files, self.group)?.table())?;
            times.extend(carry.loose_times()?);
        }
        times.into_iter().for_each(|time| self.loose_time(time));
        Ok(())
    }

    fn loose_time(&mut self, time: UnixNanos) {
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
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
        let logs = lines(&mut self.logs, &self.files, self.group)?;
        let attributes = unique(&log.attributes);
        logs.push(resource, scope, log, &attributes, &body)?;
        if self.loose {
            self.loose_time(log.time);
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
        self.begin_loose()?;
        let (spans, logs) = (self.spans.rows(), self.logs.as_ref().map_or(0, LogsWriter::rows));
        let mut bytes = self.spans.finish()?;
        if let Some(logs) = self.logs {
            bytes += logs.finish()?;
        }
        let carried: Vec<Carried<'_>> = self.carried.iter().map(Carry::index).collect();
        let file = File::create(&self.files.index)?;
        let index = self.gather.write(&carried, BufWriter::with_capacity(1 << 20, &file))?;
        bytes += index.bytes;
        file.sync_all()?;
        file::sync_folder(&self.folder)?;
        let times = [index.starts, self.times];
        let (min_start, max_start) = times
            .into_iter()
            .flatten()
            .reduce(|(min, max), (first, last)| (min.min(first), max.max(last)))
            .unwrap_or((UnixNanos::MAX, 0));
        Ok(Meta { traces: index.traces, spans, logs, min_start, max_start, bytes })
    }
}

/// The writer of lines, which is made when the first one comes.
fn lines<'a>(
    logs: &'a mut Option<LogsWriter>,
    files: &Files,
    group: usize,
) -> Result<&'a mut LogsWriter, SegmentError> {
    Ok(match logs {
        Some(logs) => logs,
        none => none.insert(LogsWriter::create(&files.logs, group)?),
    })
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
