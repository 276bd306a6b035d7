//! Target groups.
//!
//! Not for the targets in them. The surprise: `LoadBalancerArns` of a group is not stored; it
//! follows from the listeners and rules that forward to the group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::balancers::{read_attributes, write_attributes};
use super::targets::Target;
use super::{check_name, health::Health, need, page, tags};
use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::entities::{Tags, entities};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{ACCOUNT, Region};
use crate::sandbox::xml::Xml;

/// A target group; `id` is its ARN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct TargetGroup {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) name: String,
    pub(in crate::sandbox) vpc: String,
    pub(super) protocol: String,
    pub(super) port: i64,
    pub(super) kind: String,
    pub(super) health: Health,
    attributes: BTreeMap<String, String>,
    /// Targets by id and port, e.g. `i-0123:8086`.
    pub(in crate::sandbox) targets: BTreeMap<String, Target>,
    seen_from: Time,
    tags: Tags,
}

entities! { TargetGroup: "target-group" }

/// Attributes that a target group may have, with their defaults.
const ATTRIBUTES: [(&str, &str); 9] = [
    ("deregistration_delay.timeout_seconds", "300"),
    ("stickiness.enabled", "false"),
    ("stickiness.type", "lb_cookie"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("slow_start.duration_seconds", "0"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
];

impl TargetGroup {
    /// Tells for how long a deregistered target drains, in milliseconds.
    pub(super) fn drain(&self) -> i64 {
        let seconds = self.attributes.get("deregistration_delay.timeout_seconds");
        seconds.and_then(|text| text.parse::<i64>().ok()).unwrap_or(300) * 1000
    }

    /// Lists the load balancers that route to the group.
    pub(super) fn balancers(&self, region: &Region) -> Vec<String> {
        let by_rule = |listener: &str| {
            region.rules.values().any(|rule| rule.listener == listener && rule.routes_to(&self.id))
        };
        let mut arns: Vec<String> = region
            .listeners
            .values()
            .filter(|listener| listener.routes_to(&self.id) || by_rule(&listener.id))
            .map(|listener| listener.balancer.clone())
            .collect();
        arns.sort();
        arns.dedup();
        arns
    }
}

/// Builds ELBv2's answer to a group nobody has.
pub(super) fn unknown() -> Refusal {
    Refusal::new("TargetGroupNotFound", "One or more target groups not found")
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let name = need(call, "Name")?;
    check_name("target group", name)?;
    let protocol = need(call, "Protocol")?.to_owned();
    if !["HTTP", "HTTPS"].contains(&protocol.as_str()) {
        return Err(Refusal::validation(format!("Protocol '{protocol}' is not supported here")));
    }
    let port = call.params.number("Port")?.unwrap_or(0);
    if !(1..=65_535).contains(&port) {
        return Err(Refusal::validation(format!("Port '{port}' is not between 1 and 65535")));
    }
    let kind = call.params.text("TargetType").unwrap_or("instance").to_owned();
    if kind != "instance" {
        return Err(Refusal::validation(format!("Target type '{kind}' is not supported here")));
    }
    let vpc = need(call, "VpcId")?.to_owned();
    if !call.region.vpcs.contains_key(&vpc) {
        return Err(Refusal::validation(format!("The VPC ID '{vpc}' is not found")));
    }
    let health = Health::read(call.params, &protocol)?;
    let given = tags::read(call.params)?;
    if let Some(known) = call.region.target_groups.values().find(|group| group.name == name) {
        let same = (&known.protocol, known.port, &known.vpc, &known.health, &known.tags)
            == (&protocol, port, &vpc, &health, &given);
        if same {
            return Ok(answer(call, &[known]));
        }
        return Err(Refusal::new(
            "DuplicateTargetGroupName",
            format!(
                "A target group with the same name '{name}' exists, but with different \
                     settings"
            ),
        ));
    }
    let (place, id) = (call.place, call.dice.hex(16));
    let group = TargetGroup {
        id: format!("arn:aws:elasticloadbalancing:{place}:{ACCOUNT}:targetgroup/{name}/{id}"),
        name: name.to_owned(),
        attributes: BTreeMap::new(),
        targets: BTreeMap::new(),
        seen_from: call.seen_from(),
        tags: given,
        vpc,
        protocol,
        port,
        kind,
        health,
    };
    let xml = answer(call, &[&group]);
    call.region.target_groups.insert(group.id.clone(), group);
    Ok(xml)
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let (arns, names) = (call.params.texts("TargetGroupArns"), call.params.texts("Names"));
    let balancer = call.params.text("LoadBalancerArn");
    let ways = [!arns.is_empty(), !names.is_empty(), balancer.is_some()];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        return Err(Refusal::validation(
            "Target groups can be described by ARNs, by names or by load balancer, not several \
             of these",
        ));
    }
    if let Some(arn) = balancer {
        super::balancers::find(call.region, arn)?;
    }
    let seen: Vec<&TargetGroup> =
        call.region.target_groups.values().filter(|group| group.seen_from <= call.now).collect();
    let missing_arn = arns.iter().any(|arn| !seen.iter().any(|group| group.id == *arn));
    let missing_name = names.iter().any(|name| !seen.iter().any(|group| group.name == *name));
    if missing_arn || missing_name {
        return Err(unknown());
    }
    let wanted = |group: &&TargetGroup| {
        (arns.is_empty() || arns.contains(&group.id))
            && (names.is_empty() || names.contains(&group.name))
            && balancer.is_none_or(|arn| group.balancers(call.region).iter().any(|one| one == arn))
    };
    let found = seen.into_iter().filter(wanted).collect();
    let (found, next) = page(call, found, |group| group.id.clone())?;
    let mut xml = answer(call, &found);
    xml.token("NextMarker", next);
    Ok(xml)
}

pub(super) fn describe_attributes(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "TargetGroupArn")?;
    let group = call.region.target_groups.get(arn).ok_or_else(unknown)?;
    let mut xml = call.xml();
    write_attributes(&mut xml, &ATTRIBUTES, &group.attributes);
    Ok(xml)
}

