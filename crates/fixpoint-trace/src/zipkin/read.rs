//! Makes the model's spans of Zipkin's.
//!
//! Not here: either shape itself. The surprise: a span without a duration has ended when it
//! started. Zipkin's tracers report a span once, when it is over, so one that does not know how
//! long it took will never tell; to keep it open would show it as running for ever.

use std::{collections::HashMap, sync::Arc};

use super::{
    DEBUG, LOCAL_ADDRESS, LOCAL_IPV6, LOCAL_PORT, NO_TIMESTAMP, PEER_ADDRESS, PEER_IPV6, PEER_PORT,
    PEER_SERVICE, SHARED, SHARED_PARENT, annotation, wire,
};
use crate::{
    formats::{lenient, tags},
    model::{
        Attributes, Event, InvalidId, Kind, Resource, Span, SpanContext, SpanId, UnixNanos, Value,
    },
    semconv,
};

/// How many annotations a request may hold: one takes two bytes on the wire, and a hundred here.
const MAX_ANNOTATIONS: usize = 512 << 10;

/// Why a span is not valid.
#[derive(Debug, thiserror::Error)]
pub(super) enum Invalid {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("the request holds more than {MAX_ANNOTATIONS} annotations")]
    Annotations,
}

/// Reads the spans of one request.
#[derive(Debug)]
pub(super) struct Reader {
    /// How many annotations it may still hold.
    annotations: usize,
    /// Spans of one service share their resource.
    resources: HashMap<String, Arc<Resource>>,
    /// When the request came.
    now: UnixNanos,
}

impl Reader {
    pub(super) fn new(now: UnixNanos) -> Self {
        Self { annotations: MAX_ANNOTATIONS, resources: HashMap::new(), now }
    }

    pub(super) fn span(&mut self, span: wire::Span) -> Result<Span, Invalid> {
        let left = self.annotations.checked_sub(span.annotations.len());
        self.annotations = left.ok_or(Invalid::Annotations)?;
        let trace_id = lenient::trace_id(&span.trace_id)?;
        let id = lenient::span_id(&span.id)?;
        let mut attributes: Attributes =
            span.tags.into_iter().map(|(key, value)| (key, Value::String(value.0))).collect();
        // Zipkin undoes a span that is its own parent.
        let parent = parent(&span.parent_id)?.filter(|&parent| parent != id);
        let shared = span.shared && span.kind != Some(wire::Kind::Client);
        let (span_id, parent) = if shared {
            attributes.insert(SHARED.to_owned(), Value::Bool(true));
            if let Some(parent) = parent {
                attributes.insert(SHARED_PARENT.to_owned(), Value::String(parent.to_string()));
            }
            (half_of(id, &span.local_endpoint), Some(id))
        } else {
            (id, parent)
        };
        let (start, known) = self.start(span.timestamp.0, &span.annotations);
        if !known {
            attributes.insert(NO_TIMESTAMP.to_owned(), Value::Bool(true));
        }
        if span.debug {
            attributes.insert(DEBUG.to_owned(), Value::Bool(true));
        }
        let resource = self.resource(&span.local_endpoint.service_name);
        let local = [LOCAL_ADDRESS, LOCAL_PORT, LOCAL_IPV6];
        address(&mut attributes, &span.local_endpoint, local);
        let remote = [PEER_ADDRESS, PEER_PORT, PEER_IPV6];
        address(&mut attributes, &span.remote_endpoint, remote);
        let peer = span.remote_endpoint.service_name;
        if !peer.is_empty() {
            attributes.entry(PEER_SERVICE.to_owned()).or_insert(Value::String(peer));
        }
        let mut span = Span {
            parent,
            kind: match span.kind {
                None => Kind::Internal,
                Some(wire::Kind::Client) => Kind::Client,
                Some(wire::Kind::Server) => Kind::Server,
                Some(wire::Kind::Producer) => Kind::Producer,
                Some(wire::Kind::Consumer) => Kind::Consumer,
            },
            end: Some(start.saturating_add(nanos(span.duration.0))),
            attributes,
            events: span.annotations.into_iter().map(event).collect(),
            resource,
            ..Span::new(SpanContext { trace_id, span_id }, span.name, start)
        };
        tags::into_fields(&mut span);
        Ok(span)
    }

    /// When the span started, and whether it said so. One that did not started with its first
    /// annotation or, if it has none, when it came.
    fn start(&self, timestamp: u64, annotations: &[wire::Annotation]) -> (UnixNanos, bool) {
        let first = || annotations.iter().map(|annotation| annotation.timestamp.0).min();
        match timestamp {
            0 => (first().map_or(self.now, nanos), false),
            micros => (nanos(micros), true),
        }
    }

    fn resource(&mut self, service: &str) -> Arc<Resource> {
        let resource = self.resources.entry(service.to_owned()).or_insert_with(|| {
            let name = (!service.is_empty())
                .then(|| (semconv::SERVICE_NAME.to_owned(), Value::from(service)));
            Arc::new(name.into_iter().collect())
        });
        resource.clone()
    }
}

fn nanos(micros: u64) -> UnixNanos {
    micros.saturating_mul(1000)
}

/// None if it is left out, or all zero.
fn parent(id: &str) -> Result<Option<SpanId>, InvalidId> {
    let none = id.len() <= 16 && id.bytes().all(|digit| digit == b'0');
    if none { Ok(None) } else { lenient::span_id(id).map(Some) }
}

/// An id for the server's half of a span: the same whenever it is sent, another for each server
/// that answers, should there be several. (FNV-1a, 64 bits.)
fn half_of(id: SpanId, server: &wire::Endpoint) -> SpanId {
    let port = server.port.0.to_be_bytes();
    let of =
        [server.service_name.as_bytes(), server.ipv4.as_bytes(), server.ipv6.as_bytes(), &port];
    let bytes = id.to_bytes().into_iter().chain(of.into_iter().flatten().copied());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    SpanId::from_bytes(hash.to_be_bytes()).unwrap_or(id)
}

fn address(
    attributes: &mut Attributes,
    endpoint: &wire::Endpoint,
    [address, port, ipv6]: [&str; 3],
) {
    let mut add = |name: &str, value| {
        attributes.insert(name.to_owned(), value);
    };
    match (endpoint.ipv4.as_str(), endpoint.ipv6.as_str()) {
        ("", "") => {}
        (only, "") | ("", only) => add(address, only.into()),
        (first, second) => {
            add(address, first.into());
            add(ipv6, second.into());
        }
    }
    if endpoint.port.0 != 0 {
        add(port, Value::Int(endpoint.port.0.into()));
    }
}

fn event(annotation: wire::Annotation) -> Event {
    let (name, attributes) = annotation::event(annotation.value);
    Event { time: nanos(annotation.timestamp.0), name, attributes, ..Event::default() }
}
