//! Instances after their launch: described, protected, terminated.
//!
//! Not for launching. The surprise: a terminated instance is described for another hour, without
//! addresses, groups or subnet.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::entities::Instance;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, INSTANCE, View, page, select};
use crate::sandbox::world::{ACCOUNT, Region};
use crate::sandbox::xml::Xml;

use super::{catalog, tags};

/// Yields a value that only a living instance has.
fn alive(instance: &Instance, view: &View<'_>, value: impl Into<Option<String>>) -> Vec<String> {
    value.into().filter(|_| !instance.is_terminated(view.now)).into_iter().collect()
}

const FILTERS: &[Filter<Instance>] = &[
    ("instance-id", |one, _| vec![one.id.clone()]),
    ("instance-state-name", |one, view| vec![one.state(view.now).1.into()]),
    ("instance-state-code", |one, view| vec![one.state(view.now).0.to_string()]),
    ("instance-type", |one, _| vec![one.kind.clone()]),
    ("image-id", |one, _| vec![one.image.clone()]),
    ("vpc-id", |one, view| alive(one, view, one.vpc.clone())),
    ("subnet-id", |one, view| alive(one, view, one.subnet.clone())),
    ("network-interface.subnet-id", |one, view| alive(one, view, one.subnet.clone())),
    ("availability-zone", |one, _| vec![one.zone.clone()]),
    ("key-name", |one, _| one.key.iter().cloned().collect()),
    ("client-token", |one, _| one.token.iter().cloned().collect()),
    ("reservation-id", |one, _| vec![one.reservation.clone()]),
    ("private-ip-address", |one, view| alive(one, view, one.private_ip.clone())),
    ("ip-address", |one, view| alive(one, view, public_ip(one, view.now))),
    ("iam-instance-profile.arn", |one, _| one.profile.iter().map(|(arn, _)| arn.clone()).collect()),
    ("instance.group-id", |one, view| groups(one, view.now)),
    ("network-interface.group-id", |one, view| groups(one, view.now)),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
];

fn groups(instance: &Instance, now: Time) -> Vec<String> {
    if instance.is_terminated(now) { Vec::new() } else { instance.groups.clone() }
}

/// The public address comes with the interface's attachment, a moment before `running`.
fn public_ip(instance: &Instance, now: Time) -> Option<String> {
    let attached = instance.launched.plus(2_000);
    instance.public_ip.clone().filter(|_| now >= attached && !instance.is_terminated(now))
}

pub(super) fn describe_instances(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.instances, &INSTANCE, "InstanceId", FILTERS)?;
    let (found, next) = page(call, found, "InstanceId", |one| one.id.clone())?;
    let mut reservations: Vec<&str> = found.iter().map(|one| one.reservation.as_str()).collect();
    reservations.sort_unstable();
    reservations.dedup();
    let mut xml = call.xml();
    xml.list("reservationSet", reservations, |xml, reservation| {
        let members = found.iter().filter(|one| one.reservation == reservation).copied();
        write_reservation(xml, reservation, members, call.region, call.now);
    })
    .token("nextToken", next);
    Ok(xml)
}

/// Answers a launch: the instances of one reservation.
pub(super) fn reservation_answer(call: &Call<'_>, reservation: &str) -> Answer {
    let mut members: Vec<&Instance> =
        call.region.instances.values().filter(|one| one.reservation == reservation).collect();
    members.sort_by_key(|one| one.index);
    let mut xml = call.xml();
    write_reservation(&mut xml, reservation, members.into_iter(), call.region, call.now);
    Ok(xml)
}

