//! What `bench/engines` asks of an engine, and how the answer is measured: the same code in all of them.
//!
//! Not here: any engine. `bin/steps.rs` brings Fixpoint, `bench/services` the peers, which include
//! this very file; so it uses nothing of this crate. The surprise: what is measured is when each
//! step's own code begins. From one step's begin to the next one's lies all that an engine does to
//! keep the first and to start the second, whichever of the two it writes down.

use std::{
    collections::HashMap,
    error::Error,
    io::{self, Write},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, spawn_blocking};

/// An error of whatever engine.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How the steps of a workflow stand to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One after another.
    Sequence,
    /// All at once.
    Together,
}

/// One workflow of steps that do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// No other has it.
    pub id: u64,
    /// How its steps stand to one another.
    pub shape: Shape,
    /// How many it has.
    pub steps: usize,
}

/// A line of input, such as `sequence 40 50 1`.
#[derive(Debug, Clone, Copy)]
struct Round {
    shape: Shape,
    steps: usize,
    workflows: usize,
    at_once: usize,
}

impl FromStr for Round {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let words: Vec<_> = line.split_whitespace().collect();
        let [shape, steps, workflows, at_once] = words[..] else {
            return Err(format!("{line:?} is not SHAPE STEPS WORKFLOWS AT-ONCE").into());
        };
        let shape = serde_json::from_value(shape.into())?;
        let (steps, workflows) = (steps.parse()?, workflows.parse()?);
        Ok(Self { shape, steps, workflows, at_once: at_once.parse()? })
    }
}

/// Notes when steps begin. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Begins(Arc<Mutex<HashMap<u64, Vec<Instant>>>>);

impl Begins {
    /// Says that a step of this workflow begins; the first thing that each does, and the only one.
    pub fn note(&self, workflow: u64) {
        let now = Instant::now();
        self.all().entry(workflow).or_default().push(now);
    }

    /// How many steps of this workflow have begun.
    pub fn count(&self, workflow: u64) -> usize {
        self.all().get(&workflow).map_or(0, Vec::len)
    }

    fn take(&self, workflow: u64) -> Vec<Instant> {
        self.all().remove(&workflow).unwrap_or_default()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Vec<Instant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is answered to a round.
#[derive(Debug, Serialize)]
struct Answer {
    seconds: f64,
    workflows: Vec<Took>,
}

/// How one workflow went, in milliseconds since it was asked for.
#[derive(Debug, Serialize)]
struct Took {
    begins: Vec<f64>,
    ended: f64,
}

/// Plays the rounds that standard input names, and answers each by a line of JSON, until there are
/// no more. `run` has the engine run a workflow, and returns when whoever asked knows that it ended.
///
/// # Errors
/// If a workflow fails, or a step of it did not begin exactly once.
pub async fn play<F, Fut>(begins: Begins, run: F) -> Result<(), Failure>
where
    F: Fn(Workflow) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut ids = 0..;
    writeln!(io::stdout(), "ready")?;
    while let Some(line) = spawn_blocking(|| io::stdin().lines().next()).await?.transpose()? {
        let round: Round = line.parse()?;
        let asked = Instant::now();
        let (mut running, mut workflows) = (JoinSet::new(), Vec::new());
        for id in ids.by_ref().take(round.workflows) {
            if running.len() == round.at_once {
                workflows.extend(running.join_next().await.transpose()?.transpose()?);
            }
            let workflow = Workflow { id, shape: round.shape, steps: round.steps };
            running.spawn(one(begins.clone(), run.clone(), workflow));
        }
        while let Some(took) = running.join_next().await {
            workflows.push(took??);
        }
        let answer = Answer { seconds: asked.elapsed().as_secs_f64(), workflows };
        writeln!(io::stdout(), "{}", serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

async fn one<F, Fut>(begins: Begins, run: F, workflow: Workflow) -> Result<Took, Failure>
where
    F: Fn(Workflow) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let asked = Instant::now();
    run(workflow).await?;
    let ended = asked.elapsed();
    let begins = begins.take(workflow.id);
    if begins.len() != workflow.steps {
        return Err(format!("{} of {} steps began", begins.len(), workflow.steps).into());
    }
    let since = |begin: Instant| (begin - asked).as_secs_f64() * 1e3;
    Ok(Took { begins: begins.into_iter().map(since).collect(), ended: ended.as_secs_f64() * 1e3 })
}
