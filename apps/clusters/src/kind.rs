//! Clusters as a kind of resource that `fixpoint-server` serves.

use fixpoint::Plan;
use fixpoint_aws::Aws;
use fixpoint_server::{Invalid, Kind, ResourceRef, StatusCell};

use crate::{
    Cluster,
    plans::{CreateCluster, TerminateCluster},
    spec::{self, ClusterSpec},
};

/// Clusters, in one AWS account and region.
#[derive(Debug, Clone)]
pub struct Clusters {
    aws: Aws,
}

impl Clusters {
    /// In the account and region of `aws`.
    pub fn new(aws: Aws) -> Self {
        Self { aws }
    }
}

impl Kind for Clusters {
    const NAME: &'static str = "clusters";

    type Spec = ClusterSpec;

    fn validate(&self, name: &str, spec: &ClusterSpec, old: Option<&ClusterSpec>) -> Vec<Invalid> {
        spec::validate(name, spec, old)
    }

    fn plan(&self, resource: &ResourceRef<'_, ClusterSpec>, status: StatusCell) -> Box<dyn Plan> {
        let cluster = Cluster::new(self.aws.clone(), resource.name, resource.spec.clone());
        if resource.deleting {
            Box::new(TerminateCluster::new(cluster, status))
        } else {
            Box::new(CreateCluster::new(cluster, status))
        }
    }
}
