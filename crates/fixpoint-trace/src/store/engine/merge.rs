//! Merging small segments to larger ones, and removing what is past the retention.
//!
//! With a bucket this is done to what lies there, by whoever comes first; what another server has
//! done meanwhile is not done again. Not here: what goes on in a merged segment without being
//! read (`segment/carry.rs`), which is most of it. The surprise: only neighbours in age are merged, so
//! that of a span that was stored twice the later one goes on counting; and what is removed goes a
//! whole segment at a time, except for pinned traces, which move into a segment of their own.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    path::Path,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{Shared, manifest::Entry, read::Gathered, split};
use crate::{
    model::{self, Trace, TraceId, UnixNanos},
    otlp::proto,
    store::{
        BoxError, Columns, StoreError,
        segment::{Carry, Files, Meta, Segment, Writer},
    },
};

/// So many neighbours of a level make one of the next.
const FAN_IN: usize = 8;
/// Larger segments are not merged any more.
const LARGE: u64 = 2 << 20;
/// Groups of fewer rows are put together to larger ones.
const LEAST: u64 = 16 << 10;
/// How many traces are read at once.
const AT_ONCE: usize = 64;

impl Shared {
    /// Merges the first run of neighbours that is worth it.
    pub(super) fn merge_some(&self, stop: &AtomicBool) -> Result<bool, BoxError> {
        let _tending = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        let absent = self.state().absent;
        let run: Vec<Entry> = {
            let manifest = self.manifest();
            let entries = manifest.settled();
            let here = |entry: &Entry| !absent.contains(&entry.id);
            let mixed = || self.remote.as_ref().and_then(|_| worth_mixing(entries, here));
            let run = worth_merging(entries, here).or_else(mixed);
            run.map(|run| entries[run].to_vec()).unwrap_or_default()
        };
        Ok(!run.is_empty() && self.rewrite(&run, None, stop)?.is_some())
    }

    /// Removes what is past the retention.
    pub(super) fn expire(&self, stop: &AtomicBool) -> Result<(), BoxError> {
        let _tending = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(expired) = self.expired() {
            let pins = self.manifest().pins.clone();
            let before = expired.meta.spans + expired.meta.logs;
            let Some(kept) = self.rewrite(&[expired], Some(&pins), stop)? else { break };
            let removed = before.saturating_sub(kept);
            self.counts.expired.fetch_add(removed, Relaxed);
        }
        Ok(())
    }

    /// A segment to be removed.
    fn expired(&self) -> Option<Entry> {
        let absent = self.state().absent;
        let manifest = self.manifest();
        let may_go = |entry: &&Entry| !entry.only_pinned && !absent.contains(&entry.id);
        let entries = manifest.settled().iter();
        let oldest = entries.filter(may_go).min_by_key(|entry| entry.meta.max_start)?;
        let too_old = self.options.keep_for.is_some_and(|keep_for| {
            let keep_for = UnixNanos::try_from(keep_for.as_nanos()).unwrap_or(UnixNanos::MAX);
            oldest.meta.max_start < model::now().saturating_sub(keep_for)
        });
        let bytes: u64 = manifest.segments.iter().map(|entry| entry.meta.bytes).sum();
        let too_much = self.options.keep_bytes.is_some_and(|keep| bytes > keep);
        (too_old || too_much).then(|| oldest.clone())
    }

    /// Writes one segment, or none, in the place of several: of all that they hold, or of only these
    /// traces. How many spans and lines it has; nothing if it
    /// was told to stop, or if another server was faster.
    fn rewrite(
        &self,
        run: &[Entry],
        only: Option<&BTreeSet<TraceId>>,
        stop: &AtomicBool,
    ) -> Result<Option<u64>, BoxError> {
        let all = self.state().segments;
        let ids: Vec<u64> = run.iter().map(|entry| entry.id).collect();
        let Some(at) = all.iter().position(|segment| Some(segment.id()) == ids.first().copied())
        else {
            return Ok(None);
        };
        let segments = all[at..].iter().take(ids.len()).cloned().collect::<Vec<_>>();
        let id = self.manifest().number();
        let write = || write_merged(&segments, &self.folder, id, (only, LEAST), stop);
        let Some(meta) = self.whole(id, write)? else { return Ok(None) };
        let kept = meta.as_ref().map_or(0, |meta| meta.spans + meta.logs);
        let merged = match &meta {
            Some(meta) => Some(self.open_segment(id, meta)?),
            None => None,
        };
        let split = match &merged {
            Some(merged) => split::of(merged, &all[..at])?,
            None => Vec::new(),
        };
        let level = run.iter().map(|entry| entry.level).max().unwrap_or(0) + 1;
        let only_pinned = run.len() == 1;
        let entry = meta.map(|meta| Entry { id, level, only_pinned, split, meta });
        let Some(remote) = &self.remote else {
            self.replace_here(at..at + ids.len(), entry, merged)?;
            return Ok(Some(kept));
        };
        let replaced = self.replace_in_bucket(remote, &ids, entry.as_ref());
        if !matches!(replaced, Ok(true)) {
            // If it is named after all, it is fetched like any other.
            let _ = Files::of(&self.folder, id).remove();
        }
        Ok(replaced?.then_some(kept))
    }

