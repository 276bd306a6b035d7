//! Learns from runs as they end, so that who asks has to wait for nothing.
//!
//! Not here: traces of others (`rest.rs`), and what is apart for a tenant, which is read when that
//! tenant asks. The surprise: it may miss any of it. What is told while
//! the queue is full, or while nobody learns, is read when somebody asks.

use fixpoint::Chain;
use fixpoint_client::Run;
use fixpoint_trace::store::TraceSummary;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Baselines, Of, read::Lesson, rest};
use crate::{access::Scope, why::Unexplained};

/// How much may wait to be learned from.
const WAITING: usize = 1_024;

/// What there is to be read.
#[derive(Debug)]
pub(super) enum News {
    /// A run has ended.
    Ended(Box<Run>),
    /// Somebody asked for the good runs of a plan and did not wait for all of them.
    Plan(Of),
    /// Likewise for good traces near one.
    Near(Scope, Box<TraceSummary>),
}

/// Takes in what there is to learn from. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Lessons(mpsc::Sender<News>);

impl Lessons {
    pub(super) fn new() -> (Self, mpsc::Receiver<News>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// A run has ended, and its record says so. Never waits.
    pub(crate) fn ended(&self, run: &Run) {
        if run.is_example() {
            self.tell(News::Ended(Box::new(run.clone())));
        }
    }

    pub(super) fn tell(&self, news: News) {
        let _missed = self.0.try_send(news);
    }
}

/// Learns until told to stop.
#[derive(Debug)]
pub(crate) struct Learner {
    baselines: Baselines,
    news: mpsc::Receiver<News>,
}

impl Learner {
    pub(super) fn new(baselines: Baselines, news: mpsc::Receiver<News>) -> Self {
        Self { baselines, news }
    }

    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        tokio::select! {
            () = self.learn() => {}
            () = stopping.cancelled() => {}
        }
    }

    async fn learn(&mut self) {
        told(self.baselines.warm().await);
        let mut resting = rest::Resting::default();
        let mut every = interval(rest::EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(news) = self.news.recv() => told(self.baselines.learn(news).await),
                _ = every.tick() => {
                    told(resting.look(&self.baselines, Instant::now()).await);
                }
            }
        }
    }
}

fn told(result: Result<(), Unexplained>) {
    if let Err(error) = result {
        tracing::warn!("not all good runs and traces could be read: {}", Chain(&error));
    }
}

impl Baselines {
    /// Reads the good runs of all plans that have any, of that with the newest run first.
    pub(super) async fn warm(&self) -> Result<(), Unexplained> {
        for of in self.reader.plans().await? {
            // What was asked for meanwhile need not go for what nobody may ask for.
            let Some(slot) = self.kept.spare_slot(&of) else { break };
            self.reader.catch_up(&slot, self.reader.runs(&of, &slot)).await?;
            self.kept.trim(&of);
        }
        Ok(())
    }

    pub(super) async fn learn(&self, news: News) -> Result<(), Unexplained> {
        let of = match news {
            News::Ended(run) => {
                let of = Of::plan(&Scope::WHOLE, &run);
                let slot = self.kept.slot(&of);
                if let Some(lesson) = Lesson::of_run(&Scope::WHOLE, &run) {
                    self.reader.read_one(&slot, lesson).await?;
                }
                of
            }
            News::Plan(of) => {
                let slot = self.kept.slot(&of);
                self.reader.catch_up(&slot, self.reader.runs(&of, &slot)).await?;
                of
            }
            News::Near(scope, summary) => {
                let of = Of::operation(&scope, &summary);
                let slot = self.kept.slot(&of);
                self.reader.catch_up(&slot, self.reader.near(&scope, &summary)).await?;
                of
            }
        };
        self.kept.trim(&of);
        Ok(())
    }
}
