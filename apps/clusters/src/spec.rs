//! What a customer may ask for, and what is wrong with a request beyond its types.
//!
//! Not here: how it is reached; that is `diff`. The surprise: most fields cannot be changed later,
//! because a new value would mean other machines with other data; such a change is refused here
//! rather than half done in the cloud.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use fixpoint_server::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::addons::Addon;

/// Nodes a cluster may have at most: with add-ons and the balancer's own addresses, what fits in
/// the subnets of the smallest network allowed.
const MAX_NODES: u32 = 20;
/// AWS allows 50 tags a resource; the rest is room for our own and for the account's.
const MAX_TAGS: usize = 20;
/// AWS's default limit of rules in a security group is 60; the rest is room for foreign ones.
const MAX_ALLOWED: usize = 20;

/// An InfluxDB cluster on AWS: its nodes, its add-ons, and the network around them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClusterSpec {
    /// How many InfluxDB nodes, spread over two availability zones.
    #[schemars(range(min = 1, max = MAX_NODES))]
    pub nodes: u32,
    /// Tools that run beside the nodes, each on its own instance behind the same load balancer.
    pub addons: BTreeSet<Addon>,
    /// EC2 instance type of nodes and add-ons. Fixed once the cluster exists.
    pub instance_type: String,
    /// Size of each node's data volume in GiB. Fixed once the cluster exists.
    #[schemars(range(min = 8, max = 16_384))]
    pub volume_gib: u32,
    /// Private IPv4 network of the cluster, `/16` to `/22`. Fixed once the cluster exists.
    pub vpc_cidr: String,
    /// IPv4 networks that may reach the load balancer.
    pub allowed_cidrs: BTreeSet<String>,
    /// OpenSSH public key for the instances. Without it nobody can log in. Fixed once the cluster
    /// exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_public_key: Option<String>,
    /// Further tags for everything that is made. Fixed once the cluster exists.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Default for ClusterSpec {
    fn default() -> Self {
        Self {
            nodes: 3,
            addons: BTreeSet::new(),
            instance_type: "t3.small".into(),
            volume_gib: 20,
            vpc_cidr: "10.40.0.0/16".into(),
            allowed_cidrs: BTreeSet::from(["0.0.0.0/0".into()]),
            ssh_public_key: None,
            tags: BTreeMap::new(),
        }
    }
}

impl ClusterSpec {
    /// The networks of the two subnets: the first two sixteenths of the VPC's. None if the VPC's
    /// network is not one that [`validate`] lets through.
    pub fn subnet_cidrs(&self) -> Option<[String; 2]> {
        let vpc = Cidr::parse(&self.vpc_cidr)?;
        let prefix = vpc.prefix + 4;
        let size = 1u32.checked_shl(32u32.checked_sub(prefix)?)?;
        let second = vpc.network.checked_add(size)?;
        Some([vpc.network, second].map(|n| format!("{}/{prefix}", Ipv4Addr::from(n))))
    }
}

/// What is wrong with `spec` for a cluster called `name`, and with the change from `old`.
pub fn validate(name: &str, spec: &ClusterSpec, old: Option<&ClusterSpec>) -> Vec<Invalid> {
    let mut wrong = Wrong::default();
    check_name(name, &mut wrong);
    wrong.unless(
        (1..=MAX_NODES).contains(&spec.nodes),
        "/nodes",
        format!("must be 1 to {MAX_NODES}, not {}", spec.nodes),
    );
    wrong.unless(
        (8..=16_384).contains(&spec.volume_gib),
        "/volume_gib",
        format!("must be 8 to 16384 GiB, not {}", spec.volume_gib),
    );
    wrong.unless(
        is_instance_type(&spec.instance_type),
        "/instance_type",
        "must be an EC2 instance type such as t3.small",
    );
    check_networks(spec, &mut wrong);
    if let Some(key) = &spec.ssh_public_key {
        wrong.unless(
            is_public_key(key),
            "/ssh_public_key",
            "must be one line of an OpenSSH public key: ssh-ed25519 or ssh-rsa, then base64",
        );
    }
    check_tags(&spec.tags, &mut wrong);
    if let Some(old) = old {
        check_change(old, spec, &mut wrong);
    }
    wrong.0
}

#[derive(Default)]
struct Wrong(Vec<Invalid>);

impl Wrong {
    fn unless(&mut self, right: bool, pointer: impl Into<String>, detail: impl Into<String>) {
        if !right {
            self.0.push(Invalid { pointer: pointer.into(), detail: detail.into() });
        }
    }
}

