//! Termination, in the order that AWS's dependencies ask for.

use fixpoint_aws::ec2::*;
use fixpoint_aws::{Aws, is_not_found};

use super::Made;
use super::balancing::{health, target};
use super::journal::Journal;
use super::network::{j_len, ours};

/// What is in use cannot be deleted.
pub(crate) async fn probe_order(aws: &Aws, j: &mut Journal, made: &Made) {
    let delete = DeleteVpc { vpc_id: made.vpc.clone() };
    j.refused("in_use.vpc", "DependencyViolation", aws.ec2.send(delete).await);
    let delete = DeleteRouteTable { route_table_id: made.route_table.clone() };
    j.refused("in_use.route_table", "DependencyViolation", aws.ec2.send(delete).await);
    let delete = aws.elb.delete_target_group().target_group_arn(&made.target_group).send().await;
    j.refused("in_use.target_group", "ResourceInUse", delete);
    let delete = aws.iam.delete_role().role_name(&made.name).send().await;
    j.refused("in_use.role", "DeleteConflict", delete);
    let delete = aws.iam.delete_instance_profile().instance_profile_name(&made.name);
    j.refused("in_use.profile", "DeleteConflict", delete.send().await);
}

pub(crate) async fn balancing(aws: &Aws, j: &mut Journal, made: &Made) {
    let elb = &aws.elb;
    let all = Some(made.instances.iter().map(|id| target(id)).collect());
    let deregister = elb.deregister_targets().target_group_arn(&made.target_group);
    j.ok("targets.deregister", deregister.set_targets(all).send().await);
    j.is("targets.draining", "draining draining draining", health(aws, made).await);
    j.becomes("targets.gone", "", || health(aws, made)).await;
    j.ok("rule.delete", elb.delete_rule().rule_arn(&made.rule).send().await);
    j.ok("listener.delete", elb.delete_listener().listener_arn(&made.listener).send().await);
    let delete = || elb.delete_load_balancer().load_balancer_arn(&made.load_balancer).send();
    j.ok("lb.delete", delete().await);
    j.ok("lb.delete.again", delete().await);
    j.becomes("lb.gone", "LoadBalancerNotFound", || async {
        let lbs = elb.describe_load_balancers().load_balancer_arns(&made.load_balancer);
        super::journal::outcome(&lbs.send().await)
    })
    .await;
    j.becomes("lb.interfaces_gone", 0, || async {
        let interfaces = DescribeNetworkInterfaces {
            filters: vec![
                Filter::new("vpc-id", [&made.vpc]),
                Filter::new("description", ["ELB app/*"]),
            ],
            ..Default::default()
        };
        j_len(aws.ec2.all(interfaces).await).to_string()
    })
    .await;
    let delete = || elb.delete_target_group().target_group_arn(&made.target_group).send();
    j.soon("targets.delete", delete).await;
}

pub(crate) async fn compute(aws: &Aws, j: &mut Journal, made: &Made) {
    let end = || TerminateInstances { instance_ids: made.instances.clone() };
    let changes = aws.ec2.send(end()).await;
    let changes = j.ok("instances.terminate", changes).unwrap_or_default().instances;
    let shutting_down = changes.iter().all(|c| c.current_state.name == "shutting-down");
    j.is("instances.terminate.state", true, shutting_down);
    j.ok("instances.terminate.again", aws.ec2.send(end()).await);
    j.becomes("instances.terminated", "terminated terminated terminated", || async {
        let all = DescribeInstances { instance_ids: made.instances.clone(), ..Default::default() };
        let seen = aws.ec2.all(all).await.unwrap_or_default();
        seen.into_iter().map(|instance| instance.state.name).collect::<Vec<_>>().join(" ")
    })
    .await;
    let all = DescribeInstances { instance_ids: made.instances.clone(), ..Default::default() };
    let all = j.ok("instances.still_listed", aws.ec2.all(all).await).unwrap_or_default();
    let bare = all.iter().all(|i| i.private_ip_address.is_none() && i.subnet_id.is_none());
    j.is("instances.terminated.bare", true, bare);
    j.becomes("volumes.gone", 0, || async {
        let volumes = DescribeVolumes { filters: ours(made), ..Default::default() };
        j_len(aws.ec2.all(volumes).await).to_string()
    })
    .await;
    j.becomes("interfaces.gone", 0, || async {
        let interfaces = DescribeNetworkInterfaces {
            filters: vec![Filter::new("vpc-id", [&made.vpc])],
            ..Default::default()
        };
        j_len(aws.ec2.all(interfaces).await).to_string()
    })
    .await;
    for (id, name) in [
        ("key.delete", made.name.clone()),
        ("key.delete.imported", format!("{}-imported", made.name)),
        ("key.delete.missing", "no-such-key".into()),
    ] {
        let delete = DeleteKeyPair { key_name: Some(name), ..Default::default() };
        j.ok(id, aws.ec2.send(delete).await);
    }
    let (iam, name) = (&aws.iam, &made.name);
    let remove = iam.remove_role_from_instance_profile().instance_profile_name(name);
    j.ok("profile.remove_role", remove.role_name(name).send().await);
    let delete = iam.delete_instance_profile().instance_profile_name(name).send().await;
    j.ok("profile.delete", delete);
    j.ok(
        "role.policy.delete",
        iam.delete_role_policy().role_name(name).policy_name("node").send().await,
    );
    j.ok("role.delete", iam.delete_role().role_name(name).send().await);
    j.refused("role.gone", "NoSuchEntity", iam.get_role().role_name(name).send().await);
}

