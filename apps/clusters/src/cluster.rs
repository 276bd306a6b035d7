//! What every look and every step shares: which cluster it is about, and how to reach AWS.
//!
//! The surprise: its `Debug` is only the cluster's name, since it stands in every step's key.

use std::{fmt, sync::Arc};

use fixpoint_aws::Aws;

use crate::{names::Names, spec::ClusterSpec};

/// One cluster: what is wanted, how its things are called, and the way to AWS. Cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    aws: Aws,
    names: Names,
    spec: ClusterSpec,
    limit: Option<usize>,
}

impl Cluster {
    /// The cluster called `name` in the region of `aws`, as `spec` wants it.
    pub fn new(aws: Aws, name: &str, spec: ClusterSpec) -> Self {
        let names = Names::new(name, aws.region(), &spec);
        Self(Arc::new(Inner { aws, names, spec, limit: None }))
    }

    /// Sets how many steps may run at once; one for an account with tight request limits.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        Arc::make_mut(&mut self.0).limit = Some(limit);
        self
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        self.0.limit
    }

    /// AWS.
    pub fn aws(&self) -> &Aws {
        &self.0.aws
    }

    /// Names and tags.
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// What is wanted.
    pub fn spec(&self) -> &ClusterSpec {
        &self.0.spec
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.names.cluster())
    }
}
