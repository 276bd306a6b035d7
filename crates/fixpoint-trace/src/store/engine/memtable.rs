//! What has come and is not sealed yet: places in the write-ahead log, by trace and by span.
//!
//! A span costs some 150 bytes here, whatever its size; its own bytes are read from the log when
//! they are wanted. Not here: finding by words (`words.rs`). The surprise: a span that comes again
//! takes the place of what came before, so a trace is read as it now is, not as it went.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    arrived::{Arrived, LightSpan, Located},
    journal::Journal,
    words::Words,
};
use crate::{
    model::{
        Kind, LogRecord, Resource, Scope, Span, SpanContext, SpanId, Status, Trace, TraceId,
        UnixNanos,
    },
    otlp::{
        proto,
        view::{LogView, SpanView, Spare},
    },
    store::Columns,
};

/// An index over one write-ahead log.
#[derive(Debug)]
pub(super) struct Memtable {
    journal: Arc<Journal>,
    origins: Vec<Origin>,
    origin_of: HashMap<Box<[u8]>, u32>,
    names: Vec<Arc<str>>,
    name_of: HashMap<Arc<str>, u32>,
    spans: Vec<SpanRow>,
    span_of: HashMap<SpanContext, u32>,
    logs: Vec<LogRow>,
    /// Log lines without a trace, by place in `logs`.
    loose: Vec<u32>,
    traces: Vec<TraceRow>,
    trace_of: HashMap<TraceId, u32>,
    by_start: BTreeSet<(UnixNanos, TraceId)>,
    /// When the first of it came.
    since: Option<Instant>,
    words: Mutex<Words>,
}

/// What produced a span or line.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) resource: Arc<Resource>,
    pub(super) scope: Arc<Scope>,
}

/// Where a message lies in the log, and its origin.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    len: u32,
    origin: u32,
}

/// A span, as far as most searches ask.
#[derive(Debug, Clone, Copy)]
struct SpanRow {
    place: Place,
    name: u32,
    trace: u32,
    span_id: SpanId,
    parent: Option<SpanId>,
    start: UnixNanos,
    end: Option<UnixNanos>,
    kind: Kind,
    status: u8,
}

#[derive(Debug, Clone, Copy)]
struct LogRow {
    place: Place,
    time: UnixNanos,
    trace: Option<u32>,
}

#[derive(Debug)]
struct TraceRow {
    id: TraceId,
    /// Of its earliest span or, as long as there is none, of its earliest line.
    start: UnixNanos,
    spans: Vec<u32>,
    logs: Vec<u32>,
}

impl Memtable {
    pub(super) fn new(journal: Journal) -> Self {
        Self {
            journal: Arc::new(journal),
            origins: Vec::new(),
            origin_of: HashMap::new(),
            names: Vec::new(),
            name_of: HashMap::new(),
            spans: Vec::new(),
            span_of: HashMap::new(),
            logs: Vec::new(),
            loose: Vec::new(),
            traces: Vec::new(),
            trace_of: HashMap::new(),
            by_start: BTreeSet::new(),
            since: None,
            words: Mutex::default(),
        }
    }

    /// Takes up a request that the log holds from `at` on.
    pub(super) fn insert(&mut self, arrived: &Arrived, at: u64) {
        self.since.get_or_insert_with(Instant::now);
        let origins: Vec<u32> = (0..arrived.origins.len()).map(|n| self.origin(arrived, n)).collect();
        let place = |it: &Located| Place {
            at: at + u64::from(it.body.start),
            len: it.body.end - it.body.start,
            origin: origins[it.origin as usize],
        };
        for span in &arrived.spans {
            self.insert_span(arrived, span, place(&span.located));
        }
        for log in &arrived.logs {
            let row = number(self.logs.len());
            let trace = log.trace_id.map(|id| self.trace_row(id, log.time));
            match trace {
                Some(trace) => {
                    let of = &mut self.traces[trace as usize];
                    of.logs.push(row);
                    if of.spans.is_empty() && log.time < of.start {
                        self.date(trace, log.time);
                    }
                }
                None => self.loose.push(row),
            }
            self.logs.push(LogRow { place: place(&log.located), time: log.time, trace });
        }
    }

    fn insert_span(&mut self, arrived: &Arrived, span: &LightSpan, place: Place) {
        let trace = self.trace_row(span.trace_id, span.start);
        let row = SpanRow {
            place,
            name: self.name(arrived.text(&span.name)),
            trace,
            span_id: span.span_id,
            parent: span.parent,
            start: span.start,
            end: span.end,
            kind: span.kind,
            status: span.status,
        };
        let context = SpanContext { trace_id: span.trace_id, span_id: span.span_id };
        if let Some(&known) = self.span_of.get(&context) {
            self.spans[known as usize] = row;
            self.words.get_mut().unwrap_or_else(PoisonError::into_inner).changed(known);
        } else {
            let known = number(self.spans.len());
            self.spans.push(row);
            self.span_of.insert(context, known);
            self.traces[trace as usize].spans.push(known);
        }
        let of = &self.traces[trace as usize];
        // The first span dates a trace that was dated by its lines.
        if span.start < of.start || of.spans.len() == 1 && !of.logs.is_empty() {
            self.date(trace, span.start);
        }
    }

