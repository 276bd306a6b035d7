//! The steps that start instances, wait for them, and end them.
//!
//! The surprise: one `RunInstances` call an instance. Each has a client token of its own, so that
//! a repeated call finds *its* instance again, whatever became of the others.

use std::time::Duration;

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Observed as Saw, Permanent, Step, Steps, Wait};
use fixpoint_aws::{Secret, ec2};
use futures_util::future::join_all;

use super::wait_until_visible;
use crate::{
    Cluster,
    error::could_not,
    names::{ORDINAL_TAG, Part},
    observe, user_data,
};

/// Where a missing instance is to be started.
#[derive(Debug, Clone)]
pub struct Place {
    /// The VPC.
    pub vpc: String,
    /// The subnet.
    pub subnet: String,
    /// The security group.
    pub group: String,
    /// The instances of the same name that were there before. They make the client token another
    /// one, for AWS answers an old token with the old, dead instance.
    pub before: Vec<String>,
}

/// Starts missing nodes, all at once.
#[derive(Debug, Clone)]
pub struct CreateInstances {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The nodes by number.
    pub nodes: Vec<(u32, Place)>,
}

#[async_trait]
impl Step for CreateInstances {
    fn name(&self) -> &str {
        "create_instances"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, nodes } = self;
        let there = observe::instances(cluster).await?;
        let is_there = |number: u32| {
            there.iter().any(|i| {
                Part::Node.is(&i.tags) && observe::is_live(i) && observe::ordinal(i) == Some(number)
            })
        };
        let missing = nodes.iter().filter(|(number, _)| !is_there(*number));
        let missing = missing.map(|(number, place)| Launch {
            part: Part::Node,
            name: cluster.names().node(*number),
            ordinal: Some(*number),
            place: place.clone(),
            user_data: user_data::node(),
        });
        launch(cx, cluster, missing.collect(), self.clone()).await
    }
}

/// An instance to be started.
pub(super) struct Launch {
    pub(super) part: Part,
    pub(super) name: String,
    pub(super) ordinal: Option<u32>,
    pub(super) place: Place,
    pub(super) user_data: Secret<String>,
}

/// Starts instances and waits until they show up by their tags. If EC2 does not know the instance
/// profile yet, waits for that and then runs `again`.
pub(super) async fn launch(
    cx: &Context,
    cluster: &Cluster,
    launches: Vec<Launch>,
    again: impl Step + 'static,
) -> Result<Steps, BoxError> {
    if launches.is_empty() {
        return Ok(Steps::none());
    }
    let image = observe::image(cluster).await?;
    // All calls are seen to their end even if one fails: an abandoned one may have had its effect.
    let started = join_all(launches.iter().map(|l| start(cx, cluster, &image, l))).await;
    let mut ids = Vec::new();
    let mut unknown_profile = None;
    for (launch, started) in launches.iter().zip(started) {
        match started {
            Ok(id) => ids.push(id),
            Err(error) if is_about_profile(&error) => unknown_profile = Some(launch),
            Err(error) => return Err(could_not(format!("start {}", launch.name))(error)),
        }
    }
    tracing::info!("started {}", ids.join(", "));
    if !ids.is_empty() {
        let what = format!("{} new instances of {cluster:?}", ids.len());
        let are_there = move |c: Cluster| {
            let ids = ids.clone();
            async move {
                let there = observe::instances(&c).await?;
                Ok(ids.iter().all(|id| there.iter().any(|i| &i.instance_id == id)))
            }
        };
        wait_until_visible(cx, cluster, &what, are_there).await?;
    }
    let mut steps = Steps::none();
    if let Some(launch) = unknown_profile {
        steps.push(wait_for_instance_profile(cluster, request(cluster, &image, launch)));
        steps.push(again);
    }
    Ok(steps)
}

async fn start(
    cx: &Context,
    cluster: &Cluster,
    image: &ec2::Image,
    launch: &Launch,
) -> Result<String, fixpoint_aws::Error> {
    let ec2 = &cluster.aws().ec2;
    let mut request = request(cluster, image, launch);
    let mut answer = ec2.send(request.clone()).await;
    // The token's instance died so long ago that EC2 no longer lists it, but still knows the
    // token. The run's id makes another one, which lasts as long as this run may be resumed.
    if answer.as_ref().is_err_and(|e| e.code() == Some("IdempotentInstanceTerminated")) {
        let work = [launch.place.vpc.as_str(), cx.run_id()];
        request.client_token = Some(cluster.names().token(&launch.name, &work));
        answer = ec2.send(request).await;
    }
    Ok(answer?.instances.into_iter().map(|i| i.instance_id).next().unwrap_or_default())
}

