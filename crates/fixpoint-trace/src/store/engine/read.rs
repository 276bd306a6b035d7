//! Reading what the tables and segments hold together: one trace, log lines, rates.
//!
//! Not here: searching (`search.rs`). The surprise: a file that cannot be read takes nothing else
//! with it; what is answered then says that it is not all, and why.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, RwLock},
};

use indexmap::IndexMap;

use super::{Memtable, State, write::read};
use crate::{
    model::{LogRecord, Record, Span, SpanId, Trace, TraceId, UnixNanos},
    store::{
        BoxError, Columns, LogQuery, RateQuery, Rates, StoreError, TraceSummary, rollup::Rollup,
        segment::Segment, summary::Tally, tokens,
    },
};

/// What is known of a trace, put together from wherever it lies.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    spans: IndexMap<SpanId, Span>,
    logs: Vec<LogRecord>,
    partial: Option<String>,
}

impl Gathered {
    /// Adds what is younger than all before.
    pub(super) fn add(&mut self, piece: Trace) {
        // A span that was stored again, later, is as it was said last.
        self.spans.extend(piece.spans.into_iter().map(|span| (span.span_id, span)));
        self.logs.extend(piece.logs);
    }

    fn failed(&mut self, what: &str, why: &(dyn std::error::Error + 'static)) {
        tracing::warn!(error = why, "{what} could not be read");
        self.partial = Some(format!("{what} could not be read: {why}"));
    }

    pub(super) fn into_trace(self) -> Option<Trace> {
        if self.spans.is_empty() && self.logs.is_empty() && self.partial.is_none() {
            return None;
        }
        let spans = self.spans.into_values().collect();
        let mut trace = Trace { spans, logs: self.logs, partial: self.partial };
        trace.sort();
        Some(trace)
    }
}

impl State {
    /// What there may be in the bucket besides, if there may be something.
    pub(super) fn lacking(&self) -> Option<String> {
        if self.unread {
            return Some("the bucket could not be read yet, so there may be more".into());
        }
        let absent = self.absent.len();
        (absent > 0).then(|| format!("{absent} segments of the bucket could not be fetched yet"))
    }

    /// Traces as they now are.
    pub(super) fn traces(&self, ids: &[TraceId]) -> Vec<Option<Trace>> {
        self.gather_all(ids, Columns::All).into_iter().map(Gathered::into_trace).collect()
    }

    /// The trace as it now is.
    pub(super) fn trace(&self, id: TraceId) -> Option<Trace> {
        self.gather(id, Columns::All).into_trace()
    }

    /// Everything of a trace.
    pub(super) fn gather(&self, id: TraceId, columns: Columns) -> Gathered {
        self.gather_all(&[id], columns).pop().unwrap_or_default()
    }

    /// Everything of traces, of which each is named once. What lies side by side is read at once.
    fn gather_all(&self, ids: &[TraceId], columns: Columns) -> Vec<Gathered> {
        let lacking = self.lacking();
        let nothing = |_| Gathered { partial: lacking.clone(), ..Gathered::default() };
        let mut found: Vec<Gathered> = ids.iter().map(nothing).collect();
        for segment in self.segments.iter() {
            let name = || format!("segment {}", segment.id());
            let mut places: Vec<(u32, usize)> = Vec::new();
            for (n, id) in ids.iter().enumerate() {
                match segment.ordinal(*id) {
                    Ok(ordinal) => places.extend(ordinal.map(|ordinal| (ordinal, n))),
                    Err(why) => found[n].failed(&name(), &why),
                }
            }
            if places.is_empty() {
                continue;
            }
            places.sort_unstable();
            let ordinals: Vec<u32> = places.iter().map(|&(ordinal, _)| ordinal).collect();
            match segment.read(&ordinals, columns) {
                Ok(pieces) => {
                    pieces.into_iter().zip(places).for_each(|(piece, (_, n))| found[n].add(piece));
                }
                Err(why) => places.iter().for_each(|&(_, n)| found[n].failed(&name(), &why)),
            }
        }
        for (table, moved) in self.tables_now() {
            for (id, found) in ids.iter().zip(&mut found).filter(|(id, _)| !moved.contains(*id)) {
                // Taken anew each time: whoever writes should not have to wait for all of them.
                match read(table).trace(*id, columns) {
                    Ok(piece) => piece.into_iter().for_each(|piece| found.add(piece)),
                    Err(why) => found.failed("the write-ahead log", &why),
                }
            }
        }
        found
    }

    /// The tables, each with the traces that moved on whole into the next one. That one says it,
    /// so that whoever does not know it yet still finds them where they were.
    fn tables_now(
        &self,
    ) -> impl Iterator<Item = (&Arc<RwLock<Memtable>>, Arc<HashSet<TraceId>>)> + '_ {
        let moved = self.tables.iter().skip(1).map(|next| read(next).moved_in());
        self.tables.iter().zip(moved.chain([Arc::default()]))
    }

    /// A trace in a line.
    pub(super) fn summary(&self, id: TraceId) -> Option<TraceSummary> {
        let trace = self.gather(id, Columns::Light).into_trace()?;
        Some(Tally::of(id, &trace).into_summary())
    }

