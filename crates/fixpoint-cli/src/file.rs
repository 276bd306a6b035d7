//! Reads the files that options name.
//!
//! Not here: documents to apply, which may come from standard input (`document.rs`).

use std::path::Path;

use crate::error::{CliError, Result};

pub(crate) fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        CliError::usage_because(format!("{} could not be read", file.display()), error)
    })
}
