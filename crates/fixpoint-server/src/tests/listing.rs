//! Lists and what finds things in them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use fixpoint_client::{FindPage, Hit, ResourcePage, RunPage};
use fixpoint_trace::store as trace_store;
use serde_json::json;

use super::Harness;
use crate::store::{
    Entry, Lease, Listing, MemoryStore, RunStore, Scan, StoreError, Version, Watch, Write,
};

#[tokio::test]
async fn pages_of_resources_and_runs_lose_nothing_and_repeat_nothing() {
    let server = Harness::new();
    let names = ["ada", "bob", "cyd", "dan", "eve"];
    for name in names {
        server.make(json!({"name": name, "bricks": 1})).await;
    }
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page: ResourcePage = server.get(&format!("/v1/toys?limit=2{token}")).await.json();
        found.extend(page.items.into_iter().map(|toy| toy.name));
        let Some(next) = page.next_page_token else { break };
        token = format!("&page_token={next}");
    }
    assert_eq!(found, names);

    for filter in ["", "&state=converged"] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page: RunPage =
                server.get(&format!("/v1/runs?limit=2{filter}{token}")).await.json();
            found.extend(page.items.into_iter().map(|run| run.resource));
            let Some(next) = page.next_page_token else { break };
            token = format!("&page_token={next}");
        }
        assert_eq!(found, ["toys/eve", "toys/dan", "toys/cyd", "toys/bob", "toys/ada"]);
    }
    let none: RunPage = server.get("/v1/runs?state=failed").await.json();
    assert_eq!(none.items, []);
    let one: RunPage = server.get("/v1/runs?resource=toys/cyd").await.json();
    assert_eq!(one.items.len(), 1);
}

#[tokio::test]
async fn a_token_of_one_list_is_refused_by_another() {
    let server = Harness::new();
    for name in ["ada", "bob"] {
        server.make(json!({"name": name})).await;
    }
    let token = server.get("/v1/toys?limit=1").await.value()["next_page_token"].clone();
    let token = token.as_str().unwrap();
    let answer = server.get(&format!("/v1/runs?page_token={token}")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("another list"), "{answer:?}");
}

#[tokio::test]
async fn any_id_finds_what_it_belongs_to() {
    let server = Harness::new();
    let run = server.make(json!({"name": "car"})).await;
    server.recorder.flush().await.unwrap();
    for q in [&run.id, &run.trace_id, "car", "toys/car", &run.trace_id[..12]] {
        let page: FindPage = server.get(&format!("/v1/find?q={q}")).await.json();
        assert!(!page.hits.is_empty(), "{q} finds nothing");
        let in_trace = page.hits.iter().any(|hit| match hit {
            Hit::Run(hit) => hit.id == run.id,
            Hit::Resource(hit) => hit.name == "car",
            Hit::Trace(hit) => hit.trace_id == run.trace_id,
        });
        assert!(in_trace, "{q} finds only {page:?}");
    }
    let page: FindPage = server.get("/v1/find?q=nothing-has-this").await.json();
    assert_eq!(page.hits, []);
}

/// Counts the entries that it is asked for.
#[derive(Debug)]
struct Counting {
    store: MemoryStore,
    read: AtomicUsize,
}

#[async_trait]
impl RunStore for Counting {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.read.fetch_add(1, Relaxed);
        self.store.get(key).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<Version, StoreError> {
        self.store.commit(writes).await
    }

    async fn list(&self, scan: &Scan) -> Result<Listing, StoreError> {
        let listing = self.store.list(scan).await?;
        self.read.fetch_add(listing.entries.len(), Relaxed);
        Ok(listing)
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.store.watch(prefix)
    }

    async fn lease(&self, life: Duration) -> Result<Box<dyn Lease>, StoreError> {
        self.store.lease(life).await
    }
}

#[tokio::test]
async fn a_list_of_runs_in_a_state_costs_what_it_shows_and_not_what_there_is() {
    let counting = Arc::new(Counting { store: MemoryStore::new(), read: AtomicUsize::new(0) });
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    let server = Harness::with(Arc::clone(&counting) as _, traces, Arc::default());
    server.world.state().for_good = true;
    server.world.state().failing = 2;
    for name in ["ada", "bob"] {
        let run = server.post("/v1/toys", json!({"name": name})).await.run_id();
        server.ended(&run).await;
    }
    for _ in 0..40 {
        server.make(json!({"name": format!("toy-{:08x}", fastrand::u32(..)), "bricks": 0})).await;
    }
    server.world.state().no_paint = true;
    let waiting = json!({"name": "cyd", "bricks": 0, "color": "red"});
    let waiting = server.post("/v1/toys", waiting).await.run_id();
    server.run_when(&waiting, |run| run.state == fixpoint_client::RunState::Waiting).await;

    let list = async |query: &str| {
        let before = counting.read.load(Relaxed);
        let page: RunPage = server.get(&format!("/v1/runs?{query}")).await.json();
        let read = counting.read.load(Relaxed) - before;
        let resources: Vec<_> = page.items.into_iter().map(|run| run.resource).collect();
        (resources, page.next_page_token, read)
    };
    let (found, token, read) = list("state=failed&limit=1").await;
    assert_eq!(found, ["toys/bob"]);
    assert!(read < 10, "{read}");
    let (found, token, _) =
        list(&format!("state=failed&limit=1&page_token={}", token.unwrap())).await;
    assert_eq!((found, token), (vec!["toys/ada".to_owned()], None));
    let (found, _, read) = list("state=waiting").await;
    assert_eq!(found, ["toys/cyd"]);
    assert!(read < 10, "{read}");
    assert_eq!(list("state=paused").await.0, Vec::<String>::new());
}
