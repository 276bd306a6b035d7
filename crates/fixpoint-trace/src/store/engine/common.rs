//! The manifest in the bucket: which segments all servers share.
//!
//! One object, replaced only by whoever has read the one that is there. Not here: when it is read
//! and written (`exchange.rs`). The surprise: it names the last segment that each server
//! published. A server that died before it heard that its change was made finds it there, and does
//! not make it again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::manifest::Entry;
use crate::{
    model::{self, TraceId, UnixNanos},
    store::BoxError,
};

const VERSION: u32 = 1;

/// What servers share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Common {
    version: u32,
    /// From old to new: of a span that is in two, the later one counts.
    pub(super) segments: Vec<Entry>,
    /// Traces that are kept past the retention.
    #[serde(default)]
    pub(super) pins: BTreeSet<TraceId>,
    /// Segments that are not named any more, and whose files are still there for those who read.
    #[serde(default)]
    pub(super) removed: Vec<Removed>,
    /// Of each server, the last segment that it published.
    #[serde(default)]
    pub(super) published: BTreeMap<String, u64>,
}

/// A segment that was merged, or is past the retention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Removed {
    pub(super) id: u64,
    /// When that happened.
    pub(super) at: UnixNanos,
}

impl Default for Common {
    fn default() -> Self {
        Self {
            version: VERSION,
            segments: Vec::new(),
            pins: BTreeSet::new(),
            removed: Vec::new(),
            published: BTreeMap::new(),
        }
    }
}

impl Common {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BoxError> {
        let common: Self = serde_json::from_slice(bytes)?;
        match common.version {
            VERSION => Ok(common),
            other => Err(format!("version {other}").into()),
        }
    }

    /// Whether it names the segment, or did a moment ago.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.segments.iter().any(|entry| entry.id == id)
            || self.removed.iter().any(|removed| removed.id == id)
    }

    /// Puts a segment, or none, in the place of others, which stand one after the other. False if
    /// they do not any more.
    pub(super) fn replace(&mut self, ids: &[u64], by: Option<&Entry>) -> bool {
        let same = |run: &[Entry]| run.iter().map(|entry| entry.id).eq(ids.iter().copied());
        let Some(at) = self.segments.windows(ids.len().max(1)).position(same) else { return false };
        self.segments.splice(at..at + ids.len(), by.cloned());
        let now = model::now();
        self.removed.extend(ids.iter().map(|&id| Removed { id, at: now }));
        true
    }
}
