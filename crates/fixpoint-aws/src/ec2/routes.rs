//! Route tables, their routes, and which subnets use them.

use serde::{Deserialize, Serialize};

use super::operation::{operations, paged};
use super::wire::set;
use super::{Done, Filter, Tag, TagSpecification};

/// Makes a route table.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRouteTable {
    /// The VPC.
    pub vpc_id: String,
    /// Makes the call safe to repeat; at most 64 characters.
    pub client_token: Option<String>,
    /// Tags of the `route-table`.
    #[serde(rename = "TagSpecification")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// The new route table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CreatedRouteTable {
    /// Holds the local route only.
    pub route_table: RouteTable,
}

/// Lists route tables, the main one of each VPC among them.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeRouteTables {
    /// These only; all must exist.
    #[serde(rename = "RouteTableId")]
    pub route_table_ids: Vec<String>,
    /// Conditions.
    #[serde(rename = "Filter")]
    pub filters: Vec<Filter>,
    /// Items a page, 5 to 100.
    pub max_results: Option<u32>,
    /// The page.
    pub next_token: Option<String>,
}

/// A page of route tables.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteTables {
    /// The tables.
    #[serde(rename = "routeTableSet", deserialize_with = "set")]
    pub route_tables: Vec<RouteTable>,
    /// The next page, if there is one.
    pub next_token: Option<String>,
}

/// A route table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteTable {
    /// `rtb-...`
    pub route_table_id: String,
    /// Its VPC.
    pub vpc_id: String,
    /// Its routes.
    #[serde(rename = "routeSet", deserialize_with = "set")]
    pub routes: Vec<Route>,
    /// The subnets that use it.
    #[serde(rename = "associationSet", deserialize_with = "set")]
    pub associations: Vec<RouteTableAssociation>,
    /// Its tags.
    #[serde(rename = "tagSet", deserialize_with = "set")]
    pub tags: Vec<Tag>,
}

/// A route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Route {
    /// Where to.
    pub destination_cidr_block: String,
    /// By which gateway: `igw-...` or `local`.
    pub gateway_id: String,
    /// `active`, or `blackhole` when the gateway is gone.
    pub state: String,
    /// `CreateRouteTable` for the local route, `CreateRoute` for others.
    pub origin: String,
}

/// That a subnet uses a route table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RouteTableAssociation {
    /// `rtbassoc-...`
    pub route_table_association_id: String,
    /// The table.
    pub route_table_id: String,
    /// The subnet; empty for the main association of a VPC.
    pub subnet_id: String,
    /// True for the table of all subnets that have no other.
    pub main: bool,
}

/// Makes a route; a second one to the same destination is refused.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateRoute {
    /// The table.
    pub route_table_id: String,
    /// Where to.
    pub destination_cidr_block: String,
    /// By which gateway.
    pub gateway_id: Option<String>,
}

/// Deletes a route.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRoute {
    /// The table.
    pub route_table_id: String,
    /// Where to.
    pub destination_cidr_block: String,
}

/// Makes a subnet use a route table.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateRouteTable {
    /// The table.
    pub route_table_id: String,
    /// The subnet; refused if it has a table of its own already.
    pub subnet_id: String,
}

/// The new association.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AssociatedRouteTable {
    /// `rtbassoc-...`
    pub association_id: String,
}

/// Ends an association; the subnet falls back to the VPC's main table.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DisassociateRouteTable {
    /// `rtbassoc-...`
    pub association_id: String,
}

/// Deletes a route table that no subnet uses.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteRouteTable {
    /// The table.
    pub route_table_id: String,
}

operations! {
    CreateRouteTable => CreatedRouteTable,
    DescribeRouteTables => RouteTables,
    CreateRoute => Done,
    DeleteRoute => Done,
    AssociateRouteTable => AssociatedRouteTable,
    DisassociateRouteTable => Done,
    DeleteRouteTable => Done,
}
paged! {
    DescribeRouteTables: route_tables => RouteTable,
}
