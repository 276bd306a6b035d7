//! Instances: started, looked at, ended.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::{attribute, base64_secret, secret_attribute, set};
use super::{Filter, GroupIdentifier, Tag, TagSpecification};
use crate::Secret;

/// Starts instances.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RunInstances {
    /// The image.
    pub image_id: String,
    /// `t3.small`, ...
    pub instance_type: String,
    /// All or nothing below this number.
    pub min_count: u32,
    /// No more than this.
    pub max_count: u32,
    /// Makes the call safe to repeat; at most 64 characters.
    pub client_token: Option<String>,
    /// The subnet.
    pub subnet_id: Option<String>,
    /// The security groups, of the subnet's VPC.
    #[serde(rename = "SecurityGroupId")]
    pub security_group_ids: Vec<String>,
    /// The key pair.
    pub key_name: Option<String>,
    /// What the instances may do; unknown for some ten seconds after it was made.
    pub iam_instance_profile: Option<InstanceProfile>,
    /// The first boot's script, at most 16 KiB; the wire's base64 is put on for you.
    #[serde(serialize_with = "base64_secret")]
    pub user_data: Option<Secret<String>>,
    /// How the instances ask for their metadata.
    pub metadata_options: Option<MetadataOptions>,
    /// Disks.
    #[serde(rename = "BlockDeviceMapping")]
    pub block_device_mappings: Vec<BlockDeviceMapping>,
    /// Refuse to be terminated.
    pub disable_api_termination: Option<bool>,
    /// Tags of each `instance`, each `volume`, each `network-interface`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// An instance profile, by name or by ARN; described by ARN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct InstanceProfile {
    /// Its name; ...
    pub name: Option<String>,
    /// ... or its ARN.
    pub arn: Option<String>,
}

/// How an instance asks for its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct MetadataOptions {
    /// `required`: only with a session token (version 2). `optional`: also without.
    pub http_tokens: Option<String>,
    /// `enabled` or `disabled`.
    pub http_endpoint: Option<String>,
    /// How many network hops an answer may travel; 2 where containers ask.
    pub http_put_response_hop_limit: Option<u32>,
}

/// A disk of a new instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlockDeviceMapping {
    /// The image's root device name, or another.
    pub device_name: String,
    /// The volume.
    pub ebs: EbsBlockDevice,
}

/// A volume of a new instance. What is absent comes from the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EbsBlockDevice {
    /// GiB.
    pub volume_size: Option<u32>,
    /// `gp3`, ...
    pub volume_type: Option<String>,
    /// With the account's default key.
    pub encrypted: Option<bool>,
    /// Goes with its instance.
    pub delete_on_termination: Option<bool>,
}

/// Instances started by one call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reservation {
    /// `r-...`
    pub reservation_id: String,
    /// The instances, `pending` at first.
    #[serde(rename = "instancesSet", deserialize_with = "set")]
    pub instances: Vec<Instance>,
}

/// Lists instances, also those terminated within the last hour.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstances {
    /// These only; all must exist. Not together with `max_results`.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    /// Conditions: `instance-state-name`, `vpc-id`, `client-token`, `tag:KEY`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of instances, by reservation.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Reservations {
    /// The reservations.
    #[serde(rename = "reservationSet", deserialize_with = "set")]
    pub reservations: Vec<Reservation>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

impl Reservations {
    /// The instances of all reservations.
    pub fn into_instances(self) -> Vec<Instance> {
        self.reservations.into_iter().flat_map(|reservation| reservation.instances).collect()
    }
}