    fn date(&mut self, trace: u32, start: UnixNanos) {
        let row = &mut self.traces[trace as usize];
        self.by_start.remove(&(row.start, row.id));
        row.start = start;
        self.by_start.insert((start, row.id));
    }

    fn trace_row(&mut self, id: TraceId, start: UnixNanos) -> u32 {
        *self.trace_of.entry(id).or_insert_with(|| {
            self.by_start.insert((start, id));
            self.traces.push(TraceRow { id, start, spans: Vec::new(), logs: Vec::new() });
            number(self.traces.len() - 1)
        })
    }

    fn origin(&mut self, arrived: &Arrived, n: usize) -> u32 {
        let (resource, scope) = &arrived.origins[n];
        let (resource, scope) = (arrived.bytes(resource), arrived.bytes(scope));
        let mut key = number(resource.len()).to_le_bytes().to_vec();
        key.extend_from_slice(resource);
        key.extend_from_slice(scope);
        if let Some(&known) = self.origin_of.get(key.as_slice()) {
            return known;
        }
        // It was looked through when it came, so it can be read.
        let resource = proto::resource(resource).unwrap_or_default();
        // One process has many scopes: its resource is kept once.
        let same = self.origins.iter().rev().find(|origin| *origin.resource == resource);
        let resource = match same {
            Some(origin) => Arc::clone(&origin.resource),
            None => Arc::new(resource),
        };
        let scope = Arc::new(proto::scope(scope).unwrap_or_default());
        self.origins.push(Origin { resource, scope });
        let known = number(self.origins.len() - 1);
        self.origin_of.insert(key.into(), known);
        known
    }

    fn name(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.name_of.get(name) {
            return known;
        }
        let (known, name) = (number(self.names.len()), Arc::<str>::from(name));
        self.names.push(Arc::clone(&name));
        self.name_of.insert(name, known);
        known
    }

    /// What it holds of a trace.
    pub(super) fn trace(&self, id: TraceId, columns: Columns) -> io::Result<Option<Trace>> {
        let Some(&trace) = self.trace_of.get(&id) else { return Ok(None) };
        let row = &self.traces[trace as usize];
        let mut found = Trace::default();
        for &span in &row.spans {
            found.spans.push(match columns {
                Columns::Light => self.light(span),
                Columns::All => self.span(span)?,
            });
        }
        for &log in &row.logs {
            found.logs.push(match columns {
                Columns::Light => self.light_log(log),
                Columns::All => self.log(log)?,
            });
        }
        Ok(Some(found))
    }

    fn light(&self, row: u32) -> Span {
        let row = &self.spans[row as usize];
        let origin = &self.origins[row.place.origin as usize];
        let context =
            SpanContext { trace_id: self.traces[row.trace as usize].id, span_id: row.span_id };
        Span {
            parent: row.parent,
            kind: row.kind,
            end: row.end,
            status: match row.status {
                1 => Status::Ok,
                2 => Status::Error(String::new()),
                _ => Status::Unset,
            },
            scope: Arc::clone(&origin.scope),
            resource: Arc::clone(&origin.resource),
            ..Span::new(context, &*self.names[row.name as usize], row.start)
        }
    }

    fn light_log(&self, row: u32) -> LogRecord {
        let row = &self.logs[row as usize];
        let mut log = LogRecord::new(row.time, crate::model::Level::Info, "");
        log.trace_id = row.trace.map(|trace| self.traces[trace as usize].id);
        log
    }

    /// A span, whole.
    pub(super) fn span(&self, row: u32) -> io::Result<Span> {
        self.read(self.spans[row as usize].place, |bytes, origin| {
            let view = SpanView::parse(bytes, &mut Spare::default())?;
            view.to_span(Arc::clone(&origin.resource), Arc::clone(&origin.scope))
        })
    }

    /// A log line, whole.
    pub(super) fn log(&self, row: u32) -> io::Result<LogRecord> {
        self.read(self.logs[row as usize].place, |bytes, origin| {
            let view = LogView::parse(bytes, &mut Spare::default())?;
            view.to_log(Arc::clone(&origin.resource), Arc::clone(&origin.scope))
        })
    }

    fn read<T>(
        &self,
        place: Place,
        parse: impl FnOnce(&[u8], &Origin) -> Result<T, proto::Invalid>,
    ) -> io::Result<T> {
        let mut bytes = vec![0; place.len as usize];
        self.journal.read(place.at, &mut bytes)?;
        parse(&bytes, &self.origins[place.origin as usize])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Traces before the place, newest first: when each starts, here, and its id.
    pub(super) fn newest(
        &self,
        before: Option<(UnixNanos, TraceId)>,
    ) -> impl Iterator<Item = (UnixNanos, TraceId)> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        let to = before.map_or(Unbounded, Excluded);
        self.by_start.range((Unbounded, to)).rev().copied()
    }

