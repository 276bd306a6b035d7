//! Security groups and their rules.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::set;
use super::{Done, Filter, Tag, TagSpecification};

/// Makes a security group. Has no client token, but its name is unique in the VPC.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateSecurityGroup {
    /// At most 255 characters, not starting with `sg-`.
    pub group_name: String,
    /// What it is for; cannot be changed later.
    #[serde(rename = "GroupDescription")]
    pub description: String,
    /// The VPC.
    pub vpc_id: String,
    /// Tags of the `security-group`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreatedSecurityGroup {
    /// `sg-...`; lets everything out and nothing in.
    pub group_id: String,
}

/// Lists security groups, the default one of each VPC among them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroups {
    /// These only; all must exist.
    #[serde(rename = "GroupId")]
    pub group_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of security groups.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityGroups {
    /// The groups.
    #[serde(rename = "securityGroupInfo", deserialize_with = "set")]
    pub security_groups: Vec<SecurityGroup>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A security group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityGroup {
    /// `sg-...`
    pub group_id: String,
    /// Unique in the VPC.
    pub group_name: String,
    /// What it is for.
    #[serde(rename = "groupDescription")]
    pub description: String,
    /// Its VPC.
    pub vpc_id: String,
    /// What may come in.
    #[serde(deserialize_with = "set")]
    pub ip_permissions: Vec<IpPermission>,
    /// What may go out.
    #[serde(deserialize_with = "set")]
    pub ip_permissions_egress: Vec<IpPermission>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// What may pass: a protocol, a span of ports, and the other side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct IpPermission {
    /// `tcp`, `udp`, `icmp`, or `-1` for all protocols and ports.
    pub ip_protocol: String,
    /// The first port; absent with `-1`.
    pub from_port: Option<i32>,
    /// The last port; absent with `-1`.
    pub to_port: Option<i32>,
    /// Other sides by address.
    #[serde(deserialize_with = "set")]
    pub ip_ranges: Vec<IpRange>,
    /// Other sides by address, IPv6.
    #[serde(deserialize_with = "set")]
    pub ipv6_ranges: Vec<Ipv6Range>,
    /// Other sides by security group.
    #[serde(deserialize_with = "set")]
    pub groups: Vec<GroupPair>,
}

impl IpPermission {
    /// TCP to the one `port`, from or to nobody yet.
    pub fn tcp(port: u16) -> Self {
        let port = Some(i32::from(port));
        Self { ip_protocol: "tcp".into(), from_port: port, to_port: port, ..Self::default() }
    }

    /// All protocols and ports, from or to nobody yet.
    pub fn all() -> Self {
        Self { ip_protocol: "-1".into(), ..Self::default() }
    }

    /// Adds the addresses `cidr` as another side.
    pub fn with_cidr(mut self, cidr: impl Into<String>) -> Self {
        self.ip_ranges.push(IpRange { cidr_ip: cidr.into(), description: None });
        self
    }

    /// Adds the security group as another side.
    pub fn with_group(mut self, group_id: impl Into<String>) -> Self {
        self.groups.push(GroupPair { group_id: group_id.into(), ..GroupPair::default() });
        self
    }
}

/// IPv4 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct IpRange {
    /// The addresses.
    pub cidr_ip: String,
    /// What for.
    pub description: Option<String>,
}

/// IPv6 addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct Ipv6Range {
    /// The addresses.
    pub cidr_ipv6: String,
    /// What for.
    pub description: Option<String>,
}

/// A security group as the other side of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all(serialize = "PascalCase", deserialize = "camelCase"))]
pub struct GroupPair {
    /// The group.
    pub group_id: String,
    /// Its account; AWS fills it in.
    pub user_id: Option<String>,
    /// What for.
    pub description: Option<String>,
}

/// Lets traffic in; a rule that exists already is refused.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthorizeSecurityGroupIngress {
    /// The group.
    pub group_id: String,
    /// All are applied, or none.
    pub ip_permissions: Vec<IpPermission>,
    /// Tags of each `security-group-rule`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// Lets traffic out; a rule that exists already is refused.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AuthorizeSecurityGroupEgress {
    /// The group.
    pub group_id: String,
    /// All are applied, or none.
    pub ip_permissions: Vec<IpPermission>,
    /// Tags of each `security-group-rule`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// Takes back what may come in.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RevokeSecurityGroupIngress {
    /// The group.
    pub group_id: String,
    /// By what they permit; ...
    pub ip_permissions: Vec<IpPermission>,
    /// ... or by id.
    #[serde(rename = "SecurityGroupRuleId")]
    pub security_group_rule_ids: Vec<String>,
}

/// Takes back what may go out.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RevokeSecurityGroupEgress {
    /// The group.
    pub group_id: String,
    /// By what they permit; ...
    pub ip_permissions: Vec<IpPermission>,
    /// ... or by id.
    #[serde(rename = "SecurityGroupRuleId")]
    pub security_group_rule_ids: Vec<String>,
}

/// Lists the rules of security groups, each with its id.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeSecurityGroupRules {
    /// Conditions: `group-id`, `security-group-rule-id`, `tag:KEY`.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 1000.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of rules, or the new ones.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityGroupRules {
    /// The rules.
    #[serde(rename = "securityGroupRuleSet", deserialize_with = "set")]
    pub rules: Vec<SecurityGroupRule>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A rule: one protocol, one span of ports, one other side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecurityGroupRule {
    /// `sgr-...`
    pub security_group_rule_id: String,
    /// Its group.
    pub group_id: String,
    /// Outwards, else inwards.
    pub is_egress: bool,
    /// As in [`IpPermission`].
    pub ip_protocol: String,
    /// As in [`IpPermission`], but `-1` for "all".
    pub from_port: Option<i32>,
    /// As in [`IpPermission`], but `-1` for "all".
    pub to_port: Option<i32>,
    /// The other side, ...
    pub cidr_ipv4: Option<String>,
    /// ... or so, ...
    pub cidr_ipv6: Option<String>,
    /// ... or so.
    pub referenced_group_info: Option<GroupPair>,
    /// What for.
    pub description: Option<String>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// Deletes a security group that nothing uses or names.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteSecurityGroup {
    /// The group.
    pub group_id: String,
}

operations! {
    CreateSecurityGroup => CreatedSecurityGroup,
    DescribeSecurityGroups => SecurityGroups,
    DescribeSecurityGroupRules => SecurityGroupRules,
    AuthorizeSecurityGroupIngress => SecurityGroupRules,
    AuthorizeSecurityGroupEgress => SecurityGroupRules,
    RevokeSecurityGroupIngress => Done,
    RevokeSecurityGroupEgress => Done,
    DeleteSecurityGroup => Done,
}
paged! {
    DescribeSecurityGroups: security_groups => SecurityGroup,
    DescribeSecurityGroupRules: rules => SecurityGroupRule,
}
