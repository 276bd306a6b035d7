//! What operators do to runs, what becomes of the runs, and what the trace tells of it.

use std::{sync::Arc, time::Instant};

use axum::http::{Method, StatusCode};
use fixpoint_client::{Problem, Resource, Role, Run, RunPage, RunState, Verb, Why};
use fixpoint_trace::{model::Span, testing};
use serde_json::{Value, json};

use super::{Answer, Harness, access::Guarded, pause, several::two, toy::World};

impl Harness {
    /// Acts on a run, with a reason.
    pub(super) async fn act(&self, run: &str, verb: Verb, reason: &str) -> Answer {
        self.post(&format!("/v1/runs/{run}/{verb}"), json!({"reason": reason})).await
    }

    /// Starts a toy that waits for paint, and is not given any.
    async fn waits(&self, name: &str) -> Run {
        self.world.state().no_paint = true;
        let id = self.post("/v1/toys", json!({"name": name})).await.run_id();
        self.run_when(&id, |run| run.state == RunState::Waiting).await
    }

    async fn paused(&self, id: &str) -> Run {
        self.run_when(id, |run| run.state == RunState::Paused).await
    }

    /// The spans of a run's trace.
    async fn spans(&self, run: &Run) -> Vec<Span> {
        self.recorder.flush().await.unwrap();
        self.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap().spans
    }
}

fn text<'a>(span: &'a Span, name: &str) -> &'a str {
    span.attributes.get(name).and_then(|value| value.as_str()).unwrap_or_default()
}

fn told(run: &Run) -> Vec<String> {
    run.acts.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_paused_run_survives_a_crash_and_goes_on_in_its_own_span_when_it_is_resumed() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = Harness::open(directory.path(), Arc::clone(&world));
    let before = server.waits("car").await;
    let answer = server.act(&before.id, Verb::Pause, "no paint today").await;
    assert_eq!(answer.run_id(), before.id);
    let request = answer.header("x-trace-id").to_owned();
    let run = server.paused(&before.id).await;
    assert_eq!((&*run.active, run.ended_at), (&[][..], None));
    assert_eq!(told(&run), ["paused by anyone: no paint today"]);
    assert_eq!(run.acts[0].trace_id.as_deref(), Some(&*request));
    let why: Why = server.get(&format!("/v1/runs/{}/why", run.id)).await.json();
    assert_eq!(why.sentence, "the run was paused by anyone: no paint today");
    drop(server);
    for _ in 0..10 {
        pause().await;
    }

    world.state().no_paint = false;
    let server = Harness::open(directory.path(), Arc::clone(&world));
    // Its resource has been looked at once a later one has been worked on.
    server.make(json!({"name": "later"})).await;
    assert_eq!(server.paused(&run.id).await.attempts, 1);
    assert_eq!(server.act(&run.id, Verb::Resume, "").await.run_id(), run.id);
    let run = server.ended(&run.id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2));
    assert_eq!((&run.trace_id, &run.span_id), (&before.trace_id, &before.span_id));
    assert_eq!(told(&run), ["paused by anyone: no paint today", "resumed by anyone"]);
    let numbers: Vec<_> = run.plan_history.iter().map(|i| i.iteration).collect();
    assert_eq!(numbers, (1..=run.iterations).collect::<Vec<_>>());

    server.recorder.flush().await.unwrap();
    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    let shown = ["fixpoint.run.result", "fixpoint.act.reason", "fixpoint.step.cancelled"];
    insta::assert_snapshot!(testing::tree(&trace, &shown), @r"
    POST /v1/toys server
      run toys {fixpoint.run.result=converged}
        create
        wait_for_paint {fixpoint.step.cancelled=true}
        pause {fixpoint.act.reason=no paint today}
        resume {fixpoint.act.reason=}
        create
        lay_brick
        lay_brick
        lay_brick
        create
    ");
    let pause = trace.spans.iter().find(|span| span.name == "pause").unwrap();
    assert_eq!(pause.links[0].to.trace_id.to_string(), request);
    let line = trace.logs.iter().find(|line| line.span_id == Some(pause.span_id)).unwrap();
    assert_eq!(line.body.to_text(), "paused by anyone: no paint today");
}

