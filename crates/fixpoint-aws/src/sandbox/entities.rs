//! What the world is made of: one struct per kind of EC2 resource.
//!
//! Not for behaviour beyond states, and not for load balancers (`elbv2`) or roles (`iam`). The
//! surprise: no state is stored. An entity keeps the times at which it changes, drawn when it was
//! made, and its state is computed when somebody looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cidr::Cidr;
use super::clock::Time;

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// What all kinds share, so that looking up, filtering and tagging is written once.
pub(super) trait Entity {
    /// What EC2's tag calls name the kind, e.g. `security-group`.
    const KIND: &'static str;
    /// The resource's id or ARN.
    fn id(&self) -> &str;
    /// From when on descriptions show the resource: AWS is eventually consistent.
    fn seen_from(&self) -> Time;
    /// The resource's tags.
    fn tags(&self) -> &Tags;
    /// The resource's tags, to be changed.
    fn tags_mut(&mut self) -> &mut Tags;
}

/// Implements [`Entity`] for structs with fields `id`, `seen_from` and `tags`.
macro_rules! entities {
    ($($name:ty: $kind:literal),* $(,)?) => {$(
        impl $crate::sandbox::entities::Entity for $name {
            const KIND: &'static str = $kind;
            fn id(&self) -> &str { &self.id }
            fn seen_from(&self) -> $crate::sandbox::clock::Time { self.seen_from }
            fn tags(&self) -> &$crate::sandbox::entities::Tags { &self.tags }
            fn tags_mut(&mut self) -> &mut $crate::sandbox::entities::Tags { &mut self.tags }
        }
    )*};
}
pub(super) use entities;

entities! {
    Vpc: "vpc",
    Subnet: "subnet",
    Gateway: "internet-gateway",
    RouteTable: "route-table",
    Group: "security-group",
    Key: "key-pair",
    Instance: "instance",
    Volume: "volume",
    Interface: "network-interface",
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Vpc {
    pub(super) id: String,
    pub(super) cidr: Cidr,
    pub(super) association: String,
    pub(super) dhcp_options: String,
    pub(super) dns_support: bool,
    pub(super) dns_hostnames: bool,
    pub(super) ready_at: Time,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Subnet {
    pub(super) id: String,
    pub(super) vpc: String,
    pub(super) cidr: Cidr,
    pub(super) zone: String,
    pub(super) public_ips: bool,
    pub(super) ready_at: Time,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Gateway {
    pub(super) id: String,
    pub(super) vpc: Option<String>,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RouteTable {
    pub(super) id: String,
    pub(super) vpc: String,
    /// Routes besides the local one: destination to gateway.
    pub(super) routes: BTreeMap<Cidr, String>,
    /// Association id to subnet; the main association has none.
    pub(super) associations: BTreeMap<String, Option<String>>,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

impl RouteTable {
    /// Tells whether this is the table a VPC came with.
    pub(super) fn is_main(&self) -> bool {
        self.associations.values().any(Option::is_none)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) vpc: String,
    pub(super) rules: Vec<GroupRule>,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GroupRule {
    pub(super) id: String,
    pub(super) description: Option<String>,
    pub(super) traffic: Traffic,
    pub(super) tags: Tags,
}

/// What a security group rule lets through; two rules with the same traffic are duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Traffic {
    pub(super) egress: bool,
    pub(super) protocol: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) peer: Peer,
}

/// Where the traffic comes from or goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Peer {
    V4(String),
    V6(String),
    Group(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) fingerprint: String,
    pub(super) created: Time,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) reservation: String,
    pub(super) image: String,
    pub(super) kind: String,
    pub(super) subnet: String,
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) private_ip: String,
    pub(super) public_ip: Option<String>,
    pub(super) groups: Vec<String>,
    pub(super) interface: String,
    pub(super) volumes: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) profile: Option<(String, String)>,
    /// As it was sent, in Base64. AWS keeps it too; here it lies in a file only the owner reads.
    pub(super) user_data: Option<String>,
    pub(super) token: Option<String>,
    pub(super) http_tokens: String,
    pub(super) hop_limit: i64,
    pub(super) ebs_optimized: bool,
    pub(super) protected: bool,
    pub(super) index: usize,
    pub(super) cpus: u32,
    pub(super) launched: Time,
    pub(super) running_at: Time,
    pub(super) checked_at: Time,
    /// When termination was asked for, and when it is done.
    pub(super) ending: Option<(Time, Time)>,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

impl std::fmt::Debug for Instance {
    /// Shows the id only: user data may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Instance {
    /// Computes the state: its code and its name.
    pub(super) fn state(&self, now: Time) -> (u16, &'static str) {
        match self.ending {
            Some((_, gone)) if now >= gone => (48, "terminated"),
            Some(_) => (32, "shutting-down"),
            None if now >= self.running_at => (16, "running"),
            None => (0, "pending"),
        }
    }

    /// Tells whether the instance has ended; it is then described for another hour.
    pub(super) fn is_terminated(&self, now: Time) -> bool {
        self.ending.is_some_and(|(_, gone)| now >= gone)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) instance: String,
    pub(super) device: String,
    pub(super) size: i64,
    pub(super) kind: String,
    pub(super) encrypted: bool,
    pub(super) snapshot: Option<String>,
    pub(super) dies_with_instance: bool,
    pub(super) zone: String,
    pub(super) created: Time,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Interface {
    pub(super) id: String,
    pub(super) attachment: String,
    pub(super) subnet: String,
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) groups: Vec<String>,
    pub(super) private_ip: String,
    pub(super) public_ip: Option<String>,
    pub(super) mac: String,
    pub(super) description: String,
    /// The instance that holds it; a load balancer's interface has none.
    pub(super) instance: Option<String>,
    /// The load balancer that holds it.
    pub(super) balancer: Option<String>,
    pub(super) created: Time,
    /// When it goes away after its holder did.
    pub(super) gone_at: Option<Time>,
    pub(super) seen_from: Time,
    pub(super) tags: Tags,
}