    fn replace_here(
        &self,
        run: Range<usize>,
        entry: Option<Entry>,
        merged: Option<Arc<Segment>>,
    ) -> Result<(), BoxError> {
        let mut manifest = self.manifest();
        let mut changed = manifest.clone();
        let removed: Vec<Entry> = changed.segments.splice(run.clone(), entry).collect();
        changed.save(&self.folder)?;
        *manifest = changed;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut state.segments).splice(run, merged);
        state.split = manifest.split();
        drop(state);
        drop(manifest);
        // Whoever reads them still has them open.
        for entry in removed {
            Files::of(&self.folder, entry.id).remove()?;
        }
        Ok(())
    }

    /// Keeps a trace past the retention, or no longer.
    pub(super) fn pin(&self, id: TraceId, pinned: bool) -> Result<(), StoreError> {
        let failed = |why: BoxError| StoreError::new("pin a trace", why);
        if let Some(remote) = &self.remote {
            let changed = self.change(remote, |common| {
                Ok(set_pin(&mut common.pins, &mut common.segments, id, pinned))
            });
            return changed.map_err(failed);
        }
        let mut manifest = self.manifest();
        let mut changed = manifest.clone();
        if set_pin(&mut changed.pins, &mut changed.segments, id, pinned) {
            changed.save(&self.folder).map_err(|why| failed(why.into()))?;
            *manifest = changed;
        }
        Ok(())
    }
}

/// Whether it changes anything.
fn set_pin(
    pins: &mut BTreeSet<TraceId>,
    segments: &mut [Entry],
    id: TraceId,
    pinned: bool,
) -> bool {
    let changes = if pinned { pins.insert(id) } else { pins.remove(&id) };
    if changes && !pinned {
        // What was kept for its sake may go now.
        segments.iter_mut().for_each(|entry| entry.only_pinned = false);
    }
    changes
}

fn size(entry: &Entry) -> u64 {
    entry.meta.spans + entry.meta.logs
}

/// Whether a segment may be merged at all.
fn fits(entry: &Entry) -> bool {
    size(entry) < LARGE / 2 && !entry.only_pinned
}

/// A run of neighbours of one level, or of small ones.
fn worth_merging(entries: &[Entry], here: impl Fn(&Entry) -> bool) -> Option<Range<usize>> {
    let mut from = 0;
    for to in 1..=entries.len() {
        let fits = |entry: &Entry| fits(entry) && here(entry);
        let alike = |a: &Entry, b: &Entry| tier(size(a)) == tier(size(b));
        if !fits(&entries[to - 1]) {
            from = to;
        } else if to - from > 1 && !alike(&entries[from], &entries[to - 1]) {
            from = to - 1;
        }
        if to - from == FAN_IN {
            return Some(from..to);
        }
    }
    None
}

/// A run of neighbours of any sizes, none of which is more than half of all: servers of which one
/// seals much and another little stand side by side in a bucket.
fn worth_mixing(entries: &[Entry], here: impl Fn(&Entry) -> bool) -> Option<Range<usize>> {
    let worth = |run: &[Entry]| {
        let all: u64 = run.iter().map(size).sum();
        run.iter().all(|entry| fits(entry) && here(entry) && 2 * size(entry) <= all)
    };
    entries.windows(FAN_IN).position(worth).map(|from| from..from + FAN_IN)
}

/// Sizes of one tier differ by no more than eight times.
fn tier(size: u64) -> u32 {
    size.max(1).ilog2() / 3
}

/// When a trace begins; first, that it is its lines which say so, since a span says it better.
type Date = (bool, UnixNanos);

