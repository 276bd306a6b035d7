//! The diff against worlds written down by hand, and against any part of a whole one.

use std::sync::LazyLock;

use fixpoint_aws::{
    Aws, AwsOptions, ec2,
    sandbox::{Sandbox, SandboxOptions},
};
use proptest::prelude::*;

use super::*;
use crate::{
    addons::Addon,
    names::{CLUSTER_TAG, Group, ORDINAL_TAG, Part, ROLE_TAG},
    observe::{Balancer, Identity, Listener, ListenerRule, Target, TargetGroup},
    rules::{self, Direction, GroupIds},
    spec::ClusterSpec,
};

/// No step is run here, so one way to AWS does for all.
static AWS: LazyLock<Aws> = LazyLock::new(|| {
    let connect = async {
        let sandbox = Sandbox::open(SandboxOptions::default()).unwrap();
        Aws::connect(AwsOptions { sandbox: Some(sandbox), ..AwsOptions::default() }).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(connect)
});

fn cluster(nodes: u32, addons: &[Addon]) -> Cluster {
    let spec =
        ClusterSpec { nodes, addons: addons.iter().copied().collect(), ..ClusterSpec::default() };
    Cluster::new(AWS.clone(), "idg", spec)
}

fn tags(part: Part) -> Vec<ec2::Tag> {
    vec![ec2::Tag::new(CLUSTER_TAG, "idg"), ec2::Tag::new(ROLE_TAG, part.to_string())]
}

fn instance(id: &str, part: Part, state: &str) -> ec2::Instance {
    ec2::Instance {
        instance_id: id.into(),
        state: ec2::InstanceState { name: state.into() },
        launch_time: format!("2026-01-01T00:00:00Z {id}"),
        private_ip_address: Some("10.40.0.4".into()),
        tags: tags(part),
        ..Default::default()
    }
}

fn node(n: u32) -> ec2::Instance {
    let mut node = instance(&format!("i-node-{n}"), Part::Node, "running");
    node.tags.push(ec2::Tag::new(ORDINAL_TAG, n.to_string()));
    node
}

fn target(id: impl Into<String>, state: &str) -> Target {
    Target { instance_id: id.into(), state: state.into(), reason: String::new() }
}

/// The world in which nothing is left to do for `cluster`.
fn whole(cluster: &Cluster) -> Observed {
    let spec = cluster.spec();
    let ids = GroupIds { balancer: "sg-lb", node: "sg-node", addon: "sg-addon" };
    let group = |group, id: &str| {
        let permissions = |direction| {
            let rules = rules::wanted(group, direction, spec, ids);
            rules.iter().map(rules::Rule::permission).collect()
        };
        ec2::SecurityGroup {
            group_id: id.into(),
            vpc_id: "vpc-1".into(),
            ip_permissions: permissions(Direction::Ingress),
            ip_permissions_egress: permissions(Direction::Egress),
            tags: tags(Part::Group(group)),
            ..Default::default()
        }
    };
    let subnet = |n: usize| ec2::Subnet {
        subnet_id: format!("subnet-{n}"),
        vpc_id: "vpc-1".into(),
        availability_zone: format!("eu-west-1{}", ["a", "b"][n]),
        map_public_ip_on_launch: true,
        tags: tags(Part::Subnet(n)),
        ..Default::default()
    };
    let association = |n: usize| ec2::RouteTableAssociation {
        route_table_association_id: format!("rtbassoc-{n}"),
        subnet_id: format!("subnet-{n}"),
        ..Default::default()
    };
    let addon_group = |addon: Addon| TargetGroup {
        arn: format!("tg-{addon}"),
        name: cluster.names().addon_targets(addon),
        targets: vec![target(format!("i-{addon}"), "healthy")],
    };
    let nodes = TargetGroup {
        arn: "tg-nodes".into(),
        name: cluster.names().node_targets(),
        targets: (0..spec.nodes).map(|n| target(format!("i-node-{n}"), "healthy")).collect(),
    };
    let addon_instance = |a: &Addon| instance(&format!("i-{a}"), Part::Addon(*a), "running");
    let rule =
        |a: &Addon| ListenerRule { arn: format!("rule-{a}"), target_group: format!("tg-{a}") };
    Observed {
        zones: vec!["eu-west-1a".into(), "eu-west-1b".into()],
        vpcs: vec![ec2::Vpc {
            vpc_id: "vpc-1".into(),
            state: "available".into(),
            ..Default::default()
        }],
        dns_support: true,
        dns_hostnames: true,
        subnets: vec![subnet(0), subnet(1)],
        gateways: vec![ec2::InternetGateway {
            internet_gateway_id: "igw-1".into(),
            attachments: vec![ec2::InternetGatewayAttachment {
                vpc_id: "vpc-1".into(),
                state: "available".into(),
            }],
            tags: tags(Part::InternetGateway),
        }],
        route_tables: vec![ec2::RouteTable {
            route_table_id: "rtb-1".into(),
            vpc_id: "vpc-1".into(),
            routes: vec![ec2::Route {
                destination_cidr_block: "0.0.0.0/0".into(),
                gateway_id: "igw-1".into(),
                state: "active".into(),
                ..Default::default()
            }],
            associations: vec![association(0), association(1)],
            tags: tags(Part::RouteTable),
        }],
        groups: vec![
            group(Group::Balancer, ids.balancer),
            group(Group::Node, ids.node),
            group(Group::Addon, ids.addon),
        ],
        key_pairs: vec![cluster.names().key_pair()],
        identity: Identity {
            role: true,
            policies: vec!["policy".into()],
            profile: true,
            attached: true,
        },
        instances: (0..spec.nodes)
            .map(node)
            .chain(spec.addons.iter().map(addon_instance))
            .collect(),
        balancer: Some(Balancer {
            arn: "lb".into(),
            dns_name: "idg.elb.example".into(),
            state: "active".into(),
        }),
        listener: Some(Listener {
            arn: "listener".into(),
            rules: spec.addons.iter().map(rule).collect(),
        }),
        target_groups: [nodes]
            .into_iter()
            .chain(spec.addons.iter().copied().map(addon_group))
            .collect(),
        leftovers: Vec::new(),
    }
}

fn single(steps: &Steps) -> &str {
    assert_eq!(steps.len(), 1, "{steps:?}");
    steps.steps()[0].name()
}

#[test]
fn nothing_is_due_in_the_whole_world() {
    for addons in [&[][..], &[Addon::Kapacitor], &Addon::ALL] {
        let cluster = cluster(3, addons);
        let steps = converge(&cluster, &whole(&cluster));
        assert!(steps.is_empty(), "{steps:?}");
        assert_eq!(steps.withheld(), []);
    }
}

#[test]
fn in_an_empty_world_what_needs_nothing_comes_first() {
    let steps = converge(&cluster(3, &[]), &Observed::default());
    assert_eq!(
        steps.steps()[0].key(),
        "Together(together [CreateKeyPair { cluster: idg }, \
         CreateInstanceProfile { cluster: idg }, CreateVpc { cluster: idg }])"
    );
}

#[test]
fn in_an_empty_world_termination_has_nothing_to_do() {
    assert!(terminate(&cluster(3, &[]), &Observed::default()).is_empty());
}

/// A change to the whole world, and the one step that then is due.
type Case = (fn(&mut Observed), &'static str);

#[test]
fn each_thing_that_is_missing_has_its_step() {
    let cases: &[Case] = &[
        (|w| w.key_pairs.clear(), "create_key_pair"),
        (|w| w.identity.attached = false, "create_instance_profile"),
        (|w| w.vpcs[0].state = "pending".into(), "wait_for_vpc"),
        (|w| w.dns_hostnames = false, "enable_dns"),
        (|w| w.subnets.truncate(1), "create_subnet"),
        (|w| w.subnets[0].map_public_ip_on_launch = false, "enable_public_ips"),
        (|w| w.gateways[0].attachments.clear(), "attach_internet_gateway"),
        (|w| w.route_tables.clear(), "create_route_table"),
        (|w| w.route_tables[0].routes.clear(), "create_route"),
        (|w| drop(w.route_tables[0].associations.pop()), "associate_route_table"),
        (|w| drop(w.groups.pop()), "create_security_group"),
        (|w| w.groups[1].ip_permissions.clear(), "configure_ingress"),
        (|w| w.groups[1].ip_permissions_egress.clear(), "configure_egress"),
        (|w| w.instances[2].state.name = "pending".into(), "wait_for_instances"),
        (|w| drop(w.listener.take()), "create_listener"),
        (|w| drop(w.target_groups[0].targets.pop()), "register_cluster_node_to_lb"),
        (|w| w.target_groups[0].targets[1].state = "initial".into(), "wait_for_healthy_nodes"),
        (|w| w.balancer.as_mut().unwrap().state = "provisioning".into(), "wait_for_load_balancer"),
        (|w| w.instances[1].tags.truncate(2), ""),
    ];
    let cluster = cluster(3, &[]);
    for (change, name) in cases {
        let mut world = whole(&cluster);
        change(&mut world);
        let steps = converge(&cluster, &world);
        match *name {
            "" => assert!(steps.is_empty(), "{steps:?}"),
            name => assert_eq!(single(&steps), name),
        }
    }
}

#[test]
fn a_plan_without_effect_says_what_it_keeps_seeing() {
    let cluster = cluster(3, &[]);
    let mut world = whole(&cluster);
    world.target_groups[0].targets.clear();
    let steps = converge(&cluster, &world);
    assert_eq!(single(&steps), "register_cluster_node_to_lb");
    let seen: Vec<_> = steps.seen().iter().map(ToString::to_string).collect();
    assert!(seen.contains(&"registered nodes: 0 of 3".to_owned()), "{seen:?}");
}

#[test]
fn a_shrinking_cluster_loses_its_newest_nodes_but_not_before_they_are_drained() {
    let (big, small) = (cluster(3, &[]), cluster(1, &[]));
    let mut world = whole(&big);
    let steps = converge(&small, &world);
    assert_eq!(single(&steps), "deregister_cluster_node_from_lb");
    assert!(steps.steps()[0].key().contains(r#"["i-node-1", "i-node-2"]"#), "{steps:?}");
    assert_eq!(steps.withheld().len(), 1);

    for target in &mut world.target_groups[0].targets[1..] {
        target.state = "draining".into();
    }
    assert_eq!(single(&converge(&small, &world)), "wait_for_draining");

    world.target_groups[0].targets.truncate(1);
    let steps = converge(&small, &world);
    assert_eq!(single(&steps), "terminate_instances");
    assert!(steps.steps()[0].key().contains(r#"["i-node-1", "i-node-2"]"#));

    world.instances[1].state.name = "terminated".into();
    world.instances[2].state.name = "shutting-down".into();
    assert_eq!(single(&converge(&small, &world)), "wait_for_termination");
}

#[test]
fn a_dead_node_is_replaced_under_another_token_and_its_target_removed() {
    let cluster = cluster(3, &[]);
    let mut world = whole(&cluster);
    world.instances[1].state.name = "terminated".into();
    let steps = converge(&cluster, &world);
    let key = steps.steps()[0].key();
    assert!(key.contains("CreateInstances") && key.contains(r#"before: ["i-node-1"]"#), "{key}");
    assert!(key.contains("DeregisterClusterNodeFromLb"), "{key}");
}

#[test]
fn an_addon_waits_for_a_healthy_node() {
    let (plain, wanted) = (cluster(3, &[]), cluster(3, &[Addon::Grafana]));
    let mut world = whole(&wanted);
    world.instances.truncate(3);
    world.target_groups.truncate(1);
    world.listener = whole(&plain).listener;
    for target in &mut world.target_groups[0].targets {
        target.state = "initial".into();
    }
    let steps = converge(&wanted, &world);
    assert_eq!(single(&steps), "wait_for_healthy_nodes");
    assert_eq!(
        steps.withheld().iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["add-on grafana: waits for a healthy data node"]
    );
    world.target_groups[0].targets[2].state = "healthy".into();
    let key = converge(&wanted, &world).steps()[0].key();
    assert!(key.contains("CreateAddonInstance") && key.contains("CreateTargetGroup"), "{key}");
}

#[test]
fn an_addon_that_is_made_stays_while_no_node_is_healthy() {
    let cluster = cluster(1, &[Addon::Grafana]);
    let mut world = whole(&cluster);
    world.target_groups[0].targets[0].state = "unhealthy".into();
    let steps = converge(&cluster, &world);
    assert_eq!(single(&steps), "wait_for_healthy_nodes");
    assert_eq!(steps.withheld(), []);
}

#[test]
fn an_addon_goes_rule_first() {
    let (with, without) = (cluster(1, &[Addon::Grafana]), cluster(1, &[]));
    let mut world = whole(&with);
    // The rules of the groups change with the add-ons too; that is another test's.
    world.groups = whole(&without).groups;
    assert_eq!(single(&converge(&without, &world)), "delete_addon_rule");
    world.listener.as_mut().unwrap().rules.clear();
    let key = converge(&without, &world).steps()[0].key();
    assert!(key.contains("TargetGroup(\"tg-grafana\")") && key.contains("TerminateInstances"));
}

#[test]
fn the_other_subnet_goes_to_the_other_zone() {
    let cluster = cluster(3, &[]);
    let mut world = whole(&cluster);
    world.subnets.remove(0);
    world.subnets[0].availability_zone = "eu-west-1a".into();
    let steps = converge(&cluster, &world);
    let key = steps.steps()[0].key();
    assert!(key.contains(r#"zone: "eu-west-1b", cidr: "10.40.0.0/20""#), "{key}");
}

#[test]
fn termination_takes_the_network_apart_only_when_nothing_uses_it() {
    let cluster = cluster(2, &[Addon::Grafana]);
    let mut world = whole(&cluster);
    let key = terminate(&cluster, &world).steps()[0].key();
    assert!(key.contains("TerminateInstances") && key.contains("Listener"), "{key}");
    assert!(!key.contains("Subnet") && !key.contains("Vpc(") && !key.contains("LoadBalancer("));

    world.listener = None;
    world.instances.clear();
    let key = terminate(&cluster, &world).steps()[0].key();
    assert!(key.contains("LoadBalancer(") && key.contains("TargetGroup("), "{key}");
    assert!(!key.contains("SecurityGroup("), "{key}");

    world.balancer = None;
    world.target_groups.clear();
    world.leftovers = vec!["eni-1".into()];
    let key = terminate(&cluster, &world).steps()[0].key();
    assert!(key.contains("wait_for_leftovers") && !key.contains("Subnet("), "{key}");

    world.leftovers.clear();
    let key = terminate(&cluster, &world).steps()[0].key();
    assert!(key.contains("RevokeReferences") && key.contains("Subnet("), "{key}");
    assert!(!key.contains("SecurityGroup(") && !key.contains("Vpc("), "{key}");
}

/// Takes away any of the things of a whole world.
fn part_of(cluster: &Cluster, mask: &[bool]) -> Observed {
    let mut world = whole(cluster);
    let mut mask = mask.iter().copied().cycle();
    let mut keep = move || mask.next().unwrap_or(true);
    world.vpcs.retain(|_| keep());
    world.dns_support = keep();
    world.dns_hostnames = keep();
    world.subnets.retain(|_| keep());
    world.gateways.retain(|_| keep());
    world.route_tables.retain(|_| keep());
    world.groups.retain(|_| keep());
    world.key_pairs.retain(|_| keep());
    world.identity.role = keep();
    world.identity.profile = keep();
    world.identity.attached = keep() && world.identity.profile;
    world.instances.retain(|_| keep());
    world.balancer = world.balancer.filter(|_| keep());
    world.listener = world.listener.filter(|_| keep() && world.balancer.is_some());
    world.target_groups.retain(|_| keep());
    for group in &mut world.target_groups {
        group.targets.retain(|_| keep());
    }
    world
}

proptest! {
    /// A world that lacks something is never taken for solved, and the one that lacks nothing is.
    #[test]
    fn a_part_of_the_world_is_solved_only_if_it_is_the_whole(
        mask in prop::collection::vec(any::<bool>(), 48), nodes in 1_u32..4,
    ) {
        let cluster = cluster(nodes, &[Addon::Grafana]);
        let world = part_of(&cluster, &mask);
        let steps = converge(&cluster, &world);
        prop_assert_eq!(steps.is_empty(), world == whole(&cluster), "{:?}", steps);
    }

    /// Termination always has something to do until nothing is left, and takes nothing away that
    /// something else still needs.
    #[test]
    fn termination_never_stands_still_and_never_cuts_off_a_branch_it_sits_on(
        mask in prop::collection::vec(any::<bool>(), 48),
    ) {
        let cluster = cluster(2, &[Addon::Grafana]);
        let world = part_of(&cluster, &mask);
        let steps = terminate(&cluster, &world);
        let nothing = Observed {
            zones: world.zones.clone(),
            dns_support: world.dns_support,
            dns_hostnames: world.dns_hostnames,
            ..Observed::default()
        };
        let is_gone = Observed { identity: Identity::default(), ..world.clone() } == nothing
            && world.identity.is_gone();
        prop_assert_eq!(steps.is_empty(), is_gone, "{:?}", steps);
        let key = format!("{steps:?}");
        if !world.instances.is_empty() || world.balancer.is_some() {
            prop_assert!(!key.contains("SecurityGroup(") && !key.contains("what: Subnet("));
        }
        if world.listener.is_some() {
            prop_assert!(!key.contains("LoadBalancer(") && !key.contains("TargetGroup("));
        }
        if !world.subnets.is_empty() || !world.groups.is_empty() || !world.gateways.is_empty() {
            prop_assert!(!key.contains("what: Vpc("));
        }
    }

    /// However instances are numbered, every wanted number goes to one instance at most, and no
    /// instance is both kept and ended.
    #[test]
    fn every_instance_is_either_a_node_or_surplus(
        ordinals in prop::collection::vec(prop::option::of(0_u32..6), 0..8), wanted in 1_u32..6,
    ) {
        let instances = ordinals.iter().enumerate().map(|(i, ordinal)| {
            let mut it = instance(&format!("i-{i}"), Part::Node, "running");
            it.tags.extend(ordinal.map(|n| ec2::Tag::new(ORDINAL_TAG, n.to_string())));
            it
        });
        let world = Observed { instances: instances.collect(), ..Observed::default() };
        let nodes = Nodes::assign(&world, wanted);
        prop_assert!(nodes.keep.keys().all(|n| *n < wanted));
        prop_assert_eq!(nodes.keep.len() + nodes.surplus.len(), ordinals.len());
        prop_assert!(nodes.surplus.iter().all(|s| nodes.keep.values().all(|k| k != s)));
    }
}
