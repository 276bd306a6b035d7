//! Which traffic each security group lets through, and how far a group is from that.
//!
//! Pure. Three sorts of rules are told apart: ours carry [`OURS`] as their description and are
//! converged exactly, missing ones added and surplus ones removed; the allow-all egress rule that
//! AWS makes with each group is removed, since beside it no egress rule means anything; whatever
//! else there is was added by somebody on purpose, and is reported but left alone.

use std::{collections::BTreeSet, fmt};

use fixpoint_aws::ec2;

use crate::{addons::Addon, names::Group, spec::ClusterSpec};

/// The port of InfluxDB's HTTP API.
pub const INFLUXDB_PORT: u16 = 8086;
/// The load balancer's port.
pub const BALANCER_PORT: u16 = 80;
/// The description of the rules that are ours.
pub const OURS: &str = "made by fixpoint";

const ANYWHERE: &str = "0.0.0.0/0";

/// Which way traffic goes, seen from the group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To them.
    Ingress,
    /// From them.
    Egress,
}

/// The other end of the traffic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// An IPv4 network.
    Cidr(String),
    /// The members of the group with this id.
    Group(String),
}

/// One TCP port from or to one peer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// The TCP port.
    pub port: u16,
    /// The other end.
    pub peer: Peer,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Peer::Cidr(peer) | Peer::Group(peer)) = &self.peer;
        write!(f, "tcp/{} {peer}", self.port)
    }
}

impl Rule {
    fn cidr(port: u16, cidr: &str) -> Self {
        Self { port, peer: Peer::Cidr(cidr.into()) }
    }

    fn group(port: u16, id: &str) -> Self {
        Self { port, peer: Peer::Group(id.into()) }
    }

    /// The rule as EC2 takes it, marked as ours.
    pub fn permission(&self) -> ec2::IpPermission {
        let mut permission = ec2::IpPermission::tcp(self.port);
        let description = Some(OURS.to_owned());
        match &self.peer {
            Peer::Cidr(cidr) => {
                permission.ip_ranges = vec![ec2::IpRange { cidr_ip: cidr.clone(), description }];
            }
            Peer::Group(id) => {
                permission.groups =
                    vec![ec2::GroupPair { group_id: id.clone(), user_id: None, description }];
            }
        }
        permission
    }
}

/// The ids of the three groups.
#[derive(Debug, Clone, Copy)]
pub struct GroupIds<'a> {
    /// The load balancer's.
    pub balancer: &'a str,
    /// The nodes'.
    pub node: &'a str,
    /// The add-ons'.
    pub addon: &'a str,
}

/// The rules that a group should have.
pub fn wanted(
    group: Group,
    direction: Direction,
    spec: &ClusterSpec,
    ids: GroupIds<'_>,
) -> BTreeSet<Rule> {
    use Direction::{Egress, Ingress};
    let addon_ports = || spec.addons.iter().map(|a| a.port());
    match (group, direction) {
        (Group::Balancer, Ingress) => {
            spec.allowed_cidrs.iter().map(|c| Rule::cidr(BALANCER_PORT, c)).collect()
        }
        (Group::Balancer, Egress) => addon_ports()
            .map(|port| Rule::group(port, ids.addon))
            .chain([Rule::group(INFLUXDB_PORT, ids.node)])
            .collect(),
        (Group::Node, Ingress) => {
            [ids.balancer, ids.addon].map(|id| Rule::group(INFLUXDB_PORT, id)).into()
        }
        (Group::Addon, Ingress) => addon_ports()
            .map(|port| Rule::group(port, ids.balancer))
            .chain(spec.addons.contains(&Addon::Kapacitor).then(|| between_addons(ids)))
            .collect(),
        // Packages come over HTTP and HTTPS. DNS and time need no rule: AWS serves both over
        // addresses that security groups do not filter.
        (Group::Node, Egress) => packages().into(),
        (Group::Addon, Egress) => packages()
            .into_iter()
            .chain([Rule::group(INFLUXDB_PORT, ids.node)])
            .chain(spec.addons.contains(&Addon::Kapacitor).then(|| between_addons(ids)))
            .collect(),
    }
}

fn packages() -> [Rule; 2] {
    [80, 443].map(|port| Rule::cidr(port, ANYWHERE))
}

/// Chronograf manages Kapacitor's tasks.
fn between_addons(ids: GroupIds<'_>) -> Rule {
    Rule::group(Addon::Kapacitor.port(), ids.addon)
}

/// What separates a group from what it should be, in one direction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gap {
    /// To be added.
    pub missing: BTreeSet<Rule>,
    /// To be removed: ours of old, and AWS's allow-all.
    pub surplus: Vec<ec2::IpPermission>,
    /// How many rules are somebody else's.
    pub foreign: usize,
}

impl Gap {
    /// True if there is nothing to do.
    pub fn is_closed(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty()
    }
}

/// Compares the permissions that a group has with the rules it should have.
pub fn gap(direction: Direction, has: &[ec2::IpPermission], should: &BTreeSet<Rule>) -> Gap {
    let mut gap = Gap { missing: should.clone(), ..Gap::default() };
    for single in has.iter().flat_map(singles) {
        match as_rule(&single) {
            // Whoever made it, a rule that should be there need not be added again.
            Some((rule, _)) if should.contains(&rule) => drop(gap.missing.remove(&rule)),
            Some((_, true)) => gap.surplus.push(single),
            None if direction == Direction::Egress && is_default_egress(&single) => {
                gap.surplus.push(single);
            }
            _ => gap.foreign += 1,
        }
    }
    gap
}

