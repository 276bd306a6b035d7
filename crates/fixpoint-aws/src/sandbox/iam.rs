//! IAM: roles with inline policies, and instance profiles.
//!
//! Not for what policies allow: nothing is denied here. The surprise: EC2 learns of a profile five
//! to ten seconds after IAM answers it, so a launch right after its creation is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::call::{Answer, Call};
use super::clock::Time;
use super::entities::Tags;
use super::params::Params;
use super::refusal::Refusal;
use super::select::cut;
use super::world::ACCOUNT;
use super::xml::{Xml, percent};

/// All roles and instance profiles by name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Iam {
    pub(super) roles: BTreeMap<String, Role>,
    pub(super) profiles: BTreeMap<String, Profile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    id: String,
    arn: String,
    path: String,
    description: Option<String>,
    trust: String,
    policies: BTreeMap<String, String>,
    created: Time,
    pub(super) tags: Tags,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) arn: String,
    path: String,
    pub(super) roles: Vec<String>,
    created: Time,
    /// From when on EC2 knows it.
    pub(super) usable_from: Time,
    pub(super) tags: Tags,
}

/// Answers one IAM call.
pub(super) fn handle(operation: &str, call: &mut Call<'_>) -> Answer {
    match operation {
        "CreateRole" => create_role(call),
        "GetRole" => get_role(call),
        "ListRoles" => list_roles(call),
        "ListRoleTags" => list_role_tags(call),
        "TagRole" => tag_role(call),
        "DeleteRole" => delete_role(call),
        "PutRolePolicy" => put_role_policy(call),
        "GetRolePolicy" => get_role_policy(call),
        "ListRolePolicies" => list_role_policies(call),
        "DeleteRolePolicy" => delete_role_policy(call),
        "ListAttachedRolePolicies" => list_attached_role_policies(call),
        "CreateInstanceProfile" => create_instance_profile(call),
        "GetInstanceProfile" => get_instance_profile(call),
        "ListInstanceProfiles" => list_instance_profiles(call),
        "AddRoleToInstanceProfile" => add_role_to_instance_profile(call),
        "RemoveRoleFromInstanceProfile" => remove_role_from_instance_profile(call),
        "DeleteInstanceProfile" => delete_instance_profile(call),
        "ListInstanceProfilesForRole" => list_instance_profiles_for_role(call),
        other => Err(Refusal::new(
            "InvalidAction",
            format!("Could not find operation {other} for version 2010-05-08"),
        )),
    }
}

fn missing(what: &str, name: &str) -> Refusal {
    Refusal::new("NoSuchEntity", format!("{what} {name} cannot be found.")).with_status(404)
}

fn taken(what: &str, name: &str) -> Refusal {
    Refusal::new("EntityAlreadyExists", format!("{what} with name {name} already exists."))
        .with_status(409)
}

fn conflict(message: &str) -> Refusal {
    Refusal::new("DeleteConflict", message).with_status(409)
}

fn need<'p>(call: &Call<'p>, name: &str) -> Result<&'p str, Refusal> {
    let missing = || Refusal::validation(format!("Value null at '{name}' must not be null"));
    call.params.text(name).ok_or_else(missing)
}

fn new_name<'p>(call: &Call<'p>, parameter: &str, longest: usize) -> Result<&'p str, Refusal> {
    let name = need(call, parameter)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    if name.len() > longest || !name.chars().all(allowed) {
        return Err(Refusal::validation(format!(
            "The specified value for {parameter} is invalid. It must contain only alphanumeric \
             characters and/or the following: +=,.@_- and have at most {longest} characters"
        )));
    }
    Ok(name)
}

fn document<'p>(call: &Call<'p>, name: &str) -> Result<&'p str, Refusal> {
    let text = need(call, name)?;
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    if parsed.is_ok_and(|json| json.get("Statement").is_some()) {
        return Ok(text);
    }
    Err(Refusal::new("MalformedPolicyDocument", "Syntax errors in policy."))
}

fn tags(params: &Params) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for tag in params.list("Tags") {
        let key = tag.text("Key").ok_or_else(|| Refusal::validation("A tag needs a key"))?;
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Refusal::new("InvalidInput", format!("Tag key '{key}' is reserved")));
        }
        tags.insert(key.to_owned(), tag.text("Value").unwrap_or_default().to_owned());
    }
    check_count(&tags)?;
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), Refusal> {
    if tags.len() <= 50 {
        return Ok(());
    }
    Err(Refusal::new("LimitExceeded", "A resource can have up to 50 tags").with_status(409))
}

fn role<'i>(call: &'i Call<'_>) -> Result<&'i Role, Refusal> {
    let name = need(call, "RoleName")?;
    call.iam.roles.get(name).ok_or_else(|| missing("The role with name", name))
}

