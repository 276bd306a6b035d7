//! A day with a server: a cluster is created, looked at in every way, changed and deleted.

use std::path::Path;

use fixpoint_client::{Run, RunState};
use serde_json::Value;

use crate::support::{Dev, same};

fn json(said: &str) -> Value {
    let said = said.strip_prefix("exit 0\n-- stdout\n").unwrap_or_else(|| panic!("{said}"));
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A step's name and mark, without what differs between two runs.
fn lines_with<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(word)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_planned_created_looked_at_changed_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--time-scale", "300"]);
    let file = write(folder.path(), "cluster.yaml", "name: idg\nspec:\n  nodes: 2\n");

    // Before: nothing is there, and the plan of the file changes nothing.
    assert_eq!(
        dev.fixpoint(&["get"]),
        "exit 0\n-- stderr\nno clusters yet; create one with `fixpoint apply -f FILE`\n"
    );
    let planned = dev.fixpoint(&["plan", "-f", &file]);
    assert!(planned.contains("clusters/idg (create_cluster): "), "{planned}");
    assert!(planned.contains("  + create_vpc"), "{planned}");
    assert_eq!(json(&dev.fixpoint(&["get", "-o", "json"]))["items"], serde_json::json!([]));

    // Create, with progress in plain lines on stderr and the end on stdout.
    let applied = dev.fixpoint(&["apply", "-f", &file, "--wait"]);
    assert!(applied.starts_with("exit 0\n-- stdout\nclusters/idg converged in "), "{applied}");
    assert_eq!(lines_with(&applied, "clusters/idg created").len(), 1, "{applied}");
    assert!(applied.contains("iteration 1: "), "{applied}");
    assert!(applied.contains("✓ register_cluster_node_to_lb"), "{applied}");
    assert!(applied.contains("nothing left\n"), "{applied}");

    // The same again has nothing to do.
    let again = dev.fixpoint(&["apply", "-f", &file]);
    assert_eq!(again, "exit 0\n-- stdout\nclusters/idg unchanged\n");
    let left = dev.fixpoint(&["plan", "idg"]);
    assert!(left.contains("clusters/idg (create_cluster): nothing left to do\n"), "{left}");

    // Looked at in every way.
    insta::assert_snapshot!(same(&dev.fixpoint(&["get"])), @r"
    exit 0
    -- stdout
    NAME  GENERATION  RUN        CHANGED              VERIFIED             TRACE
    idg   1           converged  TIME  TIME  TRACE
    ");
    let resource = json(&dev.fixpoint(&["get", "clusters/idg", "-o", "json"]));
    assert_eq!((&resource["generation"], &resource["observed_generation"]), (&1.into(), &1.into()));
    let runs = json(&dev.fixpoint(&["runs", "--resource", "clusters/idg", "-o", "json"]));
    let run: Run = serde_json::from_value(runs["items"][0].clone()).unwrap();
    assert_eq!((run.state, runs["items"].as_array().unwrap().len()), (RunState::Converged, 1));
    let shown = dev.fixpoint(&["runs", &run.id]);
    assert!(shown.contains("clusters/idg  converged"), "{shown}");
    assert!(shown.contains("#1   → "), "{shown}");
    assert!(dev.fixpoint(&["runs", "--state", "failed"]).ends_with("no such runs\n"));

    let vpc = dev.client().trace(&run.trace_id).await.unwrap();
    assert!(vpc.aws_calls().count() >= 40, "{} calls", vpc.aws_calls().count());
    for id in [&run.trace_id, &run.id, "idg"] {
        let waterfall = dev.fixpoint(&["trace", id]);
        assert!(
            waterfall.starts_with("exit 0\n-- stdout\nPOST /v1/clusters  trace "),
            "{waterfall}"
        );
        assert!(waterfall.contains("EC2.CreateVpc"), "{waterfall}");
        let longest = waterfall.lines().skip(4).map(|line| line.chars().count()).max();
        assert!(longest <= Some(80), "{longest:?} columns\n{waterfall}");
    }
    let otlp = json(&dev.fixpoint(&["trace", &run.id, "-o", "json"]));
    assert!(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"].is_string());

    let lines = dev.fixpoint(&["logs", "--trace", &run.id, "-o", "json"]);
    let lines: Vec<Value> =
        lines.lines().skip(2).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line["trace_id"] == run.trace_id.as_str()));
    let followed = dev.fixpoint(&["logs", "--trace", &run.id, "--follow"]);
    assert_eq!(followed.lines().count(), lines.len() + 2, "{followed}");

    let found = json(&dev.fixpoint(&["find", &run.id, "-o", "json"]));
    assert_eq!(found["hits"][0]["type"], "run");
    insta::assert_snapshot!(dev.fixpoint(&["find", "i-00000000000000000"]), @r"
    exit 2
    -- stderr
    error: `i-00000000000000000` occurs in no trace, run or resource
    Hint: ids of traces and spans may be cut to their first 8 digits, others must be whole
    ");

    // Changed by a document that names one field.
    let more = write(folder.path(), "more.json", r#"{"name": "idg", "nodes": 3}"#);
    let changed = dev.fixpoint(&["apply", "-f", &more, "--wait"]);
    assert!(changed.contains("clusters/idg changed"), "{changed}");
    let resource = json(&dev.fixpoint(&["get", "clusters", "idg", "-o", "json"]));
    assert_eq!((&resource["spec"]["nodes"], &resource["generation"]), (&3.into(), &2.into()));

    // Deleted, with nothing left.
    let deleted = dev.fixpoint(&["delete", "idg", "--wait"]);
    assert!(deleted.starts_with("exit 0\n"), "{deleted}");
    insta::assert_snapshot!(same(&dev.fixpoint(&["get", "clusters", "idg"])), @r"
    exit 2
    -- stderr
    error: There is no clusters/idg.
    trace_id: TRACE
    ");
    let inventory = dev.client().control("sandbox").await.unwrap();
    assert_eq!(inventory["clusters"]["idg"], Value::Null, "{inventory}");

    assert_eq!(dev.terminate(), "exit status: 0");
}

#[test]
fn the_examples_of_the_repository_are_valid() {
    let example = |name: &str| format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let dev =
        Dev::start(folder.path(), &["--time-scale", "300", "--faults", &example("faults.yaml")]);
    let planned = dev.fixpoint(&["plan", "-f", &example("cluster.yaml"), "-o", "json"]);
    let steps = json(&planned)["steps"].as_array().map(Vec::len);
    assert!(steps > Some(0), "{planned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_documents_and_conflicts_name_the_fields_and_the_trace() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--time-scale", "300"]);
    let bad = write(folder.path(), "bad.yaml", "name: idg\nnodes: 0\nsize: big\n");
    insta::assert_snapshot!(same(&dev.fixpoint(&["apply", "-f", &bad])), @r"
    exit 2
    -- stderr
    error: The body has 2 mistakes, at /size, /nodes.
      /size: unknown field `size`, expected one of `nodes`, `addons`, `instance_type`, `volume_gib`, `vpc_cidr`, `allowed_cidrs`, `ssh_public_key`, `tags`
      /nodes: must be 1 to 20, not 0
    Hint: /v1/openapi.json has the schema.
    trace_id: TRACE
    ");
    insta::assert_snapshot!(same(&dev.fixpoint(&["delete", "nobody"])), @r"
    exit 2
    -- stderr
    error: There is no clusters/nobody.
    trace_id: TRACE
    ");
    insta::assert_snapshot!(same(&dev.fixpoint(&["get", "boats"])), @r"
    exit 2
    -- stderr
    error: There is no /v1/boats.
    Hint: /v1/openapi.json lists every path.
    trace_id: TRACE
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_converge_is_exit_1_and_says_what_it_kept_seeing() {
    let folder = tempfile::tempdir().unwrap();
    let faults = write(
        folder.path(),
        "faults.yaml",
        "rules:\n  - operation: ELBv2.DescribeTargetGroups\n    \
         where: {LoadBalancerArn: '*umbrella*'}\n    fault: {kind: empty_page}\n",
    );
    let dev = Dev::start(folder.path(), &["--time-scale", "300", "--faults", &faults]);
    let file = write(folder.path(), "cluster.yaml", "name: umbrella\n");
    let said = dev.fixpoint(&["apply", "-f", &file, "--wait"]);
    assert!(said.starts_with("exit 1\n-- stdout\nclusters/umbrella not_converging in "), "{said}");
    assert!(said.contains("error: clusters/umbrella does not converge\n"), "{said}");
    assert!(said.contains("register_cluster_node_to_lb"), "{said}");
    assert!(said.contains("registered nodes: 0 of 3"), "{said}");
    assert!(said.contains("Hint: ask `fixpoint why "), "{said}");
}
