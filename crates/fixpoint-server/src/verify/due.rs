//! Which resources are to be looked at, because it is time or because somebody asked.
//!
//! Not here: when it is time (`schedule.rs`). The surprise: it is lost with the process, and need
//! not be kept. The clock comes round again, and whoever asked finds the connection broken.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use fixpoint_trace::model::SpanContext;
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::{records::ResourceKey, runner::Wakes};

/// The resources that are due on this server.
#[derive(Debug, Default)]
pub(crate) struct Due(Mutex<HashMap<ResourceKey, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    by_clock: bool,
    askers: Vec<Asker>,
}

#[derive(Debug)]
struct Asker {
    at: Timestamp,
    span: Option<SpanContext>,
    tell: oneshot::Sender<Answer>,
}

/// What whoever asked is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was looked at since; the run that mends it, if one was begun.
    Looked(Option<String>),
    /// No run has solved it, so that there is nothing to verify.
    NotSolved,
}

/// Why a resource is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// When somebody asked last; none if only the clock did.
    pub(super) asked_at: Option<Timestamp>,
    /// The request of whoever asked first.
    pub(super) span: Option<SpanContext>,
}

impl Due {
    fn entries(&self) -> MutexGuard<'_, HashMap<ResourceKey, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is time.
    pub(super) fn by_clock(&self, resource: ResourceKey) {
        self.entries().entry(resource).or_default().by_clock = true;
    }

    /// Why the resource is due, if it is.
    pub(super) fn why(&self, resource: &ResourceKey) -> Option<Wanted> {
        let entries = self.entries();
        let Entry { by_clock, askers } = entries.get(resource)?;
        let asked_at = askers.iter().map(|asker| asker.at).max();
        let span = askers.iter().find_map(|asker| asker.span);
        (*by_clock || asked_at.is_some()).then_some(Wanted { asked_at, span })
    }

    /// Tells all who asked before `began`; whether nobody is left who asked later.
    pub(super) fn answer(&self, resource: &ResourceKey, began: Timestamp, answer: &Answer) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(resource) else { return true };
        entry.by_clock = false;
        let (later, told) = entry.askers.drain(..).partition(|asker| asker.at > began);
        entry.askers = later;
        for Asker { tell, .. } in Vec::from_iter::<Vec<Asker>>(told) {
            let _gone = tell.send(answer.clone());
        }
        let done = entry.askers.is_empty();
        if done {
            entries.remove(resource);
        }
        done
    }
}

/// Has resources looked at on somebody's word. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    due: Arc<Due>,
    wakes: Wakes,
}

impl Asking {
    pub(crate) fn new(due: Arc<Due>, wakes: Wakes) -> Self {
        Self { due, wakes }
    }

    /// Has the resource looked at, below the span. The answer comes when it was; never, if the
    /// server stops before.
    pub(crate) fn ask(
        &self,
        resource: ResourceKey,
        span: Option<SpanContext>,
    ) -> oneshot::Receiver<Answer> {
        let (tell, told) = oneshot::channel();
        let asker = Asker { at: Timestamp::now(), span, tell };
        self.due.entries().entry(resource.clone()).or_default().askers.push(asker);
        self.wakes.wake(resource);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_while_it_is_looked_at_wants_another_look() {
        let due = Due::default();
        let car = ResourceKey::new("toys", "car");
        let ask = |at| {
            let (tell, told) = oneshot::channel();
            let at = Timestamp::from_second(at).unwrap();
            due.entries().entry(car.clone()).or_default().askers.push(Asker {
                at,
                span: None,
                tell,
            });
            told
        };
        let (mut before, mut after) = (ask(10), ask(30));
        let began = Timestamp::from_second(20).unwrap();
        assert!(!due.answer(&car, began, &Answer::Looked(None)));
        assert_eq!(before.try_recv(), Ok(Answer::Looked(None)));
        assert!(after.try_recv().is_err());
        assert_eq!(due.why(&car).unwrap().asked_at, Timestamp::from_second(30).ok());
        assert!(due.answer(&car, Timestamp::from_second(30).unwrap(), &Answer::NotSolved));
        assert_eq!((after.try_recv(), due.why(&car)), (Ok(Answer::NotSolved), None));
    }
}
