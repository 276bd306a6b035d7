//! Solved resources are looked at again: drift is shown, and mended within the budget.
//!
//! The toy's world is changed behind its back, as a cloud is by somebody at its console.

use std::{path::Path, sync::Arc, time::Duration};

use axum::http::StatusCode;
use fixpoint_client::{Resource, ResourcePage, Run, RunCause, RunState, Why};
use fixpoint_trace::testing;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::time;

use super::{Answer, Harness, PATIENCE, Setup, pause, restart::crash, toy::World};
use crate::{
    Verifying,
    records::{ResourceKey, key, put},
    store::{MemoryStore, Precondition},
};

const OFTEN: Duration = Duration::from_millis(60);

/// Looks often, and mends much.
fn often() -> Verifying {
    Verifying { every: Some(OFTEN), mends_per_day: 100, mends_at_once: 2 }
}

fn setup(name: &str, verifying: Verifying, world: &Arc<World>) -> Setup {
    Setup { verifying, ..Setup::new(name, Arc::clone(world)) }
}

fn server(verifying: Verifying) -> (Harness, Arc<MemoryStore>) {
    let runs = Arc::new(MemoryStore::new());
    let traces = Arc::new(fixpoint_trace::store::memory::MemoryStore::default());
    let setup = setup("first", verifying, &Arc::default());
    (Harness::whole(setup, Arc::clone(&runs) as _, traces), runs)
}

fn open(directory: &Path, verifying: Verifying, world: &Arc<World>) -> Harness {
    Harness::open_with(directory, setup(&format!("{:08x}", fastrand::u32(..)), verifying, world))
}

impl Harness {
    fn has_bricks(&self, toy: &str, bricks: u32) {
        self.world.state().bricks.insert(toy.to_owned(), bricks);
    }

    async fn verify(&self, toy: &str) -> Answer {
        self.post(&format!("/v1/toys/{toy}/verify"), json!({})).await
    }

    pub(super) async fn toy(&self, toy: &str) -> Resource {
        self.get(&format!("/v1/toys/{toy}")).await.json()
    }

    /// The toy, once `ready` says so.
    async fn toy_when(&self, toy: &str, ready: impl Fn(&Resource) -> bool) -> Resource {
        let mut last = None;
        let polling = async {
            loop {
                let toy = self.toy(toy).await;
                if ready(&toy) {
                    return toy;
                }
                last = Some(toy);
                pause().await;
            }
        };
        match time::timeout(PATIENCE, polling).await {
            Ok(toy) => toy,
            Err(_) => panic!("the toy did not get there: {last:#?}"),
        }
    }
}

fn drifts(toy: &Resource) -> bool {
    toy.verification.as_ref().is_some_and(|it| it.drift.is_some())
}

fn steps(toy: &Resource) -> Vec<&str> {
    let drift = toy.verification.as_ref().and_then(|it| it.drift.as_ref());
    drift.iter().flat_map(|drift| &drift.steps).map(|step| &*step.key).collect()
}

