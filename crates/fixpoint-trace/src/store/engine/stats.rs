//! What the store holds, and what that takes.
//!
//! The surprise: a span that came again, and so lies in two places, is counted in both; to know
//! better, everything would have to be read.

use std::sync::atomic::Ordering::Relaxed;

use super::{Shared, State, write::read};
use crate::store::{BucketStats, Stats};

impl Shared {
    pub(super) fn stats(&self) -> Stats {
        let state = self.state();
        let mut stats = Stats {
            rejected: self.counts.rejected.load(Relaxed),
            overloaded: self.counts.overloaded.load(Relaxed),
            expired: self.counts.expired.load(Relaxed),
            segments: state.segments.len() as u64,
            ..Stats::default()
        };
        for segment in state.segments.iter() {
            let meta = segment.meta();
            stats.spans += meta.spans;
            stats.logs += meta.logs;
            stats.bytes += meta.bytes;
            stats.oldest = Some(stats.oldest.map_or(meta.min_start, |it| it.min(meta.min_start)));
        }
        for table in &state.tables {
            let table = read(table);
            stats.spans += table.spans() as u64;
            stats.logs += table.logs() as u64;
            stats.bytes += table.journal().len();
            if let Some(oldest) = table.oldest() {
                stats.oldest = Some(stats.oldest.map_or(oldest, |it| it.min(oldest)));
            }
        }
        stats.bucket = self.bucket_stats(&state);
        stats
    }

    fn bucket_stats(&self, state: &State) -> Option<BucketStats> {
        let (remote, bucket) = (self.remote.as_ref()?, self.options.bucket.as_ref()?);
        let unpublished = self.manifest().bucket.as_ref().map_or(0, |it| it.unpublished.len());
        Some(BucketStats {
            name: bucket.name().to_owned(),
            unpublished: unpublished as u64,
            absent: state.absent.len() as u64,
            held: state.segments.iter().map(|segment| segment.held()).sum(),
            failures: remote.failures.load(Relaxed),
            error: remote.error(),
        })
    }
}
