//! VPCs, subnets and internet gateways.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::{attribute, set};
use super::{Done, Filter, Tag, TagSpecification};

/// Makes a VPC. Has no client token: repeated, it makes another one.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateVpc {
    /// /16 to /28.
    pub cidr_block: String,
    /// Tags of the `vpc`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new VPC.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CreatedVpc {
    /// Its state is `pending` at first.
    pub vpc: Vpc,
}

/// Lists VPCs.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVpcs {
    /// These only; all must exist.
    #[serde(rename = "VpcId")]
    pub vpc_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of VPCs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vpcs {
    /// The VPCs.
    #[serde(rename = "vpcSet", deserialize_with = "set")]
    pub vpcs: Vec<Vpc>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A VPC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vpc {
    /// `vpc-...`
    pub vpc_id: String,
    /// `pending`, then `available`.
    pub state: String,
    /// Its addresses.
    pub cidr_block: String,
    /// True for the account's default VPC.
    pub is_default: bool,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Changes one attribute of a VPC; AWS takes only one in a call.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifyVpcAttribute {
    /// The VPC.
    pub vpc_id: String,
    /// Instances may ask the VPC's name server.
    #[serde(rename = "EnableDnsSupport.Value")]
    pub enable_dns_support: Option<bool>,
    /// Instances with public addresses get public names.
    #[serde(rename = "EnableDnsHostnames.Value")]
    pub enable_dns_hostnames: Option<bool>,
}

/// Reads one attribute of a VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeVpcAttribute {
    /// The VPC.
    pub vpc_id: String,
    /// `enableDnsSupport` or `enableDnsHostnames`.
    pub attribute: String,
}

/// The attribute asked for; the others are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VpcAttribute {
    /// The VPC.
    pub vpc_id: String,
    /// See [`ModifyVpcAttribute`].
    #[serde(deserialize_with = "attribute")]
    pub enable_dns_support: Option<bool>,
    /// See [`ModifyVpcAttribute`].
    #[serde(deserialize_with = "attribute")]
    pub enable_dns_hostnames: Option<bool>,
}

/// Deletes an empty VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteVpc {
    /// The VPC.
    pub vpc_id: String,
}

/// Makes an internet gateway. Has no client token: repeated, it makes another one.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateInternetGateway {
    /// Tags of the `internet-gateway`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new internet gateway.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreatedInternetGateway {
    /// Not attached yet.
    pub internet_gateway: InternetGateway,
}

/// Attaches an internet gateway; a second attachment of either side is refused.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
    /// The VPC.
    pub vpc_id: String,
}

/// Detaches an internet gateway; refused while the VPC uses public addresses.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetachInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
    /// The VPC.
    pub vpc_id: String,
}

/// Deletes a detached internet gateway.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteInternetGateway {
    /// The gateway.
    pub internet_gateway_id: String,
}

/// Lists internet gateways.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeInternetGateways {
    /// These only; all must exist.
    #[serde(rename = "InternetGatewayId")]
    pub internet_gateway_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of internet gateways.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InternetGateways {
    /// The gateways.
    #[serde(rename = "internetGatewaySet", deserialize_with = "set")]
    pub internet_gateways: Vec<InternetGateway>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// An internet gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InternetGateway {
    /// `igw-...`
    pub internet_gateway_id: String,
    /// None or one.
    #[serde(rename = "attachmentSet", deserialize_with = "set")]
    pub attachments: Vec<InternetGatewayAttachment>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Where an internet gateway is attached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct InternetGatewayAttachment {
    /// The VPC.
    pub vpc_id: String,
    /// `available` once it works.
    pub state: String,
}

/// Makes a subnet. Has no client token, but a second one with the same addresses is refused.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSubnet {
    /// The VPC.
    pub vpc_id: String,
    /// A part of the VPC's addresses.
    pub cidr_block: String,
    /// The zone's name: `eu-west-1a`.
    pub availability_zone: Option<String>,
    /// Tags of the `subnet`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new subnet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CreatedSubnet {
    /// The subnet.
    pub subnet: Subnet,
}

/// Lists subnets.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSubnets {
    /// These only; all must exist.
    #[serde(rename = "SubnetId")]
    pub subnet_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of subnets.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subnets {
    /// The subnets.
    #[serde(rename = "subnetSet", deserialize_with = "set")]
    pub subnets: Vec<Subnet>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A subnet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subnet {
    /// `subnet-...`
    pub subnet_id: String,
    /// `pending`, then `available`.
    pub state: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its addresses.
    pub cidr_block: String,
    /// How many are free; AWS keeps five of each subnet.
    pub available_ip_address_count: u32,
    /// The zone's name in this account.
    pub availability_zone: String,
    /// The zone's id, the same in all accounts.
    pub availability_zone_id: String,
    /// New instances get a public address.
    pub map_public_ip_on_launch: bool,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Changes one attribute of a subnet.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModifySubnetAttribute {
    /// The subnet.
    pub subnet_id: String,
    /// New instances get a public address.
    #[serde(rename = "MapPublicIpOnLaunch.Value")]
    pub map_public_ip_on_launch: Option<bool>,
}

/// Deletes an empty subnet.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSubnet {
    /// The subnet.
    pub subnet_id: String,
}

operations! {
    CreateVpc => CreatedVpc,
    DescribeVpcs => Vpcs,
    ModifyVpcAttribute => Done,
    DescribeVpcAttribute => VpcAttribute,
    DeleteVpc => Done,
    CreateInternetGateway => CreatedInternetGateway,
    AttachInternetGateway => Done,
    DetachInternetGateway => Done,
    DeleteInternetGateway => Done,
    DescribeInternetGateways => InternetGateways,
    CreateSubnet => CreatedSubnet,
    DescribeSubnets => Subnets,
    ModifySubnetAttribute => Done,
    DeleteSubnet => Done,
}
paged! {
    DescribeVpcs: vpcs => Vpc,
    DescribeInternetGateways: internet_gateways => InternetGateway,
    DescribeSubnets: subnets => Subnet,
}
