//! Writes the index file: of traces just gathered, and of such as other index files have already.
//!
//! Not here: which those are (`carry.rs`). The surprise: what another file says of a trace is
//! taken over as it is, but for the trace's number, so nobody looks at its rows again.

use std::io::Write;

use super::{
    super::SegmentError,
    Gather, Index, Piece,
    bytes::Blocks,
    entries::{self, LEFT_OUT, Source},
    traces,
};
use crate::model::{TraceId, UnixNanos};

/// Where the rows of a trace begin, among spans and among lines.
type Rows<'a> = Box<dyn Fn(&Piece) -> (u64, u64) + 'a>;

/// Traces of another index file that go on in this one.
pub(in super::super) struct Carried<'a> {
    pub(in super::super) index: &'a Index,
    /// By number; the others are left out, or were gathered anew.
    pub(in super::super) traces: &'a [bool],
    /// Where those of one of them begin now.
    pub(in super::super) rows: Rows<'a>,
}

/// What was written.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Written {
    pub(in super::super) bytes: u64,
    pub(in super::super) traces: u32,
    /// When the first and the last trace start, if there are any.
    pub(in super::super) starts: Option<(UnixNanos, UnixNanos)>,
}

/// Where a trace comes from: when it starts, its id, and its number in one of the sources, of which
/// the last is what was gathered.
type Origin = (UnixNanos, TraceId, u32, u32);

impl Gather {
    /// Writes the index file.
    pub(in super::super) fn write(
        mut self,
        carried: &[Carried<'_>],
        out: impl Write,
    ) -> Result<Written, SegmentError> {
        self.close();
        let order = self.order(carried)?;
        let numbers = numbers(&order, carried, self.pieces.len());
        let mut out = Blocks::new(out)?;
        let mut traces = traces::Writer::default();
        for &(_, _, source, ordinal) in &order {
            match carried.get(source as usize) {
                Some(from) => {
                    let moved = from.index.pieces(&[ordinal], |piece| {
                        let (span_row, log_row) = (from.rows)(piece);
                        Piece { span_row, log_row, ..piece.clone() }
                    })?;
                    moved.iter().try_for_each(|piece| traces.add(piece, &mut out))?;
                }
                None => traces.add(&self.pieces[ordinal as usize], &mut out)?,
            }
        }
        let traces = traces.finish(&mut out)?;
        let mut sources = Vec::new();
        for (from, numbers) in carried.iter().zip(&numbers) {
            let index = from.index;
            let entries = Box::new(index.terms.cursor(&index.file, index.size)?);
            sources.push(Source { entries, numbers });
        }
        let gathered = &numbers[carried.len()];
        sources.push(Source { entries: Box::new(self.terms.sorted()), numbers: gathered });
        let terms = entries::write(sources, &mut out)?;
        self.spans.renumber(gathered);
        for (from, numbers) in carried.iter().zip(&numbers) {
            let index = from.index;
            self.spans.carry(&index.spans, &index.file, index.size, numbers)?;
        }
        let (rates, attributes) = (self.rollup.to_bytes(), self.attributes());
        let heads = [traces, terms, self.spans.write(&mut out)?, rates, attributes];
        let mut directory = Vec::new();
        for head in heads {
            out.squeezed(&head)?.put(&mut directory);
        }
        let directory = out.plain(&directory)?;
        let mut end = directory.at.to_le_bytes().to_vec();
        end.extend_from_slice(&directory.len.to_le_bytes());
        end.extend_from_slice(super::MAGIC);
        out.raw(&end)?;
        let bytes = out.at + end.len() as u64;
        out.into_inner().flush()?;
        // As many as there are numbers.
        let traces = order.len() as u32;
        let starts = order.first().zip(order.last()).map(|(first, last)| (first.0, last.0));
        Ok(Written { bytes, traces, starts })
    }

    /// All traces, as they will be numbered.
    fn order(&self, carried: &[Carried<'_>]) -> Result<Vec<Origin>, SegmentError> {
        let mut order: Vec<Origin> = Vec::new();
        for (source, from) in (0..).zip(carried) {
            for (ordinal, _) in (0..).zip(from.traces).filter(|it| *it.1) {
                let found = from.index.pieces(&[ordinal], |piece| (piece.start, piece.id))?;
                order.extend(found.into_iter().map(|(start, id)| (start, id, source, ordinal)));
            }
        }
        let gathered = (0..).zip(&self.pieces);
        let last = carried.len() as u32;
        order.extend(gathered.map(|(ordinal, piece)| (piece.start, piece.id, last, ordinal)));
        order.sort_unstable();
        if u32::try_from(order.len()).is_ok_and(|traces| traces < LEFT_OUT) {
            Ok(order)
        } else {
            Err(SegmentError::TOO_LARGE)
        }
    }
}

/// For each source the new numbers of its traces.
fn numbers(order: &[Origin], carried: &[Carried<'_>], gathered: usize) -> Vec<Vec<u32>> {
    let traces = carried.iter().map(|from| from.traces.len()).chain([gathered]);
    let mut numbers: Vec<Vec<u32>> = traces.map(|traces| vec![LEFT_OUT; traces]).collect();
    for (number, &(_, _, source, ordinal)) in (0..).zip(order) {
        numbers[source as usize][ordinal as usize] = number;
    }
    numbers
}