    /// Traces in which an id occurs, newest first.
    pub(super) fn find(
        &self,
        word: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        if word.is_empty() {
            return Ok(Vec::new());
        }
        let unreadable = |why: BoxError| StoreError::new("look up an id", why);
        let beginning = word.len() >= tokens::PREFIX;
        let (mut sure, mut maybe) = (BTreeSet::new(), BTreeSet::new());
        for segment in self.segments.iter() {
            for (id, certain) in segment.find(word).map_err(|why| unreadable(why.into()))? {
                if certain {
                    sure.insert(id)
                } else {
                    maybe.insert(id)
                };
            }
        }
        for table in &self.tables {
            maybe.extend(
                Memtable::find(table, word, beginning).map_err(|why| unreadable(why.into()))?,
            );
        }
        let mut found = Vec::new();
        for &id in sure.union(&maybe) {
            if let Some(tenant) = tenant {
                let part = self.trace(id).and_then(|trace| trace.part_of(tenant));
                let part = part.filter(|trace| occurs(word, beginning, trace.clone()));
                found.extend(part.map(|trace| Tally::of(id, &trace).into_summary()));
            } else if sure.contains(&id)
                || self.trace(id).is_some_and(|trace| occurs(word, beginning, trace))
            {
                found.extend(self.summary(id));
            }
        }
        found.sort_by_key(|summary| std::cmp::Reverse((summary.start, summary.trace_id)));
        found.truncate(limit);
        Ok(found)
    }

    /// Spans that have not ended, oldest first.
    pub(super) fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        let mut spans: IndexMap<_, Span> = IndexMap::new();
        for (table, moved) in self.tables_now() {
            let table = read(table);
            let open = table.open_spans(&moved);
            let open = open.map_err(|why| StoreError::new("list open spans", why))?;
            // What a younger table says of a span counts.
            spans.retain(|context, _| !table.has_span(*context));
            spans.extend(open.into_iter().map(|span| (span.context(), span)));
        }
        let mut spans: Vec<_> = spans.into_values().collect();
        spans.sort_by_key(|span| span.start);
        Ok(spans)
    }

    /// Log lines, newest last.
    pub(super) fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        let limit = query.limit();
        let mut found = Vec::new();
        if let Some(id) = query.trace_id {
            found = self.trace(id).map(|trace| trace.logs).unwrap_or_default();
            found.retain(|log| query.takes(log));
        } else {
            let unreadable = |why: BoxError| StoreError::new("read log lines", why);
            for segment in self.segments.iter() {
                let logs = segment.logs(|log| query.takes(log), limit);
                found.extend(logs.map_err(|why| unreadable(why.into()))?);
            }
            for (table, moved) in self.tables_now() {
                let table = read(table);
                let mut taken = 0;
                for (_, row) in table.log_rows(&moved).into_iter().rev() {
                    if taken == limit {
                        break;
                    }
                    let log = table.log(row).map_err(|why| unreadable(why.into()))?;
                    if query.takes(&log) {
                        found.push(log);
                        taken += 1;
                    }
                }
                let new = found.len() - taken;
                found[new..].reverse();
            }
            found.sort_by_key(|log| log.time);
        }
        Ok(found.split_off(found.len().saturating_sub(limit)))
    }

    /// Operations over time.
    pub(super) fn rates(&self, query: &RateQuery) -> Result<Vec<Rates>, StoreError> {
        let mut rollup = Rollup::default();
        let later = |from| query.until.is_some_and(|until| from >= until);
        let segments = self.segments.iter().filter(|segment| !later(segment.meta().min_start));
        for segment in segments {
            let added = segment.rates(query, &mut rollup);
            added.map_err(|why| StoreError::new("count operations", why))?;
        }
        for (table, moved) in self.tables_now() {
            read(table).count(&mut rollup, &moved);
        }
        Ok(rollup.rates(query))
    }

    /// Names of attributes, or values of one.
    pub(super) fn attributes(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut found = BTreeSet::new();
        for segment in self.segments.iter() {
            let known = segment.attributes(name);
            found.extend(known.map_err(|why| StoreError::new("list attributes", why))?);
        }
        for table in &self.tables {
            let table = read(table);
            let sample = table.sample().map_err(|why| StoreError::new("list attributes", why))?;
            for span in &sample {
                for (key, value) in span.attributes.iter().chain(span.resource.iter()) {
                    match name {
                        None => found.insert(key.clone()),
                        Some(name) => name == key && found.insert(value.to_text().into_owned()),
                    };
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Where a trace lies: how many places, and the segment if there is but one.
    pub(super) fn places(&self, id: TraceId) -> Places<'_> {
        let in_tables = self.tables.iter().any(|table| read(table).has(id));
        let mut only = None;
        for segment in self.segments.iter() {
            match segment.ordinal(id) {
                Ok(None) => {}
                Ok(Some(ordinal)) if only.is_none() && !in_tables => {
                    only = Some((&**segment, ordinal));
                }
                // Reading it all will tell what is wrong with it.
                Ok(Some(_)) | Err(_) => return Places::Several,
            }
        }
        only.map_or(Places::Several, |(segment, ordinal)| Places::One(segment, ordinal))
    }
}

/// Where a trace lies.
pub(super) enum Places<'a> {
    /// All of it in one segment.
    One(&'a Segment, u32),
    /// In a table, or in several places.
    Several,
}

/// Whether a word, or one that begins with it, occurs in the trace.
fn occurs(wanted: &str, beginning: bool, trace: Trace) -> bool {
    let mut found = false;
    let mut look = |word: &str| found |= word == wanted || beginning && word.starts_with(wanted);
    for span in trace.spans {
        tokens::words(&Record::Span(span), &mut look);
    }
    for log in trace.logs {
        tokens::words(&Record::Log(log), &mut look);
    }
    found
}

/// A place in the order of results: newer is greater.
pub(super) type Place = (UnixNanos, TraceId);