/// The name becomes part of load balancer and target group names: 32 characters, of which the
/// longest ending of ours takes 11 (`-chronograf`).
fn check_name(name: &str, wrong: &mut Wrong) {
    let well_formed = (2..=21).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.ends_with('-');
    wrong.unless(
        well_formed,
        "/name",
        "must be 2 to 21 of a-z, 0-9 and -, starting with a letter and not ending with -",
    );
    // AWS keeps this beginning for balancers inside a VPC.
    wrong.unless(!name.starts_with("internal-"), "/name", "must not start with internal-");
}

fn check_networks(spec: &ClusterSpec, wrong: &mut Wrong) {
    let vpc = Cidr::parse(&spec.vpc_cidr);
    wrong.unless(
        vpc.is_some_and(|c| (16..=22).contains(&c.prefix) && c.is_private()),
        "/vpc_cidr",
        "must be a private IPv4 network of /16 to /22 in its first address, such as 10.40.0.0/16",
    );
    wrong.unless(
        (1..=MAX_ALLOWED).contains(&spec.allowed_cidrs.len()),
        "/allowed_cidrs",
        format!("must name 1 to {MAX_ALLOWED} networks"),
    );
    for (i, cidr) in spec.allowed_cidrs.iter().enumerate() {
        wrong.unless(
            Cidr::parse(cidr).is_some(),
            format!("/allowed_cidrs/{i}"),
            "must be an IPv4 network in its first address, such as 203.0.113.0/24",
        );
    }
}

