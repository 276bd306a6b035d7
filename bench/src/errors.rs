//! How the programs end when something went wrong.

use std::{
    error::Error,
    fmt::Write as _,
    io::{self, Write as _},
    process::ExitCode,
};

/// What went wrong, for whoever started the program.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The exit code of a program; what went wrong is told on stderr, with its causes.
pub fn exit_code(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // Nobody may be listening any more.
        let _ = writeln!(io::stderr(), "error: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

/// An error with its causes, in a line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
