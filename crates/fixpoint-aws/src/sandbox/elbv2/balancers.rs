//! Application load balancers.
//!
//! Not for what they route. The surprise: a load balancer holds one interface in each subnet, and
//! these stay for up to a minute after it is deleted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{check_name, need, page, tags};
use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::ec2::new_interface;
use crate::sandbox::entities::{Interface, Tags, entities};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::GROUP;
use crate::sandbox::world::{ACCOUNT, Region};
use crate::sandbox::xml::Xml;

/// Most load balancers in a region.
const QUOTA: usize = 50;

/// A load balancer; `id` is its ARN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Balancer {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) vpc: String,
    dns: String,
    scheme: String,
    address_type: String,
    subnets: Vec<String>,
    groups: Vec<String>,
    created: Time,
    pub(super) active_at: Time,
    attributes: BTreeMap<String, String>,
    seen_from: Time,
    tags: Tags,
}

entities! { Balancer: "load-balancer" }

/// Attributes that a load balancer may have, with their defaults.
const ATTRIBUTES: [(&str, &str); 12] = [
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("client_keep_alive.seconds", "3600"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("load_balancing.cross_zone.enabled", "true"),
];

/// Finds a load balancer by ARN.
pub(super) fn find<'r>(region: &'r Region, arn: &str) -> Result<&'r Balancer, Refusal> {
    region.balancers.get(arn).ok_or_else(|| unknown(arn))
}

fn unknown(what: &str) -> Refusal {
    Refusal::new("LoadBalancerNotFound", format!("Load balancers '[{what}]' not found"))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let name = need(call, "Name")?;
    check_name("load balancer", name)?;
    if name.starts_with("internal-") {
        return Err(Refusal::validation("A name must not begin with 'internal-'"));
    }
    if call.params.text("Type").is_some_and(|kind| kind != "application") {
        return Err(Refusal::validation("This sandbox knows application load balancers only"));
    }
    let scheme = call.params.text("Scheme").unwrap_or("internet-facing").to_owned();
    if !["internet-facing", "internal"].contains(&scheme.as_str()) {
        return Err(Refusal::validation(format!("'{scheme}' is not a valid scheme")));
    }
    let address_type = call.params.text("IpAddressType").unwrap_or("ipv4").to_owned();
    let (vpc, subnets) = subnets(call, &scheme)?;
    let groups = groups(call, &vpc)?;
    let given = tags::read(call.params)?;
    if let Some(known) = call.region.balancers.values().find(|known| known.name == name) {
        let mut same = known.subnets.clone();
        same.sort();
        if same == subnets
            && known.scheme == scheme
            && known.groups == groups
            && known.tags == given
        {
            return Ok(answer(call, &[known]));
        }
        return Err(Refusal::new(
            "DuplicateLoadBalancerName",
            format!(
                "A load balancer with the same name '{name}' exists, but with different \
                     settings"
            ),
        ));
    }
    if call.region.balancers.len() >= QUOTA {
        let message = "The maximum number of load balancers has been reached";
        return Err(Refusal::new("TooManyLoadBalancers", message));
    }
    let id = call.dice.hex(16);
    let place = call.place;
    let prefix = if scheme == "internal" { "internal-" } else { "" };
    let number = call.dice.between(100_000_000, 2_000_000_000);
    let balancer = Balancer {
        id: format!("arn:aws:elasticloadbalancing:{place}:{ACCOUNT}:loadbalancer/app/{name}/{id}"),
        name: name.to_owned(),
        dns: format!("{prefix}{name}-{number}.{place}.elb.amazonaws.com"),
        active_at: call.after(20_000, 120_000),
        seen_from: call.seen_from(),
        created: call.now,
        attributes: BTreeMap::new(),
        tags: given,
        vpc,
        scheme,
        address_type,
        subnets,
        groups,
    };
    make_interfaces(call, &balancer, &id)?;
    let xml = answer(call, &[&balancer]);
    call.region.balancers.insert(balancer.id.clone(), balancer);
    Ok(xml)
}

