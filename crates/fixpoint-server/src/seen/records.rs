//! Resources and runs, as far as a caller may see them.
//!
//! The surprise: what is outside is told in the same way as what does not exist, and is not even
//! looked up where its name says whose it is.

use fixpoint_client::{Resource, Run, RunState};

use super::Sealed;
use crate::{
    access::Scope,
    records::{Of, Page, Records, ResourceKey, Stored},
    resource::ResourceRecord,
    run::RunRecord,
    store::{StoreError, Watch},
};

/// Reads resources and runs. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SeenRecords {
    records: Records,
    scope: Scope,
}

impl SeenRecords {
    pub(crate) fn new(records: &Sealed<Records>, scope: Scope) -> Self {
        Self { records: records.0.clone(), scope }
    }

    pub(crate) async fn resource(
        &self,
        resource: &ResourceKey,
    ) -> Result<Option<Stored<ResourceRecord>>, StoreError> {
        match self.scope.holds(resource) {
            true => self.records.resource(resource).await,
            false => Ok(None),
        }
    }

    /// The resources of a kind by name, starting after `after`.
    pub(crate) async fn resources(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ResourceRecord>, StoreError> {
        self.records.resources(&self.scope, kind, after, limit).await
    }

    /// The resources of a kind that have drifted, by name, starting after `after`.
    pub(crate) async fn drifted(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Resource>, StoreError> {
        self.records.drifted(&self.scope, kind, after, limit).await
    }

    /// The resource as the API shows it.
    pub(crate) async fn show(&self, resource: ResourceRecord) -> Result<Resource, StoreError> {
        self.records.show(resource).await
    }

    pub(crate) async fn run(&self, id: &str) -> Result<Option<Stored<RunRecord>>, StoreError> {
        self.records.run_within(&self.scope, id).await
    }

    /// The run as the API shows it, with what each `create` answered, and what the webhook is told of
    /// it. That is the operator's, so no tenant sees it.
    pub(crate) async fn run_with_history(&self, id: &str) -> Result<Option<Run>, StoreError> {
        if self.run(id).await?.is_none() {
            return Ok(None);
        }
        let mut run = self.records.run_with_history(id).await?;
        if let Some(run) = &mut run
            && self.scope.tenant().is_none()
        {
            run.notifications = self.records.notifications(id).await?;
        }
        Ok(run)
    }

    /// Runs from the newest to the oldest, of one resource or all.
    pub(crate) async fn runs(
        &self,
        resource: Option<&ResourceKey>,
        state: Option<RunState>,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Page<Run>, StoreError> {
        let of = match resource {
            Some(resource) if self.scope.holds(resource) => Of::Resource(resource),
            Some(_) => return Ok(Page { items: Vec::new(), more: false }),
            None => Of::Scope(&self.scope),
        };
        self.records.runs(of, state, before, limit).await
    }

    /// The runs whose spans are in this trace, oldest first.
    pub(crate) async fn runs_in(&self, trace: &str) -> Result<Vec<Run>, StoreError> {
        let mut runs = self.records.runs_in(trace).await?;
        runs.retain(|run| self.holds(run));
        Ok(runs)
    }

    /// Tells that something of a run has changed, and nothing of what it is.
    pub(crate) fn watch_run(&self, id: &str) -> Watch {
        self.records.watch_run(id)
    }

    pub(crate) fn watch_notifications(&self, id: &str) -> Watch {
        self.records.watch_notifications(id)
    }

    pub(crate) fn watch_acts(&self, id: &str) -> Watch {
        self.records.watch_acts(id)
    }

    fn holds(&self, run: &Run) -> bool {
        ResourceKey::parse(&run.resource).is_some_and(|key| self.scope.holds(&key))
    }
}
