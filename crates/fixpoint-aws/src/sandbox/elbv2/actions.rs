//! Actions of listeners and rules: forward, fixed response, redirect.
//!
//! Not for conditions, which only rules have. The surprise: a forward may name one group directly
//! or several with weights; AWS answers with both forms when there is one group.

use serde::{Deserialize, Serialize};

use crate::sandbox::call::Call;
use crate::sandbox::params::Params;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::world::Region;
use crate::sandbox::xml::Xml;

/// One action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// To target groups, with weights.
    Forward(Vec<(String, i64)>),
    /// Status code, content type, body.
    Fixed(String, Option<String>, Option<String>),
    /// Status code, and the parts of the address that it names.
    Redirect(String, Vec<(String, String)>),
}

const REDIRECT: [&str; 5] = ["Protocol", "Port", "Host", "Path", "Query"];

/// Tells whether one of the actions forwards to a target group.
pub(super) fn route_to(actions: &[Action], group: &str) -> bool {
    actions.iter().any(|action| match action {
        Action::Forward(groups) => groups.iter().any(|(arn, _)| arn == group),
        Action::Fixed(..) | Action::Redirect(..) => false,
    })
}

/// Reads the actions of a request for a load balancer.
pub(super) fn read(
    call: &Call<'_>,
    parameter: &str,
    balancer: &str,
) -> Result<Vec<Action>, Refusal> {
    let members = call.params.list(parameter);
    if members.is_empty() {
        return Err(Refusal::validation(format!("The parameter '{parameter}' must be specified")));
    }
    members.into_iter().map(|member| one(call.region, member, balancer)).collect()
}

fn one(region: &Region, params: &Params, balancer: &str) -> Result<Action, Refusal> {
    let need = |name: &str| {
        let missing = || Refusal::validation(format!("An action needs '{name}'"));
        params.text(name).ok_or_else(missing)
    };
    match need("Type")? {
        "forward" => {
            let mut groups = Vec::new();
            for member in params.list("ForwardConfig.TargetGroups") {
                let arn = member.text("TargetGroupArn").unwrap_or_default().to_owned();
                groups.push((arn, member.number("Weight")?.unwrap_or(1)));
            }
            if groups.is_empty() {
                groups.push((need("TargetGroupArn")?.to_owned(), 1));
            }
            for (arn, _) in &groups {
                check_group(region, arn, balancer)?;
            }
            Ok(Action::Forward(groups))
        }
        "fixed-response" => {
            let code = need("FixedResponseConfig.StatusCode")?;
            if !code.starts_with(['2', '4', '5']) || code.len() != 3 {
                return Err(Refusal::validation(format!("'{code}' is not a valid status code")));
            }
            let text = |name| params.text(name).map(str::to_owned);
            Ok(Action::Fixed(
                code.to_owned(),
                text("FixedResponseConfig.ContentType"),
                text("FixedResponseConfig.MessageBody"),
            ))
        }
        "redirect" => {
            let code = need("RedirectConfig.StatusCode")?;
            let part = |name: &str| {
                let value = params.text(&format!("RedirectConfig.{name}"))?;
                Some((name.to_owned(), value.to_owned()))
            };
            Ok(Action::Redirect(code.to_owned(), REDIRECT.into_iter().filter_map(part).collect()))
        }
        other => {
            let message = format!("The action type '{other}' is not supported here");
            Err(Refusal::new("InvalidLoadBalancerAction", message))
        }
    }
}

fn check_group(region: &Region, arn: &str, balancer: &str) -> Result<(), Refusal> {
    let Some(group) = region.target_groups.get(arn) else {
        let message = format!("Target group '{arn}' not found");
        return Err(Refusal::new("TargetGroupNotFound", message));
    };
    let vpc = region.balancers.get(balancer).map(|balancer| balancer.vpc.as_str());
    if vpc != Some(group.vpc.as_str()) {
        return Err(Refusal::validation(format!(
            "The target group '{arn}' and the load balancer are in different VPCs"
        )));
    }
    let listeners = region.listeners.values();
    let other = listeners.filter(|listener| listener.balancer != balancer).any(|listener| {
        listener.routes_to(arn)
            || region.rules.values().any(|rule| rule.listener == listener.id && rule.routes_to(arn))
    });
    if other {
        return Err(Refusal::new(
            "TargetGroupAssociationLimit",
            format!(
                "The following target groups cannot be associated with more than one load \
                     balancer: {arn}"
            ),
        ));
    }
    Ok(())
}

/// Writes actions as a list.
pub(super) fn write(xml: &mut Xml, name: &str, actions: &[Action]) {
    xml.list(name, actions.iter().zip(1..), |xml, (action, order)| match action {
        Action::Forward(groups) => {
            xml.text("Type", "forward");
            if let [(arn, _)] = groups.as_slice() {
                xml.text("TargetGroupArn", arn);
            }
            xml.text("Order", order).node("ForwardConfig", |xml| {
                xml.list("TargetGroups", groups, |xml, (arn, weight)| {
                    xml.text("TargetGroupArn", arn).text("Weight", weight);
                });
                xml.node("TargetGroupStickinessConfig", |xml| {
                    xml.text("Enabled", false);
                });
            });
        }
        Action::Fixed(code, kind, body) => {
            xml.text("Type", "fixed-response").text("Order", order);
            xml.node("FixedResponseConfig", |xml| {
                xml.text("StatusCode", code)
                    .maybe("ContentType", kind.as_ref())
                    .maybe("MessageBody", body.as_ref());
            });
        }
        Action::Redirect(code, parts) => {
            xml.text("Type", "redirect").text("Order", order);
            xml.node("RedirectConfig", |xml| {
                xml.text("StatusCode", code);
                for (name, value) in parts {
                    xml.text(name, value);
                }
            });
        }
    });
}