fn subnets(call: &Call<'_>, scheme: &str) -> Result<(String, Vec<String>), Refusal> {
    let mut ids = call.params.texts("Subnets");
    let mapped = call.params.list("SubnetMappings");
    ids.extend(mapped.iter().filter_map(|one| one.text("SubnetId")).map(str::to_owned));
    ids.sort();
    ids.dedup();
    let mut zones = Vec::new();
    let mut vpc: Option<String> = None;
    for id in &ids {
        let Some(subnet) = call.region.subnets.get(id) else {
            let message = format!("The subnet ID '{id}' is not valid");
            return Err(Refusal::new("SubnetNotFound", message));
        };
        if vpc.get_or_insert_with(|| subnet.vpc.clone()) != &subnet.vpc {
            let message = "Subnets of different VPCs were specified";
            return Err(Refusal::new("InvalidConfigurationRequest", message));
        }
        if zones.contains(&subnet.zone) {
            return Err(Refusal::new(
                "InvalidConfigurationRequest",
                "A load balancer cannot be attached to multiple subnets in the same Availability \
                 Zone",
            ));
        }
        zones.push(subnet.zone.clone());
    }
    if zones.len() < 2 {
        return Err(Refusal::validation(
            "At least two subnets in two different Availability Zones must be specified",
        ));
    }
    let vpc = vpc.unwrap_or_default();
    let connected =
        call.region.gateways.values().any(|gateway| gateway.vpc.as_deref() == Some(vpc.as_str()));
    if scheme == "internet-facing" && !connected {
        return Err(Refusal::new("InvalidSubnet", format!("VPC {vpc} has no internet gateway")));
    }
    Ok((vpc, ids))
}

fn groups(call: &Call<'_>, vpc: &str) -> Result<Vec<String>, Refusal> {
    let groups = call.params.texts("SecurityGroups");
    for id in &groups {
        let bad = |message: String| Refusal::new("InvalidSecurityGroup", message);
        match GROUP.find(&call.region.groups, id) {
            Ok(group) if group.vpc == vpc => {}
            Ok(_) => return Err(bad(format!("Security group '{id}' is of another VPC"))),
            Err(_) => return Err(bad(format!("Security group '{id}' does not exist"))),
        }
    }
    if groups.is_empty() {
        let mut all = call.region.groups.values();
        let default = all.find(|group| group.vpc == vpc && group.name == "default");
        return Ok(default.map(|group| group.id.clone()).into_iter().collect());
    }
    Ok(groups)
}

fn make_interfaces(call: &mut Call<'_>, balancer: &Balancer, id: &str) -> Result<(), Refusal> {
    for subnet in &balancer.subnets {
        let Some(subnet) = call.region.subnets.get(subnet).cloned() else { continue };
        let Some(address) = call.region.free_address(&subnet) else {
            let message = format!("Not enough IP space available in {}", subnet.id);
            return Err(Refusal::new("InvalidSubnet", message));
        };
        let public = balancer.scheme == "internet-facing";
        let interface = new_interface(call, &subnet, &address, public);
        let interface = Interface {
            groups: balancer.groups.clone(),
            description: format!("ELB app/{}/{id}", balancer.name),
            balancer: Some(balancer.id.clone()),
            seen_from: call.seen_from(),
            ..interface
        };
        call.region.interfaces.insert(interface.id.clone(), interface);
    }
    Ok(())
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let (arns, names) = (call.params.texts("LoadBalancerArns"), call.params.texts("Names"));
    let seen: Vec<&Balancer> =
        call.region.balancers.values().filter(|one| one.seen_from <= call.now).collect();
    for arn in &arns {
        seen.iter().find(|one| one.id == *arn).ok_or_else(|| unknown(arn))?;
    }
    for name in &names {
        seen.iter().find(|one| one.name == *name).ok_or_else(|| unknown(name))?;
    }
    let wanted = |one: &&Balancer| {
        (arns.is_empty() && names.is_empty()) || arns.contains(&one.id) || names.contains(&one.name)
    };
    let (found, next) =
        page(call, seen.into_iter().filter(wanted).collect(), |one| one.id.clone())?;
    let mut xml = answer(call, &found);
    xml.token("NextMarker", next);
    Ok(xml)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "LoadBalancerArn")?;
    // Deleting one that is gone succeeds, as AWS documents.
    let Some(balancer) = call.region.balancers.get(arn) else { return Ok(call.xml()) };
    if balancer.attributes.get("deletion_protection.enabled").is_some_and(|on| on == "true") {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!(
                "Load balancer '{arn}' cannot be deleted because deletion protection is \
                     enabled"
            ),
        ));
    }
    call.region.balancers.remove(arn);
    let listeners = &mut call.region.listeners;
    listeners.retain(|_, listener| listener.balancer != arn);
    call.region.rules.retain(|_, rule| listeners.contains_key(&rule.listener));
    let gone = call.after(10_000, 60_000);
    for interface in call.region.interfaces.values_mut() {
        if interface.balancer.as_deref() == Some(arn) {
            interface.gone_at = Some(gone);
        }
    }
    Ok(call.xml())
}

