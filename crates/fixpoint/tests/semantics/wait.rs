//! (4) Waiting is a step: it says what for, what it saw, and how long; cancelling wakes it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use fixpoint::{
    Chain, Context, Error, Observed, Pace, Scheduler, Step, Steps, TimedOut, Together, Wait,
    testing::Recording,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{Spans, noop, once, subscribe};

/// Waits for `ready` looks, and notes when it looked.
fn wait(ready: usize, looks: &Arc<Mutex<Vec<u64>>>) -> Wait {
    subscribe();
    let (began, looks) = (Instant::now(), looks.clone());
    Wait::until("wait_for_nodes", "nodes of idg to be healthy", "3 of 3", move |_| {
        let mut looks = looks.lock().unwrap();
        looks.push(began.elapsed().as_secs());
        let seen = looks.len();
        async move {
            Ok(if seen >= ready {
                Observed::Ready
            } else {
                Observed::NotYet(format!("{} of 3", seen / 3))
            })
        }
    })
}

#[tokio::test(start_paused = true)]
async fn it_looks_at_once_and_then_ever_less_often() {
    let looks = Arc::default();
    let wait = wait(6, &looks).every(Duration::from_secs(4));
    let waiting = wait.backing_off_to(Duration::from_secs(10));
    assert!(waiting.run(&Context::new()).await.unwrap().is_empty());
    assert_eq!(*looks.lock().unwrap(), [0, 4, 10, 19, 29, 39]);
}

#[tokio::test(start_paused = true)]
async fn its_times_are_world_time() {
    let looks = Arc::default();
    let wait = wait(usize::MAX, &looks).every(Duration::from_secs(60));
    let cx = Context::new().with_pace(Pace::times(60.0));
    let began = Instant::now();
    wait.deadline(Duration::from_secs(600)).run(&cx).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn at_its_deadline_it_looks_a_last_time_and_fails_with_all_it_knows() {
    let looks = Arc::default();
    let wait = wait(usize::MAX, &looks).every(Duration::from_secs(40));
    let error = wait.deadline(Duration::from_secs(60)).run(&Context::new()).await.unwrap_err();
    assert_eq!(*looks.lock().unwrap(), [0, 40, 60]);
    let timed_out = error.downcast_ref::<TimedOut>().unwrap();
    assert_eq!((timed_out.seen.as_str(), timed_out.polls), ("1 of 3", 3));
    assert_eq!(
        error.to_string(),
        "waited 60s for nodes of idg to be healthy: wanted 3 of 3, last saw 1 of 3, looked 3 times"
    );
}

#[tokio::test(start_paused = true)]
async fn it_wakes_at_once_when_cancelled_asleep_or_looking() {
    let hanging =
        || Wait::until("hang", "an answer", "any", |_| async { std::future::pending().await });
    let sleeping = || wait(usize::MAX, &Arc::default()).every(Duration::from_secs(3600));
    for make in [&hanging as &(dyn Fn() -> Wait + Sync), &sleeping] {
        let cancel = CancellationToken::new();
        let cx = Context::new().with_cancel(cancel.clone());
        let asked = once(|| Steps::none().with(make()).with(noop("never")));
        let (scheduler, began) = (Scheduler::default(), Instant::now());
        let (result, ()) = tokio::join!(scheduler.execute(&asked, &cx), async {
            Context::new().sleep(Duration::from_secs(2)).await.unwrap();
            cancel.cancel();
        });
        assert!(matches!(result, Err(Error::Cancelled(_))), "{result:?}");
        assert_eq!(began.elapsed().as_secs(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_can_see_what_it_waits_for() {
    let (spans, _guard) = Spans::watch();
    let recording = Arc::new(Recording::default());
    let cx = Context::new().with_observer(recording.clone());
    let looks = Arc::default();
    let asked = once(|| Steps::none().with(wait(5, &looks)));
    Scheduler::default().execute(&asked, &cx).await.unwrap();

    let waiting = "waiting for nodes of idg to be healthy";
    assert_eq!(
        recording.lines(),
        [
            "planned wait_for_nodes",
            "wait_for_nodes started",
            &format!("{waiting}: 0 of 3, wanted 3 of 3"),
            &format!("{waiting}: 0 of 3, wanted 3 of 3"),
            &format!("{waiting}: 1 of 3, wanted 3 of 3"),
            &format!("{waiting}: 1 of 3, wanted 3 of 3"),
            "wait_for_nodes done",
            "planned nothing",
            "converged after 2 iterations and 1 steps",
        ]
    );
    let field = |name| spans.field("wait_for_nodes", name).unwrap();
    assert_eq!(field("fixpoint.wait.reason"), "nodes of idg to be healthy");
    assert_eq!(field("fixpoint.wait.wanted"), "3 of 3");
    assert_eq!(field("fixpoint.wait.seen"), "3 of 3");
    assert_eq!(field("fixpoint.wait.polls"), "5");
    let logged = spans.logs().iter().filter(|line| line.contains(waiting)).count();
    assert_eq!(logged, 2, "logs tell of changes only");
}

#[tokio::test]
async fn a_failing_look_fails_the_step() {
    let asked = once(|| {
        Steps::none().with(Wait::until("w", "x", "y", |_| async { Err("no route".into()) }))
    });
    let error = crate::kit::solve(&asked).await.unwrap_err();
    assert_eq!(Chain(&error).to_string(), "step w failed: no route");
}

#[test]
fn its_key_says_what_it_waits_for_and_nothing_else() {
    let wait = Wait::until("w", "nodes", "3 of 3", |_| async { Ok(Observed::Ready) });
    assert_eq!(wait.key(), "Wait(w: nodes to be 3 of 3)");
}

#[tokio::test]
async fn an_answer_that_only_waits_is_told_from_one_that_does_something() {
    let wait = || Wait::until("wait", "it", "there", |_| async { Ok(Observed::Ready) });
    let together = Together::new(Steps::none().with(wait()).with(wait()));
    assert!(!Steps::none().only_wait(), "nothing is left");
    assert!(Steps::none().with(wait()).with(together).only_wait());
    assert!(!Steps::none().with(wait()).with(noop("step")).only_wait());
}
