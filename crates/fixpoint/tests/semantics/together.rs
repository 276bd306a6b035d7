//! (4) Together runs steps at once, under a limit, and ends in order when one fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fixpoint::{
    BoxError, Chain, Context, Error, Event, Observer, Permanent, Scheduler, Step, Steps, Together,
    async_trait, testing::Recording,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::kit::{Diary, Do, Spans, failing, noop, noting, once, plan, solve, step};

/// Takes `seconds`, then notes its name and ends as `end` says.
fn slow(diary: &Diary, name: &'static str, seconds: u64, end: Result<(), &'static str>) -> Do {
    let diary = diary.clone();
    step(name, move |cx| {
        let diary = diary.clone();
        async move {
            cx.sleep(Duration::from_secs(seconds)).await?;
            diary.note(name);
            end.map(|()| Steps::none()).map_err(BoxError::from)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn it_takes_as_long_as_its_longest_step() {
    let diary = Diary::default();
    let noted = diary.clone();
    let asked = once(move || {
        let all = Steps::none()
            .with(slow(&noted, "c", 30, Ok(())))
            .with(slow(&noted, "a", 10, Ok(())))
            .with(slow(&noted, "b", 20, Ok(())));
        Steps::none().with(Together::new(all)).with(slow(&noted, "after", 1, Ok(())))
    });
    let began = Instant::now();
    assert_eq!(solve(&asked).await.unwrap().steps, 5);
    assert_eq!(began.elapsed().as_secs(), 31);
    assert_eq!(diary.lines(), ["a", "b", "c", "after"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for (limit, expected) in [(0, 1), (1, 1), (3, 3), (100, 10)] {
        most.store(0, Ordering::Relaxed);
        let mut all = Steps::none();
        for n in 0..10 {
            let (now, most) = (now.clone(), most.clone());
            all.push(step(n.to_string(), move |cx| {
                let (now, most) = (now.clone(), most.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    cx.sleep(Duration::from_secs(1)).await?;
                    now.fetch_sub(1, Ordering::Relaxed);
                    Ok(Steps::none())
                }
            }));
        }
        Together::new(all).limit(limit).run(&Context::new()).await.unwrap();
        assert_eq!(most.load(Ordering::Relaxed), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_of_one_it_is_a_sequence() {
    let diary = Diary::default();
    let all = Steps::none()
        .with(slow(&diary, "a", 3, Ok(())))
        .with(slow(&diary, "b", 1, Ok(())))
        .with(noting(&diary, "c", Steps::none));
    Together::new(all).limit(1).run(&Context::new()).await.unwrap();
    assert_eq!(diary.lines(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn inner_steps_run_in_their_branch_while_the_others_go_on() {
    let diary = Diary::default();
    let noted = diary.clone();
    let chain = step("create", move |cx| {
        let noted = noted.clone();
        async move {
            cx.sleep(Duration::from_secs(1)).await?;
            noted.note("create");
            Ok(Steps::none().with(slow(&noted, "register", 1, Ok(()))))
        }
    });
    let all = Steps::none().with(chain).with(slow(&diary, "other", 10, Ok(())));
    Together::new(all).run(&Context::new()).await.unwrap();
    assert_eq!(diary.lines(), ["create", "register", "other"]);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_those_at_work_finish_and_no_other_starts() {
    let diary = Diary::default();
    let noted = diary.clone();
    let asked = once(move || {
        let all = Steps::none()
            .with(slow(&noted, "good", 3, Ok(())))
            .with(slow(&noted, "bad", 1, Err("denied")))
            .with(slow(&noted, "worse", 2, Err("gone")))
            .with(slow(&noted, "never", 1, Ok(())));
        Steps::none().with(Together::new(all).named("create_network").limit(3))
    });
    let error = solve(&asked).await.unwrap_err();
    assert_eq!(diary.lines(), ["bad", "worse", "good"]);
    assert_eq!(
        Chain(&error).to_string(),
        "step create_network failed: 2 of 4 steps failed, also step worse failed: gone: \
         step bad failed: denied"
    );
}

#[tokio::test]
async fn a_permanent_error_is_still_known_as_one_from_outside() {
    let asked = once(|| {
        let denied = step("deny", |_| async { Err(Permanent::new("denied").into()) });
        Steps::none().with(Together::new(Steps::none().with(denied)))
    });
    assert!(Permanent::is(&solve(&asked).await.unwrap_err()));
    let asked = once(|| Steps::none().with(Together::new(Steps::none().with(failing("f", "no")))));
    assert!(!Permanent::is(&solve(&asked).await.unwrap_err()));
}

#[tokio::test(start_paused = true)]
async fn cancelling_wakes_all_and_starts_none() {
    let cancel = CancellationToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let diary = Diary::default();
    let noted = diary.clone();
    let asked = once(move || {
        let canceller = cancel.clone();
        let all = Steps::none()
            .with(slow(&noted, "asleep", 100, Ok(())))
            .with(step("cancel", move |_| {
                canceller.cancel();
                async { Ok(Steps::none()) }
            }))
            .with(noting(&noted, "never", Steps::none));
        Steps::none().with(Together::new(all).limit(2))
    });
    let began = Instant::now();
    let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    assert_eq!((began.elapsed(), diary.lines()), (Duration::ZERO, vec![]));
}

/// Keeps (step, parent's step) by name.
#[derive(Default)]
struct Parents(Mutex<Vec<(u64, Option<u64>, String)>>);

#[async_trait]
impl Observer for Parents {
    async fn on_event(&self, event: Event<'_>) -> Result<(), BoxError> {
        if let Event::StepStarted { id, parent, step } = event {
            self.0.lock().unwrap().push((id, parent, step.name().to_owned()));
        }
        Ok(())
    }
}

#[tokio::test]
async fn children_have_their_spans_events_and_parents_like_any_step() {
    let (spans, _guard) = Spans::watch();
    let parents = Arc::new(Parents::default());
    let cx = Context::new().with_observer(parents.clone());
    let asked = once(|| {
        let all = Steps::none()
            .with(step("a", |_| async { Ok(Steps::none().with(noop("a1"))) }))
            .with(noop("b"));
        Steps::none().with(Together::new(all).named("both")).with(noop("c"))
    });
    Scheduler::default().execute(&asked, &cx).await.unwrap();
    assert_eq!(spans.tree(), "create\nboth\n  a\n    a1\n  b\nc\ncreate\n");
    let started = parents.0.lock().unwrap();
    let name = |id| started.iter().find(|s| Some(s.0) == id).map_or("-", |s| &s.2);
    let pairs: Vec<_> = started.iter().map(|s| format!("{} in {}", s.2, name(s.1))).collect();
    assert_eq!(pairs, ["both in -", "a in both", "a1 in a", "b in both", "c in -"]);
}

#[tokio::test]
async fn a_panic_in_one_branch_fails_that_step_only() {
    let recording = Arc::new(Recording::default());
    let cx = Context::new().with_observer(recording.clone());
    let asked = once(|| {
        let all = Steps::none().with(step("boom", |_| async { panic!("ouch") })).with(noop("fine"));
        Steps::none().with(Together::new(all))
    });
    let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert!(Chain(&error).to_string().ends_with("step boom failed: panicked: ouch"), "{error}");
    assert!(recording.lines().contains(&"fine done".to_owned()));
}

#[tokio::test]
async fn the_steps_that_failed_are_told_and_not_what_held_them() {
    let asked = once(|| {
        let inner = Together::new(Steps::none().with(failing("a", "denied"))).named("inner");
        let all = Steps::none().with(inner).with(noop("b")).with(failing("c", "throttled"));
        Steps::none().with(Together::new(all))
    });
    let error = solve(&asked).await.unwrap_err();
    let told: Vec<_> = error.failed_steps().iter().map(|e| Chain(*e).to_string()).collect();
    assert_eq!(told, ["step a failed: denied", "step c failed: throttled"]);
    let error = solve(&once(|| Steps::none().with(failing("a", "denied")))).await.unwrap_err();
    assert_eq!(error.failed_steps().len(), 1);
    let error = solve(&plan(|_| Err("throttled".into()))).await.unwrap_err();
    assert!(error.failed_steps().is_empty());
}

#[test]
fn its_key_is_made_of_its_steps_keys() {
    let both = Together::new(Steps::none().with(noop("a")).with(noop("b"))).named("both");
    assert_eq!(both.key(), "Together(both [a, b])");
}

#[test]
fn what_was_planned_is_told_by_the_steps_that_run_at_once() {
    let pair = || Steps::none().with(noop("create_vpc")).with(noop("create_key_pair"));
    let answer = Steps::none()
        .with(noop("first"))
        .with(Together::new(pair().with(Together::new(pair()))))
        .with(noop("last"));
    let names: Vec<_> = answer.parts().map(Step::name).collect();
    assert_eq!(
        names,
        ["first", "create_vpc", "create_key_pair", "create_vpc", "create_key_pair", "last"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_circle_names_the_steps_that_run_at_once_and_not_what_holds_them() {
    let pair = || Steps::none().with(noop("register_node")).with(noop("create_rule"));
    let error = solve(&plan(|_| Ok(Steps::none().with(Together::new(pair()))))).await.unwrap_err();
    let Error::NotConverging { steps, .. } = &error else { panic!("{error:?}") };
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["register_node", "create_rule"]);
}
