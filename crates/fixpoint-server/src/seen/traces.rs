//! Traces and log lines, as far as a caller may see them.
//!
//! Each span and line says whose it is (`semconv::TENANT`), and a tenant is answered as if there
//! were no others in the store: a trace to which several contribute looks to each of them like its
//! own part. Not here: who puts the mark there (the runner's span and the guard's for our own,
//! `http/receive/` for what is sent). The surprise: what is counted over all traces is for callers
//! without a tenant alone, since it is kept by service and operation and not by tenant.

use std::sync::Arc;

use fixpoint_trace::{
    model::{LogRecord, Record, Trace, TraceId},
    store::{LogQuery, StoreError, TracePage, TraceQuery, TraceStore, TraceSummary},
};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Sealed;
use crate::access::Scope;

/// Reads traces and log lines. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SeenTraces {
    traces: Arc<dyn TraceStore>,
    scope: Scope,
}

impl SeenTraces {
    pub(crate) fn new(traces: &Sealed<Arc<dyn TraceStore>>, scope: Scope) -> Self {
        Self { traces: Arc::clone(&traces.0), scope }
    }

    /// The trace as it now is, or none if nothing of it is known.
    pub(crate) async fn trace(&self, id: TraceId) -> Result<Option<Trace>, StoreError> {
        let trace = self.traces.trace(id).await?;
        Ok(trace.and_then(|trace| self.scope.part(trace)))
    }

    /// Summaries of the traces that match, newest first.
    pub(crate) async fn search(&self, query: TraceQuery) -> Result<TracePage, StoreError> {
        let tenant = self.scope.tenant().map(str::to_owned);
        self.traces.search(&TraceQuery { tenant, ..query }).await
    }

    /// Traces in which an id occurs, newest first.
    pub(crate) async fn find(
        &self,
        id: &str,
        limit: usize,
    ) -> Result<Vec<TraceSummary>, StoreError> {
        self.traces.find(id, self.scope.tenant(), limit).await
    }

    /// Log lines, newest last.
    pub(crate) async fn logs(&self, query: LogQuery) -> Result<Vec<LogRecord>, StoreError> {
        let tenant = self.scope.tenant().map(str::to_owned);
        self.traces.logs(&LogQuery { tenant, ..query }).await
    }

    /// Every record from now on.
    pub(crate) fn follow(&self) -> Followed {
        Followed { records: self.traces.follow(), scope: self.scope.clone() }
    }

    /// The whole store, if its caller may see all of it.
    pub(crate) fn whole(&self) -> Result<&dyn TraceStore, NotYours> {
        match self.scope.tenant() {
            None => Ok(&*self.traces),
            Some(tenant) => Err(NotYours { tenant: tenant.to_owned() }),
        }
    }
}

/// What is asked for is not kept by tenant.
#[derive(Debug, thiserror::Error)]
#[error("this is of all tenants, and the token is of tenant {tenant}")]
pub(crate) struct NotYours {
    pub(crate) tenant: String,
}

/// Records as they are stored, those of a scope.
#[derive(Debug)]
pub(crate) struct Followed {
    records: Receiver<Arc<Vec<Record>>>,
    scope: Scope,
}

impl Followed {
    /// The next that match, perhaps none.
    pub(crate) async fn next(
        &mut self,
        wanted: impl Fn(&Record) -> bool,
    ) -> Result<Vec<Record>, RecvError> {
        let records = self.records.recv().await?;
        let ours = records.iter().filter(|record| self.scope.shows(record) && wanted(record));
        Ok(ours.cloned().collect())
    }
}

impl Scope {
    /// What of a trace is in it; none if nothing is.
    pub(crate) fn part(&self, trace: Trace) -> Option<Trace> {
        match self.tenant() {
            Some(tenant) => trace.part_of(tenant),
            None => Some(trace),
        }
    }

    fn shows(&self, record: &Record) -> bool {
        self.tenant().is_none_or(|tenant| record.tenant() == Some(tenant))
    }
}
