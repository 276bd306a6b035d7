//! The steps that make the network: VPC, gateway, subnets, routes.

use std::time::Duration;

use async_trait::async_trait;
use fixpoint::{BoxError, Context, Observed as Saw, Step, Steps, Wait};
use fixpoint_aws::ec2;

use super::{create, unless};
use crate::{Cluster, error::could_not, names::Part, observe};

/// Makes the VPC.
#[derive(Debug)]
pub struct CreateVpc {
    /// Of this cluster.
    pub cluster: Cluster,
}

#[async_trait]
impl Step for CreateVpc {
    fn name(&self) -> &str {
        "create_vpc"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster } = self;
        let request = ec2::CreateVpc {
            cidr_block: cluster.spec().vpc_cidr.clone(),
            tag_specifications: cluster.names().specification("vpc", Part::Vpc),
        };
        let is_there = |c: Cluster| async move { Ok(!observe::vpcs(&c).await?.is_empty()) };
        let make = async {
            Ok::<_, fixpoint_aws::Error>(cluster.aws().ec2.send(request).await?.vpc.vpc_id)
        };
        create(cx, cluster, "the VPC", is_there, make).await?;
        Ok(Steps::none().with(wait_for_vpc(cluster)))
    }
}

/// Waits until things can be put into the VPC.
pub fn wait_for_vpc(cluster: &Cluster) -> Wait {
    let what = format!("VPC of {cluster:?}");
    let cluster = cluster.clone();
    Wait::until("wait_for_vpc", what, "available", move |_| {
        let cluster = cluster.clone();
        async move {
            let vpcs = observe::vpcs(&cluster).await?;
            Ok(match vpcs.iter().find(|vpc| vpc.state != "available") {
                None => Saw::Ready,
                Some(vpc) => Saw::NotYet(vpc.state.clone()),
            })
        }
    })
    .every(Duration::from_secs(1))
    .deadline(Duration::from_secs(120))
}

/// Lets the VPC resolve names, and give names to public addresses.
#[derive(Debug)]
pub struct EnableDns {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC.
    pub vpc: String,
    /// Resolution is off.
    pub support: bool,
    /// Public names are off.
    pub hostnames: bool,
}

#[async_trait]
impl Step for EnableDns {
    fn name(&self) -> &str {
        "enable_dns"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::ModifyVpcAttribute { vpc_id: self.vpc.clone(), ..Default::default() };
        // AWS takes one attribute a call, and names need resolution.
        let support = ec2::ModifyVpcAttribute { enable_dns_support: Some(true), ..request.clone() };
        let hostnames = ec2::ModifyVpcAttribute { enable_dns_hostnames: Some(true), ..request };
        for (_, request) in [(self.support, support), (self.hostnames, hostnames)]
            .into_iter()
            .filter(|(is_off, _)| *is_off)
        {
            let sent = self.cluster.aws().ec2.send(request).await;
            sent.map_err(could_not("turn on DNS in the VPC"))?;
        }
        Ok(Steps::none())
    }
}

/// Makes the internet gateway, and attaches it.
#[derive(Debug)]
pub struct CreateInternetGateway {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC to attach it to.
    pub vpc: String,
}

#[async_trait]
impl Step for CreateInternetGateway {
    fn name(&self) -> &str {
        "create_internet_gateway"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, .. } = self;
        let request = ec2::CreateInternetGateway {
            tag_specifications: cluster
                .names()
                .specification("internet-gateway", Part::InternetGateway),
        };
        let is_there =
            |c: Cluster| async move { Ok(!observe::internet_gateways(&c).await?.is_empty()) };
        let make = async {
            let made = cluster.aws().ec2.send(request).await?;
            Ok::<_, fixpoint_aws::Error>(made.internet_gateway.internet_gateway_id)
        };
        let made = create(cx, cluster, "the internet gateway", is_there, make).await?;
        Ok(made.map_or_else(Steps::none, |gateway| {
            let (cluster, vpc) = (cluster.clone(), self.vpc.clone());
            Steps::none().with(AttachInternetGateway { cluster, gateway, vpc })
        }))
    }
}

/// Attaches the internet gateway to the VPC.
#[derive(Debug)]
pub struct AttachInternetGateway {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The gateway.
    pub gateway: String,
    /// The VPC.
    pub vpc: String,
}

#[async_trait]
impl Step for AttachInternetGateway {
    fn name(&self) -> &str {
        "attach_internet_gateway"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::AttachInternetGateway {
            internet_gateway_id: self.gateway.clone(),
            vpc_id: self.vpc.clone(),
        };
        let ec2 = &self.cluster.aws().ec2;
        let Err(error) = ec2.send(request).await else { return Ok(Steps::none()) };
        // A VPC takes one gateway. If it has one already, be it this one or another of ours that was
        // not visible before, all is well, and the next look sees which is left over. A refusal that
        // says so knows more than a look, which may not show yet what was attached a moment ago.
        let says_so = |why: &str| {
            ["already", "attached", &*self.vpc].into_iter().all(|word| why.contains(word))
        };
        if error.message().is_some_and(says_so) {
            tracing::info!("the VPC has an internet gateway already: {error}");
            return Ok(Steps::none());
        }
        let attached = ec2::DescribeInternetGateways {
            filters: vec![ec2::Filter::new("attachment.vpc-id", [&self.vpc])],
            ..Default::default()
        };
        let attached = ec2.all(attached).await.map_err(could_not("list the internet gateways"))?;
        if attached.is_empty() {
            return Err(could_not("attach the internet gateway")(error));
        }
        tracing::info!("the VPC has an internet gateway already: {error}");
        Ok(Steps::none())
    }
}

