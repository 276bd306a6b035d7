//! `--help` and completions: what a newcomer reads first.

use crate::support::fixpoint;

const COMMANDS: [&str; 25] = [
    "demo",
    "dev",
    "serve",
    "apply",
    "get",
    "delete",
    "plan",
    "verify",
    "runs",
    "cancel",
    "pause",
    "resume",
    "retry",
    "replan",
    "skip",
    "trace",
    "logs",
    "find",
    "search",
    "services",
    "operations",
    "pin",
    "unpin",
    "webhook",
    "completions",
];

#[test]
fn help_names_every_command_examples_and_exit_codes() {
    insta::assert_snapshot!(fixpoint(&["--help"]));
}

#[test]
fn help_of_apply_says_what_a_document_is() {
    insta::assert_snapshot!(fixpoint(&["apply", "--help"]));
}

#[test]
fn help_of_dev_says_how_to_misbehave() {
    insta::assert_snapshot!(fixpoint(&["dev", "--help"]));
}

#[test]
fn every_command_has_examples_and_fits_100_columns() {
    for command in COMMANDS {
        let help = fixpoint(&[command, "--help"]);
        assert!(help.starts_with("exit 0\n"), "{command}: {help}");
        assert!(help.contains("\nExamples:\n"), "{command} shows no examples");
        assert!(
            help.contains(&format!("  fixpoint {command}")),
            "{command} is not in its examples"
        );
        let longest = help.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{command}: {longest:?} columns\n{help}");
    }
}

#[test]
fn completions_know_every_command_in_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = fixpoint(&["completions", shell]);
        assert!(script.starts_with("exit 0\n"), "{shell}");
        for command in COMMANDS {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}