fn check_tags(tags: &BTreeMap<String, String>, wrong: &mut Wrong) {
    wrong.unless(tags.len() <= MAX_TAGS, "/tags", format!("must be at most {MAX_TAGS}"));
    for (key, value) in tags {
        let pointer = format!("/tags/{}", key.replace('~', "~0").replace('/', "~1"));
        let ours = key == "Name" || key.starts_with("fixpoint:");
        wrong.unless(
            !ours && !key.to_ascii_lowercase().starts_with("aws:"),
            &pointer,
            "must not be Name, nor start with aws: or fixpoint:",
        );
        wrong.unless(
            (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256,
            &pointer,
            "must have a key of 1 to 128 and a value of at most 256 characters",
        );
        let plain = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        wrong.unless(
            key.chars().all(plain) && value.chars().all(plain),
            &pointer,
            "must be of letters, digits, spaces and _.:/=+-@",
        );
    }
}

fn check_change(old: &ClusterSpec, new: &ClusterSpec, wrong: &mut Wrong) {
    let fixed = [
        ("/instance_type", old.instance_type == new.instance_type),
        ("/volume_gib", old.volume_gib == new.volume_gib),
        ("/vpc_cidr", old.vpc_cidr == new.vpc_cidr),
        ("/ssh_public_key", old.ssh_public_key == new.ssh_public_key),
        ("/tags", old.tags == new.tags),
    ];
    for (pointer, same) in fixed {
        wrong.unless(same, pointer, "cannot be changed; make another cluster with the new value");
    }
}

fn is_instance_type(text: &str) -> bool {
    let part = |p: &str| {
        !p.is_empty()
            && p.len() <= 20
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.split_once('.').is_some_and(|(family, size)| part(family) && part(size))
}

fn is_public_key(text: &str) -> bool {
    let mut words = text.split(' ');
    let kind = words.next().is_some_and(|k| k == "ssh-ed25519" || k == "ssh-rsa");
    let body = words.next().is_some_and(|b| {
        b.starts_with("AAAA") && b.bytes().all(|c| c.is_ascii_alphanumeric() || b"+/=".contains(&c))
    });
    kind && body && text.len() <= 2048 && !text.contains(['\n', '\r'])
}

/// An IPv4 network, given by its first address.
#[derive(Debug, Clone, Copy)]
struct Cidr {
    network: u32,
    prefix: u32,
}

impl Cidr {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let network = u32::from(address.parse::<Ipv4Addr>().ok()?);
        let prefix = prefix.parse::<u32>().ok().filter(|p| *p <= 32)?;
        let hosts = u32::MAX.checked_shr(prefix).unwrap_or(0);
        // 10.0.0.1/16 is more likely a slip than a network: AWS would silently take 10.0.0.0/16.
        (network & hosts == 0).then_some(Self { network, prefix })
    }

    fn is_private(self) -> bool {
        Ipv4Addr::from(self.network).is_private()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(name: &str, spec: &ClusterSpec) -> Vec<String> {
        validate(name, spec, None).into_iter().map(|i| i.pointer).collect()
    }

    #[test]
    fn the_smallest_request_is_valid() {
        let spec: ClusterSpec = serde_json::from_str("{}").unwrap();
        assert_eq!(spec, ClusterSpec::default());
        assert!(validate("idg", &spec, None).is_empty());
    }

    #[test]
    fn unknown_fields_and_unknown_addons_are_refused() {
        assert!(serde_json::from_str::<ClusterSpec>(r#"{"node": 3}"#).is_err());
        assert!(serde_json::from_str::<ClusterSpec>(r#"{"addons": ["prometheus"]}"#).is_err());
    }

    #[test]
    fn names_that_aws_would_refuse_are_refused() {
        let long = "a".repeat(22);
        for name in ["", "a", "1a", "-a", "a-", "Acme", "a_b", "a b", "internal-x", "é1", &long] {
            assert!(pointers(name, &ClusterSpec::default()).contains(&"/name".into()), "{name}");
        }
        for name in ["idg", "acme-42", &"a".repeat(21)] {
            assert!(pointers(name, &ClusterSpec::default()).is_empty(), "{name}");
        }
    }

    #[test]
    fn each_bad_value_is_named_by_its_pointer() {
        let ok = ClusterSpec::default;
        let set = |s: &str| BTreeSet::from([s.to_owned()]);
        let tag = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        let key = |k: &str| Some(k.to_owned());
        let table = [
            ("/nodes", ClusterSpec { nodes: 0, ..ok() }),
            ("/nodes", ClusterSpec { nodes: 21, ..ok() }),
            ("/volume_gib", ClusterSpec { volume_gib: 7, ..ok() }),
            ("/instance_type", ClusterSpec { instance_type: "big".into(), ..ok() }),
            ("/instance_type", ClusterSpec { instance_type: "t3.".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "10.0.0.0".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "10.0.0.0/8".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "10.0.0.0/24".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "10.0.0.1/16".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "8.8.0.0/16".into(), ..ok() }),
            ("/vpc_cidr", ClusterSpec { vpc_cidr: "10.0.0.0/99".into(), ..ok() }),
            ("/allowed_cidrs", ClusterSpec { allowed_cidrs: BTreeSet::new(), ..ok() }),
            ("/allowed_cidrs/0", ClusterSpec { allowed_cidrs: set("everyone"), ..ok() }),
            ("/ssh_public_key", ClusterSpec { ssh_public_key: key("-----BEGIN"), ..ok() }),
            ("/ssh_public_key", ClusterSpec { ssh_public_key: key("ssh-rsa AAAA\nx"), ..ok() }),
            ("/tags/aws:x", ClusterSpec { tags: tag("aws:x", "1"), ..ok() }),
            ("/tags/fixpoint:role", ClusterSpec { tags: tag("fixpoint:role", "1"), ..ok() }),
            ("/tags/a~1b", ClusterSpec { tags: tag("a/b", "<script>"), ..ok() }),
        ];
        for (pointer, spec) in table {
            assert_eq!(pointers("idg", &spec), [pointer], "{spec:?}");
        }
    }

    #[test]
    fn only_nodes_addons_and_allowed_networks_can_change() {
        let old = ClusterSpec::default();
        let bigger =
            ClusterSpec { nodes: 5, addons: BTreeSet::from([Addon::Grafana]), ..old.clone() };
        assert!(validate("idg", &bigger, Some(&old)).is_empty());
        let moved = ClusterSpec { vpc_cidr: "10.50.0.0/16".into(), volume_gib: 40, ..old.clone() };
        let wrong = validate("idg", &moved, Some(&old));
        assert_eq!(
            wrong.iter().map(|i| i.pointer.as_str()).collect::<Vec<_>>(),
            ["/volume_gib", "/vpc_cidr"]
        );
    }

    #[test]
    fn subnets_are_the_first_sixteenths_of_the_vpc() {
        let cidrs =
            |vpc: &str| ClusterSpec { vpc_cidr: vpc.into(), ..<_>::default() }.subnet_cidrs();
        assert_eq!(cidrs("10.40.0.0/16"), Some(["10.40.0.0/20".into(), "10.40.16.0/20".into()]));
        assert_eq!(cidrs("172.16.4.0/22"), Some(["172.16.4.0/26".into(), "172.16.4.64/26".into()]));
        assert_eq!(cidrs("nonsense"), None);
    }
}
