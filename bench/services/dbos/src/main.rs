//! Steps that do nothing, on DBOS: its official crate, in this process, on the PostgreSQL of the first
//! argument.
//!
//! Not here: what is measured (`rounds.rs`). The surprise: nothing is configured beyond what must be,
//! so durability is DBOS's and PostgreSQL's own.

#[allow(dead_code, reason = "Fixpoint's plan asks for more")]
#[path = "../../../src/rounds.rs"]
mod rounds;

use dbos::{Config, DBOS};
use futures_util::future::try_join_all;
use rounds::{Begins, Failure, Shape, Workflow, play};

type Done = dbos::Result<()>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let database = std::env::args().nth(1).ok_or("say where PostgreSQL is")?;
    let config = Config { app_version: Some("1".to_owned()), ..Config::new("steps", database) };
    let dbos = DBOS::new(config);
    let begins = Begins::default();
    let noted = begins.clone();
    let workflow = dbos.register_workflow("steps", move |workflow: Workflow| {
        let begins = noted.clone();
        async move {
            let step = || {
                let begins = begins.clone();
                dbos::step("noop", move || {
                    begins.note(workflow.id);
                    async { Done::Ok(()) }
                })
            };
            match workflow.shape {
                Shape::Sequence => {
                    for _ in 0..workflow.steps {
                        step().await?;
                    }
                }
                Shape::Together => {
                    try_join_all((0..workflow.steps).map(|_| step())).await?;
                }
            }
            Done::Ok(())
        }
    })?;
    dbos.launch().await?;
    play(begins, move |asked| {
        let workflow = workflow.clone();
        async move { Ok(workflow.run(asked).await?) }
    })
    .await?;
    dbos.shutdown().await;
    Ok(())
}
