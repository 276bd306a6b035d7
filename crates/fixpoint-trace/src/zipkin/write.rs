//! Makes Zipkin's spans of the model's.
//!
//! Not here: either shape itself. The surprise: attributes that an endpoint says stand there and
//! not among the tags, but an attribute that merely stands in for the name of the other side, as
//! `server.address` does, is found in both.

use std::net::IpAddr;

use indexmap::IndexMap;

use super::{
    DEBUG, LOCAL_ADDRESS, LOCAL_IPV6, LOCAL_PORT, NO_TIMESTAMP, PEER_ADDRESS, PEER_IPV6, PEER_PORT,
    PEER_SERVICE, SHARED, SHARED_PARENT, annotation, wire,
};
use crate::{
    formats::{
        lenient::{Int, short_trace_id},
        tags,
    },
    model::{Attributes, Event, Kind, Span, SpanId, Status, Value},
    semconv::{self, special::STATUS_CODE},
};

/// What the other side may be called by, the best first; after `peer.service`.
const PEER_NAMES: [&str; 7] = [
    semconv::SERVER_ADDRESS,
    "net.peer.name",
    "server.socket.domain",
    "net.sock.peer.name",
    "peer.hostname",
    "peer.address",
    "db.name",
];

pub(super) fn span(span: &Span) -> wire::Span {
    // Attributes are taken off as they find another place; the rest are tags.
    let mut rest = span.attributes.clone();
    let (id, parent) = ids(span, &mut rest);
    let mut local = endpoint(&mut rest, [LOCAL_ADDRESS, LOCAL_PORT, LOCAL_IPV6]);
    span.service().clone_into(&mut local.service_name);
    let mut remote = endpoint(&mut rest, [PEER_ADDRESS, PEER_PORT, PEER_IPV6]);
    remote.service_name = peer(span.kind, &mut rest);
    let debug = rest.shift_remove(DEBUG).is_some();
    let shared = rest.shift_remove(SHARED).is_some();
    let timed = rest.shift_remove(NO_TIMESTAMP).is_none();
    wire::Span {
        trace_id: short_trace_id(span.trace_id),
        parent_id: parent,
        id,
        kind: match span.kind {
            Kind::Internal => None,
            Kind::Client => Some(wire::Kind::Client),
            Kind::Server => Some(wire::Kind::Server),
            Kind::Producer => Some(wire::Kind::Producer),
            Kind::Consumer => Some(wire::Kind::Consumer),
        },
        name: span.name.clone(),
        timestamp: Int(if timed { span.start / 1000 } else { 0 }),
        duration: Int(micros(span.duration().unwrap_or(0))),
        local_endpoint: local,
        remote_endpoint: remote,
        annotations: span.events.iter().map(annotation).collect(),
        tags: tags(span, rest),
        debug,
        shared,
    }
}

/// A duration; one that is less than a microsecond is rounded up, since 0 says that none is known.
fn micros(nanos: u64) -> u64 {
    match nanos {
        1..1000 => 1,
        nanos => nanos / 1000,
    }
}

/// The span's id and that of its parent. The server's half of a span goes by the client's.
fn ids(span: &Span, attributes: &mut Attributes) -> (String, String) {
    let text = |id: Option<SpanId>| id.map(|id| id.to_string()).unwrap_or_default();
    if !attributes.contains_key(SHARED) {
        return (span.span_id.to_string(), text(span.parent));
    }
    let parent = attributes.shift_remove(SHARED_PARENT);
    let parent = parent.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    (text(span.parent.or(Some(span.span_id))), parent)
}

fn endpoint(attributes: &mut Attributes, [address, port, ipv6]: [&str; 3]) -> wire::Endpoint {
    let mut endpoint = wire::Endpoint::default();
    for name in [address, ipv6] {
        let text = attributes.get(name).and_then(Value::as_str).unwrap_or_default();
        match text.parse() {
            Ok(IpAddr::V4(_)) => text.clone_into(&mut endpoint.ipv4),
            Ok(IpAddr::V6(_)) => text.clone_into(&mut endpoint.ipv6),
            // A name, or a path of a socket, which Zipkin has no place for.
            Err(_) => continue,
        }
        attributes.shift_remove(name);
    }
    let number = attributes.get(port).and_then(|port| port.to_text().parse().ok());
    if let Some(number) = number {
        endpoint.port = Int(number);
        attributes.shift_remove(port);
    }
    endpoint
}

/// The name of the other side. Without one, Zipkin would not see whom a client calls.
fn peer(kind: Kind, attributes: &mut Attributes) -> String {
    if let Some(Value::String(name)) = attributes.get(PEER_SERVICE) {
        let name = name.clone();
        attributes.shift_remove(PEER_SERVICE);
        return name;
    }
    if !matches!(kind, Kind::Client | Kind::Producer) {
        return String::new();
    }
    let name = PEER_NAMES.iter().find_map(|name| attributes.get(*name)?.as_str());
    name.unwrap_or_default().to_owned()
}

fn annotation(event: &Event) -> wire::Annotation {
    let value = annotation::text(event).into_owned();
    wire::Annotation { timestamp: Int(event.time / 1000), value }
}

/// Attributes of the span, then what its fields say, then what its resource says; of several by
/// one name the first counts.
fn tags(span: &Span, attributes: Attributes) -> IndexMap<String, wire::Text> {
    let mut tags: IndexMap<_, _> = attributes
        .into_iter()
        // Zipkin takes any error for a failure, also one that is none.
        .filter(|(name, value)| !(name == tags::ERROR && *value == Value::Bool(false)))
        .map(|(name, value)| (name, wire::Text(value.to_text().into_owned())))
        .collect();
    match &span.status {
        Status::Unset => {}
        Status::Ok => add(&mut tags, STATUS_CODE, "OK".to_owned()),
        Status::Error(why) if why.is_empty() => add(&mut tags, tags::ERROR, String::new()),
        Status::Error(why) => {
            tags.insert(tags::ERROR.to_owned(), wire::Text(why.clone()));
        }
    }
    for (name, value) in tags::of_fields(span) {
        add(&mut tags, name, value.to_text().into_owned());
    }
    for (name, value) in span.resource.iter().filter(|(name, _)| *name != semconv::SERVICE_NAME) {
        add(&mut tags, name, value.to_text().into_owned());
    }
    tags
}

/// Adds a tag unless there is one of that name.
fn add(tags: &mut IndexMap<String, wire::Text>, name: &str, value: String) {
    tags.entry(name.to_owned()).or_insert(wire::Text(value));
}
