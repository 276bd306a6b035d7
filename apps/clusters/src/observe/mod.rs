//! What there is of a cluster: plain data, and the questions that `diff` asks of it.
//!
//! Not here: the calls that fill it in; those are in `look`. The surprise: things are recognised by
//! their role tag, so what somebody made by hand with the right tags counts like our own.

mod look;

use fixpoint_aws::ec2;

use crate::{
    addons::Addon,
    names::{Group, ORDINAL_TAG, Part},
};

pub(crate) use look::{
    image, instances, internet_gateways, key_pairs, leftovers, listener, listener_rules,
    load_balancer, observe, observe_all, route_tables, security_groups, subnets, target_groups,
    target_health, vpcs,
};

/// What there is of a cluster, found by its tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Observed {
    /// Two zones for the subnets; looked up only while subnets are missing.
    pub zones: Vec<String>,
    /// VPCs; more than one only after an accident.
    pub vpcs: Vec<ec2::Vpc>,
    /// The VPC resolves names.
    pub dns_support: bool,
    /// The VPC gives names to public addresses.
    pub dns_hostnames: bool,
    /// Subnets.
    pub subnets: Vec<ec2::Subnet>,
    /// Internet gateways.
    pub gateways: Vec<ec2::InternetGateway>,
    /// Route tables.
    pub route_tables: Vec<ec2::RouteTable>,
    /// Security groups.
    pub groups: Vec<ec2::SecurityGroup>,
    /// Names of key pairs.
    pub key_pairs: Vec<String>,
    /// What IAM has.
    pub identity: Identity,
    /// Instances, also those terminated within the last hour.
    pub instances: Vec<ec2::Instance>,
    /// The load balancer.
    pub balancer: Option<Balancer>,
    /// Its listener.
    pub listener: Option<Listener>,
    /// Target groups.
    pub target_groups: Vec<TargetGroup>,
    /// Volumes and network interfaces that outlive what they belong to for a while; looked up only
    /// when everything is to go.
    pub leftovers: Vec<String>,
}

/// What IAM has of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The role.
    pub role: bool,
    /// The role's policies, by name.
    pub policies: Vec<String>,
    /// The instance profile.
    pub profile: bool,
    /// The role is in the profile.
    pub attached: bool,
}

impl Identity {
    /// Everything is there.
    pub fn is_complete(&self) -> bool {
        self.role && !self.policies.is_empty() && self.profile && self.attached
    }

    /// Nothing is there.
    pub fn is_gone(&self) -> bool {
        !self.role && !self.profile
    }
}

/// A load balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balancer {
    /// Its ARN.
    pub arn: String,
    /// Its address.
    pub dns_name: String,
    /// `provisioning`, `active`, `active_impaired` or `failed`.
    pub state: String,
}

impl Balancer {
    /// It takes traffic.
    pub fn is_active(&self) -> bool {
        self.state.starts_with("active")
    }
}

/// A listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listener {
    /// Its ARN.
    pub arn: String,
    /// Its rules, without the default one.
    pub rules: Vec<ListenerRule>,
}

/// A rule of a listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenerRule {
    /// Its ARN.
    pub arn: String,
    /// The target group that it forwards to.
    pub target_group: String,
}

/// A target group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetGroup {
    /// Its ARN.
    pub arn: String,
    /// Its name, which tells what it is for: AWS keeps it unique.
    pub name: String,
    /// Its targets.
    pub targets: Vec<Target>,
}

impl TargetGroup {
    /// The target that is this instance.
    pub fn target(&self, instance_id: &str) -> Option<&Target> {
        self.targets.iter().find(|t| t.instance_id == instance_id)
    }
}

/// An instance in a target group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The instance.
    pub instance_id: String,
    /// `initial`, `healthy`, `unhealthy`, `unused`, `draining` or `unavailable`.
    pub state: String,
    /// Why it is not healthy: `Target.Timeout`, `Elb.InitialHealthChecking`.
    pub reason: String,
}

impl Target {
    /// It gets traffic and answers it.
    pub fn is_healthy(&self) -> bool {
        self.state == "healthy"
    }

    /// It is on its way out of the group.
    pub fn is_draining(&self) -> bool {
        self.state == "draining"
    }
}