pub(super) fn modify_attributes(call: &mut Call<'_>) -> Answer {
    let given = read_attributes(call, &ATTRIBUTES)?;
    for (key, value) in &given {
        let seconds = value.parse::<u32>().is_ok_and(|seconds| seconds <= 3600);
        if key == "deregistration_delay.timeout_seconds" && !seconds {
            return Err(Refusal::new(
                "InvalidConfigurationRequest",
                format!("'{value}' is not between 0 and 3600 for {key}"),
            ));
        }
    }
    let arn = need(call, "TargetGroupArn")?;
    let group = call.region.target_groups.get_mut(arn).ok_or_else(unknown)?;
    group.attributes.extend(given);
    let mut xml = Xml::new(call.item);
    write_attributes(&mut xml, &ATTRIBUTES, &group.attributes);
    Ok(xml)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "TargetGroupArn")?;
    if !call.region.holders(arn).is_empty() {
        return Err(Refusal::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    // Deleting one that is gone succeeds, as AWS documents.
    call.region.target_groups.remove(arn);
    Ok(call.xml())
}

fn answer(call: &Call<'_>, groups: &[&TargetGroup]) -> Xml {
    let mut xml = call.xml();
    xml.list("TargetGroups", groups, |xml, group| {
        xml.text("TargetGroupArn", &group.id)
            .text("TargetGroupName", &group.name)
            .text("Protocol", &group.protocol)
            .text("ProtocolVersion", "HTTP1")
            .text("Port", group.port)
            .text("VpcId", &group.vpc)
            .text("TargetType", &group.kind)
            .text("IpAddressType", "ipv4");
        group.health.write(xml);
        xml.texts("LoadBalancerArns", group.balancers(call.region));
    });
    xml
}