/// One segment of what several hold, or only of some traces; the inner none if there is nothing to
/// hold, the outer if it was told to stop.
pub(super) fn write_merged(
    segments: &[Arc<Segment>],
    folder: &Path,
    id: u64,
    (only, least): (Option<&BTreeSet<TraceId>>, u64),
    stop: &AtomicBool,
) -> Result<Option<Option<Meta>>, BoxError> {
    let (mut carried, mut loose) = (Vec::new(), Vec::new());
    // Of each segment, the traces that do not go on as they are.
    let mut anew = shared(segments)?;
    if only.is_none() {
        for (segment, anew) in segments.iter().zip(&mut anew) {
            let carry = Carry::of(segment, anew, least)?;
            *anew = carry.traces().iter().map(|goes_on| !goes_on).collect();
            loose.extend(carry.loose()?);
            carried.push(carry);
        }
        loose.sort_by_key(|log| log.time);
    } else {
        anew.iter_mut().for_each(|anew| anew.fill(true));
    }
    let keep = |id: TraceId| only.is_none_or(|only| only.contains(&id));
    let order = order(segments, &anew, keep)?;
    if order.is_empty() && loose.is_empty() && carried.iter().all(Carry::is_empty) {
        return Ok(Some(None));
    }
    let mut writer = Writer::create(folder, id)?;
    let counted: Vec<bool> = carried.iter().map(|carry| !carry.is_empty()).collect();
    for carry in carried.into_iter().filter(|carry| !carry.is_empty()) {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        writer.carry(carry)?;
    }
    for traces in order.chunks(AT_ONCE) {
        if stop.load(Relaxed) {
            return Ok(None);
        }
        let mut gathered: Vec<Gathered> = Vec::new();
        gathered.resize_with(traces.len(), Gathered::default);
        for (n, segment) in segments.iter().enumerate() {
            let of_segment = traces.iter().enumerate().flat_map(|(place, (_, _, at))| {
                at.iter().filter(|it| it.0 == n).map(move |it| (place, it.1))
            });
            let (places, ordinals): (Vec<usize>, Vec<u32>) = of_segment.unzip();
            let pieces = segment.read(&ordinals, Columns::All)?;
            for (piece, place) in pieces.into_iter().zip(places) {
                if counted.get(n).is_some_and(|counted| *counted) {
                    piece.spans.iter().for_each(|span| writer.discount(span));
                }
                gathered[place].add(piece);
            }
        }
        for (found, (_, id, _)) in gathered.into_iter().zip(traces) {
            if let Some(trace) = found.into_trace() {
                write_trace(&mut writer, Some(*id), &trace)?;
            }
        }
    }
    if !loose.is_empty() {
        write_trace(&mut writer, None, &Trace { logs: loose, ..Trace::default() })?;
    }
    Ok(Some(Some(writer.finish()?)))
}

/// Of each segment, which of its traces, by number, others have something of.
fn shared(segments: &[Arc<Segment>]) -> Result<Vec<Vec<bool>>, BoxError> {
    let mut shared = Vec::new();
    let mut places: Vec<(TraceId, usize, u32)> = Vec::new();
    for (n, segment) in segments.iter().enumerate() {
        let all: Vec<u32> = (0..segment.meta().traces).collect();
        let ids = segment.starts(&all)?.into_iter().zip(all);
        places.extend(ids.map(|((_, id), ordinal)| (id, n, ordinal)));
        shared.push(vec![false; segment.meta().traces as usize]);
    }
    places.sort_unstable();
    for alike in places.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
        alike.iter().for_each(|&(_, n, ordinal)| shared[n][ordinal as usize] = true);
    }
    Ok(shared)
}

/// A trace that is written anew: when it begins, its id, and where it lies.
type Anew = (Date, TraceId, Vec<(usize, u32)>);

/// Those to be written anew that are to be kept, by when they begin: with their first span, if
/// they have any.
fn order(
    segments: &[Arc<Segment>],
    anew: &[Vec<bool>],
    keep: impl Fn(TraceId) -> bool,
) -> Result<Vec<Anew>, BoxError> {
    let mut places: HashMap<TraceId, (Date, Vec<(usize, u32)>)> = HashMap::new();
    for (n, (segment, anew)) in segments.iter().zip(anew).enumerate() {
        let all: Vec<u32> = (0..).zip(anew).filter(|it| *it.1).map(|it| it.0).collect();
        for ((start, id, by_span), ordinal) in segment.dates(&all)?.into_iter().zip(all) {
            if keep(id) {
                let date = (!by_span, start);
                let place = places.entry(id).or_insert((date, Vec::new()));
                place.0 = place.0.min(date);
                place.1.push((n, ordinal));
            }
        }
    }
    let mut order: Vec<Anew> = places.into_iter().map(|(id, (date, at))| (date, id, at)).collect();
    order.sort_unstable();
    Ok(order)
}

fn write_trace(writer: &mut Writer, id: Option<TraceId>, trace: &Trace) -> Result<(), BoxError> {
    writer.trace(id)?;
    for span in &trace.spans {
        writer.span_message(&span.resource, &span.scope, &proto::encode_span(span))?;
    }
    for log in &trace.logs {
        writer.log_message(&log.resource, &log.scope, &proto::encode_log(log))?;
    }
    Ok(())
}