pub(crate) async fn network(aws: &Aws, j: &mut Journal, made: &Made) {
    // Each names the other in a rule: neither can go before its rules.
    let delete = |group: &str| DeleteSecurityGroup { group_id: group.into() };
    let revoke = RevokeSecurityGroupEgress {
        group_id: made.lb_group.clone(),
        ip_permissions: vec![IpPermission::tcp(8086).with_group(&made.node_group)],
        ..Default::default()
    };
    j.ok("egress.lb.revoke", aws.ec2.send(revoke).await);
    let rules = DescribeSecurityGroupRules {
        filters: vec![Filter::new("group-id", [&made.node_group])],
        ..Default::default()
    };
    let rules = aws.ec2.all(rules).await.unwrap_or_default();
    let from_lb = rules.into_iter().find(|rule| {
        !rule.is_egress
            && rule.referenced_group_info.as_ref().is_some_and(|g| g.group_id == made.lb_group)
    });
    let revoke = RevokeSecurityGroupIngress {
        group_id: made.node_group.clone(),
        security_group_rule_ids: from_lb.map(|r| r.security_group_rule_id).into_iter().collect(),
        ..Default::default()
    };
    j.ok("ingress.node.revoke_by_id", aws.ec2.send(revoke).await);
    j.soon("group.delete.node", || aws.ec2.send(delete(&made.node_group))).await;
    j.soon("group.delete.lb", || aws.ec2.send(delete(&made.lb_group))).await;
    let again = aws.ec2.send(delete(&made.lb_group)).await;
    j.refused("group.delete.again", "InvalidGroup.NotFound", again);

    for (id, association) in
        ["routes.disassociate.a", "routes.disassociate.b"].into_iter().zip(&made.associations)
    {
        let end = DisassociateRouteTable { association_id: association.clone() };
        j.ok(id, aws.ec2.send(end).await);
    }
    let route = DeleteRoute {
        route_table_id: made.route_table.clone(),
        destination_cidr_block: "0.0.0.0/0".into(),
    };
    j.ok("route.delete", aws.ec2.send(route).await);
    let table = DeleteRouteTable { route_table_id: made.route_table.clone() };
    j.ok("routes.delete", aws.ec2.send(table).await);
    for (id, subnet) in ["subnet.delete.a", "subnet.delete.b"].into_iter().zip(&made.subnets) {
        let delete = || DeleteSubnet { subnet_id: subnet.clone() };
        j.soon(id, || aws.ec2.send(delete())).await;
    }
    let gateway = || DeleteInternetGateway { internet_gateway_id: made.gateway.clone() };
    let attached = aws.ec2.send(gateway()).await;
    let was_attached = attached.is_err();
    j.refused("gateway.delete.attached", "DependencyViolation", attached);
    let detach = || DetachInternetGateway {
        internet_gateway_id: made.gateway.clone(),
        vpc_id: made.vpc.clone(),
    };
    let detached = aws.ec2.send(detach()).await;
    j.ok("gateway.detach", detached);
    let again = aws.ec2.send(detach()).await;
    j.is("gateway.detach.again.gone", true, again.is_err_and(|error| is_not_found(&error)));
    let deleted = aws.ec2.send(gateway()).await;
    j.is("gateway.delete", true, deleted.is_ok() == was_attached);
    j.ok("vpc.delete", aws.ec2.send(DeleteVpc { vpc_id: made.vpc.clone() }).await);
    let again = aws.ec2.send(DeleteVpc { vpc_id: made.vpc.clone() }).await;
    j.refused("vpc.delete.again", "InvalidVpcID.NotFound", again);
}

pub(crate) async fn nothing_left(aws: &Aws, j: &mut Journal, made: &Made) {
    let ec2 = &aws.ec2;
    j.becomes("nothing_left", "0 0 0 0 0", || async {
        let vpcs = DescribeVpcs { filters: ours(made), ..Default::default() };
        let subnets = DescribeSubnets { filters: ours(made), ..Default::default() };
        let groups = DescribeSecurityGroups { filters: ours(made), ..Default::default() };
        let gateways = DescribeInternetGateways { filters: ours(made), ..Default::default() };
        let tables = DescribeRouteTables { filters: ours(made), ..Default::default() };
        format!(
            "{} {} {} {} {}",
            j_len(ec2.all(vpcs).await),
            j_len(ec2.all(subnets).await),
            j_len(ec2.all(groups).await),
            j_len(ec2.all(gateways).await),
            j_len(ec2.all(tables).await),
        )
    })
    .await;
    let mut filters = ours(made);
    filters.push(Filter::new("instance-state-name", ["pending", "running", "stopped"]));
    let instances = DescribeInstances { filters, ..Default::default() };
    j.is("nothing_left.instances", 0, j_len(ec2.all(instances).await));
    let keys = DescribeKeyPairs { filters: ours(made), ..Default::default() };
    let keys = ec2.send(keys).await.map(|keys| keys.key_pairs);
    j.is("nothing_left.keys", 0, j_len(keys));
}
