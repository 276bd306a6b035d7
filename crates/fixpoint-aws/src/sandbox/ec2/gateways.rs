//! Internet gateways.
//!
//! Not for routes through them. The surprise: a gateway cannot be detached while anything in the
//! VPC still has a public address, which includes load balancers that were deleted a moment ago.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::Gateway;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, GATEWAY, VPC, page, select};
use crate::sandbox::world::ACCOUNT;
use crate::sandbox::xml::Xml;

use super::tags;

const FILTERS: &[Filter<Gateway>] = &[
    ("internet-gateway-id", |gateway, _| vec![gateway.id.clone()]),
    ("attachment.vpc-id", |gateway, _| gateway.vpc.iter().cloned().collect()),
    ("attachment.state", |gateway, _| gateway.vpc.iter().map(|_| "available".into()).collect()),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
];

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let given = tags::specified(call.params, "internet-gateway", &["internet-gateway"])?;
    let (id, seen_from) = (call.dice.id("igw"), call.seen_from());
    let gateway = Gateway { id, vpc: None, seen_from, tags: given };
    let mut xml = call.xml();
    xml.node("internetGateway", |xml| write(xml, &gateway));
    call.region.gateways.insert(gateway.id.clone(), gateway);
    Ok(xml)
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.gateways, &GATEWAY, "InternetGatewayId", FILTERS)?;
    let (gateways, next) = page(call, found, "InternetGatewayId", |gateway| gateway.id.clone())?;
    let mut xml = call.xml();
    xml.list("internetGatewaySet", gateways, write).token("nextToken", next);
    Ok(xml)
}

pub(super) fn attach(call: &mut Call<'_>) -> Answer {
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?.id.clone();
    let other = call.region.gateways.values().find(|one| one.vpc.as_deref() == Some(vpc.as_str()));
    let other = other.map(|gateway| gateway.id.clone());
    let id = call.params.need("InternetGatewayId")?;
    let gateway = GATEWAY.find_mut(&mut call.region.gateways, id)?;
    if gateway.vpc.is_some() {
        return Err(Refusal::new(
            "Resource.AlreadyAssociated",
            format!("resource {id} is already attached to network {vpc}"),
        ));
    }
    if other.is_some() {
        return Err(Refusal::invalid(format!(
            "Network {vpc} already has an internet gateway attached"
        )));
    }
    gateway.vpc = Some(vpc);
    call.done()
}

pub(super) fn detach(call: &mut Call<'_>) -> Answer {
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?.id.clone();
    let has_public = call
        .region
        .interfaces
        .values()
        .any(|interface| interface.vpc == vpc && interface.public_ip.is_some());
    let id = call.params.need("InternetGatewayId")?;
    let gateway = GATEWAY.find_mut(&mut call.region.gateways, id)?;
    if gateway.vpc.as_deref() != Some(vpc.as_str()) {
        return Err(Refusal::new(
            "Gateway.NotAttached",
            format!("resource {id} is not attached to network {vpc}"),
        ));
    }
    if has_public {
        return Err(Refusal::new(
            "DependencyViolation",
            format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public \
                 address(es) before detaching the gateway."
            ),
        ));
    }
    gateway.vpc = None;
    call.done()
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.need("InternetGatewayId")?;
    GATEWAY.find(&call.region.gateways, id)?;
    if !call.region.holders(id).is_empty() {
        return Err(Refusal::dependency("internetGateway", id));
    }
    call.region.gateways.remove(id);
    call.done()
}

fn write(xml: &mut Xml, gateway: &Gateway) {
    xml.text("internetGatewayId", &gateway.id).text("ownerId", ACCOUNT).list(
        "attachmentSet",
        &gateway.vpc,
        |xml, vpc| {
            xml.text("vpcId", vpc).text("state", "available");
        },
    );
    tags::write(xml, &gateway.tags);
}
