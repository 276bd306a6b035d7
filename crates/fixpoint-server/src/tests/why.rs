//! Why a run went as it did: from the run alone, and beside good ones.

use fixpoint_client::{CauseKind, Conclusion, RunState, Why};
use fixpoint_trace::{
    model::{Span, SpanContext, SpanId, Status, TraceId},
    semconv,
};
use serde_json::json;
use tokio::time;

use super::{Harness, PATIENCE, pause};
use crate::{
    records::{key, put},
    store::{Precondition, Write},
};

impl Harness {
    pub(super) async fn why(&self, run: &str) -> Why {
        self.recorder.flush().await.unwrap();
        self.why_at(&format!("/v1/runs/{run}/why")).await
    }

    /// The answer, once all good ones have been read: a busy machine may not get that far at once.
    async fn why_at(&self, path: &str) -> Why {
        let asking = async {
            loop {
                let why: Why = self.get(path).await.json();
                if !why.unknown.iter().any(|text| text.contains("ask again in a moment")) {
                    return why;
                }
                pause().await;
            }
        };
        time::timeout(PATIENCE, asking).await.expect("good ones are read in time")
    }

    pub(super) async fn good_toys(&self, count: usize) {
        for number in 0..count {
            self.make(json!({"name": format!("good-{number}"), "bricks": 2})).await;
        }
    }
}

#[tokio::test]
async fn a_failed_step_is_named_without_any_good_run() {
    let server = Harness::new();
    server.world.state().failing = 1;
    server.world.state().for_good = true;
    let run = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.ended(&run).await;
    let why = server.why(&run).await;
    assert_eq!(why.conclusion, Conclusion::Cause);
    let cause = why.cause.unwrap();
    assert_eq!(cause.kind, CauseKind::Failed);
    assert_eq!(cause.step.as_deref(), Some("lay_brick"));
    assert!(cause.sentence.starts_with("lay_brick failed"), "{}", cause.sentence);
    assert!(cause.span_id.is_some());
    assert_eq!(why.baseline.good, 0);
    assert!(why.unknown[0].contains("no good run of build_toy"), "{:?}", why.unknown);
}

#[tokio::test]
async fn a_step_without_effect_is_named_with_what_the_plan_kept_seeing() {
    let server = Harness::new();
    server.good_toys(6).await;
    server.world.state().swallowed = true;
    let run = server.post("/v1/toys", json!({"name": "car", "bricks": 2})).await.run_id();
    server.ended(&run).await;
    let why = server.why(&run).await;
    let cause = why.cause.unwrap();
    assert_eq!(cause.kind, CauseKind::WithoutEffect);
    assert_eq!(cause.operation, "lay_brick");
    assert!(cause.sentence.contains("kept seeing bricks: 0 of 2"), "{}", cause.sentence);
    assert!(cause.evidence.iter().any(|e| e.text.contains("nothing that it sees has changed")));
    assert_eq!((why.baseline.good, why.baseline.of.as_str()), (6, "build_toy"));
    assert_eq!(why.baseline.last.unwrap().resource.as_deref(), Some("toys/good-5"));
}

#[tokio::test]
async fn how_a_run_ended_is_no_news_beside_its_cause() {
    let server = Harness::new();
    server.good_toys(40).await;
    server.world.state().swallowed = true;
    let run = server.post("/v1/toys", json!({"name": "car", "bricks": 2})).await.run_id();
    server.ended(&run).await;
    let why = server.why(&run).await;
    let cause = why.cause.as_ref().unwrap();
    assert_eq!(cause.operation, "lay_brick", "{}", cause.sentence);
    let mut told: Vec<_> = why.others.iter().chain(&cause.consequences).collect();
    while let Some(other) = told.pop() {
        assert!(!other.sentence.contains("run toys"), "{}", other.sentence);
        told.extend(&other.consequences);
    }
}

#[tokio::test]
async fn a_run_that_waits_is_answered_while_it_goes_on() {
    let server = Harness::new();
    server.world.state().no_paint = true;
    let run = server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    server.run_when(&run, |run| run.state == RunState::Waiting).await;
    let why = server.why(&run).await;
    let cause = why.cause.unwrap();
    assert_eq!(cause.kind, CauseKind::NotMoving);
    assert!(cause.sentence.contains("paint"), "{}", cause.sentence);
    assert!(why.unknown.iter().any(|text| text.contains("goes on")), "{:?}", why.unknown);
}

