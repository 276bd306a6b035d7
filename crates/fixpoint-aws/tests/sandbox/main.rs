//! The sandbox, called as the SDK calls it but with hand-written requests, so that bad input can
//! be sent too. Time is tokio's paused clock: hours of AWS pass in milliseconds.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a test binary: nobody uses it, and it may panic"
)]

mod balancing;
mod compute;
mod faults;
mod identity;
mod network;
mod security;
mod world;

use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use fixpoint_aws::sandbox::{Sandbox, SandboxOptions};

/// A sandbox and a way to call it.
#[derive(Debug)]
pub struct Cloud {
    pub sandbox: Sandbox,
}

/// An answer's status and body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub request_id: Option<String>,
}

impl Cloud {
    pub fn fresh() -> Self {
        Cloud::open(SandboxOptions { seed: 7, latency: false, ..Default::default() })
    }

    pub fn open(options: SandboxOptions) -> Self {
        Cloud { sandbox: Sandbox::open(options).unwrap() }
    }

    /// Sends a call such as `CreateVpc&CidrBlock=10.0.0.0/16`; `+` is not read as a blank.
    pub async fn try_send(&self, service: &str, region: &str, call: &str) -> Option<Answer> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (at, pair) in call.split('&').enumerate() {
            match pair.split_once('=') {
                _ if at == 0 => form.append_pair("Action", pair),
                Some((name, value)) => form.append_pair(name, value),
                None => panic!("`{pair}` has no value"),
            };
        }
        let mut request = HttpRequest::new(SdkBody::from(form.finish()));
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20261122/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        request.headers_mut().insert("authorization", scope);
        let response = HttpConnector::call(&self.sandbox, request).await.ok()?;
        assert!(response.headers().get("date").is_some());
        let body = String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap();
        let request_id = response.headers().get("x-amzn-requestid").map(str::to_owned);
        Some(Answer { status: response.status().as_u16(), body, request_id })
    }

    pub async fn ec2(&self, call: impl AsRef<str>) -> Answer {
        self.try_send("ec2", "eu-west-1", call.as_ref()).await.unwrap()
    }

    pub async fn elb(&self, call: impl AsRef<str>) -> Answer {
        self.try_send("elasticloadbalancing", "eu-west-1", call.as_ref()).await.unwrap()
    }

    pub async fn iam(&self, call: impl AsRef<str>) -> Answer {
        self.try_send("iam", "us-east-1", call.as_ref()).await.unwrap()
    }

    /// Lets world time pass.
    pub async fn pass(&self, seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }
}

impl Answer {
    /// The answer, which must be a good one.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.body);
        self
    }

    /// The error code; the empty text for good answers.
    pub fn code(&self) -> &str {
        self.all("Code").into_iter().next().filter(|_| self.status >= 400).unwrap_or_default()
    }

    /// Checks that the answer is a refusal with this code.
    #[track_caller]
    pub fn refused(&self, code: &str) {
        assert_eq!(self.code(), code, "{}", self.body);
    }

    /// The text of all elements with a name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let parts = self.body.split(&open).skip(1);
        parts.filter_map(|part| part.split(&close).next()).collect()
    }

    /// The text of the first element with a name.
    #[track_caller]
    pub fn get(&self, name: &str) -> String {
        let all = self.all(name);
        let first = all.first().unwrap_or_else(|| panic!("no {name} in {}", self.body));
        (*first).to_owned()
    }
}

/// A network to put things in.
#[derive(Debug, Clone)]
pub struct Net {
    pub vpc: String,
    pub gateway: String,
    pub subnets: [String; 2],
    pub group: String,
}

/// Makes a VPC with a gateway, two public subnets and a security group.
pub async fn network(cloud: &Cloud) -> Net {
    let vpc = cloud.ec2("CreateVpc&CidrBlock=10.0.0.0/16").await.ok().get("vpcId");
    let gateway = cloud.ec2("CreateInternetGateway").await.ok().get("internetGatewayId");
    let attach = format!("AttachInternetGateway&VpcId={vpc}&InternetGatewayId={gateway}");
    cloud.ec2(attach).await.ok();
    let mut subnets = Vec::new();
    for (at, zone) in ["a", "b"].into_iter().enumerate() {
        let call = format!(
            "CreateSubnet&VpcId={vpc}&CidrBlock=10.0.{at}.0/24&AvailabilityZone=eu-west-1{zone}"
        );
        let subnet = cloud.ec2(call).await.ok().get("subnetId");
        let public =
            format!("ModifySubnetAttribute&SubnetId={subnet}&MapPublicIpOnLaunch.Value=true");
        cloud.ec2(public).await.ok();
        subnets.push(subnet);
    }
    let group = format!("CreateSecurityGroup&GroupName=nodes&GroupDescription=nodes&VpcId={vpc}");
    let group = cloud.ec2(group).await.ok().get("groupId");
    cloud.pass(3).await;
    Net { vpc, gateway, subnets: subnets.try_into().unwrap(), group }
}

pub const IMAGE: &str = "ami-06c4be2792f419b7b";

/// A launch of small instances in the first subnet.
pub fn launch(net: &Net, count: u32) -> String {
    format!(
        "RunInstances&ImageId={IMAGE}&InstanceType=t3.small&MinCount={count}&MaxCount={count}\
         &SubnetId={}&SecurityGroupId.1={}",
        net.subnets[0], net.group
    )
}
