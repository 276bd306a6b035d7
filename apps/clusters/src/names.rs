//! Every name, tag and token of a cluster's things, in one place.
//!
//! Not here: ids, which AWS makes. The surprise: tags say what a thing is, names only help people
//! to read; but load balancers, target groups, key pairs and IAM things are unique by name, so
//! there a name that is taken by somebody else's thing is found out by its missing tag.

use std::fmt;

use fixpoint_aws::ec2;
use sha2::{Digest, Sha256};

use crate::{addons::Addon, spec::ClusterSpec};

/// The tag that says which cluster a thing belongs to.
pub const CLUSTER_TAG: &str = "fixpoint:cluster";
/// The tag that says what a thing is within its cluster: a [`Part`].
pub const ROLE_TAG: &str = "fixpoint:role";
/// The tag that numbers the nodes, from 0.
pub const ORDINAL_TAG: &str = "fixpoint:ordinal";

/// What a thing is within its cluster: the value of its role tag, and the end of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The VPC.
    Vpc,
    /// One of the two subnets: 0 or 1.
    Subnet(usize),
    /// The internet gateway.
    InternetGateway,
    /// The route table.
    RouteTable,
    /// The security group of the load balancer, of the nodes, or of the add-ons.
    Group(Group),
    /// The key pair.
    KeyPair,
    /// The IAM role, and the instance profile that holds it.
    Identity,
    /// An InfluxDB node.
    Node,
    /// An add-on's instance.
    Addon(Addon),
    /// The load balancer.
    LoadBalancer,
    /// The nodes' target group.
    NodeTargets,
    /// An add-on's target group.
    AddonTargets(Addon),
    /// The load balancer's listener.
    Listener,
    /// An add-on's rule of the listener.
    AddonRule(Addon),
}

/// The security groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Of the load balancer.
    Balancer,
    /// Of the nodes.
    Node,
    /// Of the add-ons' instances.
    Addon,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Balancer, Self::Node, Self::Addon];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Balancer => "lb",
            Self::Node => "node",
            Self::Addon => "addon",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vpc => f.write_str("vpc"),
            Self::Subnet(0) => f.write_str("subnet-a"),
            Self::Subnet(_) => f.write_str("subnet-b"),
            Self::InternetGateway => f.write_str("internet-gateway"),
            Self::RouteTable => f.write_str("route-table"),
            Self::Group(group) => write!(f, "security-group-{group}"),
            Self::KeyPair => f.write_str("key-pair"),
            Self::Identity => f.write_str("identity"),
            Self::Node => f.write_str("node"),
            Self::Addon(addon) => write!(f, "addon-{addon}"),
            Self::LoadBalancer => f.write_str("load-balancer"),
            Self::NodeTargets => f.write_str("target-group-nodes"),
            Self::AddonTargets(addon) => write!(f, "target-group-{addon}"),
            Self::Listener => f.write_str("listener"),
            Self::AddonRule(addon) => write!(f, "rule-{addon}"),
        }
    }
}

impl Part {
    /// True if `tags` say that a thing is this part of some cluster.
    pub fn is(self, tags: &[ec2::Tag]) -> bool {
        ec2::Tag::find(tags, ROLE_TAG) == Some(self.to_string().as_str())
    }
}

/// The names of one cluster's things in one region.
#[derive(Debug, Clone)]
pub struct Names {
    cluster: String,
    region: String,
    more_tags: Vec<(String, String)>,
}

impl Names {
    /// The names of the cluster called `cluster` in `region`, with the tags that `spec` asks for.
    pub fn new(cluster: impl Into<String>, region: impl Into<String>, spec: &ClusterSpec) -> Self {
        let more_tags = spec.tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self { cluster: cluster.into(), region: region.into(), more_tags }
    }

    /// The cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The load balancer's name: at most 32 characters, unique in account and region.
    pub fn load_balancer(&self) -> String {
        format!("{}-lb", self.cluster)
    }

    /// The nodes' target group's name: at most 32 characters, unique in account and region.
    pub fn node_targets(&self) -> String {
        format!("{}-nodes", self.cluster)
    }

