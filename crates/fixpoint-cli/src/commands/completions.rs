//! `fixpoint completions`: what a shell needs to complete our arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Cli, error::Result, output::Output};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint completions bash > ~/.local/share/bash-completion/completions/fixpoint
  fixpoint completions fish > ~/.config/fish/completions/fixpoint.fish
  fixpoint completions zsh > \"${fpath[1]}/_fixpoint\"";

impl Args {
    pub(crate) fn run(self, output: &Output) -> Result {
        // Into memory first: writing to a pipe that nobody reads would panic.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "fixpoint", &mut script);
        Ok(output.text(String::from_utf8_lossy(&script))?)
    }
}