pub(super) fn describe_instance_status(call: &mut Call<'_>) -> Answer {
    const FILTERS: &[Filter<Instance>] = &[
        ("instance-state-name", |one, view| vec![one.state(view.now).1.into()]),
        ("instance-state-code", |one, view| vec![one.state(view.now).0.to_string()]),
        ("availability-zone", |one, _| vec![one.zone.clone()]),
        ("instance-status.status", |one, view| vec![checks(one, view.now).0.into()]),
        ("system-status.status", |one, view| vec![checks(one, view.now).0.into()]),
    ];
    let mut found = select(call, &call.region.instances, &INSTANCE, "InstanceId", FILTERS)?;
    if call.params.flag("IncludeAllInstances")? != Some(true) {
        found.retain(|one| one.state(call.now).1 == "running");
    }
    let (found, next) = page(call, found, "InstanceId", |one| one.id.clone())?;
    let mut xml = call.xml();
    xml.list("instanceStatusSet", found, |xml, one| {
        let (code, name) = one.state(call.now);
        let (status, reachability) = checks(one, call.now);
        xml.text("instanceId", &one.id).text("availabilityZone", &one.zone);
        xml.node("instanceState", |xml| {
            xml.text("code", code).text("name", name);
        });
        for kind in ["systemStatus", "instanceStatus"] {
            xml.node(kind, |xml| {
                xml.text("status", status).list("details", [reachability], |xml, value| {
                    xml.text("name", "reachability").text("status", value);
                });
            });
        }
    })
    .token("nextToken", next);
    Ok(xml)
}

fn checks(instance: &Instance, now: Time) -> (&'static str, &'static str) {
    match instance.state(now).1 {
        "running" if now >= instance.checked_at => ("ok", "passed"),
        "running" => ("initializing", "initializing"),
        _ => ("not-applicable", "not-applicable"),
    }
}

pub(super) fn describe_instance_attribute(call: &mut Call<'_>) -> Answer {
    let one = INSTANCE.find(&call.region.instances, call.params.need("InstanceId")?)?;
    let mut xml = call.xml();
    xml.text("instanceId", &one.id);
    let (name, value) = match call.params.need("Attribute")? {
        "userData" => ("userData", one.user_data.clone()),
        "disableApiTermination" => ("disableApiTermination", Some(one.protected.to_string())),
        "instanceType" => ("instanceType", Some(one.kind.clone())),
        "ebsOptimized" => ("ebsOptimized", Some(one.ebs_optimized.to_string())),
        "rootDeviceName" => ("rootDeviceName", Some(catalog::ROOT_DEVICE.into())),
        "instanceInitiatedShutdownBehavior" => {
            ("instanceInitiatedShutdownBehavior", Some("stop".into()))
        }
        "groupSet" => {
            xml.list("groupSet", &one.groups, |xml, id| {
                xml.text("groupId", id);
            });
            return Ok(xml);
        }
        other => return Err(Refusal::invalid(format!("Unknown attribute '{other}'"))),
    };
    xml.node(name, |xml| {
        xml.maybe("value", value);
    });
    Ok(xml)
}

pub(super) fn modify_instance_attribute(call: &mut Call<'_>) -> Answer {
    let value = call
        .params
        .flag("DisableApiTermination.Value")?
        .ok_or_else(|| Refusal::missing("DisableApiTermination"))?;
    let id = call.params.need("InstanceId")?;
    INSTANCE.find_mut(&mut call.region.instances, id)?.protected = value;
    call.done()
}

pub(super) fn terminate_instances(call: &mut Call<'_>) -> Answer {
    let ids = call.params.texts("InstanceId");
    if ids.is_empty() {
        return Err(Refusal::missing("InstanceId"));
    }
    let mut changes = Vec::new();
    for id in ids {
        let gone = call.after(5_000, 30_000);
        let now = call.now;
        let one = INSTANCE.find_mut(&mut call.region.instances, &id)?;
        if one.protected {
            return Err(Refusal::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{id}' may not be terminated. Modify its \
                     'disableApiTermination' instance attribute and try again."
                ),
            ));
        }
        let before = one.state(now);
        one.ending = one.ending.or(Some((now, gone)));
        changes.push((id, before, one.state(now)));
    }
    let mut xml = call.xml();
    xml.list("instancesSet", changes, |xml, (id, before, after)| {
        xml.text("instanceId", id);
        for (name, state) in [("currentState", after), ("previousState", before)] {
            xml.node(name, |xml| {
                xml.text("code", state.0).text("name", state.1);
            });
        }
    });
    Ok(xml)
}

