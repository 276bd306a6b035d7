//! Asking why from the command line: of runs, of traces and of resources, on a server of its own.

use std::path::Path;

use fixpoint_client::{CauseKind, Conclusion, TraceDiff, Why};
use regex::Regex;
use serde::de::DeserializeOwned;

use crate::{
    search::Searched,
    support::{Dev, fixpoint, same},
};

/// AWS finds no target group of cluster umbrella, and says of it no error.
const FAULTS: &str = "rules:
  - operation: ELBv2.DescribeTargetGroups
    where: {LoadBalancerArn: '*umbrella*'}
    every: true
    fault: {kind: empty_page}
";

fn json<T: DeserializeOwned>(said: &str) -> T {
    let json = said.split_once("-- stdout\n").unwrap_or_else(|| panic!("{said}")).1;
    let json = json.split_once("-- stderr\n").map_or(json, |(json, _)| json);
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What differs from one run of the test to the next, replaced by what it is.
fn told(said: &str) -> String {
    let said = Regex::new(r"run-[0-9a-f]{24}").unwrap().replace_all(said, "RUN").into_owned();
    let iteration = Regex::new(r"iteration \d+").unwrap();
    let said = iteration.replace_all(&said, "iteration ITERATION").into_owned();
    let said =
        Regex::new(r"ran \d times").unwrap().replace_all(&said, "ran SOME times").into_owned();
    let request = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    same(&Regex::new(request).unwrap().replace_all(&said, "REQUEST"))
}

fn is_no_wider_than_a_terminal(said: &str) {
    // An address cannot be broken, and stands alone.
    let lines = said.lines().filter(|line| !line.contains("http://"));
    let longest = lines.max_by_key(|line| line.chars().count()).unwrap_or_default();
    assert!(longest.chars().count() <= 80, "{longest}\n{said}");
}

fn apply(dev: &Dev, folder: &Path, name: &str) -> String {
    let file = folder.join("cluster.yaml");
    std::fs::write(&file, format!("name: {name}\nspec: {{nodes: 2}}\n")).unwrap();
    dev.fixpoint(&["apply", "-f", file.to_str().unwrap(), "--wait"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_failed_is_explained_alone_and_beside_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let faults = folder.path().join("faults.yaml");
    std::fs::write(&faults, FAULTS).unwrap();
    let faults = faults.to_str().unwrap();
    let dev = Dev::start(folder.path(), &["--time-scale", "300", "--faults", faults]);
    assert!(apply(&dev, folder.path(), "umbrella").starts_with("exit 1\n"));

    // No good run at all: what the run says of itself, and what cannot be told.
    let alone = dev.fixpoint(&["why", "umbrella"]);
    insta::assert_snapshot!(told(&alone), @r"
    exit 0
    -- stdout
    clusters/umbrella not_converging  create_cluster
    RUN  trace TRACE

      register_cluster_node_to_lb ran SOME times, without effect: the plan kept seeing
      load balancer: active, registered nodes: 0 of 2, healthy nodes: 0 of 2
      · it chose the same 3 times in a row since iteration ITERATION; nothing that it sees
        has changed since

      step        register_cluster_node_to_lb
      span        SPAN

      no good run of create_cluster is stored: whether a call is missing, or slow,
      or answered otherwise than usual cannot be told
      URL/runs/RUN
    ");
    is_no_wider_than_a_terminal(&alone);
    let diff = dev.fixpoint(&["diff", "umbrella"]);
    assert!(diff.starts_with("exit 2\n-- stderr\nerror: there is no good run"), "{diff}");

    // Beside good ones: the call that is missing.
    for number in 1..=6 {
        let made = apply(&dev, folder.path(), &format!("good-{number}"));
        assert!(made.starts_with("exit 0\n"), "{made}");
    }
    let text = dev.fixpoint(&["why", "umbrella"]);
    let why: Why = json(&dev.fixpoint(&["why", "umbrella", "-o", "json"]));
    let cause = why.cause.as_ref().unwrap();
    assert_eq!(
        (why.conclusion, cause.kind, cause.operation.as_str(), cause.step.as_deref()),
        (
            Conclusion::Cause,
            CauseKind::Missing,
            "ELBv2.RegisterTargets",
            Some("register_cluster_node_to_lb")
        )
    );
    assert_eq!(why.baseline.good, 6);
    let said = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let odd = "ELBv2.DescribeTargetGroups answered with no TargetGroups";
    let sentence = format!(
        "register_cluster_node_to_lb did not call ELBv2.RegisterTargets after \
         ELBv2.DescribeTargetGroups; before that, {odd}"
    );
    assert_eq!(said.matches(&sentence).count(), 1, "{text}");
    assert_eq!(said.matches("before that").count(), 1, "{text}");
    assert!(said.contains(&format!("· {odd}")) && said.contains("(request id "), "{text}");
    assert!(said.contains("· good runs make it 6 of 6 times, this one 0 of "), "{text}");
    let last = text.rsplit("\n\n").next().unwrap();
    insta::assert_snapshot!(told(last), @r"
    compared with 6 good runs of create_cluster; the last: clusters/good-6
    fixpoint diff RUN
    URL/runs/RUN
    ");
    is_no_wider_than_a_terminal(&text);
    // In which order the first steps, which run beside each other, come is a matter of luck.
    let mut of_the_run = text.lines().filter(|line| line.contains("run clusters"));
    assert!(of_the_run.all(|line| line.contains("came to")), "its end is no news: {text}");

    // Whichever way one asks.
    let run = why.run.as_ref().unwrap();
    for id in [run.id.as_str(), &why.trace_id, "clusters/umbrella", &why.trace_id[..8]] {
        assert_eq!(dev.fixpoint(&["why", id]), text, "{id}");
    }

    // What went well.
    let good = dev.fixpoint(&["why", "good-2"]);
    assert!(good.starts_with("exit 0\n"), "{good}");
    assert!(good.contains("\n  nothing differs from 5 good runs\n"), "{good}");
    let good: Why = json(&dev.fixpoint(&["why", "good-2", "--output", "json"]));
    assert_eq!((good.conclusion, good.cause), (Conclusion::NothingDiffers, None));

    // The comparison that it leads to.
    let diff = dev.fixpoint(&["diff", &run.id]);
    assert!(diff.starts_with("exit 1\n"), "{diff}");
    is_no_wider_than_a_terminal(&diff);
    let lines: Vec<_> = diff.lines().collect();
    let line = |of: &str| lines.iter().position(|line| line.starts_with(of));
    let (missing, failed) = (line("- missing   ELBv2.RegisterTargets"), line("- failed "));
    assert!(missing.is_some() && missing < failed, "what explains most comes first: {diff}");
    // Where lines are broken depends on what else is to be told.
    let said = diff.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("status: ok → plan create_cluster does not converge: "), "{diff}");
    let diff: TraceDiff = json(&dev.fixpoint(&["diff", "good-6", "umbrella", "-o", "json"]));
    assert!(!diff.same && diff.counts.missing > 0);
    assert_eq!(diff.b.trace_id, why.trace_id);
    let same = dev.fixpoint(&["diff", "good-1", "good-1"]);
    assert!(same.starts_with("exit 0\n") && same.contains("\nnothing differs\n"), "{same}");
}

#[test]
fn a_run_that_goes_on_is_explained_and_compared_as_far_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    // At the world's own speed, machines take their time to boot.
    let dev = Dev::start(folder.path(), &[]);
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, "name: idg\n").unwrap();
    let applied = dev.fixpoint(&["apply", "-f", file.to_str().unwrap()]);
    assert!(applied.starts_with("exit 0\n"), "{applied}");
    let why = dev.fixpoint(&["why", "idg"]);
    assert!(why.starts_with("exit 0\n-- stdout\nclusters/idg "), "{why}");
    assert!(why.contains("the run goes on: what is not there yet may still come"), "{why}");
    assert!(why.contains("no good run of create_cluster is stored"), "{why}");
    is_no_wider_than_a_terminal(&why);
    let diff = dev.fixpoint(&["diff", "idg", "idg"]);
    assert!(diff.contains("open: it goes on"), "{diff}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_of_any_service_is_explained() {
    let server = Searched::new().await;
    insta::assert_snapshot!(same(&server.fixpoint(&["why", &"a1".repeat(16)])), @r"
    exit 0
    -- stdout
    clusters run clusters
    trace TRACE

      ELBv2.RegisterTargets failed in run clusters: throttled
      · 1 of 1 times here, 0 of 1 times in good traces

      call        ELBv2.RegisterTargets
      span        SPAN

      compared with 2 good traces of clusters run clusters; the last:
      TRACE
      fixpoint diff TRACE TRACE
      only 2 good traces of clusters run clusters are stored: what is usual is
      uncertain
      URL/traces/TRACE
    ");
    let lacking = server.fixpoint(&["why", &"a2".repeat(16), "-o", "json"]);
    let lacking: Why = json(&lacking);
    assert_eq!((lacking.baseline.good, lacking.run), (2, None));
    // Two are too few to miss a call by.
    let said = server.fixpoint(&["why", "a2a2a2a2"]);
    assert!(said.starts_with("exit 0\n-- stdout\nclusters run clusters\ntrace a2a2"), "{said}");
    assert!(said.contains("\n  nothing differs from 2 good traces\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_explained_and_what_to_do_is_said() {
    let server = Searched::new().await;
    insta::assert_snapshot!(server.fixpoint(&["why", "nothing"]), @r"
    exit 2
    -- stderr
    error: `nothing` occurs in no trace, run or resource
    Hint: ids of traces and spans may be cut to their first 8 digits, others must be whole
    ");
    assert!(server.fixpoint(&["why", &"ff".repeat(16)]).starts_with("exit 2\n"));
    assert!(fixpoint(&["why", "idg", "--url", "http://127.0.0.1:9"]).starts_with("exit 3\n"));
    assert!(fixpoint(&["why"]).starts_with("exit 2\n"));
}
