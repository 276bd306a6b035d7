//! OTLP over gRPC: one unary call.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlpgrpc>,
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. The surprise: a collector
//! that only says that it is exhausted means it; one that also says until when means to be asked
//! again.

use base64::{Engine, alphabet, engine::GeneralPurpose, engine::general_purpose};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Version, header};
use percent_encoding::percent_decode_str;

use super::{Answer, Outcome, Sender, answer, compressed, status, words};
use crate::store::Signal;

/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Padded or not: the specification asks readers to take both.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    general_purpose::PAD.with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

impl Sender {
    pub(super) async fn by_grpc(&self, request: Bytes) -> Result<Outcome, String> {
        let mut url = self.target.url.clone();
        url.set_path(match self.target.signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        });
        url.set_query(None);
        let gzip = self.target.gzip;
        let message = if gzip { compressed(&request).into() } else { request };
        let mut post = self
            .client
            .post(url)
            .version(Version::HTTP_2)
            .headers(self.target.headers.clone())
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header("grpc-timeout", timeout(self.target.timeout.as_millis()))
            .header("grpc-accept-encoding", "identity")
            .body(framed(gzip, &message)?);
        if gzip {
            post = post.header("grpc-encoding", "gzip");
        }
        let (head, answer) = answer(post).await?;
        Ok(outcome(head.status, &head.headers, &answer))
    }
}

/// At most eight digits and a unit.
fn timeout(millis: u128) -> String {
    if millis < 100_000_000 { format!("{millis}m") } else { format!("{}S", millis / 1000) }
}

fn framed(compressed: bool, message: &[u8]) -> Result<Bytes, String> {
    let len = u32::try_from(message.len()).map_err(|_| "the request is over 4 GiB".to_owned())?;
    let mut frame = BytesMut::with_capacity(PREFIX + message.len());
    frame.put_u8(compressed.into());
    frame.put_u32(len);
    frame.put_slice(message);
    Ok(frame.freeze())
}

/// A call that fails at once has its status among the headers, others behind the message.
fn outcome(status: StatusCode, headers: &HeaderMap, answer: &Answer) -> Outcome {
    let said = if headers.contains_key("grpc-status") { headers } else { &answer.trailers };
    let text = |name| said.get(name).and_then(|value| value.to_str().ok());
    let Some(code) = text("grpc-status").and_then(|code| code.parse::<u16>().ok()) else {
        return no_grpc(status);
    };
    if code == 0 {
        // An answer that cannot be read says nothing more than that it was taken.
        return status::success(answer.body.get(PREFIX..).unwrap_or_default());
    }
    let message = text("grpc-message").unwrap_or_default();
    let message = percent_decode_str(message).decode_utf8_lossy();
    let why = format!("it answered {}: {}", name(code), words(&message));
    let details = text("grpc-status-details-bin").and_then(|text| BASE64.decode(text).ok());
    let after = status::retry_delay(&details.unwrap_or_default());
    match code {
        // DEADLINE_EXCEEDED, UNAVAILABLE
        4 | 14 => Outcome::Later { after, why },
        // RESOURCE_EXHAUSTED
        8 if after.is_some() => Outcome::Later { after, why },
        // CANCELLED, ABORTED, OUT_OF_RANGE, DATA_LOSS
        1 | 10 | 11 | 15 => Outcome::Doubtful { why },
        // INVALID_ARGUMENT, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, INTERNAL
        3 | 8 | 9 | 13 => Outcome::Refused { why, own_fault: true },
        _ => Outcome::Refused { why, own_fault: false },
    }
}

/// Something between us and the collector answered.
fn no_grpc(status: StatusCode) -> Outcome {
    let why = format!("it answered {status} and no gRPC status");
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Later { after: None, why },
        // The answer broke off before its end.
        200 => Outcome::Doubtful { why },
        _ => Outcome::Refused { why, own_fault: false },
    }
}

fn name(code: u16) -> String {
    let names = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    names.get(usize::from(code)).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, details: Option<&str>) -> Outcome {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", code.into());
        trailers.insert("grpc-message", "caf%C3%A9".parse().unwrap());
        if let Some(details) = details {
            trailers.insert("grpc-status-details-bin", details.parse().unwrap());
        }
        outcome(StatusCode::OK, &HeaderMap::new(), &Answer { trailers, body: Bytes::new() })
    }

    #[test]
    fn codes_are_sent_again_as_the_specification_has_it() {
        for code in 1..20 {
            let again =
                matches!(answered(code, None), Outcome::Later { .. } | Outcome::Doubtful { .. });
            assert_eq!(again, [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
        }
        let why = "it answered ABORTED: café".to_owned();
        assert_eq!(answered(10, None), Outcome::Doubtful { why });
    }

    #[test]
    fn who_is_exhausted_and_says_until_when_is_asked_again() {
        // A google.rpc.Status with a RetryInfo of 2.5 s.
        let details = status::with_retry_delay(2, 500_000_000);
        for engine in [general_purpose::STANDARD, general_purpose::STANDARD_NO_PAD] {
            let Outcome::Later { after, .. } = answered(8, Some(&engine.encode(&details))) else {
                panic!("it is sent again")
            };
            assert_eq!(after.map(|after| after.as_millis()), Some(2500));
        }
        assert!(matches!(answered(8, Some("AAAA")), Outcome::Refused { own_fault: true, .. }));
    }

    #[test]
    fn a_proxy_that_speaks_no_grpc_is_understood() {
        let plain = |status| {
            let status = StatusCode::from_u16(status).unwrap();
            outcome(status, &HeaderMap::new(), &Answer::default())
        };
        assert!(matches!(plain(503), Outcome::Later { .. }));
        assert!(matches!(plain(404), Outcome::Refused { own_fault: false, .. }));
        assert!(matches!(plain(200), Outcome::Doubtful { .. }));
    }

    #[test]
    fn a_timeout_has_eight_digits_at_most() {
        assert_eq!(timeout(10_000), "10000m");
        assert_eq!(timeout(100_000_000), "100000S");
    }
}
