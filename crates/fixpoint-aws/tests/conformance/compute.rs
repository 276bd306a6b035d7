//! Identity and instances.

use fixpoint_aws::Aws;
use fixpoint_aws::ec2::*;

use super::Made;
use super::journal::Journal;
use super::network::{j_len, ours, tagged, tags};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeTags","Resource":"*"}]}"#;
const SCRIPT: &str = "#!/bin/sh\necho influxdb > /etc/role\n";

pub(crate) async fn identity(aws: &Aws, j: &mut Journal, made: &Made) {
    let name = &made.name;
    let key = || CreateKeyPair {
        key_name: name.clone(),
        key_type: Some("ed25519".into()),
        tag_specifications: tagged(made, "key-pair", "key"),
    };
    let pair = j.need("key.create", aws.ec2.send(key()).await);
    j.is("key.create.private_key", true, pair.key_material.reveal().starts_with("-----BEGIN"));
    j.refused("key.create.again", "InvalidKeyPair.Duplicate", aws.ec2.send(key()).await);
    let keys = DescribeKeyPairs { filters: ours(made), ..Default::default() };
    let keys = j.ok("keys.described", aws.ec2.send(keys).await).unwrap_or_default().key_pairs;
    j.is("keys.described.type", "ed25519", keys.first().map_or("none", |key| &key.key_type));
    let import = ImportKeyPair {
        key_name: format!("{name}-imported"),
        public_key_material: "ssh-ed25519 \
            AAAAC3NzaC1lZDI1NTE5AAAAILAKfS8bYSHqnFMfz5zNVHF0lxkZ6Vr0qTFEo8kSKn3k conformance"
            .into(),
        tag_specifications: tagged(made, "key-pair", "imported"),
    };
    j.ok("key.import", aws.ec2.send(import).await);

    let role = || aws.iam.create_role().role_name(name).assume_role_policy_document(TRUST).send();
    let role_made = j.need("role.create", role().await);
    let arn = role_made.role().map_or("", |role| role.arn());
    j.is("role.create.arn", true, arn.ends_with(&format!(":role/{name}")));
    j.refused("role.create.again", "EntityAlreadyExists", role().await);
    let policy = aws.iam.put_role_policy().role_name(name).policy_name("node");
    j.ok("role.policy", policy.policy_document(POLICY).send().await);
    let profile = || aws.iam.create_instance_profile().instance_profile_name(name).send();
    j.need("profile.create", profile().await);
    j.refused("profile.create.again", "EntityAlreadyExists", profile().await);
    let add = aws.iam.add_role_to_instance_profile().instance_profile_name(name);
    j.ok("profile.add_role", add.role_name(name).send().await);
    let get = aws.iam.get_instance_profile().instance_profile_name(name).send().await;
    let roles = j.ok("profile.get", get).and_then(|got| got.instance_profile);
    j.is("profile.get.roles", 1, roles.map_or(0, |profile| profile.roles().len()));
    let unknown = aws.iam.get_instance_profile().instance_profile_name("no-such-profile");
    j.refused("profile.unknown", "NoSuchEntity", unknown.send().await);
}

fn run(made: &Made) -> RunInstances {
    RunInstances {
        image_id: made.image.clone(),
        instance_type: "t3.small".into(),
        min_count: 3,
        max_count: 3,
        client_token: Some(format!("{}-nodes-1", made.name)),
        subnet_id: Some(made.subnets[0].clone()),
        security_group_ids: vec![made.node_group.clone()],
        key_name: Some(made.name.clone()),
        iam_instance_profile: Some(InstanceProfile { name: Some(made.name.clone()), arn: None }),
        user_data: Some(SCRIPT.into()),
        metadata_options: Some(MetadataOptions {
            http_tokens: Some("required".into()),
            ..Default::default()
        }),
        block_device_mappings: vec![BlockDeviceMapping {
            device_name: made.root_device.clone(),
            ebs: EbsBlockDevice {
                volume_size: Some(20),
                volume_type: Some("gp3".into()),
                encrypted: Some(true),
                delete_on_termination: Some(true),
            },
        }],
        tag_specifications: ["instance", "volume"]
            .map(|kind| TagSpecification::new(kind, tags(made, "node")))
            .into(),
        ..Default::default()
    }
}

