//! The steps that make the security groups, and bring their rules to what they should be.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Step, Steps};
use fixpoint_aws::ec2;

use super::{create, unless};
use crate::{
    Cluster,
    error::could_not,
    names::{Group, Part},
    observe,
    rules::{Direction, Rule},
};

/// Makes a security group.
#[derive(Debug)]
pub struct CreateSecurityGroup {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC.
    pub vpc: String,
    /// Which one.
    pub group: Group,
}

#[async_trait]
impl Step for CreateSecurityGroup {
    fn name(&self) -> &str {
        "create_security_group"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, vpc, group } = self;
        let part = Part::Group(*group);
        let names = cluster.names();
        let request = ec2::CreateSecurityGroup {
            group_name: names.group(*group),
            description: format!("{part} of cluster {}", names.cluster()),
            vpc_id: vpc.clone(),
            tag_specifications: names.specification("security-group", part),
        };
        let vpc = vpc.clone();
        let is_there = move |c: Cluster| {
            let vpc = vpc.clone();
            async move {
                let groups = observe::security_groups(&c).await?;
                Ok(groups.iter().any(|g| g.vpc_id == vpc && part.is(&g.tags)))
            }
        };
        let make =
            async { Ok::<_, fixpoint_aws::Error>(cluster.aws().ec2.send(request).await?.group_id) };
        create(cx, cluster, &part.to_string(), is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Adds the rules that a security group lacks in one direction, and takes away those that it
/// should not have.
pub struct ConfigureRules {
    /// Of this cluster.
    pub cluster: Cluster,
    /// Which group.
    pub group: Group,
    /// Its id.
    pub group_id: String,
    /// Which way.
    pub direction: Direction,
    /// To be added.
    pub missing: BTreeSet<Rule>,
    /// To be taken away.
    pub surplus: Vec<ec2::IpPermission>,
}

#[async_trait]
impl Step for ConfigureRules {
    fn name(&self) -> &str {
        match self.direction {
            Direction::Ingress => "configure_ingress",
            Direction::Egress => "configure_egress",
        }
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        if !self.missing.is_empty() {
            let all: Vec<_> = self.missing.iter().map(Rule::permission).collect();
            // One rule that is there already makes AWS refuse them all.
            if self.authorize(all.clone()).await? == Outcome::SomeWereThere {
                for one in all {
                    self.authorize(vec![one]).await?;
                }
            }
        }
        if !self.surplus.is_empty() {
            let Self { cluster, group_id, direction, surplus, .. } = self;
            revoke(cluster, group_id, *direction, surplus.clone()).await?;
        }
        Ok(Steps::none())
    }
}

/// A line that an operator can read: EC2's permissions have too many fields.
impl fmt::Debug for ConfigureRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, group, group_id, direction, missing, surplus } = self;
        let surplus = surplus.len();
        write!(
            f,
            "ConfigureRules {{ {cluster:?} {group} {group_id} {direction:?}: \
             add {missing:?}, remove {surplus} }}"
        )
    }
}

#[derive(PartialEq)]
enum Outcome {
    Added,
    SomeWereThere,
}

impl ConfigureRules {
    async fn authorize(&self, ip_permissions: Vec<ec2::IpPermission>) -> Result<Outcome, BoxError> {
        let ec2 = &self.cluster.aws().ec2;
        let group_id = self.group_id.clone();
        let tag_specifications = Vec::new();
        let sent = match self.direction {
            Direction::Ingress => {
                let request = ec2::AuthorizeSecurityGroupIngress {
                    group_id,
                    ip_permissions,
                    tag_specifications,
                };
                ec2.send(request).await
            }
            Direction::Egress => {
                let request = ec2::AuthorizeSecurityGroupEgress {
                    group_id,
                    ip_permissions,
                    tag_specifications,
                };
                ec2.send(request).await
            }
        };
        match sent {
            Ok(_) => Ok(Outcome::Added),
            Err(error) if error.code() == Some("InvalidPermission.Duplicate") => {
                Ok(Outcome::SomeWereThere)
            }
            Err(error) => Err(could_not("add rules to the security group")(error)),
        }
    }
}

async fn revoke(
    cluster: &Cluster,
    group_id: &str,
    direction: Direction,
    ip_permissions: Vec<ec2::IpPermission>,
) -> Result<(), BoxError> {
    let ec2 = &cluster.aws().ec2;
    let group_id = group_id.to_owned();
    let security_group_rule_ids = Vec::new();
    let sent = match direction {
        Direction::Ingress => {
            let request = ec2::RevokeSecurityGroupIngress {
                group_id,
                ip_permissions,
                security_group_rule_ids,
            };
            ec2.send(request).await
        }
        Direction::Egress => {
            let request = ec2::RevokeSecurityGroupEgress {
                group_id,
                ip_permissions,
                security_group_rule_ids,
            };
            ec2.send(request).await
        }
    };
    unless(sent, "InvalidPermission.NotFound", "take rules from the security group")
}

/// Takes away the rules that name other groups, so that the groups can be deleted.
pub struct RevokeReferences {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The group's id.
    pub group_id: String,
    /// To be taken away.
    pub ingress: Vec<ec2::IpPermission>,
    /// To be taken away.
    pub egress: Vec<ec2::IpPermission>,
}

impl fmt::Debug for RevokeReferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, group_id, ingress, egress } = self;
        let (ingress, egress) = (ingress.len(), egress.len());
        write!(f, "RevokeReferences {{ {cluster:?} {group_id}: {ingress} in, {egress} out }}")
    }
}

#[async_trait]
impl Step for RevokeReferences {
    fn name(&self) -> &str {
        "revoke_references"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let directions = [(Direction::Ingress, &self.ingress), (Direction::Egress, &self.egress)];
        for (direction, permissions) in directions {
            if !permissions.is_empty() {
                revoke(&self.cluster, &self.group_id, direction, permissions.clone()).await?;
            }
        }
        Ok(Steps::none())
    }
}
