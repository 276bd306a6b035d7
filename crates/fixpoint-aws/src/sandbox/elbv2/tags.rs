//! Tags of ELBv2 resources.
//!
//! Not for EC2's. The surprise: one answer holds the tags of several resources, each under its ARN.

use std::collections::BTreeMap;

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::entities::{Entity, Tags};
use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::{Region, Table};

/// Most tags that a resource may have.
const LIMIT: usize = 50;

/// Reads the `Tags` of a request.
pub(super) fn read(params: &Params) -> Result<Tags, Refusal> {
    let mut tags = BTreeMap::new();
    for tag in params.list("Tags") {
        let key = tag.text("Key").ok_or_else(|| Refusal::validation("A tag needs a key"))?;
        if key.to_ascii_lowercase().starts_with("aws:") || key.chars().count() > 128 {
            return Err(Refusal::validation(format!("The tag key '{key}' is not allowed")));
        }
        let value = tag.text("Value").unwrap_or_default();
        if value.chars().count() > 256 {
            return Err(Refusal::validation(format!("The value of tag '{key}' is too long")));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            let message = format!("Tag key '{key}' was specified more than once");
            return Err(Refusal::new("DuplicateTagKeys", message));
        }
    }
    check_count(&tags)?;
    Ok(tags)
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let given = read(call.params)?;
    for arn in arns(call)? {
        let tags = find(call.region, &arn)?;
        tags.extend(given.clone());
        check_count(tags)?;
    }
    Ok(call.xml())
}

pub(super) fn remove(call: &mut Call<'_>) -> Answer {
    let keys = call.params.texts("TagKeys");
    for arn in arns(call)? {
        find(call.region, &arn)?.retain(|key, _| !keys.contains(key));
    }
    Ok(call.xml())
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let mut found = Vec::new();
    for arn in arns(call)? {
        let tags = find(call.region, &arn)?.clone();
        found.push((arn, tags));
    }
    let mut xml = call.xml();
    xml.list("TagDescriptions", found, |xml, (arn, tags)| {
        xml.text("ResourceArn", arn).list("Tags", &tags, |xml, (key, value)| {
            xml.text("Key", key).text("Value", value);
        });
    });
    Ok(xml)
}

fn arns(call: &Call<'_>) -> Result<Vec<String>, Refusal> {
    match call.params.texts("ResourceArns") {
        arns if arns.is_empty() => Err(Refusal::validation("Resource ARNs must be specified")),
        arns if arns.len() > 20 => {
            Err(Refusal::validation("At most 20 resource ARNs may be specified"))
        }
        arns => Ok(arns),
    }
}

fn find<'r>(region: &'r mut Region, arn: &str) -> Result<&'r mut Tags, Refusal> {
    fn of<'t, T: Entity>(
        table: &'t mut Table<T>,
        arn: &str,
        code: &'static str,
    ) -> Result<&'t mut Tags, Refusal> {
        let unknown = || Refusal::new(code, format!("The resource '{arn}' does not exist"));
        table.get_mut(arn).map(T::tags_mut).ok_or_else(unknown)
    }
    let resource = arn.rsplit(':').next().and_then(|resource| resource.split('/').next());
    match resource {
        Some("loadbalancer") => of(&mut region.balancers, arn, "LoadBalancerNotFound"),
        Some("targetgroup") => of(&mut region.target_groups, arn, "TargetGroupNotFound"),
        Some("listener") => of(&mut region.listeners, arn, "ListenerNotFound"),
        Some("listener-rule") => of(&mut region.rules, arn, "RuleNotFound"),
        _ => Err(Refusal::validation(format!("'{arn}' is not a valid ARN"))),
    }
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() <= LIMIT {
        return Ok(());
    }
    Err(Refusal::new("TooManyTags", format!("A resource can have up to {LIMIT} tags")))
}
