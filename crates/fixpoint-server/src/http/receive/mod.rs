//! Takes other programs' spans and log lines in: OTLP over gRPC and HTTP, and Zipkin.
//!
//! One file a protocol, each with a listener of its own, as the senders expect. What they have in
//! common: `body.rs` reads a request within bounds, `intake.rs` stores what is in it, and
//! `refusal.rs` says why not. Not here: the formats (`fixpoint_trace`). The surprise: what is sent
//! is stored as it was sent. Only this process's own spans have their secrets taken out.

mod body;
mod intake;
mod otlp_grpc;
mod otlp_http;
mod refusal;
pub(super) mod upload;
mod zipkin;

use std::fmt;

use axum::Router;
use futures_util::future;
use tokio::net::TcpListener;

use self::{body::Room, intake::Intake};
use super::{
    App,
    listen::{self, Wire},
};

/// How spans may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// OTLP over gRPC: spans and log lines.
    OtlpGrpc,
    /// OTLP over HTTP, protobuf and JSON: spans and log lines.
    OtlpHttp,
    /// Zipkin v2, JSON and protobuf: spans. Its clients can read here, too.
    Zipkin,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OtlpGrpc, Self::OtlpHttp, Self::Zipkin];

    /// The port that senders use unless told otherwise.
    pub fn port(self) -> u16 {
        match self {
            Self::OtlpGrpc => 4317,
            Self::OtlpHttp => 4318,
            Self::Zipkin => 9411,
        }
    }

    /// `otlp-grpc`, `otlp-http` or `zipkin`: in flags, log lines and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "otlp-grpc",
            Self::OtlpHttp => "otlp-http",
            Self::Zipkin => "zipkin",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How much is taken in. What is beyond is refused and counted, never cut off or dropped unsaid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The bytes of a request, before and after it is decompressed. 16 MiB.
    pub request: usize,
    /// The bytes of a span or a log line as it comes; a larger one is left out of the request
    /// that it comes in, and its sender told. 1 MiB.
    pub record: usize,
    /// The bytes of all requests that are not yet stored, together; of JSON, what it takes once it
    /// is read. 128 MiB.
    pub in_flight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: 16 << 20, record: 1 << 20, in_flight: 128 << 20 }
    }
}

/// The listeners to take spans in on. Without any, none are.
#[derive(Debug, Default)]
pub struct Receivers {
    listeners: Vec<(Protocol, TcpListener)>,
    limits: Limits,
}

impl Receivers {
    /// No listener, and the default limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes spans in on one more listener.
    #[must_use]
    pub fn listen(mut self, protocol: Protocol, listener: TcpListener) -> Self {
        self.listeners.push((protocol, listener));
        self
    }

    /// Other limits, for all listeners together.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes spans in until the server stops, and then what has begun to come.
    pub(crate) async fn serve(self, app: App) {
        let room = Room::new(self.limits.in_flight);
        let serving = self.listeners.into_iter().map(|(protocol, listener)| {
            let intake =
                Intake::new(protocol.name(), self.limits, room.clone(), &app).guarded(&app);
            let (wire, routes) = routes(protocol, intake, &app);
            listen::serve(listener, wire, app.tls.clone(), routes, app.stopping.clone())
        });
        future::join_all(serving).await;
    }
}

/// What a receiver answers.
fn routes(protocol: Protocol, intake: Intake, app: &App) -> (Wire, Router) {
    match protocol {
        Protocol::OtlpGrpc => (Wire::Http2, otlp_grpc::routes(intake)),
        Protocol::OtlpHttp => (Wire::Http1, otlp_http::routes(intake)),
        Protocol::Zipkin => (Wire::Http1, zipkin::routes(intake, app)),
    }
}

/// What a receiver of its own answers, without its listener, for tests.
#[cfg(test)]
pub(crate) fn receiver(protocol: Protocol, limits: Limits, app: &App) -> Router {
    let room = Room::new(limits.in_flight);
    let intake = Intake::new(protocol.name(), limits, room, app).guarded(app);
    routes(protocol, intake, app).1
}
