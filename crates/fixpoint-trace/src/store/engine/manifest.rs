//! Which segments make up the store: one small file, replaced whole.
//!
//! Not here: what is in a segment. The surprise: a segment exists only once the manifest names it;
//! files that it does not name are left over from a crash, and are removed at the next start.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::split::Split;
use crate::{
    model::TraceId,
    store::{
        file,
        segment::{self, Meta},
    },
};

const VERSION: u32 = 1;

/// The state of the store, without what the logs hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// From old to new: of a span that is in two, the later one counts.
    pub(super) segments: Vec<Entry>,
    /// The number of the next segment.
    next: u64,
    /// Logs up to this number are sealed.
    pub(super) sealed: u64,
    /// Traces that are kept past the retention.
    #[serde(default)]
    pub(super) pins: BTreeSet<TraceId>,
    /// The bucket that the segments are shared through, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bucket: Option<Membership>,
}

/// What a server with a folder of its own is to a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Membership {
    /// The bucket's name.
    pub(super) name: String,
    /// What the server is called there.
    pub(super) server: String,
    /// Segments that are only here so far. They are younger than all that are in the bucket.
    pub(super) unpublished: Vec<u64>,
    /// Pins that the bucket does not know of yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) pins: BTreeSet<TraceId>,
}

/// One segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) id: u64,
    /// How often its spans have been merged: 0 as they were sealed.
    pub(super) level: u32,
    /// What is left of one that is past the retention: the traces that were pinned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) only_pinned: bool,
    /// Traces of which older segments hold something, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) split: Vec<Split>,
    #[serde(flatten)]
    pub(super) meta: Meta,
}

/// The folder holds something else, or something newer.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {why}", path.display())]
struct Unreadable {
    path: PathBuf,
    why: String,
}

impl Manifest {
    /// Reads it; an empty one if there is none.
    pub(super) fn load(folder: &Path) -> io::Result<Self> {
        let path = path(folder);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, next: 1, ..Self::default() });
            }
            Err(error) => return Err(error),
        };
        let unreadable = |why| io::Error::new(io::ErrorKind::InvalidData, Unreadable { path, why });
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(manifest) if manifest.version == VERSION => Ok(manifest),
            Ok(manifest) => Err(unreadable(format!("version {}", manifest.version))),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// Writes it; from then on it holds.
    pub(super) fn save(&self, folder: &Path) -> io::Result<()> {
        file::replace(&path(folder), &serde_json::to_vec_pretty(self)?)
    }

    /// A number for a new segment. Servers that share a bucket draw theirs, since a segment must be
    /// sealed also while they cannot agree: of 16 digits, and exact in any reader of JSON.
    pub(super) fn number(&mut self) -> u64 {
        if self.bucket.is_some() {
            return fastrand::u64(1_000_000_000_000_000..1 << 53);
        }
        self.next += 1;
        self.next - 1
    }

    /// The traces that lie in several segments.
    pub(super) fn split(&self) -> Arc<Vec<Split>> {
        Arc::new(self.segments.iter().flat_map(|entry| entry.split.iter().copied()).collect())
    }

    /// Those that may be merged and removed: with a bucket, those that are in it.
    pub(super) fn settled(&self) -> &[Entry] {
        let unpublished = self.bucket.as_ref().map_or(0, |bucket| bucket.unpublished.len());
        &self.segments[..self.segments.len().saturating_sub(unpublished)]
    }

    /// Whether a segment is only here so far.
    pub(super) fn is_unpublished(&self, id: u64) -> bool {
        self.bucket.as_ref().is_some_and(|bucket| bucket.unpublished.contains(&id))
    }

    /// Removes the files of segments that it does not name.
    pub(super) fn sweep(&self, folder: &Path) -> io::Result<()> {
        let named: BTreeSet<u64> = self.segments.iter().map(|entry| entry.id).collect();
        segment::sweep(folder, &|id| named.contains(&id))
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("manifest.json")
}