fn request(cluster: &Cluster, image: &ec2::Image, launch: &Launch) -> ec2::RunInstances {
    let (names, spec) = (cluster.names(), cluster.spec());
    let Launch { part, name, ordinal, place, user_data } = launch;
    let mut tags: Vec<_> =
        names.tags(*part).into_iter().map(|(k, v)| ec2::Tag::new(k, v)).collect();
    for tag in tags.iter_mut().filter(|t| t.key == "Name") {
        tag.value.clone_from(name);
    }
    tags.extend(ordinal.map(|n| ec2::Tag::new(ORDINAL_TAG, n.to_string())));
    let short = name.strip_prefix(&format!("{}-", names.cluster())).unwrap_or(name);
    let mut work = vec![place.vpc.as_str()];
    work.extend(place.before.iter().map(String::as_str));
    ec2::RunInstances {
        image_id: image.image_id.clone(),
        instance_type: spec.instance_type.clone(),
        min_count: 1,
        max_count: 1,
        client_token: Some(names.token(short, &work)),
        subnet_id: Some(place.subnet.clone()),
        security_group_ids: vec![place.group.clone()],
        key_name: Some(names.key_pair()),
        iam_instance_profile: Some(ec2::InstanceProfile {
            name: Some(names.identity()),
            arn: None,
        }),
        user_data: Some(user_data.clone()),
        metadata_options: Some(ec2::MetadataOptions {
            http_tokens: Some("required".into()),
            ..Default::default()
        }),
        block_device_mappings: vec![ec2::BlockDeviceMapping {
            device_name: image.root_device_name.clone(),
            ebs: ec2::EbsBlockDevice {
                volume_size: Some(spec.volume_gib),
                volume_type: Some("gp3".into()),
                encrypted: Some(true),
                delete_on_termination: Some(true),
            },
        }],
        disable_api_termination: None,
        tag_specifications: ["instance", "volume"]
            .map(|kind| ec2::TagSpecification::new(kind, tags.clone()))
            .into(),
    }
}

/// EC2 learns of a new instance profile some ten seconds after IAM.
fn is_about_profile(error: &fixpoint_aws::Error) -> bool {
    error.code() == Some("InvalidParameterValue") && !fixpoint_aws::is_permanent(error)
}

fn wait_for_instance_profile(cluster: &Cluster, request: ec2::RunInstances) -> Wait {
    let profile = format!("instance profile {}", cluster.names().identity());
    let ec2 = cluster.aws().ec2.clone();
    Wait::until("wait_for_instance_profile", profile, "known to EC2", move |_| {
        let (ec2, request) = (ec2.clone(), request.clone());
        async move {
            match ec2.dry_run(&request).await {
                Ok(()) => Ok(Saw::Ready),
                Err(error) if is_about_profile(&error) => Ok(Saw::NotYet("not known yet".into())),
                Err(error) => Err(could_not("ask EC2 for the instance profile")(error)),
            }
        }
    })
    .every(Duration::from_secs(2))
    .backing_off_to(Duration::from_secs(5))
    .deadline(Duration::from_secs(120))
}

/// Waits until the instances run; `what` names them in the operator's words. An instance that dies
/// on its way up ends the wait as a failure, with AWS's reason; one that was stopped, too.
pub fn wait_for_instances(cluster: &Cluster, what: impl Into<String>, ids: Vec<String>) -> Wait {
    let cluster = cluster.clone();
    let wanted = format!("{} running", ids.len());
    Wait::until("wait_for_instances", what, wanted, move |_| {
        let (cluster, ids) = (cluster.clone(), ids.clone());
        async move {
            let mut there = observe::instances(&cluster).await?;
            there.retain(|i| ids.contains(&i.instance_id));
            for instance in &there {
                check_alive(instance)?;
            }
            let running = there.iter().filter(|i| i.state.name == "running").count();
            if running == ids.len() {
                return Ok(Saw::Ready);
            }
            Ok(Saw::NotYet(format!("{running} running, {} pending", ids.len() - running)))
        }
    })
    .every(Duration::from_secs(3))
    .deadline(Duration::from_secs(10 * 60))
}

fn check_alive(instance: &ec2::Instance) -> Result<(), BoxError> {
    let ec2::Instance { instance_id, state, state_reason, .. } = instance;
    match state.name.as_str() {
        "stopping" | "stopped" => Err(Permanent::new(format!(
            "{instance_id} was stopped: start it, or terminate it to have it replaced"
        ))
        .into()),
        "shutting-down" | "terminated" => {
            let reason = state_reason.as_ref().map_or("no reason given", |r| r.message.as_str());
            Err(format!("{instance_id} ended while it was starting: {reason}").into())
        }
        _ => Ok(()),
    }
}

/// Ends instances, and waits until they are gone.
#[derive(Debug)]
pub struct TerminateInstances {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The instances.
    pub ids: Vec<String>,
}

#[async_trait]
impl Step for TerminateInstances {
    fn name(&self) -> &str {
        "terminate_instances"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::TerminateInstances { instance_ids: self.ids.clone() };
        match self.cluster.aws().ec2.send(request).await {
            Ok(_) => {}
            // One of them is gone for good; the next look tells which are left.
            Err(error) if fixpoint_aws::is_not_found(&error) => return Ok(Steps::none()),
            Err(error) => return Err(could_not("terminate the instances")(error)),
        }
        Ok(Steps::none().with(wait_for_termination(&self.cluster, self.ids.clone())))
    }
}

/// Waits until the instances are gone, and with them their network interfaces and addresses.
pub fn wait_for_termination(cluster: &Cluster, ids: Vec<String>) -> Wait {
    let what = format!("{} instances of {cluster:?}", ids.len());
    let cluster = cluster.clone();
    Wait::until("wait_for_termination", what, "terminated", move |_| {
        let (cluster, ids) = (cluster.clone(), ids.clone());
        async move {
            let there = observe::instances(&cluster).await?;
            let left =
                there.iter().filter(|i| !observe::is_gone(i) && ids.contains(&i.instance_id));
            Ok(match left.count() {
                0 => Saw::Ready,
                left => Saw::NotYet(format!("{left} still there")),
            })
        }
    })
    .every(Duration::from_secs(5))
    .deadline(Duration::from_secs(10 * 60))
}