fn write_reservation<'a>(
    xml: &mut Xml,
    id: &str,
    members: impl Iterator<Item = &'a Instance>,
    region: &Region,
    now: Time,
) {
    xml.text("reservationId", id)
        .text("ownerId", ACCOUNT)
        .list("groupSet", None::<()>, |_, ()| {})
        .list("instancesSet", members, |xml, one| write(xml, one, region, now));
}

fn write(xml: &mut Xml, one: &Instance, region: &Region, now: Time) {
    let gone = one.is_terminated(now);
    let (code, name) = one.state(now);
    let dashed = one.private_ip.replace('.', "-");
    xml.text("instanceId", &one.id).text("imageId", &one.image);
    xml.node("instanceState", |xml| {
        xml.text("code", code).text("name", name);
    });
    xml.text("privateDnsName", if gone { String::new() } else { format!("ip-{dashed}.internal") })
        .text("dnsName", "")
        .maybe("keyName", one.key.as_ref())
        .text("amiLaunchIndex", one.index)
        .text("instanceType", &one.kind)
        .text("launchTime", one.launched.iso())
        .maybe("clientToken", one.token.as_ref())
        .text("architecture", catalog::kind(&one.kind).map_or("x86_64", |kind| kind.architecture))
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", catalog::ROOT_DEVICE)
        .text("virtualizationType", "hvm")
        .text("ebsOptimized", one.ebs_optimized);
    xml.node("placement", |xml| {
        xml.text("availabilityZone", &one.zone).text("tenancy", "default");
    });
    xml.node("monitoring", |xml| {
        xml.text("state", "disabled");
    });
    xml.node("metadataOptions", |xml| {
        xml.text("state", "applied")
            .text("httpTokens", &one.http_tokens)
            .text("httpPutResponseHopLimit", one.hop_limit)
            .text("httpEndpoint", "enabled");
    });
    if let Some((asked, _)) = one.ending {
        xml.text("reason", format!("User initiated ({})", asked.iso()));
        xml.node("stateReason", |xml| {
            xml.text("code", "Client.UserInitiatedShutdown")
                .text("message", "Client.UserInitiatedShutdown: User initiated shutdown");
        });
    }
    if let Some((arn, id)) = &one.profile {
        xml.node("iamInstanceProfile", |xml| {
            xml.text("arn", arn).text("id", id);
        });
    }
    if !gone {
        xml.text("subnetId", &one.subnet)
            .text("vpcId", &one.vpc)
            .text("privateIpAddress", &one.private_ip)
            .maybe("ipAddress", public_ip(one, now));
    }
    let name_of = |id: &String| region.groups.get(id).map(|group| group.name.clone());
    xml.list("groupSet", groups(one, now), |xml, id| {
        xml.text("groupId", &id).maybe("groupName", name_of(&id));
    });
    let volumes = one.volumes.iter().filter_map(|id| region.volumes.get(id));
    xml.list("blockDeviceMapping", volumes.filter(|_| !gone), |xml, volume| {
        xml.text("deviceName", &volume.device).node("ebs", |xml| {
            xml.text("volumeId", &volume.id)
                .text("status", "attached")
                .text("attachTime", volume.created.iso())
                .text("deleteOnTermination", volume.dies_with_instance);
        });
    });
    let interface = region.interfaces.get(&one.interface).filter(|_| !gone);
    xml.list("networkInterfaceSet", interface, |xml, interface| {
        xml.text("networkInterfaceId", &interface.id)
            .text("subnetId", &interface.subnet)
            .text("vpcId", &interface.vpc)
            .text("status", "in-use")
            .text("privateIpAddress", &interface.private_ip);
    });
    tags::write(xml, &one.tags);
}
