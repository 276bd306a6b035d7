//! Wide: many services, a trace scattered over their requests, bodies in a quarter of the spans.
//!
//! Of the size and the variety that a busy company's traces have.

use super::{Failure, Span, Text, Trace, Value, duration, pick};

/// Each with the five operations that stand at its place, times five, in [`OPERATIONS`].
const SERVICES: [&str; 20] = [
    "gateway",
    "checkout",
    "cart",
    "catalog",
    "search",
    "pricing",
    "stock",
    "shipping",
    "billing",
    "ledger",
    "accounts",
    "sessions",
    "mail",
    "push",
    "reviews",
    "images",
    "fraud",
    "exports",
    "scheduler",
    "audit",
];
const OPERATIONS: [&str; 100] = [
    "GET /v1/cart",
    "POST /v1/orders",
    "GET /v1/items/{id}",
    "GET /v1/search",
    "GET /v1/me",
    "Checkout/Begin",
    "Checkout/Price",
    "Checkout/Pay",
    "Checkout/Confirm",
    "Checkout/Cancel",
    "Cart/Get",
    "Cart/Add",
    "Cart/Remove",
    "Cart/Merge",
    "Cart/Expire",
    "Catalog/Get",
    "Catalog/List",
    "Catalog/Import",
    "Catalog/Related",
    "Catalog/Reindex",
    "Search/Query",
    "Search/Suggest",
    "Search/Facets",
    "Search/Index",
    "Search/Warm",
    "Pricing/Quote",
    "Pricing/Discounts",
    "Pricing/Tax",
    "Pricing/Rates",
    "Pricing/Round",
    "Stock/Reserve",
    "Stock/Release",
    "Stock/Level",
    "Stock/Move",
    "Stock/Count",
    "Shipping/Quote",
    "Shipping/Label",
    "Shipping/Track",
    "Shipping/Pickup",
    "Shipping/Zones",
    "Billing/Charge",
    "Billing/Refund",
    "Billing/Invoice",
    "Billing/Methods",
    "Billing/Retry",
    "Ledger/Post",
    "Ledger/Balance",
    "Ledger/Close",
    "Ledger/Export",
    "Ledger/Reconcile",
    "Accounts/Get",
    "Accounts/Update",
    "Accounts/Verify",
    "Accounts/Lock",
    "Accounts/Addresses",
    "Sessions/Check",
    "Sessions/Open",
    "Sessions/Close",
    "Sessions/Refresh",
    "Sessions/List",
    "Mail/Send",
    "Mail/Render",
    "Mail/Bounce",
    "Mail/Queue",
    "Mail/Templates",
    "Push/Send",
    "Push/Register",
    "Push/Forget",
    "Push/Topics",
    "Push/Batch",
    "Reviews/List",
    "Reviews/Write",
    "Reviews/Score",
    "Reviews/Flag",
    "Reviews/Summary",
    "Images/Get",
    "Images/Resize",
    "Images/Put",
    "Images/Purge",
    "Images/Scan",
    "Fraud/Score",
    "Fraud/Rules",
    "Fraud/Report",
    "Fraud/Allow",
    "Fraud/Features",
    "Exports/Start",
    "Exports/Chunk",
    "Exports/Finish",
    "Exports/List",
    "Exports/Sign",
    "Scheduler/Run",
    "Scheduler/Plan",
    "Scheduler/Lease",
    "Scheduler/Tick",
    "Scheduler/Skip",
    "Audit/Write",
    "Audit/Read",
    "Audit/Seal",
    "Audit/Verify",
    "Audit/Rotate",
];
const REGIONS: [&str; 4] = ["eu-west-1", "eu-central-1", "us-east-1", "ap-southeast-2"];
const EXCEPTIONS: [&str; 3] =
    ["java.net.SocketTimeoutException", "com.amazonaws.ThrottlingException", "java.io.IOException"];

