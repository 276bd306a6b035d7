//! What is due of the add-ons: those that are wanted, and those that no longer are.

use fixpoint_aws::ec2;

use super::{
    Draft,
    compute::{Nodes, ids, place},
};
use crate::{
    addons::Addon,
    names::{Group, Part},
    observe::{Target, TargetGroup},
    steps::{
        CreateAddonInstance, CreateAddonRule, CreateTargetGroup, Delete, Doomed, RegisterAddonToLb,
        Targets, TerminateInstances, wait_for_healthy, wait_for_instances,
    },
};

/// All add-ons, wanted or not.
pub(super) fn addons(draft: &mut Draft<'_>, vpc: &str) {
    for addon in Addon::ALL {
        let name = draft.cluster.names().addon_targets(addon);
        if draft.cluster.spec().addons.contains(&addon) {
            wanted(draft, vpc, addon, &name);
        } else {
            unwanted(draft, addon, &name);
        }
    }
}

fn wanted(draft: &mut Draft<'_>, vpc: &str, addon: Addon, name: &str) {
    let (seen, cluster) = (draft.seen, draft.cluster);
    let live = seen.live(Part::Addon(addon));
    let group = seen.target_group(name);
    let rule = group.and_then(|g| seen.rule_to(&g.arn));

    // An add-on that has nothing to show yet is of no use, and its checks would only fail.
    let node = Nodes::assign(seen, cluster.spec().nodes)
        .healthy(seen, &cluster.names().node_targets())
        .and_then(|node| node.private_ip_address.clone());
    let is_made = rule.is_some() && !live.is_empty();
    let Some(node_address) = node.or_else(|| is_made.then(String::new)) else {
        draft.withhold(format!("add-on {addon}"), "waits for a healthy data node");
        return;
    };

    if group.is_none() {
        let targets = Targets::Addon(addon);
        draft.push(CreateTargetGroup { cluster: draft.cluster(), vpc: vpc.into(), targets });
    }
    let Some((instance, others)) = live.split_first() else {
        create_instance(draft, vpc, addon, node_address);
        return;
    };
    if !others.is_empty() {
        let ids = ids(others.iter().copied());
        draft.push(TerminateInstances { cluster: draft.cluster(), ids });
    }
    if instance.state.name != "running" {
        let what = format!("add-on {addon} of {cluster:?}");
        draft.push(wait_for_instances(cluster, what, ids([*instance])));
    }
    let Some(group) = group else { return };
    match (rule, &seen.listener) {
        (None, Some(listener)) => draft.push(CreateAddonRule {
            cluster: draft.cluster(),
            addon,
            listener: listener.arn.clone(),
            target_group: group.arn.clone(),
        }),
        (None, None) => draft.withhold(format!("rule of {addon}"), "waits for the listener"),
        (Some(_), _) if instance.state.name == "running" => {
            membership(draft, addon, group, instance);
        }
        _ => {}
    }
}

fn create_instance(draft: &mut Draft<'_>, vpc: &str, addon: Addon, node_address: String) {
    let is_before = |i: &&ec2::Instance| Part::Addon(addon).is(&i.tags);
    match place(draft, vpc, 0, Group::Addon, is_before) {
        Ok(place) => {
            draft.push(CreateAddonInstance {
                cluster: draft.cluster(),
                addon,
                place,
                node_address,
            });
        }
        Err(why) => draft.withhold(format!("add-on {addon}"), why),
    }
}

/// The instance into the target group. Only once the rule is there: until then nothing is checked.
fn membership(draft: &mut Draft<'_>, addon: Addon, group: &TargetGroup, it: &ec2::Instance) {
    let target = group.target(&it.instance_id).filter(|t| !t.is_draining());
    let state = target.map_or("not registered", |t| t.state.as_str());
    draft.saw(format!("add-on {addon}"), state);
    match target {
        None => draft.push(RegisterAddonToLb {
            cluster: draft.cluster(),
            addon,
            target_group: group.arn.clone(),
            instance: it.instance_id.clone(),
        }),
        Some(target) if !Target::is_healthy(target) => {
            let what = format!("add-on {addon} of {:?}", draft.cluster);
            let (arn, ids) = (group.arn.clone(), ids([it]));
            draft.push(wait_for_healthy("wait_for_healthy_addon", what, draft.cluster, arn, ids));
        }
        Some(_) => {}
    }
}

/// First the rule, so that nobody is sent to what is going away; then the rest.
fn unwanted(draft: &mut Draft<'_>, addon: Addon, name: &str) {
    let seen = draft.seen;
    let group = seen.target_group(name);
    if let Some(rule) = group.and_then(|g| seen.rule_to(&g.arn)) {
        let what = Doomed::AddonRule(rule.arn.clone());
        draft.push(Delete { cluster: draft.cluster(), what });
        draft.withhold(format!("removal of add-on {addon}"), "waits until nobody is sent to it");
        return;
    }
    if let Some(group) = group {
        let what = Doomed::TargetGroup(group.arn.clone());
        draft.push(Delete { cluster: draft.cluster(), what });
    }
    let live = ids(seen.live(Part::Addon(addon)));
    if !live.is_empty() {
        draft.push(TerminateInstances { cluster: draft.cluster(), ids: live });
    }
}
