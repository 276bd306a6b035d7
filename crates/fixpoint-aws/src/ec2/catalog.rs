//! What there is to choose from: zones, types of instances, machine images.

use serde::{Deserialize, Serialize};

use super::Filter;
use super::operation::{operations, paged};
use super::wire::set;

/// Lists the zones of the region.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeAvailabilityZones {
    /// Conditions: `state`, `zone-type`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
}

/// Zones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AvailabilityZones {
    /// The zones.
    #[serde(rename = "availabilityZoneInfo", deserialize_with = "set")]
    pub availability_zones: Vec<AvailabilityZone>,
}

/// A zone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AvailabilityZone {
    /// Its name in this account: `eu-west-1a`.
    pub zone_name: String,
    /// Its id, the same in all accounts: `euw1-az2`.
    pub zone_id: String,
    /// `available`, or some kind of trouble.
    #[serde(rename = "zoneState")]
    pub state: String,
}

/// Lists where which types of instances are to be had.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInstanceTypeOfferings {
    /// `region`, `availability-zone` or `availability-zone-id`.
    pub location_type: Option<String>,
    /// Conditions: `instance-type`, `location`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of offerings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceTypeOfferings {
    /// The offerings.
    #[serde(rename = "instanceTypeOfferingSet", deserialize_with = "set")]
    pub offerings: Vec<InstanceTypeOffering>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// That a type of instance is to be had somewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InstanceTypeOffering {
    /// `t3.small`, ...
    pub instance_type: String,
    /// A region or a zone, as asked for.
    pub location: String,
}

/// Lists machine images. Filter by name: the owner `amazon` alone has tens of thousands.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeImages {
    /// These only; all must exist.
    #[serde(rename = "ImageId")]
    pub image_ids: Vec<String>,
    /// Account ids, `self`, `amazon`.
    #[serde(rename = "Owner")]
    pub owners: Vec<String>,
    /// Conditions: `name`, `architecture`, `state`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 1 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of images.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Images {
    /// The images.
    #[serde(rename = "imagesSet", deserialize_with = "set")]
    pub images: Vec<Image>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A machine image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {
    /// `ami-...`
    pub image_id: String,
    /// Its name, with date and architecture for Amazon's own.
    pub name: String,
    /// `available`, or not to be used.
    #[serde(rename = "imageState")]
    pub state: String,
    /// The owner's account.
    #[serde(rename = "imageOwnerId")]
    pub owner_id: String,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// When it was made.
    pub creation_date: String,
    /// `/dev/xvda`, ...
    pub root_device_name: String,
    /// The disks it brings.
    #[serde(rename = "blockDeviceMapping", deserialize_with = "set")]
    pub block_device_mappings: Vec<ImageDevice>,
}

/// A disk of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageDevice {
    /// `/dev/xvda`, ...
    pub device_name: String,
    /// Absent for disks of the host.
    pub ebs: Option<ImageVolume>,
}

/// The volume that a disk of an image becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ImageVolume {
    /// Made from this.
    pub snapshot_id: String,
    /// At least so large, in GiB.
    pub volume_size: u32,
}

operations! {
    DescribeAvailabilityZones => AvailabilityZones,
    DescribeInstanceTypeOfferings => InstanceTypeOfferings,
    DescribeImages => Images,
}
paged! {
    DescribeInstanceTypeOfferings: offerings => InstanceTypeOffering,
    DescribeImages: images => Image,
}
