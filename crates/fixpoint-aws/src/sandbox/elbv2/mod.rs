//! ELBv2 as the sandbox knows it: application load balancers and what they route to.
//!
//! Not for network or gateway load balancers. The surprise: deletion of a load balancer or a
//! listener that is not there succeeds or fails by kind, exactly as AWS does it.

mod actions;
mod balancers;
mod health;
mod listeners;
mod rules;
mod tags;
mod target_groups;
mod targets;

pub(super) use balancers::Balancer;
pub(super) use listeners::Listener;
pub(super) use rules::Rule;
pub(super) use target_groups::TargetGroup;

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::select::cut;

/// Answers one ELBv2 call.
pub(super) fn handle(operation: &str, call: &mut Call<'_>) -> Answer {
    match operation {
        "CreateLoadBalancer" => balancers::create(call),
        "DescribeLoadBalancers" => balancers::describe(call),
        "DeleteLoadBalancer" => balancers::delete(call),
        "DescribeLoadBalancerAttributes" => balancers::describe_attributes(call),
        "ModifyLoadBalancerAttributes" => balancers::modify_attributes(call),
        "CreateTargetGroup" => target_groups::create(call),
        "DescribeTargetGroups" => target_groups::describe(call),
        "DescribeTargetGroupAttributes" => target_groups::describe_attributes(call),
        "ModifyTargetGroupAttributes" => target_groups::modify_attributes(call),
        "DeleteTargetGroup" => target_groups::delete(call),
        "RegisterTargets" => targets::register(call),
        "DeregisterTargets" => targets::deregister(call),
        "DescribeTargetHealth" => targets::describe_health(call),
        "CreateListener" => listeners::create(call),
        "DescribeListeners" => listeners::describe(call),
        "ModifyListener" => listeners::modify(call),
        "DeleteListener" => listeners::delete(call),
        "CreateRule" => rules::create(call),
        "DescribeRules" => rules::describe(call),
        "DeleteRule" => rules::delete(call),
        "AddTags" => tags::add(call),
        "RemoveTags" => tags::remove(call),
        "DescribeTags" => tags::describe(call),
        other => Err(Refusal::new(
            "InvalidAction",
            format!("Could not find operation {other} for version 2015-12-01"),
        )),
    }
}

/// Cuts a page by `PageSize` and `Marker`.
fn page<T>(
    call: &Call<'_>,
    selected: Vec<T>,
    key: impl Fn(&T) -> String,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let size = match call.params.number("PageSize")? {
        None => 400,
        Some(size) if (1..=400).contains(&size) => size as usize,
        Some(size) => {
            return Err(Refusal::validation(format!(
                "'{size}' is not between 1 and 400 for parameter 'pageSize'"
            )));
        }
    };
    let refuse = || Refusal::validation("The specified marker is not valid");
    cut(selected, size, call.params.text("Marker"), key).ok_or_else(refuse)
}

/// Reads a parameter that must be there.
fn need<'p>(call: &Call<'p>, name: &str) -> Result<&'p str, Refusal> {
    let missing = || Refusal::validation(format!("The parameter '{name}' must be specified"));
    call.params.text(name).ok_or_else(missing)
}

/// Refuses names that AWS would: too long, odd characters, hyphens at the ends.
fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    if name.chars().count() > 32 {
        return Err(Refusal::validation(format!(
            "The {what} name '{name}' cannot be longer than '32' characters"
        )));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Refusal::validation(format!(
            "The {what} name '{name}' can only contain characters that are alphanumeric \
             characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(Refusal::validation(format!(
            "The {what} name '{name}' cannot begin or end with hyphens(-)"
        )));
    }
    Ok(())
}
