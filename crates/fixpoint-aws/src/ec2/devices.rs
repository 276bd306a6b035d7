//! What hangs on instances: volumes and network interfaces.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::set;
use super::{Filter, Tag};

/// A security group as something else's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct GroupIdentifier {
    /// `sg-...`
    pub group_id: String,
    /// Its name.
    pub group_name: String,
}

/// Lists volumes.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVolumes {
    /// These only; all must exist.
    #[serde(rename = "VolumeId")]
    pub volume_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 500.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of volumes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volumes {
    /// The volumes.
    #[serde(rename = "volumeSet", deserialize_with = "set")]
    pub volumes: Vec<Volume>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// `vol-...`
    pub volume_id: String,
    /// GiB.
    pub size: u32,
    /// `creating`, `available`, `in-use`, `deleting`.
    #[serde(rename = "status")]
    pub state: String,
    /// `gp3`, ...
    pub volume_type: String,
    /// True if encrypted.
    pub encrypted: bool,
    /// The zone's name.
    pub availability_zone: String,
    /// The instance it hangs on, if any.
    #[serde(rename = "attachmentSet", deserialize_with = "set")]
    pub attachments: Vec<VolumeAttachment>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Where a volume hangs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeAttachment {
    /// The instance.
    pub instance_id: String,
    /// `/dev/xvda`, ...
    pub device: String,
    /// `attaching`, `attached`, `detaching`.
    #[serde(rename = "status")]
    pub state: String,
    /// Goes with its instance.
    pub delete_on_termination: bool,
}

/// Lists network interfaces; those of load balancers have a description `ELB app/...`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeNetworkInterfaces {
    /// These only; all must exist.
    #[serde(rename = "NetworkInterfaceId")]
    pub network_interface_ids: Vec<String>,
    /// Conditions: `vpc-id`, `group-id`, `description`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of network interfaces.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkInterfaces {
    /// The interfaces.
    #[serde(rename = "networkInterfaceSet", deserialize_with = "set")]
    pub network_interfaces: Vec<NetworkInterface>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A network interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkInterface {
    /// `eni-...`
    pub network_interface_id: String,
    /// `available` or `in-use`.
    pub status: String,
    /// Whose it is, for those that AWS made.
    pub description: String,
    /// Its subnet.
    pub subnet_id: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its address.
    pub private_ip_address: String,
    /// Made by a service for its own use.
    pub requester_managed: bool,
    /// Its security groups.
    #[serde(rename = "groupSet", deserialize_with = "set")]
    pub security_groups: Vec<GroupIdentifier>,
    /// The instance it hangs on, if any.
    pub attachment: Option<NetworkInterfaceAttachment>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Where a network interface hangs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkInterfaceAttachment {
    /// The instance; none where a service uses it.
    pub instance_id: Option<String>,
    /// `attaching`, `attached`, `detaching`.
    pub status: String,
}

operations! {
    DescribeVolumes => Volumes,
    DescribeNetworkInterfaces => NetworkInterfaces,
}
paged! {
    DescribeVolumes: volumes => Volume,
    DescribeNetworkInterfaces: network_interfaces => NetworkInterface,
}