pub(crate) async fn create(aws: &Aws, j: &mut Journal, made: &mut Made) {
    let bad = |change: fn(&mut RunInstances)| {
        let mut request = run(made);
        request.client_token = None;
        change(&mut request);
        aws.ec2.send(request)
    };
    let image = bad(|r| r.image_id = "ami-00000000000000000".into()).await;
    j.refused("run.unknown_image", "InvalidAMIID.NotFound", image);
    let key = bad(|r| r.key_name = Some("no-such-key".into())).await;
    j.refused("run.unknown_key", "InvalidKeyPair.NotFound", key);
    let subnet = bad(|r| r.subnet_id = Some("subnet-00000000000000000".into())).await;
    j.refused("run.unknown_subnet", "InvalidSubnetID.NotFound", subnet);
    let group = bad(|r| r.security_group_ids = vec!["sg-00000000000000000".into()]).await;
    j.refused("run.unknown_group", "InvalidGroup.NotFound", group);
    let profile = bad(|r| {
        r.iam_instance_profile =
            Some(InstanceProfile { name: Some("no-such-profile".into()), arn: None });
    });
    j.refused("run.unknown_profile", "InvalidParameterValue", profile.await);

    // The profile is too new for some seconds; the dry run says so as the run would.
    j.soon("run.dry_run", || async { aws.ec2.dry_run(&run(made)).await }).await;
    let started = j.soon("run", || aws.ec2.send(run(made))).await.expect("instances");
    j.is("run.count", 3, started.instances.len());
    let pending = started.instances.iter().all(|instance| instance.state.name == "pending");
    j.is("run.pending", true, pending);
    made.instances = started.instances.into_iter().map(|i| i.instance_id).collect();
    let again = aws.ec2.send(run(made)).await;
    let again = j.ok("run.same_token", again).unwrap_or_default().instances;
    let again: Vec<_> = again.into_iter().map(|i| i.instance_id).collect();
    let same = again.iter().all(|id| made.instances.contains(id));
    j.is("run.same_token.same_instances", true, same);
    let mut other = run(made);
    other.instance_type = "t3.medium".into();
    let other = aws.ec2.send(other).await;
    let extra = other.as_ref().map(|r| r.instances.clone()).unwrap_or_default();
    j.refused("run.same_token.other_type", "IdempotentParameterMismatch", other);
    // A backend that ignores the token has started more: out of the way with them.
    let extra: Vec<_> = extra.into_iter().map(|i| i.instance_id).chain(again).collect();
    let extra: Vec<_> = extra.into_iter().filter(|id| !made.instances.contains(id)).collect();
    if !extra.is_empty() {
        let _ = aws.ec2.send(TerminateInstances { instance_ids: extra }).await;
    }

    j.becomes("instances.running", "running running running", || async {
        let all = DescribeInstances { instance_ids: made.instances.clone(), ..Default::default() };
        let seen = aws.ec2.all(all).await.unwrap_or_default();
        seen.into_iter().map(|instance| instance.state.name).collect::<Vec<_>>().join(" ")
    })
    .await;
    j.becomes("instances.status_ok", "3 ok", || async {
        let all =
            DescribeInstanceStatus { instance_ids: made.instances.clone(), ..Default::default() };
        let seen = aws.ec2.all(all).await.unwrap_or_default();
        let ok = |s: &&InstanceStatus| {
            s.system_status.status == "ok" && s.instance_status.status == "ok"
        };
        format!("{} ok", seen.iter().filter(ok).count())
    })
    .await;
}

