//! What AWS offers in every region: zones, instance types, images.
//!
//! Not for anything that can be made. The surprise: the third zone does not offer the larger
//! types, as happens on AWS, so a plan must ask before it chooses zones.

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::entities::{Entity, Tags};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, any_match, asked, cut, filter, page};

/// Instance types: name, virtual CPUs (of which two per core), architecture.
const TYPES: &[(&str, u32, &str)] = &[
    ("t2.micro", 1, "x86_64"),
    ("t3.nano", 2, "x86_64"),
    ("t3.micro", 2, "x86_64"),
    ("t3.small", 2, "x86_64"),
    ("t3.medium", 2, "x86_64"),
    ("t3.large", 2, "x86_64"),
    ("m5.large", 2, "x86_64"),
    ("m5.xlarge", 4, "x86_64"),
    ("m6i.large", 2, "x86_64"),
    ("m7i.large", 2, "x86_64"),
    ("r5.large", 2, "x86_64"),
    ("r6i.large", 2, "x86_64"),
    ("r6i.xlarge", 4, "x86_64"),
    ("i3.large", 2, "x86_64"),
    ("c5.large", 2, "x86_64"),
    ("t4g.micro", 2, "arm64"),
    ("t4g.small", 2, "arm64"),
    ("t4g.medium", 2, "arm64"),
    ("m7g.large", 2, "arm64"),
    ("r7g.large", 2, "arm64"),
];

/// Images: id, name, architecture, creation date.
const IMAGES: &[(&str, &str, &str, &str)] = &[
    (
        "ami-0a1b6a02658659c2a",
        "al2023-ami-2023.6.20250218.2-kernel-6.1-x86_64",
        "x86_64",
        "2025-02-18T19:10:13.000Z",
    ),
    (
        "ami-0f3f13f145e66a0a3",
        "al2023-ami-2023.9.20251020.0-kernel-6.1-x86_64",
        "x86_64",
        "2025-10-20T21:03:44.000Z",
    ),
    (
        "ami-06c4be2792f419b7b",
        "al2023-ami-2023.9.20251110.1-kernel-6.1-x86_64",
        "x86_64",
        "2025-11-10T22:41:02.000Z",
    ),
    (
        "ami-0c9f6749650d5c0e3",
        "al2023-ami-2023.9.20251110.1-kernel-6.1-arm64",
        "arm64",
        "2025-11-10T22:41:31.000Z",
    ),
    (
        "ami-0d7b2a1c4e5f60718",
        "al2023-ami-minimal-2023.9.20251110.1-kernel-6.1-x86_64",
        "x86_64",
        "2025-11-10T22:40:11.000Z",
    ),
];

/// Amazon's account for its own Linux images.
const AMAZON: &str = "137112412989";

/// An instance type on offer.
pub(super) struct Kind {
    pub(super) cpus: u32,
    pub(super) architecture: &'static str,
}

/// Finds an instance type.
pub(super) fn kind(name: &str) -> Option<Kind> {
    let (_, cpus, architecture) = TYPES.iter().find(|(known, ..)| *known == name)?;
    Some(Kind { cpus: *cpus, architecture })
}

/// An image on offer.
pub(super) struct Image {
    id: String,
    name: &'static str,
    pub(super) architecture: &'static str,
    created: &'static str,
    tags: Tags,
}

impl Entity for Image {
    const KIND: &'static str = "image";
    fn id(&self) -> &str {
        &self.id
    }
    fn seen_from(&self) -> Time {
        Time(0)
    }
    fn tags(&self) -> &Tags {
        &self.tags
    }
    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Image {
    /// The snapshot that the root volume is made from.
    pub(super) fn snapshot(&self) -> String {
        self.id.replacen("ami-", "snap-", 1)
    }
}

/// Size of an image's root volume in GiB.
pub(super) const ROOT_SIZE: i64 = 8;
/// Name of an image's root device.
pub(super) const ROOT_DEVICE: &str = "/dev/xvda";

/// Finds an image.
pub(super) fn image(id: &str) -> Result<Image, Refusal> {
    let hex = id.strip_prefix("ami-").unwrap_or_default();
    if !matches!(hex.len(), 8 | 17) || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::new("InvalidAMIID.Malformed", format!("Invalid id: \"{id}\"")));
    }
    let unknown = || {
        let message = format!("The image id '[{id}]' does not exist");
        Refusal::new("InvalidAMIID.NotFound", message)
    };
    images().find(|image| image.id == id).ok_or_else(unknown)
}