pub(super) fn describe_attributes(call: &mut Call<'_>) -> Answer {
    let balancer = find(call.region, need(call, "LoadBalancerArn")?)?;
    let mut xml = call.xml();
    write_attributes(&mut xml, &ATTRIBUTES, &balancer.attributes);
    Ok(xml)
}

pub(super) fn modify_attributes(call: &mut Call<'_>) -> Answer {
    let given = read_attributes(call, &ATTRIBUTES)?;
    let arn = need(call, "LoadBalancerArn")?;
    let balancer = call.region.balancers.get_mut(arn).ok_or_else(|| unknown(arn))?;
    balancer.attributes.extend(given);
    let mut xml = crate::sandbox::xml::Xml::new(call.item);
    write_attributes(&mut xml, &ATTRIBUTES, &balancer.attributes);
    Ok(xml)
}

/// Reads `Attributes`, refusing keys that the kind does not have.
pub(super) fn read_attributes(
    call: &Call<'_>,
    known: &[(&str, &str)],
) -> Result<Vec<(String, String)>, Refusal> {
    let mut given = Vec::new();
    for member in call.params.list("Attributes") {
        let key = member.text("Key").unwrap_or_default();
        if !known.iter().any(|(name, _)| *name == key) {
            return Err(Refusal::validation(format!("Attribute key '{key}' is not recognized")));
        }
        given.push((key.to_owned(), member.text("Value").unwrap_or_default().to_owned()));
    }
    Ok(given)
}

/// Writes all attributes of a kind, changed or default.
pub(super) fn write_attributes(
    xml: &mut Xml,
    known: &[(&str, &str)],
    changed: &BTreeMap<String, String>,
) {
    xml.list("Attributes", known, |xml, (key, default)| {
        let value = changed.get(*key).map_or(*default, String::as_str);
        xml.text("Key", key).text("Value", value);
    });
}

fn answer(call: &Call<'_>, balancers: &[&Balancer]) -> Xml {
    let zone_of = |subnet: &String| call.region.subnets.get(subnet).map(|one| one.zone.clone());
    let mut xml = call.xml();
    xml.list("LoadBalancers", balancers, |xml, one| {
        xml.text("LoadBalancerArn", &one.id)
            .text("DNSName", &one.dns)
            .text("CanonicalHostedZoneId", "Z32O12XQLNTSW2")
            .text("CreatedTime", one.created.iso())
            .text("LoadBalancerName", &one.name)
            .text("Scheme", &one.scheme)
            .text("VpcId", &one.vpc)
            .node("State", |xml| {
                let active = call.now >= one.active_at;
                xml.text("Code", if active { "active" } else { "provisioning" });
            })
            .text("Type", "application")
            .list("AvailabilityZones", &one.subnets, |xml, subnet| {
                xml.maybe("ZoneName", zone_of(subnet)).text("SubnetId", subnet);
                xml.list("LoadBalancerAddresses", None::<()>, |_, ()| {});
            })
            .texts("SecurityGroups", &one.groups)
            .text("IpAddressType", &one.address_type);
    });
    xml
}
