//! What moves along into the next log when this one is full: traces that are going on, so that most
//! end up whole, in one segment.
//!
//! Everybody who stores waits for it, so messages are copied as they lie, without being read. Not
//! here: the change of logs (`write.rs`). The surprise: nobody knows whether a trace goes on; one
//! whose root has ended mostly does not.

use std::{cmp::Reverse, io, time::Duration};

use bytes::Bytes;

use super::{Memtable, Origin, Place, TraceRow};
use crate::{
    otlp::proto,
    store::{Signal, engine::journal::Ahead},
};

/// A trace of which something came this short a while ago is taken to be going on: many senders
/// gather what they send for five seconds.
const FRESH: Duration = Duration::from_secs(5);

/// The same for a trace whose root has ended.
const FRESH_WITH_ROOT: Duration = Duration::from_secs(1);

/// What goes on, as requests.
#[derive(Debug, Default)]
pub(in super::super) struct GoingOn {
    /// Whole traces.
    pub(in super::super) whole: Vec<(Signal, Bytes)>,
    /// Open spans of traces too large to move.
    pub(in super::super) open: Vec<(Signal, Bytes)>,
}

impl Memtable {
    /// What should be in the next table rather than be sealed: traces that are going on, whole, as
    /// long as they are no more than so many records; and of others, the spans that are open.
    pub(in super::super) fn going_on(&self, at_most: usize) -> io::Result<GoingOn> {
        let now = self.age().as_millis();
        let mut going: Vec<(bool, &TraceRow)> = self
            .traces
            .iter()
            .filter_map(|trace| {
                let open = trace.spans.iter().any(|&row| self.is_open(row));
                (open || self.is_fresh(trace, now)).then_some((open, trace))
            })
            .collect();
        going.sort_by_key(|&(open, trace)| Reverse((open, trace.touched)));
        let (mut spans, mut logs, mut open_spans, mut room) =
            (Vec::new(), Vec::new(), Vec::new(), at_most);
        for (open, trace) in going {
            let size = trace.spans.len() + trace.logs.len();
            if size <= room {
                room -= size;
                spans.extend_from_slice(&trace.spans);
                logs.extend_from_slice(&trace.logs);
            } else if open {
                open_spans.extend(trace.spans.iter().filter(|&&row| self.is_open(row)));
            }
        }
        let span = |row: u32| self.spans[row as usize].place;
        let log = |row: u32| self.logs[row as usize].place;
        // Spans first, so that no line comes before its span.
        let whole = [
            self.copied(Signal::Traces, spans.into_iter().map(span))?,
            self.copied(Signal::Logs, logs.into_iter().map(log))?,
        ];
        let open = self.copied(Signal::Traces, open_spans.into_iter().map(span))?;
        Ok(GoingOn { whole: whole.into_iter().flatten().collect(), open: Vec::from_iter(open) })
    }

    /// Whether something of it came a short while before `now`, in milliseconds as `touched` is.
    fn is_fresh(&self, trace: &TraceRow, now: u128) -> bool {
        let quiet = now.saturating_sub(trace.touched.into());
        // Most are old, and need no look at their spans.
        let root_has_ended = || {
            let mut spans = trace.spans.iter().map(|&row| &self.spans[row as usize]);
            spans.any(|span| span.parent.is_none() && span.end.is_some())
        };
        quiet < FRESH_WITH_ROOT.as_millis() || quiet < FRESH.as_millis() && !root_has_ended()
    }

    /// The messages as a request, in the order in which they came; none of nothing.
    fn copied(
        &self,
        signal: Signal,
        places: impl Iterator<Item = Place>,
    ) -> io::Result<Option<(Signal, Bytes)>> {
        let mut places: Vec<Place> = places.collect();
        if places.is_empty() {
            return Ok(None);
        }
        places.sort_unstable_by_key(|place| place.at);
        let (mut bytes, mut ahead) = (Vec::new(), Ahead::default());
        for place in &places {
            bytes.extend_from_slice(self.journal.read_ahead(place.at, place.len, &mut ahead)?);
        }
        let mut rest = bytes.as_slice();
        let groups = places.chunk_by(|a, b| a.origin == b.origin).map(|group| {
            let Origin { resource, scope } = &self.origins[group[0].origin as usize];
            let message = |place: &Place| rest.split_off(..place.len as usize);
            (&**resource, &**scope, group.iter().filter_map(message).collect::<Vec<_>>())
        });
        Ok(Some((signal, proto::encode_messages(groups).into())))
    }
}
