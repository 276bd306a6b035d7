//! What has come and is not sealed yet: places in the write-ahead log, by trace and by span.
//!
//! A span costs some 150 bytes here, whatever its size; its own bytes are read from the log when
//! they are wanted. Not here: finding by words (`words.rs`), or what moves on when the log is full
//! (`moving.rs`). The surprise: a span that comes again
//! takes the place of what came before, so a trace is read as it now is, not as it went.

mod moving;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use self::words::{Extent, Words};
use super::{
    arrived::{Arrived, LightSpan, Located},
    journal::{Ahead, Frame, Journal},
    write::read,
};
use crate::{
    model::{
        Kind, LogRecord, Resource, Scope, Span, SpanContext, SpanId, Status, Trace, TraceId,
        UnixNanos, Value,
    },
    otlp::{
        proto,
        view::{LogView, SpanView, Spare},
    },
    semconv,
    store::{Columns, rollup::Rollup},
};

/// How many spans are looked at to say which attributes are in use.
const SAMPLE: u32 = 2_000;

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
    /// Traces that moved here whole: the table before says nothing of them that is not here too.
    moved_in: Arc<HashSet<TraceId>>,
    /// When the first of it came,
    since: Option<Instant>,
    /// and the last, in milliseconds after the first.
    last: u32,
    /// Spans that came again, in the order in which they did.
    repeats: Vec<u32>,
    words: Arc<Mutex<Words>>,
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
    /// When something of it came last, in milliseconds since the first of the table.
    touched: u32,
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
            moved_in: Arc::default(),
            since: None,
            last: 0,
            repeats: Vec::new(),
            words: Arc::default(),
        }
    }

    /// Takes up a request that the log holds in a frame.
    pub(super) fn insert(&mut self, arrived: &Arrived, frame: Frame) {
        let (at, now) = (frame.offset, self.age_after(Instant::now()));
        self.last = now;
        if frame.moved {
            let traces = arrived.spans.iter().map(|span| span.trace_id);
            let traces = traces.chain(arrived.logs.iter().filter_map(|log| log.trace_id));
            Arc::make_mut(&mut self.moved_in).extend(traces);
        }
        let origins: Vec<u32> =
            (0..arrived.origins.len()).map(|n| self.origin(arrived, n)).collect();
        let place = |it: &Located| Place {
            at: at + u64::from(it.body.start),
            len: it.body.end - it.body.start,
            origin: origins[it.origin as usize],
        };
        for span in &arrived.spans {
            self.insert_span(arrived, span, place(&span.located), now);
        }
        for log in &arrived.logs {
            let row = number(self.logs.len());
            let trace = log.trace_id.map(|id| self.trace_row(id, log.time, now));
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

    fn insert_span(&mut self, arrived: &Arrived, span: &LightSpan, place: Place, now: u32) {
        let trace = self.trace_row(span.trace_id, span.start, now);
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
            self.repeats.push(known);
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

    fn trace_row(&mut self, id: TraceId, start: UnixNanos, now: u32) -> u32 {
        let trace = *self.trace_of.entry(id).or_insert_with(|| {
            self.by_start.insert((start, id));
            let (spans, logs) = (Vec::new(), Vec::new());
            self.traces.push(TraceRow { id, start, touched: now, spans, logs });
            number(self.traces.len() - 1)
        });
        self.traces[trace as usize].touched = now;
        trace
    }

    fn age_after(&mut self, now: Instant) -> u32 {
        let since = *self.since.get_or_insert(now);
        now.duration_since(since).as_millis().try_into().unwrap_or(u32::MAX)
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
                Columns::Light => self.light(span)?,
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

    /// A span without what must be read from the log, but for why it failed.
    fn light(&self, number: u32) -> io::Result<Span> {
        let row = &self.spans[number as usize];
        let origin = &self.origins[row.place.origin as usize];
        let context =
            SpanContext { trace_id: self.traces[row.trace as usize].id, span_id: row.span_id };
        Ok(Span {
            parent: row.parent,
            kind: row.kind,
            end: row.end,
            status: match row.status {
                1 => Status::Ok,
                2 => self.span(number)?.status,
                _ => Status::Unset,
            },
            scope: Arc::clone(&origin.scope),
            resource: Arc::clone(&origin.resource),
            ..Span::new(context, &*self.names[row.name as usize], row.start)
        })
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

    /// Shows a message as it lies in the log, to whoever looks at one after the other.
    fn show(
        &self,
        place: Place,
        ahead: &mut Ahead,
        show: impl FnOnce(&[u8]) -> Result<(), proto::Invalid>,
    ) -> io::Result<()> {
        show(self.journal.read_ahead(place.at, place.len, ahead)?).map_err(invalid)
    }

    fn read<T>(
        &self,
        place: Place,
        parse: impl FnOnce(&[u8], &Origin) -> Result<T, proto::Invalid>,
    ) -> io::Result<T> {
        let mut bytes = vec![0; place.len as usize];
        self.journal.read(place.at, &mut bytes)?;
        parse(&bytes, &self.origins[place.origin as usize]).map_err(invalid)
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

    /// Traces in which a word occurs or, if `beginning`, a word that begins so; some may be wrong.
    pub(super) fn find(
        table: &RwLock<Self>,
        word: &str,
        beginning: bool,
    ) -> io::Result<HashSet<TraceId>> {
        let words = Arc::clone(&read(table).words);
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.catch_up(table)?;
        let of_beginning = beginning.then(|| words.beginning(word));
        let found = words.whole(word).chain(of_beginning.into_iter().flatten());
        let table = read(table);
        Ok(found.map(|trace| table.traces[trace as usize].id).collect())
    }

    /// The traces of which a span failed.
    pub(super) fn failed(&self) -> HashSet<TraceId> {
        let failed = self.spans.iter().filter(|row| row.status == 2);
        failed.map(|row| self.traces[row.trace as usize].id).collect()
    }

    /// Brings the index of words up to date, so that no search has to.
    pub(super) fn index_words(table: &RwLock<Self>) -> io::Result<()> {
        let words = Arc::clone(&read(table).words);
        words.lock().unwrap_or_else(PoisonError::into_inner).catch_up(table)
    }

    /// How much there is of it.
    fn extent(&self) -> Extent {
        let (spans, logs) = (self.spans.len(), self.logs.len());
        Extent { spans, logs, repeats: self.repeats.len() }
    }

    /// Spans that have not ended, but for those of traces that have moved on.
    pub(super) fn open_spans(&self, moved: &HashSet<TraceId>) -> io::Result<Vec<Span>> {
        let rows = 0..number(self.spans.len());
        let open = rows.filter(|&row| self.is_open(row) && self.stays(row, moved));
        open.map(|row| self.span(row)).collect()
    }

    /// Counts all spans that have ended, but for those of traces that have moved on.
    pub(super) fn count(&self, rollup: &mut Rollup, moved: &HashSet<TraceId>) {
        for number in 0..number(self.spans.len()) {
            let row = &self.spans[number as usize];
            if row.end.is_some() && self.stays(number, moved) {
                let resource = &self.origins[row.place.origin as usize].resource;
                let service = resource.get(semconv::SERVICE_NAME).and_then(Value::as_str);
                let (service, name) =
                    (service.unwrap_or_default(), &*self.names[row.name as usize]);
                rollup.count(service, name, row.kind, row.start, row.end, row.status == 2);
            }
        }
    }

    fn is_open(&self, row: u32) -> bool {
        self.spans[row as usize].end.is_none()
    }

    fn stays(&self, row: u32, moved: &HashSet<TraceId>) -> bool {
        let trace = self.spans[row as usize].trace;
        moved.is_empty() || !moved.contains(&self.traces[trace as usize].id)
    }

    /// Traces that moved here whole from the table before.
    pub(super) fn moved_in(&self) -> Arc<HashSet<TraceId>> {
        Arc::clone(&self.moved_in)
    }

    /// Times and places of log lines, by time, but for those of traces that have moved on.
    pub(super) fn log_rows(&self, moved: &HashSet<TraceId>) -> Vec<(UnixNanos, u32)> {
        let stays = |row: &LogRow| {
            let id = row.trace.map(|trace| self.traces[trace as usize].id);
            id.is_none_or(|id| !moved.contains(&id))
        };
        let rows = (0..).zip(&self.logs).filter(|(_, row)| stays(row));
        let mut rows: Vec<_> = rows.map(|(n, row)| (row.time, n)).collect();
        rows.sort_unstable();
        rows
    }

    /// Whether it holds anything of the trace.
    pub(super) fn has(&self, id: TraceId) -> bool {
        self.trace_of.contains_key(&id)
    }

    /// Whether it holds the span.
    pub(super) fn has_span(&self, span: SpanContext) -> bool {
        self.span_of.contains_key(&span)
    }

    /// Some of its spans, whole: those that came last.
    pub(super) fn sample(&self) -> io::Result<Vec<Span>> {
        let to = number(self.spans.len());
        (to.saturating_sub(SAMPLE)..to).map(|row| self.span(row)).collect()
    }

    /// The traces that have not moved on, for sealing: by the start of what is sealed of them, each
    /// with its ended spans and its lines by time.
    pub(super) fn sealable(&self, moved: &HashSet<TraceId>) -> Vec<Sealable> {
        let stays = self.traces.iter().filter(|trace| !moved.contains(&trace.id));
        let sealable = stays.filter_map(|trace| {
            let ended = |row: &&u32| self.spans[**row as usize].end.is_some();
            let mut spans: Vec<u32> = trace.spans.iter().filter(ended).copied().collect();
            spans.sort_unstable_by_key(|&row| {
                let row = &self.spans[row as usize];
                (row.start, row.span_id)
            });
            let mut logs = trace.logs.clone();
            logs.sort_by_key(|&row| self.logs[row as usize].time);
            // An open span, which is not sealed, may have dated the trace before these.
            let first = spans.first().map(|&row| self.spans[row as usize].start);
            let start = first.or_else(|| logs.first().map(|&row| self.logs[row as usize].time))?;
            Some((start, Sealable { id: trace.id, spans, logs }))
        });
        let mut sealable: Vec<(UnixNanos, Sealable)> = sealable.collect();
        sealable.sort_unstable_by_key(|(start, trace)| (*start, trace.id));
        sealable.into_iter().map(|(_, trace)| trace).collect()
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

    /// The start of its oldest trace.
    pub(super) fn oldest(&self) -> Option<UnixNanos> {
        self.by_start.first().map(|(start, _)| *start)
    }

    /// How long ago the first of it came.
    pub(super) fn age(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long ago the last of it came.
    pub(super) fn idle(&self) -> Duration {
        self.age().saturating_sub(Duration::from_millis(self.last.into()))
    }
}

/// A trace's rows, in the order of a segment.
#[derive(Debug)]
pub(super) struct Sealable {
    pub(super) id: TraceId,
    pub(super) spans: Vec<u32>,
    pub(super) logs: Vec<u32>,
}

fn invalid(error: proto::Invalid) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A place in a list. There are never four thousand million: a memtable is sealed long before.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
