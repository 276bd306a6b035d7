//! OTLP over HTTP, in protobuf.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>. The surprise: which answers are worth
//! another try is a list of four, and a collector's own failure (500) is not on it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};

use super::{Answer, Outcome, PATIENCE, Sender, answer, compressed, status, words};

impl Sender {
    pub(super) async fn by_http(&self, request: Bytes) -> Result<Outcome, String> {
        let mut post = self
            .client
            .post(self.target.url.clone())
            .headers(self.target.headers.clone())
            .header(header::CONTENT_TYPE, "application/x-protobuf");
        post = match self.target.gzip {
            true => post.header(header::CONTENT_ENCODING, "gzip").body(compressed(&request)),
            false => post.body(request),
        };
        let (head, answer) = answer(post).await?;
        Ok(outcome(head.status, &head.headers, &answer, SystemTime::now()))
    }
}

fn outcome(status: StatusCode, headers: &HeaderMap, answer: &Answer, now: SystemTime) -> Outcome {
    if status.is_success() {
        return status::success(&answer.body);
    }
    let why = match status::message(&answer.body) {
        said if said.is_empty() => format!("it answered {status}"),
        said => format!("it answered {status}: {}", words(&said)),
    };
    match status.as_u16() {
        429 | 502 | 503 | 504 => Outcome::Later { after: retry_after(headers, now), why },
        400 | 413 | 422 => Outcome::Refused { why, own_fault: true },
        _ => Outcome::Refused { why, own_fault: false },
    }
}

/// What an answer says in `Retry-After`, in seconds or as a date: how long to wait, but not longer
/// than an hour.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let said = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let after = match said.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let until = jiff::fmt::rfc2822::parse(said).ok()?;
            SystemTime::from(until.timestamp()).duration_since(now).unwrap_or_default()
        }
    };
    Some(after.min(PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(after) = retry_after {
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        outcome(StatusCode::from_u16(status).unwrap(), &headers, &Answer::default(), now)
    }

    #[test]
    fn only_four_answers_are_worth_another_try() {
        for status in 300..600 {
            let later = matches!(answered(status, None), Outcome::Later { after: None, .. });
            assert_eq!(later, [429, 502, 503, 504].contains(&status), "{status}");
        }
        for status in [200, 202] {
            let taken = Outcome::Taken { rejected: 0, message: String::new() };
            assert_eq!(answered(status, None), taken);
        }
    }

    #[test]
    fn a_collector_says_when_to_come_again_in_seconds_or_by_date() {
        for (said, seconds) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sat, 06 Nov 1993 08:50:07 GMT", Some(0)),
            ("99999999999", Some(3600)),
            ("soon", None),
            ("-1", None),
        ] {
            let Outcome::Later { after, .. } = answered(503, Some(said)) else { panic!("{said}") };
            assert_eq!(after.map(|after| after.as_secs()), seconds, "{said}");
        }
    }
}
