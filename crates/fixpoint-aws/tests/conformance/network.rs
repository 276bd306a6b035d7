//! Preflight, network and security groups.

use fixpoint_aws::Aws;
use fixpoint_aws::ec2::*;

use super::Made;
use super::journal::Journal;

/// The tags of what the flow makes.
pub(crate) fn tags(made: &Made, role: &str) -> Vec<Tag> {
    vec![
        Tag::new("fixpoint:cluster", &made.name),
        Tag::new("fixpoint:role", role),
        Tag::new("Name", format!("{}-{role}", made.name)),
    ]
}

pub(crate) fn tagged(made: &Made, kind: &str, role: &str) -> Vec<TagSpecification> {
    vec![TagSpecification::new(kind, tags(made, role))]
}

/// Finds what the flow made.
pub(crate) fn ours(made: &Made) -> Vec<Filter> {
    vec![Filter::tag("fixpoint:cluster", &made.name)]
}

pub(crate) async fn preflight(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let who = j.need("sts.identity", aws.sts.get_caller_identity().send().await);
    j.is("sts.identity.account", 12, who.account().unwrap_or_default().len());

    let zones = DescribeAvailabilityZones { filters: vec![Filter::new("state", ["available"])] };
    let zones = j.need("zones", aws.ec2.send(zones).await).availability_zones;
    j.is("zones.two", true, zones.len() >= 2);
    j.is("zones.named", true, zones.iter().all(|z| z.zone_name.starts_with("eu-west-1")));

    let offerings = DescribeInstanceTypeOfferings {
        location_type: Some("availability-zone".into()),
        filters: vec![Filter::new("instance-type", ["t3.small"])],
        ..Default::default()
    };
    let offerings = j.need("offerings", aws.ec2.all(offerings).await);
    j.is("offerings.two_zones", true, offerings.len() >= 2);

    let images = DescribeImages {
        owners: vec!["amazon".into()],
        filters: vec![
            Filter::new("name", ["al2023-ami-2023*", "amzn2-ami-hvm-2*"]),
            Filter::new("architecture", ["x86_64"]),
            Filter::new("state", ["available"]),
        ],
        ..Default::default()
    };
    let images = j.need("images", aws.ec2.all(images).await);
    let image = images.iter().max_by(|a, b| a.creation_date.cmp(&b.creation_date));
    let image = image.expect("an image of Amazon's").clone();
    j.is("images.architecture", "x86_64", &image.architecture);
    j.is("images.root_device", "/dev/xvda", &image.root_device_name);
    (made.image, made.root_device) = (image.image_id, image.root_device_name);

    let known = DescribeVpcs { filters: ours(made), ..Default::default() };
    j.is("vpcs.none_yet", 0, j_len(aws.ec2.all(known).await));
}

/// How many, or `-1` if the call failed.
pub(crate) fn j_len<T>(result: Result<Vec<T>, fixpoint_aws::Error>) -> i64 {
    result.map_or(-1, |items| i64::try_from(items.len()).unwrap_or(i64::MAX))
}

