//! Writes down what a run does while it does it: iterations, steps, waits, status.
//!
//! Not here: how a run starts (`work.rs`) and ends (`ending.rs`). The surprise: what cannot be written down is
//! not done. Before a step runs, its name is in the run's record and every span so far is in the
//! trace store, both durably. Looks of a wait are too many for that; they are saved by a timer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use fixpoint::{BoxError, Event, Observer, Outcome, Step, Steps};
use fixpoint_client::{
    ActiveStep, Iteration, PlannedStep, SeenFact, SkippedStep, Waiting, WithheldStep,
};
use fixpoint_trace::{record::Recorder, redact};
use jiff::Timestamp;

use super::{Shared, tenure::Owned};
use crate::{
    StatusCell,
    metrics::Metrics,
    records::{Records, ResourceKey, Stored, key, put},
    run::{RunEvent, RunRecord},
    store::{Precondition, StoreError, Version, Write},
};

/// How many iterations a run's record keeps, as the API promises.
const KEPT_ITERATIONS: u32 = 200;

/// How stale a run's record may be as to waits and ended steps. A person sees no difference.
pub(super) const SAVE_EVERY: Duration = Duration::from_millis(250);

/// The observer of one run, and the only writer of its record while it goes on.
pub(super) struct Ledger {
    records: Records,
    owned: Owned,
    spans: Recorder,
    metrics: Arc<Metrics>,
    resource: ResourceKey,
    status: StatusCell,
    notes: Mutex<Notes>,
    saved: tokio::sync::Mutex<Saved>,
    /// The store failed while a step waited for it. The run cannot go on, which is not its own end.
    broken: Mutex<Option<StoreError>>,
}

/// What is known of the run.
struct Notes {
    record: RunRecord,
    active: Vec<Active>,
    /// Answered since the last save.
    iterations: Vec<Iteration>,
    /// How many iterations the run had when its plan was last executed anew.
    before: u32,
    /// Counts what changed, so that one save can serve all that wait for one.
    changes: u64,
}

struct Active {
    id: u64,
    parent: Option<u64>,
    step: ActiveStep,
}

/// What of it is in the store.
struct Saved {
    changes: u64,
    version: Version,
    /// A save was dropped half-way, with the step that asked for it, so the version is not known.
    uncertain: bool,
}

