//! What goes on behind the store: sealing full logs, merging segments, removing what is too old.
//!
//! One thread, woken when a log is full and now and then by itself. Not here: how segments are
//! merged (`merge.rs`). The surprise: dropping the store does not wait for work to be finished;
//! it is left, its unfinished files are swept at the next start, and it is done again then.

use std::{
    collections::HashSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{Shared, journal::Journal, manifest::Entry, memtable::Memtable, split, write::read};
use crate::{
    model::TraceId,
    store::{
        BoxError, StoreError,
        segment::{Files, Meta, Writer},
    },
};

/// How often the thread looks around by itself.
const ROUND: Duration = Duration::from_secs(1);

/// The thread; dropping it ends it.
#[derive(Debug)]
pub(super) struct Tending {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tending {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (of, stopping) = (Arc::clone(shared), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("fixpoint-traces".into())
            .spawn(move || of.tend(&stopping))
            .map_err(|why| StoreError::new("start its thread", why))?;
        Ok(Self { shared: Arc::clone(shared), stop, thread: Some(thread) })
    }
}

impl Drop for Tending {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        self.shared.bell.ring();
        if let Some(remote) = &self.shared.remote {
            remote.connection.close();
        }
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn tend(&self, stop: &AtomicBool) {
        let mut failing = false;
        while !stop.load(Relaxed) {
            match self.round(stop) {
                Ok(()) => failing = false,
                // Said once; tried again all the time, since a full disk may be emptied.
                Err(error) if !std::mem::replace(&mut failing, true) => {
                    tracing::error!(error = &*error, "the trace store cannot tend to its files");
                }
                Err(_) => {}
            }
            if !stop.load(Relaxed) {
                self.bell.wait(ROUND);
            }
        }
    }

    fn round(&self, stop: &AtomicBool) -> Result<(), BoxError> {
        self.change_an_old_log()?;
        while self.seal_one(stop)? {
            // However long there is always more to seal, segments do not pile up. With a bucket that
            // would be to wait for it.
            if self.remote.is_none() {
                self.merge_some(stop)?;
            }
        }
        self.meet_bucket(stop);
        if !self.is_cut_off() {
            self.excuse(self.tidy(stop))?;
        }
        self.index_an_idle_log()
    }

    fn tidy(&self, stop: &AtomicBool) -> Result<(), BoxError> {
        while !stop.load(Relaxed) && self.merge_some(stop)? {}
        self.expire(stop)
    }

    /// Seals everything and merges as far as it helps.
    pub(super) fn settle(&self) -> Result<(), BoxError> {
        {
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            // Nothing but open spans is to be left.
            self.next_log(0)?;
        }
        let never = AtomicBool::new(false);
        while self.seal_one(&never)? {}
        self.catch_up()?;
        while self.merge_some(&never)? {}
        Ok(())
    }

    fn last(&self) -> Arc<RwLock<Memtable>> {
        let tables = self.state().tables;
        // There always is one.
        Arc::clone(&tables[tables.len() - 1])
    }

    fn change_an_old_log(&self) -> Result<(), BoxError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.last();
        let old = {
            let table = read(&table);
            table.spans() + table.logs() > 0 && table.age() >= self.options.seal_age
        };
        if old {
            self.next_log(self.moves())?;
        }
        Ok(())
    }

    /// So that nobody has to wait for the index when he searches.
    fn index_an_idle_log(&self) -> Result<(), BoxError> {
        let table = self.last();
        // Nothing comes either while too much waits to be sealed.
        let idle = self.state().tables.len() == 1 && read(&table).idle() > ROUND;
        if idle {
            Memtable::index_words(&table)?;
        }
        Ok(())
    }

    /// Seals the oldest log that is no longer written to, if there is one.
    fn seal_one(&self, stop: &AtomicBool) -> Result<bool, BoxError> {
        let _tending = self.tending.lock().unwrap_or_else(PoisonError::into_inner);
        let tables = self.state().tables;
        let [table, next, ..] = tables.as_slice() else { return Ok(false) };
        let (moved, id) = (read(next).moved_in(), self.manifest().number());
        let sealed = self.whole(id, || self.seal(&read(table), &moved, id, stop))?;
        let Some(sealed) = sealed else { return Ok(false) };
        let journal = read(table).journal().number();
        let segment = match sealed {
            Sealed::Nothing => None,
            Sealed::Segment(meta) => {
                let segment = self.open_segment(id, &meta)?;
                let split = split::of(&segment, &self.state().segments)?;
                Some((Entry { id, level: 0, only_pinned: false, split, meta }, segment))
            }
        };
        let mut manifest = self.manifest();
        let mut changed = manifest.clone();
        changed.sealed = journal;
        changed.segments.extend(segment.iter().map(|(entry, _)| entry.clone()));
        if let (Some(member), Some(_)) = (&mut changed.bucket, &segment) {
            member.unpublished.push(id);
        }
        changed.save(&self.folder)?;
        *manifest = changed;
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, segment)) = segment {
                Arc::make_mut(&mut state.segments).push(segment);
            }
            state.tables.remove(0);
            state.split = manifest.split();
        }
        drop(manifest);
        self.sealed.notify_waiters();
        // The manifest says that it is sealed, so it is removed at the next start at the latest.
        Ok(Journal::delete(&self.folder, journal).map(|()| true)?)
    }

    /// Writes a segment, or leaves nothing of it: on a full disk this is tried again and again.
    pub(super) fn whole<T>(
        &self,
        id: u64,
        write: impl FnOnce() -> Result<Option<T>, BoxError>,
    ) -> Result<Option<T>, BoxError> {
        let written = write();
        if !matches!(written, Ok(Some(_))) {
            // What is still left is swept away at the next start.
            let _ = Files::of(&self.folder, id).remove();
        }
        written
    }

    /// Writes a segment of a table, without what moved on; none if it was told to stop.
    fn seal(
        &self,
        table: &Memtable,
        moved: &HashSet<TraceId>,
        id: u64,
        stop: &AtomicBool,
    ) -> Result<Option<Sealed>, BoxError> {
        let traces = table.sealable(moved);
        let loose = table.loose();
        if traces.is_empty() && loose.is_empty() {
            return Ok(Some(Sealed::Nothing));
        }
        let mut writer = Writer::create(&self.folder, id)?;
        let mut bytes = Vec::new();
        for trace in traces {
            if stop.load(Relaxed) {
                return Ok(None);
            }
            writer.trace(Some(trace.id))?;
            for span in trace.spans {
                let origin = table.span_bytes(span, &mut bytes)?;
                writer.span_message(&origin.resource, &origin.scope, &bytes)?;
            }
            for log in trace.logs {
                let origin = table.log_bytes(log, &mut bytes)?;
                writer.log_message(&origin.resource, &origin.scope, &bytes)?;
            }
        }
        if !loose.is_empty() {
            writer.trace(None)?;
        }
        for log in loose {
            let origin = table.log_bytes(log, &mut bytes)?;
            writer.log_message(&origin.resource, &origin.scope, &bytes)?;
        }
        Ok(Some(Sealed::Segment(writer.finish()?)))
    }
}

/// What became of a table.
enum Sealed {
    /// All of it moved on.
    Nothing,
    Segment(Meta),
}