#[tokio::test]
async fn of_a_run_that_went_as_the_others_nothing_differs() {
    let server = Harness::new();
    server.good_toys(8).await;
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    let why = server.why(&run.id).await;
    assert_eq!(why.conclusion, Conclusion::NothingDiffers, "{}", why.sentence);
    assert_eq!(why.sentence, "nothing differs from 8 good runs");
    assert_eq!(why.cause, None);
    assert!(why.others.is_empty(), "{:?}", why.others);
}

#[tokio::test]
async fn the_run_itself_is_not_among_the_good_ones() {
    let server = Harness::new();
    server.good_toys(2).await;
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    // Asked of another run first, so that this one is in the profile that is kept.
    let other = server.make(json!({"name": "train", "bricks": 2})).await;
    assert_eq!(server.why(&other.id).await.baseline.good, 3);
    let why = server.why(&run.id).await;
    assert_eq!(why.baseline.good, 3);
    assert_ne!(why.baseline.last.unwrap().run_id.unwrap(), run.id);
}

#[tokio::test]
async fn a_run_that_was_asked_for_earlier_and_converged_later_counts_as_well() {
    let server = Harness::new();
    server.good_toys(2).await;
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    assert_eq!(server.why(&run.id).await.baseline.good, 2);
    // What a run that took long leaves behind: its id is older than those that are known.
    let stored = server.app.records.whole().run(&run.id).await.unwrap().unwrap();
    let mut late = stored.record;
    late.run.id = "run-0".to_owned();
    let mark = Write::put(key::ended(late.run.state, "run-0"), "", Precondition::Absent);
    let write = put(key::run("run-0"), &late, Precondition::Absent).unwrap();
    server.app.records.whole().commit(vec![write, mark]).await.unwrap();
    assert_eq!(server.why(&run.id).await.baseline.good, 3);
}

#[tokio::test]
async fn a_run_that_is_in_the_middle_of_a_step_as_others_were_is_not_unusual() {
    let server = Harness::new();
    server.good_toys(8).await;
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    let stored = server.app.records.whole().run(&run.id).await.unwrap().unwrap();
    // The same run, as it was when its last brick was being laid.
    let mut under_way = stored.record;
    let trace_id = TraceId::random();
    server.recorder.flush().await.unwrap();
    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    let last = trace.spans.iter().rposition(|span| span.name == "lay_brick").unwrap();
    let mut spans = trace.spans[..=last].to_vec();
    spans.iter_mut().for_each(|span| span.trace_id = trace_id);
    for span in &mut spans {
        if span.name != "create" && span.span_id != trace.spans[last - 1].span_id {
            span.end = None;
        }
    }
    server.keep(spans).await;
    under_way.run.id = "run-9".to_owned();
    under_way.run.trace_id = trace_id.to_string();
    under_way.run.state = RunState::Running;
    under_way.run.ended_at = None;
    let write = put(key::run("run-9"), &under_way, Precondition::Absent).unwrap();
    server.app.records.whole().commit(vec![write]).await.unwrap();
    let why = server.why("run-9").await;
    assert_eq!(why.conclusion, Conclusion::NothingDiffers, "{}", why.sentence);
}

#[tokio::test]
async fn a_foreign_trace_is_held_against_those_with_the_same_root() {
    let server = Harness::new();
    let mut bad = None;
    for number in 1..=30_u64 {
        let is_bad = number == 30;
        bad = Some(shop(&server, number, is_bad, Status::Ok).await);
    }
    let bad = bad.unwrap();
    let why = server.why_at(&format!("/v1/traces/{bad}/why")).await;
    let cause = why.cause.unwrap();
    assert_eq!((cause.kind, cause.operation.as_str()), (CauseKind::Missing, "charge card"));
    assert_eq!(why.baseline.of, "shop checkout");
    assert_eq!(why.baseline.good, 29);
}

