//! Listener rules.
//!
//! Not for matching requests. The surprise: priorities are unique in a listener, and a plan that
//! adds its rule twice is told `PriorityInUse`.

use serde::{Deserialize, Serialize};

use super::actions::{self, Action};
use super::{listeners, need, page, tags};
use crate::sandbox::call::{Answer, Call};
use crate::sandbox::clock::Time;
use crate::sandbox::entities::{Tags, entities};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::xml::Xml;

/// A rule; `id` is its ARN.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Rule {
    pub(in crate::sandbox) id: String,
    pub(super) listener: String,
    priority: i64,
    /// Field and values, e.g. `path-pattern` and `/grafana/*`.
    conditions: Vec<(String, Vec<String>)>,
    actions: Vec<Action>,
    pub(super) created: Time,
    seen_from: Time,
    tags: Tags,
}

entities! { Rule: "listener-rule" }

impl Rule {
    /// Tells whether the rule forwards to a target group.
    pub(in crate::sandbox) fn routes_to(&self, group: &str) -> bool {
        actions::route_to(&self.actions, group)
    }
}

/// Fields of conditions and the elements that hold their values.
const FIELDS: [(&str, &str); 4] = [
    ("path-pattern", "PathPatternConfig"),
    ("host-header", "HostHeaderConfig"),
    ("http-request-method", "HttpRequestMethodConfig"),
    ("source-ip", "SourceIpConfig"),
];

pub(super) fn create(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "ListenerArn")?;
    let listener = call.region.listeners.get(arn).ok_or_else(|| listeners::unknown(arn))?;
    let balancer = listener.balancer.clone();
    let priority = call.params.number("Priority")?.unwrap_or(0);
    if !(1..=50_000).contains(&priority) {
        return Err(Refusal::validation(format!(
            "Priority '{priority}' is not between 1 and 50000"
        )));
    }
    let conditions = conditions(call)?;
    let actions = actions::read(call, "Actions", &balancer)?;
    let given = tags::read(call.params)?;
    let mut rules = call.region.rules.values();
    if rules.any(|rule| rule.listener == arn && rule.priority == priority) {
        let message = format!("Priority '{priority}' is currently in use");
        return Err(Refusal::new("PriorityInUse", message));
    }
    let rule = Rule {
        id: format!("{}/{}", arn.replacen(":listener/", ":listener-rule/", 1), call.dice.hex(16)),
        listener: arn.to_owned(),
        created: call.now,
        seen_from: call.seen_from(),
        tags: given,
        priority,
        conditions,
        actions,
    };
    let mut xml = call.xml();
    xml.list("Rules", [&rule], write);
    call.region.rules.insert(rule.id.clone(), rule);
    Ok(xml)
}

pub(super) fn describe(call: &mut Call<'_>) -> Answer {
    let arns = call.params.texts("RuleArns");
    let listener = call.params.text("ListenerArn");
    if arns.is_empty() == listener.is_none() {
        return Err(Refusal::validation("You must specify either rule ARNs or a listener ARN"));
    }
    if let Some(arn) = listener.filter(|arn| !call.region.listeners.contains_key(*arn)) {
        return Err(listeners::unknown(arn));
    }
    let made = call.region.rules.values().filter(|rule| rule.seen_from <= call.now).cloned();
    let defaults = call.region.listeners.values().map(|listener| Rule {
        id: listener.default_rule.clone(),
        listener: listener.id.clone(),
        priority: i64::MAX,
        conditions: Vec::new(),
        actions: listener.actions.clone(),
        created: listener.changed,
        seen_from: listener.changed,
        tags: Tags::new(),
    });
    let all: Vec<Rule> = made.chain(defaults).collect();
    if let Some(arn) = arns.iter().find(|arn| !all.iter().any(|rule| rule.id == **arn)) {
        return Err(unknown(arn));
    }
    let wanted = |rule: &Rule| arns.contains(&rule.id) || listener == Some(&rule.listener);
    let found: Vec<Rule> = all.into_iter().filter(wanted).collect();
    let (found, next) = page(call, found, |rule| format!("{:020}{}", rule.priority, rule.id))?;
    let mut xml = call.xml();
    xml.list("Rules", &found, write).token("NextMarker", next);
    Ok(xml)
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let arn = need(call, "RuleArn")?;
    if call.region.listeners.values().any(|listener| listener.default_rule == arn) {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!("Default rule '{arn}' cannot be deleted"),
        ));
    }
    call.region.rules.remove(arn).ok_or_else(|| unknown(arn))?;
    Ok(call.xml())
}

fn unknown(arn: &str) -> Refusal {
    Refusal::new("RuleNotFound", format!("Rule '{arn}' not found"))
}

fn conditions(call: &Call<'_>) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let mut found = Vec::new();
    for member in call.params.list("Conditions") {
        let field = member.text("Field").unwrap_or_default();
        let Some((_, config)) = FIELDS.iter().find(|(name, _)| *name == field) else {
            let message = format!("Condition field '{field}' is not supported here");
            return Err(Refusal::validation(message));
        };
        let mut values = member.texts("Values");
        values.extend(member.texts(&format!("{config}.Values")));
        if values.is_empty() || values.len() > 5 {
            return Err(Refusal::validation("A condition has one to five values"));
        }
        found.push((field.to_owned(), values));
    }
    if found.is_empty() {
        return Err(Refusal::validation("A condition must be specified"));
    }
    Ok(found)
}

fn write(xml: &mut Xml, rule: &Rule) {
    let is_default = rule.priority == i64::MAX;
    let priority = if is_default { "default".to_owned() } else { rule.priority.to_string() };
    xml.text("RuleArn", &rule.id).text("Priority", priority);
    xml.list("Conditions", &rule.conditions, |xml, (field, values)| {
        xml.text("Field", field).texts("Values", values);
        if let Some((_, config)) = FIELDS.iter().find(|(name, _)| name == field) {
            xml.node(config, |xml| {
                xml.texts("Values", values);
            });
        }
    });
    actions::write(xml, "Actions", &rule.actions);
    xml.text("IsDefault", is_default);
}