fn role_mut<'i>(call: &'i mut Call<'_>) -> Result<&'i mut Role, Refusal> {
    let name = need(call, "RoleName")?;
    call.iam.roles.get_mut(name).ok_or_else(|| missing("The role with name", name))
}

fn profile_mut<'i>(call: &'i mut Call<'_>) -> Result<&'i mut Profile, Refusal> {
    let name = need(call, "InstanceProfileName")?;
    call.iam.profiles.get_mut(name).ok_or_else(|| missing("Instance Profile", name))
}

fn create_role(call: &mut Call<'_>) -> Answer {
    let name = new_name(call, "RoleName", 64)?;
    if call.iam.roles.contains_key(name) {
        return Err(taken("Role", name));
    }
    let path = call.params.text("Path").unwrap_or("/").to_owned();
    let role = Role {
        name: name.to_owned(),
        id: call.dice.unique("AROA"),
        arn: format!("arn:aws:iam::{ACCOUNT}:role{path}{name}"),
        description: call.params.text("Description").map(str::to_owned),
        trust: document(call, "AssumeRolePolicyDocument")?.to_owned(),
        policies: BTreeMap::new(),
        created: call.now,
        tags: tags(call.params)?,
        path,
    };
    let mut xml = call.xml();
    xml.node("Role", |xml| write_role(xml, &role));
    call.iam.roles.insert(role.name.clone(), role);
    Ok(xml)
}

fn get_role(call: &mut Call<'_>) -> Answer {
    let role = role(call)?;
    let mut xml = call.xml();
    xml.node("Role", |xml| write_role(xml, role));
    Ok(xml)
}

fn list_roles(call: &mut Call<'_>) -> Answer {
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    let roles: Vec<&Role> =
        call.iam.roles.values().filter(|role| role.path.starts_with(prefix)).collect();
    let (roles, marker) = page(call, roles, |role| role.name.clone())?;
    let mut xml = call.xml();
    xml.list("Roles", roles, write_role);
    finish(&mut xml, marker);
    Ok(xml)
}

fn list_role_tags(call: &mut Call<'_>) -> Answer {
    let tags: Vec<_> = role(call)?.tags.iter().collect();
    let (tags, marker) = page(call, tags, |(key, _)| (*key).clone())?;
    let mut xml = call.xml();
    xml.list("Tags", tags, |xml, (key, value)| {
        xml.text("Key", key).text("Value", value);
    });
    finish(&mut xml, marker);
    Ok(xml)
}

fn tag_role(call: &mut Call<'_>) -> Answer {
    let given = tags(call.params)?;
    let role = role_mut(call)?;
    role.tags.extend(given);
    check_count(&role.tags)?;
    Ok(call.xml())
}