fn images() -> impl Iterator<Item = Image> {
    IMAGES.iter().map(|(id, name, architecture, created)| Image {
        id: (*id).to_owned(),
        name,
        architecture,
        created,
        tags: Tags::new(),
    })
}

/// Names the zones of a region.
pub(super) fn zones(place: &str) -> [String; 3] {
    ["a", "b", "c"].map(|letter| format!("{place}{letter}"))
}

/// Names a zone's id: `eu-west-1a` is `euw1-az1`.
pub(super) fn zone_id(zone: &str) -> String {
    let mut parts = zone.split('-');
    let area = parts.next().unwrap_or_default();
    let side: String = parts.next().unwrap_or_default().chars().take(1).collect();
    let rest = parts.next().unwrap_or_default();
    let number: String = rest.chars().filter(char::is_ascii_digit).collect();
    let letter = rest.bytes().last().unwrap_or(b'a');
    format!("{area}{side}{number}-az{}", letter.saturating_sub(b'a') + 1)
}

/// Tells whether a zone offers an instance type.
pub(super) fn offered(kind: &str, zone: &str) -> bool {
    !(zone.ends_with('c') && kind.ends_with("xlarge"))
}

pub(super) fn describe_availability_zones(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.texts("ZoneName");
    let mut zones = zones(call.place).to_vec();
    if let Some(unknown) = wanted.iter().find(|zone| !zones.contains(zone)) {
        return Err(Refusal::invalid(format!("Invalid availability zone: [{unknown}]")));
    }
    zones.retain(|zone| wanted.is_empty() || wanted.contains(zone));
    for (name, patterns) in asked(call.params)? {
        let value = |zone: &String| match name.as_str() {
            "zone-name" => Some(zone.clone()),
            "zone-id" => Some(zone_id(zone)),
            "state" => Some("available".into()),
            "region-name" => Some(call.place.into()),
            "zone-type" => Some("availability-zone".into()),
            "opt-in-status" => Some("opt-in-not-required".into()),
            _ => None,
        };
        if zones.iter().any(|zone| value(zone).is_none()) {
            return Err(Refusal::invalid(format!("The filter '{name}' is invalid")));
        }
        zones.retain(|zone| value(zone).is_some_and(|value| any_match(&patterns, &[value])));
    }
    let mut xml = call.xml();
    xml.list("availabilityZoneInfo", zones, |xml, zone| {
        xml.text("zoneName", &zone)
            .text("zoneState", "available")
            .text("regionName", call.place)
            .text("zoneId", zone_id(&zone))
            .text("zoneType", "availability-zone")
            .text("optInStatus", "opt-in-not-required")
            .text("groupName", call.place)
            .text("networkBorderGroup", call.place)
            .list("messageSet", None::<()>, |_, ()| {});
    });
    Ok(xml)
}

