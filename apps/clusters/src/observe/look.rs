//! The calls that find out what there is of a cluster: one function each, all pages read.
//!
//! Used by `create` for the whole and by steps for single things. The surprise: load balancers and
//! target groups are found by listing them all. Asking for one by name answers with an error while
//! there is none, and asking by the balancer's ARN hides groups that nothing forwards to yet.

use fixpoint::{BoxError, Permanent};
use fixpoint_aws::ec2;
use futures_util::future::try_join_all;
use tokio::try_join;

use super::{Balancer, Identity, Listener, ListenerRule, Observed, Target, TargetGroup};
use crate::{Cluster, addons::Addon, error::could_not, names::CLUSTER_TAG};

type Result<T> = std::result::Result<T, BoxError>;

/// Looks at everything that a cluster is made of, and, while subnets are missing, at the zones that
/// they can be in.
pub(crate) async fn observe(cluster: &Cluster) -> Result<Observed> {
    let observed = look(cluster).await?;
    let zones = if observed.subnets.len() < 2 { zones(cluster).await? } else { Vec::new() };
    Ok(Observed { zones, ..observed })
}

/// Looks at everything that a cluster is made of, and at what outlives it for a while.
pub(crate) async fn observe_all(cluster: &Cluster) -> Result<Observed> {
    let (observed, leftovers) = try_join!(look(cluster), leftovers(cluster))?;
    Ok(Observed { leftovers, ..observed })
}

async fn look(cluster: &Cluster) -> Result<Observed> {
    let (
        network,
        subnets,
        gateways,
        route_tables,
        groups,
        key_pairs,
        instances,
        identity,
        balancing,
    ) = try_join!(
        network(cluster),
        subnets(cluster),
        internet_gateways(cluster),
        route_tables(cluster),
        security_groups(cluster),
        key_pairs(cluster),
        instances(cluster),
        identity(cluster),
        balancing(cluster),
    )?;
    let (vpcs, dns_support, dns_hostnames) = network;
    let (balancer, listener, target_groups) = balancing;
    Ok(Observed {
        vpcs,
        dns_support,
        dns_hostnames,
        subnets,
        gateways,
        route_tables,
        groups,
        key_pairs,
        identity,
        instances,
        balancer,
        listener,
        target_groups,
        ..Observed::default()
    })
}

/// What AWS removes by itself some time after what it belongs to.
pub(crate) async fn leftovers(cluster: &Cluster) -> Result<Vec<String>> {
    let (volumes, interfaces) = try_join!(volumes(cluster), balancer_interfaces(cluster))?;
    Ok([volumes, interfaces].concat())
}

async fn network(cluster: &Cluster) -> Result<(Vec<ec2::Vpc>, bool, bool)> {
    let vpcs = vpcs(cluster).await?;
    // Of several, one goes before anything else is done; see `diff`.
    let [only] = &*vpcs else { return Ok((vpcs, false, false)) };
    let attribute = |attribute: &str| {
        let request =
            ec2::DescribeVpcAttribute { vpc_id: only.vpc_id.clone(), attribute: attribute.into() };
        async move {
            cluster.aws().ec2.send(request).await.map_err(could_not("read the VPC's DNS settings"))
        }
    };
    let (support, hostnames) =
        try_join!(attribute("enableDnsSupport"), attribute("enableDnsHostnames"))?;
    let dns = (support.enable_dns_support, hostnames.enable_dns_hostnames);
    Ok((vpcs, dns.0.unwrap_or(false), dns.1.unwrap_or(false)))
}

/// The cluster's VPCs.
pub(crate) async fn vpcs(cluster: &Cluster) -> Result<Vec<ec2::Vpc>> {
    let request =
        ec2::DescribeVpcs { filters: vec![cluster.names().filter()], ..Default::default() };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the VPCs"))
}

/// The cluster's subnets.
pub(crate) async fn subnets(cluster: &Cluster) -> Result<Vec<ec2::Subnet>> {
    let request =
        ec2::DescribeSubnets { filters: vec![cluster.names().filter()], ..Default::default() };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the subnets"))
}

/// The cluster's internet gateways.
pub(crate) async fn internet_gateways(cluster: &Cluster) -> Result<Vec<ec2::InternetGateway>> {
    let request = ec2::DescribeInternetGateways {
        filters: vec![cluster.names().filter()],
        ..Default::default()
    };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the internet gateways"))
}

/// The cluster's route tables.
pub(crate) async fn route_tables(cluster: &Cluster) -> Result<Vec<ec2::RouteTable>> {
    let request =
        ec2::DescribeRouteTables { filters: vec![cluster.names().filter()], ..Default::default() };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the route tables"))
}

