//! Zipkin's spans as they stand in JSON and in protobuf.
//!
//! Not here: what they mean to us. The surprise: protobuf's spans are made into JSON's, which say
//! the same in text, so that there is one way on from here.
//!
//! <https://github.com/openzipkin/zipkin-api>: `zipkin2-api.yaml`, `zipkin.proto`.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::Value as Json;

use crate::formats::lenient::Int;

/// A span. Whatever is its type's default is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Span {
    pub(super) trace_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) parent_id: String,
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// In microseconds since the Unix epoch; 0 if it is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) timestamp: Int<u64>,
    /// In microseconds; 0 if it is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) duration: Int<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) local_endpoint: Endpoint,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) remote_endpoint: Endpoint,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) annotations: Vec<Annotation>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub(super) tags: IndexMap<String, Text>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) debug: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) shared: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Kind {
    Client,
    Server,
    Producer,
    Consumer,
}

/// Who did it, or who was called.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) service_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ipv4: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) ipv6: String,
    /// 0 if it is not known.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) port: Int<u16>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Annotation {
    /// In microseconds since the Unix epoch.
    pub(super) timestamp: Int<u64>,
    pub(super) value: String,
}

/// A tag's value: text, though some senders write numbers.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Json::deserialize(d)? {
            Json::String(text) => Ok(Self(text)),
            json @ (Json::Bool(_) | Json::Number(_)) => Ok(Self(json.to_string())),
            _ => Err(D::Error::custom("a tag's value is no text")),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `zipkin.proto3.ListOfSpans`, with its spans not decoded, so that each can fail alone.
#[derive(prost::Message)]
pub(super) struct ListOfSpans {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) spans: Vec<Vec<u8>>,
}

/// `zipkin.proto3.Span`
#[derive(prost::Message)]
pub(super) struct ProtoSpan {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) parent_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) id: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub(super) kind: i32,
    #[prost(string, tag = "5")]
    pub(super) name: String,
    #[prost(fixed64, tag = "6")]
    pub(super) timestamp: u64,
    #[prost(uint64, tag = "7")]
    pub(super) duration: u64,
    #[prost(message, optional, tag = "8")]
    pub(super) local_endpoint: Option<ProtoEndpoint>,
    #[prost(message, optional, tag = "9")]
    pub(super) remote_endpoint: Option<ProtoEndpoint>,
    #[prost(message, repeated, tag = "10")]
    pub(super) annotations: Vec<ProtoAnnotation>,
    #[prost(btree_map = "string, string", tag = "11")]
    pub(super) tags: BTreeMap<String, String>,
    #[prost(bool, tag = "12")]
    pub(super) debug: bool,
    #[prost(bool, tag = "13")]
    pub(super) shared: bool,
}

/// `zipkin.proto3.Endpoint`
#[derive(prost::Message)]
pub(super) struct ProtoEndpoint {
    #[prost(string, tag = "1")]
    pub(super) service_name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) ipv4: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) ipv6: Vec<u8>,
    #[prost(int32, tag = "4")]
    pub(super) port: i32,
}

/// `zipkin.proto3.Annotation`
#[derive(prost::Message)]
pub(super) struct ProtoAnnotation {
    #[prost(fixed64, tag = "1")]
    pub(super) timestamp: u64,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

impl From<ProtoSpan> for Span {
    fn from(span: ProtoSpan) -> Self {
        Self {
            trace_id: hex::encode(span.trace_id),
            parent_id: hex::encode(span.parent_id),
            id: hex::encode(span.id),
            kind: match span.kind {
                1 => Some(Kind::Client),
                2 => Some(Kind::Server),
                3 => Some(Kind::Producer),
                4 => Some(Kind::Consumer),
                _ => None,
            },
            name: span.name,
            timestamp: Int(span.timestamp),
            duration: Int(span.duration),
            local_endpoint: span.local_endpoint.map(Endpoint::from).unwrap_or_default(),
            remote_endpoint: span.remote_endpoint.map(Endpoint::from).unwrap_or_default(),
            annotations: span.annotations.into_iter().map(Annotation::from).collect(),
            tags: span.tags.into_iter().map(|(key, value)| (key, Text(value))).collect(),
            debug: span.debug,
            shared: span.shared,
        }
    }
}

impl From<ProtoEndpoint> for Endpoint {
    /// Addresses and ports that cannot be are as good as none.
    fn from(endpoint: ProtoEndpoint) -> Self {
        let ipv4 = <[u8; 4]>::try_from(endpoint.ipv4).map(|ip| Ipv4Addr::from(ip).to_string());
        let ipv6 = <[u8; 16]>::try_from(endpoint.ipv6).map(|ip| Ipv6Addr::from(ip).to_string());
        Self {
            service_name: endpoint.service_name,
            ipv4: ipv4.unwrap_or_default(),
            ipv6: ipv6.unwrap_or_default(),
            port: Int(endpoint.port.try_into().unwrap_or(0)),
        }
    }
}

impl From<ProtoAnnotation> for Annotation {
    fn from(annotation: ProtoAnnotation) -> Self {
        Self { timestamp: Int(annotation.timestamp), value: annotation.value }
    }
}
