//! The two traits that plan authors write, and what `create` answers with.
//!
//! Not here: how steps are run; that is `scheduler.rs`. The surprise: [`Steps`] carries more than
//! steps. A plan also says what it withholds and what it saw, so that "why is nothing happening?"
//! has an answer in the trace.

use std::fmt::{self, Debug, Display, Write};

use async_trait::async_trait;

use crate::{BoxError, Context};

/// A goal, and how to work out what is still missing to reach it.
#[async_trait]
pub trait Plan: Send + Sync {
    /// The plan's name, for example `create_cluster`. Low cardinality.
    fn name(&self) -> &str;

    /// Looks at the world and returns what is left to do. Changes nothing.
    ///
    /// # Errors
    /// Any error ends the run as failed. Wrap it in [`Permanent`](crate::Permanent) if planning
    /// again cannot help.
    async fn create(&self, cx: &Context) -> Result<Steps, BoxError>;
}

/// The smallest unit of work. Must be safe to run twice.
///
/// A step's `Debug` is its key in traces, logs and run records, so a field that holds a secret
/// must be of a type whose `Debug` hides it.
#[async_trait]
pub trait Step: Debug + Send + Sync {
    /// The step's name in the operator's words, for example `create_security_group`. It becomes
    /// the span's name, so it holds no ids.
    fn name(&self) -> &str;

    /// Tells this step from others of its name. The same key from one `create` to the next means:
    /// the same work again.
    fn key(&self) -> String {
        // Room for most keys: the scheduler asks each step of each answer for its key.
        let mut key = String::with_capacity(64);
        // A String takes whatever is written; only the Debug itself could refuse.
        let _ = write!(key, "{self:?}");
        key
    }

    /// Does the work. Steps it returns run next, before its siblings.
    ///
    /// # Errors
    /// Any error ends the run as failed; what is left is planned again by whoever runs the plan.
    async fn run(&self, cx: &Context) -> Result<Steps, BoxError>;

    /// The steps that this one is made of, if it is, as [`Together`](crate::Together) is. What was
    /// planned is told by them: "planned 2 steps: create_vpc, create_key_pair".
    fn parts(&self) -> &[Box<dyn Step>] {
        &[]
    }

    /// Whether the step only waits for the world, as [`Wait`](crate::Wait) does. A plan that returns
    /// nothing else has nothing to do: the world is about to be as wanted, or somebody else's turn.
    fn waits(&self) -> bool {
        false
    }

    /// Puts the step on the heap, as [`Steps`] keeps it.
    fn boxed(self) -> Box<dyn Step>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

/// What is left to do, in order; what is withheld; and what the plan saw.
///
/// No steps: nothing is left, the world is as wanted.
#[derive(Debug, Default)]
pub struct Steps {
    pub(crate) steps: Vec<Box<dyn Step>>,
    pub(crate) withheld: Vec<Withheld>,
    pub(crate) seen: Vec<Seen>,
}

/// Something that a plan does not do yet, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// For example "add-on grafana".
    pub what: String,
    /// For example "waits for a healthy data node".
    pub why: String,
}

/// A fact that a plan saw of the world. Facts that change from one `create` to the next show that
/// the world moves, even while the steps stay the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seen {
    /// For example "registered nodes".
    pub what: String,
    /// For example "0 of 3".
    pub value: String,
}

impl Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.value)
    }
}

impl Steps {
    /// No steps: the plan is solved.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a step after those already there.
    pub fn push(&mut self, step: impl Step + 'static) {
        self.steps.push(step.boxed());
    }

    /// Adds a step after those already there, and returns the whole.
    #[must_use]
    pub fn with(mut self, step: impl Step + 'static) -> Self {
        self.push(step);
        self
    }

    /// Adds all that `other` says, after what is already there. A plan made of parts asks each
    /// of them, and appends their answers.
    pub fn append(&mut self, mut other: Self) {
        self.steps.append(&mut other.steps);
        self.withheld.append(&mut other.withheld);
        self.seen.append(&mut other.seen);
    }

    /// Says that something is not done yet, and why.
    pub fn withhold(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.withheld.push(Withheld { what: what.into(), why: why.into() });
    }

    /// Says what the plan saw.
    pub fn saw(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.seen.push(Seen { what: what.into(), value: value.into() });
    }

    /// The steps, in the order in which they will run.
    pub fn steps(&self) -> &[Box<dyn Step>] {
        &self.steps
    }

    /// The steps one by one, in order: in the place of a step that is made of others, those.
    pub fn parts(&self) -> impl Iterator<Item = &dyn Step> {
        let mut waiting: Vec<&dyn Step> = self.steps.iter().rev().map(|step| &**step).collect();
        std::iter::from_fn(move || {
            loop {
                let step = waiting.pop()?;
                match step.parts() {
                    [] => return Some(step),
                    parts => waiting.extend(parts.iter().rev().map(|part| &**part)),
                }
            }
        })
    }

    /// What is withheld.
    pub fn withheld(&self) -> &[Withheld] {
        &self.withheld
    }

    /// What the plan saw.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// True if nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// True if there are steps, and each of them only [waits](Step::waits).
    pub fn only_wait(&self) -> bool {
        !self.is_empty() && self.parts().all(Step::waits)
    }

    /// How many steps there are, not counting what they may return in their turn.
    pub fn len(&self) -> usize {
        self.steps.len()
    }
}

impl From<Vec<Box<dyn Step>>> for Steps {
    fn from(steps: Vec<Box<dyn Step>>) -> Self {
        Self { steps, ..Self::default() }
    }
}

impl FromIterator<Box<dyn Step>> for Steps {
    fn from_iter<I: IntoIterator<Item = Box<dyn Step>>>(steps: I) -> Self {
        Self::from(steps.into_iter().collect::<Vec<_>>())
    }
}

impl Extend<Box<dyn Step>> for Steps {
    fn extend<I: IntoIterator<Item = Box<dyn Step>>>(&mut self, steps: I) {
        self.steps.extend(steps);
    }
}
