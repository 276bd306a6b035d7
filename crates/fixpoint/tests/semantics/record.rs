//! (7) What is recorded: the planning report, each step's span with how it ended, and log lines
//! that tell the story.

use fixpoint::{Context, Scheduler, Steps};
use tokio_util::sync::CancellationToken;

use crate::kit::{Spans, failing, noop, once, plan, solve, step};

#[tokio::test]
async fn a_plan_says_what_it_chose_what_it_withholds_and_what_it_saw() {
    let (spans, _guard) = Spans::watch();
    let asked = once(|| {
        let mut steps = Steps::none().with(noop("create_subnet")).with(noop("create_gateway"));
        steps.withhold("add-on grafana", "waits for a healthy data node");
        steps.withhold("add-on kapacitor", "waits for grafana");
        steps.saw("registered nodes", "0 of 3");
        steps
    });
    solve(&asked).await.unwrap();
    let field = |name| spans.field("create", name).unwrap();
    assert_eq!(field("fixpoint.iteration"), "1");
    assert_eq!(field("fixpoint.steps"), "create_subnet, create_gateway");
    assert_eq!(
        field("fixpoint.withheld"),
        "add-on grafana: waits for a healthy data node; add-on kapacitor: waits for grafana"
    );
    assert_eq!(field("fixpoint.seen"), "registered nodes: 0 of 3");
    assert_eq!(
        spans.logs(),
        [
            "INFO planned 2 steps: create_subnet, create_gateway",
            "INFO withheld add-on grafana: waits for a healthy data node",
            "INFO withheld add-on kapacitor: waits for grafana",
            "INFO planned nothing: the world is as wanted",
            "INFO plan test is solved: 2 iterations, 2 steps (no span)",
        ]
    );
}

#[tokio::test]
async fn the_spans_are_the_tree_of_the_steps_under_whatever_span_the_run_is_in() {
    let (spans, _guard) = Spans::watch();
    let asked = once(|| {
        Steps::none()
            .with(step("a", |_| async {
                tracing::info!("at work");
                Ok(Steps::none().with(noop("a1")).with(noop("a2")))
            }))
            .with(noop("b"))
    });
    let run = tracing::info_span!("run tests");
    let solving = Scheduler::default();
    tracing::Instrument::instrument(solving.execute(&asked, &Context::new()), run).await.unwrap();
    assert_eq!(spans.tree(), "run tests\n  create\n  a\n    a1\n    a2\n  b\n  create\n");
    assert_eq!(spans.field("a", "fixpoint.step.key").unwrap(), "a");
    assert!(spans.field("a", "otel.status_code").is_none());
    assert!(spans.logs().contains(&"INFO at work".to_owned()));
    assert!(!spans.logs().iter().any(|line| line.contains("no span")));
}

#[tokio::test]
async fn a_failed_step_says_so_on_its_span_and_in_one_log_line() {
    let (spans, _guard) = Spans::watch();
    solve(&once(|| Steps::none().with(failing("a", "denied")))).await.unwrap_err();
    assert_eq!(spans.field("a", "otel.status_code").unwrap(), "ERROR");
    assert_eq!(spans.field("a", "otel.status_description").unwrap(), "denied");
    assert_eq!(spans.field("a", "error.type").unwrap(), "_OTHER");
    let errors: Vec<_> = spans.logs().into_iter().filter(|l| l.starts_with("ERROR")).collect();
    assert_eq!(errors, ["ERROR step a failed: denied"]);
}

#[tokio::test]
async fn a_panic_is_told_from_other_failures() {
    let (spans, _guard) = Spans::watch();
    let asked = once(|| Steps::none().with(step("a", |_| async { panic!("ouch") })));
    solve(&asked).await.unwrap_err();
    assert_eq!(spans.field("a", "error.type").unwrap(), "panic");
    assert_eq!(spans.field("a", "otel.status_description").unwrap(), "panicked: ouch");
}

#[tokio::test]
async fn a_failed_create_says_so_on_its_span() {
    let (spans, _guard) = Spans::watch();
    solve(&plan(|_| Err("throttled".into()))).await.unwrap_err();
    assert_eq!(spans.field("create", "otel.status_code").unwrap(), "ERROR");
    assert_eq!(spans.field("create", "otel.status_description").unwrap(), "throttled");
    assert_eq!(spans.logs(), ["ERROR plan test could not be created: throttled"]);
}

#[tokio::test]
async fn a_cancelled_step_is_no_failed_one() {
    let (spans, _guard) = Spans::watch();
    let cancel = CancellationToken::new();
    let cx = Context::new().with_cancel(cancel.clone());
    let asked = once(move || {
        let cancel = cancel.clone();
        Steps::none().with(step("a", move |cx| {
            cancel.cancel();
            async move { Ok(cx.sleep(std::time::Duration::MAX).await.map(|()| Steps::none())?) }
        }))
    });
    Scheduler::default().execute(&asked, &cx).await.unwrap_err();
    assert_eq!(spans.field("a", "fixpoint.step.cancelled").unwrap(), "true");
    assert!(spans.field("a", "otel.status_code").is_none());
    assert!(!spans.logs().iter().any(|line| line.starts_with("ERROR")));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_does_not_converge_is_told_in_the_log() {
    let (spans, _guard) = Spans::watch();
    solve(&plan(|_| Ok(Steps::none().with(noop("a"))))).await.unwrap_err();
    let logs: Vec<_> = spans.logs().into_iter().filter(|l| !l.starts_with("INFO")).collect();
    assert_eq!(
        logs,
        [
            "WARN the same answer came 2 times: it is run again after a pause of 5s (no span)",
            "ERROR plan test does not converge: a without effect, 3 times (no span)",
        ]
    );
}
