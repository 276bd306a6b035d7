//! The way of a request into the log and the memtable, and the change from a full log to a new one.
//!
//! Not here: what comes together (`commit.rs`), or sealing (`tend.rs`). The surprise: a trace that
//! is still going on moves along into the new log, so that most traces end up whole, in one
//! segment.

use std::{
    io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use tokio::time::{Instant, timeout_at};

use super::{
    Durability, Shared, arrived::Arrived, commit::Pending, journal::Journal, memtable::Memtable,
};
use crate::store::{Fault, StoreError, file};

/// How many logs may wait to be sealed before senders are told to come again.
const UNSEALED: usize = 3;
/// How long our own records wait for room.
const PATIENCE: Duration = Duration::from_secs(30);
/// What share of a log may move along into the next one.
const MOVES: usize = 16;

/// Returns when the requests are stored.
pub(super) async fn commit(shared: &Arc<Shared>, requests: Vec<Arrived>) -> Result<(), StoreError> {
    let writer = Arc::clone(shared);
    shared.commits.commit(requests, move |batch| writer.write(batch)).await
}

impl Shared {
    /// Says that too much waits to be sealed, if it does.
    pub(super) fn refuse_if_full(&self) -> Result<(), StoreError> {
        if self.state.read().unwrap_or_else(PoisonError::into_inner).tables.len() <= UNSEALED {
            return Ok(());
        }
        let why = "more comes than can be sealed; send it again in a moment";
        Err(StoreError::new("take a request", why).with_fault(Fault::Overload))
    }

    /// Waits until there is room, though not for ever.
    pub(super) async fn room(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let sealed = self.sealed.notified();
            if self.refuse_if_full().is_ok() || timeout_at(until, sealed).await.is_err() {
                return;
            }
        }
    }

    /// Writes what came together, and answers those who sent it.
    fn write(&self, batch: Vec<Pending>) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.write_all(&batch);
        if let Err(error) = &result {
            tracing::error!(%error, "spans could not be stored");
        }
        let result = result.map_err(|why| Arc::new(StoreError::new("write its log", why)));
        if result.is_ok() {
            self.tell(&batch);
        }
        for pending in batch {
            pending.answer(result.clone());
        }
    }

    fn write_all(&self, batch: &[Pending]) -> io::Result<()> {
        let table = self.current();
        let journal = Arc::clone(read(&table).journal());
        let requests: Vec<&Arrived> = batch.iter().flat_map(|pending| &pending.requests).collect();
        let before = journal.len();
        let frames = requests.iter().map(|request| (request.signal, &*request.request));
        let written = journal.append(frames, false).and_then(|places| {
            if self.options.durability == Durability::PowerLoss {
                journal.sync()?;
            }
            Ok(places)
        });
        let places = match written {
            Ok(places) => places,
            Err(error) => {
                // What a failed sync has left on the disk nobody knows, so this log is not written
                // to again. What was refused must not come back at the next start either.
                let cut = journal.cut(before).and_then(|()| journal.sync());
                if let Err(error) = cut.and_then(|()| self.next_log(self.moves())) {
                    tracing::error!(%error, "the log could not be changed for a new one");
                }
                return Err(error);
            }
        };
        let full = {
            let mut table = write(&table);
            for (request, place) in requests.iter().zip(places) {
                table.insert(request, place);
            }
            table.spans() + table.logs() >= self.options.seal_records
                || journal.len() >= self.options.seal_bytes
        };
        // The requests are stored, whatever becomes of the change.
        if full && let Err(error) = self.next_log(self.moves()) {
            tracing::error!(%error, "the log could not be changed for a new one");
        }
        Ok(())
    }

    /// The table that is written to.
    fn current(&self) -> Arc<RwLock<Memtable>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        // There always is one.
        Arc::clone(&state.tables[state.tables.len() - 1])
    }

    /// How many records of traces that are going on move along into the next log.
    pub(super) fn moves(&self) -> usize {
        self.options.seal_records / MOVES
    }

    /// Changes the log for a new one, into which so many records move along, and has the old one
    /// sealed. `writing` is held.
    pub(super) fn next_log(&self, moves: usize) -> io::Result<()> {
        let old = self.current();
        let journal = Journal::create(&self.folder, read(&old).journal().number() + 1)?;
        let mut table = Memtable::new(journal);
        let going_on = read(&old).going_on(moves)?;
        for (requests, whole) in [(going_on.whole, true), (going_on.open, false)] {
            let look = |(signal, request)| Arrived::look_through(signal, request);
            let requests: Vec<Arrived> = requests
                .into_iter()
                .map(look)
                .collect::<Result<_, _>>()
                .map_err(io::Error::other)?;
            let frames = requests.iter().map(|request| (request.signal, &*request.request));
            let places = table.journal().append(frames, whole)?;
            for (request, place) in requests.iter().zip(places) {
                table.insert(request, place);
            }
        }
        if self.options.durability == Durability::PowerLoss {
            table.journal().sync()?;
        }
        table.journal().publish(&self.folder)?;
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.tables.push(Arc::new(RwLock::new(table)));
        drop(state);
        self.bell.ring();
        // Last: once it is published it is the one to write to, whatever becomes of this.
        file::sync_folder(&self.folder)
    }

    /// Tells followers of what came, if there are any.
    fn tell(&self, batch: &[Pending]) {
        if self.followers.receiver_count() == 0 {
            return;
        }
        for request in batch.iter().flat_map(|pending| &pending.requests) {
            // It was looked through; nobody may be following any more.
            if let Ok(decoded) = crate::otlp::decode(request.signal, &request.request) {
                let _ = self.followers.send(Arc::new(decoded.records));
            }
        }
    }
}

pub(super) fn read(table: &RwLock<Memtable>) -> RwLockReadGuard<'_, Memtable> {
    table.read().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn write(table: &RwLock<Memtable>) -> RwLockWriteGuard<'_, Memtable> {
    table.write().unwrap_or_else(PoisonError::into_inner)
}
