//! A sandbox with clusters in it, and what can be counted there.

use std::collections::BTreeMap;

use clusters::{
    Cluster, ClusterSpec,
    addons::Addon,
    plans::{CreateCluster, TerminateCluster},
};
use fixpoint::{Context, Error, Plan, Report, Scheduler};
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Faults, Sandbox, SandboxOptions},
};
use fixpoint_server::StatusCell;
use futures_util::FutureExt;

/// The name of the cluster that most tests make.
pub(crate) const IDG: &str = "idg";

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) aws: Aws,
    pub(crate) status: StatusCell,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(SandboxOptions::default())
    }

    pub(crate) fn with(options: SandboxOptions) -> Self {
        fixpoint_trace::testing::watch_all_places();
        let sandbox = Sandbox::open(options).unwrap();
        let options = AwsOptions { sandbox: Some(sandbox.clone()), ..AwsOptions::default() };
        // With a sandbox nothing is looked up, so there is nothing to wait for.
        let aws = Aws::connect(options).now_or_never().unwrap();
        Self { sandbox, aws, status: StatusCell::default() }
    }

    pub(crate) fn cluster(&self, spec: &ClusterSpec) -> Cluster {
        Cluster::new(self.aws.clone(), IDG, spec.clone())
    }

    pub(crate) fn creation(&self, spec: &ClusterSpec) -> CreateCluster {
        CreateCluster::new(self.cluster(spec), self.status.clone())
    }

    pub(crate) fn termination(&self) -> TerminateCluster {
        TerminateCluster::new(self.cluster(&ClusterSpec::default()), self.status.clone())
    }

    /// Solves the plan and returns what the last look saw.
    pub(crate) async fn create(&self, spec: &ClusterSpec) -> serde_json::Value {
        solve(&self.creation(spec)).await.unwrap();
        self.status.take().unwrap()
    }

    /// How many live things of each kind the cluster has.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let inventory = self.sandbox.inventory();
        let kinds = inventory["clusters"][IDG].as_object().cloned().unwrap_or_default();
        kinds.into_iter().map(|(kind, ids)| (kind, ids.as_array().unwrap().len())).collect()
    }

    pub(crate) fn set_faults(&self, faults: serde_json::Value) {
        self.sandbox.set_faults(serde_json::from_value::<Faults>(faults).unwrap());
    }
}

pub(crate) async fn solve(plan: &dyn Plan) -> Result<Report, Error> {
    Scheduler::default().execute(plan, &Context::new()).await
}

pub(crate) fn spec(nodes: u32, addons: &[Addon]) -> ClusterSpec {
    ClusterSpec { nodes, addons: addons.iter().copied().collect(), ..ClusterSpec::default() }
}
