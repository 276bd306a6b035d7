//! Traces in memory, for tests: the plainest store that keeps the contract.
//!
//! Not for production: nothing is ever forgotten, and everything is searched from end to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::{
    FOLLOW, LogQuery, RateQuery, Rates, Stats, StoreError, TracePage, TraceQuery, TraceStore,
    TraceSummary, rollup::Rollup, summary::Tally, tokens,
};
use crate::model::{LogRecord, Record, Span, Trace, TraceId, UnixNanos};

/// A trace store that is gone with the process.
#[derive(Debug)]
pub struct MemoryStore {
    records: Mutex<Vec<Record>>,
    pins: Mutex<BTreeSet<TraceId>>,
    followers: broadcast::Sender<Arc<Vec<Record>>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            pins: Mutex::default(),
            followers: broadcast::Sender::new(FOLLOW),
        }
    }
}

impl MemoryStore {
    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All traces or, with a tenant, that tenant's part of each, summed up; newest first, each with
    /// the start of all of it.
    fn summed_up(&self, tenant: Option<&str>) -> Vec<(UnixNanos, TraceSummary, Trace)> {
        let mut traces: BTreeMap<TraceId, Trace> = BTreeMap::new();
        for span in self.spans() {
            traces.entry(span.trace_id).or_default().spans.push(span);
        }
        for record in self.records().iter() {
            if let Record::Log(log) = record
                && let Some(id) = log.trace_id
            {
                traces.entry(id).or_default().logs.push(log.clone());
            }
        }
        let mut found = Vec::new();
        for (id, trace) in traces {
            let start = Tally::of(id, &trace).into_summary().start;
            let part = tenant.map_or(Some(trace.clone()), |tenant| trace.part_of(tenant));
            let Some(mut trace) = part else { continue };
            trace.sort();
            found.push((start, Tally::of(id, &trace).into_summary(), trace));
        }
        found.sort_by_key(|(start, summary, _)| std::cmp::Reverse((*start, summary.trace_id)));
        found
    }

    fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for record in self.records().iter() {
            if let Record::Span(span) = record {
                spans.retain(|known| known.context() != span.context());
                spans.push(span.clone());
            }
        }
        spans
    }
}

#[async_trait]
impl TraceStore for MemoryStore {
    async fn append(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut all = self.records();
        all.extend_from_slice(records);
        // Nobody may be following.
        let _ = self.followers.send(Arc::new(records.to_vec()));
        Ok(())
    }

    async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let mut trace = Trace { spans: self.spans(), ..Trace::default() };
        trace.spans.retain(|span| span.trace_id == id);
        trace.logs = self
            .logs(&LogQuery { trace_id: Some(id), limit: usize::MAX, ..LogQuery::default() })
            .await?;
        trace.sort();
        Ok((trace != Trace::default()).then_some(trace))
    }

    async fn search(&self, query: &TraceQuery) -> Result<TracePage, StoreError> {
        let mut found = Vec::new();
        for (start, summary, trace) in self.summed_up(query.tenant.as_deref()) {
            let lines_alone = query.tenant.is_some() && trace.spans.is_empty();
            if query.spans_over(start, summary.trace_id)
                && !lines_alone
                && query.filter.matches(&trace)
            {
                found.push((start, summary));
            }
        }
        let more = found.len() > query.limit();
        found.truncate(query.limit());
        let next = found.last().filter(|_| more).map(|(start, last)| (*start, last.trace_id));
        let items = found.into_iter().map(|(_, summary)| summary).collect();
        Ok(TracePage { items, next, partial: None })
    }

    async fn find(
        &self,
        id: &str,
        tenant: Option<&str>,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        let wanted = tokens::normal(id);
        let mut traces = Vec::new();
        let told = |record: &&Record| tenant.is_none() || record.tenant() == tenant;
        for record in self.records().iter().filter(told) {
            tokens::words(record, &mut |word| {
                let prefix = wanted.len() >= tokens::PREFIX && word.starts_with(&*wanted);
                if !wanted.is_empty() && (prefix || word == wanted) {
                    traces.extend(record.trace_id());
                }
            });
        }
        let found = self.summed_up(tenant).into_iter().map(|(_, summary, _)| summary);
        Ok(found.filter(|summary| traces.contains(&summary.trace_id)).take(limit).collect())
    }

    async fn open_spans(&self) -> Result<Vec<Span>, StoreError> {
        let mut spans = self.spans();
        spans.retain(|span| span.end.is_none());
        spans.sort_by_key(|span| span.start);
        Ok(spans)
    }

    fn follow(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.followers.subscribe()
    }

    async fn logs(&self, query: &LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        let mut logs: Vec<_> = self
            .records()
            .iter()
            .filter_map(|record| match record {
                Record::Log(log) => Some(log.clone()),
                Record::Span(_) => None,
            })
            .filter(|log| query.trace_id.is_none_or(|id| log.trace_id == Some(id)))
            .filter(|log| query.takes(log))
            .collect();
        logs.sort_by_key(|log| log.time);
        Ok(logs.split_off(logs.len().saturating_sub(query.limit())))
    }

    async fn rates(&self, query: &RateQuery) -> Result<Vec<Rates>, StoreError> {
        let mut rollup = Rollup::default();
        self.spans().iter().for_each(|span| rollup.add(span));
        Ok(rollup.rates(query))
    }

    async fn attributes(
        &self,
        name: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut found = BTreeSet::new();
        for span in self.spans() {
            for (key, value) in span.attributes.iter().chain(span.resource.iter()) {
                match name {
                    None => found.insert(key.clone()),
                    Some(name) => name == key && found.insert(value.to_text().into_owned()),
                };
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    async fn pin(&self, id: TraceId, pinned: bool) -> Result<(), StoreError> {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if pinned {
            pins.insert(id)
        } else {
            pins.remove(&id)
        };
        Ok(())
    }

    async fn pins(&self) -> Result<Vec<TraceId>, StoreError> {
        Ok(self.pins.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect())
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        // Each locks the records for itself, so not in one expression.
        let spans = self.spans().len();
        let logs = self.records().iter().filter(|it| matches!(it, Record::Log(_))).count();
        Ok(Stats {
            spans: spans as u64,
            logs: logs as u64,
            oldest: self.summed_up(None).last().map(|(start, ..)| *start),
            ..Stats::default()
        })
    }
}
