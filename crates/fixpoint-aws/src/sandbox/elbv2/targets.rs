//! Targets: registered, drained, and how they are.
//!
//! Not for what happens on an instance: its application answers as soon as it runs. The surprise:
//! a target is `unused` until a listener routes to its group, however healthy it is.

use serde::{Deserialize, Serialize};

use super::need;
use super::target_groups::{TargetGroup, unknown};
use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::Region;

/// Most targets of a group.
const QUOTA: usize = 1000;

/// A registered target.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Target {
    id: String,
    port: i64,
    registered: Time,
    /// When its draining ends, if it was deregistered.
    pub(in crate::sandbox) drained_at: Option<Time>,
}

/// State, reason code and description of a target.
type Health = (&'static str, Option<(&'static str, &'static str)>);

pub(super) fn register(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "TargetGroupArn")?;
    let group = call.region.target_groups.get(arn).ok_or_else(unknown)?;
    let (vpc, wanted) = (group.vpc.clone(), asked(call, group)?);
    for (id, _) in &wanted {
        let instance = call.region.instances.get(id);
        let usable = instance.is_some_and(|one| {
            one.vpc == vpc && matches!(one.state(call.now).1, "pending" | "running")
        });
        if !usable {
            return Err(Refusal::new(
                "InvalidTarget",
                format!(
                    "The following targets are not in a running state and cannot be \
                         registered: '{id}'"
                ),
            ));
        }
    }
    let now = call.now;
    let group = call.region.target_groups.get_mut(arn).ok_or_else(unknown)?;
    for (id, port) in wanted {
        let target = group.targets.entry(format!("{id}:{port}")).or_insert_with(|| Target {
            id,
            port,
            registered: now,
            drained_at: None,
        });
        // One that was draining starts anew; one that is registered stays as it is.
        if target.drained_at.take().is_some() {
            target.registered = now;
        }
    }
    if group.targets.len() > QUOTA {
        let message = "The maximum number of targets has been reached";
        return Err(Refusal::new("TooManyTargets", message));
    }
    Ok(call.xml())
}

pub(super) fn deregister(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "TargetGroupArn")?;
    let group = call.region.target_groups.get(arn).ok_or_else(unknown)?;
    let in_use = !group.balancers(call.region).is_empty();
    let drained_at = call.now.plus(if in_use { group.drain() } else { 0 });
    let wanted: Vec<(String, i64)> = asked(call, group)?;
    let group = call.region.target_groups.get_mut(arn).ok_or_else(unknown)?;
    for (id, port) in wanted {
        let Some(target) = group.targets.get_mut(&format!("{id}:{port}")) else {
            return Err(Refusal::new(
                "InvalidTarget",
                format!("The following targets are not registered: '{id}:{port}'"),
            ));
        };
        target.drained_at = target.drained_at.or(Some(drained_at));
    }
    Ok(call.xml())
}

pub(super) fn describe_health(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "TargetGroupArn")?;
    let group = call.region.target_groups.get(arn).ok_or_else(unknown)?;
    let mut rows: Vec<(String, i64, Health)> = Vec::new();
    if call.params.list("Targets").is_empty() {
        for target in group.targets.values() {
            rows.push((target.id.clone(), target.port, health(call, group, target)));
        }
    }
    for (id, port) in asked(call, group).or_else(|refusal| {
        if call.params.list("Targets").is_empty() { Ok(Vec::new()) } else { Err(refusal) }
    })? {
        let health = match group.targets.get(&format!("{id}:{port}")) {
            Some(target) => health(call, group, target),
            None if !call.region.instances.contains_key(&id) => {
                let message = format!("The target '{id}' does not exist");
                return Err(Refusal::new("InvalidTarget", message));
            }
            None => (
                "unused",
                Some((
                    "Target.NotRegistered",
                    "Target is not registered to the target \
                                                          group",
                )),
            ),
        };
        rows.push((id, port, health));
    }
    let mut xml = call.xml();
    xml.list("TargetHealthDescriptions", rows, |xml, (id, port, (state, reason))| {
        xml.node("Target", |xml| {
            xml.text("Id", id).text("Port", port);
        });
        xml.text("HealthCheckPort", group.health.port(port));
        xml.node("TargetHealth", |xml| {
            xml.text("State", state);
            if let Some((code, description)) = reason {
                xml.text("Reason", code).text("Description", description);
            }
        });
    });
    Ok(xml)
}

/// Reads the targets of a request; the port is the group's unless given.
fn asked(call: &Call<'_>, group: &TargetGroup) -> Result<Vec<(String, i64)>, Refusal> {
    let members = call.params.list("Targets");
    if members.is_empty() {
        return Err(Refusal::validation("Targets must be specified"));
    }
    let mut targets = Vec::new();
    for member in members {
        let id = member.text("Id").ok_or_else(|| Refusal::validation("A target needs an id"))?;
        let port = member.number("Port")?.unwrap_or(group.port);
        if !(1..=65_535).contains(&port) {
            return Err(Refusal::validation(format!("Port '{port}' is not between 1 and 65535")));
        }
        targets.push((id.to_owned(), port));
    }
    Ok(targets)
}

fn health(call: &Call<'_>, group: &TargetGroup, target: &Target) -> Health {
    let now = call.now;
    if target.drained_at.is_some() {
        let what = "Target deregistration is in progress";
        return ("draining", Some(("Target.DeregistrationInProgress", what)));
    }
    let Some(routed) = routed_from(call.region, group) else {
        let what = "Target group is not configured to receive traffic from the load balancer";
        return ("unused", Some(("Target.NotInUse", what)));
    };
    let Some(instance) = call.region.instances.get(&target.id) else {
        return ("unused", Some(("Target.InvalidState", "Target is in the stopped state")));
    };
    match instance.state(now).1 {
        "shutting-down" | "terminated" => {
            let what = "Target is in the terminated state";
            return ("unused", Some(("Target.InvalidState", what)));
        }
        _ => {}
    }
    let start = target.registered.max(routed).max(instance.running_at);
    if now < routed || now < start.plus(2_000) {
        return (
            "initial",
            Some((
                "Elb.RegistrationInProgress",
                "Target registration is in \
                                                                progress",
            )),
        );
    }
    if now < start.plus(group.health.until_healthy()) {
        let what = "Initial health checks in progress";
        return ("initial", Some(("Elb.InitialHealthChecking", what)));
    }
    ("healthy", None)
}

/// Tells since when, or from when, an active load balancer routes to a group.
fn routed_from(region: &Region, group: &TargetGroup) -> Option<Time> {
    let listeners = region.listeners.values().filter_map(|listener| {
        let active = region.balancers.get(&listener.balancer)?.active_at;
        let direct = listener.routes_to(&group.id).then_some(listener.changed);
        let by_rule = region
            .rules
            .values()
            .filter(|rule| rule.listener == listener.id && rule.routes_to(&group.id))
            .map(|rule| rule.created)
            .min();
        let since = direct.into_iter().chain(by_rule).min()?;
        Some(since.max(active))
    });
    listeners.min()
}
