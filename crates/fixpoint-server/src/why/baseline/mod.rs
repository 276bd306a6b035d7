//! The good ones: a profile of what usually happens, for each plan and each operation.
//!
//! `read.rs` reads good ones from the store, `kept.rs` keeps their profiles, `learn.rs` has them
//! read as runs end, and `rest.rs` as traces of others come to rest. Not here: what differs. The
//! surprise: nothing is kept that the store could not give again, so nothing has to be learned in
//! time. Whoever asks has what is missing read, for as long as an answer may take.

mod kept;
mod learn;
mod read;
mod rest;
#[cfg(test)]
mod tests;

use std::{collections::HashSet, sync::Arc, time::Duration};

use fixpoint_client::{GoodOne, Run};
use fixpoint_trace::{
    compare::profile::Profile,
    model::Trace,
    store::{TraceStore, TraceSummary},
};
use tokio::time::{Instant, timeout_at};

pub(super) use self::read::trace_of;
use self::{kept::Kept, learn::News, read::Reader};
pub(crate) use self::{
    kept::Size,
    learn::{Learner, Lessons},
};
use super::Unexplained;
use crate::{access::Scope, records::Records};

/// How long an answer waits for good ones to be read. With what else it takes it stays below a
/// second.
const PATIENCE: Duration = Duration::from_millis(400);

/// How many good ones a profile is first built from. More say little more, and take longer to read.
const FIRST: usize = 200;

/// The most good ones in a profile before a younger one takes its place: what is usual changes.
const MOST: u64 = 10_000;

/// Which good ones: what they have in common, and whose they are. Those of a tenant are apart,
/// since what is told of good ones names them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Of {
    scope: Scope,
    what: What,
}

/// What good ones have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum What {
    /// Runs of a plan, for a kind of resource.
    Plan { kind: String, plan: String },
    /// Traces whose root is an operation of a service.
    Operation { service: String, name: String },
}

impl Of {
    pub(super) fn plan(scope: &Scope, run: &Run) -> Self {
        let what = What::Plan { kind: run.kind().to_owned(), plan: run.plan.clone() };
        Self { scope: scope.clone(), what }
    }

    pub(super) fn operation(scope: &Scope, summary: &TraceSummary) -> Self {
        let (service, name) = (summary.service.clone(), summary.name.clone());
        Self { scope: scope.clone(), what: What::Operation { service, name } }
    }
}

#[cfg(test)]
impl Of {
    fn named(service: &str, name: &str) -> Self {
        let (service, name) = (service.to_owned(), name.to_owned());
        Self { scope: Scope::WHOLE, what: What::Operation { service, name } }
    }
}

impl std::fmt::Display for Of {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.what {
            What::Plan { plan, .. } => f.write_str(plan),
            What::Operation { service, name } if service.is_empty() => f.write_str(name),
            What::Operation { service, name } => write!(f, "{service} {name}"),
        }
    }
}

/// Good ones, read.
#[derive(Debug, Clone, Default)]
pub(super) struct Good {
    pub(super) profile: Profile,
    /// The two that ended last, the last one first: one of them may be the one asked about.
    newest: Vec<GoodOne>,
    /// Which were read: runs by their ids, traces by theirs.
    known: HashSet<String>,
    /// What takes its place once it has [`MOST`]: the good ones that were added last.
    next: Option<Box<Good>>,
}

impl Good {
    /// The one that ended last.
    pub(super) fn last(&self) -> Option<&GoodOne> {
        self.newest.first()
    }

