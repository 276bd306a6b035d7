//! Route tables, their routes and associations.
//!
//! Not for gateways. The surprise: a route stays when its gateway goes and is then a `blackhole`.

use std::collections::BTreeMap;

use crate::sandbox::call::{Answer, Call};
use crate::sandbox::cidr::Cidr;
use crate::sandbox::entities::{RouteTable, Tags};
use crate::sandbox::refusal::Refusal;
use crate::sandbox::select::{Filter, GATEWAY, ROUTE_TABLE, SUBNET, VPC, page, select};
use crate::sandbox::world::{ACCOUNT, Region};
use crate::sandbox::xml::Xml;

use super::tags;

const FILTERS: &[Filter<RouteTable>] = &[
    ("route-table-id", |table, _| vec![table.id.clone()]),
    ("vpc-id", |table, _| vec![table.vpc.clone()]),
    ("association.main", |table, _| {
        table.associations.values().map(|subnet| subnet.is_none().to_string()).collect()
    }),
    ("association.route-table-association-id", |table, _| {
        table.associations.keys().cloned().collect()
    }),
    ("association.route-table-id", |table, _| vec![table.id.clone()]),
    ("association.subnet-id", |table, _| table.associations.values().flatten().cloned().collect()),
    ("route.destination-cidr-block", |table, _| {
        table.routes.keys().map(ToString::to_string).collect()
    }),
    ("route.gateway-id", |table, _| {
        table.routes.values().cloned().chain([String::from("local")]).collect()
    }),
    ("owner-id", |_, _| vec![ACCOUNT.into()]),
];

pub(super) fn create_route_table(call: &mut Call<'_>) -> Answer {
    const OPERATION: &str = "CreateRouteTable";
    if let Some(id) = call.made_before(OPERATION)? {
        let table = ROUTE_TABLE.find(&call.region.route_tables, &id)?;
        let mut xml = call.xml();
        xml.node("routeTable", |xml| write(xml, table, call.region));
        return Ok(xml);
    }
    let vpc = VPC.find(&call.region.vpcs, call.params.need("VpcId")?)?.id.clone();
    let given: Tags = tags::specified(call.params, "route-table", &["route-table"])?;
    let table = RouteTable {
        id: call.dice.id("rtb"),
        vpc,
        routes: BTreeMap::new(),
        associations: BTreeMap::new(),
        seen_from: call.seen_from(),
        tags: given,
    };
    call.remember(OPERATION, &table.id);
    let mut xml = call.xml();
    xml.node("routeTable", |xml| write(xml, &table, call.region));
    xml.maybe("clientToken", call.params.text("ClientToken"));
    call.region.route_tables.insert(table.id.clone(), table);
    Ok(xml)
}

pub(super) fn describe_route_tables(call: &mut Call<'_>) -> Answer {
    let found = select(call, &call.region.route_tables, &ROUTE_TABLE, "RouteTableId", FILTERS)?;
    let (tables, next) = page(call, found, "RouteTableId", |table| table.id.clone())?;
    let mut xml = call.xml();
    xml.list("routeTableSet", tables, |xml, table| write(xml, table, call.region))
        .token("nextToken", next);
    Ok(xml)
}

pub(super) fn create_route(call: &mut Call<'_>) -> Answer {
    let destination = destination(call)?;
    let gateway = call.params.need("GatewayId")?;
    let attached_to = GATEWAY.find(&call.region.gateways, gateway)?.vpc.clone();
    let table_id = call.params.need("RouteTableId")?;
    let vpc_id = &ROUTE_TABLE.find(&call.region.route_tables, table_id)?.vpc;
    if attached_to.as_deref() != Some(vpc_id.as_str()) {
        return Err(Refusal::invalid(format!(
            "route table {table_id} and network gateway {gateway} belong to different networks"
        )));
    }
    if call.region.vpcs.get(vpc_id).is_some_and(|vpc| vpc.cidr.contains(destination)) {
        return Err(Refusal::invalid(format!(
            "The destination CIDR block {destination} is equal to or more specific than one of \
             this VPC's CIDR blocks. This route can target only an interface or an instance."
        )));
    }
    let table = ROUTE_TABLE.find_mut(&mut call.region.route_tables, table_id)?;
    if table.routes.contains_key(&destination) {
        return Err(Refusal::new(
            "RouteAlreadyExists",
            format!("The route identified by {destination} already exists."),
        ));
    }
    table.routes.insert(destination, gateway.to_owned());
    call.done()
}

pub(super) fn delete_route(call: &mut Call<'_>) -> Answer {
    let destination = destination(call)?;
    let id = call.params.need("RouteTableId")?;
    let table = ROUTE_TABLE.find_mut(&mut call.region.route_tables, id)?;
    if table.routes.remove(&destination).is_none() {
        return Err(Refusal::new(
            "InvalidRoute.NotFound",
            format!("no route with destination-cidr-block {destination} in route table {id}"),
        ));
    }
    call.done()
}