pub(crate) async fn observe(aws: &Aws, j: &mut Journal, made: &Made) {
    let mut filters = ours(made);
    filters.push(Filter::new("instance-state-name", ["pending", "running"]));
    let by_tag = DescribeInstances { filters, max_results: Some(5), ..Default::default() };
    let nodes = j.ok("instances.by_tag", aws.ec2.all(by_tag).await).unwrap_or_default();
    j.is("instances.by_tag.count", 3, nodes.len());
    let all = |holds: fn(&Instance) -> bool| nodes.iter().all(holds);
    let in_subnet =
        |i: &Instance| i.private_ip_address.as_deref().unwrap_or("").starts_with("10.40.1.");
    j.is("instance.private_ip", true, all(in_subnet));
    j.is("instance.public_ip", true, all(|i| i.public_ip_address.is_some()));
    j.is("instance.zone", true, all(|i| i.placement.availability_zone == "eu-west-1a"));
    j.is("instance.launch_time", true, all(|i| i.launch_time.starts_with("20")));
    j.is("instance.devices", true, all(|i| i.block_device_mappings.len() == 1));
    let of = |holds: &dyn Fn(&Instance) -> bool| nodes.iter().all(holds);
    j.is("instance.subnet", true, of(&|i| i.subnet_id.as_deref() == Some(&made.subnets[0])));
    j.is("instance.vpc", true, of(&|i| i.vpc_id.as_deref() == Some(&made.vpc)));
    j.is("instance.key", true, of(&|i| i.key_name.as_deref() == Some(&made.name)));
    j.is("instance.group", true, of(&|i| i.security_groups[0].group_id == made.node_group));
    let arn = |i: &Instance| i.iam_instance_profile.clone().and_then(|p| p.arn).unwrap_or_default();
    j.is("instance.profile", true, of(&|i| arn(i).ends_with(&made.name)));
    let token = format!("{}-nodes-1", made.name);
    j.is("instance.client_token", true, of(&|i| i.client_token == token));
    let tokens = |i: &Instance| i.metadata_options.clone().and_then(|m| m.http_tokens);
    j.is("instance.imdsv2", true, of(&|i| tokens(i).as_deref() == Some("required")));
    j.is("instance.tags", true, of(&|i| Tag::find(&i.tags, "fixpoint:role") == Some("node")));

    let unknown =
        |id: &str| DescribeInstances { instance_ids: vec![id.into()], ..Default::default() };
    let missing = aws.ec2.send(unknown("i-00000000000000000")).await;
    j.refused("instance.unknown", "InvalidInstanceID.NotFound", missing);
    let malformed = aws.ec2.send(unknown("banana")).await;
    j.refused("instance.malformed", "InvalidInstanceID.Malformed", malformed);
    let mut both = unknown(&made.instances[0]);
    both.max_results = Some(5);
    let both = aws.ec2.send(both).await;
    j.refused("instances.ids_and_max_results", "InvalidParameterCombination", both);

    let data = DescribeInstanceAttribute {
        instance_id: made.instances[0].clone(),
        attribute: "userData".into(),
    };
    let data = j.ok("instance.user_data", aws.ec2.send(data).await).unwrap_or_default().user_data;
    j.is("instance.user_data.equal", true, data.is_some_and(|data| data.reveal() == SCRIPT));
    let protected = DescribeInstanceAttribute {
        instance_id: made.instances[0].clone(),
        attribute: "disableApiTermination".into(),
    };
    let protected = j.ok("instance.protection", aws.ec2.send(protected).await).unwrap_or_default();
    let protected = format!("{:?}", protected.disable_api_termination);
    j.is("instance.protection.off", "Some(false)", protected);

    j.becomes("volumes.by_tag", "3 of 20 GiB gp3 encrypted in-use", || async {
        let volumes = DescribeVolumes { filters: ours(made), ..Default::default() };
        let seen = aws.ec2.all(volumes).await.unwrap_or_default();
        let mut seen: Vec<_> = seen.into_iter().filter(|v| v.state == "in-use").collect();
        let count = seen.len();
        seen.dedup_by_key(|v| (v.size, v.volume_type.clone(), v.encrypted));
        let of = |v: &Volume| {
            let encrypted = if v.encrypted { " encrypted" } else { "" };
            format!("{} GiB {}{encrypted} {}", v.size, v.volume_type, v.state)
        };
        format!("{count} of {}", seen.iter().map(of).collect::<Vec<_>>().join(", "))
    })
    .await;
    let interfaces = DescribeNetworkInterfaces {
        filters: vec![
            Filter::new("vpc-id", [&made.vpc]),
            Filter::new("group-id", [&made.node_group]),
        ],
        ..Default::default()
    };
    let interfaces = j.ok("interfaces", aws.ec2.all(interfaces).await).unwrap_or_default();
    let of_ours = |eni: &&NetworkInterface| {
        let instance = eni.attachment.clone().and_then(|a| a.instance_id).unwrap_or_default();
        made.instances.contains(&instance)
    };
    j.is("interfaces.count", 3, interfaces.iter().filter(of_ours).count());

    let generation = CreateTags {
        resource_ids: made.instances.clone(),
        tags: vec![Tag::new("fixpoint:generation", "7")],
    };
    j.ok("tags.create", aws.ec2.send(generation).await);
    j.becomes("tags.paged", 12, || async {
        let tags = DescribeTags {
            filters: vec![Filter::new("resource-id", &made.instances)],
            max_results: Some(5),
            ..Default::default()
        };
        j_len(aws.ec2.all(tags).await).to_string()
    })
    .await;
    let first = DescribeTags {
        filters: vec![Filter::new("resource-id", &made.instances)],
        max_results: Some(5),
        ..Default::default()
    };
    let first = j.ok("tags.page", aws.ec2.send(first).await).unwrap_or_default();
    j.is("tags.page.size", 5, first.tags.len());
    let remove = DeleteTags {
        resource_ids: made.instances.clone(),
        tags: vec![Tag::new("fixpoint:generation", "7")],
    };
    j.ok("tags.delete", aws.ec2.send(remove).await);
    let subnet =
        DescribeSubnets { subnet_ids: vec![made.subnets[0].clone()], ..Default::default() };
    let subnet = j.ok("subnet.after_run", aws.ec2.send(subnet).await).unwrap_or_default();
    let free = subnet.subnets.first().map_or(0, |s| s.available_ip_address_count);
    j.is("subnet.after_run.free", 248, free);
}
