//! (2) A run is bounded, whatever plan and steps do; depth costs no call stack.

use std::time::Duration;

use fixpoint::{Chain, Context, Error, Plan, Scheduler, Steps, Together};

use crate::kit::{Diary, Do, Spans, failing, noop, noting, once, plan, solve, step};

async fn bound(scheduler: Scheduler, plan: &dyn Plan) -> String {
    match scheduler.execute(plan, &Context::new()).await {
        Err(Error::OverBound { plan, bound }) => {
            assert_eq!(plan, "test");
            bound
        }
        other => panic!("{other:?}"),
    }
}

/// A step that returns itself, `left` times over.
fn nested(left: usize, bottom: fn() -> Do) -> Do {
    step("nested", move |_| async move {
        Ok(Steps::none().with(if left == 0 { bottom() } else { nested(left - 1, bottom) }))
    })
}

#[tokio::test]
async fn iterations_are_bounded_even_while_the_world_moves() {
    let moving = plan(|nth| Ok(Steps::none().with(noop(nth.to_string()))));
    assert_eq!(bound(Scheduler::default().max_iterations(50), &moving).await, "50 iterations");
}

#[tokio::test]
async fn steps_are_bounded_whether_in_order_or_together() {
    let in_order = once(|| Steps::none().with(noop("a")).with(noop("b")).with(noop("c")));
    assert_eq!(bound(Scheduler::default().max_steps(2), &in_order).await, "2 steps");
    let together = once(|| {
        let all = Steps::none().with(noop("a")).with(noop("b")).with(noop("c"));
        Steps::none().with(Together::new(all))
    });
    assert_eq!(bound(Scheduler::default().max_steps(3), &together).await, "3 steps");
}

#[tokio::test]
async fn a_step_that_returns_itself_forever_is_stopped() {
    let deep = once(|| Steps::none().with(nested(usize::MAX, || noop("never"))));
    let stopped = bound(Scheduler::default(), &deep).await;
    assert_eq!(stopped, "1000 steps within one another");
}

#[tokio::test]
async fn a_bound_is_what_may_be_and_not_what_may_not() {
    let deep = || once(|| Steps::none().with(nested(1, || noop("third"))));
    let scheduler = Scheduler::default().max_iterations(2).max_steps(3).max_depth(3);
    assert!(scheduler.execute(&deep(), &Context::new()).await.is_ok());
    assert_eq!(bound(scheduler.max_iterations(1), &deep()).await, "1 iterations");
    assert_eq!(bound(scheduler.max_steps(2), &deep()).await, "2 steps");
    assert_eq!(bound(scheduler.max_depth(2), &deep()).await, "2 steps within one another");
}

#[tokio::test]
async fn ten_thousand_steps_within_one_another_do_not_overflow_the_stack() {
    let deep = once(|| Steps::none().with(nested(10_000, || noop("bottom"))));
    let scheduler = Scheduler::default().max_depth(20_000);
    assert_eq!(scheduler.execute(&deep, &Context::new()).await.unwrap().steps, 10_002);
}

#[tokio::test]
async fn neither_do_their_spans_when_the_innermost_fails() {
    let (spans, _guard) = Spans::watch();
    let deep = once(|| Steps::none().with(nested(10_000, || failing("bottom", "no"))));
    let scheduler = Scheduler::default().max_depth(20_000);
    let error = scheduler.execute(&deep, &Context::new()).await.unwrap_err();
    assert_eq!(Chain(&error).to_string(), "step bottom failed: no");
    assert_eq!(spans.len(), 1 + 10_002);
}

#[tokio::test]
async fn togethers_within_one_another_end_in_an_error_and_not_in_a_stack_overflow() {
    fn within(left: usize) -> Together {
        Together::new(match left {
            0 => Steps::none().with(noop("innermost")),
            _ => Steps::none().with(within(left - 1)),
        })
    }
    let ends = once(|| Steps::none().with(within(31)));
    assert_eq!(solve(&ends).await.unwrap().steps, 33);
    let too_deep = once(|| Steps::none().with(within(32)));
    let stopped = bound(Scheduler::default(), &too_deep).await;
    assert_eq!(stopped, "32 Togethers within one another");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_is_abandoned_when_the_wall_time_is_over() {
    let hanging = || step("hang", |_| async { std::future::pending().await });
    let scheduler = Scheduler::default().max_wall(Duration::from_secs(60));
    let alone = once(move || Steps::none().with(hanging()).with(noop("never")));
    assert_eq!(bound(scheduler, &alone).await, "60s of wall time");
    let together = once(move || {
        let all = Steps::none().with(hanging()).with(hanging());
        Steps::none().with(Together::new(all).limit(1))
    });
    assert_eq!(bound(scheduler, &together).await, "60s of wall time");
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_once_the_wall_time_is_over() {
    let diary = Diary::default();
    let noted = diary.clone();
    let late = plan(move |_| {
        noted.note("create");
        Ok(Steps::none()
            .with(step("slow", |_| async {
                tokio::time::advance(Duration::from_secs(61)).await;
                Ok(Steps::none())
            }))
            .with(noting(&noted, "never", Steps::none)))
    });
    let scheduler = Scheduler::default().max_wall(Duration::from_secs(60));
    assert_eq!(bound(scheduler, &late).await, "60s of wall time");
    assert_eq!(diary.lines(), ["create"]);
}

#[tokio::test(start_paused = true)]
async fn steps_that_never_come_to_an_end_are_stopped_when_the_wall_time_is_over() {
    let scheduler = Scheduler::default().max_wall(Duration::from_secs(60));
    let slow = plan(|nth| {
        Ok(Steps::none().with(step(nth.to_string(), |cx| async move {
            cx.sleep(Duration::from_secs(7)).await?;
            Ok(Steps::none())
        })))
    });
    assert_eq!(bound(scheduler, &slow).await, "60s of wall time");
}
