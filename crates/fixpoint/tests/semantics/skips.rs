//! (9) Steps that somebody decided are not to be run: left out, told of, and asked of the plan again.

use fixpoint::{Context, Error, Report, Scheduler, Steps, Together};

use crate::kit::{Diary, Spans, failing, noop, once, plan, step};

fn without(name: &'static str) -> Context {
    Context::new().with_skips(move |step| (step.name() == name).then(|| "for now".to_owned()))
}

#[tokio::test]
async fn a_skipped_step_is_not_run_and_the_run_converges_once_nothing_else_is_left() {
    let (spans, _guard) = Spans::watch();
    let diary = Diary::default();
    let noted = diary.clone();
    // It returns `a` as long as nobody runs it, as any plan does.
    let asked = plan(move |nth| {
        let noted = noted.clone();
        let b = step("b", move |_| {
            noted.note("b");
            async { Ok(Steps::none()) }
        });
        let steps = Steps::none().with(failing("a", "it would fail"));
        Ok(if nth == 1 { steps.with(b) } else { steps })
    });
    let report = Scheduler::default().execute(&asked, &without("a")).await.unwrap();
    assert_eq!(report, Report { iterations: 2, steps: 1, skipped: 1 });
    assert_eq!(diary.lines(), ["b"]);
    assert_eq!(spans.tree(), "create\na\nb\ncreate\na\n");
    assert_eq!(spans.field("a", "fixpoint.step.skipped").unwrap(), "for now");
    assert!(spans.logs().contains(&"WARN step a was skipped: for now".to_owned()));
}

#[tokio::test]
async fn a_plan_that_is_solved_all_the_same_is_solved() {
    let asked = once(|| Steps::none().with(failing("a", "it would fail")).with(noop("b")));
    let report = Scheduler::default().execute(&asked, &without("a")).await.unwrap();
    assert_eq!(report, Report { iterations: 2, steps: 1, skipped: 0 });
}

#[tokio::test]
async fn steps_among_others_and_inner_steps_are_skipped_as_well() {
    let together = || {
        let steps = Steps::none().with(failing("a", "it would fail")).with(noop("b"));
        Steps::none().with(Together::new(steps))
    };
    Scheduler::default().execute(&once(together), &without("a")).await.unwrap();
    let outer =
        || Steps::none().with(step("o", |_| async { Ok(Steps::none().with(failing("a", "no"))) }));
    Scheduler::default().execute(&once(outer), &without("a")).await.unwrap();
    let failed = Scheduler::default().execute(&once(outer), &without("b")).await;
    assert!(matches!(failed, Err(Error::Step { name, .. }) if name == "a"));
    // All that it is made of is skipped, so it leaves nothing.
    let only = || Steps::none().with(Together::new(Steps::none().with(noop("a"))));
    let report =
        Scheduler::default().execute(&plan(move |_| Ok(only())), &without("a")).await.unwrap();
    assert_eq!((report.iterations, report.skipped), (1, 1));
}