    /// Traces in which a word occurs or, if it is long enough, a word that begins so; some may be
    /// wrong.
    pub(super) fn find(&self, word: &str) -> io::Result<HashSet<TraceId>> {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.catch_up(self)?;
        Ok(words.find(word).iter().map(|&trace| self.traces[trace as usize].id).collect())
    }

    /// Whether words are up to date, so that nobody has to wait for that.
    pub(super) fn index_words(&self) -> io::Result<()> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).catch_up(self)
    }

    /// Spans that have not ended.
    pub(super) fn open_spans(&self) -> io::Result<Vec<Span>> {
        let rows = (0..).zip(&self.spans).filter(|(_, row)| row.end.is_none());
        rows.map(|(row, _)| self.span(row)).collect()
    }

    /// Goes over all spans that have ended, without reading the log.
    pub(super) fn ended(&self) -> impl Iterator<Item = Span> + '_ {
        let rows = (0..).zip(&self.spans).filter(|(_, row)| row.end.is_some());
        rows.map(|(row, _)| self.light(row))
    }

    /// Places of log lines: those of a trace, or all; by time.
    pub(super) fn log_rows(&self, trace: Option<TraceId>) -> Vec<(UnixNanos, u32)> {
        let time = |row: u32| (self.logs[row as usize].time, row);
        let mut rows: Vec<_> = match trace {
            Some(id) => {
                let trace = self.trace_of.get(&id).map(|&trace| &self.traces[trace as usize]);
                trace.into_iter().flat_map(|trace| &trace.logs).map(|&row| time(row)).collect()
            }
            None => (0..number(self.logs.len())).map(time).collect(),
        };
        rows.sort_unstable();
        rows
    }

    /// The rows of a trace's spans and lines, by number of the trace; for `words.rs`.
    pub(super) fn trace_of_span(&self, row: u32) -> u32 {
        self.spans[row as usize].trace
    }

    /// The trace of a line, if it has one.
    pub(super) fn trace_of_log(&self, row: u32) -> Option<u32> {
        self.logs[row as usize].trace
    }

    /// The traces, for sealing: by start, each with its ended spans and its lines by time.
    pub(super) fn sealable(&self) -> impl Iterator<Item = Sealable> + '_ {
        self.by_start.iter().filter_map(|(_, id)| {
            let trace = &self.traces[*self.trace_of.get(id)? as usize];
            let ended = |row: &&u32| self.spans[**row as usize].end.is_some();
            let mut spans: Vec<u32> = trace.spans.iter().filter(ended).copied().collect();
            spans.sort_unstable_by_key(|&row| {
                let row = &self.spans[row as usize];
                (row.start, row.span_id)
            });
            let mut logs = trace.logs.clone();
            logs.sort_by_key(|&row| self.logs[row as usize].time);
            let any = !spans.is_empty() || !logs.is_empty();
            any.then_some(Sealable { id: *id, spans, logs })
        })
    }

    /// Log lines without a trace, by time.
    pub(super) fn loose(&self) -> Vec<u32> {
        let mut rows = self.loose.clone();
        rows.sort_by_key(|&row| self.logs[row as usize].time);
        rows
    }

    /// The message of a span, and its origin.
    pub(super) fn span_bytes(&self, row: u32, into: &mut Vec<u8>) -> io::Result<&Origin> {
        self.bytes(self.spans[row as usize].place, into)
    }

    /// The message of a log line, and its origin.
    pub(super) fn log_bytes(&self, row: u32, into: &mut Vec<u8>) -> io::Result<&Origin> {
        self.bytes(self.logs[row as usize].place, into)
    }

    fn bytes(&self, place: Place, into: &mut Vec<u8>) -> io::Result<&Origin> {
        into.resize(place.len as usize, 0);
        self.journal.read(place.at, into)?;
        Ok(&self.origins[place.origin as usize])
    }

    pub(super) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    pub(super) fn spans(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn logs(&self) -> usize {
        self.logs.len()
    }

    /// Whether there is something to seal: open spans alone are carried over.
    pub(super) fn has_ended(&self) -> bool {
        !self.logs.is_empty() || self.spans.iter().any(|row| row.end.is_some())
    }

    /// How long ago the first of it came.
    pub(super) fn age(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// A trace's rows, in the order of a segment.
#[derive(Debug)]
pub(super) struct Sealable {
    pub(super) id: TraceId,
    pub(super) spans: Vec<u32>,
    pub(super) logs: Vec<u32>,
}

/// A place in a list. There are never four thousand million: a memtable is sealed long before.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
