//! What comes with instances and load balancers: volumes and network interfaces.
//!
//! Not for making them, which only their holders do. The surprise: an interface outlives a deleted
//! load balancer by up to a minute, and holds subnet and security groups as long.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::{Interface, Volume};
use crate::sandbox::select::{Filter, INTERFACE, VOLUME, page, select};
use crate::sandbox::world::ACCOUNT;

use super::tags;

const VOLUMES: &[Filter<Volume>] = &[
    ("volume-id", |volume, _| vec![volume.id.clone()]),
    ("attachment.instance-id", |volume, _| vec![volume.instance.clone()]),
    ("attachment.device", |volume, _| vec![volume.device.clone()]),
    ("availability-zone", |volume, _| vec![volume.zone.clone()]),
    ("volume-type", |volume, _| vec![volume.kind.clone()]),
    ("size", |volume, _| vec![volume.size.to_string()]),
    ("encrypted", |volume, _| vec![volume.encrypted.to_string()]),
    ("status", |volume, view| {
        let held = view.region.instances.get(&volume.instance);
        let held = held.is_some_and(|one| !one.is_terminated(view.now));
        vec![if held { "in-use" } else { "available" }.into()]
    }),
];

pub(super) fn describe_volumes(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.volumes, &VOLUME, "VolumeId", VOLUMES)?;
    let (volumes, next) = page(call, found, "VolumeId", |volume| volume.id.clone())?;
    let mut xml = call.xml();
    xml.list("volumeSet", volumes, |xml, volume| {
        let instance = call.region.instances.get(&volume.instance);
        let held = instance.filter(|one| !one.is_terminated(call.now));
        xml.text("volumeId", &volume.id)
            .text("size", volume.size)
            .maybe("snapshotId", volume.snapshot.as_ref())
            .text("availabilityZone", &volume.zone)
            .text("status", if held.is_some() { "in-use" } else { "available" })
            .text("createTime", volume.created.iso())
            .text("volumeType", &volume.kind)
            .text("encrypted", volume.encrypted)
            .list("attachmentSet", held, |xml, instance| {
                xml.text("volumeId", &volume.id)
                    .text("instanceId", &instance.id)
                    .text("device", &volume.device)
                    .text("status", "attached")
                    .text("attachTime", volume.created.iso())
                    .text("deleteOnTermination", volume.dies_with_instance);
            });
        tags::write(xml, &volume.tags);
    })
    .token("nextToken", next);
    Ok(xml)
}

const INTERFACES: &[Filter<Interface>] = &[
    ("network-interface-id", |one, _| vec![one.id.clone()]),
    ("vpc-id", |one, _| vec![one.vpc.clone()]),
    ("subnet-id", |one, _| vec![one.subnet.clone()]),
    ("availability-zone", |one, _| vec![one.zone.clone()]),
    ("group-id", |one, _| one.groups.clone()),
    ("description", |one, _| vec![one.description.clone()]),
    ("private-ip-address", |one, _| vec![one.private_ip.clone()]),
    ("association.public-ip", |one, _| one.public_ip.iter().cloned().collect()),
    ("attachment.instance-id", |one, _| one.instance.iter().cloned().collect()),
    ("requester-managed", |one, _| vec![one.balancer.is_some().to_string()]),
    ("interface-type", |_, _| vec!["interface".into()]),
    ("status", |_, _| vec!["in-use".into()]),
];

pub(super) fn describe_network_interfaces(call: &mut Call<'_>) -> Answer {
    let table = &call.region.interfaces;
    let found = select(call, table, &INTERFACE, "NetworkInterfaceId", INTERFACES)?;
    let (found, next) = page(call, found, "NetworkInterfaceId", |one| one.id.clone())?;
    let mut xml = call.xml();
    xml.list("networkInterfaceSet", found, |xml, one| {
        xml.text("networkInterfaceId", &one.id)
            .text("subnetId", &one.subnet)
            .text("vpcId", &one.vpc)
            .text("availabilityZone", &one.zone)
            .text("description", &one.description)
            .text("ownerId", ACCOUNT)
            .maybe("requesterId", one.balancer.as_ref().map(|_| "amazon-elb"))
            .text("requesterManaged", one.balancer.is_some())
            .text("status", "in-use")
            .text("macAddress", &one.mac)
            .text("privateIpAddress", &one.private_ip)
            .text("sourceDestCheck", true)
            .text("interfaceType", "interface");
        xml.list("groupSet", &one.groups, |xml, id| {
            let name = call.region.groups.get(id).map(|group| group.name.clone());
            xml.text("groupId", id).maybe("groupName", name);
        });
        xml.node("attachment", |xml| {
            xml.text("attachmentId", &one.attachment)
                .maybe("instanceId", one.instance.as_ref())
                .text(
                    "instanceOwnerId",
                    if one.balancer.is_some() { "amazon-elb" } else { ACCOUNT },
                )
                .text("deviceIndex", 0)
                .text("status", "attached")
                .text("attachTime", one.created.iso())
                .text("deleteOnTermination", one.balancer.is_none());
        });
        if let Some(address) = &one.public_ip {
            xml.node("association", |xml| {
                xml.text("publicIp", address).text("ipOwnerId", "amazon");
            });
        }
        tags::write(xml, &one.tags);
    })
    .token("nextToken", next);
    Ok(xml)
}
