//! Security groups; their rules are in `rules`.
//!
//! Not for who may talk to whom: nothing here filters traffic. The surprise: a new group lets all
//! traffic out, by a rule that one has to revoke to get rid of.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::{Group, GroupRule, Peer, Tags, Traffic};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, GROUP, VPC, page, select};
use crate::sandbox::world::ACCOUNT;
use crate::sandbox::xml::Xml;

use super::{rules, tags};

const FILTERS: &[Filter<Group>] = &[
    ("group-id", |group, _| vec![group.id.clone()]),
    ("group-name", |group, _| vec![group.name.clone()]),
    ("vpc-id", |group, _| vec![group.vpc.clone()]),
    ("description", |group, _| vec![group.description.clone()]),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
    ("ip-permission.group-id", |group, _| peers(group, false)),
    ("egress.ip-permission.group-id", |group, _| peers(group, true)),
];

fn peers(group: &Group, egress: bool) -> Vec<String> {
    let rules = group.rules.iter().filter(|rule| rule.traffic.egress == egress);
    rules
        .filter_map(|rule| match &rule.traffic.peer {
            Peer::Group(id) => Some(id.clone()),
            Peer::V4(_) | Peer::V6(_) => None,
        })
        .collect()
}

/// Builds a group with the rule that lets everything out.
pub(super) fn new_group(call: &mut Call<'_>, name: &str, description: &str, vpc: &str) -> Group {
    let all = Traffic {
        egress: true,
        protocol: "-1".into(),
        from: -1,
        to: -1,
        peer: Peer::V4("0.0.0.0/0".into()),
    };
    let id = call.dice.id("sgr");
    Group {
        id: call.dice.id("sg"),
        name: name.into(),
        description: description.into(),
        vpc: vpc.into(),
        rules: vec![GroupRule { id, description: None, traffic: all, tags: Tags::new() }],
        seen_from: call.seen_from(),
        tags: Tags::new(),
    }
}

pub(super) fn create_security_group(call: &mut Call<'_>) -> Answer {
    let name = call.params.need("GroupName")?;
    let description = call.params.need("GroupDescription")?;
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?.id.clone();
    for (what, text) in [("name", name), ("description", description)] {
        let allowed = |c: char| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c);
        if text.len() > 255 || !text.chars().all(allowed) {
            return Err(Refusal::invalid(format!(
                "Invalid security group {what}. Valid {what}s have up to 255 characters from \
                 a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{{}}!$*"
            )));
        }
    }
    if name.starts_with("sg-") {
        return Err(Refusal::invalid("Group names may not be in the format sg-*"));
    }
    if name == "default" {
        let message = "Cannot use reserved security group name: default";
        return Err(Refusal::invalid(message));
    }
    if call.region.groups.values().any(|group| group.vpc == vpc && group.name == name) {
        return Err(Refusal::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc}'"),
        ));
    }
    let given = tags::specified(call.params, "security-group", &["security-group"])?;
    let mut group = new_group(call, name, description, &vpc);
    group.tags = given;
    let mut xml = call.xml();
    xml.text("return", true).text("groupId", &group.id);
    tags::write(&mut xml, &group.tags);
    call.region.groups.insert(group.id.clone(), group);
    Ok(xml)
}

pub(super) fn describe_security_groups(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.groups, &GROUP, "GroupId", FILTERS)?;
    // The parameter only ever meant groups of a default VPC, and there is none.
    if let Some(name) = call.params.texts("GroupName").first() {
        return Err(Refusal::new(
            "InvalidGroup.NotFound",
            format!("The security group '{name}' does not exist in default VPC"),
        ));
    }
    let (groups, next) = page(call, found, "GroupId", |group| group.id.clone())?;
    let mut xml = call.xml();
    xml.list("securityGroupInfo", groups, |xml, group| write(xml, group, call.place))
        .token("nextToken", next);
    Ok(xml)
}

pub(super) fn delete_security_group(call: &mut Call<'_>) -> Answer {
    let id = call.params.need("GroupId")?;
    let group = GROUP.find(&call.region.groups, id)?;
    if group.name == "default" {
        return Err(Refusal::new(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        ));
    }
    if !call.region.holders(id).is_empty() {
        return Err(Refusal::new(
            "DependencyViolation",
            format!("resource {id} has a dependent object"),
        ));
    }
    call.region.groups.remove(id);
    let mut xml = call.xml();
    xml.text("return", true).text("groupId", id);
    Ok(xml)
}

fn write(xml: &mut Xml, group: &Group, place: &str) {
    xml.text("ownerId", ACCOUNT)
        .text("groupId", &group.id)
        .text("groupName", &group.name)
        .text("groupDescription", &group.description)
        .text("vpcId", &group.vpc)
        .text(
            "securityGroupArn",
            format!("arn:aws:ec2:{place}:{ACCOUNT}:security-group/{}", group.id),
        );
    rules::write_permissions(xml, "ipPermissions", group, false);
    rules::write_permissions(xml, "ipPermissionsEgress", group, true);
    tags::write(xml, &group.tags);
}
