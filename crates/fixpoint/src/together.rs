//! [`Together`]: a step that runs steps at once.
//!
//! Not for order: what must come after something is returned by it, as an inner step. The
//! surprise: all its steps run in one task and nothing is spawned, so they share a thread and
//! end with the run, however it ends.

use std::fmt;

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::{BoxError, Chain, Context, Error, Step, Steps, run::run_tree};

/// As much as most plans have that does not depend on one another, and still within the bursts of
/// some tens of calls that a cloud lets one account make.
const LIMIT: usize = 16;

/// Runs steps at once, under a limit. The steps that one of them returns run after it, in their
/// branch, while the others go on. With a limit of one it is a sequence.
///
/// When a step fails, those that already run go on to their end, and no other starts.
///
/// ```
/// # use fixpoint::{BoxError, Context, Step, Steps, Together, async_trait};
/// # #[derive(Debug)]
/// # struct CreateSubnet(&'static str);
/// # #[async_trait]
/// # impl Step for CreateSubnet {
/// #     fn name(&self) -> &str { "create_subnet" }
/// #     async fn run(&self, _: &Context) -> Result<Steps, BoxError> { Ok(Steps::none()) }
/// # }
/// let subnets = Steps::none().with(CreateSubnet("a")).with(CreateSubnet("b"));
/// let step = Together::new(subnets).named("create_subnets").limit(4);
/// assert_eq!(step.key(), r#"Together(create_subnets [CreateSubnet("a"), CreateSubnet("b")])"#);
/// ```
pub struct Together {
    name: &'static str,
    limit: usize,
    steps: Steps,
}

/// Steps that ran together failed. The source is the failure that came first.
#[derive(Debug, thiserror::Error)]
#[error("{} of {of} steps failed{}", others.len() + 1, Others(others))]
pub struct TogetherFailed {
    /// How many steps there were.
    pub of: usize,
    /// The failure that came first.
    #[source]
    pub first: Box<Error>,
    /// The failures of steps that were already at work then.
    pub others: Vec<Error>,
}

struct Others<'a>(&'a [Error]);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, error) in self.0.iter().enumerate() {
            write!(f, "{}{}", if n == 0 { ", also " } else { "; " }, Chain(error))?;
        }
        Ok(())
    }
}

impl Together {
    /// Runs `steps` at once, at most 16 of them at a time.
    pub fn new(steps: Steps) -> Self {
        Self { name: "together", limit: LIMIT, steps }
    }

    /// Gives it a name in the operator's words, for example `create_network`.
    #[must_use]
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Sets how many run at a time; none is one.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }
}

impl fmt::Debug for Together {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Together({} ", self.name)?;
        f.debug_list().entries(self.steps.steps()).finish()?;
        f.write_str(")")
    }
}

#[async_trait]
impl Step for Together {
    fn name(&self) -> &str {
        self.name
    }

    fn parts(&self) -> &[Box<dyn Step>] {
        self.steps.steps()
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let branch = |step| {
            let mut cx = cx.clone();
            cx.place.nesting += 1;
            async move { run_tree(&mut cx, step).await }
        };
        let mut waiting = self.steps.steps().iter();
        let mut running = FuturesUnordered::new();
        let mut failures = Vec::new();
        loop {
            while failures.is_empty() && running.len() < self.limit {
                let Some(step) = waiting.next() else { break };
                running.push(branch(&**step));
            }
            match running.next().await {
                Some(Ok(())) => {}
                Some(Err(error)) => failures.push(error),
                None => break,
            }
        }
        // The run's own end says more than any step's failure.
        if let Some(own) = failures.iter().position(|e| !matches!(e, Error::Step { .. })) {
            return Err(failures.swap_remove(own).into());
        }
        let mut failures = failures.into_iter();
        match failures.next() {
            None => Ok(Steps::none()),
            Some(first) => Err(TogetherFailed {
                of: self.steps.len(),
                first: Box::new(first),
                others: failures.collect(),
            }
            .into()),
        }
    }
}
