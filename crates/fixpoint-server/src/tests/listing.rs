//! Lists and what finds things in them.

use fixpoint_client::{FindPage, Hit, ResourcePage, RunPage};
use serde_json::json;

use super::Harness;

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
