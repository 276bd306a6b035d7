//! Following changes.
//!
//! Not here: where they come from. The surprise: a watcher that falls behind is not waited for. It
//! is told that it missed something, and has to read again.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use tokio::sync::broadcast;
#[cfg(feature = "etcd")]
use tokio::{sync::mpsc, task::JoinSet};

use super::Version;

/// How many changes a watcher may fall behind before it is told to read again.
pub(super) const WATCH_BUFFER: usize = 1024;

/// A change that a watcher is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub key: String,
    /// The new value; none if the key was deleted.
    pub value: Option<Bytes>,
    /// The commit that made the change.
    pub version: Version,
}

/// What [`Watch::next`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watched {
    /// Something changed.
    Changed(Change),
    /// Changes were missed: read again.
    Lagged,
}

/// Follows the changes under a prefix.
#[derive(Debug)]
pub struct Watch(Source);

#[derive(Debug)]
enum Source {
    /// All changes of a store in this process.
    Here { prefix: String, changes: broadcast::Receiver<Arc<Vec<Change>>>, ready: VecDeque<Change> },
    /// What a task hears from a store elsewhere. It ends with this.
    #[cfg(feature = "etcd")]
    There { heard: mpsc::Receiver<Watched>, _listener: JoinSet<()> },
}

impl Watch {
    pub(super) fn here(prefix: &str, changes: broadcast::Receiver<Arc<Vec<Change>>>) -> Self {
        Self(Source::Here { prefix: prefix.to_owned(), changes, ready: VecDeque::new() })
    }

    #[cfg(feature = "etcd")]
    pub(super) fn there(heard: mpsc::Receiver<Watched>, listener: JoinSet<()>) -> Self {
        Self(Source::There { heard, _listener: listener })
    }

    /// The next change; none once the store is closed. Safe to drop while it waits.
    pub async fn next(&mut self) -> Option<Watched> {
        let (prefix, changes, ready) = match &mut self.0 {
            Source::Here { prefix, changes, ready } => (prefix, changes, ready),
            #[cfg(feature = "etcd")]
            Source::There { heard, .. } => return heard.recv().await,
        };
        loop {
            if let Some(change) = ready.pop_front() {
                return Some(Watched::Changed(change));
            }
            match changes.recv().await {
                Ok(changes) => {
                    let ours = changes.iter().filter(|c| c.key.starts_with(&**prefix));
                    ready.extend(ours.cloned());
                }
                Err(broadcast::error::RecvError::Lagged(_)) => return Some(Watched::Lagged),
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