fn delete_role(call: &mut Call<'_>) -> Answer {
    let role = role(call)?;
    let name = role.name.clone();
    if !role.policies.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    if call.iam.profiles.values().any(|profile| profile.roles.contains(&name)) {
        return Err(conflict(
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    call.iam.roles.remove(&name);
    Ok(call.xml())
}

fn put_role_policy(call: &mut Call<'_>) -> Answer {
    let name = new_name(call, "PolicyName", 128)?.to_owned();
    let text = document(call, "PolicyDocument")?.to_owned();
    role_mut(call)?.policies.insert(name, text);
    Ok(call.xml())
}

fn get_role_policy(call: &mut Call<'_>) -> Answer {
    let (role, name) = (role(call)?, need(call, "PolicyName")?);
    let text = role.policies.get(name).ok_or_else(|| missing("The role policy with name", name))?;
    let mut xml = call.xml();
    xml.text("RoleName", &role.name).text("PolicyName", name).text("PolicyDocument", percent(text));
    Ok(xml)
}

fn list_role_policies(call: &mut Call<'_>) -> Answer {
    let names: Vec<String> = role(call)?.policies.keys().cloned().collect();
    let (names, marker) = page(call, names, Clone::clone)?;
    let mut xml = call.xml();
    xml.texts("PolicyNames", names);
    finish(&mut xml, marker);
    Ok(xml)
}

fn delete_role_policy(call: &mut Call<'_>) -> Answer {
    let name = need(call, "PolicyName")?.to_owned();
    let gone = role_mut(call)?.policies.remove(&name);
    gone.map(|_| call.xml()).ok_or_else(|| missing("The role policy with name", &name))
}

/// There are no managed policies to attach, so none is attached.
fn list_attached_role_policies(call: &mut Call<'_>) -> Answer {
    role(call)?;
    let mut xml = call.xml();
    xml.list("AttachedPolicies", None::<()>, |_, ()| {});
    finish(&mut xml, None);
    Ok(xml)
}

fn create_instance_profile(call: &mut Call<'_>) -> Answer {
    let name = new_name(call, "InstanceProfileName", 128)?;
    if call.iam.profiles.contains_key(name) {
        return Err(taken("Instance Profile", name));
    }
    let path = call.params.text("Path").unwrap_or("/").to_owned();
    let profile = Profile {
        name: name.to_owned(),
        id: call.dice.unique("AIPA"),
        arn: format!("arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}"),
        roles: Vec::new(),
        created: call.now,
        usable_from: call.after(5_000, 10_000),
        tags: tags(call.params)?,
        path,
    };
    let mut xml = call.xml();
    xml.node("InstanceProfile", |xml| write_profile(xml, &profile, call.iam));
    call.iam.profiles.insert(profile.name.clone(), profile);
    Ok(xml)
}

fn get_instance_profile(call: &mut Call<'_>) -> Answer {
    let name = need(call, "InstanceProfileName")?;
    let profile = call.iam.profiles.get(name).ok_or_else(|| missing("Instance Profile", name))?;
    let mut xml = call.xml();
    xml.node("InstanceProfile", |xml| write_profile(xml, profile, call.iam));
    Ok(xml)
}

fn list_instance_profiles(call: &mut Call<'_>) -> Answer {
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    let profiles: Vec<&Profile> =
        call.iam.profiles.values().filter(|profile| profile.path.starts_with(prefix)).collect();
    let (profiles, marker) = page(call, profiles, |profile| profile.name.clone())?;
    let mut xml = call.xml();
    xml.list("InstanceProfiles", profiles, |xml, profile| write_profile(xml, profile, call.iam));
    finish(&mut xml, marker);
    Ok(xml)
}

fn add_role_to_instance_profile(call: &mut Call<'_>) -> Answer {
    let role = role(call)?.name.clone();
    let profile = profile_mut(call)?;
    if !profile.roles.is_empty() {
        return Err(Refusal::new(
            "LimitExceeded",
            "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
        )
        .with_status(409));
    }
    profile.roles.push(role);
    Ok(call.xml())
}

fn remove_role_from_instance_profile(call: &mut Call<'_>) -> Answer {
    let role = role(call)?.name.clone();
    let profile = profile_mut(call)?;
    let Some(at) = profile.roles.iter().position(|name| *name == role) else {
        return Err(missing("The role in the instance profile with name", &role));
    };
    profile.roles.remove(at);
    Ok(call.xml())
}

fn delete_instance_profile(call: &mut Call<'_>) -> Answer {
    let profile = profile_mut(call)?;
    if !profile.roles.is_empty() {
        return Err(conflict(
            "Cannot delete entity, must remove roles from instance profile first.",
        ));
    }
    let name = profile.name.clone();
    call.iam.profiles.remove(&name);
    Ok(call.xml())
}

fn list_instance_profiles_for_role(call: &mut Call<'_>) -> Answer {
    let name = role(call)?.name.clone();
    let profiles: Vec<&Profile> =
        call.iam.profiles.values().filter(|profile| profile.roles.contains(&name)).collect();
    let (profiles, marker) = page(call, profiles, |profile| profile.name.clone())?;
    let mut xml = call.xml();
    xml.list("InstanceProfiles", profiles, |xml, profile| write_profile(xml, profile, call.iam));
    finish(&mut xml, marker);
    Ok(xml)
}

fn page<T>(
    call: &Call<'_>,
    found: Vec<T>,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let size = call.params.number("MaxItems")?.unwrap_or(100);
    if !(1..=1000).contains(&size) {
        return Err(Refusal::validation(format!("MaxItems '{size}' is not between 1 and 1000")));
    }
    let refuse = || Refusal::validation("Invalid Marker.");
    cut(found, size as usize, call.params.text("Marker"), key).ok_or_else(refuse)
}

fn finish(xml: &mut Xml, marker: Option<String>) {
    xml.text("IsTruncated", marker.is_some()).token("Marker", marker);
}

fn write_role(xml: &mut Xml, role: &Role) {
    xml.text("Path", &role.path)
        .text("RoleName", &role.name)
        .text("RoleId", &role.id)
        .text("Arn", &role.arn)
        .text("CreateDate", role.created.iso())
        .text("AssumeRolePolicyDocument", percent(&role.trust))
        .maybe("Description", role.description.as_ref())
        .text("MaxSessionDuration", 3600)
        .list("Tags", &role.tags, |xml, (key, value)| {
            xml.text("Key", key).text("Value", value);
        });
}

fn write_profile(xml: &mut Xml, profile: &Profile, iam: &Iam) {
    let roles = profile.roles.iter().filter_map(|name| iam.roles.get(name));
    xml.text("Path", &profile.path)
        .text("InstanceProfileName", &profile.name)
        .text("InstanceProfileId", &profile.id)
        .text("Arn", &profile.arn)
        .text("CreateDate", profile.created.iso())
        .list("Roles", roles, write_role)
        .list("Tags", &profile.tags, |xml, (key, value)| {
            xml.text("Key", key).text("Value", value);
        });
}