impl Ledger {
    pub(super) fn new(
        shared: &Shared,
        owned: Owned,
        resource: ResourceKey,
        status: StatusCell,
        run: Stored<RunRecord>,
    ) -> Self {
        let Stored { mut record, version } = run;
        record.run.active.clear();
        let before = record.run.iterations;
        let notes =
            Notes { record, active: Vec::new(), iterations: Vec::new(), before, changes: 1 };
        let saved = Saved { changes: 0, version, uncertain: false };
        Self {
            records: shared.records.clone(),
            owned,
            spans: shared.recorder.clone(),
            metrics: Arc::clone(&shared.metrics),
            resource,
            status,
            notes: Mutex::new(notes),
            saved: tokio::sync::Mutex::new(saved),
            broken: Mutex::new(None),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Saves what has changed since the last save, if anything has.
    pub(super) async fn save(&self) -> Result<(), StoreError> {
        let wanted = self.notes().changes;
        let mut saved = self.saved.lock().await;
        // Somebody else saved it while this one waited for the lock.
        if saved.changes >= wanted {
            return Ok(());
        }
        let (record, iterations, changes) = {
            let notes = self.notes();
            (notes.record.clone(), notes.iterations.clone(), notes.changes)
        };
        let id = &record.run.id;
        if saved.uncertain
            && let Some(stored) = self.records.run(id).await?
            // Otherwise another server has taken the run up, and this one must not write.
            && stored.record.run.attempts == record.run.attempts
        {
            saved.version = stored.version;
        }
        let mut writes = vec![put(key::run(id), &record, Precondition::Version(saved.version))?];
        for iteration in &iterations {
            let number = iteration.iteration;
            writes.push(put(key::iteration(id, number), iteration, Precondition::Any)?);
            if let Some(old) = number.checked_sub(KEPT_ITERATIONS).filter(|old| *old > 0) {
                writes.push(Write::delete(key::iteration(id, old), Precondition::Any));
            }
        }
        saved.uncertain = true;
        saved.version = self.owned.commit(writes).await?;
        saved.uncertain = false;
        saved.changes = changes;
        // Those that came meanwhile are behind these.
        self.notes().iterations.drain(..iterations.len());
        Ok(())
    }

    /// Stores what the plan said of its resource since the last time.
    pub(super) async fn save_status(&self) -> Result<(), StoreError> {
        let Some(status) = self.status.take() else { return Ok(()) };
        loop {
            let Some(Stored { mut record, version }) =
                self.records.resource(&self.resource).await?
            else {
                return Ok(());
            };
            if record.status == status {
                return Ok(());
            }
            record.status = status.clone();
            record.updated_at = Timestamp::now();
            let write =
                put(key::resource(&self.resource), &record, Precondition::Version(version))?;
            match self.owned.commit(vec![write]).await {
                // A request changed the spec meanwhile; the status goes beside the new one.
                Err(error) if error.is_conflict() => {}
                result => return result.map(drop),
            }
        }
    }

    /// Why the run could not go on, if the store was at fault.
    pub(super) fn take_broken(&self) -> Option<StoreError> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the store's failure means to a step: the run ends, and why is kept.
    fn kept(&self, result: Result<(), StoreError>) -> Result<(), Unsaved> {
        result.map_err(|error| {
            let what = error.to_string();
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            Unsaved(what)
        })
    }

    /// The plan is executed anew within the run: its iterations go on counting.
    pub(super) fn look_again(&self) {
        let mut notes = self.notes();
        notes.active.clear();
        notes.before = notes.record.run.iterations;
    }

    /// Takes a last look: the record as it now is, with nothing active, and its version.
    pub(super) async fn close(&self) -> Result<Stored<RunRecord>, StoreError> {
        {
            let mut notes = self.notes();
            notes.active.clear();
            notes.record.run.active.clear();
            notes.changes += 1;
        }
        self.save().await?;
        let version = self.saved.lock().await.version;
        Ok(Stored { record: self.notes().record.clone(), version })
    }
}

/// What had to be written down first could not be.
#[derive(Debug, thiserror::Error)]
#[error("the run's record could not be saved: {0}")]
struct Unsaved(String);

#[async_trait]
impl Observer for Ledger {
    async fn on_event(&self, event: Event<'_>) -> Result<(), BoxError> {
        match event {
            Event::Planned { iteration, answer } => {
                self.notes().planned(iteration, answer);
                self.kept(self.save().await)?;
                self.kept(self.save_status().await)?;
            }
            Event::StepSkipped { step, reason } => {
                let PlannedStep { name, key } = planned(step);
                let mut notes = self.notes();
                notes.record.run.skipped.push(SkippedStep { name, key, why: reason.to_owned() });
                notes.changes += 1;
            }
            Event::StepStarted { id, parent, step } => {
                self.notes().started(id, parent, step)?;
                // Two disks' worth of waiting at the same time. Which is there first is of no matter:
                // nothing of the step is done before both are.
                let (saved, durable) = tokio::join!(self.save(), self.spans.flush());
                self.kept(saved)?;
                durable?;
            }
            Event::Waiting { id, reason, wanted, seen, polls, left } => {
                let waiting = Waiting {
                    reason: redact::text(reason).into_owned(),
                    wanted: redact::text(wanted).into_owned(),
                    seen: redact::text(seen).into_owned(),
                    polls,
                    deadline: Timestamp::now().checked_add(left).ok(),
                };
                self.notes().waits(id, waiting)?;
            }
            Event::StepFinished { id, outcome, took, .. } => {
                let outcome = match outcome {
                    Outcome::Done { .. } => "done",
                    Outcome::Failed(_) => "failed",
                    Outcome::Cancelled => "cancelled",
                };
                self.metrics.step_ended(&self.resource.kind, outcome, took);
                self.notes().finished(id)?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Notes {
    fn planned(&mut self, iteration: u32, answer: &Steps) {
        let iteration = show(self.before + iteration, answer);
        self.record.run.iterations = iteration.iteration;
        self.record.run.skipped.clear();
        self.iterations.push(iteration);
        self.changes += 1;
    }

    fn started(&mut self, id: u64, parent: Option<u64>, step: &dyn Step) -> Result<(), BoxError> {
        let PlannedStep { name, key } = planned(step);
        let step = ActiveStep { name, key, since: Timestamp::now(), waiting: None };
        self.active.push(Active { id, parent, step });
        self.active_changed()
    }

    fn waits(&mut self, id: u64, waiting: Waiting) -> Result<(), BoxError> {
        if let Some(active) = self.active.iter_mut().find(|active| active.id == id) {
            active.step.waiting = Some(waiting);
        }
        self.active_changed()
    }

    fn finished(&mut self, id: u64) -> Result<(), BoxError> {
        self.active.retain(|active| active.id != id);
        self.record.run.steps += 1;
        self.active_changed()
    }

    /// Follows up on a change of what is active. A step that only holds others is told by them,
    /// and the run waits if all of them do.
    fn active_changed(&mut self) -> Result<(), BoxError> {
        let innermost = |a: &&Active| !self.active.iter().any(|b| b.parent == Some(a.id));
        let active: Vec<_> =
            self.active.iter().filter(innermost).map(|active| active.step.clone()).collect();
        let waits = !active.is_empty() && active.iter().all(|step| step.waiting.is_some());
        self.record.apply(if waits { RunEvent::Waits } else { RunEvent::Moves })?;
        self.record.run.active = active;
        self.changes += 1;
        Ok(())
    }
}

/// An answer of `create` as the API shows it.
pub(crate) fn show(iteration: u32, answer: &Steps) -> Iteration {
    let text = |text: &str| redact::text(text).into_owned();
    Iteration {
        iteration,
        at: Timestamp::now(),
        steps: answer.parts().map(planned).collect(),
        withheld: answer
            .withheld()
            .iter()
            .map(|w| WithheldStep { what: text(&w.what), why: text(&w.why) })
            .collect(),
        seen: answer
            .seen()
            .iter()
            .map(|s| SeenFact { what: text(&s.what), value: text(&s.value) })
            .collect(),
    }
}

fn planned(step: &dyn Step) -> PlannedStep {
    PlannedStep { name: step.name().to_owned(), key: redact::text(&step.key()).into_owned() }
}