/// An instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Instance {
    /// `i-...`
    pub instance_id: String,
    /// Its image.
    pub image_id: String,
    /// `t3.small`, ...
    pub instance_type: String,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping`, `stopped`.
    #[serde(rename = "instanceState")]
    pub state: InstanceState,
    /// Why it is in this state, where there is a reason.
    pub state_reason: Option<StateReason>,
    /// When it was started.
    pub launch_time: String,
    /// The token it was started with.
    pub client_token: String,
    /// Where it runs.
    pub placement: Placement,
    /// Its subnet; none once terminated.
    pub subnet_id: Option<String>,
    /// Its VPC; none once terminated.
    pub vpc_id: Option<String>,
    /// None once terminated.
    pub private_ip_address: Option<String>,
    /// The public address, if it has one.
    #[serde(rename = "ipAddress")]
    pub public_ip_address: Option<String>,
    /// Its key pair.
    pub key_name: Option<String>,
    /// Its security groups.
    #[serde(rename = "groupSet", deserialize_with = "set")]
    pub security_groups: Vec<GroupIdentifier>,
    /// What it may do.
    pub iam_instance_profile: Option<InstanceProfile>,
    /// How it asks for its metadata.
    pub metadata_options: Option<MetadataOptions>,
    /// Its volumes.
    #[serde(rename = "blockDeviceMapping", deserialize_with = "set")]
    pub block_device_mappings: Vec<InstanceDevice>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// The state of an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct InstanceState {
    /// `pending`, `running`, ...
    pub name: String,
}

/// Why an instance is in its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StateReason {
    /// `Server.InsufficientInstanceCapacity`, `Client.UserInitiatedShutdown`, ...
    pub code: String,
    /// In words.
    pub message: String,
}

/// Where an instance runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Placement {
    /// The zone's name.
    pub availability_zone: String,
}

/// A volume as an instance's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceDevice {
    /// `/dev/xvda`, ...
    pub device_name: String,
    /// The volume.
    pub ebs: Option<InstanceVolume>,
}

/// The volume behind a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceVolume {
    /// `vol-...`
    pub volume_id: String,
    /// `attaching`, `attached`, ...
    pub status: String,
    /// Goes with its instance.
    pub delete_on_termination: bool,
}

/// Lists the outcome of the status checks; of running instances only, unless asked for more.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceStatus {
    /// These only; all must exist. Not together with `max_results`.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Also instances that do not run.
    pub include_all_instances: Option<bool>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of statuses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceStatuses {
    /// The statuses.
    #[serde(rename = "instanceStatusSet", deserialize_with = "set")]
    pub statuses: Vec<InstanceStatus>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// The outcome of an instance's status checks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceStatus {
    /// The instance.
    pub instance_id: String,
    /// Its state.
    #[serde(rename = "instanceState")]
    pub state: InstanceState,
    /// Of the host: `initializing`, then `ok` or `impaired`.
    pub system_status: StatusSummary,
    /// Of the instance: `initializing`, then `ok` or `impaired`.
    pub instance_status: StatusSummary,
}

/// The outcome of a kind of status check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StatusSummary {
    /// `ok`, `impaired`, `initializing`, `insufficient-data`, `not-applicable`.
    pub status: String,
}

/// Reads one attribute of an instance.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceAttribute {
    /// The instance.
    pub instance_id: String,
    /// `userData` or `disableApiTermination`.
    pub attribute: String,
}

/// The attribute asked for; the others are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceAttribute {
    /// The instance.
    pub instance_id: String,
    /// The first boot's script, the wire's base64 taken off.
    #[serde(deserialize_with = "secret_attribute")]
    pub user_data: Option<Secret<String>>,
    /// Refuses to be terminated.
    #[serde(deserialize_with = "attribute")]
    pub disable_api_termination: Option<bool>,
}

/// Ends instances. Safe to repeat while they are listed.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TerminateInstances {
    /// The instances; all must exist.
    #[serde(rename = "InstanceId")]
    pub instance_ids: Vec<String>,
}

/// What became of each.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StateChanges {
    /// The instances.
    #[serde(rename = "instancesSet", deserialize_with = "set")]
    pub instances: Vec<StateChange>,
}

/// A change of an instance's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StateChange {
    /// The instance.
    pub instance_id: String,
    /// The state before.
    pub previous_state: InstanceState,
    /// The state now.
    pub current_state: InstanceState,
}

operations! {
    RunInstances => Reservation,
    DescribeInstances => Reservations,
    DescribeInstanceStatus => InstanceStatuses,
    DescribeInstanceAttribute => InstanceAttribute,
    TerminateInstances => StateChanges,
}
paged! {
    DescribeInstanceStatus: statuses => InstanceStatus,
}

impl super::Paged for DescribeInstances {
    type Item = Instance;
    fn turn_to(&mut self, token: String) {
        self.next_token = Some(token);
    }
    fn page(mut output: Reservations) -> (Vec<Instance>, Option<String>) {
        let next = output.next_token.take();
        (output.into_instances(), next)
    }
}
