//! (8) The test kit finds the mistakes it is for.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use fixpoint::{
    Context, Plan, Steps, Together,
    testing::{assert_fixpoint, kill_everywhere, run_steps_twice},
};

use crate::kit::{plan, step};

/// Two counters that are to be 1; how the second is raised is up to the test.
#[derive(Clone, Default)]
struct World(Arc<[AtomicU32; 2]>);

impl World {
    fn read(&self) -> [u32; 2] {
        [0, 1].map(|n| self.0[n].load(Ordering::Relaxed))
    }

    fn plan(&self, together: bool, raise: fn(&AtomicU32)) -> impl Plan + use<> {
        let world = self.clone();
        plan(move |_| {
            let mut steps = Steps::none();
            for n in 0..2 {
                if world.read()[n] == 0 {
                    let world = world.clone();
                    steps.push(step(n.to_string(), move |cx| {
                        let world = world.clone();
                        async move {
                            cx.sleep(std::time::Duration::from_millis(5)).await?;
                            raise(&world.0[n]);
                            Ok(Steps::none())
                        }
                    }));
                }
            }
            let all = |steps| Steps::none().with(Together::new(steps));
            Ok(if together && !steps.is_empty() { all(steps) } else { steps })
        })
    }
}

fn set(counter: &AtomicU32) {
    counter.store(1, Ordering::Relaxed);
}

fn add(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[tokio::test(start_paused = true)]
async fn a_good_plan_passes_everything() {
    let cx = Context::new();
    for together in [false, true] {
        let make = |world: &World| world.plan(together, set);
        assert_fixpoint(&make(&World::default()), &cx).await;
        run_steps_twice(&make(&World::default()), &cx).await;
        let kills = kill_everywhere(&cx, World::default, make, World::read).await;
        assert_eq!(kills, if together { 9 } else { 7 });
    }
}

#[tokio::test(start_paused = true)]
async fn running_steps_twice_shows_an_effect_that_adds_up() {
    let world = World::default();
    run_steps_twice(&world.plan(false, add), &Context::new()).await;
    assert_eq!(world.read(), [2, 2]);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "killed at event")]
async fn killing_everywhere_finds_a_plan_that_ends_elsewhere_after_a_crash() {
    let make = |world: &World| {
        let world = world.clone();
        plan(move |_| {
            let [done, tries] = world.read();
            world.0[1].store(tries + 1 - done, Ordering::Relaxed);
            let world = world.clone();
            Ok(if done == 1 {
                Steps::none()
            } else {
                Steps::none().with(step("a", move |_| {
                    set(&world.0[0]);
                    async { Ok(Steps::none()) }
                }))
            })
        })
    };
    kill_everywhere(&Context::new(), World::default, make, World::read).await;
}

#[tokio::test]
#[should_panic(expected = "plan test was solved, yet asks for [\"again\"]")]
async fn a_plan_that_asks_for_more_once_it_is_solved_is_caught() {
    let restless = plan(|nth| {
        let again = step("again", |_| async { Ok(Steps::none()) });
        Ok(if nth == 2 { Steps::none() } else { Steps::none().with(again) })
    });
    assert_fixpoint(&restless, &Context::new()).await;
}

#[tokio::test]
#[should_panic(expected = "plan test was not solved: step a failed: denied")]
async fn a_plan_that_cannot_be_solved_says_why() {
    let failing = plan(|_| Ok(Steps::none().with(crate::kit::failing("a", "denied"))));
    assert_fixpoint(&failing, &Context::new()).await;
}
