//! One connection to a server, by any of the protocols.
//!
//! Not here: what to do when it refuses (`drive.rs`). The surprise: gRPC messages are passed on as
//! the bytes they are; the usual client would encode each again.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{StatusCode, header};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

use crate::encode::Encoding;

/// How to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// OTLP over gRPC
    OtlpGrpc,
    /// OTLP in protobuf over HTTP
    OtlpHttp,
    /// Zipkin v2 in JSON over HTTP
    Zipkin,
}

impl Protocol {
    /// The format of its requests.
    pub fn encoding(self) -> Encoding {
        match self {
            Self::OtlpGrpc | Self::OtlpHttp => Encoding::Otlp,
            Self::Zipkin => Encoding::Zipkin,
        }
    }
}

/// A request was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server asks to send it again.
    #[error("the server refused it for now: {why}")]
    Refused {
        /// What it said.
        why: String,
        /// When to send it again, if it said so.
        after: Option<Duration>,
    },
    /// The server will never take it.
    #[error("the server rejected it: {0}")]
    Rejected(String),
    /// No answer: whether it was taken is not known.
    #[error("could not reach the server")]
    Lost(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A connection.
#[derive(Debug)]
pub struct Sender(Inner);

#[derive(Debug)]
enum Inner {
    Grpc(Box<Grpc<Channel>>),
    Http { client: reqwest::Client, url: String, content_type: &'static str },
}

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

impl Sender {
    /// A connection to `address` (`127.0.0.1:4317`), which is made when the first request is sent.
    ///
    /// # Errors
    /// If the address is none.
    pub fn new(protocol: Protocol, address: &str) -> Result<Self, SendError> {
        let lost = |error: Box<dyn std::error::Error + Send + Sync>| SendError::Lost(error);
        let http = |path, content_type| {
            let client = reqwest::Client::builder().no_proxy().build();
            let client = client.map_err(|error| lost(error.into()))?;
            let url = format!("http://{address}{path}");
            Ok(Self(Inner::Http { client, url, content_type }))
        };
        match protocol {
            Protocol::OtlpGrpc => {
                let endpoint = Endpoint::from_shared(format!("http://{address}"));
                let channel = endpoint.map_err(|error| lost(error.into()))?.connect_lazy();
                Ok(Self(Inner::Grpc(Box::new(Grpc::new(channel)))))
            }
            Protocol::OtlpHttp => http("/v1/traces", "application/x-protobuf"),
            Protocol::Zipkin => http("/api/v2/spans", "application/json"),
        }
    }

    /// Sends a request and waits for the answer. Tells how many spans the server left out.
    ///
    /// # Errors
    /// If the request was not taken.
    pub async fn send(&mut self, body: Bytes) -> Result<u64, SendError> {
        match &mut self.0 {
            Inner::Grpc(grpc) => {
                grpc.ready().await.map_err(|error| SendError::Lost(error.into()))?;
                let path = http::uri::PathAndQuery::from_static(EXPORT);
                match grpc.unary(Request::new(body), path, Raw).await {
                    Ok(answer) => Ok(left_out(&answer.into_inner())),
                    Err(status) => Err(grpc_error(status)),
                }
            }
            Inner::Http { client, url, content_type } => {
                let request = client.post(&*url).header(header::CONTENT_TYPE, *content_type);
                let lost = |error: reqwest::Error| SendError::Lost(error.into());
                let answer = request.body(body).send().await.map_err(lost)?;
                let (status, after) = (answer.status(), retry_after(&answer));
                let answer = answer.bytes().await.map_err(lost)?;
                if status == StatusCode::OK {
                    return Ok(left_out(&answer));
                }
                if status.is_success() {
                    return Ok(0);
                }
                let why = format!("{status} {}", String::from_utf8_lossy(&answer));
                Err(match status.as_u16() {
                    429 | 502 | 503 | 504 => SendError::Refused { why, after },
                    _ => SendError::Rejected(why),
                })
            }
        }
    }
}

/// The spans that an answer's partial success counts as rejected.
fn left_out(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
    u64::try_from(rejected).unwrap_or_default()
}

fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let seconds = answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn grpc_error(status: Status) -> SendError {
    // A connection that broke is a status too, one that has a cause on this side.
    if std::error::Error::source(&status).is_some() {
        return SendError::Lost(status.into());
    }
    let why = format!("{:?} {}", status.code(), status.message());
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted => SendError::Refused { why, after: None },
        _ => SendError::Rejected(why),
    }
}

/// Messages as the bytes they are.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