pub(super) fn describe_instance_type_offerings(call: &mut Call<'_>) -> Answer {
    let location = call.params.text("LocationType").unwrap_or("region");
    let places: Vec<String> = match location {
        "region" => vec![call.place.to_owned()],
        "availability-zone" => zones(call.place).to_vec(),
        "availability-zone-id" => zones(call.place).iter().map(|zone| zone_id(zone)).collect(),
        other => return Err(Refusal::invalid(format!("Invalid location type '{other}'"))),
    };
    let mut offers = Vec::new();
    for (name, ..) in TYPES {
        let in_zone = |place: &&String| {
            let third = place.ends_with("az3");
            offered(name, place) && !(third && name.ends_with("xlarge"))
        };
        offers
            .extend(places.iter().filter(in_zone).map(|place| [(*name).to_owned(), place.clone()]));
    }
    for (name, patterns) in asked(call.params)? {
        let column = match name.as_str() {
            "instance-type" => 0,
            "location" => 1,
            other => return Err(Refusal::invalid(format!("The filter '{other}' is invalid"))),
        };
        offers.retain(|offer| any_match(&patterns, &offer[column..=column]));
    }
    let (offers, next) = page(call, offers, "", |offer| offer.join(" "))?;
    let mut xml = call.xml();
    xml.list("instanceTypeOfferingSet", offers, |xml, [name, place]| {
        xml.text("instanceType", name).text("locationType", location).text("location", place);
    })
    .token("nextToken", next);
    Ok(xml)
}

const IMAGE_FILTERS: &[Filter<Image>] = &[
    ("image-id", |image, _| vec![image.id.clone()]),
    ("name", |image, _| vec![image.name.into()]),
    ("architecture", |image, _| vec![image.architecture.into()]),
    ("state", |_, _| vec!["available".into()]),
    ("owner-alias", |_, _| vec!["amazon".into()]),
    ("owner-id", |_, _| vec![AMAZON.into()]),
    ("is-public", |_, _| vec!["true".into()]),
    ("virtualization-type", |_, _| vec!["hvm".into()]),
    ("root-device-type", |_, _| vec!["ebs".into()]),
    ("image-type", |_, _| vec!["machine".into()]),
    ("creation-date", |image, _| vec![image.created.into()]),
];

pub(super) fn describe_images(call: &mut Call<'_>) -> Answer {
    let wanted = call.params.texts("ImageId");
    for id in &wanted {
        image(id)?;
    }
    let owners = call.params.texts("Owner");
    let ours = owners.is_empty() || owners.iter().any(|owner| owner == "amazon" || owner == AMAZON);
    let all: Vec<Image> = images()
        .filter(|image| ours && (wanted.is_empty() || wanted.contains(&image.id)))
        .collect();
    let found = filter(call, all.iter(), IMAGE_FILTERS)?;
    let size = call.params.number("MaxResults")?.map_or(1000, |size| size.clamp(1, 1000)) as usize;
    let refuse = || Refusal::new("InvalidNextToken", "The specified NextToken is not valid");
    let token = call.params.text("NextToken");
    let (found, next) = cut(found, size, token, |image| image.id.clone()).ok_or_else(refuse)?;
    let mut xml = call.xml();
    xml.list("imagesSet", found, |xml, image| {
        xml.text("imageId", &image.id)
            .text("imageLocation", format!("amazon/{}", image.name))
            .text("imageState", "available")
            .text("imageOwnerId", AMAZON)
            .text("imageOwnerAlias", "amazon")
            .text("isPublic", true)
            .text("creationDate", image.created)
            .text("architecture", image.architecture)
            .text("imageType", "machine")
            .text("name", image.name)
            .text("rootDeviceType", "ebs")
            .text("rootDeviceName", ROOT_DEVICE)
            .text("virtualizationType", "hvm")
            .text("hypervisor", "xen")
            .text("enaSupport", true)
            .list("blockDeviceMapping", [image], |xml, image| {
                xml.text("deviceName", ROOT_DEVICE).node("ebs", |xml| {
                    xml.text("snapshotId", image.snapshot())
                        .text("volumeSize", ROOT_SIZE)
                        .text("volumeType", "gp3")
                        .text("deleteOnTermination", true)
                        .text("encrypted", false);
                });
            });
    })
    .token("nextToken", next);
    Ok(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_ids_are_short_forms_of_names() {
        assert_eq!(zone_id("eu-west-1a"), "euw1-az1");
        assert_eq!(zone_id("us-east-1c"), "use1-az3");
    }
}
