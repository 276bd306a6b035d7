//! What of a segment goes on in another one as it is: whole groups of rows, and what the index says
//! of the traces in them.
//!
//! Not here: which traces must be written anew (`engine/merge.rs`). The surprise: one such trace
//! has all traces written anew that have rows in the same groups, and so on; but few segments
//! share a trace, and those that do share it at their edges.

use std::{ops::Range, sync::Arc};

use super::{
    Segment, SegmentError, guarded,
    index::{Carried, Piece},
    rows::{Groups, Scan, Table},
    shelf::Rows,
};
use crate::{
    model::{LogRecord, UnixNanos},
    store::BoxError,
};

/// What goes on of a segment.
#[derive(Debug)]
pub(in super::super) struct Carry {
    segment: Arc<Segment>,
    rows: Arc<Rows>,
    /// The traces that go on, by number.
    traces: Vec<bool>,
    spans: Moving,
    logs: Moving,
    /// From this row on stand lines that belong to no trace.
    loose: u64,
}

impl Carry {
    /// All that can go on as it is if some traces, by number, cannot, nor can groups of fewer rows.
    ///
    /// # Errors
    /// If the segment cannot be read.
    pub(in super::super) fn of(
        segment: &Arc<Segment>,
        anew: &[bool],
        least: u64,
    ) -> Result<Self, SegmentError> {
        let rows = segment.rows()?;
        let moving = |scan| Moving::of(scan, least);
        let mut spans = moving(rows.spans.scan());
        let logs = rows.logs.as_ref();
        let mut logs = logs.map(|logs| moving(logs.scan())).unwrap_or_default();
        let all: Vec<u32> = (0..segment.meta.traces).collect();
        let rows_of = |from: u64, count: u32| from..from.saturating_add(count.into());
        let places = segment.index.pieces(&all, |piece| {
            (rows_of(piece.span_row, piece.spans), rows_of(piece.log_row, piece.logs))
        })?;
        let mut traces: Vec<bool> = anew.iter().map(|anew| !anew).collect();
        traces.resize(places.len(), false);
        let loose = places.iter().map(|(_, lines)| lines.end - lines.start).sum();
        logs.keep_apart(loose);
        // A trace goes on if all its groups do, and a group if all its traces do.
        loop {
            let mut changed = false;
            for (goes_on, (of_spans, of_logs)) in traces.iter_mut().zip(&places) {
                let (of_spans, of_logs) = (spans.groups(of_spans)?, logs.groups(of_logs)?);
                let may = spans.all(&of_spans) && logs.all(&of_logs);
                if !*goes_on || !may {
                    changed |= *goes_on | spans.any(&of_spans) | logs.any(&of_logs);
                    *goes_on = false;
                    spans.keep[of_spans].fill(false);
                    logs.keep[of_logs].fill(false);
                }
            }
            if !changed {
                break;
            }
        }
        Ok(Self { segment: Arc::clone(segment), rows, traces, spans, logs, loose })
    }

    /// The traces that go on, by number.
    pub(in super::super) fn traces(&self) -> &[bool] {
        &self.traces
    }

    /// Whether anything goes on.
    pub(in super::super) fn is_empty(&self) -> bool {
        !self.spans.keep.contains(&true) && !self.logs.keep.contains(&true)
    }

