//! Rules of security groups: authorised, revoked, described.
//!
//! Not for groups. The surprise: one permission of a request becomes one rule per block or group
//! that it names, each with an id of its own; descriptions of groups fold them together again.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::cidr::Cidr;
use crate::sandbox::entities::{Group, GroupRule, Peer, Traffic};
use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{GROUP, any_match, asked, page};
use crate::sandbox::world::ACCOUNT;
use crate::sandbox::xml::Xml;

use super::tags;

/// Most rules of a group in one direction, AWS's default quota.
const QUOTA: usize = 60;

pub(super) fn authorize(call: &mut Call<'_>, egress: bool) -> Answer {
    let id = call.params.need("GroupId")?;
    let vpc = GROUP.find(&call.region.groups, id)?.vpc.clone();
    let traffics = permissions(call, egress)?;
    if traffics.is_empty() {
        return Err(Refusal::missing("IpPermissions"));
    }
    let given = tags::specified(call.params, "security-group-rule", &["security-group-rule"])?;
    let mut made = Vec::new();
    for (traffic, description) in traffics {
        if let Peer::Group(peer) = &traffic.peer
            && GROUP.find(&call.region.groups, peer)?.vpc != vpc
        {
            return Err(GROUP.unknown(peer));
        }
        let rule = GroupRule { id: call.dice.id("sgr"), description, traffic, tags: given.clone() };
        let group = GROUP.find_mut(&mut call.region.groups, id)?;
        if group.rules.iter().any(|known| known.traffic == rule.traffic) {
            return Err(Refusal::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule \"{}\" already exists", describe_text(&rule.traffic)),
            ));
        }
        if group.rules.iter().filter(|known| known.traffic.egress == egress).count() >= QUOTA {
            return Err(Refusal::new(
                "RulesPerSecurityGroupLimitExceeded",
                "The maximum number of rules per security group has been reached.",
            ));
        }
        made.push(rule.clone());
        group.rules.push(rule);
    }
    let mut xml = call.xml();
    xml.text("return", true);
    xml.list("securityGroupRuleSet", &made, |xml, rule| write(xml, id, rule, call.place));
    Ok(xml)
}

pub(super) fn revoke(call: &mut Call<'_>, egress: bool) -> Answer {
    let id = call.params.need("GroupId")?;
    let traffics = permissions(call, egress)?;
    let rule_ids = call.params.texts("SecurityGroupRuleId");
    let group = GROUP.find_mut(&mut call.region.groups, id)?;
    if traffics.is_empty() && rule_ids.is_empty() {
        return Err(Refusal::missing("IpPermissions"));
    }
    for rule_id in rule_ids {
        let matches = |rule: &GroupRule| rule.id == rule_id && rule.traffic.egress == egress;
        let Some(at) = group.rules.iter().position(matches) else {
            return Err(Refusal::new(
                "InvalidSecurityGroupRuleId.NotFound",
                format!("The security group rule ID '{rule_id}' does not exist"),
            ));
        };
        group.rules.remove(at);
    }
    for (traffic, _) in traffics {
        let Some(at) = group.rules.iter().position(|rule| rule.traffic == traffic) else {
            return Err(Refusal::new(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            ));
        };
        group.rules.remove(at);
    }
    call.done()
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.texts("SecurityGroupRuleId");
    let groups = call.region.groups.values().filter(|group| group.seen_from <= call.now);
    let mut found: Vec<(&Group, &GroupRule)> =
        groups.flat_map(|group| group.rules.iter().map(move |rule| (group, rule))).collect();
    if let Some(id) = wanted.iter().find(|id| !found.iter().any(|(_, rule)| rule.id == **id)) {
        return Err(Refusal::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{id}' does not exist"),
        ));
    }
    found.retain(|(_, rule)| wanted.is_empty() || wanted.contains(&rule.id));
    for (name, patterns) in asked(call.params)? {
        match name.as_str() {
            "group-id" => {
                found.retain(|(group, _)| any_match(&patterns, std::slice::from_ref(&group.id)));
            }
            "security-group-rule-id" => {
                found.retain(|(_, rule)| any_match(&patterns, std::slice::from_ref(&rule.id)));
            }
            other => match other.strip_prefix("tag:") {
                Some(key) => found.retain(|(_, rule)| {
                    rule.tags
                        .get(key)
                        .is_some_and(|value| any_match(&patterns, std::slice::from_ref(value)))
                }),
                None => {
                    return Err(Refusal::invalid(format!("The filter '{other}' is invalid")));
                }
            },
        }
    }
    let (rules, next) = page(call, found, "SecurityGroupRuleId", |(_, rule)| rule.id.clone())?;
    let mut xml = call.xml();
    xml.list("securityGroupRuleSet", rules, |xml, (group, rule)| {
        write(xml, &group.id, rule, call.place);
    })
    .token("nextToken", next);
    Ok(xml)
}