pub(crate) async fn create(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let create = |cidr: &str| CreateVpc {
        cidr_block: cidr.into(),
        tag_specifications: tagged(made, "vpc", "network"),
    };
    j.refused("vpc.create.too_large", "InvalidVpc.Range", aws.ec2.send(create("10.0.0.0/8")).await);
    j.ok("vpc.create.dry_run", aws.ec2.dry_run(&create("10.40.0.0/16")).await);
    let vpcs = || DescribeVpcs { filters: ours(made), ..Default::default() };
    j.is("vpc.create.dry_run_makes_nothing", 0, j_len(aws.ec2.all(vpcs()).await));
    // A backend that ignores DryRun has made one: out of the way with it.
    for vpc in aws.ec2.all(vpcs()).await.unwrap_or_default() {
        let _ = aws.ec2.send(DeleteVpc { vpc_id: vpc.vpc_id }).await;
    }
    let vpc = j.need("vpc.create", aws.ec2.send(create("10.40.0.0/16")).await).vpc;
    j.is("vpc.create.state", "pending", &vpc.state);
    j.is("vpc.create.tags", 3, vpc.tags.len());
    j.becomes("vpc.available", "available", || async {
        let seen = aws.ec2.all(vpcs()).await.unwrap_or_default();
        seen.first().map_or_else(String::new, |vpc| vpc.state.clone())
    })
    .await;
    made.vpc = vpc.vpc_id;
    let vpc_id = made.vpc.clone();
    let unknown =
        DescribeVpcs { vpc_ids: vec!["vpc-00000000000000000".into()], ..Default::default() };
    j.refused("vpc.unknown", "InvalidVpcID.NotFound", aws.ec2.send(unknown).await);
    let no_such_filter =
        DescribeVpcs { filters: vec![Filter::new("no-such-filter", ["1"])], ..Default::default() };
    j.refused("vpc.unknown_filter", "InvalidParameterValue", aws.ec2.send(no_such_filter).await);

    let support = ModifyVpcAttribute {
        vpc_id: vpc_id.clone(),
        enable_dns_support: Some(true),
        ..Default::default()
    };
    j.ok("vpc.dns_support", aws.ec2.send(support).await);
    let names = ModifyVpcAttribute {
        vpc_id: vpc_id.clone(),
        enable_dns_hostnames: Some(true),
        ..Default::default()
    };
    j.ok("vpc.dns_hostnames", aws.ec2.send(names).await);
    let read =
        DescribeVpcAttribute { vpc_id: vpc_id.clone(), attribute: "enableDnsHostnames".into() };
    let read = j.ok("vpc.attribute", aws.ec2.send(read).await).unwrap_or_default();
    j.is("vpc.attribute.read_back", "Some(true)", format!("{:?}", read.enable_dns_hostnames));

    let gateway =
        CreateInternetGateway { tag_specifications: tagged(made, "internet-gateway", "gateway") };
    let gateway = j.need("gateway.create", aws.ec2.send(gateway).await).internet_gateway;
    made.gateway = gateway.internet_gateway_id;
    let attach = || AttachInternetGateway {
        internet_gateway_id: made.gateway.clone(),
        vpc_id: vpc_id.clone(),
    };
    j.soon("gateway.attach", || aws.ec2.send(attach())).await;
    j.refused("gateway.attach.again", "Resource.AlreadyAssociated", aws.ec2.send(attach()).await);
    j.becomes("gateway.attached", "available", || async {
        let gateways = DescribeInternetGateways { filters: ours(made), ..Default::default() };
        let seen = aws.ec2.all(gateways).await.unwrap_or_default();
        let attachment = seen.first().and_then(|gateway| gateway.attachments.first());
        attachment.map_or_else(String::new, |a| a.state.clone())
    })
    .await;

    let subnet = |made: &Made, cidr: &str, zone: &str| CreateSubnet {
        vpc_id: made.vpc.clone(),
        cidr_block: cidr.into(),
        availability_zone: Some(zone.into()),
        tag_specifications: tagged(made, "subnet", &format!("subnet-{zone}")),
    };
    let first = aws.ec2.send(subnet(made, "10.40.1.0/24", "eu-west-1a")).await;
    let first = j.need("subnet.create.a", first).subnet;
    j.is("subnet.create.free", 251, first.available_ip_address_count);
    made.subnets.push(first.subnet_id);
    let second = aws.ec2.send(subnet(made, "10.40.2.0/24", "eu-west-1b")).await;
    made.subnets.push(j.need("subnet.create.b", second).subnet.subnet_id);
    let overlap = aws.ec2.send(subnet(made, "10.40.2.0/25", "eu-west-1b")).await;
    j.refused("subnet.create.overlap", "InvalidSubnet.Conflict", overlap);
    let outside = aws.ec2.send(subnet(made, "10.50.0.0/24", "eu-west-1b")).await;
    j.refused("subnet.create.outside", "InvalidSubnet.Range", outside);
    j.becomes("subnets.available", "available available", || async {
        let subnets = DescribeSubnets { filters: ours(made), ..Default::default() };
        let seen = aws.ec2.all(subnets).await.unwrap_or_default();
        seen.into_iter().map(|subnet| subnet.state).collect::<Vec<_>>().join(" ")
    })
    .await;
    let public = |subnet: &str| ModifySubnetAttribute {
        subnet_id: subnet.into(),
        map_public_ip_on_launch: Some(true),
    };
    j.ok("subnet.public.a", aws.ec2.send(public(&made.subnets[0])).await);
    j.ok("subnet.public.b", aws.ec2.send(public(&made.subnets[1])).await);
    let read = DescribeSubnets { subnet_ids: made.subnets.clone(), ..Default::default() };
    let read = j.ok("subnets.by_id", aws.ec2.send(read).await).unwrap_or_default().subnets;
    j.is("subnets.public", true, read.iter().all(|subnet| subnet.map_public_ip_on_launch));

    routes(aws, j, made).await;
}