#[tokio::test]
async fn a_world_that_changes_behind_its_back_is_shown_by_the_next_look_until_it_changes_back() {
    let (server, _) = server(often());
    let run = server.make(json!({"name": "car", "bricks": 3})).await;
    let solved = server.toy("car").await.verification.unwrap();
    assert!(solved.verified_at >= run.ended_at.unwrap());
    let again = server.toy_when("car", |toy| {
        toy.verification.as_ref().is_some_and(|it| it.verified_at > solved.verified_at)
    });
    let trace_id = again.await.verification.unwrap().trace_id;
    assert_ne!(trace_id, run.trace_id);

    server.has_bricks("car", 1);
    let car = server.toy_when("car", drifts).await;
    assert_eq!(steps(&car), ["lay brick 1 of car", "lay brick 2 of car"]);
    assert_eq!(car.status, json!({"bricks": 1}), "what is seen is shown");
    let seen = car.verification.unwrap();
    let drift = seen.drift.unwrap();
    assert_eq!((drift.waits, drift.held), (false, None));
    assert_eq!(drift.seen[0].value, "1 of 3");
    assert!(seen.verified_at < drift.since && drift.since <= seen.looked_at);
    assert_eq!(car.run_id.as_ref(), Some(&run.id), "it is only shown");
    // It goes on, and began when it did.
    let later = server.toy_when("car", |toy| {
        toy.verification.as_ref().is_some_and(|it| it.looked_at > seen.looked_at)
    });
    let later = later.await.verification.unwrap();
    assert_eq!((later.drift.unwrap().since, later.verified_at), (drift.since, seen.verified_at));
    assert_eq!(server.world.bricks("car"), 1);

    server.has_bricks("car", 3);
    let car = server.toy_when("car", |toy| !drifts(toy)).await;
    assert!(car.verification.unwrap().verified_at > drift.since);
    assert_eq!(server.world.state().made, 3);
}

#[tokio::test]
async fn who_asks_gets_what_is_there_now_in_the_trace_of_the_request() {
    let (server, _) = server(Verifying::default());
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    let answer = server.verify("car").await;
    assert_eq!(answer.status, StatusCode::OK);
    let car: Resource = answer.json();
    assert!(!drifts(&car));
    server.has_bricks("car", 0);
    let answer = server.verify("car").await;
    assert_eq!(steps(&answer.json()), ["lay brick 0 of car", "lay brick 1 of car"]);
    let trace_id = answer.header("x-trace-id").to_owned();
    assert_eq!(answer.json::<Resource>().verification.unwrap().trace_id, trace_id);

    server.recorder.flush().await.unwrap();
    let trace = server.app.traces.whole().trace(trace_id.parse().unwrap()).await.unwrap().unwrap();
    insta::assert_snapshot!(
        testing::tree(&trace, &["fixpoint.resource", "fixpoint.verify.result", "fixpoint.steps"]),
        @r"
    POST /v1/toys/{name}/verify server
      verify toys {fixpoint.resource=toys/car, fixpoint.verify.result=drifted}
        create {fixpoint.steps=lay_brick, lay_brick}
    "
    );
    let look = trace.spans.iter().find(|span| span.name == "verify toys").unwrap();
    assert_eq!(look.links[0].to.span_id.to_string(), run.span_id);
    let said =
        trace.logs.iter().any(|line| line.body.as_str().unwrap().contains("toys/car has drifted"));
    assert!(said, "{:#?}", trace.logs);
}

#[tokio::test]
async fn only_what_is_solved_can_be_verified() {
    let (server, _) = server(Verifying::default());
    assert_eq!(server.verify("car").await.status, StatusCode::NOT_FOUND);

    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.run_when(&id, |run| run.state == RunState::Waiting).await;
    let answer = server.verify("car").await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains(&id), "{answer:?}");
    assert_eq!(server.toy("car").await.verification, None);

    server.post(&format!("/v1/runs/{id}/cancel"), json!({})).await;
    server.ended(&id).await;
    let answer = server.verify("car").await;
    assert_eq!(answer.value()["type"], "/problems/not-solved", "{answer:?}");
}

#[tokio::test]
async fn a_plan_that_would_only_wait_is_drift_that_waits_and_is_not_mended() {
    let (server, _) = server(Verifying::default());
    let run = server.make(json!({"name": "car", "mend": true})).await;
    server.world.state().no_paint = true;
    let car: Resource = server.verify("car").await.json();
    assert_eq!(car.run_id, Some(run.id));
    let drift = car.verification.unwrap().drift.unwrap();
    assert_eq!((drift.waits, &*drift.steps[0].name), (true, "wait_for_paint"));
    assert_eq!(drift.withheld[0].why, "waits for paint");
    assert!(drift.held.unwrap().contains("wait for the world"));
}

