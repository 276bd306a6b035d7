//! What a collector says of a request: OTLP's partial success, and `google.rpc.Status`.
//!
//! Both signals' answers have one shape. The surprise: an answer that cannot be read is as good as
//! an empty one, since what was taken is taken.

use std::time::Duration;

use prost::Message;

use super::{Outcome, PATIENCE, words};

/// `ExportTraceServiceResponse`, `ExportLogsServiceResponse`
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`, `ExportLogsPartialSuccess`
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// What an answer of success says.
pub(super) fn success(body: &[u8]) -> Outcome {
    let response = Response::decode(body).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    let rejected = partial.rejected.try_into().unwrap_or(0);
    Outcome::Taken { rejected, message: words(&partial.error_message) }
}

/// Why a request was refused; empty if that was not said.
pub(super) fn message(body: &[u8]) -> String {
    match Status::decode(body) {
        Ok(status) => status.message,
        // A proxy's page, say.
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// When to send it again.
pub(super) fn retry_delay(status: &[u8]) -> Option<Duration> {
    let details = Status::decode(status).ok()?.details;
    let info = details.iter().find(|any| any.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(&*info.value).ok()?.retry_delay?;
    let nanos = delay.nanos.clamp(0, 999_999_999) as u32;
    Some(Duration::new(delay.seconds.try_into().unwrap_or(0), nanos).min(PATIENCE))
}

#[cfg(test)]
pub(super) fn with_retry_delay(seconds: i64, nanos: i32) -> Vec<u8> {
    let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
    let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
    let details = vec![Any { type_url, value: info.encode_to_vec() }];
    Status { message: String::new(), details }.encode_to_vec()
}
