//! EC2 as the sandbox knows it: one function per operation, found by name.
//!
//! Not for the wire. The surprise: there is no default VPC; an account of the sandbox starts bare.

mod attached;
mod catalog;
mod compute;
mod gateways;
mod instances;
mod keys;
mod network;
mod routes;
mod rules;
mod security;
mod subnets;
mod tags;

use super::call::{Answer, Call};
use super::refusal::Refusal;

pub(super) use compute::new_interface;

/// Answers one EC2 call.
pub(super) fn handle(operation: &str, call: &mut Call<'_>) -> Answer {
    match operation {
        "DescribeAvailabilityZones" => catalog::describe_availability_zones(call),
        "DescribeInstanceTypeOfferings" => catalog::describe_instance_type_offerings(call),
        "DescribeImages" => catalog::describe_images(call),
        "CreateVpc" => network::create_vpc(call),
        "DescribeVpcs" => network::describe_vpcs(call),
        "ModifyVpcAttribute" => network::modify_vpc_attribute(call),
        "DescribeVpcAttribute" => network::describe_vpc_attribute(call),
        "DeleteVpc" => network::delete_vpc(call),
        "CreateSubnet" => subnets::create_subnet(call),
        "DescribeSubnets" => subnets::describe_subnets(call),
        "ModifySubnetAttribute" => subnets::modify_subnet_attribute(call),
        "DeleteSubnet" => subnets::delete_subnet(call),
        "CreateInternetGateway" => gateways::create(call),
        "DescribeInternetGateways" => gateways::describe(call),
        "AttachInternetGateway" => gateways::attach(call),
        "DetachInternetGateway" => gateways::detach(call),
        "DeleteInternetGateway" => gateways::delete(call),
        "CreateRouteTable" => routes::create_route_table(call),
        "DescribeRouteTables" => routes::describe_route_tables(call),
        "CreateRoute" => routes::create_route(call),
        "DeleteRoute" => routes::delete_route(call),
        "AssociateRouteTable" => routes::associate_route_table(call),
        "DisassociateRouteTable" => routes::disassociate_route_table(call),
        "DeleteRouteTable" => routes::delete_route_table(call),
        "CreateSecurityGroup" => security::create_security_group(call),
        "DescribeSecurityGroups" => security::describe_security_groups(call),
        "DeleteSecurityGroup" => security::delete_security_group(call),
        "DescribeSecurityGroupRules" => rules::describe(call),
        "AuthorizeSecurityGroupIngress" => rules::authorize(call, false),
        "AuthorizeSecurityGroupEgress" => rules::authorize(call, true),
        "RevokeSecurityGroupIngress" => rules::revoke(call, false),
        "RevokeSecurityGroupEgress" => rules::revoke(call, true),
        "CreateKeyPair" => keys::create_key_pair(call),
        "ImportKeyPair" => keys::import_key_pair(call),
        "DescribeKeyPairs" => keys::describe_key_pairs(call),
        "DeleteKeyPair" => keys::delete_key_pair(call),
        "RunInstances" => compute::run_instances(call),
        "DescribeInstances" => instances::describe_instances(call),
        "DescribeInstanceStatus" => instances::describe_instance_status(call),
        "DescribeInstanceAttribute" => instances::describe_instance_attribute(call),
        "ModifyInstanceAttribute" => instances::modify_instance_attribute(call),
        "TerminateInstances" => instances::terminate_instances(call),
        "DescribeVolumes" => attached::describe_volumes(call),
        "DescribeNetworkInterfaces" => attached::describe_network_interfaces(call),
        "CreateTags" => tags::create_tags(call),
        "DeleteTags" => tags::delete_tags(call),
        "DescribeTags" => tags::describe_tags(call),
        other => Err(Refusal::new(
            "InvalidAction",
            format!("The action {other} is not valid for this web service."),
        )),
    }
}