pub(super) fn associate_route_table(call: &mut Call<'_>) -> Answer {
    let subnet = SUBNET.find(&call.region.subnets, call.params.need("SubnetId")?)?;
    let (subnet_id, subnet_vpc) = (subnet.id.clone(), subnet.vpc.clone());
    let id = call.params.need("RouteTableId")?;
    if ROUTE_TABLE.find(&call.region.route_tables, id)?.vpc != subnet_vpc {
        return Err(Refusal::invalid(format!(
            "Route table {id} and subnet {subnet_id} belong to different networks"
        )));
    }
    for table in call.region.route_tables.values() {
        let holds = |(_, subnet): &(&String, &Option<String>)| subnet.as_ref() == Some(&subnet_id);
        if let Some((association, _)) = table.associations.iter().find(holds) {
            // Associating the same table again is answered with the association there is.
            if table.id == id {
                return Ok(association_answer(call, association));
            }
            return Err(Refusal::new(
                "Resource.AlreadyAssociated",
                format!(
                    "the specified association for route table {id} conflicts with an \
                         existing association"
                ),
            ));
        }
    }
    let association = call.dice.id("rtbassoc");
    let table = ROUTE_TABLE.find_mut(&mut call.region.route_tables, id)?;
    table.associations.insert(association.clone(), Some(subnet_id));
    Ok(association_answer(call, &association))
}

pub(super) fn disassociate_route_table(call: &mut Call<'_>) -> Answer {
    let id = call.params.need("AssociationId")?;
    let table =
        call.region.route_tables.values_mut().find(|table| table.associations.contains_key(id));
    let Some(table) = table else {
        return Err(Refusal::new(
            "InvalidAssociationID.NotFound",
            format!("The association ID '{id}' does not exist"),
        ));
    };
    if table.associations.get(id).is_some_and(Option::is_none) {
        return Err(Refusal::invalid("cannot disassociate the main route table association"));
    }
    table.associations.remove(id);
    call.done()
}

pub(super) fn delete_route_table(call: &mut Call<'_>) -> Answer {
    let id = call.params.need("RouteTableId")?;
    ROUTE_TABLE.find(&call.region.route_tables, id)?;
    // The main association of a VPC's own table holds it too.
    if !call.region.holders(id).is_empty() {
        return Err(Refusal::dependency("routeTable", id));
    }
    call.region.route_tables.remove(id);
    call.done()
}

fn association_answer(call: &Call<'_>, association: &str) -> Xml {
    let mut xml = call.xml();
    xml.text("associationId", association).node("associationState", |xml| {
        xml.text("state", "associated");
    });
    xml
}

fn destination(call: &Call<'_>) -> Result<Cidr, Refusal> {
    let text = call.params.need("DestinationCidrBlock")?;
    Cidr::parse(text).filter(|_| Cidr::is_exact(text)).ok_or_else(|| {
        Refusal::invalid(format!(
            "Value ({text}) for parameter destinationCidrBlock is invalid. This is not a valid \
             CIDR block."
        ))
    })
}

fn write(xml: &mut Xml, table: &RouteTable, region: &Region) {
    let local = region.vpcs.get(&table.vpc).map(|vpc| vpc.cidr);
    let is_alive = |gateway: &str| {
        region.gateways.get(gateway).is_some_and(|one| one.vpc.as_ref() == Some(&table.vpc))
    };
    let own = local.iter().map(|cidr| (cidr, "local", "active", "CreateRouteTable"));
    let routes = table.routes.iter().map(|(destination, gateway)| {
        let state = if is_alive(gateway) { "active" } else { "blackhole" };
        (destination, gateway.as_str(), state, "CreateRoute")
    });
    xml.text("routeTableId", &table.id)
        .text("vpcId", &table.vpc)
        .text("ownerId", ACCOUNT)
        .list("routeSet", own.chain(routes), |xml, (destination, gateway, state, origin)| {
            xml.text("destinationCidrBlock", destination)
                .text("gatewayId", gateway)
                .text("state", state)
                .text("origin", origin);
        })
        .list("associationSet", &table.associations, |xml, (id, subnet)| {
            xml.text("routeTableAssociationId", id)
                .text("routeTableId", &table.id)
                .maybe("subnetId", subnet.as_ref())
                .text("main", subnet.is_none())
                .node("associationState", |xml| {
                    xml.text("state", "associated");
                });
        })
        .list("propagatingVgwSet", None::<()>, |_, ()| {});
    tags::write(xml, &table.tags);
}
