//! Errors without a server: what failed, why, what to do, and the exit code.

use std::process::Stdio;

use crate::support::{command, fixpoint, run, same};

#[test]
fn a_server_that_is_not_there_is_exit_3_with_a_hint() {
    // Port 9 is the discard service's; nothing listens there.
    let said = fixpoint(&["get", "--url", "http://127.0.0.1:9"]);
    insta::assert_snapshot!(said, @r"
    exit 3
    -- stderr
    error: the server at http://127.0.0.1:9 is not reachable
      because: Connection refused (os error 111)
    Hint: is the server running? Start one with `fixpoint dev`, or name another with --url or FIXPOINT_URL
    ");
}

#[test]
fn an_address_that_is_none_is_wrong_use() {
    insta::assert_snapshot!(fixpoint(&["runs", "--url", "localhost:7171"]), @r"
    exit 2
    -- stderr
    error: `localhost:7171` is not the address of a server, such as http://127.0.0.1:7171
    Hint: set it with --url or FIXPOINT_URL
    ");
}

#[test]
fn a_mistyped_command_gets_a_suggestion() {
    insta::assert_snapshot!(fixpoint(&["aply"]), @r"
    exit 2
    -- stderr
    error: unrecognized subcommand 'aply'

      tip: a similar subcommand exists: 'apply'

    Usage: fixpoint [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn a_state_that_is_none_is_told_the_states() {
    insta::assert_snapshot!(fixpoint(&["runs", "--state", "done"]), @r"
    exit 2
    -- stderr
    error: invalid value 'done' for '--state <STATE>': one of pending, running, waiting, paused, converged, failed, not_converging, cancelled

    For more information, try '--help'.
    ");
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let args = ["serve", "--auth", "off", "--listen", "0.0.0.0:0", "--region", "eu-west-1"];
    let said = fixpoint(&args);
    insta::assert_snapshot!(said, @r"
    exit 2
    -- stderr
    error: 0.0.0.0:0 can be reached by others, and nobody has to sign in
    Hint: give --auth on, listen on 127.0.0.1, or say --allow-remote-without-auth
    ");
}

#[test]
fn faults_are_not_for_real_aws() {
    insta::assert_snapshot!(fixpoint(&["serve", "--faults", "faults.yaml"]), @r"
    exit 2
    -- stderr
    error: --faults are for the sandbox, and this is no sandbox
    Hint: start one with `fixpoint dev --faults FILE`
    ");
}

#[test]
fn a_faults_file_with_a_mistake_is_shown_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.yaml");
    std::fs::write(&file, "rules:\n  - operation: EC2.*\n    fault: {kind: nonsense}\n").unwrap();
    let said = fixpoint(&["dev", "--faults", file.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
    let said = said.replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(said, @r"
    exit 2
    -- stderr
    error: DIR/faults.yaml holds no fault rules
      because: line 3 column 13: unknown variant `nonsense`, expected one of error, throttle, timeout, lost_answer, stale_read, empty_page, swallowed, slow
       --> <input>:3:13
        |
      1 | rules:
      2 |   - operation: EC2.*
      3 |     fault: {kind: nonsense}
        |             ^ unknown variant `nonsense`, expected one of error, throttle, timeout, lost_answer, stale_read, empty_page, swallowed, slow
    Hint: examples/faults.yaml shows what a rule can say
    ");
}

#[test]
fn a_document_without_a_name_is_wrong_use_from_a_file_and_from_stdin() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, "nodes: 3\n").unwrap();
    let said = fixpoint(&["apply", "-f", file.to_str().unwrap()]);
    let said = said.replace(folder.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(said, @r"
    exit 2
    -- stderr
    error: document 1 of DIR/cluster.yaml has no `name`
    Hint: a document says `name: idg` and fields such as `nodes: 3`; see `fixpoint apply --help`
    ");
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
