//! A sealed segment: some hundred thousand spans and their log lines, for good.
//!
//! `segment-N.parquet` and `segment-N.logs.parquet` hold rows that any reader of Parquet reads;
//! `segment-N.index` finds them. Not here: which segments there are (`engine/`). The surprise: the
//! rows of a trace stand together, and traces are numbered by their start, so that reading the
//! newest first is reading from the last one on, and a number says when a trace was.

mod candidates;
mod carry;
mod files;
mod index;
mod rows;
mod shelf;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub(super) use self::{
    candidates::Candidates,
    carry::Carry,
    files::{Files, number_of, sweep},
    write::Writer,
};
use self::{
    index::{Gather, Index},
    rows::Logs,
    shelf::{Rows, Shelf},
};
use super::{
    Columns, RateQuery, TraceSummary,
    bucket::{BucketError, Connection},
    file,
    rollup::Rollup,
    tokens,
};
use crate::model::{LogRecord, Trace, TraceId, UnixNanos};

/// What a segment holds, for the manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) traces: u32,
    pub(super) spans: u64,
    pub(super) logs: u64,
    /// When its first and its last trace start. If it holds lines without a trace, these count.
    pub(super) min_start: UnixNanos,
    pub(super) max_start: UnixNanos,
    /// On the disk, index included.
    pub(super) bytes: u64,
}

