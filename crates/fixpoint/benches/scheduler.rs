//! What the scheduler adds to a step that does nothing, when nobody records it.
//!
//! One run of 1,000 steps, divided by 1,000 by criterion's throughput: read the inverse of
//! "elem/s". Aim: under 0.3 µs a step.

#![allow(clippy::unwrap_used, reason = "without a runtime there is nothing to measure")]

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fixpoint::{BoxError, Context, Plan, Scheduler, Step, Steps, Together, async_trait};

const STEPS: usize = 1_000;

#[derive(Debug)]
struct Noop {
    node: usize,
}

#[async_trait]
impl Step for Noop {
    fn name(&self) -> &str {
        "noop"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        black_box(self.node);
        Ok(Steps::none())
    }
}

/// Returns inner steps one within the other, as deep as it is told.
#[derive(Debug)]
struct Nested {
    left: usize,
}

#[async_trait]
impl Step for Nested {
    fn name(&self) -> &str {
        "nested"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        Ok(match self.left {
            0 => Steps::none(),
            left => Steps::none().with(Nested { left: left - 1 }),
        })
    }
}

/// Answers once with what `steps` makes, then with nothing.
struct Once<F> {
    steps: F,
    done: AtomicBool,
}

#[async_trait]
impl<F: Fn() -> Steps + Send + Sync> Plan for Once<F> {
    fn name(&self) -> &str {
        "once"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        Ok(if self.done.swap(true, Ordering::Relaxed) { Steps::none() } else { (self.steps)() })
    }
}

fn noops() -> Steps {
    (0..STEPS).map(|node| Noop { node }.boxed()).collect()
}

fn scheduler(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut group = c.benchmark_group("scheduler");
    group.throughput(Throughput::Elements(STEPS as u64));
    let mut bench = |name: &str, steps: fn() -> Steps| {
        group.bench_function(name, |b| {
            b.to_async(&runtime).iter(|| async {
                let plan = Once { steps, done: AtomicBool::new(false) };
                let report = Scheduler::default().execute(&plan, &Context::new()).await;
                assert!(report.is_ok(), "{report:?}");
            });
        });
    };
    bench("in_order", noops);
    bench("together", || Steps::none().with(Together::new(noops())));
    bench("nested", || Steps::none().with(Nested { left: STEPS - 1 }));
    group.finish();
}

criterion_group!(benches, scheduler);
criterion_main!(benches);