/// Writes a group's rules of one direction, folded by protocol and ports as AWS does.
pub(super) fn write_permissions(xml: &mut Xml, name: &str, group: &Group, egress: bool) {
    let rules: Vec<&GroupRule> =
        group.rules.iter().filter(|rule| rule.traffic.egress == egress).collect();
    let key =
        |rule: &GroupRule| (rule.traffic.protocol.clone(), rule.traffic.from, rule.traffic.to);
    let mut keys: Vec<_> = rules.iter().map(|rule| key(rule)).collect();
    keys.sort();
    keys.dedup();
    xml.list(name, keys, |xml, folded| {
        let same: Vec<&GroupRule> =
            rules.iter().copied().filter(|rule| key(rule) == folded).collect();
        xml.text("ipProtocol", &folded.0);
        if folded.0 != "-1" {
            xml.text("fromPort", folded.1).text("toPort", folded.2);
        }
        let peers = |pick: fn(&Peer) -> Option<&String>| {
            let with = |rule: &&GroupRule| {
                pick(&rule.traffic.peer).map(|peer| (peer.clone(), rule.description.clone()))
            };
            same.iter().filter_map(with).collect::<Vec<_>>()
        };
        let groups = peers(|peer| if let Peer::Group(id) = peer { Some(id) } else { None });
        let v4 = peers(|peer| if let Peer::V4(cidr) = peer { Some(cidr) } else { None });
        let v6 = peers(|peer| if let Peer::V6(cidr) = peer { Some(cidr) } else { None });
        xml.list("groups", groups, |xml, (id, description)| {
            xml.text("userId", ACCOUNT).text("groupId", id).maybe("description", description);
        })
        .list("ipRanges", v4, |xml, (cidr, description)| {
            xml.text("cidrIp", cidr).maybe("description", description);
        })
        .list("ipv6Ranges", v6, |xml, (cidr, description)| {
            xml.text("cidrIpv6", cidr).maybe("description", description);
        })
        .list("prefixListIds", None::<()>, |_, ()| {});
    });
}

fn write(xml: &mut Xml, group: &str, rule: &GroupRule, place: &str) {
    let traffic = &rule.traffic;
    xml.text("securityGroupRuleId", &rule.id)
        .text(
            "securityGroupRuleArn",
            format!("arn:aws:ec2:{place}:{ACCOUNT}:security-group-rule/{}", rule.id),
        )
        .text("groupId", group)
        .text("groupOwnerId", ACCOUNT)
        .text("isEgress", traffic.egress)
        .text("ipProtocol", &traffic.protocol)
        .text("fromPort", traffic.from)
        .text("toPort", traffic.to);
    match &traffic.peer {
        Peer::V4(cidr) => xml.text("cidrIpv4", cidr),
        Peer::V6(cidr) => xml.text("cidrIpv6", cidr),
        Peer::Group(id) => xml.node("referencedGroupInfo", |xml| {
            xml.text("groupId", id).text("userId", ACCOUNT);
        }),
    };
    xml.maybe("description", rule.description.as_ref());
    tags::write(xml, &rule.tags);
}

fn describe_text(traffic: &Traffic) -> String {
    let (Peer::V4(peer) | Peer::V6(peer) | Peer::Group(peer)) = &traffic.peer;
    let Traffic { protocol, from, to, .. } = traffic;
    format!("peer: {peer}, {protocol}, from port: {from}, to port: {to}, ALLOW")
}

/// Reads the permissions of a request, one entry per peer.
fn permissions(call: &Call<'_>, egress: bool) -> Result<Vec<(Traffic, Option<String>)>, Refusal> {
    let mut found = Vec::new();
    for permission in call.params.list("IpPermissions") {
        let (protocol, from, to) = ports(permission)?;
        let mut push = |peer, params: &Params| {
            let description = params.text("Description").map(str::to_owned);
            let protocol = protocol.clone();
            found.push((Traffic { egress, protocol, from, to, peer }, description));
        };
        let v4 = permission.list("IpRanges");
        for range in &v4 {
            push(Peer::V4(block(range.need("CidrIp")?)?), range);
        }
        let v6 = permission.list("Ipv6Ranges");
        for range in &v6 {
            push(Peer::V6(range.need("CidrIpv6")?.to_owned()), range);
        }
        let groups = permission.list("Groups");
        for peer in &groups {
            push(Peer::Group(peer.need("GroupId")?.to_owned()), peer);
        }
        if v4.is_empty() && v6.is_empty() && groups.is_empty() {
            return Err(Refusal::missing("IpPermissions.IpRanges or Groups"));
        }
    }
    if call.params.text("IpProtocol").is_some() {
        let (protocol, from, to) = ports(call.params)?;
        let peer = Peer::V4(block(call.params.need("CidrIp")?)?);
        found.push((Traffic { egress, protocol, from, to, peer }, None));
    }
    Ok(found)
}

fn block(text: &str) -> Result<String, Refusal> {
    if Cidr::is_exact(text) {
        return Ok(text.to_owned());
    }
    Err(Refusal::invalid(format!("CIDR block {text} is malformed")))
}

fn ports(params: &Params) -> Result<(String, i64, i64), Refusal> {
    let protocol = match params.need("IpProtocol")? {
        "6" => "tcp",
        "17" => "udp",
        "1" => "icmp",
        "all" => "-1",
        known @ ("-1" | "tcp" | "udp" | "icmp" | "icmpv6") => known,
        other => return Err(Refusal::invalid(format!("Invalid value '{other}' for IP protocol."))),
    };
    let (from, to) = (params.number("FromPort")?, params.number("ToPort")?);
    match protocol {
        "-1" => Ok((protocol.into(), -1, -1)),
        "tcp" | "udp" => {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(Refusal::invalid(
                    "Invalid value 'Must specify both from and to ports \
                                             with TCP/UDP.' for portRange.",
                ));
            };
            if !(0..=65_535).contains(&from) || !(0..=65_535).contains(&to) || from > to {
                return Err(Refusal::invalid(format!("Invalid TCP/UDP port range ({from}:{to})")));
            }
            Ok((protocol.into(), from, to))
        }
        _ => Ok((protocol.into(), from.unwrap_or(-1), to.unwrap_or(-1))),
    }
}
