//! Drift, as an operator meets it on the command line.
//!
//! The sandbox shows no instances for a while, so a plan that is asked then would make some. The
//! surprise: a mend of what was only a bad look does nothing. Its run begins by looking again.

use std::path::Path;

use fixpoint_client::{RunCause, RunState};
use serde_json::json;

use crate::support::{Dev, same};

fn write(folder: &Path, text: &str) -> String {
    let path = folder.join("cluster.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_asked_for_listed_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--time-scale", "300", "--verify-every", "off"]);
    let file = write(folder.path(), "name: idg\nspec:\n  nodes: 2\n");
    let applied = dev.fixpoint(&["apply", "-f", &file, "--wait"]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    insta::assert_snapshot!(same(&dev.fixpoint(&["verify", "idg"])), @r"
    exit 0
    -- stdout
    clusters/idg is as wanted, verified at TIME  trace TRACE
    ");
    assert_eq!(
        dev.fixpoint(&["get", "--drifted"]),
        "exit 0\n-- stderr\nno clusters were seen to have drifted\n"
    );

    let hidden = json!({"rules": [{"operation": "EC2.DescribeInstances", "every": true, "fault": {"kind": "empty_page"}}]});
    let client = dev.client();
    client.set_control("faults", &hidden).await.unwrap();
    let drifted = same(&dev.fixpoint(&["verify", "clusters/idg"]));
    let said = "exit 1\n-- stdout\nclusters/idg has drifted since TIME: ";
    assert!(drifted.starts_with(said), "{drifted}");
    assert!(drifted.contains("would mend it\n  + create_instances"), "{drifted}");
    assert!(drifted.contains("  saw ") && drifted.ends_with("trace TRACE\n"), "{drifted}");
    let listed = dev.fixpoint(&["get", "--drifted"]);
    assert!(listed.contains("idg ") && listed.contains("drifted since "), "{listed}");

    // What is beside the spec is set by the file, too, and takes no run.
    let mend = write(folder.path(), "name: idg\nspec:\n  nodes: 2\nmend: true\n");
    assert_eq!(dev.fixpoint(&["apply", "-f", &mend]), "exit 0\n-- stdout\nclusters/idg changed\n");
    client.set_control("faults", &json!({})).await.unwrap();
    assert!(client.resource("clusters", "idg").await.unwrap().mend);
    assert!(dev.fixpoint(&["verify", "idg"]).starts_with("exit 0\n"), "it is as wanted again");

    let once = json!({"rules": [{"operation": "EC2.DescribeInstances", "nth": [1], "fault": {"kind": "empty_page"}}]});
    client.set_control("faults", &once).await.unwrap();
    let mended = dev.fixpoint(&["verify", "idg", "--wait"]);
    assert!(mended.starts_with("exit 0\n-- stdout\nclusters/idg converged in "), "{mended}");
    assert!(mended.contains("clusters/idg has drifted; run run-"), "{mended}");
    let id = client.resource("clusters", "idg").await.unwrap().run_id.unwrap();
    let run = client.run(&id).await.unwrap();
    assert_eq!((run.state, run.cause), (RunState::Converged, Some(RunCause::Drift)));
    assert_eq!(run.steps, 0, "its first look showed that nothing is to be done");
    assert!(dev.fixpoint(&["runs", &id]).contains("\ncause       drift\n"));
    assert_eq!(dev.terminate(), "exit status: 0");
}
