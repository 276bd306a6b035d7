//! Comparing traces from the command line: what is said, and the exit codes, which are diff(1)'s.

use fixpoint_client::{DifferenceKind, TraceDiff};

use crate::search::Searched;

const GOOD: &str = "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";
const FAILED: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
const LACKING: &str = "a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2";

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_and_the_exit_code_says_that_something_does() {
    let server = Searched::new().await;
    let said = server.fixpoint(&["diff", GOOD, LACKING]);
    assert!(said.starts_with("exit 1\n"), "{said}");
    assert!(said.contains("\n1 missing\n"), "{said}");
    assert!(said.contains("- missing   ELBv2.RegisterTargets"), "{said}");
    assert!(said.contains("in run clusters"), "{said}");
    assert!(said.contains(&format!("/traces/{GOOD}/diff/{LACKING}")), "{said}");
    assert!(!said.contains("error:"), "{said}");

    let said = server.fixpoint(&["diff", GOOD, FAILED]);
    assert!(said.contains("- failed    ELBv2.RegisterTargets"), "{said}");
    assert!(said.contains("status: ok → throttled"), "{said}");

    let said = server.fixpoint(&["diff", GOOD, GOOD]);
    assert!(said.starts_with("exit 0\n") && said.contains("nothing differs"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_data_for_programs() {
    let server = Searched::new().await;
    let said = server.fixpoint(&["diff", LACKING, GOOD, "-o", "json"]);
    let json = said.split_once("stdout\n").unwrap().1;
    let diff: TraceDiff = serde_json::from_str(json).unwrap();
    assert_eq!(diff.differences.len(), 1);
    assert_eq!(diff.differences[0].kind, DifferenceKind::Extra);
    assert_eq!(diff.counts.extra, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_trouble_with_a_way_out() {
    let server = Searched::new().await;
    let said = server.fixpoint(&["diff", GOOD, "nothing"]);
    assert!(said.starts_with("exit 2\n") && said.contains("Hint:"), "{said}");
    let said = server.fixpoint(&["diff", GOOD]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(
        said.contains("there is no good run") && said.contains("fixpoint diff GOOD BAD"),
        "{said}"
    );
}
