//! Several servers on one run store: each run is driven by one, whoever was asked for it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use fixpoint_client::RunState;
use fixpoint_trace::testing;
use serde_json::{Value, json};
use tokio::time;

use super::{Harness, PATIENCE, pause};
use crate::{
    metrics::Metrics,
    records::{Records, ResourceKey, key},
    runner::Tenure,
    store::{MemoryStore, Precondition, RunStore, StoreError, Write},
};

pub(super) fn two() -> (Harness, Harness, Arc<MemoryStore>) {
    let runs = Arc::new(MemoryStore::new());
    let traces = Arc::new(fixpoint_trace::store::memory::MemoryStore::default());
    let first = Harness::with(Arc::clone(&runs) as _, traces, Arc::default());
    let second = first.beside(Arc::clone(&runs) as _);
    (first, second, runs)
}

/// Who drives the toy's runs.
async fn owner(runs: &MemoryStore, toy: &str) -> Option<String> {
    let entry = runs.get(&format!("owners/toys/{toy}")).await.unwrap()?;
    let record: Value = serde_json::from_slice(&entry.value).unwrap();
    Some(record["server"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_run_of_a_server_that_died_goes_on_on_another_in_its_own_span() {
    let (first, second, runs) = two();
    first.world.state().no_paint = true;
    let id = second.post("/v1/toys", json!({"name": "car"})).await.run_id();
    let before = second.run_when(&id, |run| run.state == RunState::Waiting).await;
    assert_eq!(owner(&runs, "car").await.as_deref(), Some("second"));
    drop(second);

    first.run_when(&id, |run| run.attempts == 2).await;
    assert_eq!(owner(&runs, "car").await.as_deref(), Some("first"));
    first.world.state().no_paint = false;
    let run = first.ended(&id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2));
    assert_eq!((&run.trace_id, &run.span_id), (&before.trace_id, &before.span_id));
    assert_eq!(first.world.state().made, 3);

    first.recorder.flush().await.unwrap();
    let trace =
        first.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    let take_over = trace.spans.iter().find(|span| span.name == "take_over").unwrap();
    let said = |name: &str| take_over.attributes[name].as_str().unwrap();
    assert_eq!(said("fixpoint.takeover.from"), "second");
    assert_eq!(said("fixpoint.takeover.to"), "first");
    assert_eq!(said("fixpoint.takeover.steps"), "wait_for_paint");
    assert_eq!(take_over.parent.unwrap().to_string(), run.span_id);
    insta::assert_snapshot!(testing::tree(&trace, &["fixpoint.run.result"]), @r"
    POST /v1/toys server
      run toys {fixpoint.run.result=converged}
        create
        wait_for_paint
        take_over
        create
        wait_for_paint
        create
        lay_brick
        lay_brick
        lay_brick
        create
    ");
    let ids: HashSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
    assert_eq!(trace.spans.iter().filter(|span| span.parent.is_none()).count(), 1);
    assert!(trace.spans.iter().all(|span| span.parent.is_none_or(|id| ids.contains(&id))));
    assert!(first.get("/metrics").await.text.contains("\nfixpoint_takeovers_total 1\n"));
    while owner(&runs, "car").await.is_some() {
        pause().await;
    }
}

#[tokio::test]
async fn a_wish_told_to_one_server_reaches_the_run_on_another() {
    let (first, second, runs) = two();
    first.world.state().no_paint = true;
    let id = second.post("/v1/toys", json!({"name": "car"})).await.run_id();
    second.run_when(&id, |run| run.state == RunState::Waiting).await;
    assert_eq!(owner(&runs, "car").await.as_deref(), Some("second"));

    let newer = first.patch("/v1/toys/car", json!({"bricks": 5})).await.run_id();
    let old = first.ended(&id).await;
    assert_eq!(old.error.unwrap().message, "a newer run took its place");
    first.run_when(&newer, |run| run.state == RunState::Waiting).await;
    first.post(&format!("/v1/runs/{newer}/cancel"), json!({})).await;
    let run = first.ended(&newer).await;
    assert_eq!((run.state, run.attempts), (RunState::Cancelled, 1));
}

#[tokio::test]
async fn many_resources_are_each_driven_by_one_of_the_servers_and_nothing_is_made_twice() {
    let (first, second, _runs) = two();
    let mut ids = Vec::new();
    for n in 0..24 {
        let server = if n % 2 == 0 { &first } else { &second };
        ids.push(server.post("/v1/toys", json!({"name": format!("toy-{n}")})).await.run_id());
    }
    for id in &ids {
        let run = first.ended(id).await;
        assert_eq!((run.state, run.attempts), (RunState::Converged, 1), "{run:#?}");
    }
    assert_eq!(first.world.state().made, 24 * 3);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_hands_its_runs_over() {
    let (first, mut second, runs) = two();
    first.world.state().no_paint = true;
    let id = second.post("/v1/toys", json!({"name": "car"})).await.run_id();
    second.run_when(&id, |run| run.state == RunState::Waiting).await;
    second.app.stopping.cancel();
    (&mut second.runner).await.unwrap();
    assert!(runs.get("servers/second").await.unwrap().is_none(), "it has said goodbye");
    first.world.state().no_paint = false;
    assert_eq!(first.ended(&id).await.state, RunState::Converged);
}

#[tokio::test]
async fn a_server_that_lost_its_lease_stops_its_runs_and_takes_part_again() {
    let (first, second, runs) = two();
    first.world.state().no_paint = true;
    let id = second.post("/v1/toys", json!({"name": "car"})).await.run_id();
    second.run_when(&id, |run| run.state == RunState::Waiting).await;
    runs.expire_leases();
    first.run_when(&id, |run| run.attempts == 2).await;
    first.world.state().no_paint = false;
    let run = first.ended(&id).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2));
    assert_eq!(first.world.state().made, 3);
    for server in ["first", "second"] {
        let at = format!("servers/{server}");
        while runs.get(&at).await.unwrap().is_none() {
            pause().await;
        }
    }
}

/// A server's part in the work, without a server.
fn tenure(runs: &Arc<dyn RunStore>, server: &str) -> (Tenure, Arc<Metrics>) {
    let records = Records::new(Arc::clone(runs));
    let metrics = Arc::new(Metrics::default());
    let life = Duration::from_secs(5);
    let tenure = Tenure::new(records, Arc::clone(&metrics), server.to_owned(), life);
    (tenure, metrics)
}

/// A server owns a resource, loses it without hearing of it, and writes late.
async fn late_write(runs: Arc<dyn RunStore>) {
    let ((old, metrics), (new, _)) = (tenure(&runs, "old"), tenure(&runs, "new"));
    old.begin().await.unwrap();
    new.begin().await.unwrap();
    let car = ResourceKey::new("toys", "car");
    let late = old.claim(&car).await.unwrap().unwrap();
    assert!(new.claim(&car).await.unwrap().is_none(), "it has an owner");
    late.commit(vec![Write::put("runs/1", "old", Precondition::Any)]).await.unwrap();

    // What etcd does when the lease has run out. The old owner's clock says that it has not.
    runs.commit(vec![Write::delete(key::owner(&car), Precondition::Any)]).await.unwrap();
    let owned = new.claim(&car).await.unwrap().unwrap();
    owned.commit(vec![Write::put("runs/1", "new", Precondition::Any)]).await.unwrap();
    assert!(!late.is_lost(), "nobody has told it");

    let refused = late.commit(vec![Write::put("runs/1", "late", Precondition::Any)]).await;
    assert!(matches!(refused, Err(StoreError::LeaseLost)), "{refused:?}");
    assert!(late.is_lost(), "now it knows");
    time::timeout(PATIENCE, late.lost()).await.unwrap();
    late.release().await.unwrap();
    assert_eq!(runs.get("runs/1").await.unwrap().unwrap().value, "new");
    owned.commit(vec![Write::put("runs/1", "newer", Precondition::Any)]).await.unwrap();
    let told = metrics.exposition(&crate::metrics::Gauges::default());
    assert!(told.contains("\nfixpoint_late_writes_refused_total 1\n"), "{told}");
}

#[tokio::test]
async fn a_late_write_is_refused_and_the_new_owner_is_unharmed() {
    late_write(Arc::new(MemoryStore::new())).await;
}

#[cfg(feature = "etcd")]
#[tokio::test]
async fn a_late_write_is_refused_by_etcd_itself() {
    let etcd = crate::store::testing::Etcd::start(1).unwrap();
    late_write(Arc::new(crate::store::EtcdStore::open(etcd.options("late")).await.unwrap())).await;
}

/// What is written down in etcd is in the trace of who asked for it, without secrets.
#[cfg(feature = "etcd")]
#[tokio::test]
async fn each_request_to_etcd_is_a_span_with_what_was_there_before_and_after() {
    let etcd = crate::store::testing::Etcd::start(1).unwrap();
    let runs = crate::store::EtcdStore::open(etcd.options("spans")).await.unwrap();
    let traces = Arc::new(fixpoint_trace::store::memory::MemoryStore::default());
    let server = Harness::with(Arc::new(runs), traces, Arc::default());
    let car = json!({"name": "car", "bricks": 1, "words": ["password=hunter2"]});
    server.make(car).await;
    let newer = server.patch("/v1/toys/car", json!({"bricks": 2})).await;
    let run = server.ended(&newer.run_id()).await;
    server.recorder.flush().await.unwrap();
    let trace =
        server.app.traces.whole().trace(run.trace_id.parse().unwrap()).await.unwrap().unwrap();
    let text = |span: &fixpoint_trace::model::Span, name: &str| {
        span.attributes.get(name).map(|value| value.to_text().into_owned())
    };
    let request = trace.spans.iter().find(|span| span.name == "PATCH /v1/toys/{name}").unwrap();
    let transaction = trace
        .spans
        .iter()
        .find(|span| span.name == "etcd.txn" && span.parent == Some(request.span_id))
        .unwrap();
    assert_eq!(text(transaction, "db.system.name").as_deref(), Some("etcd"));
    assert_eq!(text(transaction, "db.operation.batch.size").as_deref(), Some("5"));
    assert_eq!(text(transaction, "server.address").as_deref(), Some("127.0.0.1"));
    assert!(text(transaction, "fixpoint.store.key").unwrap().contains("resources/toys/car"));
    let values = |name: &str| -> Value {
        let text = text(transaction, name).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let (before, after) = (values("fixpoint.store.before"), values("fixpoint.store.after"));
    assert_eq!(before["resources/toys/car"]["spec"]["bricks"], 1);
    assert_eq!(after["resources/toys/car"]["spec"]["bricks"], 2);
    assert_eq!(after[format!("runs/{}", run.id)]["state"], "pending");
    // What the run itself writes down is below it.
    let put = trace.spans.iter().find(|span| span.name == "etcd.put").unwrap();
    assert_eq!(put.parent.unwrap().to_string(), run.span_id);
    // And nothing that etcd was asked outside of a trace is a trace of its own.
    let all = server.app.traces.whole().search(&Default::default()).await.unwrap().items;
    let roots: Vec<_> = all.iter().filter(|trace| trace.name.starts_with("etcd")).collect();
    assert!(roots.is_empty(), "{roots:#?}");
}
