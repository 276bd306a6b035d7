//! Reaches a number by random additions and subtractions: `cargo run --example count -- 42`.
//!
//! No step knows how far it will come, so no list of steps written beforehand could get there.
//! The plan looks, takes the step that leads nearer, and looks again.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use fixpoint::{BoxError, Context, Plan, Scheduler, Step, Steps, async_trait};

/// The goal, and the world in which to reach it.
struct ReachNumber {
    target: i64,
    world: Arc<AtomicI64>,
}

#[async_trait]
impl Plan for ReachNumber {
    fn name(&self) -> &str {
        "reach_number"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        let count = self.world.load(Ordering::Relaxed);
        let world = self.world.clone();
        let most = (self.target - count).abs();
        let mut steps = match count.cmp(&self.target) {
            std::cmp::Ordering::Less => Steps::none().with(Add { most, world }),
            std::cmp::Ordering::Greater => Steps::none().with(Subtract { most, world }),
            std::cmp::Ordering::Equal => Steps::none(),
        };
        // Shows that the world moves, even when the same step comes again.
        steps.saw("count", count.to_string());
        println!("at {count}, {} to go", self.target - count);
        Ok(steps)
    }
}

/// Adds a random number, which may be too much.
#[derive(Debug)]
struct Add {
    most: i64,
    world: Arc<AtomicI64>,
}

#[async_trait]
impl Step for Add {
    fn name(&self) -> &str {
        "add"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        self.world.fetch_add(fastrand::i64(1..=self.most + 1), Ordering::Relaxed);
        Ok(Steps::none())
    }
}

/// Subtracts a random number, which may be too much.
#[derive(Debug)]
struct Subtract {
    most: i64,
    world: Arc<AtomicI64>,
}

#[async_trait]
impl Step for Subtract {
    fn name(&self) -> &str {
        "subtract"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        self.world.fetch_sub(fastrand::i64(1..=self.most + 1), Ordering::Relaxed);
        Ok(Steps::none())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let target = match std::env::args().nth(1) {
        Some(number) => i64::from(number.parse::<i32>()?),
        None => 42,
    };
    let plan = ReachNumber { target, world: Arc::default() };
    let report = Scheduler::default().execute(&plan, &Context::new()).await?;
    println!("reached after {} iterations and {} steps", report.iterations, report.steps);
    Ok(())
}