/// A trace of a shop, in which a call may be missing and whose root may have failed.
async fn shop(server: &Harness, number: u64, is_bad: bool, end: Status) -> TraceId {
    let trace_id = TraceId::from_bytes(u128::from(number).to_be_bytes()).unwrap();
    let resource = [(semconv::SERVICE_NAME.to_owned(), "shop".into())];
    let start = number * 1_000_000_000;
    let span = |id: u64, name: &str, from: u64, to: u64| Span {
        parent: (id > 1).then(|| SpanId::from_bytes(1_u64.to_be_bytes()).unwrap()),
        end: Some(start + to),
        status: Status::Ok,
        resource: std::sync::Arc::new(resource.clone().into_iter().collect()),
        ..Span::new(
            SpanContext { trace_id, span_id: SpanId::from_bytes(id.to_be_bytes()).unwrap() },
            name,
            start + from,
        )
    };
    let mut spans = vec![
        span(1, "checkout", 0, 9_000_000),
        span(2, "read cart", 1_000_000, 2_000_000),
        span(3, "charge card", 3_000_000, 6_000_000),
        span(4, "send mail", 7_000_000, 8_000_000),
    ];
    spans[0].status = end;
    if is_bad {
        spans.remove(2);
    }
    server.keep(spans).await;
    trace_id
}

#[tokio::test]
async fn what_is_not_there_cannot_be_explained() {
    let server = Harness::new();
    assert_eq!(server.get("/v1/runs/none/why").await.status, 404);
    assert_eq!(server.get("/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/why").await.status, 404);
    assert_eq!(server.get("/v1/traces/short/why").await.status, 400);
    assert_eq!(server.get("/runs/none/why").await.status, 404);
    assert_eq!(server.get("/traces/4bf92f3577b34da6a3ce929d0e0e4736/why").await.status, 404);
}

#[tokio::test]
async fn the_page_of_a_failed_run_begins_with_why() {
    let server = Harness::new();
    server.good_toys(2).await;
    server.world.state().swallowed = true;
    let run = server.post("/v1/toys", json!({"name": "car", "bricks": 2})).await.run_id();
    server.ended(&run).await;
    server.recorder.flush().await.unwrap();
    let page = server.get(&format!("/runs/{run}")).await.text;
    let place = format!("data-why=\"/runs/{run}/why\"");
    assert!(page.contains(&place) && page.contains("What went wrong first"), "{page}");
    let panel = server.get(&format!("/runs/{run}/why")).await.text;
    assert!(panel.contains("class=\"why-panel sure\""), "{panel}");
    assert!(panel.contains("lay_brick ran"), "{panel}");
    assert!(panel.contains("/diff/"), "{panel}");
    let trace = server.get(&format!("/v1/runs/{run}")).await.value()["trace_id"].clone();
    let page = server.get(&format!("/traces/{}", trace.as_str().unwrap())).await.text;
    assert!(page.contains("What went wrong first"), "{page}");
}

#[tokio::test]
async fn the_page_of_a_run_that_went_well_only_offers_to_ask_why() {
    let server = Harness::new();
    let run = server.make(json!({"name": "car", "bricks": 2})).await;
    for address in [format!("/runs/{}", run.id), format!("/traces/{}", run.trace_id)] {
        let page = server.get(&address).await.text;
        assert!(!page.contains("What went wrong first"), "{page}");
        let ask = format!("<a class=\"tool ask-why\" href=\"{address}/why\">");
        assert!(page.contains(&ask), "{page}");
        assert_eq!(server.get(&format!("{address}/why")).await.status, 200);
    }
}

#[tokio::test]
async fn the_page_of_a_foreign_trace_begins_with_why_if_its_root_failed() {
    let server = Harness::new();
    for number in 1..=20 {
        shop(&server, number, false, Status::Ok).await;
    }
    for (number, end, at_once) in
        [(21, Status::Error("no money".into()), true), (22, Status::Ok, false)]
    {
        let trace = shop(&server, number, true, end).await;
        let page = server.get(&format!("/traces/{trace}")).await.text;
        assert_eq!(page.contains("What went wrong first"), at_once, "{page}");
        assert_eq!(page.contains("ask-why"), !at_once, "{page}");
        let panel = server.get(&format!("/traces/{trace}/why")).await.text;
        assert!(panel.contains("shop checkout") && panel.contains("charge card"), "{panel}");
        assert!(panel.contains("20 good traces"), "{panel}");
        assert!(panel.contains(&format!("/diff/{trace}")), "{panel}");
    }
}
