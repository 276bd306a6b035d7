//! Listeners.
//!
//! Not for rules beyond the default one. The surprise: the default rule is the listener's own
//! actions under an ARN of its own; it cannot be deleted and is listed last.

use serde::{Deserialize, Serialize};

use super::actions::{self, Action};
use super::{balancers, need, page, tags};
use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::entities::{Tags, entities};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::xml::Xml;

/// A listener; `id` is its ARN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Listener {
    pub(in crate::sandbox) id: String,
    pub(super) balancer: String,
    port: i64,
    protocol: String,
    pub(super) actions: Vec<Action>,
    pub(super) default_rule: String,
    /// When its actions were last changed.
    pub(super) changed: Time,
    seen_from: Time,
    tags: Tags,
}

entities! { Listener: "listener" }

impl Listener {
    /// Tells whether the listener itself forwards to a target group.
    pub(in crate::sandbox) fn routes_to(&self, group: &str) -> bool {
        actions::route_to(&self.actions, group)
    }
}

/// Builds ELBv2's answer to a listener nobody has.
pub(super) fn unknown(arn: &str) -> Refusal {
    Refusal::new("ListenerNotFound", format!("Listener '{arn}' not found"))
}

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let balancer = balancers::find(call.region, need(call, "LoadBalancerArn")?)?.id.clone();
    let (port, protocol) = endpoint(call, None)?;
    let actions = actions::read(call, "DefaultActions", &balancer)?;
    let given = tags::read(call.params)?;
    check_port(call, &balancer, port, None)?;
    let id = call.dice.hex(16);
    let base = balancer.replacen(":loadbalancer/", ":listener/", 1);
    let rule = call.dice.hex(16);
    let listener = Listener {
        default_rule: format!("{}/{id}/{rule}", base.replacen(":listener/", ":listener-rule/", 1)),
        id: format!("{base}/{id}"),
        seen_from: call.seen_from(),
        changed: call.now,
        tags: given,
        balancer,
        port,
        protocol,
        actions,
    };
    let xml = answer(call, &[&listener]);
    call.region.listeners.insert(listener.id.clone(), listener);
    Ok(xml)
}

pub(super) fn modify(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "ListenerArn")?;
    let mut listener = call.region.listeners.get(arn).ok_or_else(|| unknown(arn))?.clone();
    (listener.port, listener.protocol) = endpoint(call, Some(&listener))?;
    check_port(call, &listener.balancer, listener.port, Some(arn))?;
    if !call.params.list("DefaultActions").is_empty() {
        let actions = actions::read(call, "DefaultActions", &listener.balancer)?;
        if actions != listener.actions {
            listener.actions = actions;
            listener.changed = call.now;
        }
    }
    let xml = answer(call, &[&listener]);
    call.region.listeners.insert(listener.id.clone(), listener);
    Ok(xml)
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let arns = call.params.texts("ListenerArns");
    let balancer = call.params.text("LoadBalancerArn");
    if arns.is_empty() == balancer.is_none() {
        return Err(Refusal::validation(
            "You must specify either listener ARNs or a load balancer ARN",
        ));
    }
    if let Some(arn) = balancer {
        balancers::find(call.region, arn)?;
    }
    let seen: Vec<&Listener> =
        call.region.listeners.values().filter(|one| one.seen_from <= call.now).collect();
    for arn in &arns {
        seen.iter().find(|one| one.id == *arn).ok_or_else(|| unknown(arn))?;
    }
    let wanted = |one: &&Listener| arns.contains(&one.id) || balancer == Some(&one.balancer);
    let found = seen.into_iter().filter(wanted).collect();
    let (found, next) = page(call, found, |one| one.id.clone())?;
    let mut xml = answer(call, &found);
    xml.token("NextMarker", next);
    Ok(xml)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "ListenerArn")?;
    call.region.listeners.remove(arn).ok_or_else(|| unknown(arn))?;
    call.region.rules.retain(|_, rule| rule.listener != arn);
    Ok(call.xml())
}

fn endpoint(call: &Call<'_>, before: Option<&Listener>) -> Result<(i64, String), Refusal> {
    let port = call.params.number("Port")?.or_else(|| before.map(|one| one.port)).unwrap_or(0);
    if !(1..=65_535).contains(&port) {
        return Err(Refusal::validation(format!("Port '{port}' is not between 1 and 65535")));
    }
    let given = call.params.text("Protocol").or_else(|| before.map(|one| one.protocol.as_str()));
    match given {
        Some("HTTP") => Ok((port, "HTTP".into())),
        Some("HTTPS") if call.params.list("Certificates").is_empty() && before.is_none() => {
            let message = "A certificate must be specified for HTTPS listeners";
            Err(Refusal::new("CertificateNotFound", message))
        }
        Some("HTTPS") => Ok((port, "HTTPS".into())),
        other => {
            let other = other.unwrap_or_default();
            let message = format!("Protocol '{other}' is not supported by this load balancer");
            Err(Refusal::new("UnsupportedProtocol", message))
        }
    }
}

fn check_port(
    call: &Call<'_>,
    balancer: &str,
    port: i64,
    own: Option<&str>,
) -> Result<(), Refusal> {
    let taken = call.region.listeners.values().any(|listener| {
        listener.balancer == balancer && listener.port == port && own != Some(&listener.id)
    });
    if !taken {
        return Ok(());
    }
    Err(Refusal::new("DuplicateListener", format!("A listener already exists on port {port}")))
}

fn answer(call: &Call<'_>, listeners: &[&Listener]) -> Xml {
    let mut xml = call.xml();
    xml.list("Listeners", listeners, |xml, one| {
        xml.text("ListenerArn", &one.id)
            .text("LoadBalancerArn", &one.balancer)
            .text("Port", one.port)
            .text("Protocol", &one.protocol);
        actions::write(xml, "DefaultActions", &one.actions);
    });
    xml
}
