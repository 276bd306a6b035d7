//! Load balancer, target group, listener, rule.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, FixedResponseActionConfig, LoadBalancerSchemeEnum,
    LoadBalancerTypeEnum, ProtocolEnum, RuleCondition, Tag, TargetDescription,
    TargetGroupAttribute, TargetTypeEnum,
};
use fixpoint_aws::Aws;
use fixpoint_aws::ec2;

use super::Made;
use super::journal::Journal;
use super::network::tags;

fn elb_tags(made: &Made, role: &str) -> Vec<Tag> {
    let tag = |tag: ec2::Tag| Tag::builder().key(tag.key).value(tag.value).build();
    tags(made, role).into_iter().map(tag).collect()
}

pub(crate) fn target(id: &str) -> TargetDescription {
    TargetDescription::builder().id(id).port(8086).build()
}

/// States of the targets of ours, in order.
pub(crate) async fn health(aws: &Aws, made: &Made) -> String {
    let health = aws.elb.describe_target_health().target_group_arn(&made.target_group);
    let Ok(health) = health.send().await else { return "refused".into() };
    let mut states: Vec<_> = health
        .target_health_descriptions()
        .iter()
        .filter_map(|d| Some(d.target_health()?.state()?.as_str().to_owned()))
        .collect();
    states.sort();
    states.join(" ")
}