    /// Whether it was read already.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// Adds one; none if its trace is stored no more.
    fn add(&mut self, good: GoodOne, trace: Option<&Trace>) {
        self.known.insert(id_of(&good).to_owned());
        if let Some(trace) = trace {
            self.profile.add(trace);
            self.newest.push(good);
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.newest.sort_by_key(|good| std::cmp::Reverse(good.ended_at));
        self.newest.truncate(2);
    }

    /// Adds others, all of them.
    fn merge(&mut self, others: &Self) {
        self.profile.merge(&others.profile);
        self.known.extend(others.known.iter().cloned());
        self.newest.extend(others.newest.iter().cloned());
        self.sort();
    }

    /// Adds others, and makes way for younger ones in time.
    fn take_up(&mut self, others: &Self) {
        if self.profile.traces() + FIRST as u64 >= MOST {
            self.next.get_or_insert_default().merge(others);
        }
        self.merge(others);
        if self.profile.traces() >= MOST
            && let Some(next) = self.next.take()
        {
            *self = *next;
        }
    }

    /// Leaves one out that is among them.
    pub(super) fn leave_out(&mut self, id: &str, trace: &Trace) {
        let mut one = Profile::default();
        one.add(trace);
        self.profile.take_out(&one);
        self.newest.retain(|good| id_of(good) != id);
    }

    /// What it takes in memory, in bytes, as near as can be told.
    fn bytes(&self) -> usize {
        /// An id, and its place in the table.
        const KNOWN: usize = 96;
        let next = self.next.as_ref().map_or(0, |next| next.bytes());
        self.profile.bytes() + self.known.len() * KNOWN + next
    }
}

/// What a good one is known by.
fn id_of(good: &GoodOne) -> &str {
    good.run_id.as_ref().unwrap_or(&good.trace_id)
}

/// Good ones, as far as they have been read.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    pub(super) good: Arc<Good>,
    /// How many are left to be read; none if nobody has looked yet.
    pub(super) unread: Option<usize>,
}

impl Held {
    /// What there is when time is up: that nothing was left when somebody looked before does not mean
    /// that nothing is now.
    fn out_of_time(self) -> Self {
        Self { unread: self.unread.filter(|unread| *unread > 0), ..self }
    }
}

/// The profiles of good ones, and where they come from. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Baselines {
    kept: Kept,
    reader: Reader,
    lessons: Lessons,
}

impl Baselines {
    /// What to ask, what to tell of runs that end, and what learns from them once it runs.
    pub(super) fn new(records: Records, traces: Arc<dyn TraceStore>) -> (Self, Learner) {
        let (lessons, news) = Lessons::new();
        let baselines = Self { kept: Kept::default(), reader: Reader { records, traces }, lessons };
        (baselines.clone(), Learner::new(baselines, news))
    }

    pub(super) fn lessons(&self) -> &Lessons {
        &self.lessons
    }

    pub(super) fn size(&self) -> Size {
        self.kept.size()
    }

    /// The good runs of a plan.
    pub(super) async fn of_plan(&self, of: &Of) -> Result<Held, Unexplained> {
        let slot = self.kept.slot(of);
        let until = Instant::now() + PATIENCE;
        let in_time = timeout_at(until, self.reader.catch_up(&slot, self.reader.runs(of, &slot)));
        let held = match in_time.await {
            Ok(read) => read.map(|()| slot.held())?,
            Err(_elapsed) => {
                self.lessons.tell(News::Plan(of.clone()));
                slot.held().out_of_time()
            }
        };
        self.kept.trim(of);
        Ok(held)
    }

    /// The good traces of the operation of a trace, those before all that are near it in time.
    pub(super) async fn of_operation(
        &self,
        scope: &Scope,
        near: &TraceSummary,
    ) -> Result<Held, Unexplained> {
        let of = Of::operation(scope, near);
        let slot = self.kept.slot(&of);
        let until = Instant::now() + PATIENCE;
        let in_time = timeout_at(until, self.reader.catch_up(&slot, self.reader.near(scope, near)));
        let held = match in_time.await {
            Ok(read) => read.map(|()| slot.held())?,
            Err(_elapsed) => {
                self.lessons.tell(News::Near(scope.clone(), Box::new(near.clone())));
                slot.held().out_of_time()
            }
        };
        self.kept.trim(&of);
        Ok(held)
    }
}
