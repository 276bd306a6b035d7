//! Errors without a server: what failed, why, what to do, and the exit code.

use std::process::Stdio;

use crate::support::{command, fixpoint, run, same};

#[test]
fn a_server_that_is_not_there_is_exit_3_with_a_hint() {
    // Port 9 is the discard service's; nothing listens there.
    let said = fixpoint(&["get", "--url", "http://127.0.0.1:9"]);
    insta::assert_snapshot!(said, @"");
}

#[test]
fn an_address_that_is_none_is_wrong_use() {
    insta::assert_snapshot!(fixpoint(&["runs", "--url", "localhost:7171"]), @"");
}

#[test]
fn a_mistyped_command_gets_a_suggestion() {
    insta::assert_snapshot!(fixpoint(&["aply"]), @"");
}

#[test]
fn a_state_that_is_none_is_told_the_states() {
    insta::assert_snapshot!(fixpoint(&["runs", "--state", "done"]), @"");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let said = fixpoint(&["serve", "--listen", "0.0.0.0:0", "--region", "eu-west-1"]);
    insta::assert_snapshot!(said, @"");
}

#[test]
fn faults_are_not_for_real_aws() {
    insta::assert_snapshot!(fixpoint(&["serve", "--faults", "faults.yaml"]), @"");
}

#[test]
fn a_faults_file_with_a_mistake_is_shown_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.yaml");
    std::fs::write(&file, "rules:\n  - operation: EC2.*\n    fault: {kind: nonsense}\n").unwrap();
    let said = fixpoint(&["dev", "--faults", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let said = said.replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_document_without_a_name_is_wrong_use_from_a_file_and_from_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, "nodes: 3\n").unwrap();
    let said = fixpoint(&["apply", "-f", file.to_str().unwrap()]);
    let said = said.replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(said, @"");
    assert!(fixpoint(&["apply", "-f", "-"]).contains("standard input holds no document"));
    assert!(fixpoint(&["apply", "-f", "/nowhere.yaml"]).starts_with("exit 2\n"));
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let args = ["get", "--url", "http://127.0.0.1:9"];
    let escape = '\u{1b}';
    assert!(!fixpoint(&args).contains(escape));
    let mut always = command();
    always.args(args).args(["--color", "always"]).stdout(Stdio::piped());
    assert!(same(&run(&mut always)).contains(escape));
}