pub(crate) async fn create(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let elb = &aws.elb;
    let balancer = |subnets: &[String]| {
        elb.create_load_balancer()
            .name(&made.name)
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .set_subnets(Some(subnets.to_vec()))
            .security_groups(&made.lb_group)
            .set_tags(Some(elb_tags(made, "lb")))
            .send()
    };
    let one_zone = balancer(&made.subnets[..1]).await;
    // A backend that takes one zone has made one: out of the way with it.
    if let Some(lb) = one_zone.as_ref().ok().and_then(|made| made.load_balancers().first()) {
        let delete = elb.delete_load_balancer().set_load_balancer_arn(lb.load_balancer_arn.clone());
        let _ = delete.send().await;
    }
    j.refused("lb.one_zone", "ValidationError", one_zone);
    let unknown = elb.describe_load_balancers().names("no-such-lb").send().await;
    j.refused("lb.unknown", "LoadBalancerNotFound", unknown);
    let created = j.need("lb.create", balancer(&made.subnets).await);
    let lb = created.load_balancers().first().expect("a load balancer").clone();
    let state = lb.state().and_then(|state| state.code()).map_or("none", |code| code.as_str());
    j.is("lb.create.state", "provisioning", state);
    j.is("lb.create.zones", 2, lb.availability_zones().len());
    j.is("lb.create.vpc", true, lb.vpc_id() == Some(&made.vpc));
    j.is("lb.create.dns_name", true, lb.dns_name().is_some_and(|name| name.contains(&made.name)));
    let arn = lb.load_balancer_arn().unwrap_or_default().to_owned();
    let again = balancer(&made.subnets).await;
    let again = j.ok("lb.create.again", again);
    let again = again.as_ref().and_then(|a| a.load_balancers().first()?.load_balancer_arn());
    j.is("lb.create.again.same", true, again == Some(&arn));
    // A backend that made a second one: out of the way with it.
    if let Some(second) = again.filter(|again| *again != arn) {
        let _ = elb.delete_load_balancer().load_balancer_arn(second).send().await;
    }
    made.load_balancer = arn;
    j.becomes("lb.active", "active", || async {
        let lbs = elb.describe_load_balancers().names(&made.name).send().await;
        let lbs = lbs.map(|lbs| lbs.load_balancers.unwrap_or_default()).unwrap_or_default();
        let code = lbs.first().and_then(|lb| lb.state()?.code()).map(|code| code.as_str());
        code.unwrap_or("none").to_owned()
    })
    .await;

    let group = |port| {
        elb.create_target_group()
            .name(&made.name)
            .protocol(ProtocolEnum::Http)
            .port(port)
            .vpc_id(&made.vpc)
            .target_type(TargetTypeEnum::Instance)
            .health_check_path("/health")
            .health_check_interval_seconds(10)
            .healthy_threshold_count(2)
            .set_tags(Some(elb_tags(made, "targets")))
            .send()
    };
    let created = j.need("targets.create", group(8086).await);
    let arn = created.target_groups().first().and_then(|group| group.target_group_arn());
    let arn = arn.expect("a target group").to_owned();
    j.refused("targets.create.other_port", "DuplicateTargetGroupName", group(8087).await);
    made.target_group = arn;
    let delay = TargetGroupAttribute::builder()
        .key("deregistration_delay.timeout_seconds")
        .value("30")
        .build();
    let delay = elb.modify_target_group_attributes().attributes(delay);
    j.ok("targets.delay", delay.target_group_arn(&made.target_group).send().await);
    let register = |ids: &[String]| {
        elb.register_targets()
            .target_group_arn(&made.target_group)
            .set_targets(Some(ids.iter().map(|id| target(id)).collect()))
            .send()
    };
    let unknown = "i-00000000000000000";
    let refused = register(&[unknown.to_owned()]).await;
    if refused.is_ok() {
        let deregister = elb.deregister_targets().target_group_arn(&made.target_group);
        let _ = deregister.targets(target(unknown)).send().await;
    }
    j.refused("targets.register.unknown", "InvalidTarget", refused);
    j.ok("targets.register", register(&made.instances).await);
    j.is("targets.unused", "unused unused unused", health(aws, made).await);

    let fixed = FixedResponseActionConfig::builder().status_code("404").build();
    let fixed = Action::builder()
        .r#type(ActionTypeEnum::FixedResponse)
        .set_fixed_response_config(fixed.into())
        .build();
    let listener = |port| {
        elb.create_listener()
            .load_balancer_arn(&made.load_balancer)
            .protocol(ProtocolEnum::Http)
            .port(port)
            .default_actions(fixed.clone())
            .set_tags(Some(elb_tags(made, "listener")))
            .send()
    };
    let created = j.need("listener.create", listener(80).await);
    let arn = created.listeners().first().and_then(|listener| listener.listener_arn());
    let arn = arn.expect("a listener").to_owned();
    made.listener = arn;
    let forward = Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn(&made.target_group)
        .build();
    let rule = || {
        let path = RuleCondition::builder().field("path-pattern").values("/api/*").build();
        elb.create_rule()
            .listener_arn(&made.listener)
            .priority(10)
            .conditions(path)
            .actions(forward.clone())
            .set_tags(Some(elb_tags(made, "rule")))
            .send()
    };
    let created = j.need("rule.create", rule().await);
    let arn = created.rules().first().and_then(|rule| rule.rule_arn());
    let arn = arn.expect("a rule").to_owned();
    j.refused("rule.create.again", "PriorityInUse", rule().await);
    made.rule = arn;
    let first = health(aws, made).await;
    j.is("targets.initial", "initial initial initial", first);
    j.becomes("targets.healthy", "healthy healthy healthy", || health(aws, made)).await;

    let rules = elb.describe_rules().listener_arn(&made.listener).send().await;
    let rules = j.need("rules.described", rules);
    j.is("rules.described.count", 2, rules.rules().len());
    let listeners = elb.describe_listeners().load_balancer_arn(&made.load_balancer).send().await;
    let listeners = j.need("listeners.described", listeners);
    j.is("listeners.described.count", 1, listeners.listeners().len());
    let tags = elb.describe_tags().resource_arns(&made.load_balancer);
    let tags = tags.resource_arns(&made.target_group).send().await;
    let tags = j.need("lb.tags", tags);
    let count: usize = tags.tag_descriptions().iter().map(|d| d.tags().len()).sum();
    j.is("lb.tags.count", 6, count);
    let groups = elb.describe_target_groups().load_balancer_arn(&made.load_balancer).send().await;
    let groups = j.need("targets.of_lb", groups);
    j.is("targets.of_lb.count", 1, groups.target_groups().len());
}
