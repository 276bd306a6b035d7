//! Learns from traces of others once they have come to rest, from some of them.
//!
//! A trace of others has no end that anybody tells: its spans come from several senders, in any
//! order. It is taken to be at rest if all its spans have ended and nothing has come to it for ten
//! seconds. Not here: traces of runs, which end by themselves. The surprise: it costs ingest
//! nothing. The store is asked for the newest traces every two seconds, and for each 32 spans that
//! have come since, one is learned from.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use fixpoint_trace::{
    model::{TraceId, UnixNanos},
    store::{TraceQuery, TraceSummary},
};
use tokio::time::Instant;

use super::{Baselines, Of, read::Lesson};
use crate::{access::Scope, runner, why::Unexplained};

/// How often the newest traces are looked at.
pub(super) const EVERY: Duration = Duration::from_secs(2);

/// How long nothing must have come to a trace.
const REST: Duration = Duration::from_secs(10);

/// How many of the newest are looked at,
const OFFERED: usize = 50;

/// how many of those may be of one operation,
const ALIKE: usize = 2;

/// and how many may wait until they have come to rest.
const NOTED: usize = 256;

/// One span in so many that come is learned from, which is far less work than taking them in,
const SHARE: u64 = 32;

/// and in any case so many at each look, or little would be learned where little comes.
const ANYWAY: u64 = 250;

/// How many spans may be saved up for.
const SAVED: u64 = 20_000;

/// Traces that may be learned from.
#[derive(Debug, Default)]
pub(super) struct Resting {
    /// As they were at that time, the oldest first.
    noted: VecDeque<(Instant, TraceSummary)>,
    /// How many spans the store held.
    stored: Option<u64>,
    /// How many spans may still be learned from.
    credit: u64,
    /// Those of the newest that are of runs.
    ours: HashSet<TraceId>,
}

impl Resting {
    /// Learns from what has come to rest, and notes what may have by the next time.
    pub(super) async fn look(
        &mut self,
        baselines: &Baselines,
        now: Instant,
    ) -> Result<(), Unexplained> {
        let stored = baselines.reader.traces.stats().await?.spans;
        // What the retention has removed meanwhile is not seen as having come.
        let came = self.stored.replace(stored).map_or(0, |before| stored.saturating_sub(before));
        self.credit = (self.credit + ANYWAY + came / SHARE).min(SAVED);
        while let Some((since, summary)) = self.noted.front()
            && now.duration_since(*since) >= REST
            && u64::from(summary.spans) <= self.credit
        {
            let Some((_, summary)) = self.noted.pop_front() else { break };
            self.credit -= u64::from(summary.spans);
            learn_from(baselines, summary).await?;
        }
        if self.noted.len() < NOTED {
            self.note(baselines, now).await?;
        }
        Ok(())
    }

    async fn note(&mut self, baselines: &Baselines, now: Instant) -> Result<(), Unexplained> {
        // The very newest are still going on, most of them.
        let rested = runner::now().saturating_sub(REST.as_nanos() as UnixNanos);
        let query = TraceQuery { until: Some(rested), limit: OFFERED, ..TraceQuery::default() };
        let mut alike: Vec<Of> = Vec::new();
        let newest = baselines.reader.traces.search(&query).await?.items;
        self.ours.retain(|ours| newest.iter().any(|summary| summary.trace_id == *ours));
        for summary in newest {
            let Some(lesson) = Lesson::of_trace(&Scope::WHOLE, &summary) else { continue };
            let of = Of::operation(&Scope::WHOLE, &summary);
            if summary.root.is_none()
                || u64::from(summary.spans) > SAVED
                || alike.iter().filter(|other| **other == of).count() >= ALIKE
                || self.noted.iter().any(|(_, noted)| noted.trace_id == summary.trace_id)
                || baselines.kept.knows(&of, lesson.id())
                || self.ours.contains(&summary.trace_id)
            {
                continue;
            }
            if !baselines.reader.records.runs_in(lesson.id()).await?.is_empty() {
                self.ours.insert(summary.trace_id);
                continue;
            }
            alike.push(of);
            self.noted.push_back((now, summary));
        }
        Ok(())
    }
}

async fn learn_from(baselines: &Baselines, summary: TraceSummary) -> Result<(), Unexplained> {
    let of = Of::operation(&Scope::WHOLE, &summary);
    let Some(slot) = baselines.kept.spare_slot(&of) else { return Ok(()) };
    if let Some(lesson) = Lesson::of_trace(&Scope::WHOLE, &summary) {
        baselines.reader.read_one(&slot, lesson.at_rest(summary)).await?;
        baselines.kept.trim(&of);
    }
    Ok(())
}
