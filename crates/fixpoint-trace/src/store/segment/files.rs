//! The files of a segment in the store's folder: their names, and what is done with them as files.
//!
//! Not here: what is in them. The surprise: in a bucket they have the same names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::store::bucket::PART_OF_A_FILE;

/// The files of a segment.
#[derive(Debug, Clone)]
pub(in super::super) struct Files {
    pub(super) spans: PathBuf,
    pub(super) logs: PathBuf,
    pub(in super::super) index: PathBuf,
}

impl Files {
    pub(in super::super) fn of(folder: &Path, id: u64) -> Self {
        let path = |end| folder.join(format!("segment-{id:08}.{end}"));
        Self { spans: path("parquet"), logs: path("logs.parquet"), index: path("index") }
    }

    /// All of them, the index last: whoever finds it finds the others. There are no lines if the
    /// segment has none.
    pub(in super::super) fn all(&self, logs: bool) -> impl Iterator<Item = &Path> {
        [&self.spans, &self.logs, &self.index]
            .into_iter()
            .filter(move |path| logs || **path != self.logs)
            .map(PathBuf::as_path)
    }

    /// Removes them. Whoever has them open can still read them.
    pub(in super::super) fn remove(&self) -> io::Result<()> {
        self.all(true).try_for_each(remove)
    }

    /// Gives them the names of another segment as well.
    pub(in super::super) fn link(&self, other: &Self, logs: bool) -> io::Result<()> {
        for (from, to) in self.all(logs).zip(other.all(logs)) {
            // Not every file system can; and a crash may have left what was linked before.
            remove(to)?;
            fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))?;
        }
        Ok(())
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The number of the segment that has a file of this name.
pub(in super::super) fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("segment-")?.split('.').next()?.parse().ok()
}

/// Removes files of segments that are not to be kept: what a crash left unfinished.
pub(in super::super) fn sweep(folder: &Path, keep: &dyn Fn(u64) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(text) = name.to_str() else { continue };
        let Some(id) = number_of(text) else { continue };
        if !keep(id) || text.ends_with(PART_OF_A_FILE) {
            fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}
