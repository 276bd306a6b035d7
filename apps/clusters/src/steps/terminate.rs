//! The steps that take a cluster apart, one kind of thing each.
//!
//! The surprise: there is one struct for all deletions. They differ in one call, and in nothing
//! else: each takes "it is not there" for success.

use std::time::Duration;

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Observed as Saw, Step, Steps, Wait};
use fixpoint_aws::ec2;

use crate::{Cluster, error::could_not, observe};

/// Deletes one thing.
#[derive(Debug)]
pub struct Delete {
    /// Of this cluster.
    pub cluster: Cluster,
    /// What is to go.
    pub what: Doomed,
}

/// Something to be deleted, by its id, name or ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doomed {
    /// A rule of the listener.
    AddonRule(String),
    /// The listener, with its rules.
    Listener(String),
    /// The load balancer.
    LoadBalancer(String),
    /// A target group.
    TargetGroup(String),
    /// A key pair.
    KeyPair(String),
    /// Role, policies and instance profile.
    InstanceProfile {
        /// The role's policies.
        policies: Vec<String>,
        /// The role is in the profile.
        attached: bool,
    },
    /// A security group.
    SecurityGroup(String),
    /// A subnet's use of the route table.
    RouteTableAssociation(String),
    /// A route table.
    RouteTable(String),
    /// A subnet.
    Subnet(String),
    /// An internet gateway's place at a VPC.
    InternetGatewayAttachment {
        /// The gateway.
        gateway: String,
        /// The VPC.
        vpc: String,
    },
    /// An internet gateway.
    InternetGateway(String),
    /// A VPC.
    Vpc(String),
}

#[async_trait]
impl Step for Delete {
    fn name(&self) -> &str {
        match self.what {
            Doomed::AddonRule(_) => "delete_addon_rule",
            Doomed::Listener(_) => "delete_listener",
            Doomed::LoadBalancer(_) => "delete_load_balancer",
            Doomed::TargetGroup(_) => "delete_target_group",
            Doomed::KeyPair(_) => "delete_key_pair",
            Doomed::InstanceProfile { .. } => "delete_instance_profile",
            Doomed::SecurityGroup(_) => "delete_security_group",
            Doomed::RouteTableAssociation(_) => "disassociate_route_table",
            Doomed::RouteTable(_) => "delete_route_table",
            Doomed::Subnet(_) => "delete_subnet",
            Doomed::InternetGatewayAttachment { .. } => "detach_internet_gateway",
            Doomed::InternetGateway(_) => "delete_internet_gateway",
            Doomed::Vpc(_) => "delete_vpc",
        }
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        match self.delete().await {
            Ok(()) => Ok(Steps::none()),
            Err(error) if fixpoint_aws::is_not_found(&error) => Ok(Steps::none()),
            Err(error) => Err(could_not(self.name().replace('_', " "))(error)),
        }
    }
}

impl Delete {
    async fn delete(&self) -> Result<(), fixpoint_aws::Error> {
        let (ec2, elb) = (&self.cluster.aws().ec2, &self.cluster.aws().elb);
        match self.what.clone() {
            Doomed::AddonRule(arn) => drop(elb.delete_rule().rule_arn(arn).send().await?),
            Doomed::Listener(arn) => drop(elb.delete_listener().listener_arn(arn).send().await?),
            Doomed::LoadBalancer(arn) => {
                elb.delete_load_balancer().load_balancer_arn(arn).send().await?;
            }
            Doomed::TargetGroup(arn) => {
                elb.delete_target_group().target_group_arn(arn).send().await?;
            }
            Doomed::KeyPair(name) => {
                let request = ec2::DeleteKeyPair { key_name: Some(name), key_pair_id: None };
                ec2.send(request).await?;
            }
            Doomed::InstanceProfile { policies, attached } => {
                self.delete_identity(&policies, attached).await?;
            }
            Doomed::SecurityGroup(group_id) => {
                ec2.send(ec2::DeleteSecurityGroup { group_id }).await?;
            }
            Doomed::RouteTableAssociation(association_id) => {
                ec2.send(ec2::DisassociateRouteTable { association_id }).await?;
            }
            Doomed::RouteTable(route_table_id) => {
                ec2.send(ec2::DeleteRouteTable { route_table_id }).await?;
            }
            Doomed::Subnet(subnet_id) => drop(ec2.send(ec2::DeleteSubnet { subnet_id }).await?),
            Doomed::InternetGatewayAttachment { gateway, vpc } => {
                let request =
                    ec2::DetachInternetGateway { internet_gateway_id: gateway, vpc_id: vpc };
                ec2.send(request).await?;
            }
            Doomed::InternetGateway(internet_gateway_id) => {
                ec2.send(ec2::DeleteInternetGateway { internet_gateway_id }).await?;
            }
            Doomed::Vpc(vpc_id) => drop(ec2.send(ec2::DeleteVpc { vpc_id }).await?),
        }
        Ok(())
    }

    /// IAM deletes neither a role with policies nor a profile with a role. What is not there is no
    /// reason to leave the rest.
    async fn delete_identity(
        &self,
        policies: &[String],
        attached: bool,
    ) -> Result<(), fixpoint_aws::Error> {
        let (iam, name) = (&self.cluster.aws().iam, self.cluster.names().identity());
        if attached {
            let request = iam.remove_role_from_instance_profile();
            content(request.instance_profile_name(&name).role_name(&name).send().await)?;
        }
        content(iam.delete_instance_profile().instance_profile_name(&name).send().await)?;
        for policy in policies {
            content(iam.delete_role_policy().role_name(&name).policy_name(policy).send().await)?;
        }
        content(iam.delete_role().role_name(&name).send().await)
    }
}

fn content<T, E: Into<fixpoint_aws::Error>>(
    result: Result<T, E>,
) -> Result<(), fixpoint_aws::Error> {
    match result.map_err(Into::into) {
        Err(error) if !fixpoint_aws::is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Waits until nothing is left of what AWS removes by itself: the load balancer's network
/// interfaces, and the volumes of instances.
pub fn wait_for_leftovers(cluster: &Cluster, left: usize) -> Wait {
    let what = format!("{left} network interfaces and volumes of {cluster:?}");
    let cluster = cluster.clone();
    Wait::until("wait_for_leftovers", what, "gone", move |_| {
        let cluster = cluster.clone();
        async move {
            let left = observe::leftovers(&cluster).await?;
            Ok(if left.is_empty() {
                Saw::Ready
            } else {
                Saw::NotYet(format!("{} left: {}", left.len(), left.join(", ")))
            })
        }
    })
    .every(Duration::from_secs(5))
    .deadline(Duration::from_secs(10 * 60))
}