#[tokio::test]
async fn a_run_that_a_server_left_paused_is_resumed_on_another() {
    let (first, second, _runs) = two();
    let before = second.waits("car").await;
    first.act(&before.id, Verb::Pause, "").await;
    second.paused(&before.id).await;
    drop(second);
    first.world.state().no_paint = false;
    first.act(&before.id, Verb::Resume, "").await;
    let run = first.ended(&before.id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2));
    let spans = first.spans(&run).await;
    assert!(spans.iter().all(|span| span.name != "take_over"), "nobody drove it meanwhile");
    assert!(spans.iter().all(|span| span.end.is_some()));
}

#[tokio::test]
async fn a_run_that_queues_is_paused_without_its_turn_and_takes_no_room() {
    let server = Harness::new();
    for name in ["a", "b", "c", "d"] {
        server.waits(name).await;
    }
    let id = server.post("/v1/toys", json!({"name": "e"})).await.run_id();
    server.act(&id, Verb::Pause, "").await;
    assert_eq!(server.paused(&id).await.attempts, 0);
    let page: RunPage = server.get("/v1/runs?resource=toys/a").await.json();
    server.act(&page.items[0].id, Verb::Pause, "").await;
    let later = server.post("/v1/toys", json!({"name": "f"})).await.run_id();
    server.run_when(&later, |run| run.state == RunState::Waiting).await;
}

#[tokio::test]
async fn a_change_and_a_deletion_take_the_place_of_a_paused_run() {
    let server = Harness::new();
    let first = server.waits("car").await.id;
    server.act(&first, Verb::Pause, "").await;
    server.paused(&first).await;
    assert_eq!(server.patch("/v1/toys/car", json!({})).await.status, StatusCode::OK);
    assert_eq!(server.paused(&first).await.id, first, "no change is no reason to go on");

    let second = server.patch("/v1/toys/car", json!({"bricks": 4})).await.run_id();
    let run = server.ended(&first).await;
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(run.error.unwrap().message, "a newer run took its place");
    server.run_when(&second, |run| run.state == RunState::Waiting).await;
    server.act(&second, Verb::Pause, "").await;
    server.paused(&second).await;
    server.world.state().no_paint = false;
    let third = server.delete("/v1/toys/car").await.run_id();
    assert_eq!(server.ended(&third).await.state, RunState::Converged);
    assert_eq!(server.ended(&second).await.state, RunState::Cancelled);
}

#[tokio::test]
async fn a_paused_run_is_cancelled_at_once_and_the_trace_says_by_whom() {
    let server = Harness::new();
    let id = server.waits("car").await.id;
    server.act(&id, Verb::Pause, "").await;
    server.paused(&id).await;
    assert_eq!(server.act(&id, Verb::Cancel, "not wanted").await.status, StatusCode::ACCEPTED);
    let run = server.ended(&id).await;
    assert_eq!(run.state, RunState::Cancelled);
    let spans = server.spans(&run).await;
    let cancel = spans.iter().find(|span| span.name == "cancel").unwrap();
    assert_eq!(text(cancel, "fixpoint.act.by"), "anyone");
    let why: Why = server.get(&format!("/v1/runs/{id}/why")).await.json();
    assert!(why.sentence.ends_with("cancelled by anyone: not wanted"), "{}", why.sentence);
}

#[tokio::test]
async fn a_retry_that_is_due_later_happens_now_in_the_trace_of_who_asked() {
    let server = Harness::slow();
    server.world.state().failing = 1;
    let failed = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let failed = server.ended(&failed).await;
    assert!(failed.retry_at.is_some(), "it would be tried again in seconds");
    let answer = server.act(&failed.id, Verb::Retry, "a better brick").await;
    let run = server.ended(&answer.run_id()).await;
    assert_eq!(run.state, RunState::Converged);
    assert_ne!(run.id, failed.id);
    assert_eq!(told(&run), ["retried by anyone: a better brick"]);
    assert_eq!(run.trace_id, answer.header("x-trace-id"));
    let spans = server.spans(&run).await;
    let span = spans.iter().find(|span| span.name == "run toys").unwrap();
    assert_eq!(span.links[0].to.trace_id.to_string(), failed.trace_id);
    let page: RunPage = server.get("/v1/runs?resource=toys/car").await.json();
    assert_eq!(page.items.len(), 2, "the scheduled one is off");
}

