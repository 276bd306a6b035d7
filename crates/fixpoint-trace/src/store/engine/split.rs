//! Traces that lie in several places, which a search must look for where a page begins.
//!
//! A source dates a trace by what it holds of it. So a trace may start before the place where a
//! page begins, though whatever matches in it lies in a source that dates it after; or, if that
//! source holds only lines of it, start after the place and be dated before. Not here: the
//! search itself (`search.rs`). The surprise: few traces are split, since those that are going on
//! move from log to log whole; so they are simply listed, in the manifest.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{State, read::Place, write::read};
use crate::{
    model::{TraceId, UnixNanos},
    store::segment::{Segment, SegmentError},
};

/// A trace of which several segments hold something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Split {
    id: TraceId,
    /// The earliest and the latest time by which one of them dates it.
    from: UnixNanos,
    to: UnixNanos,
}

/// The traces of a segment of which older ones hold something, too.
///
/// # Errors
/// If the segment cannot be read. An older one that cannot be is passed over.
pub(super) fn of(segment: &Segment, older: &[Arc<Segment>]) -> Result<Vec<Split>, SegmentError> {
    let all: Vec<u32> = (0..segment.meta().traces).collect();
    let mut found = Vec::new();
    for (start, id) in segment.starts(&all)? {
        let mut split = Split { id, from: start, to: start };
        let mut several = false;
        for segment in older {
            let Ok(Some(ordinal)) = segment.ordinal(id) else { continue };
            for (start, _) in segment.starts(&[ordinal]).unwrap_or_default() {
                several = true;
                (split.from, split.to) = (split.from.min(start), split.to.max(start));
            }
        }
        found.extend(several.then_some(split));
    }
    Ok(found)
}

impl State {
    /// Traces that may start on one side of the place, though some source dates them on the other. If tables offer
    /// only `some` of theirs, what they date before the place is looked at as well.
    pub(super) fn across(&self, place: Place, some: bool) -> Result<Vec<TraceId>, SegmentError> {
        let crosses =
            |split: &&Split| (split.from, split.id) < place && (split.to, split.id) >= place;
        let mut found: Vec<TraceId> = self.split.iter().filter(crosses).map(|it| it.id).collect();
        for (n, table) in self.tables.iter().enumerate() {
            let traces: Vec<Place> = read(table).newest(None).collect();
            for it in traces.into_iter().take_while(|&it| some || it >= place) {
                let mut others = self.tables.iter().enumerate().filter(|(other, _)| *other != n);
                let in_table = others.any(|(_, other)| read(other).has(it.1));
                if in_table || self.is_across(it, place)? {
                    found.push(it.1);
                }
            }
        }
        Ok(found)
    }

    /// Whether a segment may date a trace of a table on the other side of the place.
    fn is_across(&self, trace: Place, place: Place) -> Result<bool, SegmentError> {
        for segment in self.segments.iter() {
            let meta = segment.meta();
            let may = match trace >= place {
                true => meta.min_start <= place.0,
                false => meta.max_start >= place.0,
            };
            if may && segment.ordinal(trace.1)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