/// The cluster's security groups.
pub(crate) async fn security_groups(cluster: &Cluster) -> Result<Vec<ec2::SecurityGroup>> {
    let request = ec2::DescribeSecurityGroups {
        filters: vec![cluster.names().filter()],
        ..Default::default()
    };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the security groups"))
}

/// The names of the cluster's key pairs.
pub(crate) async fn key_pairs(cluster: &Cluster) -> Result<Vec<String>> {
    let request =
        ec2::DescribeKeyPairs { filters: vec![cluster.names().filter()], ..Default::default() };
    let answer = cluster.aws().ec2.send(request).await.map_err(could_not("list the key pairs"))?;
    Ok(answer.key_pairs.into_iter().map(|k| k.key_name).collect())
}

/// The cluster's instances, also those terminated of late.
pub(crate) async fn instances(cluster: &Cluster) -> Result<Vec<ec2::Instance>> {
    let request =
        ec2::DescribeInstances { filters: vec![cluster.names().filter()], ..Default::default() };
    cluster.aws().ec2.all(request).await.map_err(could_not("list the instances"))
}

async fn volumes(cluster: &Cluster) -> Result<Vec<String>> {
    let request =
        ec2::DescribeVolumes { filters: vec![cluster.names().filter()], ..Default::default() };
    let volumes = cluster.aws().ec2.all(request).await.map_err(could_not("list the volumes"))?;
    Ok(volumes.into_iter().map(|v| v.volume_id).collect())
}

/// The network interfaces that AWS keeps for the load balancer. They carry none of our tags, and
/// stay for up to a minute after the balancer is gone.
async fn balancer_interfaces(cluster: &Cluster) -> Result<Vec<String>> {
    let description = format!("ELB app/{}/*", cluster.names().load_balancer());
    let request = ec2::DescribeNetworkInterfaces {
        filters: vec![ec2::Filter::new("description", [description])],
        ..Default::default()
    };
    let interfaces =
        cluster.aws().ec2.all(request).await.map_err(could_not("list the network interfaces"))?;
    Ok(interfaces.into_iter().map(|i| i.network_interface_id).collect())
}

/// Two zones that offer the wanted type of instance.
async fn zones(cluster: &Cluster) -> Result<Vec<String>> {
    let ec2 = &cluster.aws().ec2;
    let wanted = &cluster.spec().instance_type;
    let zones = ec2::DescribeAvailabilityZones {
        filters: vec![
            ec2::Filter::new("state", ["available"]),
            // Local zones and wavelength zones are listed too once an account has opted in.
            ec2::Filter::new("zone-type", ["availability-zone"]),
        ],
    };
    let offerings = ec2::DescribeInstanceTypeOfferings {
        location_type: Some("availability-zone".into()),
        filters: vec![ec2::Filter::new("instance-type", [wanted])],
        ..Default::default()
    };
    let (zones, offerings) = try_join!(
        async { ec2.send(zones).await.map_err(could_not("list the availability zones")) },
        async { ec2.all(offerings).await.map_err(could_not("list the offered instance types")) },
    )?;
    let offered = |zone: &String| offerings.iter().any(|o| &o.location == zone);
    let zones = zones.availability_zones.into_iter().map(|z| z.zone_name).filter(offered);
    let mut zones: Vec<_> = zones.collect();
    zones.sort();
    zones.truncate(2);
    if zones.len() < 2 {
        let what = format!("{wanted} is not offered in two availability zones of this region");
        return Err(Permanent::new(what).into());
    }
    Ok(zones)
}

/// The newest image of Amazon Linux 2023 for the wanted type of instance.
pub(crate) async fn image(cluster: &Cluster) -> Result<ec2::Image> {
    let architecture = if is_graviton(&cluster.spec().instance_type) { "arm64" } else { "x86_64" };
    let request = ec2::DescribeImages {
        owners: vec!["amazon".into()],
        filters: vec![
            ec2::Filter::new("name", [format!("al2023-ami-2023.*-{architecture}")]),
            ec2::Filter::new("state", ["available"]),
        ],
        ..Default::default()
    };
    let images = cluster.aws().ec2.all(request).await.map_err(could_not("list the images"))?;
    let newest = images.into_iter().max_by(|a, b| a.creation_date.cmp(&b.creation_date));
    newest.ok_or_else(|| {
        Permanent::new(format!("there is no Amazon Linux 2023 for {architecture} in this region"))
            .into()
    })
}

