//! The steps that bring an add-on up beside the nodes.

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{PathPatternConditionConfig, RuleCondition};
use fixpoint::{BoxError, Context, Step, Steps};

use super::{
    balancer::{forward, register, tags},
    compute::{Launch, Place, launch},
    create,
};
use crate::{Cluster, addons::Addon, names::Part, observe, user_data};

/// Starts an add-on's instance.
#[derive(Debug, Clone)]
pub struct CreateAddonInstance {
    /// Of this cluster.
    pub cluster: Cluster,
    /// Which add-on.
    pub addon: Addon,
    /// Where.
    pub place: Place,
    /// The private address of the node that it talks to.
    pub node_address: String,
}

#[async_trait]
impl Step for CreateAddonInstance {
    fn name(&self) -> &str {
        "create_addon_instance"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, addon, place, node_address } = self;
        let part = Part::Addon(*addon);
        let there = observe::instances(cluster).await?;
        if there.iter().any(|i| part.is(&i.tags) && observe::is_live(i)) {
            return Ok(Steps::none());
        }
        let one = Launch {
            part,
            name: cluster.names().addon_targets(*addon),
            ordinal: None,
            place: place.clone(),
            user_data: user_data::addon(*addon, node_address),
        };
        launch(cx, cluster, vec![one], self.clone()).await
    }
}

/// Lets the load balancer send an add-on's paths to it.
#[derive(Debug)]
pub struct CreateAddonRule {
    /// Of this cluster.
    pub cluster: Cluster,
    /// Which add-on.
    pub addon: Addon,
    /// The listener's ARN.
    pub listener: String,
    /// The add-on's target group's ARN.
    pub target_group: String,
}

#[async_trait]
impl Step for CreateAddonRule {
    fn name(&self) -> &str {
        "create_addon_rule"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, addon, listener, target_group } = self;
        let paths = PathPatternConditionConfig::builder()
            .set_values(Some(addon.path_patterns().into()))
            .build();
        let condition =
            RuleCondition::builder().field("path-pattern").path_pattern_config(paths).build();
        let request = cluster
            .aws()
            .elb
            .create_rule()
            .listener_arn(listener)
            .priority(addon.priority())
            .conditions(condition)
            .actions(forward(target_group))
            .set_tags(Some(tags(cluster, Part::AddonRule(*addon))));
        let make = async {
            let made = request.send().await?;
            let arn = made.rules().first().and_then(|r| r.rule_arn());
            Ok::<_, fixpoint_aws::Error>(arn.unwrap_or_default().to_owned())
        };
        let (listener, group) = (listener.clone(), target_group.clone());
        let is_there = move |c: Cluster| {
            let (listener, group) = (listener.clone(), group.clone());
            async move {
                let rules = observe::listener_rules(&c, &listener).await?;
                Ok(rules.iter().any(|r| r.target_group == group))
            }
        };
        create(cx, cluster, &format!("the rule of add-on {addon}"), is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Registers an add-on's running instance with its target group.
#[derive(Debug)]
pub struct RegisterAddonToLb {
    /// Of this cluster.
    pub cluster: Cluster,
    /// Which add-on.
    pub addon: Addon,
    /// Its target group's ARN.
    pub target_group: String,
    /// Its instance.
    pub instance: String,
}

#[async_trait]
impl Step for RegisterAddonToLb {
    fn name(&self) -> &str {
        "register_addon_to_lb"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let instance = std::slice::from_ref(&self.instance);
        register(&self.cluster, &self.target_group, instance).await?;
        Ok(Steps::none())
    }
}
