//! A crash loses nothing: what was asked for is done, in the trace in which it was begun.

use std::{collections::HashSet, sync::Arc};

use fixpoint_client::{RunPage, RunState};
use fixpoint_trace::{
    model::{Record, Span, SpanContext, SpanId, Status, TraceId},
    testing,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time;

use super::{Harness, PATIENCE, toy::World};
use crate::{
    records::{ResourceKey, key, put},
    store::Precondition,
};

#[tokio::test]
async fn a_run_that_a_crash_cut_off_goes_on_in_its_own_span_and_makes_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = Harness::open(directory.path(), Arc::clone(&world));
    world.state().bricks.insert("car".to_owned(), 1);
    world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let before = server.run_when(&id, |run| run.state == RunState::Waiting).await;
    // The run's record and the spans are written beside each other: its state may be there first.
    let stored = async || {
        let trace = server.app.traces.whole().trace(before.trace_id.parse().unwrap()).await;
        trace.unwrap().is_some_and(|it| it.spans.iter().any(|it| it.name == "wait_for_paint"))
    };
    let waiting = async {
        while !stored().await {
            super::pause().await;
        }
    };
    time::timeout(PATIENCE, waiting).await.expect("the span of the wait");
    crash(server).await;

    world.state().no_paint = false;
    let server = Harness::open(directory.path(), Arc::clone(&world));
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2));
    assert_eq!((&run.trace_id, &run.span_id), (&before.trace_id, &before.span_id));
    assert_eq!(world.state().made, 2, "one brick was there");
    let numbers: Vec<_> = run.plan_history.iter().map(|i| i.iteration).collect();
    assert_eq!(numbers, (1..=run.iterations).collect::<Vec<_>>(), "iterations go on counting");

    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    insta::assert_snapshot!(testing::tree(&trace, &["error.type", "fixpoint.run.result"]), @r"
    POST /v1/toys server
      run toys {fixpoint.run.result=converged}
        create
        wait_for_paint error: the server that worked on this died {error.type=fixpoint.worker_lost}
        take_over
        create
        lay_brick
        lay_brick
        create
    ");

    let roots = trace.spans.iter().filter(|span| span.parent.is_none()).count();
    assert_eq!(roots, 1);
    assert!(trace.spans.iter().all(|span| span.end.is_some()));
    let lost: Vec<_> =
        trace.spans.iter().filter(|s| matches!(s.status, Status::Error(_))).collect();
    let span = SpanContext {
        trace_id: run.trace_id.parse().unwrap(),
        span_id: run.span_id.parse().unwrap(),
    };
    assert!(lost.iter().all(|lost| lost.context() != span), "the run's own span is not lost");
}

#[tokio::test]
async fn crashes_at_any_moment_leave_one_trace_with_one_root_and_nothing_made_twice() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = Harness::open(directory.path(), Arc::clone(&world));
    let id = server.post("/v1/toys", json!({"name": "car", "bricks": 10})).await.run_id();
    crash(server).await;
    for moment in 0..8 {
        let server = Harness::open(directory.path(), Arc::clone(&world));
        for _ in 0..moment {
            super::pause().await;
        }
        crash(server).await;
    }
    let server = Harness::open(directory.path(), Arc::clone(&world));
    let run = server.ended(&id).await;
    assert_eq!((run.state, world.state().made), (RunState::Converged, 10));
    server.recorder.flush().await.unwrap();
    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    let ids: HashSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
    let roots = trace.spans.iter().filter(|span| span.parent.is_none()).count();
    assert_eq!(roots, 1);
    for span in &trace.spans {
        assert!(span.parent.is_none_or(|parent| ids.contains(&parent)), "an orphan: {span:#?}");
        assert!(span.end.is_some(), "still open: {span:#?}");
    }
    let runs = trace.spans.iter().filter(|span| span.name == "run toys").count();
    assert_eq!(runs, 1, "the run goes on in its span");
}

#[tokio::test]
async fn a_run_that_was_only_recorded_is_done_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let server = Harness::open(directory.path(), Arc::default());
    // Before the runner has had a look.
    server.runner.abort();
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    crash(server).await;
    let server = Harness::open(directory.path(), Arc::default());
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 1));
}

#[tokio::test]
async fn a_retry_that_was_due_happens_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = Harness::open(directory.path(), Arc::clone(&world));
    world.state().failing = 1;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let failed = server.ended(&id).await;
    assert_eq!(failed.state, RunState::Failed);
    crash(server).await;
    let server = Harness::open(directory.path(), world);
    let runs = server.converged("toys/car").await;
    assert_eq!(runs.len(), 2, "one failed, one converged");
    assert_eq!(runs[1].id, id);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_leaves_its_runs_to_be_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let mut server = Harness::open(directory.path(), Arc::clone(&world));
    world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.app.stopping.cancel();
    (&mut server.runner).await.unwrap();
    let run = server.get(&format!("/v1/runs/{id}")).await.value();
    assert_eq!(run["state"], "running", "it is not over");
    crash(server).await;
    world.state().no_paint = false;
    let server = Harness::open(directory.path(), world);
    assert_eq!(server.ended(&id).await.state, RunState::Converged);
}

/// Drops the server as it is, and waits until its stores let go of their files.
pub(super) async fn crash(server: Harness) {
    drop(server);
    for _ in 0..10 {
        super::pause().await;
    }
}

#[tokio::test]
async fn an_open_span_of_another_program_is_left_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Harness::open(directory.path(), Arc::default());
    let context = SpanContext { trace_id: TraceId::random(), span_id: SpanId::random() };
    let theirs = Span {
        resource: Arc::new([("service.name".to_owned(), "shop".into())].into()),
        ..Span::new(context, "checkout", 1)
    };
    server.app.traces.whole().append(&[Record::Span(theirs.clone())]).await.unwrap();
    crash(server).await;
    let server = Harness::open(directory.path(), Arc::default());
    // The server has taken over once it works.
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.ended(&id).await;
    let trace = server.app.traces.whole().trace(context.trace_id).await.unwrap().unwrap();
    assert_eq!(trace.spans, [theirs]);
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_put_off_what_is_to_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = Harness::open(directory.path(), Arc::clone(&world));
    world.state().failing = 1;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.converged("toys/car").await;
    // As if the run had failed by a clock that was an hour ahead.
    let key = ResourceKey::new("toys", "car");
    let mut stored = server.app.records.whole().resource(&key).await.unwrap().unwrap();
    stored.record.retry_at = Some(Timestamp::now() + SignedDuration::from_hours(1));
    let write = put(key::resource(&key), &stored.record, Precondition::Any).unwrap();
    server.app.records.whole().commit(vec![write]).await.unwrap();
    crash(server).await;
    let server = Harness::open(directory.path(), world);
    let retried = async {
        loop {
            let runs: RunPage = server.get("/v1/runs?resource=toys/car").await.json();
            if runs.items.len() > 2 {
                return;
            }
            super::pause().await;
        }
    };
    tokio::time::timeout(super::PATIENCE, retried).await.expect("it is tried again at once");
    assert_ne!(server.converged("toys/car").await[0].id, id);
}