#[tokio::test]
async fn a_plan_that_cannot_look_leaves_what_was_known() {
    let (server, _) = server(Verifying::default());
    server.make(json!({"name": "car"})).await;
    server.has_bricks("car", 1);
    let before = server.verify("car").await.json::<Resource>().verification.unwrap();
    server.world.state().blind = true;
    let car: Resource = server.verify("car").await.json();
    let after = car.verification.unwrap();
    assert_eq!((&after.drift, after.verified_at), (&before.drift, before.verified_at));
    assert!(after.looked_at > before.looked_at);
    let error = after.error.unwrap();
    assert!(error.contains("the light is off") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn drift_is_mended_by_a_run_of_that_cause_if_the_resource_asks_for_it() {
    let (server, _) = server(often());
    let first = server.make(json!({"name": "car", "bricks": 3, "mend": true})).await;
    assert_eq!(first.cause, Some(RunCause::Request));
    assert!(server.toy("car").await.mend);
    server.has_bricks("car", 1);
    let car = server
        .toy_when("car", |toy| {
            toy.run_id.as_ref() != Some(&first.id) && toy.run_state == Some(RunState::Converged)
        })
        .await;
    assert_eq!(server.world.bricks("car"), 3);
    assert!(!drifts(&car), "a run that converged is a verification, too");
    let run: Run = server.get(&format!("/v1/runs/{}", car.run_id.unwrap())).await.json();
    assert_eq!((run.cause, run.steps), (Some(RunCause::Drift), 2));

    server.recorder.flush().await.unwrap();
    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    insta::assert_snapshot!(testing::tree(&trace, &["fixpoint.run.cause"]), @r"
    run toys {fixpoint.run.cause=drift}
      create
      lay_brick
      lay_brick
      create
    ");
    let look = trace.spans[0].links[0].to.trace_id;
    let look = server.app.traces.whole().trace(look).await.unwrap().unwrap();
    let line =
        look.logs.iter().find(|line| line.body.as_str().unwrap().contains("mends it")).unwrap();
    assert!(line.body.as_str().unwrap().contains(&run.id));
    let why: Why = server.get(&format!("/v1/runs/{}/why", run.id)).await.json();
    assert!(why.cause.is_none(), "{why:#?}");
    let metrics = server.get("/metrics").await.text;
    assert!(
        metrics.contains("fixpoint_mends_total{kind=\"toys\",outcome=\"begun\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_mend_that_fails_is_a_failed_run_that_why_explains() {
    let (server, _) = server(Verifying::default());
    server.make(json!({"name": "car", "mend": true})).await;
    server.has_bricks("car", 1);
    (server.world.state().failing, server.world.state().for_good) = (1, true);
    let run = server.ended(&server.verify("car").await.run_id()).await;
    assert_eq!((run.state, run.cause), (RunState::Failed, Some(RunCause::Drift)));
    server.recorder.flush().await.unwrap();
    let why: Why = server.get(&format!("/v1/runs/{}/why", run.id)).await.json();
    assert_eq!(why.cause.unwrap().step.as_deref(), Some("lay_brick"));
    assert_eq!(server.verify("car").await.value()["type"], "/problems/not-solved");
}

#[tokio::test]
async fn drift_beyond_the_budget_is_shown_with_the_reason() {
    let budget = Verifying { mends_per_day: 2, ..Verifying::default() };
    let (server, _) = server(budget);
    server.make(json!({"name": "car", "mend": true})).await;
    for _ in 0..2 {
        server.has_bricks("car", 1);
        let run = server.ended(&server.verify("car").await.run_id()).await;
        assert_eq!((run.state, run.cause), (RunState::Converged, Some(RunCause::Drift)));
    }
    server.has_bricks("car", 1);
    let answer = server.verify("car").await;
    assert_eq!(answer.status, StatusCode::OK);
    let held = answer.json::<Resource>().verification.unwrap().drift.unwrap().held.unwrap();
    assert!(held.starts_with("all 2 mends of a day are used up; the next may be at "), "{held}");
    assert_eq!(server.world.bricks("car"), 1);

    // People are not bound by it, and another resource has its own.
    let run = server.post("/v1/toys/car/runs", json!({})).await.run_id();
    assert_eq!(server.ended(&run).await.state, RunState::Converged);
    server.make(json!({"name": "bus", "mend": true})).await;
    server.has_bricks("bus", 1);
    assert_eq!(server.verify("bus").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn no_more_are_mended_at_once_than_may_be() {
    let budget = Verifying { mends_at_once: 1, ..Verifying::default() };
    let (server, _) = server(budget);
    for name in ["bus", "car"] {
        server.make(json!({"name": name, "mend": true})).await;
        server.has_bricks(name, 1);
    }
    server.world.state().stuck = true;
    let mend = server.verify("bus").await.run_id();
    server.run_when(&mend, |run| run.state == RunState::Running).await;
    let held = server.verify("car").await.json::<Resource>();
    let held = held.verification.unwrap().drift.unwrap().held.unwrap();
    assert_eq!(held, "another resource is being mended, and one at a time may be");
    server.world.state().stuck = false;
    assert_eq!(server.ended(&mend).await.state, RunState::Converged);
    assert_eq!(server.verify("car").await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn whether_drift_is_mended_is_settable_without_a_run() {
    let (server, _) = server(Verifying::default());
    let run = server.make(json!({"name": "car"})).await;
    let answer = server.patch("/v1/toys/car", json!({"mend": true})).await;
    assert_eq!(answer.status, StatusCode::OK);
    let car: Resource = answer.json();
    assert_eq!((car.mend, car.generation, car.run_id), (true, 1, Some(run.id)));
    assert_eq!(car.spec, json!({"bricks": 3}));
    assert!(server.toy("car").await.mend);
    // What a patch does not name stays; null is no.
    let run = server.patch("/v1/toys/car", json!({"bricks": 4})).await.run_id();
    server.ended(&run).await;
    assert!(server.toy("car").await.mend);
    server.patch("/v1/toys/car", json!({"mend": null})).await;
    assert!(!server.toy("car").await.mend);

    for answer in [
        server.patch("/v1/toys/car", json!({"mend": "often"})).await,
        server.post("/v1/toys", json!({"name": "bus", "mend": 1})).await,
    ] {
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.value()["errors"][0]["pointer"], "/mend");
    }
}

#[tokio::test]
async fn those_that_drifted_are_listed_and_counted() {
    let (server, _) = server(Verifying::default());
    for name in ["bike", "bus", "car", "ship"] {
        server.make(json!({"name": name, "bricks": 1})).await;
        if name != "bus" {
            server.has_bricks(name, 0);
        }
        server.verify(name).await;
    }
    // A run is at work on one: what was found before it holds no longer.
    server.world.state().no_paint = true;
    let run = server.post("/v1/toys/car/runs", json!({})).await.run_id();
    server.run_when(&run, |run| run.state == RunState::Waiting).await;
    let first: ResourcePage = server.get("/v1/toys?drifted=true&limit=1").await.json();
    assert_eq!(first.items[0].name, "bike");
    let token = first.next_page_token.unwrap();
    let second: ResourcePage =
        server.get(&format!("/v1/toys?drifted=true&page_token={token}")).await.json();
    let names: Vec<_> = second.items.iter().map(|toy| &*toy.name).collect();
    assert_eq!((names, second.next_page_token), (vec!["ship"], None));
    let all: ResourcePage = server.get("/v1/toys").await.json();
    assert_eq!(all.items.len(), 4);
    assert_eq!(server.get(&format!("/v1/toys?page_token={token}")).await.status, 400);
    let metrics = server.get("/metrics").await.text;
    for line in [
        "fixpoint_drifted_resources{kind=\"toys\"} 2",
        "fixpoint_verifications_total{kind=\"toys\",result=\"as_wanted\"} 1",
        "fixpoint_verifications_total{kind=\"toys\",result=\"drifted\"} 3",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_look_gives_way_at_once_to_a_run_that_any_server_was_asked_for() {
    for of_another in [false, true] {
        let (server, runs) = server(Verifying::default());
        let second = of_another.then(|| server.beside(runs));
        server.make(json!({"name": "car"})).await;
        server.world.state().slow_to_see = true;
        let looking = server.verify("car");
        let running = async {
            while server.world.state().looking == 0 {
                pause().await;
            }
            // The look does not end by itself, and the run must not have to wait for it.
            server.world.state().slow_to_see = false;
            let asked = second.as_ref().unwrap_or(&server);
            let run = asked.patch("/v1/toys/car", json!({"bricks": 5})).await.run_id();
            server.ended(&run).await
        };
        let (answer, run) = time::timeout(PATIENCE, async { tokio::join!(looking, running) })
            .await
            .expect("the look gives way");
        assert_eq!(run.state, RunState::Converged);
        assert_eq!(answer.status, StatusCode::OK, "the run is a verification: {answer:?}");
        assert!(!drifts(&answer.json()));
        assert_eq!(server.world.state().looking, 1, "the look that gave way is cut off for good");
        drop(second);
    }
}

#[tokio::test]
async fn a_restart_keeps_what_is_known_and_a_deletion_forgets_it() {
    let directory = tempfile::tempdir().unwrap();
    let world = Arc::default();
    let server = open(directory.path(), Verifying::default(), &world);
    server.make(json!({"name": "car"})).await;
    server.has_bricks("car", 2);
    let before = server.verify("car").await.json::<Resource>().verification;
    crash(server).await;
    let server = open(directory.path(), Verifying::default(), &world);
    let after = server.toy("car").await.verification;
    assert!(after.is_some());
    assert_eq!(after, before);

    let run = server.delete("/v1/toys/car").await.run_id();
    server.ended(&run).await;
    let key = ResourceKey::new("toys", "car");
    assert_eq!(server.app.records.whole().verification(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_dies_at_any_moment_of_looking_and_mending_leaves_nothing_odd() {
    let directory = tempfile::tempdir().unwrap();
    let world: Arc<World> = Arc::default();
    let server = open(directory.path(), often(), &world);
    server.make(json!({"name": "car", "bricks": 10, "mend": true})).await;
    crash(server).await;
    let mut taken = 0;
    for moment in 0..10 {
        let there = world.bricks("car");
        world.state().bricks.insert("car".to_owned(), there.saturating_sub(1));
        taken += u32::from(there > 0);
        let server = open(directory.path(), often(), &world);
        for _ in 0..moment * 2 {
            pause().await;
        }
        crash(server).await;
    }
    let server = open(directory.path(), often(), &world);
    server
        .toy_when("car", |toy| {
            world.bricks("car") == 10 && toy.verification.is_some() && !drifts(toy)
        })
        .await;
    assert_eq!(world.state().made, 10 + taken, "each brick that was taken is laid once");
    server.recorder.flush().await.unwrap();
    let runs = server.converged("toys/car").await;
    assert!(runs.iter().all(|run| run.state == RunState::Converged), "{runs:#?}");
    assert!(runs[..runs.len() - 1].iter().all(|run| run.cause == Some(RunCause::Drift)));
    for trace in server.app.traces.whole().search(&Default::default()).await.unwrap().items {
        let trace = server.app.traces.whole().trace(trace.trace_id).await.unwrap().unwrap();
        let roots = trace.spans.iter().filter(|span| span.parent.is_none()).count();
        assert_eq!(roots, 1, "{}", testing::tree(&trace, &[]));
    }
}

#[tokio::test]
async fn two_servers_look_once_in_each_period() {
    const PERIOD: Duration = Duration::from_secs(1);
    let (first, runs) = server(Verifying { every: Some(PERIOD), ..often() });
    let second = first.beside(Arc::clone(&runs) as _);
    let names: Vec<_> = (0..6).map(|n| format!("toy-{n}")).collect();
    for name in &names {
        first.make(json!({"name": name, "bricks": 1})).await;
    }
    for name in &names {
        let run = first.toy(name).await.verification.unwrap().looked_at;
        first.toy_when(name, |toy| toy.verification.as_ref().unwrap().looked_at > run).await;
    }
    let (before, began) = (first.world.state().looks.clone(), time::Instant::now());
    while began.elapsed() < PERIOD * 3 {
        pause().await;
    }
    let after = first.world.state().looks.clone();
    let most = began.elapsed().as_secs_f64().ceil() as u32 + 1;
    for name in &names {
        let looks = after[name] - before[name];
        assert!((1..=most).contains(&looks), "{name}: {looks} looks, {most} at most");
    }
    drop(second);
}

#[tokio::test]
async fn a_plan_that_would_act_when_it_is_asked_is_kept_from_it() {
    let (server, _) = server(Verifying::default());
    server.make(json!({"name": "car"})).await;
    server.world.state().meddling = true;
    let seen = server.verify("car").await.json::<Resource>().verification.unwrap();
    let kept = "a plan is only asked here, and must change nothing";
    assert!(seen.error.as_ref().is_some_and(|error| error.contains(kept)), "{seen:#?}");
    let preview = server.get("/v1/toys/car/plan").await;
    assert_eq!(preview.status, StatusCode::BAD_GATEWAY);
    assert!(preview.text.contains(kept), "{preview:?}");
    assert_eq!(server.world.state().made, 3);
}

#[tokio::test]
async fn pages_show_what_has_drifted_and_what_would_mend_it() {
    let (server, _) = server(Verifying { mends_per_day: 0, ..Verifying::default() });
    server.make(json!({"name": "car", "mend": true})).await;
    let tag = "<span class=\"tag drifted\" title=\"lay_brick ×2\">drifted</span>";
    assert!(!server.get("/").await.text.contains("tag drifted"));
    let page = server.get("/toys/car").await.text;
    assert!(page.contains("As wanted") && !page.contains("Mend now"), "{page}");
    server.has_bricks("car", 1);
    server.verify("car").await;
    assert!(server.get("/").await.text.contains(tag));
    let page = server.get("/toys/car").await.text;
    for part in [
        "<li><code>lay brick 1 of car</code></li>",
        "Not mended by itself: this server mends nothing by itself (--mends-per-day 0).",
        "data-api=\"/v1/toys/car/verify\"",
        "data-api=\"/v1/toys/car/runs\" data-method=\"POST\"><button type=\"submit\" class=\"primary\">Mend now",
        "data-value=\"true\" checked",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[tokio::test]
async fn a_look_of_the_future_is_none_of_now() {
    let (server, _) = server(often());
    server.make(json!({"name": "car"})).await;
    let before = server.toy_when("car", |toy| toy.status == json!({"bricks": 3})).await;
    server.verify("car").await;
    // The clock was an hour ahead when it was looked at last, and then set right.
    let key = ResourceKey::new("toys", "car");
    let mut stored = server.app.records.whole().verification(&key).await.unwrap().unwrap();
    let ahead = Timestamp::now() + SignedDuration::from_hours(1);
    (stored.record.shown.looked_at, stored.record.shown.verified_at) = (ahead, ahead);
    let write = put(key::verification(&key), &stored.record, Precondition::Any).unwrap();
    server.app.records.whole().commit(vec![write]).await.unwrap();
    server.has_bricks("car", 1);
    assert!(drifts(&server.verify("car").await.json()), "who asks is not told of the future");
    server.has_bricks("car", 3);
    server.toy_when("car", |toy| !drifts(toy)).await;
    assert_eq!(server.toy("car").await.run_id, before.run_id);
}
