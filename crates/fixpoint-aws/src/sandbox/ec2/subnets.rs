//! Subnets.
//!
//! Not for routes. The surprise: the count of free addresses is computed from the interfaces that
//! exist, so it falls with instances and load balancers and rises when they are truly gone.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::cidr::Cidr;
use crate::sandbox::clock::Time;
use crate::sandbox::entities::Subnet;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, SUBNET, VPC, page, select};
use crate::sandbox::world::{ACCOUNT, Region};
use crate::sandbox::xml::Xml;

use super::{catalog, network, tags};

const FILTERS: &[Filter<Subnet>] = &[
    ("subnet-id", |subnet, _| vec![subnet.id.clone()]),
    ("vpc-id", |subnet, _| vec![subnet.vpc.clone()]),
    ("availability-zone", |subnet, _| vec![subnet.zone.clone()]),
    ("availabilityZone", |subnet, _| vec![subnet.zone.clone()]),
    ("cidr", |subnet, _| vec![subnet.cidr.to_string()]),
    ("cidr-block", |subnet, _| vec![subnet.cidr.to_string()]),
    ("cidrBlock", |subnet, _| vec![subnet.cidr.to_string()]),
    ("state", |subnet, view| vec![network::state(subnet.ready_at, view.now).into()]),
    ("default-for-az", |_, _| vec!["false".into()]),
    ("map-public-ip-on-launch", |subnet, _| vec![subnet.public_ips.to_string()]),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
];

pub(super) fn create_subnet(call: &mut Call<'_>) -> Answer {
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?;
    let (vpc_id, vpc_cidr) = (vpc.id.clone(), vpc.cidr);
    let text = call.params.need("CidrBlock")?;
    let cidr = Cidr::parse(text).ok_or_else(|| {
        Refusal::invalid(format!(
            "Value ({text}) for parameter cidrBlock is invalid. This is not \
                                  a valid CIDR block."
        ))
    })?;
    if !(16..=28).contains(&cidr.bits()) || !vpc_cidr.contains(cidr) {
        return Err(Refusal::new("InvalidSubnet.Range", format!("The CIDR '{text}' is invalid.")));
    }
    let overlap = |subnet: &&Subnet| subnet.vpc == vpc_id && subnet.cidr.overlaps(cidr);
    if let Some(other) = call.region.subnets.values().find(overlap) {
        return Err(Refusal::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr}' conflicts with another subnet ({})", other.id),
        ));
    }
    let zones = catalog::zones(call.place);
    let zone = match call.params.text("AvailabilityZone") {
        None => zones[0].clone(),
        Some(zone) if zones.iter().any(|known| known == zone) => zone.to_owned(),
        Some(zone) => {
            return Err(Refusal::invalid(format!(
                "Value ({zone}) for parameter availabilityZone is invalid. Subnets can currently \
                 only be created in the following availability zones: {}.",
                zones.join(", ")
            )));
        }
    };
    let given = tags::specified(call.params, "subnet", &["subnet"])?;
    let subnet = Subnet {
        id: call.dice.id("subnet"),
        vpc: vpc_id,
        cidr,
        zone,
        public_ips: false,
        ready_at: call.after(0, 2_000),
        seen_from: call.seen_from(),
        tags: given,
    };
    let mut xml = call.xml();
    xml.node("subnet", |xml| write(xml, &subnet, call.region, call.place, call.now));
    call.region.subnets.insert(subnet.id.clone(), subnet);
    Ok(xml)
}

pub(super) fn describe_subnets(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.subnets, &SUBNET, "SubnetId", FILTERS)?;
    let (subnets, next) = page(call, found, "SubnetId", |subnet| subnet.id.clone())?;
    let mut xml = call.xml();
    xml.list("subnetSet", subnets, |xml, subnet| {
        write(xml, subnet, call.region, call.place, call.now);
    })
    .token("nextToken", next);
    Ok(xml)
}

pub(super) fn modify_subnet_attribute(call: &mut Call<'_>) -> Answer {
    let value = call
        .params
        .flag("MapPublicIpOnLaunch.Value")?
        .ok_or_else(|| Refusal::missing("MapPublicIpOnLaunch"))?;
    SUBNET.find_mut(&mut call.region.subnets, call.params.need("SubnetId")?)?.public_ips = value;
    call.done()
}

pub(super) fn delete_subnet(call: &mut Call<'_>) -> Answer {
    let id = SUBNET.find(&call.region.subnets, call.params.need("SubnetId")?)?.id.clone();
    if !call.region.holders(&id).is_empty() {
        return Err(Refusal::dependency("subnet", &id));
    }
    call.region.subnets.remove(&id);
    for table in call.region.route_tables.values_mut() {
        table.associations.retain(|_, subnet| subnet.as_deref() != Some(id.as_str()));
    }
    call.done()
}

fn write(xml: &mut Xml, subnet: &Subnet, region: &Region, place: &str, now: Time) {
    let taken = region.interfaces.values().filter(|one| one.subnet == subnet.id).count();
    let free = subnet.cidr.usable().saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX));
    xml.text("subnetId", &subnet.id)
        .text("subnetArn", format!("arn:aws:ec2:{place}:{ACCOUNT}:subnet/{}", subnet.id))
        .text("state", network::state(subnet.ready_at, now))
        .text("ownerId", ACCOUNT)
        .text("vpcId", &subnet.vpc)
        .text("cidrBlock", subnet.cidr)
        .text("availableIpAddressCount", free)
        .text("availabilityZone", &subnet.zone)
        .text("availabilityZoneId", catalog::zone_id(&subnet.zone))
        .text("defaultForAz", false)
        .text("mapPublicIpOnLaunch", subnet.public_ips)
        .text("assignIpv6AddressOnCreation", false);
    tags::write(xml, &subnet.tags);
}