/// AWS names its ARM types by a `g` behind the generation, as in `t4g` and `c7gn`; the first one
/// was called `a1`.
fn is_graviton(instance_type: &str) -> bool {
    let family = instance_type.split('.').next().unwrap_or_default();
    let after_generation = family.trim_start_matches(|c: char| !c.is_ascii_digit());
    family == "a1" || after_generation.contains('g')
}

async fn identity(cluster: &Cluster) -> Result<Identity> {
    let (role, profile) = try_join!(role(cluster), profile(cluster))?;
    Ok(Identity {
        role: role.is_some(),
        policies: role.unwrap_or_default(),
        profile: profile.is_some(),
        attached: profile.unwrap_or(false),
    })
}

/// The role's policies; none if there is no role.
async fn role(cluster: &Cluster) -> Result<Option<Vec<String>>> {
    let (iam, name) = (&cluster.aws().iam, cluster.names().identity());
    let roles = iam.list_roles().path_prefix(cluster.names().identity_path());
    let roles = roles.into_paginator().items().send().collect::<std::result::Result<Vec<_>, _>>();
    if !roles.await.map_err(could_not("list the IAM roles"))?.iter().any(|r| r.role_name == name) {
        return Ok(None);
    }
    let policies = iam.list_role_policies().role_name(name).into_paginator().items().send();
    let policies = policies.collect::<std::result::Result<Vec<_>, _>>().await;
    policies.map(Some).map_err(could_not("list the policies of the IAM role"))
}

/// Whether the profile holds the role; none if there is no profile.
async fn profile(cluster: &Cluster) -> Result<Option<bool>> {
    let (iam, name) = (&cluster.aws().iam, cluster.names().identity());
    let profiles = iam.list_instance_profiles().path_prefix(cluster.names().identity_path());
    let profiles = profiles.into_paginator().items().send();
    let profiles = profiles
        .collect::<std::result::Result<Vec<_>, _>>()
        .await
        .map_err(could_not("list the instance profiles"))?;
    let profile = profiles.into_iter().find(|p| p.instance_profile_name == name);
    Ok(profile.map(|p| p.roles.iter().any(|r| r.role_name == name)))
}

type Balancing = (Option<Balancer>, Option<Listener>, Vec<TargetGroup>);

async fn balancing(cluster: &Cluster) -> Result<Balancing> {
    let (balancer, groups) = try_join!(load_balancer(cluster), target_groups(cluster))?;
    let arns: Vec<_> =
        balancer.iter().map(|b| &b.arn).chain(groups.iter().map(|g| &g.arn)).collect();
    let fill = |group: TargetGroup| async {
        let targets = target_health(cluster, &group.arn).await?;
        Ok(TargetGroup { targets, ..group })
    };
    let listener = async {
        match &balancer {
            Some(balancer) => listener(cluster, &balancer.arn).await,
            None => Ok(None),
        }
    };
    let (_, listener, groups) = try_join!(
        check_ours(cluster, &arns),
        listener,
        try_join_all(groups.iter().cloned().map(fill)),
    )?;
    Ok((balancer, listener, groups))
}

/// The load balancer by the cluster's name for it.
pub(crate) async fn load_balancer(cluster: &Cluster) -> Result<Option<Balancer>> {
    let all = cluster.aws().elb.describe_load_balancers().into_paginator().items().send();
    let all = all.collect::<std::result::Result<Vec<_>, _>>().await;
    let name = cluster.names().load_balancer();
    let ours = all
        .map_err(could_not("list the load balancers"))?
        .into_iter()
        .find(|b| b.load_balancer_name() == Some(name.as_str()));
    Ok(ours.map(|b| Balancer {
        state: b.state().and_then(|s| s.code()).map(|c| c.as_str().to_owned()).unwrap_or_default(),
        arn: b.load_balancer_arn.unwrap_or_default(),
        dns_name: b.dns_name.unwrap_or_default(),
    }))
}

/// The target groups by the cluster's names for them, still without their targets.
pub(crate) async fn target_groups(cluster: &Cluster) -> Result<Vec<TargetGroup>> {
    let all = cluster.aws().elb.describe_target_groups().into_paginator().items().send();
    let all = all.collect::<std::result::Result<Vec<_>, _>>().await;
    let names = cluster.names();
    let is_ours = |name: &str| {
        name == names.node_targets() || Addon::ALL.iter().any(|a| name == names.addon_targets(*a))
    };
    let groups =
        all.map_err(could_not("list the target groups"))?.into_iter().map(|g| TargetGroup {
            arn: g.target_group_arn.unwrap_or_default(),
            name: g.target_group_name.unwrap_or_default(),
            targets: Vec::new(),
        });
    Ok(groups.filter(|g| is_ours(&g.name)).collect())
}

