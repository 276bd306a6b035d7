//! What an operator does to a run at the command line.

use std::time::Duration;

use fixpoint_client::{Run, RunState};

use crate::support::{Dev, same};

async fn run_when(dev: &Dev, id: &str, ready: impl Fn(&Run) -> bool) -> Run {
    let polling = async {
        loop {
            let run = dev.client().run(id).await.unwrap();
            if ready(&run) {
                return run;
            }
            let _elapsed =
                tokio::time::timeout(Duration::from_millis(20), std::future::pending::<()>()).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), polling).await.expect("a run that gets there")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_paused_survives_a_kill_is_resumed_and_replanned() {
    let folder = tempfile::tempdir().unwrap();
    // Slow enough that machines boot for a while.
    let dev = Dev::start(folder.path(), &["--time-scale", "30"]);
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, "name: idg\nnodes: 1\n").unwrap();
    dev.fixpoint(&["apply", "-f", file.to_str().unwrap()]);
    let id = dev.client().resource("clusters", "idg").await.unwrap().run_id.unwrap();
    run_when(&dev, &id, |run| run.state == RunState::Waiting).await;

    let said = dev.fixpoint(&["pause", "idg", "--reason", "the page rang"]);
    assert!(said.starts_with("exit 0\n-- stdout\nclusters/idg is being paused"), "{said}");
    run_when(&dev, &id, |run| run.state == RunState::Paused).await;
    insta::assert_snapshot!(same(&dev.fixpoint(&["pause", "idg"])).replace(&id, "RUN"), @r"
    exit 2
    -- stderr
    error: Run RUN is paused.
    Hint: Resume it: it looks at the world again then. Or cancel it.
    trace_id: TRACE
    ");
    let waited = dev.fixpoint(&["apply", "-f", file.to_str().unwrap(), "--wait"]);
    assert!(waited.starts_with("exit 1\n-- stdout\nclusters/idg paused in "), "{waited}");
    let (_, error) = waited.split_once("error: ").unwrap();
    insta::assert_snapshot!(same(error).replace(&id, "RUN"), @r"
    clusters/idg is paused
      paused by anyone: the page rang
    Hint: let it go on with `fixpoint resume RUN`
    trace_id: TRACE
    ");
    dev.kill();

    let dev = Dev::start(folder.path(), &["--time-scale", "300"]);
    let shown = dev.fixpoint(&["runs", &id]);
    assert!(shown.contains("clusters/idg  paused"), "{shown}");
    assert!(shown.contains("paused by anyone: the page rang"), "{shown}");
    let said = dev.fixpoint(&["resume", &id, "--wait"]);
    assert!(said.starts_with("exit 0\n-- stdout\nclusters/idg converged in "), "{said}");
    let run = dev.client().run(&id).await.unwrap();
    assert_eq!((run.state, run.acts.len()), (RunState::Converged, 2));

    let said = dev.fixpoint(&["retry", "idg"]);
    assert!(said.starts_with("exit 2\n") && said.contains("replan"), "{said}");
    let said = dev.fixpoint(&["replan", "clusters/idg", "--wait"]);
    assert!(said.starts_with("exit 0\n-- stdout\nclusters/idg converged in "), "{said}");
    let newest = dev.client().resource("clusters", "idg").await.unwrap().run_id;
    assert_ne!(newest.as_deref(), Some(&*id));
}
