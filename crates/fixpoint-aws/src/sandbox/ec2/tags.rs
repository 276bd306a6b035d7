//! Tags of EC2: as part of creations, and by calls of their own.
//!
//! Not for ELBv2's and IAM's tags. The surprise: a creation may only tag the kinds it makes; a
//! specification for another kind is an error, not ignored.

use std::collections::BTreeMap;

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::{Entity, Tags};
use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{any_match, asked, page};
use crate::sandbox::world::{Region, Table};
use crate::sandbox::xml::Xml;

/// Most tags that a resource may have.
const LIMIT: usize = 50;

/// Reads the tags that a creation gives to one kind of the resources it makes.
///
/// `kinds` are all kinds that the operation can tag.
pub(super) fn specified(params: &Params, kind: &str, kinds: &[&str]) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for specification in params.list("TagSpecification") {
        let named = specification.need("ResourceType")?;
        if !kinds.contains(&named) {
            return Err(Refusal::invalid(format!(
                "'{named}' is not a valid taggable resource type for this operation."
            )));
        }
        let given = read(specification)?;
        if named == kind {
            tags.extend(given);
        }
    }
    check_count(&tags)?;
    Ok(tags)
}

/// Writes a `tagSet`.
pub(super) fn write(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key).text("value", value);
    });
}

pub(super) fn create_tags(call: &mut Call<'_>) -> Answer {
    let given = read(call.params)?;
    if given.is_empty() {
        return Err(Refusal::missing("Tag"));
    }
    for id in resources(call)? {
        let tags = call.region.tags_of(&id).ok_or_else(|| unknown(&id))?;
        tags.extend(given.clone());
        check_count(tags)?;
    }
    call.done()
}

pub(super) fn delete_tags(call: &mut Call<'_>) -> Answer {
    for id in resources(call)? {
        let wanted = call.params.list("Tag");
        let tags = call.region.tags_of(&id).ok_or_else(|| unknown(&id))?;
        for tag in &wanted {
            let key = tag.need("Key")?;
            // A value given must match; without one the tag goes whatever its value is.
            if tag.text("Value").is_none_or(|value| tags.get(key).is_some_and(|v| v == value)) {
                tags.remove(key);
            }
        }
        if wanted.is_empty() {
            tags.clear();
        }
    }
    call.done()
}

pub(super) fn describe_tags(call: &mut Call<'_>) -> Answer {
    let mut found = Vec::new();
    let region: &Region = call.region;
    collect(call, &region.vpcs, &mut found);
    collect(call, &region.subnets, &mut found);
    collect(call, &region.gateways, &mut found);
    collect(call, &region.route_tables, &mut found);
    collect(call, &region.groups, &mut found);
    collect(call, &region.keys, &mut found);
    collect(call, &region.instances, &mut found);
    collect(call, &region.volumes, &mut found);
    collect(call, &region.interfaces, &mut found);
    for rule in region.groups.values().flat_map(|group| &group.rules) {
        let row = |(key, value): (&String, &String)| {
            [rule.id.clone(), "security-group-rule".into(), key.clone(), value.clone()]
        };
        found.extend(rule.tags.iter().map(row));
    }
    for (name, patterns) in asked(call.params)? {
        let column = match name.as_str() {
            "resource-id" => 0,
            "resource-type" => 1,
            "key" | "tag-key" => 2,
            "value" | "tag-value" => 3,
            other => match other.strip_prefix("tag:") {
                Some(key) => {
                    found.retain(|row| row[2] == key && any_match(&patterns, &row[3..]));
                    continue;
                }
                None => {
                    return Err(Refusal::invalid(format!("The filter '{other}' is invalid")));
                }
            },
        };
        found.retain(|row| any_match(&patterns, &row[column..=column]));
    }
    let (rows, next) = page(call, found, "", |row| format!("{} {}", row[0], row[2]))?;
    let mut xml = call.xml();
    xml.list("tagSet", rows, |xml, [id, kind, key, value]| {
        xml.text("resourceId", id).text("resourceType", kind).text("key", key).text("value", value);
    })
    .token("nextToken", next);
    Ok(xml)
}

fn collect<T: Entity>(call: &Call<'_>, table: &Table<T>, found: &mut Vec<[String; 4]>) {
    for entity in table.values().filter(|entity| entity.seen_from() <= call.now) {
        let row = |(key, value): (&String, &String)| {
            [entity.id().to_owned(), T::KIND.to_owned(), key.clone(), value.clone()]
        };
        found.extend(entity.tags().iter().map(row));
    }
}

fn resources(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    let ids = call.params.texts("ResourceId");
    if ids.is_empty() { Err(Refusal::missing("ResourceId")) } else { Ok(ids) }
}

fn unknown(id: &str) -> Refusal {
    let code = match id.split_once('-').map(|(prefix, _)| prefix) {
        Some("vpc") => "InvalidVpcID.NotFound",
        Some("subnet") => "InvalidSubnetID.NotFound",
        Some("igw") => "InvalidInternetGatewayID.NotFound",
        Some("rtb") => "InvalidRouteTableID.NotFound",
        Some("sg") => "InvalidGroup.NotFound",
        Some("sgr") => "InvalidSecurityGroupRuleId.NotFound",
        Some("i") => "InvalidInstanceID.NotFound",
        Some("vol") => "InvalidVolume.NotFound",
        Some("eni") => "InvalidNetworkInterfaceID.NotFound",
        Some("key") => "InvalidKeyPair.NotFound",
        _ => "InvalidID",
    };
    Refusal::new(code, format!("The ID '{id}' is not valid"))
}

fn read(params: &Params) -> Result<Tags, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in params.list("Tag") {
        let key = tag.need("Key")?;
        let value = tag.text("Value").unwrap_or_default();
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Refusal::invalid(format!(
                "Tag keys starting with 'aws:' are reserved for internal use: '{key}'"
            )));
        }
        if key.chars().count() > 127 {
            return Err(Refusal::invalid("Tag key exceeds the maximum length of 127 characters"));
        }
        if value.chars().count() > 255 {
            return Err(Refusal::invalid("Tag value exceeds the maximum length of 255 characters"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(Refusal::invalid(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() <= LIMIT {
        return Ok(());
    }
    Err(Refusal::new(
        "TagLimitExceeded",
        format!("More than {LIMIT} tags specified or present on the resource"),
    ))
}
