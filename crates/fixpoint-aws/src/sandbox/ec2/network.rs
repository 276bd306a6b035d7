//! VPCs.
//!
//! Not for what lies in them. The surprise: a VPC brings a main route table and a default security
//! group, which nobody can delete and which go with it.

use std::collections::BTreeMap;

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::cidr::Cidr;
use crate::sandbox::clock::Time;
use crate::sandbox::entities::{RouteTable, Tags, Vpc};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, VPC, page, select};
use crate::sandbox::world::ACCOUNT;
use crate::sandbox::xml::Xml;

use super::{security, tags};

/// Most VPCs in a region. AWS starts at five and raises it on request; this account has asked.
const QUOTA: usize = 100;

const FILTERS: &[Filter<Vpc>] = &[
    ("vpc-id", |vpc, _| vec![vpc.id.clone()]),
    ("cidr", |vpc, _| vec![vpc.cidr.to_string()]),
    ("cidr-block", |vpc, _| vec![vpc.cidr.to_string()]),
    ("cidr-block-association.cidr-block", |vpc, _| vec![vpc.cidr.to_string()]),
    ("state", |vpc, view| vec![state(vpc.ready_at, view.now).into()]),
    ("is-default", |_, _| vec!["false".into()]),
    ("isDefault", |_, _| vec!["false".into()]),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
    ("dhcp-options-id", |vpc, _| vec![vpc.dhcp_options.clone()]),
];

/// Names the state of a VPC or subnet that becomes available at some time.
pub(super) fn state(ready_at: Time, now: Time) -> &'static str {
    if now >= ready_at { "available" } else { "pending" }
}

pub(super) fn create_vpc(call: &mut Call<'_>) -> Answer {
    let text = call.params.need("CidrBlock")?;
    let cidr = Cidr::parse(text).ok_or_else(|| {
        Refusal::invalid(format!(
            "Value ({text}) for parameter cidrBlock is invalid. This is not \
                                  a valid CIDR block."
        ))
    })?;
    if !(16..=28).contains(&cidr.bits()) {
        return Err(Refusal::new("InvalidVpc.Range", format!("The CIDR '{text}' is invalid.")));
    }
    let given = tags::specified(call.params, "vpc", &["vpc"])?;
    if call.region.vpcs.len() >= QUOTA {
        let message = "The maximum number of VPCs has been reached.";
        return Err(Refusal::new("VpcLimitExceeded", message));
    }
    let seen_from = call.seen_from();
    let vpc = Vpc {
        id: call.dice.id("vpc"),
        cidr,
        association: call.dice.id("vpc-cidr-assoc"),
        dhcp_options: call.dice.id("dopt"),
        dns_support: true,
        dns_hostnames: false,
        ready_at: call.after(500, 3_000),
        seen_from,
        tags: given,
    };
    let table = RouteTable {
        id: call.dice.id("rtb"),
        vpc: vpc.id.clone(),
        routes: BTreeMap::new(),
        associations: BTreeMap::from([(call.dice.id("rtbassoc"), None)]),
        seen_from,
        tags: Tags::new(),
    };
    let group = security::new_group(call, "default", "default VPC security group", &vpc.id);
    call.region.groups.insert(group.id.clone(), group);
    call.region.route_tables.insert(table.id.clone(), table);
    let mut xml = call.xml();
    xml.node("vpc", |xml| write(xml, &vpc, call.now));
    call.region.vpcs.insert(vpc.id.clone(), vpc);
    Ok(xml)
}

pub(super) fn describe_vpcs(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.vpcs, &VPC, "VpcId", FILTERS)?;
    let (vpcs, next) = page(call, found, "VpcId", |vpc| vpc.id.clone())?;
    let mut xml = call.xml();
    xml.list("vpcSet", vpcs, |xml, vpc| write(xml, vpc, call.now)).token("nextToken", next);
    Ok(xml)
}

pub(super) fn modify_vpc_attribute(call: &mut Call<'_>) -> Answer {
    let support = call.params.flag("EnableDnsSupport.Value")?;
    let hostnames = call.params.flag("EnableDnsHostnames.Value")?;
    let vpc = VPC.find_mut(&mut call.region.vpcs, call.params.need("VpcId")?)?;
    match (support, hostnames) {
        (Some(value), None) => vpc.dns_support = value,
        (None, Some(true)) if !vpc.dns_support => {
            return Err(Refusal::invalid("DNS hostnames need DNS support to be enabled"));
        }
        (None, Some(value)) => vpc.dns_hostnames = value,
        (None, None) => return Err(Refusal::missing("EnableDnsSupport or EnableDnsHostnames")),
        (Some(_), Some(_)) => {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "Only one attribute may be specified at a time",
            ));
        }
    }
    call.done()
}

pub(super) fn describe_vpc_attribute(call: &mut Call<'_>) -> Answer {
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?;
    let mut xml = call.xml();
    xml.text("vpcId", &vpc.id);
    let (name, value) = match call.params.need("Attribute")? {
        "enableDnsSupport" => ("enableDnsSupport", vpc.dns_support),
        "enableDnsHostnames" => ("enableDnsHostnames", vpc.dns_hostnames),
        other => return Err(Refusal::invalid(format!("Unknown attribute '{other}'"))),
    };
    xml.node(name, |xml| {
        xml.text("value", value);
    });
    Ok(xml)
}

pub(super) fn delete_vpc(call: &mut Call<'_>) -> Answer {
    let id = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?.id.clone();
    if !call.region.holders(&id).is_empty() {
        return Err(Refusal::dependency("vpc", &id));
    }
    call.region.vpcs.remove(&id);
    call.region.route_tables.retain(|_, table| table.vpc != id);
    call.region.groups.retain(|_, group| group.vpc != id);
    call.done()
}

fn write(xml: &mut Xml, vpc: &Vpc, now: Time) {
    xml.text("vpcId", &vpc.id)
        .text("ownerId", ACCOUNT)
        .text("state", state(vpc.ready_at, now))
        .text("cidrBlock", vpc.cidr)
        .text("dhcpOptionsId", &vpc.dhcp_options)
        .text("instanceTenancy", "default")
        .text("isDefault", false)
        .list("cidrBlockAssociationSet", [vpc], |xml, vpc| {
            xml.text("associationId", &vpc.association).text("cidrBlock", vpc.cidr);
            xml.node("cidrBlockState", |xml| {
                xml.text("state", "associated");
            });
        });
    tags::write(xml, &vpc.tags);
}