    /// An add-on's target group's name, likewise.
    pub fn addon_targets(&self, addon: Addon) -> String {
        format!("{}-{addon}", self.cluster)
    }

    /// A security group's name: unique in its VPC, and not starting with `sg-`, which is AWS's.
    pub fn group(&self, group: Group) -> String {
        format!("fixpoint-{}-{group}", self.cluster)
    }

    /// The key pair's name: unique in account and region.
    pub fn key_pair(&self) -> String {
        format!("fixpoint-{}", self.cluster)
    }

    /// The name of role, policy and instance profile: at most 64 characters. IAM knows no regions,
    /// so the region is part of the name.
    pub fn identity(&self) -> String {
        format!("fixpoint-{}-{}", self.region, self.cluster)
    }

    /// The IAM path of role and profile, by which they are listed. Looking one up by its name would
    /// do as well, but a name that is not there is an error, and errors should stand out in a trace.
    pub fn identity_path(&self) -> String {
        format!("/fixpoint/{}/{}/", self.region, self.cluster)
    }

    /// A node's name.
    pub fn node(&self, ordinal: u32) -> String {
        format!("{}-node-{ordinal}", self.cluster)
    }

    /// A filter for all that is this cluster's.
    pub fn filter(&self) -> ec2::Filter {
        ec2::Filter::tag(CLUSTER_TAG, &self.cluster)
    }

    /// Filters for one part of this cluster.
    pub fn filters(&self, part: Part) -> Vec<ec2::Filter> {
        vec![self.filter(), ec2::Filter::tag(ROLE_TAG, part.to_string())]
    }

    /// A part's tags, as pairs.
    pub fn tags(&self, part: Part) -> Vec<(String, String)> {
        let mut tags = vec![
            ("Name".into(), format!("{}-{part}", self.cluster)),
            (CLUSTER_TAG.into(), self.cluster.clone()),
            (ROLE_TAG.into(), part.to_string()),
        ];
        tags.extend(self.more_tags.iter().cloned());
        tags
    }

    /// A part's tags, for EC2's create calls; `kind` is EC2's word for it: `vpc`, `subnet`.
    pub fn specification(&self, kind: &str, part: Part) -> Vec<ec2::TagSpecification> {
        let tags = self.tags(part).into_iter().map(|(k, v)| ec2::Tag::new(k, v));
        vec![ec2::TagSpecification::new(kind, tags.collect::<Vec<_>>())]
    }

    /// A client token: the same for the same work, another one for any other; at most 64
    /// characters. `work` must hold an id that dies with the cluster (the VPC's), since a token
    /// outlives what was made with it, and a cluster of the same name may come again.
    pub fn token(&self, what: &str, work: &[&str]) -> String {
        let mut hash = Sha256::new();
        for part in work {
            // The length parts ("ab", "c") from ("a", "bc").
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let short: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("{}-{what}-{short}", self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_names_fit_what_aws_allows() {
        let names = Names::new("a".repeat(21), "ap-southeast-4", &ClusterSpec::default());
        assert!(names.load_balancer().len() <= 32);
        assert!(names.node_targets().len() <= 32);
        assert!(Addon::ALL.iter().all(|a| names.addon_targets(*a).len() <= 32));
        assert!(names.identity().len() <= 64);
        assert!(names.token("chronograf", &["vpc-0123456789abcdef0"]).len() <= 64);
        assert!(names.token("node-19", &["vpc-0123456789abcdef0"]).len() <= 64);
    }

    #[test]
    fn a_token_depends_on_all_of_its_work_and_on_nothing_else() {
        let names = Names::new("idg", "eu-west-1", &ClusterSpec::default());
        let token = names.token("node-0", &["vpc-1", "i-1"]);
        assert_eq!(token, names.token("node-0", &["vpc-1", "i-1"]));
        assert_ne!(token, names.token("node-0", &["vpc-2", "i-1"]));
        assert_ne!(token, names.token("node-0", &["vpc-1", "i-1", ""]));
        assert_ne!(token, names.token("node-0", &["vpc-1i", "-1"]));
    }
}
