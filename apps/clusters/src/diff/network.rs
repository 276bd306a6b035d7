//! What is due of VPC, gateway, subnets, routes, security groups, key pair and instance profile.

use fixpoint_aws::ec2;

use super::Draft;
use crate::{
    names::Group,
    observe::{Observed, is_attached},
    rules::{self, Direction, GroupIds},
    steps::{
        AssociateRouteTable, AttachInternetGateway, ConfigureRules, CreateInstanceProfile,
        CreateInternetGateway, CreateKeyPair, CreateRoute, CreateRouteTable, CreateSecurityGroup,
        CreateSubnet, CreateVpc, Delete, Doomed, EnableDns, EnablePublicIps, wait_for_vpc,
    },
};

/// Key pair and instance profile: they need nothing else.
pub(super) fn identity(draft: &mut Draft<'_>) {
    if draft.seen.key_pairs.is_empty() {
        draft.push(CreateKeyPair { cluster: draft.cluster() });
    }
    if !draft.seen.identity.is_complete() {
        draft.push(CreateInstanceProfile { cluster: draft.cluster() });
    }
}

/// The VPC's id, once it can be built on.
pub(super) fn vpc(draft: &mut Draft<'_>) -> Option<String> {
    let Some(vpc) = draft.seen.vpc() else {
        draft.push(CreateVpc { cluster: draft.cluster() });
        return None;
    };
    let others = draft.seen.vpcs.iter().filter(|v| v.vpc_id != vpc.vpc_id);
    let others: Vec<_> = others.map(|v| v.vpc_id.clone()).collect();
    if !others.is_empty() {
        // One in which something was built is left to a person: AWS will not delete it either.
        draft.saw("VPCs that are too many", others.join(", "));
        for id in others {
            draft.push(Delete { cluster: draft.cluster(), what: Doomed::Vpc(id) });
        }
        return None;
    }
    if vpc.state != "available" {
        draft.push(wait_for_vpc(draft.cluster));
        return None;
    }
    Some(vpc.vpc_id.clone())
}

/// What lies in the VPC but for the security groups.
pub(super) fn network(draft: &mut Draft<'_>, vpc: &str) {
    let seen = draft.seen;
    if !(seen.dns_support && seen.dns_hostnames) {
        let (support, hostnames) = (!seen.dns_support, !seen.dns_hostnames);
        draft.push(EnableDns { cluster: draft.cluster(), vpc: vpc.into(), support, hostnames });
    }
    match seen.gateway(vpc) {
        None => draft.push(CreateInternetGateway { cluster: draft.cluster(), vpc: vpc.into() }),
        Some(gateway) if !is_attached(gateway, vpc) => draft.push(AttachInternetGateway {
            cluster: draft.cluster(),
            gateway: gateway.internet_gateway_id.clone(),
            vpc: vpc.into(),
        }),
        Some(gateway) => {
            let is_idle = |g: &&ec2::InternetGateway| {
                g.attachments.is_empty() && g.internet_gateway_id != gateway.internet_gateway_id
            };
            for idle in seen.gateways.iter().filter(is_idle) {
                let what = Doomed::InternetGateway(idle.internet_gateway_id.clone());
                draft.push(Delete { cluster: draft.cluster(), what });
            }
        }
    }
    subnets(draft, vpc);
    match seen.route_table(vpc) {
        None => draft.push(CreateRouteTable { cluster: draft.cluster(), vpc: vpc.into() }),
        Some(table) => routes(draft, vpc, table),
    }
}

fn subnets(draft: &mut Draft<'_>, vpc: &str) {
    let seen = draft.seen;
    let pair = seen.subnet_pair(vpc);
    // A spec that was let through has networks for the subnets; any other has no plan.
    let cidrs = draft.cluster.spec().subnet_cidrs().unwrap_or_default();
    for (number, cidr) in cidrs.into_iter().enumerate() {
        match pair[number] {
            Some(subnet) if subnet.map_public_ip_on_launch => {}
            Some(subnet) => draft.push(EnablePublicIps {
                cluster: draft.cluster(),
                subnet: subnet.subnet_id.clone(),
            }),
            None => {
                // The balancer wants two zones: not the one that the other subnet is in.
                let other = pair[1 - number].map(|s| s.availability_zone.as_str());
                let mut zones = seen.zones.iter().filter(|z| Some(z.as_str()) != other);
                let zone = if other.is_some() { zones.next() } else { zones.nth(number) };
                match zone {
                    Some(zone) => draft.push(CreateSubnet {
                        cluster: draft.cluster(),
                        vpc: vpc.into(),
                        number,
                        zone: zone.clone(),
                        cidr,
                    }),
                    None => draft.withhold(format!("subnet {cidr}"), "waits for a second zone"),
                }
            }
        }
    }
}

fn routes(draft: &mut Draft<'_>, vpc: &str, table: &ec2::RouteTable) {
    let seen = draft.seen;
    let is_default =
        |r: &ec2::Route| r.destination_cidr_block == "0.0.0.0/0" && r.state != "blackhole";
    if !table.routes.iter().any(is_default) {
        match seen.gateway(vpc).filter(|g| is_attached(g, vpc)) {
            Some(gateway) => draft.push(CreateRoute {
                cluster: draft.cluster(),
                table: table.route_table_id.clone(),
                gateway: gateway.internet_gateway_id.clone(),
            }),
            None => draft.withhold("default route", "waits for the internet gateway"),
        }
    }
    for subnet in seen.subnet_pair(vpc).into_iter().flatten() {
        if !table.associations.iter().any(|a| a.subnet_id == subnet.subnet_id) {
            draft.push(AssociateRouteTable {
                cluster: draft.cluster(),
                table: table.route_table_id.clone(),
                subnet: subnet.subnet_id.clone(),
            });
        }
    }
}

/// The security groups, and their rules once all groups are there to be named.
pub(super) fn groups(draft: &mut Draft<'_>, vpc: &str) {
    let seen = draft.seen;
    for group in Group::ALL {
        if seen.group(vpc, group).is_none() {
            let cluster = draft.cluster();
            draft.push(CreateSecurityGroup { cluster, vpc: vpc.into(), group });
        }
    }
    let Some(ids) = group_ids(seen, vpc) else {
        draft.withhold("security group rules", "wait for the security groups");
        return;
    };
    for group in Group::ALL {
        let Some(there) = seen.group(vpc, group) else { continue };
        let directions = [
            (Direction::Ingress, &there.ip_permissions),
            (Direction::Egress, &there.ip_permissions_egress),
        ];
        for (direction, has) in directions {
            let should = rules::wanted(group, direction, draft.cluster.spec(), ids);
            let gap = rules::gap(direction, has, &should);
            if gap.foreign > 0 {
                let what = format!("foreign {direction:?} rules of security group {group}");
                draft.saw(what.to_lowercase(), gap.foreign.to_string());
            }
            if !gap.is_closed() {
                draft.push(ConfigureRules {
                    cluster: draft.cluster(),
                    group,
                    group_id: there.group_id.clone(),
                    direction,
                    missing: gap.missing,
                    surplus: gap.surplus,
                });
            }
        }
    }
}

fn group_ids<'a>(seen: &'a Observed, vpc: &str) -> Option<GroupIds<'a>> {
    let id = |group| seen.group(vpc, group).map(|g| g.group_id.as_str());
    Some(GroupIds {
        balancer: id(Group::Balancer)?,
        node: id(Group::Node)?,
        addon: id(Group::Addon)?,
    })
}