/// A segment could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(super) enum SegmentError {
    /// The disk refused.
    #[error("a file of the segment could not be read or written")]
    Io(#[from] io::Error),
    /// Parquet refused.
    #[error("its rows could not be read or written")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// What is in the file is not what was written.
    #[error("a file of the segment is damaged: {0}")]
    Damaged(&'static str),
    /// A span could not be read from its request.
    #[error("a span is not valid")]
    Invalid(#[from] crate::otlp::proto::Invalid),
    /// Its rows lie in the bucket, and do not come from there.
    #[error("its rows could not be fetched from the bucket: {0}")]
    Away(#[from] BucketError),
}

impl SegmentError {
    const UNLIKE: Self = Self::Damaged("it holds more or less than the manifest says");
    const DAMAGED: Self = Self::Damaged("what it says does not fit together");
    const TOO_LARGE: Self = Self::Damaged("a part of it is larger than 4 GiB");
}

/// A segment that is open. Its calls block.
#[derive(Debug)]
pub(super) struct Segment {
    id: u64,
    meta: Meta,
    index: Index,
    shelf: Shelf,
}

impl Segment {
    /// Opens the files of a segment that the manifest names.
    pub(super) fn open(folder: &Path, id: u64, meta: Meta) -> Result<Self, SegmentError> {
        let segment = Self::of(folder, id, meta, None)?;
        segment.rows()?;
        Ok(segment)
    }

    /// Opens its index, which is here; its rows are fetched from the bucket when they are wanted
    /// and are not here.
    pub(super) fn open_away(
        folder: &Path,
        id: u64,
        meta: Meta,
        bucket: Arc<Connection>,
    ) -> Result<Self, SegmentError> {
        Self::of(folder, id, meta, Some(bucket))
    }

    fn of(
        folder: &Path,
        id: u64,
        meta: Meta,
        bucket: Option<Arc<Connection>>,
    ) -> Result<Self, SegmentError> {
        let files = Files::of(folder, id);
        let index = Index::open(&files.index)?;
        if index.traces() != meta.traces {
            return Err(SegmentError::UNLIKE);
        }
        let shelf = Shelf::new(files, (meta.spans, meta.logs), bucket);
        Ok(Self { id, meta, index, shelf })
    }

    /// Its rows; fetched, if they are not here.
    fn rows(&self) -> Result<Arc<Rows>, SegmentError> {
        self.shelf.rows()
    }

    /// How many bytes of rows are here.
    pub(super) fn held(&self) -> u64 {
        self.shelf.held()
    }

    /// When its rows were last wanted.
    pub(super) fn wanted(&self) -> UnixNanos {
        self.shelf.wanted()
    }

    /// Gives up its rows here, which are in the bucket. Whoever reads them still has them open.
    pub(super) fn clear(&self) -> io::Result<()> {
        self.shelf.clear()
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The number of a trace, if the segment holds something of it.
    pub(super) fn ordinal(&self, id: TraceId) -> Result<Option<u32>, SegmentError> {
        self.index.ordinal(id)
    }

    /// When traces start, and their ids.
    pub(super) fn starts(
        &self,
        ordinals: &[u32],
    ) -> Result<Vec<(UnixNanos, TraceId)>, SegmentError> {
        self.index.pieces(ordinals, |piece| (piece.start, piece.id))
    }

    /// Likewise, and whether spans date them; otherwise lines do.
    pub(super) fn dates(
        &self,
        ordinals: &[u32],
    ) -> Result<Vec<(UnixNanos, TraceId, bool)>, SegmentError> {
        self.index.pieces(ordinals, |piece| (piece.start, piece.id, piece.spans > 0))
    }

    /// How many traces come before the place.
    pub(super) fn before(&self, place: (UnixNanos, TraceId)) -> Result<u32, SegmentError> {
        self.index.before(place)
    }

    /// What it holds of a trace, in a line.
    pub(super) fn summary(&self, ordinal: u32) -> Result<TraceSummary, SegmentError> {
        self.summaries(&[ordinal])?.pop().ok_or(SegmentError::DAMAGED)
    }

    /// Likewise of several, in this order.
    pub(super) fn summaries(&self, ordinals: &[u32]) -> Result<Vec<TraceSummary>, SegmentError> {
        self.index.pieces(ordinals, |piece| TraceSummary {
            trace_id: piece.id,
            root: piece.root,
            name: piece.name.clone(),
            service: piece.service.clone(),
            start: piece.start,
            end: (piece.open == 0 && piece.spans > 0).then_some(piece.latest),
            status: piece.status.clone(),
            spans: piece.spans,
            open: piece.open,
            errors: piece.errors,
            logs: piece.logs,
        })
    }

    /// What it holds of traces by number, in this order.
    pub(super) fn read(
        &self,
        ordinals: &[u32],
        columns: Columns,
    ) -> Result<Vec<Trace>, SegmentError> {
        let rows = |from: u64, count: u32| from..from.saturating_add(count.into());
        let places = self.index.pieces(ordinals, |piece| {
            (piece.id, rows(piece.span_row, piece.spans), rows(piece.log_row, piece.logs))
        })?;
        let all = self.rows()?;
        let mut found: Vec<Trace> = places.iter().map(|_| Trace::default()).collect();
        let (order, ranges) = rising(places.iter().map(|it| &it.1), all.spans.rows())?;
        let traces: Vec<_> = order.iter().map(|&place| places[place].0).zip(ranges).collect();
        let spans = guarded(|| all.spans.read(&traces, columns))?;
        for (place, spans) in order.into_iter().zip(spans) {
            found[place].spans = spans;
        }
        let all_logs = all.logs.as_ref().map_or(0, Logs::rows);
        let (order, ranges) = rising(places.iter().map(|it| &it.2), all_logs)?;
        let mut logs = match columns {
            Columns::All => all.lines(&ranges)?,
            Columns::Light => all.light_lines(&ranges)?,
        }
        .into_iter();
        for (place, rows) in order.into_iter().zip(ranges) {
            let logs = logs.by_ref().take((rows.end - rows.start) as usize);
            let id = Some(places[place].0);
            found[place].logs = logs.map(|log| LogRecord { trace_id: id, ..log }).collect();
        }
        Ok(found)
    }

    /// The newest log lines, those of one span if it is named; by time.
    pub(super) fn logs(
        &self,
        wanted: impl Fn(&LogRecord) -> bool,
        limit: usize,
    ) -> Result<Vec<LogRecord>, SegmentError> {
        if self.meta.logs == 0 {
            return Ok(Vec::new());
        }
        let all = self.rows()?;
        let Some(logs) = &all.logs else { return Ok(Vec::new()) };
        let times = guarded(|| logs.times(std::slice::from_ref(&(0..logs.rows()))))?;
        let mut order: Vec<(UnixNanos, u64)> = times.into_iter().zip(0..).collect();
        order.sort_unstable();
        let mut found = Vec::new();
        // Perhaps only some lines are wanted, so more are read until there are enough.
        while found.len() < limit && !order.is_empty() {
            let newest = order.split_off(order.len().saturating_sub(limit));
            let mut rows: Vec<u64> = newest.into_iter().map(|(_, row)| row).collect();
            rows.sort_unstable();
            let ranges: Vec<_> = rows.into_iter().map(|row| row..row + 1).collect();
            let mut read = guarded(|| logs.read(&ranges))?;
            read.retain(&wanted);
            found.extend(read);
        }
        found.sort_by_key(|log| log.time);
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }

    /// Adds what is counted of operations.
    pub(super) fn rates(&self, query: &RateQuery, into: &mut Rollup) -> Result<(), SegmentError> {
        self.index.rates(query, into)
    }

    /// Adds what is counted and named.
    fn carry_counts(&self, into: &mut Gather) -> Result<(), SegmentError> {
        into.carry(&self.index)
    }

    /// Names of attributes or, of one, its values if they are few.
    pub(super) fn attributes(&self, name: Option<&str>) -> Result<Vec<String>, SegmentError> {
        let all = self.index.attributes()?;
        Ok(match name {
            None => all.into_iter().map(|known| known.name).collect(),
            Some(name) => {
                let found = all.into_iter().find(|known| known.name == name);
                found.map(|known| known.values).unwrap_or_default()
            }
        })
    }

    /// Traces in which a word occurs or, if it is long enough, one that begins so; and whether
    /// that is certain.
    pub(super) fn find(&self, word: &str) -> Result<Vec<(TraceId, bool)>, SegmentError> {
        let mut found: Vec<(u32, bool)> = Vec::new();
        let beginning = word.len() >= tokens::PREFIX;
        for kind in [index::ATTRIBUTE, index::WORD] {
            let mut term = vec![kind];
            term.extend_from_slice(word.as_bytes());
            // An attribute's value ends with a zero, a word with the term.
            if !beginning && kind == index::ATTRIBUTE {
                term.push(0);
            }
            self.index.prefix(&term, |entry| {
                let whole = beginning || kind == index::ATTRIBUTE || entry.term == term;
                if whole || !entry.sure {
                    found.extend(entry.traces.iter().map(|&trace| (trace, entry.sure)));
                }
                Ok(())
            })?;
        }
        if beginning && word.len() <= 32 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            // Of an odd number of digits the last one is looked at afterwards.
            let bytes = hex::decode(&word[..word.len() / 2 * 2]).unwrap_or_default();
            found.extend(self.index.ids_beginning(&bytes)?.into_iter().map(|it| (it, false)));
            if let Some(half) = bytes.first_chunk::<4>() {
                let spans = self.index.spans_beginning(u32::from_be_bytes(*half))?;
                found.extend(spans.into_iter().map(|it| (it, false)));
            }
        }
        found.sort_unstable_by_key(|&(trace, sure)| (trace, !sure));
        found.dedup_by_key(|it| it.0);
        let ordinals: Vec<u32> = found.iter().map(|it| it.0).collect();
        let ids = self.index.pieces(&ordinals, |piece| piece.id)?;
        Ok(ids.into_iter().zip(found).map(|(id, (_, sure))| (id, sure)).collect())
    }
}

/// Ranges of rows as they lie in a table, without those that are empty; and of each, which it was.
fn rising<'a>(
    ranges: impl Iterator<Item = &'a Range<u64>>,
    rows: u64,
) -> Result<(Vec<usize>, Vec<Range<u64>>), SegmentError> {
    let mut found: Vec<_> = ranges.cloned().enumerate().filter(|it| !it.1.is_empty()).collect();
    found.sort_unstable_by_key(|it| it.1.start);
    let mut end = 0;
    for (_, range) in &found {
        if range.start < end || range.end > rows {
            return Err(SegmentError::DAMAGED);
        }
        end = range.end;
    }
    Ok(found.into_iter().unzip())
}

/// Does what reads Parquet. Its reader panics at some kinds of damage; that is an error here.
fn guarded<T>(read: impl FnOnce() -> Result<T, SegmentError>) -> Result<T, SegmentError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or(Err(SegmentError::Damaged("its rows cannot be read")))
}
