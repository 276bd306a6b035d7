//! Sends one request to a collector, once, and says what became of it.
//!
//! Not here: sending again (`worker.rs`). The surprise: gRPC is not spoken by a library of its
//! own. One call is an HTTP/2 request with five bytes before the message and a status behind the
//! answer, so one client, with one way to trust a certificate, serves both protocols.

mod grpc;
mod http;
mod status;

use std::{fmt, io::Write, time::Duration};

use ::http::HeaderMap;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http_body_util::{BodyExt, Collected, LengthLimitError, Limited};
use reqwest::{Client, RequestBuilder, Response, redirect::Policy};

pub use self::http::retry_after;
use super::settings::{Protocol, Target};
use crate::chain::chain;

/// How much of an answer is read: a status and a line of text.
const ANSWER: usize = 64 << 10;
/// How much of a collector's words are passed on.
const WORDS: usize = 300;
/// How long a collector may make us wait.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was taken, but for some records.
    Taken { rejected: u64, message: String },
    /// Not now, but perhaps later; `after` is when, if that was said.
    Later { after: Option<Duration>, why: String },
    /// Perhaps later; but if it goes on like this, it is the request's own fault.
    Doubtful { why: String },
    /// Never. If the request is at fault, a part of it may still be taken.
    Refused { why: String, own_fault: bool },
}

pub(super) struct Sender {
    client: Client,
    target: Target,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Sender {
    /// # Errors
    /// If there is no way to make TLS connections.
    pub(super) fn new(mut target: Target) -> reqwest::Result<Self> {
        let mut client = Client::builder()
            .user_agent(concat!("fixpoint/", env!("CARGO_PKG_VERSION")))
            .timeout(target.timeout)
            // A request with a body does not survive most redirects, and its headers are not for others.
            .redirect(Policy::none());
        let certificates = std::mem::take(&mut target.certificates);
        if !certificates.is_empty() {
            client = client.tls_certs_only(certificates);
        }
        if let Some(identity) = target.identity.take() {
            client = client.identity(identity);
        }
        if target.protocol == Protocol::Grpc {
            client = client.http2_prior_knowledge();
        }
        Ok(Self { client: client.build()?, target })
    }

    pub(super) async fn send(&self, request: Bytes) -> Outcome {
        let sent = match self.target.protocol {
            Protocol::Http => self.by_http(request).await,
            Protocol::Grpc => self.by_grpc(request).await,
        };
        // Whoever was not reached, or broke off, may be there later.
        sent.unwrap_or_else(|why| Outcome::Later { after: None, why })
    }

    /// Where it sends, without what may be secret in it.
    pub(super) fn place(&self) -> String {
        self.target.place()
    }
}

/// The answer to a request, or why there is none.
async fn answer(request: RequestBuilder) -> Result<(::http::response::Parts, Answer), String> {
    let response: Response = request.send().await.map_err(unreachable)?;
    let (head, body) = ::http::Response::<reqwest::Body>::from(response).into_parts();
    let body = match Limited::new(body, ANSWER).collect().await {
        Ok(body) => Answer::of(body),
        // What it took is taken, however much it says about that.
        Err(error) if error.is::<LengthLimitError>() => Answer::default(),
        Err(error) => return Err(chain(&*error)),
    };
    Ok((head, body))
}

#[derive(Debug, Default)]
struct Answer {
    body: Bytes,
    trailers: HeaderMap,
}

impl Answer {
    fn of(body: Collected<Bytes>) -> Self {
        let trailers = body.trailers().cloned().unwrap_or_default();
        Self { body: body.to_bytes(), trailers }
    }
}

/// The URL is left out, in which there may be a secret.
fn unreachable(error: reqwest::Error) -> String {
    chain(&error.without_url())
}

fn compressed(request: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::with_capacity(request.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = out.write_all(request);
    out.finish().unwrap_or_default()
}

/// A collector's words, cut to what fits a log line.
fn words(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
