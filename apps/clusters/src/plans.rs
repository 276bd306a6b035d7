//! The two plans of a cluster: make it what its spec says, and leave nothing of it.
//!
//! Scaling, adding and removing add-ons are no plans of their own: they are the first one with
//! another spec. The surprise: neither remembers anything. Each `create` looks anew, so a plan can
//! be started on any half-made cluster, whoever made it.

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Plan, Steps};
use fixpoint_server::StatusCell;

use crate::{Cluster, diff, observe, status};

/// Makes the cluster what its spec says.
#[derive(Debug)]
pub struct CreateCluster {
    cluster: Cluster,
    status: StatusCell,
}

impl CreateCluster {
    /// Tells in `status` what it sees.
    pub fn new(cluster: Cluster, status: StatusCell) -> Self {
        Self { cluster, status }
    }
}

#[async_trait]
impl Plan for CreateCluster {
    fn name(&self) -> &str {
        "create_cluster"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        let seen = observe::observe(&self.cluster).await?;
        let steps = diff::converge(&self.cluster, &seen);
        self.status.set(status::of(&self.cluster, &seen, status::phase(&seen, &steps)));
        Ok(steps)
    }
}

/// Leaves nothing of the cluster. Solved only when nothing with its tag is to be found.
#[derive(Debug)]
pub struct TerminateCluster {
    cluster: Cluster,
    status: StatusCell,
}

impl TerminateCluster {
    /// Tells in `status` what it sees.
    pub fn new(cluster: Cluster, status: StatusCell) -> Self {
        Self { cluster, status }
    }
}

#[async_trait]
impl Plan for TerminateCluster {
    fn name(&self) -> &str {
        "terminate_cluster"
    }

    async fn create(&self, _: &Context) -> Result<Steps, BoxError> {
        let seen = observe::observe_all(&self.cluster).await?;
        let steps = diff::terminate(&self.cluster, &seen);
        let phase = if steps.is_empty() { "gone" } else { "terminating" };
        self.status.set(status::of(&self.cluster, &seen, phase));
        Ok(steps)
    }
}
