//! Steps that do nothing, on Restate: a service of its official SDK, and whoever calls it.
//!
//! Not here: what is measured (`rounds.rs`), or the server, whose addresses are the arguments: of
//! its ingress, then of its admin API. The surprise: steps at once are calls of a handler, not
//! `run`s. The Rust SDK cannot have several of those under way: each wants to be awaited first.

#[allow(dead_code, reason = "Fixpoint's plan asks for more")]
#[path = "../../../src/rounds.rs"]
mod rounds;

use restate_sdk::prelude::*;
use rounds::{Begins, Failure, Shape, Workflow, play};
use serde_json::json;
use tokio::net::TcpListener;

struct Steps(Begins);

#[service]
impl Steps {
    #[handler]
    async fn run(&self, ctx: Context<'_>, workflow: Json<Workflow>) -> Result<(), HandlerError> {
        let Json(workflow) = workflow;
        match workflow.shape {
            Shape::Sequence => {
                for _ in 0..workflow.steps {
                    let step = || async {
                        self.0.note(workflow.id);
                        Ok(())
                    };
                    ctx.run(step).name("noop").await?;
                }
            }
            Shape::Together => {
                let mut calls = DurableFuturesUnordered::new();
                for _ in 0..workflow.steps {
                    calls.push(ctx.service_client::<StepsClient>().noop(workflow.id).call());
                }
                while let Some((_, done)) = calls.next().await? {
                    done?;
                }
            }
        }
        Ok(())
    }

    #[handler]
    async fn noop(&self, _: Context<'_>, workflow: u64) -> Result<(), HandlerError> {
        self.0.note(workflow);
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let [ingress, admin] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("say where ingress and admin API are".into());
    };
    let begins = Begins::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let service = format!("http://{}", listener.local_addr()?);
    let endpoint = Endpoint::builder().bind(Steps(begins.clone())).build();
    let serving = tokio::spawn(HttpServer::new(endpoint).serve(listener));

    let client = reqwest::Client::new();
    let registered = client.post(format!("{admin}/deployments")).json(&json!({"uri": service}));
    registered.send().await?.error_for_status()?;
    let url = format!("{ingress}/Steps/run");
    play(begins, move |workflow| {
        let asked = client.post(&url).json(&workflow);
        async move { Ok(asked.send().await?.error_for_status().map(drop)?) }
    })
    .await?;
    serving.abort();
    Ok(())
}