/// Makes one of the two subnets, whose instances will have public addresses.
#[derive(Debug)]
pub struct CreateSubnet {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC.
    pub vpc: String,
    /// 0 or 1.
    pub number: usize,
    /// The zone.
    pub zone: String,
    /// The network: a part of the VPC's.
    pub cidr: String,
}

#[async_trait]
impl Step for CreateSubnet {
    fn name(&self) -> &str {
        "create_subnet"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, number, .. } = self;
        let part = Part::Subnet(*number);
        let request = ec2::CreateSubnet {
            vpc_id: self.vpc.clone(),
            cidr_block: self.cidr.clone(),
            availability_zone: Some(self.zone.clone()),
            tag_specifications: cluster.names().specification("subnet", part),
        };
        let vpc = self.vpc.clone();
        let is_there = move |c: Cluster| {
            let vpc = vpc.clone();
            async move {
                let subnets = observe::subnets(&c).await?;
                Ok(subnets.iter().any(|s| s.vpc_id == vpc && part.is(&s.tags)))
            }
        };
        let make = async {
            Ok::<_, fixpoint_aws::Error>(cluster.aws().ec2.send(request).await?.subnet.subnet_id)
        };
        let made = create(cx, cluster, &part.to_string(), is_there, make).await?;
        Ok(made.map_or_else(Steps::none, |subnet| {
            Steps::none().with(EnablePublicIps { cluster: cluster.clone(), subnet })
        }))
    }
}

/// Lets a subnet give public addresses to its instances: they fetch their packages themselves, and
/// a NAT gateway would cost more than a small node.
#[derive(Debug)]
pub struct EnablePublicIps {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The subnet.
    pub subnet: String,
}

#[async_trait]
impl Step for EnablePublicIps {
    fn name(&self) -> &str {
        "enable_public_ips"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::ModifySubnetAttribute {
            subnet_id: self.subnet.clone(),
            map_public_ip_on_launch: Some(true),
        };
        let sent = self.cluster.aws().ec2.send(request).await;
        sent.map_err(could_not("turn on public addresses in the subnet"))?;
        Ok(Steps::none())
    }
}

/// Makes the route table.
#[derive(Debug)]
pub struct CreateRouteTable {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The VPC.
    pub vpc: String,
}

#[async_trait]
impl Step for CreateRouteTable {
    fn name(&self) -> &str {
        "create_route_table"
    }

    async fn run(&self, cx: &Context) -> Result<Steps, BoxError> {
        let Self { cluster, vpc } = self;
        let request = ec2::CreateRouteTable {
            vpc_id: vpc.clone(),
            client_token: Some(cluster.names().token("routes", &[vpc])),
            tag_specifications: cluster.names().specification("route-table", Part::RouteTable),
        };
        let vpc = vpc.clone();
        let is_there = move |c: Cluster| {
            let vpc = vpc.clone();
            async move { Ok(observe::route_tables(&c).await?.iter().any(|t| t.vpc_id == vpc)) }
        };
        let make = async {
            let ec2 = &cluster.aws().ec2;
            let made = match ec2.send(request.clone()).await {
                // The token's table was deleted since, so the token is of no more use.
                Err(error) if fixpoint_aws::is_not_found(&error) => {
                    ec2.send(ec2::CreateRouteTable { client_token: None, ..request }).await?
                }
                answer => answer?,
            };
            Ok::<_, fixpoint_aws::Error>(made.route_table.route_table_id)
        };
        create(cx, cluster, "the route table", is_there, make).await?;
        Ok(Steps::none())
    }
}

/// Routes everything outside the VPC to the internet gateway.
#[derive(Debug)]
pub struct CreateRoute {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The route table.
    pub table: String,
    /// The internet gateway.
    pub gateway: String,
}

#[async_trait]
impl Step for CreateRoute {
    fn name(&self) -> &str {
        "create_route"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::CreateRoute {
            route_table_id: self.table.clone(),
            destination_cidr_block: "0.0.0.0/0".into(),
            gateway_id: Some(self.gateway.clone()),
        };
        let sent = self.cluster.aws().ec2.send(request).await;
        unless(sent, "RouteAlreadyExists", "create the default route")?;
        Ok(Steps::none())
    }
}

/// Makes a subnet use the route table.
#[derive(Debug)]
pub struct AssociateRouteTable {
    /// Of this cluster.
    pub cluster: Cluster,
    /// The route table.
    pub table: String,
    /// The subnet.
    pub subnet: String,
}

#[async_trait]
impl Step for AssociateRouteTable {
    fn name(&self) -> &str {
        "associate_route_table"
    }

    async fn run(&self, _: &Context) -> Result<Steps, BoxError> {
        let request = ec2::AssociateRouteTable {
            route_table_id: self.table.clone(),
            subnet_id: self.subnet.clone(),
        };
        let sent = self.cluster.aws().ec2.send(request).await;
        unless(sent, "Resource.AlreadyAssociated", "associate the route table")?;
        Ok(Steps::none())
    }
}