impl Observed {
    /// The cluster's VPC. Of several (AWS gives `CreateVpc` no token, so a crash at the wrong moment
    /// can make a second one) the one in which most has been built, and always the same one.
    pub fn vpc(&self) -> Option<&ec2::Vpc> {
        self.vpcs.iter().min_by_key(|v| (std::cmp::Reverse(self.built_in(&v.vpc_id)), &v.vpc_id))
    }

    /// How many of the cluster's things lie in a VPC.
    pub fn built_in(&self, vpc_id: &str) -> usize {
        self.subnets.iter().filter(|s| s.vpc_id == vpc_id).count()
            + self.groups.iter().filter(|g| g.vpc_id == vpc_id).count()
            + self.route_tables.iter().filter(|t| t.vpc_id == vpc_id).count()
            + self.gateways.iter().filter(|g| is_attached(g, vpc_id)).count()
    }

    /// The subnets of `vpc_id`, by number.
    pub fn subnet_pair(&self, vpc_id: &str) -> [Option<&ec2::Subnet>; 2] {
        [0, 1].map(|i| {
            self.subnets.iter().find(|s| s.vpc_id == vpc_id && Part::Subnet(i).is(&s.tags))
        })
    }

    /// A security group of `vpc_id`.
    pub fn group(&self, vpc_id: &str, group: Group) -> Option<&ec2::SecurityGroup> {
        self.groups.iter().find(|g| g.vpc_id == vpc_id && Part::Group(group).is(&g.tags))
    }

    /// The route table of `vpc_id`.
    pub fn route_table(&self, vpc_id: &str) -> Option<&ec2::RouteTable> {
        self.route_tables.iter().find(|t| t.vpc_id == vpc_id)
    }

    /// The internet gateway: attached to `vpc_id`, or to nothing yet.
    pub fn gateway(&self, vpc_id: &str) -> Option<&ec2::InternetGateway> {
        let attached_here = |g: &&ec2::InternetGateway| is_attached(g, vpc_id);
        let free = |g: &&ec2::InternetGateway| g.attachments.is_empty();
        self.gateways.iter().find(attached_here).or_else(|| self.gateways.iter().find(free))
    }

    /// The target group called `name`.
    pub fn target_group(&self, name: &str) -> Option<&TargetGroup> {
        self.target_groups.iter().find(|t| t.name == name)
    }

    /// The instances of `part` that are there or on their way up, oldest first.
    pub fn live(&self, part: Part) -> Vec<&ec2::Instance> {
        let mut live: Vec<_> =
            self.instances.iter().filter(|i| part.is(&i.tags) && is_live(i)).collect();
        live.sort_by_key(|i| (&i.launch_time, &i.instance_id));
        live
    }

    /// The instances that are on their way down.
    pub fn leaving(&self) -> impl Iterator<Item = &ec2::Instance> {
        self.instances.iter().filter(|i| i.state.name == "shutting-down")
    }

    /// The rule that sends traffic to the target group `arn`.
    pub fn rule_to(&self, arn: &str) -> Option<&ListenerRule> {
        self.listener.as_ref()?.rules.iter().find(|r| r.target_group == arn)
    }

    /// True if there is anything of this add-on.
    pub fn has_addon(&self, addon: Addon, target_group: &str) -> bool {
        let part = Part::Addon(addon);
        self.target_group(target_group).is_some()
            || self.instances.iter().any(|i| part.is(&i.tags) && !is_gone(i))
    }
}

/// True if `gateway` is attached to `vpc_id`.
pub fn is_attached(gateway: &ec2::InternetGateway, vpc_id: &str) -> bool {
    // EC2 says "available" here where its documentation says "attached".
    gateway
        .attachments
        .iter()
        .any(|a| a.vpc_id == vpc_id && (a.state == "available" || a.state == "attached"))
}

/// True for an instance that is there or on its way up; a stopped one still holds its data.
pub fn is_live(instance: &ec2::Instance) -> bool {
    !is_gone(instance) && instance.state.name != "shutting-down"
}

/// True for an instance of which only the record is left.
pub fn is_gone(instance: &ec2::Instance) -> bool {
    instance.state.name == "terminated"
}

/// A node's number, if it has one.
pub fn ordinal(instance: &ec2::Instance) -> Option<u32> {
    ec2::Tag::find(&instance.tags, ORDINAL_TAG)?.parse().ok()
}