/// All permissions of a group that name other groups. While there are any, AWS deletes neither
/// group, so termination takes them away first.
pub fn references(has: &[ec2::IpPermission]) -> Vec<ec2::IpPermission> {
    has.iter().flat_map(singles).filter(|p| !p.groups.is_empty()).collect()
}

/// EC2 folds rules of the same ports into one permission with several peers; this unfolds them.
fn singles(permission: &ec2::IpPermission) -> Vec<ec2::IpPermission> {
    let bare = ec2::IpPermission {
        ip_ranges: vec![],
        ipv6_ranges: vec![],
        groups: vec![],
        ..permission.clone()
    };
    let ranges = permission
        .ip_ranges
        .iter()
        .map(|range| ec2::IpPermission { ip_ranges: vec![range.clone()], ..bare.clone() });
    let ranges6 = permission
        .ipv6_ranges
        .iter()
        .map(|range| ec2::IpPermission { ipv6_ranges: vec![range.clone()], ..bare.clone() });
    let groups = permission
        .groups
        .iter()
        .map(|pair| ec2::IpPermission { groups: vec![pair.clone()], ..bare.clone() });
    ranges.chain(ranges6).chain(groups).collect()
}

/// The rule that a single permission is, and whether it is marked as ours. None if it is no rule
/// of the kind that we make.
fn as_rule(single: &ec2::IpPermission) -> Option<(Rule, bool)> {
    let port = single.from_port.filter(|_| single.from_port == single.to_port)?;
    let port = u16::try_from(port).ok().filter(|_| single.ip_protocol == "tcp")?;
    let (peer, description) = match (&*single.ip_ranges, &*single.groups) {
        ([range], []) => (Peer::Cidr(range.cidr_ip.clone()), &range.description),
        ([], [pair]) => (Peer::Group(pair.group_id.clone()), &pair.description),
        _ => return None,
    };
    Some((Rule { port, peer }, description.as_deref() == Some(OURS)))
}

fn is_default_egress(single: &ec2::IpPermission) -> bool {
    single.ip_protocol == "-1"
        && matches!(&*single.ip_ranges, [range] if range.cidr_ip == ANYWHERE && range.description.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: GroupIds<'_> = GroupIds { balancer: "sg-lb", node: "sg-node", addon: "sg-addon" };

    fn spec(addons: &[Addon]) -> ClusterSpec {
        ClusterSpec { addons: addons.iter().copied().collect(), ..ClusterSpec::default() }
    }

    fn permissions(rules: &BTreeSet<Rule>) -> Vec<ec2::IpPermission> {
        rules.iter().map(Rule::permission).collect()
    }

    #[test]
    fn what_one_group_sends_the_other_lets_in() {
        for addons in [&[][..], &[Addon::Grafana], &Addon::ALL] {
            let spec = spec(addons);
            let id = |group| match group {
                Group::Balancer => IDS.balancer,
                Group::Node => IDS.node,
                Group::Addon => IDS.addon,
            };
            for (from, to) in Group::ALL.iter().flat_map(|a| Group::ALL.map(|b| (*a, b))) {
                let out = wanted(from, Direction::Egress, &spec, IDS);
                let sent = out.iter().filter(|r| r.peer == Peer::Group(id(to).into()));
                let let_in = wanted(to, Direction::Ingress, &spec, IDS);
                let heard = let_in.iter().filter(|r| r.peer == Peer::Group(id(from).into()));
                assert_eq!(
                    sent.map(|r| r.port).collect::<Vec<_>>(),
                    heard.map(|r| r.port).collect::<Vec<_>>(),
                    "{from} to {to} with {addons:?}"
                );
            }
        }
    }

    #[test]
    fn a_new_group_lacks_all_its_rules_and_has_the_default_one_too_much() {
        let should = wanted(Group::Node, Direction::Egress, &spec(&[]), IDS);
        let default = ec2::IpPermission::all().with_cidr(ANYWHERE);
        let gap = gap(Direction::Egress, std::slice::from_ref(&default), &should);
        assert_eq!(gap, Gap { missing: should, surplus: vec![default], foreign: 0 });
    }

    #[test]
    fn a_group_with_its_rules_has_no_gap_also_when_ec2_folds_them() {
        let should = wanted(Group::Node, Direction::Ingress, &spec(&[]), IDS);
        let mut folded = permissions(&should);
        let second = folded.pop().unwrap();
        folded[0].groups.extend(second.groups);
        assert!(gap(Direction::Ingress, &folded, &should).is_closed());
    }

    #[test]
    fn our_old_rules_go_and_foreign_ones_stay() {
        let old = wanted(Group::Addon, Direction::Ingress, &spec(&[Addon::Grafana]), IDS);
        let should = wanted(Group::Addon, Direction::Ingress, &spec(&[]), IDS);
        let mut has = permissions(&old);
        has.push(ec2::IpPermission::tcp(22).with_cidr("203.0.113.7/32"));
        let gap = gap(Direction::Ingress, &has, &should);
        assert!(gap.missing.is_empty());
        assert_eq!(gap.surplus, permissions(&old));
        assert_eq!(gap.foreign, 1);
    }
}