    /// The lines without a trace that must be written anew.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(in super::super) fn loose(&self) -> Result<Vec<LogRecord>, BoxError> {
        Ok(self.rows.lines(&self.loose_rows(false))?)
    }

    /// Ranges of rows without a trace that go on, or that do not.
    fn loose_rows(&self, going: bool) -> Vec<Range<u64>> {
        let groups = self.logs.edges.windows(2).zip(&self.logs.keep);
        let rows = groups.filter(|(_, keep)| **keep == going);
        let rows = rows.map(|(edges, _)| edges[0].max(self.loose)..edges[1].max(self.loose));
        rows.filter(|rows| !rows.is_empty()).collect()
    }

    pub(super) fn copy_spans(&mut self, into: &mut Table) -> Result<(), SegmentError> {
        let groups = guarded(|| self.rows.spans.scan().groups())?;
        self.spans.copy(&groups, into, |_| true)
    }

    /// Whether lines of traces go on; and whether lines without one do.
    pub(super) fn has_lines(&self) -> [bool; 2] {
        let mut groups = self.logs.edges.iter().zip(&self.logs.keep);
        let of_traces = groups.clone().any(|(&begins, keep)| *keep && begins < self.loose);
        [of_traces, groups.any(|(&begins, keep)| *keep && begins >= self.loose)]
    }

    /// Copies the lines of traces, or those without one.
    pub(super) fn copy_lines(&mut self, loose: bool, into: &mut Table) -> Result<(), SegmentError> {
        let Some(logs) = &self.rows.logs else { return Ok(()) };
        let (groups, from) = (guarded(|| logs.scan().groups())?, self.loose);
        self.logs.copy(&groups, into, |begins| (begins >= from) == loose)
    }

    /// The times of lines without a trace that go on.
    pub(super) fn loose_times(&self) -> Result<Vec<UnixNanos>, SegmentError> {
        match &self.rows.logs {
            Some(logs) => guarded(|| logs.times(&self.loose_rows(true))),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// What goes on of its index, once its rows were copied.
    pub(super) fn index(&self) -> Carried<'_> {
        let rows = |piece: &Piece| {
            let now = |moving: &Moving, row, count| if count > 0 { moving.now(row) } else { 0 };
            let spans = now(&self.spans, piece.span_row, piece.spans);
            (spans, now(&self.logs, piece.log_row, piece.logs))
        };
        Carried { index: &self.segment.index, traces: &self.traces, rows: Box::new(rows) }
    }
}

/// The groups of a table, and where they go.
#[derive(Debug, Default)]
struct Moving {
    /// Where each group begins, and where the last one ends.
    edges: Vec<u64>,
    /// Which of them go on.
    keep: Vec<bool>,
    /// The row at which each of these begins now.
    to: Vec<u64>,
}

impl Moving {
    fn of(scan: &Scan, least: u64) -> Self {
        let edges = scan.edges().to_vec();
        let keep: Vec<bool> = edges.windows(2).map(|it| it[1] - it[0] >= least).collect();
        Self { to: vec![0; keep.len()], edges, keep }
    }

    /// A group with rows on both sides of this one does not go on.
    fn keep_apart(&mut self, row: u64) {
        for (edges, keep) in self.edges.windows(2).zip(&mut self.keep) {
            *keep &= row <= edges[0] || edges[1] <= row;
        }
    }

    /// The groups that rows lie in.
    fn groups(&self, rows: &Range<u64>) -> Result<Range<usize>, SegmentError> {
        if rows.is_empty() {
            return Ok(0..0);
        }
        if self.edges.last().is_none_or(|&end| rows.end > end) {
            return Err(SegmentError::DAMAGED);
        }
        // The first edge is 0.
        let group = |row: u64| self.edges.partition_point(|&edge| edge <= row) - 1;
        Ok(group(rows.start)..group(rows.end - 1) + 1)
    }

    fn all(&self, groups: &Range<usize>) -> bool {
        !self.keep[groups.clone()].contains(&false)
    }

    fn any(&self, groups: &Range<usize>) -> bool {
        self.keep[groups.clone()].contains(&true)
    }

    fn copy(
        &mut self,
        from: &Groups<'_>,
        into: &mut Table,
        wanted: impl Fn(u64) -> bool,
    ) -> Result<(), SegmentError> {
        for (group, keep) in self.keep.iter().enumerate() {
            if *keep && wanted(self.edges[group]) {
                self.to[group] = into.copy(from, group)?;
            }
        }
        Ok(())
    }

    /// Where a row is now, which goes on.
    fn now(&self, row: u64) -> u64 {
        let group = self.edges.partition_point(|&edge| edge <= row).saturating_sub(1);
        self.to.get(group).zip(self.edges.get(group)).map_or(0, |(to, begins)| to + row - begins)
    }
}