/// Names are unique in an account, so a thing of our name may be somebody else's. To go on then
/// would be to change, and in the end to delete, what is not ours.
async fn check_ours(cluster: &Cluster, arns: &[&String]) -> Result<()> {
    if arns.is_empty() {
        return Ok(());
    }
    let request = arns.iter().fold(cluster.aws().elb.describe_tags(), |r, a| r.resource_arns(*a));
    let answer = request.send().await.map_err(could_not("read tags of the load balancer"))?;
    for thing in answer.tag_descriptions() {
        let ours = thing
            .tags()
            .iter()
            .any(|t| t.key() == Some(CLUSTER_TAG) && t.value() == Some(cluster.names().cluster()));
        if !ours {
            let what = format!(
                "{} has a name that this cluster needs, but not its tag {CLUSTER_TAG}; \
                 tag it or rename the cluster",
                thing.resource_arn().unwrap_or_default()
            );
            return Err(Permanent::new(what).into());
        }
    }
    Ok(())
}

/// The targets of a group, with their health.
pub(crate) async fn target_health(cluster: &Cluster, group: &str) -> Result<Vec<Target>> {
    let request = cluster.aws().elb.describe_target_health().target_group_arn(group);
    let answer = match request.send().await {
        Ok(answer) => answer,
        // Deleted since it was listed.
        Err(error) if fixpoint_aws::is_not_found(&error) => return Ok(Vec::new()),
        Err(error) => return Err(could_not("read the health of the targets")(error)),
    };
    let target = |t: &aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
        let health = t.target_health();
        Target {
            instance_id: t.target().and_then(|t| t.id()).unwrap_or_default().to_owned(),
            state: health
                .and_then(|h| h.state())
                .map(|s| s.as_str().to_owned())
                .unwrap_or_default(),
            reason: health
                .and_then(|h| h.reason())
                .map(|r| r.as_str().to_owned())
                .unwrap_or_default(),
        }
    };
    Ok(answer.target_health_descriptions().iter().map(target).collect())
}

/// The listener of the load balancer with this ARN, with its rules.
pub(crate) async fn listener(cluster: &Cluster, balancer: &str) -> Result<Option<Listener>> {
    let request = cluster.aws().elb.describe_listeners().load_balancer_arn(balancer);
    let all = request.into_paginator().items().send();
    let all = match all.collect::<std::result::Result<Vec<_>, _>>().await {
        Ok(all) => all,
        // The balancer was deleted since it was listed.
        Err(error) if fixpoint_aws::is_not_found(&error) => return Ok(None),
        Err(error) => return Err(could_not("list the listeners")(error)),
    };
    let port = i32::from(crate::rules::BALANCER_PORT);
    match all.into_iter().find(|l| l.port() == Some(port)).and_then(|l| l.listener_arn) {
        Some(arn) => {
            let rules = listener_rules(cluster, &arn).await?;
            Ok(Some(Listener { arn, rules }))
        }
        None => Ok(None),
    }
}

/// The rules of a listener, without its default.
pub(crate) async fn listener_rules(cluster: &Cluster, arn: &str) -> Result<Vec<ListenerRule>> {
    let request = cluster.aws().elb.describe_rules().listener_arn(arn);
    let all = match request.into_paginator().items().send().collect().await {
        Ok(all) => all,
        Err(error) if fixpoint_aws::is_not_found(&error) => return Ok(Vec::new()),
        Err(error) => return Err(could_not("list the rules of the listener")(error)),
    };
    let all: Vec<aws_sdk_elasticloadbalancingv2::types::Rule> = all;
    let rule = |rule: &aws_sdk_elasticloadbalancingv2::types::Rule| ListenerRule {
        arn: rule.rule_arn().unwrap_or_default().to_owned(),
        target_group: rule
            .actions()
            .iter()
            .find_map(|a| a.target_group_arn())
            .unwrap_or_default()
            .to_owned(),
    };
    Ok(all.iter().filter(|r| r.is_default() != Some(true)).map(rule).collect())
}

#[cfg(test)]
mod tests {
    use super::is_graviton;

    #[test]
    fn arm_types_are_told_by_their_names() {
        assert!(
            ["t4g.small", "c7gn.large", "a1.medium", "g5g.xlarge"].map(is_graviton) == [true; 4]
        );
        assert!(
            ["t3.small", "m5.large", "g4dn.xlarge", "c6i.large"].map(is_graviton) == [false; 4]
        );
    }
}