async fn routes(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let table = || CreateRouteTable {
        vpc_id: made.vpc.clone(),
        client_token: Some(format!("{}-routes", made.name)),
        tag_specifications: tagged(made, "route-table", "routes"),
    };
    let first = j.need("routes.create", aws.ec2.send(table()).await).route_table;
    let again = j.need("routes.create.same_token", aws.ec2.send(table()).await).route_table;
    let same = first.route_table_id == again.route_table_id;
    j.is("routes.create.same_token.same_table", true, same);
    if !same {
        let _ = aws.ec2.send(DeleteRouteTable { route_table_id: again.route_table_id }).await;
    }
    made.route_table = first.route_table_id;
    let route = || CreateRoute {
        route_table_id: made.route_table.clone(),
        destination_cidr_block: "0.0.0.0/0".into(),
        gateway_id: Some(made.gateway.clone()),
    };
    j.soon("route.create", || aws.ec2.send(route())).await;
    j.refused("route.create.again", "RouteAlreadyExists", aws.ec2.send(route()).await);
    let associate = |subnet: &str| AssociateRouteTable {
        route_table_id: made.route_table.clone(),
        subnet_id: subnet.into(),
    };
    let a = aws.ec2.send(associate(&made.subnets[0])).await;
    let a = j.need("routes.associate.a", a).association_id;
    let b = aws.ec2.send(associate(&made.subnets[1])).await;
    let b = j.need("routes.associate.b", b).association_id;
    made.associations = vec![a, b];
    j.becomes("routes.described", "0.0.0.0/0 active, 2 associations", || async {
        let tables = DescribeRouteTables {
            route_table_ids: vec![made.route_table.clone()],
            ..Default::default()
        };
        let seen = aws.ec2.all(tables).await.unwrap_or_default();
        let Some(table) = seen.first() else { return String::new() };
        let route = table.routes.iter().find(|r| r.gateway_id.starts_with("igw-"));
        let route =
            route.map_or_else(String::new, |r| format!("{} {}", r.destination_cidr_block, r.state));
        format!("{route}, {} associations", table.associations.len())
    })
    .await;
}

pub(crate) async fn groups(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let group = |role: &str| CreateSecurityGroup {
        group_name: format!("{}-{role}", made.name),
        description: format!("{role} of {}", made.name),
        vpc_id: made.vpc.clone(),
        tag_specifications: tagged(made, "security-group", role),
    };
    let lb = j.need("group.create.lb", aws.ec2.send(group("lb")).await).group_id;
    let node = j.need("group.create.node", aws.ec2.send(group("node")).await).group_id;
    j.refused("group.create.again", "InvalidGroup.Duplicate", aws.ec2.send(group("node")).await);
    (made.lb_group, made.node_group) = (lb.clone(), node.clone());

    let ingress = |group: &str, permissions: Vec<IpPermission>| AuthorizeSecurityGroupIngress {
        group_id: group.into(),
        ip_permissions: permissions,
        ..Default::default()
    };
    let web = || {
        let open = |port| IpPermission::tcp(port).with_cidr("0.0.0.0/0");
        ingress(&lb, vec![open(80), open(443)])
    };
    let rules = j.soon("ingress.lb", || aws.ec2.send(web())).await.unwrap_or_default().rules;
    j.is("ingress.lb.rules", 2, rules.len());
    j.refused("ingress.lb.again", "InvalidPermission.Duplicate", aws.ec2.send(web()).await);
    let from_lb = || ingress(&node, vec![IpPermission::tcp(8086).with_group(&lb)]);
    j.soon("ingress.node.from_lb", || aws.ec2.send(from_lb())).await;
    let from_itself = ingress(&node, vec![IpPermission::all().with_group(&node)]);
    j.ok("ingress.node.from_itself", aws.ec2.send(from_itself).await);
    let to_node = AuthorizeSecurityGroupEgress {
        group_id: lb.clone(),
        ip_permissions: vec![IpPermission::tcp(8086).with_group(&node)],
        ..Default::default()
    };
    j.ok("egress.lb.to_node", aws.ec2.send(to_node).await);
    let revoke = || RevokeSecurityGroupEgress {
        group_id: lb.clone(),
        ip_permissions: vec![IpPermission::all().with_cidr("0.0.0.0/0")],
        ..Default::default()
    };
    j.ok("egress.lb.revoke_all", aws.ec2.send(revoke()).await);
    let again = aws.ec2.send(revoke()).await;
    j.refused("egress.lb.revoke_again", "InvalidPermission.NotFound", again);

    j.becomes("groups.described", "lb: 2 in, 1 out; node: 2 in, 1 out", || async {
        let groups = DescribeSecurityGroups { filters: ours(made), ..Default::default() };
        let mut seen = aws.ec2.all(groups).await.unwrap_or_default();
        seen.sort_by(|a, b| a.group_name.cmp(&b.group_name));
        let of = |group: &SecurityGroup| {
            let role = group.group_name.rsplit('-').next().unwrap_or_default().to_owned();
            let pairs = |p: &IpPermission| p.ip_ranges.len() + p.groups.len();
            let ingress: usize = group.ip_permissions.iter().map(pairs).sum();
            let egress: usize = group.ip_permissions_egress.iter().map(pairs).sum();
            format!("{role}: {ingress} in, {egress} out")
        };
        seen.iter().map(of).collect::<Vec<_>>().join("; ")
    })
    .await;
    let rules = DescribeSecurityGroupRules {
        filters: vec![Filter::new("group-id", [&lb])],
        ..Default::default()
    };
    let rules = j.ok("rules", aws.ec2.all(rules).await).unwrap_or_default();
    let egress = rules.iter().find(|rule| rule.is_egress).cloned().unwrap_or_default();
    let other = egress.referenced_group_info.unwrap_or_default().group_id;
    j.is("rules.lb.egress_to_node", true, other == node);
    j.is("rules.lb.egress_port", "Some(8086)", format!("{:?}", egress.from_port));
    j.is("rules.lb.count", 3, rules.len());
}
