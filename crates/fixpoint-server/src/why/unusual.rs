//! Runs that go on, but not as the good ones did: flagged in the lists before they fail.
//!
//! Not here: what is said when somebody asks. The surprise: nothing of it is stored. A server that
//! starts knows of nothing unusual until it has looked, which takes it seconds.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use fixpoint::Chain;
use fixpoint_client::{Conclusion, Run, RunState, Why};
use fixpoint_trace::model::{Level, LogRecord, UnixNanos};
use tokio_util::sync::CancellationToken;

use super::{
    Explainer, Unexplained,
    baseline::{Held, Of},
    plan::Blame,
};
use crate::{access::Scope, records::ResourceKey, runner::now};

/// How often the runs that go on are looked at.
const EVERY: Duration = Duration::from_secs(3);

/// How many are looked at each time.
const MOST: usize = 64;

/// With fewer good runs than this, one that is other is no news.
const ENOUGH: u64 = 5;

/// What is unusual in runs that go on, by run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unusual {
    known: Arc<RwLock<HashMap<String, String>>>,
}

impl Unusual {
    /// Notes on a run what is unusual in it, if anything is.
    pub(crate) fn mark(&self, run: &mut Run) {
        if !run.state.is_final() {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            run.unusual = known.get(&run.id).cloned();
        }
    }

    fn replace(&self, unusual: HashMap<String, String>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = unusual;
    }
}

impl Explainer {
    /// Looks at the runs that go on, again and again, until told to stop.
    pub(crate) async fn watch(&self, stopping: CancellationToken) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stopping.cancelled() => return,
            }
            if let Err(error) = self.look(now()).await {
                tracing::warn!(
                    "runs that go on are not compared with good ones: {}",
                    Chain(&error)
                );
            }
        }
    }

    /// Looks once at the runs that go on.
    ///
    /// To a run nothing may happen for long, so `now` is a part of what is known of it.
    pub(crate) async fn look(&self, now: UnixNanos) -> Result<(), Unexplained> {
        let mut unusual = HashMap::new();
        // What many runs are held against is asked for once.
        let mut held: HashMap<Of, Held> = HashMap::new();
        for (_, id) in self.records.with_unfinished_runs().await?.into_iter().take(MOST) {
            let Some(run) = self.records.run(&id).await?.map(|stored| stored.record.run) else {
                continue;
            };
            if !matches!(run.state, RunState::Running | RunState::Waiting) {
                continue;
            }
            // Whoever may see the run may be told, so a tenant's is held against that tenant's.
            let scope = ResourceKey::parse(&run.resource).map(|key| Scope::around(&key));
            let scope = scope.unwrap_or(Scope::WHOLE);
            let of = Of::plan(&scope, &run);
            let good = match held.get(&of) {
                Some(good) => good.clone(),
                None => {
                    let good = self.baselines.of_plan(&of).await?;
                    held.entry(of).or_insert(good).clone()
                }
            };
            let why = self.as_it_goes(&scope, &run, good, now).await?;
            if why.conclusion == Conclusion::Cause && why.baseline.good >= ENOUGH {
                unusual.insert(id, why.sentence);
            }
        }
        self.unusual.replace(unusual);
        Ok(())
    }

    /// What of a run is not as in the good ones, whatever it says of itself. It lasts until now.
    async fn as_it_goes(
        &self,
        scope: &Scope,
        run: &Run,
        good: Held,
        now: UnixNanos,
    ) -> Result<Why, Unexplained> {
        let mut case = self.case_of(scope, run, good).await?;
        case.trace.logs.push(LogRecord::new(now, Level::Trace, "it goes on"));
        self.answer(case, |_, _| Blame::default()).await
    }
}
