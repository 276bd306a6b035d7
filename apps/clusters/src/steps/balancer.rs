//! The steps that make the load balancer, and bring the nodes in and out of its target group.
//!
//! The surprise: [`RegisterClusterNodeToLb`] has a fault on purpose; its documentation says why.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, IpAddressType, LoadBalancerSchemeEnum, LoadBalancerTypeEnum, Matcher,
    ProtocolEnum, Tag, TargetDescription, TargetGroupAttribute, TargetTypeEnum,
};
use fixpoint::{BoxError, Context, Observed as Saw, Permanent, Step, Steps, Wait};

use super::create;
use crate::{
    Cluster,
    addons::Addon,
    error::could_not,
    names::Part,
    observe,
    rules::{BALANCER_PORT, INFLUXDB_PORT},
};

/// How long a target that is taken out may finish its requests, in seconds. AWS's default of 300 is
/// for longer requests than InfluxDB has.
const DRAIN_SECONDS: u32 = 20;

/// Makes the load balancer.
#[derive(Debug)]
pub struct CreateLoadBalancer {
    /// Of this cluster.
    pub cluster: Cluster,
    /// In two zones.
    pub subnets: [String; 2],
    /// Its security group.
    pub group: String,
}

#[async_trait]
impl Step for CreateLoadBalancer {
    fn name(&self) -> &str {
        "create_load_balancer"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, subnets, group } = self;
        let request = cluster
            .aws()
            .elb
            .create_load_balancer()
            .name(cluster.names().load_balancer())
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .ip_address_type(IpAddressType::Ipv4)
            .set_subnets(Some(subnets.to_vec()))
            .security_groups(group)
            .set_tags(Some(tags(cluster, Part::LoadBalancer)));
        let make = async {
            let made = request.send().await?;
            Ok::<_, fixpoint_aws::Error>(
                made.load_balancers()
                    .first()
                    .and_then(|b| b.load_balancer_arn())
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        let is_there = |c: Cluster| async move { Ok(observe::load_balancer(&c).await?.is_some()) };
        create(cx, cluster, "the load balancer", is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Waits until the load balancer takes traffic.
pub fn wait_for_load_balancer(cluster: &Cluster) -> Wait {
    let cluster = cluster.clone();
    let what = format!("load balancer {}", cluster.names().load_balancer());
    Wait::until("wait_for_load_balancer", what, "active", move |_| {
        let cluster = cluster.clone();
        async move {
            let Some(balancer) = observe::load_balancer(&cluster).await? else {
                return Ok(Saw::NotYet("gone".into()));
            };
            match balancer.state.as_str() {
                _ if balancer.is_active() => Ok(Saw::Ready),
                "failed" => Err(Permanent::new("AWS could not set the load balancer up").into()),
                other => Ok(Saw::NotYet(other.to_owned())),
            }
        }
    })
    .every(Duration::from_secs(5))
    .backing_off_to(Duration::from_secs(10))
    .deadline(Duration::from_secs(15 * 60))
}

/// What a target group's targets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// They are the InfluxDB nodes.
    Nodes,
    /// They run this add-on.
    Addon(Addon),
}

impl Targets {
    pub(crate) fn group_name(self, cluster: &Cluster) -> String {
        match self {
            Self::Nodes => cluster.names().node_targets(),
            Self::Addon(addon) => cluster.names().addon_targets(addon),
        }
    }

    fn part(self) -> Part {
        match self {
            Self::Nodes => Part::NodeTargets,
            Self::Addon(addon) => Part::AddonTargets(addon),
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Nodes => INFLUXDB_PORT,
            Self::Addon(addon) => addon.port(),
        }
    }

    fn health_path(self) -> &'static str {
        match self {
            Self::Nodes => "/health",
            Self::Addon(addon) => addon.health_path(),
        }
    }
}

/// Makes a target group.
///
/// How long its targets drain is set in the same step, and not looked at later: a group that a
/// crash in between left with AWS's five minutes is slow to scale down, but as good as any.
#[derive(Debug)]
pub struct CreateTargetGroup {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC.
    pub vpc: String,
    /// Whose.
    pub targets: Targets,
}

#[async_trait]
impl Step for CreateTargetGroup {
    fn name(&self) -> &str {
        "create_target_group"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, vpc, targets } = self;
        let elb = &cluster.aws().elb;
        let name = targets.group_name(cluster);
        let request = elb
            .create_target_group()
            .name(&name)
            .protocol(ProtocolEnum::Http)
            .port(i32::from(targets.port()))
            .vpc_id(vpc)
            .target_type(TargetTypeEnum::Instance)
            .health_check_path(targets.health_path())
            .health_check_interval_seconds(10)
            .health_check_timeout_seconds(5)
            .healthy_threshold_count(2)
            .unhealthy_threshold_count(2)
            .matcher(Matcher::builder().http_code("200-299").build())
            .set_tags(Some(tags(cluster, targets.part())));
        let make = async {
            let made = request.send().await?;
            let arn = made.target_groups().first().and_then(|g| g.target_group_arn());
            let arn = arn.unwrap_or_default().to_owned();
            let delay = TargetGroupAttribute::builder()
                .key("deregistration_delay.timeout_seconds")
                .value(DRAIN_SECONDS.to_string())
                .build();
            elb.modify_target_group_attributes()
                .target_group_arn(&arn)
                .attributes(delay)
                .send()
                .await?;
            Ok::<_, fixpoint_aws::Error>(arn)
        };
        let what = format!("target group {name}");
        let is_there = move |c: Cluster| {
            let name = name.clone();
            async move { Ok(observe::target_groups(&c).await?.iter().any(|g| g.name == name)) }
        };
        create(cx, cluster, &what, is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Makes the listener, which sends everything to the nodes unless a rule says otherwise.
#[derive(Debug)]
pub struct CreateListener {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The load balancer's ARN.
    pub balancer: String,
    /// The nodes' target group's ARN.
    pub target_group: String,
}

#[async_trait]
impl Step for CreateListener {
    fn name(&self) -> &str {
        "create_listener"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, balancer, target_group } = self;
        let request = cluster
            .aws()
            .elb
            .create_listener()
            .load_balancer_arn(balancer)
            .protocol(ProtocolEnum::Http)
            .port(i32::from(BALANCER_PORT))
            .default_actions(forward(target_group))
            .set_tags(Some(tags(cluster, Part::Listener)));
        let make = async {
            let made = request.send().await?;
            let arn = made.listeners().first().and_then(|l| l.listener_arn());
            Ok::<_, fixpoint_aws::Error>(arn.unwrap_or_default().to_owned())
        };
        let balancer = balancer.clone();
        let is_there = move |c: Cluster| {
            let balancer = balancer.clone();
            async move { Ok(observe::listener(&c, &balancer).await?.is_some()) }
        };
        create(cx, cluster, "the listener", is_there, make).await?;
        Ok(Steps::none())
    }
}

pub(super) fn forward(target_group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(target_group).build()
}

pub(super) fn tags(cluster: &Cluster, part: Part) -> Vec<Tag> {
    let tags = cluster.names().tags(part).into_iter();
    tags.map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Registers running nodes with the load balancer: asks which target groups are attached to it,
/// and adds the nodes to the nodes' group among them.
///
/// **This step has a fault, and keeps it.** If AWS answers that no target group is attached, the
/// step registers nothing and reports success. That is the fault of a real incident: AWS reported
/// no error, every resource existed, and the new node took no traffic. It is what `fixpoint demo`
/// shows: the trace of such a run has one call here where good runs have two, and the plan, which
/// looks at the world and not at what steps say, does not converge and names this step.
/// The cure would be one line, an error for an empty answer.
#[derive(Debug)]
pub struct RegisterClusterNodeToLb {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The load balancer's ARN.
    pub balancer: String,
    /// The nodes' instances.
    pub instances: Vec<String>,
}

#[async_trait]
impl Step for RegisterClusterNodeToLb {
    fn name(&self) -> &str {
        "register_cluster_node_to_lb"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, balancer, instances } = self;
        let elb = &cluster.aws().elb;
        let attached = elb.describe_target_groups().load_balancer_arn(balancer).send().await;
        let attached = attached.map_err(could_not("list the load balancer's target groups"))?;
        let name = cluster.names().node_targets();
        for group in attached.target_groups() {
            if group.target_group_name() == Some(name.as_str()) {
                let arn = group.target_group_arn().unwrap_or_default();
                register(cluster, arn, instances).await?;
            }
        }
        Ok(Steps::none())
    }
}

pub(super) async fn register(
    cluster: &Cluster,
    target_group: &str,
    instances: &[String],
) -> Result<(), BoxError> {
    let request = cluster.aws().elb.register_targets().target_group_arn(target_group);
    let request = request.set_targets(Some(targets(instances)));
    request.send().await.map_err(could_not("register the instances with the target group"))?;
    Ok(())
}

fn targets(instances: &[String]) -> Vec<TargetDescription> {
    instances.iter().map(|id| TargetDescription::builder().id(id).build()).collect()
}

/// Waits until the load balancer finds the targets healthy. `what` names them in the operator's
/// words, `name` is the step's.
pub fn wait_for_healthy(
    name: &'static str,
    what: impl Into<String>,
    cluster: &Cluster,
    target_group: String,
    instances: Vec<String>,
) -> Wait {
    let cluster = cluster.clone();
    let wanted = format!("{} healthy", instances.len());
    Wait::until(name, what, wanted, move |_| {
        let (cluster, group, ids) = (cluster.clone(), target_group.clone(), instances.clone());
        async move {
            let targets = observe::target_health(&cluster, &group).await?;
            let ours = || targets.iter().filter(|t| ids.contains(&t.instance_id));
            let healthy = ours().filter(|t| t.is_healthy()).count();
            if healthy == ids.len() {
                return Ok(Saw::Ready);
            }
            let mut seen = format!("{healthy} healthy");
            for target in ours().filter(|t| !t.is_healthy()) {
                seen.push_str(&format!(", {} {}", target.instance_id, target.state));
                if !target.reason.is_empty() {
                    seen.push_str(&format!(" ({})", target.reason));
                }
            }
            Ok(Saw::NotYet(seen))
        }
    })
    .every(Duration::from_secs(5))
    .backing_off_to(Duration::from_secs(10))
    .deadline(Duration::from_secs(15 * 60))
}

/// Takes instances out of the nodes' target group, and waits until they have finished their
/// requests.
#[derive(Debug)]
pub struct DeregisterClusterNodeFromLb {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The nodes' target group's ARN.
    pub target_group: String,
    /// The instances.
    pub instances: Vec<String>,
}

#[async_trait]
impl Step for DeregisterClusterNodeFromLb {
    fn name(&self) -> &str {
        "deregister_cluster_node_from_lb"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, target_group, instances } = self;
        let request = cluster.aws().elb.deregister_targets().target_group_arn(target_group);
        let request = request.set_targets(Some(targets(instances)));
        request.send().await.map_err(could_not("take the nodes out of the target group"))?;
        let wait = wait_for_draining(cluster, target_group.clone(), instances.clone());
        Ok(Steps::none().with(wait))
    }
}

/// Waits until targets that were taken out have finished their requests.
pub fn wait_for_draining(cluster: &Cluster, target_group: String, instances: Vec<String>) -> Wait {
    let what = format!("{} nodes of {cluster:?} to finish their requests", instances.len());
    let cluster = cluster.clone();
    Wait::until("wait_for_draining", what, "out of the target group", move |_| {
        let (cluster, group, ids) = (cluster.clone(), target_group.clone(), instances.clone());
        async move {
            let targets = observe::target_health(&cluster, &group).await?;
            let left = targets.iter().filter(|t| ids.contains(&t.instance_id)).count();
            Ok(if left == 0 { Saw::Ready } else { Saw::NotYet(format!("{left} draining")) })
        }
    })
    .every(Duration::from_secs(5))
    .deadline(Duration::from_secs(10 * 60))
}