#[tokio::test]
async fn a_run_that_waits_looks_at_the_world_at_once_when_it_is_replanned() {
    let server = Harness::slow();
    let id = server.waits("car").await.id;
    server.world.state().no_paint = false;
    let asked = Instant::now();
    assert_eq!(server.act(&id, Verb::Replan, "painted by hand").await.run_id(), id);
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 1));
    assert!(asked.elapsed().as_secs() < 9, "it would have looked again after ten seconds");
    let numbers: Vec<_> = run.plan_history.iter().map(|i| i.iteration).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_solved_resource_that_is_replanned_gets_a_new_run_in_the_trace_of_who_asked() {
    let server = Harness::new();
    let solved = server.make(json!({"name": "car"})).await;
    server.world.state().bricks.insert("car".to_owned(), 1);
    let answer = server.act(&solved.id, Verb::Replan, "a brick was stolen").await;
    let run = server.ended(&answer.run_id()).await;
    assert_eq!((run.state, run.steps), (RunState::Converged, 2));
    assert_eq!(told(&run), ["re-planned by anyone: a brick was stolen"]);
    let car: Resource = server.get("/v1/toys/car").await.json();
    assert_eq!(car.run_id, Some(run.id));
}

#[tokio::test]
async fn what_is_not_for_this_state_is_a_conflict_that_says_what_is() {
    let server = Harness::new();
    let refused = async |id: &str, verb: Verb| {
        let answer = server.act(id, verb, "").await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{verb}: {answer:#?}");
        let Problem { kind, hint, .. } = answer.json();
        format!("{verb} {} {}", kind.trim_start_matches("/problems/"), hint.expect("a hint"))
    };
    let mut said = vec!["waiting".to_owned()];
    let waiting = server.waits("car").await.id;
    for verb in [Verb::Resume, Verb::Retry] {
        said.push(refused(&waiting, verb).await);
    }
    said.push("paused".to_owned());
    server.act(&waiting, Verb::Pause, "").await;
    server.paused(&waiting).await;
    for verb in [Verb::Pause, Verb::Retry, Verb::Replan] {
        said.push(refused(&waiting, verb).await);
    }
    let again = server.post("/v1/toys/car/runs", json!({})).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:#?}");
    said.push("cancelled".to_owned());
    server.act(&waiting, Verb::Cancel, "").await;
    server.ended(&waiting).await;
    for verb in [Verb::Cancel, Verb::Pause, Verb::Resume, Verb::Replan] {
        said.push(refused(&waiting, verb).await);
    }
    said.push("converged".to_owned());
    server.world.state().no_paint = false;
    let solved = server.make(json!({"name": "ship"})).await.id;
    for verb in [Verb::Cancel, Verb::Pause, Verb::Resume, Verb::Retry] {
        said.push(refused(&solved, verb).await);
    }
    said.push("not the newest".to_owned());
    let newer = server.patch("/v1/toys/ship", json!({"bricks": 4})).await.run_id();
    server.ended(&newer).await;
    said.push(refused(&solved, Verb::Replan).await);
    let said = said.join("\n");
    insta::assert_snapshot!(said, @r"
    waiting
    resume not-now It goes on by itself.
    retry not-now To have it look at the world again at once, replan it.
    paused
    pause not-now Resume it: it looks at the world again then. Or cancel it.
    retry not-now Resume it: it looks at the world again then. Or cancel it.
    replan not-now Resume it: it looks at the world again then. Or cancel it.
    cancelled
    cancel ended Start a new run: retry it if it did not go well, replan it if it did.
    pause ended Start a new run: retry it if it did not go well, replan it if it did.
    resume ended Start a new run: retry it if it did not go well, replan it if it did.
    replan not-now To try again at once, retry it.
    converged
    cancel ended Start a new run: retry it if it did not go well, replan it if it did.
    pause ended Start a new run: retry it if it did not go well, replan it if it did.
    resume ended Start a new run: retry it if it did not go well, replan it if it did.
    retry not-now To have its plan look again, replan it.
    not the newest
    replan not-now Act on that one.
    ");
    assert_eq!(server.act("run-0", Verb::Pause, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reason_is_a_sentence_without_secrets_and_the_rest_is_a_mistake() {
    let server = Harness::new();
    let id = server.waits("car").await.id;
    let path = format!("/v1/runs/{id}/pause");
    for (body, pointer) in [
        (json!({"reason": "a".repeat(501)}), "/reason"),
        (json!({"reason": 7}), "/reason"),
        (json!({"why": "x"}), "/why"),
    ] {
        let answer = server.post(&path, body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:#?}");
        assert_eq!(answer.value()["errors"][0]["pointer"], pointer);
    }
    server.act(&id, Verb::Pause, "password=hunter2 leaked").await;
    let run = server.paused(&id).await;
    assert!(!told(&run)[0].contains("hunter2"), "{:?}", run.acts);
    assert!(!format!("{:?}", server.spans(&run).await).contains("hunter2"));
}

#[tokio::test]
async fn acts_want_an_operator_and_are_written_down_under_their_name() {
    let server = Guarded::new().await;
    let (viewer, operator) = (server.token(Role::Viewer).await, server.token(Role::Operator).await);
    server.harness.world.state().no_paint = true;
    let send = async |path: &str, token: &str, body: Value| {
        server.send(Method::POST, path, Some(token), Some(body)).await
    };
    let id = send("/v1/toys", &operator.secret, json!({"name": "car"})).await.run_id();
    for verb in Verb::ALL {
        let path = format!("/v1/runs/{id}/{verb}");
        let answer = send(&path, &viewer.secret, json!({"reason": "mine"})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{verb}: {answer:#?}");
    }
    let paused = send(&format!("/v1/runs/{id}/pause"), &operator.secret, json!({})).await;
    assert_eq!(paused.status, StatusCode::ACCEPTED, "{paused:#?}");
    let path = format!("/v1/runs/{id}");
    let run: Run = server.send(Method::GET, &path, Some(&viewer.secret), None).await.json();
    assert_eq!(told(&run), ["paused by a operator (operator)"]);
    assert_eq!(run.acts[0].by.token_id.as_deref(), Some(&*operator.token.id));
    let trace = server.trace_text(&run.trace_id).await;
    assert!(trace.contains("paused by a operator (operator)"), "{trace}");
}

#[tokio::test]
async fn the_pages_offer_what_can_be_done_and_tell_what_was() {
    let server = Harness::new();
    // Leaving out a step wants more of its form.
    let offered = async |page: &str| {
        let text = server.get(page).await.text;
        let verbs = Verb::ALL.into_iter().filter(|verb| *verb != Verb::Skip);
        let verbs = verbs.filter(|verb| text.contains(&format!("/{verb}\"")));
        verbs.map(Verb::as_str).collect::<Vec<_>>().join(" ")
    };
    let id = server.waits("car").await.id;
    for page in [format!("/runs/{id}"), "/toys/car".to_owned()] {
        assert_eq!(offered(&page).await, "cancel pause replan", "{page}");
    }
    server.act(&id, Verb::Pause, "for <b>lunch</b>").await;
    server.paused(&id).await;
    for page in [format!("/runs/{id}"), "/toys/car".to_owned()] {
        assert_eq!(offered(&page).await, "cancel resume", "{page}");
    }
    let page = server.get(&format!("/runs/{id}")).await.text;
    assert!(page.contains("paused by anyone: for &#60;b&#62;lunch"), "{page}");
    assert!(page.contains("state paused"), "{page}");
    assert!(page.contains("/skip\"") && page.contains("<option>wait_for_paint</option>"), "{page}");
    server.world.state().no_paint = false;
    let newer = server.patch("/v1/toys/car", json!({"bricks": 4})).await.run_id();
    server.ended(&newer).await;
    assert_eq!(offered(&format!("/runs/{id}")).await, "", "a newer run took its place");
    assert_eq!(offered(&format!("/runs/{newer}")).await, "replan");
    assert!(server.get("/runs?state=paused").await.text.contains("state=paused"));
}

impl Harness {
    async fn skip(&self, run: &str, step: &str, reason: &str) -> Answer {
        let body = json!({"step": step, "reason": reason});
        self.post(&format!("/v1/runs/{run}/skip"), body).await
    }
}

#[tokio::test]
async fn a_wait_that_is_skipped_ends_and_the_run_converges_and_says_without_what() {
    let server = Harness::slow();
    let id = server.waits("car").await.id;
    assert_eq!(server.skip(&id, "wait_for_paint", "it dries alone").await.run_id(), id);
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.steps), (RunState::Converged, 1));
    let skipped = &run.skipped[0];
    assert_eq!((&*skipped.name, &*skipped.why), ("wait_for_paint", "anyone: it dries alone"));
    assert_eq!(told(&run), ["skipped wait_for_paint by anyone: it dries alone"]);
    let why = server.why(&id).await;
    assert_eq!(why.sentence, "wait_for_paint was not run: skipped by anyone: it dries alone");
    let spans = server.spans(&run).await;
    let marked = spans.iter().filter(|span| !text(span, "fixpoint.step.skipped").is_empty());
    assert_eq!(marked.map(|span| &*span.name).collect::<Vec<_>>(), ["wait_for_paint"]);
    assert!(!run.is_example(), "others are not held against it");
    let car: Resource = server.get("/v1/toys/car").await.json();
    assert_eq!((car.generation, car.observed_generation), (1, 0), "it is not as wanted");
    for page in [format!("/runs/{id}"), "/runs".to_owned()] {
        assert!(server.get(&page).await.text.contains("1 skipped</span>"), "{page}");
    }

    // Looked at afresh, with the step.
    server.world.state().no_paint = false;
    let run = server.ended(&server.act(&id, Verb::Replan, "").await.run_id()).await;
    assert_eq!((run.state, run.steps, run.skipped.len()), (RunState::Converged, 3, 0));
    let car: Resource = server.get("/v1/toys/car").await.json();
    assert_eq!(car.observed_generation, 1);
}

#[tokio::test]
async fn a_step_that_failed_is_skipped_by_a_new_run_and_stays_skipped_in_its_retries() {
    let server = Harness::new();
    (server.world.state().failing, server.world.state().for_good) = (1, true);
    let failed =
        server.ended(&server.post("/v1/toys", json!({"name": "car"})).await.run_id()).await;
    assert_eq!(failed.state, RunState::Failed);
    // Another brick fails, once, in the run that leaves out the first.
    (server.world.state().failing, server.world.state().for_good) = (1, false);
    let answer = server.skip(&failed.id, "lay brick 0 of car", "on loan").await;
    let second = server.ended(&answer.run_id()).await;
    assert_eq!(second.state, RunState::Failed, "{second:#?}");
    assert_eq!(second.error.unwrap().step.unwrap().key, "lay brick 1 of car");
    let runs = server.converged("toys/car").await;
    assert_eq!(runs.len(), 3);
    let run = server.ended(&runs[0].id).await;
    assert_eq!(told(&run), ["skipped lay brick 0 of car by anyone: on loan"]);
    // Laying the other two leaves nothing that the plan still wants.
    assert_eq!((run.steps, run.skipped.len()), (2, 0));
}

#[tokio::test]
async fn a_skip_wants_a_reason_and_a_step_of_the_run() {
    let server = Harness::new();
    let id = server.waits("car").await.id;
    let path = format!("/v1/runs/{id}/skip");
    for (body, pointer) in [
        (json!({"step": "wait_for_paint"}), "/reason"),
        (json!({"step": "wait_for_paint", "reason": " "}), "/reason"),
        (json!({"reason": "x"}), "/step"),
        (json!({"step": "wait_for_glue", "reason": "x"}), "/step"),
    ] {
        let answer = server.post(&path, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:#?}");
        assert_eq!(answer.value()["errors"][0]["pointer"], pointer, "{body}");
    }
    let said = server.skip(&id, "wait_for_glue", "x").await.text;
    assert!(said.contains("no step wait_for_glue; it has wait_for_paint"), "{said}");
    // Nothing changes while a run is paused, but what is to come.
    server.act(&id, Verb::Pause, "").await;
    server.paused(&id).await;
    server.skip(&id, "wait_for_paint", "it dries alone").await;
    server.act(&id, Verb::Resume, "").await;
    let run = server.ended(&id).await;
    assert_eq!((run.state, run.skipped.len()), (RunState::Converged, 1));
    let again = server.skip(&id, "wait_for_paint", "x").await;
    assert_eq!(again.status, StatusCode::CONFLICT, "{again:#?}");
}

#[tokio::test]
async fn a_resource_whose_termination_left_something_out_stays() {
    let server = Harness::new();
    server.make(json!({"name": "car", "bricks": 1})).await;
    (server.world.state().failing, server.world.state().for_good) = (1, true);
    let failed = server.ended(&server.delete("/v1/toys/car").await.run_id()).await;
    assert_eq!(failed.state, RunState::Failed);
    let answer = server.skip(&failed.id, "take_brick", "glued to the floor").await;
    let run = server.ended(&answer.run_id()).await;
    assert_eq!((run.state, run.skipped.len()), (RunState::Converged, 1));
    let car: Resource = server.get("/v1/toys/car").await.json();
    assert!(car.deleting, "what is left over still has an owner");
    let run = server.ended(&server.act(&run.id, Verb::Replan, "").await.run_id()).await;
    assert_eq!(run.state, RunState::Converged);
    assert_eq!(server.get("/v1/toys/car").await.status, StatusCode::NOT_FOUND);
}
