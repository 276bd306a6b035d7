//! Why a request is not taken in, and how that is said in each protocol.
//!
//! Not here: the answers' bodies, which each protocol has its own. The surprise: a store that
//! fails is told like one that is overloaded, as something to try again. The sender still has
//! the spans, and a disk that was full may be emptied.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use fixpoint::Chain;
use fixpoint_trace::{
    formats::FormatError,
    store::{Fault, StoreError},
};
use prost::Message;
use tonic::{Code, Status};

use crate::http::guard::Refused;

/// Why a request is not taken in.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the body is said to be {0}, which is not taken here; send {1}")]
    MediaType(String, &'static str),
    #[error("the body is said to be encoded as {0}; send gzip, zstd or no encoding")]
    Encoding(String),
    #[error("the request is larger than {0} bytes; send fewer spans at a time")]
    TooLarge(usize),
    #[error("the request takes more than {0} bytes once it is read; send fewer spans at a time")]
    TooMuch(usize),
    #[error("the request took more than {} s to come", .0.as_secs())]
    Slow(Duration),
    #[error("the request broke off before its end")]
    Broken,
    #[error("{0}")]
    Malformed(String),
    #[error("too much is coming in at the same time; send it again")]
    Overloaded,
    #[error("{said}")]
    Closed {
        status: StatusCode,
        reason: &'static str,
        said: String,
        challenge: Option<HeaderValue>,
    },
    #[error("the store cannot take it now; send it again")]
    Store(#[source] Arc<StoreError>),
}

impl Refusal {
    /// What the body says it is, if it says that.
    pub(super) fn media_type(said: &str, wanted: &'static str) -> Self {
        let said = if said.is_empty() { "of no content type" } else { said };
        Self::MediaType(said.to_owned(), wanted)
    }

    /// A word for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::MediaType(..) => "media-type",
            Self::Encoding(_) => "encoding",
            Self::TooLarge(_) | Self::TooMuch(_) => "too-large",
            Self::Slow(_) => "slow",
            Self::Broken => "broken",
            Self::Malformed(_) => "malformed",
            Self::Overloaded => "overloaded",
            Self::Store(_) => "store",
            Self::Closed { reason, .. } => reason,
        }
    }

    /// In HTTP's terms.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::MediaType(..) | Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) | Self::TooMuch(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Overloaded | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Closed { status, .. } => *status,
        }
    }

    /// In gRPC's terms. OTLP has a client send again what was `UNAVAILABLE`, and not what was
    /// `RESOURCE_EXHAUSTED`, unless it is told when.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::MediaType(..) | Self::Broken | Self::Malformed(_) => Code::InvalidArgument,
            Self::Encoding(_) => Code::Unimplemented,
            Self::TooLarge(_) | Self::TooMuch(_) => Code::ResourceExhausted,
            Self::Slow(_) => Code::DeadlineExceeded,
            Self::Overloaded | Self::Store(_) => Code::Unavailable,
            Self::Closed { status, .. } => match *status {
                StatusCode::UNAUTHORIZED => Code::Unauthenticated,
                StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
                _ => Code::PermissionDenied,
            },
        }
    }

    /// When to send it again; none if that would change nothing.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded => Some(Duration::from_secs(1)),
            Self::Store(_) => Some(Duration::from_secs(5)),
            Self::Closed { status, .. } if *status == StatusCode::SERVICE_UNAVAILABLE => {
                Some(Duration::from_secs(5))
            }
            _ => None,
        }
    }

    /// What an answer by HTTP says in its head: when to come again, how to sign in.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, after.as_secs().into());
        }
        if let Self::Closed { challenge: Some(challenge), .. } = self {
            headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
        }
        headers
    }

    /// `google.rpc.Status`, which OTLP asks of every error.
    pub(super) fn to_rpc(&self) -> RpcStatus {
        let details = self.retry_after().map(|after| {
            let delay = RetryInfo { retry_delay: Some(Delay { seconds: after.as_secs() as i64 }) };
            Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: delay.encode_to_vec(),
            }
        });
        RpcStatus {
            code: self.code() as i32,
            message: self.to_string(),
            details: details.into_iter().collect(),
        }
    }

    /// The trailers of a gRPC answer.
    pub(super) fn to_grpc(&self) -> Status {
        let status = self.to_rpc();
        let details = match status.details.is_empty() {
            true => Bytes::new(),
            false => status.encode_to_vec().into(),
        };
        Status::with_details(self.code(), status.message, details)
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::Closed {
            status: refused.status(),
            reason: refused.reason(),
            said: refused.sentence(),
            challenge: refused.challenge(),
        }
    }
}

impl From<FormatError> for Refusal {
    fn from(error: FormatError) -> Self {
        Self::Malformed(Chain(&error).to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error.fault() {
            Fault::Overload => Self::Overloaded,
            Fault::Request => Self::Malformed(Chain(&error).to_string()),
            Fault::Store => Self::Store(Arc::new(error)),
        }
    }
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub(super) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`, in whole seconds.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Delay {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}