/// A tree of 20 to 100 spans, each of any service, each beneath one that came before it.
pub(super) fn trace(rng: &mut fastrand::Rng) -> Trace {
    let id = [rng.u64(..), rng.u64(..)];
    let tenant = format!("tenant-{:04}", rng.u16(..1000));
    let region = pick(rng, &REGIONS);
    let mut spans: Vec<Span> = Vec::new();
    for at in 0..rng.usize(20..=100) {
        let service = if at == 0 { 0 } else { rng.usize(..SERVICES.len()) };
        let operation = service * 5 + rng.usize(..5);
        let parent = (at > 0).then(|| &spans[rng.usize(at.saturating_sub(12)..at)]);
        let (start, end) = match parent {
            None => (0, duration(rng, 20.0, 3000.0)),
            Some(parent) => {
                let length = parent.end - parent.start;
                let start = parent.start + rng.u64(..=length / 2);
                (start, start + rng.u64(1..=(length / 2).max(1)))
            }
        };
        let parent = parent.map(|parent| parent.id);
        let mut attributes = attributes(rng, service, operation, &tenant, region);
        if rng.bool() {
            attributes.push(("cpu.seconds", Value::Double(rng.f64())));
        }
        if rng.u8(..4) == 0 {
            attributes.push(("aws.request.body", body(rng).into()));
            attributes.push(("aws.response.body", body(rng).into()));
        }
        spans.push(Span {
            id: rng.u64(..),
            parent,
            service: SERVICES[service],
            name: OPERATIONS[operation],
            kind: if at == 0 { 2 } else { pick(rng, &[1, 2, 3]) },
            start,
            end,
            attributes,
            failure: (rng.u8(..50) == 0).then(|| failure(rng)),
        });
    }
    Trace { id, spans }
}

fn attributes(
    rng: &mut fastrand::Rng,
    service: usize,
    operation: usize,
    tenant: &str,
    region: &'static str,
) -> Vec<(&'static str, Value)> {
    vec![
        ("rpc.system.name", "grpc".into()),
        ("rpc.method", OPERATIONS[operation].into()),
        ("http.response.status_code", Value::Int(if rng.u8(..20) == 0 { 404 } else { 200 })),
        ("server.address", format!("{}.internal.example.com", SERVICES[service]).into()),
        ("server.port", Value::Int(8000 + i64::try_from(service).unwrap_or_default())),
        ("cloud.region", region.into()),
        ("k8s.pod.name", format!("{}-6f9c7d5b4-{:02}", SERVICES[service], rng.u8(..8)).into()),
        ("tenant.id", tenant.into()),
        ("enduser.id", format!("user-{:05}", rng.u16(..10_000)).into()),
        ("thread.name", format!("worker-{}", rng.u8(..16)).into()),
        ("code.function.name", format!("com.example.{}.Handler.handle", SERVICES[service]).into()),
        ("request.id", Text::default().uuid(rng).into()),
    ]
}

/// 300 to 1,500 bytes of JSON as AWS has it, with ids in it.
fn body(rng: &mut fastrand::Rng) -> Text {
    let wanted = rng.usize(300..1500);
    let mut text = Text::default().plain("{\"Reservations\":[");
    let mut length = 20;
    while length < wanted {
        if length > 20 {
            text = text.plain(",");
        }
        let (zone, size) = (pick(rng, &["a", "b", "c"]), pick(rng, &["large", "xlarge", "medium"]));
        let address = format!("10.0.{}.{}", rng.u8(..), rng.u8(..));
        text = text.plain("{\"InstanceId\":\"i-0").hex(rng, 16);
        text = text.plain("\",\"SubnetId\":\"subnet-0").hex(rng, 16).plain(format!(
            "\",\"InstanceType\":\"m6i.{size}\",\"PrivateIpAddress\":\"{address}\",\
             \"State\":{{\"Code\":16,\"Name\":\"running\"}},\"Placement\":{{\"AvailabilityZone\":\
             \"eu-west-1{zone}\",\"Tenancy\":\"default\"}}}}"
        ));
        length += 250;
    }
    text.plain("]}")
}

fn failure(rng: &mut fastrand::Rng) -> Failure {
    let kind = pick(rng, &EXCEPTIONS);
    let frames = (0..rng.u8(4..9)).map(|_| {
        let service = pick(rng, &SERVICES);
        format!("\n\tat com.example.{service}.Client.call(Client.java:{})", rng.u16(20..900))
    });
    let stack = std::iter::once(kind.to_owned()).chain(frames).collect();
    let message = Text::default().plain("no answer for request ").hex(rng, 16);
    Failure { message, kind, stack }
}
