//! (5, 6) The first error ends the run; a panic is a failure, cancellation is none; nothing is
//! retried in here, and executing the plan again is always safe.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use fixpoint::{
    BoxError, Chain, Context, Error, Event, Observer, Permanent, Scheduler, Steps, async_trait,
    testing::Recording,
};
use tokio_util::sync::CancellationToken;

use crate::kit::{Diary, failing, noting, once, plan, solve, step};

#[tokio::test]
async fn the_first_error_ends_the_run_and_nothing_is_tried_again() {
    let diary = Diary::default();
    let noted = diary.clone();
    let asked = plan(move |_| {
        noted.note("create");
        let inner = noted.clone();
        Ok(Steps::none()
            .with(noting(&noted, "a", move || {
                let sibling = noting(&inner, "never", Steps::none);
                Steps::none().with(failing("b", "denied")).with(sibling)
            }))
            .with(noting(&noted, "never", Steps::none)))
    });
    let error = solve(&asked).await.unwrap_err();
    assert!(matches!(&error, Error::Step { name, key, .. } if name == "b" && key == "b"));
    assert_eq!(Chain(&error).to_string(), "step b failed: denied");
    assert_eq!(diary.lines(), ["create", "a"]);
}

#[tokio::test]
async fn a_create_that_fails_or_panics_ends_the_run() {
    let error = solve(&plan(|_| Err("throttled".into()))).await.unwrap_err();
    assert_eq!(Chain(&error).to_string(), "plan test could not be created: throttled");
    let error = solve(&plan(|nth| panic!("create {nth}"))).await.unwrap_err();
    assert_eq!(Chain(&error).to_string(), "plan test could not be created: panicked: create 1");
}

#[tokio::test]
async fn a_panic_is_a_failed_step_with_its_events() {
    for (expected, panic) in [
        ("static", (|| panic!("static")) as fn()),
        ("made of 2 parts", || panic!("made of {} parts", 2)),
        ("no message", || std::panic::panic_any(7)),
    ] {
        let recording = Arc::new(Recording::default());
        let cx = Context::new().with_observer(recording.clone());
        let asked = once(move || {
            Steps::none().with(step("boom", move |_| async move {
                panic();
                Ok(Steps::none())
            }))
        });
        let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
        assert_eq!(Chain(&error).to_string(), format!("step boom failed: panicked: {expected}"));
        assert_eq!(
            recording.lines().last().unwrap(),
            &format!("boom failed: panicked: {expected}")
        );
    }
}

#[tokio::test]
async fn an_error_of_a_step_in_a_cancelled_run_is_the_cancellation() {
    let cancel = CancellationToken::new();
    let recording = Arc::new(Recording::default());
    let cx = Context::new().with_cancel(cancel.clone()).with_observer(recording.clone());
    let asked = once(move || {
        let cancel = cancel.clone();
        Steps::none().with(step("a", move |_| {
            cancel.cancel();
            async { Err("connection closed".into()) }
        }))
    });
    let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    assert_eq!(recording.lines(), ["planned a", "a started", "a cancelled"]);
}

#[tokio::test]
async fn a_step_at_work_when_the_run_is_cancelled_finishes_and_nothing_follows() {
    let cancel = CancellationToken::new();
    let recording = Arc::new(Recording::default());
    let cx = Context::new().with_cancel(cancel.clone()).with_observer(recording.clone());
    let asked = once(move || {
        let cancel = cancel.clone();
        let at_work = step("a", move |_| {
            cancel.cancel();
            async { Ok(Steps::none().with(failing("never", ""))) }
        });
        Steps::none().with(at_work).with(failing("never", ""))
    });
    let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    assert_eq!(recording.lines(), ["planned a, never", "a started", "a done"]);
}

#[tokio::test]
async fn a_run_that_is_cancelled_before_it_starts_does_not_even_look() {
    let cancel = CancellationToken::new();
    cancel.cancel();
    let cx = Context::new().with_cancel(cancel);
    let diary = Diary::default();
    let noted = diary.clone();
    let asked = plan(move |_| {
        noted.note("looked");
        Ok(Steps::none())
    });
    let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled(_)), "{error}");
    assert!(diary.lines().is_empty());
}

#[tokio::test]
async fn a_permanent_error_is_known_through_all_that_is_around_it() {
    let permanent = || Permanent::because("cannot create vpc", "quota is used up");
    let asked = once(move || {
        Steps::none().with(step("a", move |_| async move { Err(permanent().into()) }))
    });
    let error = solve(&asked).await.unwrap_err();
    assert!(Permanent::is(&error));
    assert_eq!(Chain(&error).to_string(), "step a failed: cannot create vpc: quota is used up");
    let asked = once(|| Steps::none().with(failing("a", "throttled")));
    assert!(!Permanent::is(&solve(&asked).await.unwrap_err()));
}

#[tokio::test]
async fn executing_a_failed_plan_again_goes_on_from_what_the_world_is() {
    let (done, tries) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (world, tried) = (done.clone(), tries.clone());
    let asked = plan(move |_| {
        let mut steps = Steps::none();
        for n in world.load(Ordering::Relaxed)..5 {
            let (world, tried) = (world.clone(), tried.clone());
            steps.push(step(n.to_string(), move |_| {
                let lost = tried.fetch_add(1, Ordering::Relaxed) == 2;
                if !lost {
                    world.store(n + 1, Ordering::Relaxed);
                }
                async move { if lost { Err("lost".into()) } else { Ok(Steps::none()) } }
            }));
        }
        Ok(steps)
    });
    solve(&asked).await.unwrap_err();
    assert_eq!(solve(&asked).await.unwrap().steps, 3);
    assert_eq!((done.load(Ordering::Relaxed), tries.load(Ordering::Relaxed)), (5, 6));
}

/// Cannot write its nth event.
struct FullDisk(AtomicU32);

#[async_trait]
impl Observer for FullDisk {
    async fn on_event(&self, _: Event<'_>) -> Result<(), BoxError> {
        match self.0.fetch_sub(1, Ordering::Relaxed) {
            1 => Err("disk is full".into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_done() {
    // Planned, a started, a finished, b started: then b must not run.
    for (nth, expected) in [(1, &[][..]), (2, &[]), (3, &["a"]), (4, &["a"]), (5, &["a", "b"])] {
        let diary = Diary::default();
        let noted = diary.clone();
        let asked = once(move || {
            let b = noting(&noted, "b", Steps::none);
            Steps::none().with(noting(&noted, "a", Steps::none)).with(b)
        });
        let cx = Context::new().with_observer(Arc::new(FullDisk(AtomicU32::new(nth))));
        let error = Scheduler::default().execute(&asked, &cx).await.unwrap_err();
        assert_eq!(Chain(&error).to_string(), "the run could not be recorded: disk is full");
        assert_eq!(diary.lines(), expected);
    }
}

#[test]
fn a_chain_is_one_line_even_if_its_messages_are_not() {
    let error = Permanent::because("cannot read\n  the answer", "<xml>\n\n  <code/>\n</xml>\n");
    assert_eq!(Chain(&error).to_string(), "cannot read the answer: <xml> <code/> </xml>");
}
