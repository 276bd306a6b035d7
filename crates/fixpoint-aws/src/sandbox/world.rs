//! The world: everything that exists, per region, and who holds on to whom.
//!
//! Not for wire formats. The surprise: [`Region::holders`] is the only place that knows
//! dependencies; every `DependencyViolation` comes from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::clock::Time;
use super::dice::Dice;
use super::elbv2::{Balancer, Listener, Rule, TargetGroup};
use super::entities::{
    Entity, Gateway, Group, Instance, Interface, Key, Peer, RouteTable, Subnet, Tags, Volume, Vpc,
};
use super::iam::Iam;

/// The one account of the sandbox.
pub(super) const ACCOUNT: &str = "123456789012";

/// How long a terminated instance is still described, in milliseconds.
const AFTERLIFE: i64 = 3_600_000;

/// Entities of a kind by id.
pub(super) type Table<T> = BTreeMap<String, T>;

/// Everything that exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) regions: BTreeMap<String, Region>,
    pub(super) iam: Iam,
}

impl World {
    /// Builds an empty world.
    pub(super) fn new(seed: u64) -> Self {
        World { dice: Dice::new(seed), regions: BTreeMap::new(), iam: Iam::default() }
    }

    /// Lets happen what time brings: resources whose end has come go away.
    pub(super) fn settle(&mut self, now: Time) {
        for region in self.regions.values_mut() {
            region.settle(now);
        }
    }
}

/// Everything that exists in one region.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Region {
    pub(super) vpcs: Table<Vpc>,
    pub(super) subnets: Table<Subnet>,
    pub(super) gateways: Table<Gateway>,
    pub(super) route_tables: Table<RouteTable>,
    pub(super) groups: Table<Group>,
    pub(super) keys: Table<Key>,
    pub(super) instances: Table<Instance>,
    pub(super) volumes: Table<Volume>,
    pub(super) interfaces: Table<Interface>,
    pub(super) balancers: Table<Balancer>,
    pub(super) target_groups: Table<TargetGroup>,
    pub(super) listeners: Table<Listener>,
    pub(super) rules: Table<Rule>,
    /// Client tokens by operation and token.
    pub(super) tokens: BTreeMap<String, Token>,
}

/// What a client token stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Token {
    /// Hash of the parameters it came with.
    pub(super) parameters: String,
    /// Id of what was made.
    pub(super) made: String,
}

/// One resource that needs another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    Subnet(String),
    Gateway(String),
    RouteTable(String),
    Group(String),
    Interface(String),
    Association(String),
    Vpc(String),
    Listener(String),
    Rule(String),
}

impl Region {
    /// Lists who needs the resource with this id or ARN.
    pub(super) fn holders(&self, id: &str) -> Vec<Holder> {
        let mut found = Vec::new();
        let subnets = self.subnets.values().filter(|subnet| subnet.vpc == id);
        found.extend(subnets.map(|subnet| Holder::Subnet(subnet.id.clone())));
        for gateway in self.gateways.values() {
            match gateway.vpc.as_deref() {
                Some(vpc) if vpc == id => found.push(Holder::Gateway(gateway.id.clone())),
                Some(vpc) if gateway.id == id => found.push(Holder::Vpc(vpc.to_owned())),
                _ => {}
            }
        }
        for table in self.route_tables.values() {
            if table.vpc == id && !table.is_main() {
                found.push(Holder::RouteTable(table.id.clone()));
            }
            if table.id == id {
                let associations = table.associations.keys().cloned();
                found.extend(associations.map(Holder::Association));
            }
        }
        for group in self.groups.values().filter(|group| group.id != id) {
            let refers = group.rules.iter().any(|rule| match &rule.traffic.peer {
                Peer::Group(peer) => peer == id,
                Peer::V4(_) | Peer::V6(_) => false,
            });
            if refers || (group.vpc == id && group.name != "default") {
                found.push(Holder::Group(group.id.clone()));
            }
        }
        for interface in self.interfaces.values() {
            if interface.subnet == id
                || interface.vpc == id
                || interface.groups.iter().any(|group| group == id)
            {
                found.push(Holder::Interface(interface.id.clone()));
            }
        }
        let listeners = self.listeners.values().filter(|listener| listener.routes_to(id));
        found.extend(listeners.map(|listener| Holder::Listener(listener.id.clone())));
        let rules = self.rules.values().filter(|rule| rule.routes_to(id));
        found.extend(rules.map(|rule| Holder::Rule(rule.id.clone())));
        found
    }

    /// Finds the tags of any EC2 resource by its id.
    pub(super) fn tags_of(&mut self, id: &str) -> Option<&mut Tags> {
        fn of<'a, T: Entity>(table: &'a mut Table<T>, id: &str) -> Option<&'a mut Tags> {
            table.get_mut(id).map(T::tags_mut)
        }
        match id.split_once('-')?.0 {
            "vpc" => of(&mut self.vpcs, id),
            "subnet" => of(&mut self.subnets, id),
            "igw" => of(&mut self.gateways, id),
            "rtb" => of(&mut self.route_tables, id),
            "sg" => of(&mut self.groups, id),
            "i" => of(&mut self.instances, id),
            "vol" => of(&mut self.volumes, id),
            "eni" => of(&mut self.interfaces, id),
            "key" => self.keys.values_mut().find(|key| key.id == id).map(|key| &mut key.tags),
            "sgr" => {
                let mut rules = self.groups.values_mut().flat_map(|group| &mut group.rules);
                rules.find(|rule| rule.id == id).map(|rule| &mut rule.tags)
            }
            _ => None,
        }
    }

    /// Returns the lowest address of a subnet that nobody has.
    pub(super) fn free_address(&self, subnet: &Subnet) -> Option<String> {
        let taken: Vec<&str> = self
            .interfaces
            .values()
            .filter(|interface| interface.subnet == subnet.id)
            .map(|interface| interface.private_ip.as_str())
            .collect();
        (0..subnet.cidr.usable())
            .map(|n| subnet.cidr.host(n).to_string())
            .find(|address| !taken.contains(&address.as_str()))
    }

    fn settle(&mut self, now: Time) {
        let ended: Vec<String> = self
            .instances
            .values()
            .filter(|instance| instance.is_terminated(now))
            .map(|instance| instance.id.clone())
            .collect();
        let held_by_ended = |holder: Option<&String>| holder.is_some_and(|id| ended.contains(id));
        self.interfaces.retain(|_, interface| {
            !held_by_ended(interface.instance.as_ref())
                && interface.gone_at.is_none_or(|gone| now < gone)
        });
        self.volumes.retain(|_, volume| {
            !(volume.dies_with_instance && held_by_ended(Some(&volume.instance)))
        });
        self.instances.retain(|_, instance| {
            instance.ending.is_none_or(|(_, gone)| now.since(gone) < AFTERLIFE)
        });
        for group in self.target_groups.values_mut() {
            group.targets.retain(|_, target| target.drained_at.is_none_or(|end| now < end));
        }
    }
}
