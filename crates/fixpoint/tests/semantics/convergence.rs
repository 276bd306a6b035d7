//! (3) A plan that goes in circles is caught, and named; a world that moves is no false alarm.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use fixpoint::{BoxError, Chain, Context, Error, Pace, Scheduler, Step, Steps, async_trait};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{noop, plan, solve, step};

/// A plan whose answers go round, one step each.
async fn circle(names: &'static [&'static str]) -> Error {
    let round = plan(move |nth| {
        let mut steps = Steps::none().with(noop(names[(nth as usize - 1) % names.len()]));
        steps.saw("nodes", "0 of 3");
        Ok(steps)
    });
    solve(&round).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn the_same_answer_again_and_again_does_not_converge() {
    let error = circle(&["register"]).await;
    let Error::NotConverging { plan, steps, seen, repeats } = &error else { panic!("{error:?}") };
    assert_eq!((plan.as_str(), *repeats), ("test", 3));
    assert_eq!(steps, &[("register".to_owned(), "register".to_owned())]);
    assert_eq!(seen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["nodes: 0 of 3"]);
    assert_eq!(
        Chain(&error).to_string(),
        "plan test does not converge: register without effect, 3 times, still seeing nodes: 0 of 3"
    );
}

#[tokio::test(start_paused = true)]
async fn answers_that_alternate_do_not_converge_and_all_of_them_are_named() {
    for names in [&["grow", "shrink"][..], &["a", "b", "c"], &["1", "2", "3", "4", "5", "6"]] {
        let error = circle(names).await;
        let Error::NotConverging { steps, repeats, seen, .. } = error else { panic!("{error:?}") };
        let mut named: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
        named.sort_unstable();
        assert_eq!((named, repeats, seen.len()), (names.to_vec(), 3, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_circle_is_caught_however_straight_the_way_into_it() {
    let late = plan(|nth| {
        Ok(Steps::none().with(noop(if nth < 20 { nth.to_string() } else { "stuck".to_owned() })))
    });
    let error = solve(&late).await.unwrap_err();
    assert!(matches!(error, Error::NotConverging { ref steps, .. } if steps.len() == 1), "{error}");
}

#[tokio::test(start_paused = true)]
async fn how_often_is_settable_and_once_is_not_enough() {
    for (set, expected) in [(0, 2), (2, 2), (5, 5)] {
        let asked = Arc::new(AtomicU32::new(0));
        let counting = asked.clone();
        let stuck = plan(move |nth| {
            counting.store(nth, Ordering::Relaxed);
            Ok(Steps::none().with(noop("a")))
        });
        let scheduler = Scheduler::default().repeats(set);
        let error = scheduler.execute(&stuck, &Context::new()).await.unwrap_err();
        assert!(matches!(error, Error::NotConverging { .. }));
        assert_eq!(asked.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_steps_in_a_world_that_moves_are_no_false_alarm() {
    let counting = plan(|nth| {
        let mut steps = Steps::none();
        if nth <= 100 {
            steps.push(noop("add_one"));
        }
        steps.saw("count", nth.to_string());
        Ok(steps)
    });
    let began = Instant::now();
    assert_eq!(solve(&counting).await.unwrap().steps, 100);
    assert_eq!(began.elapsed(), Duration::ZERO, "nothing to pause for");
}

/// Tells its work from that of others of its name by its key alone.
struct CreateInstance(u32);

impl std::fmt::Debug for CreateInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "data-{}", self.0)
    }
}

#[async_trait]
impl Step for CreateInstance {
    fn name(&self) -> &str {
        "create_instance"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        Ok(Steps::none())
    }
}

#[tokio::test(start_paused = true)]
async fn steps_of_one_name_with_other_keys_are_other_work() {
    let rolling = plan(|nth| {
        let next = Steps::none().with(CreateInstance(nth));
        Ok(if nth <= 20 { next } else { Steps::none() })
    });
    assert_eq!(solve(&rolling).await.unwrap().steps, 20);
}

#[tokio::test(start_paused = true)]
async fn a_world_that_comes_back_to_where_it_was_and_goes_on_is_no_false_alarm() {
    let script = ["a", "b", "a", "b", "c", "a", "b", "a", "b", "d", "a", "a", "e"];
    let wandering = plan(move |nth| {
        Ok(script.get(nth as usize - 1).map_or_else(Steps::none, |n| Steps::none().with(noop(*n))))
    });
    assert_eq!(solve(&wandering).await.unwrap().steps, 13);
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_shows_late_is_given_time() {
    let began = Instant::now();
    let late = plan(move |_| {
        Ok(if began.elapsed() >= Duration::from_secs(4) {
            Steps::none()
        } else {
            Steps::none().with(noop("tag"))
        })
    });
    assert_eq!(solve(&late).await.unwrap().iterations, 3);
}

#[tokio::test(start_paused = true)]
async fn the_pauses_grow_and_are_in_world_time() {
    let cx = Context::new().with_pace(Pace::times(10.0));
    let began = Instant::now();
    let stuck = plan(|_| Ok(Steps::none().with(noop("a"))));
    let error = Scheduler::default().repeats(8).execute(&stuck, &cx).await.unwrap_err();
    assert!(matches!(error, Error::NotConverging { repeats: 8, .. }));
    // 5, 10, 20, 40, 60 and 60 s of the world, a tenth of that on the wall.
    assert_eq!(began.elapsed().as_millis() / 100, 195);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_a_pause_at_once() {
    let cancel = CancellationToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let stuck = plan(move |nth| {
        let cancel = cancel.clone();
        Ok(Steps::none().with(step("a", move |_| {
            if nth == 1 {
                let cancel = cancel.clone();
                tokio::spawn(async move {
                    Context::new().sleep(Duration::from_secs(1)).await.unwrap();
                    cancel.cancel();
                });
            }
            async { Ok(Steps::none()) }
        })))
    });
    let began = Instant::now();
    let error = Scheduler::default().execute(&stuck, &cx).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    assert_eq!(began.elapsed().as_secs(), 1);
}
