//! From a request's body to the store, the same for every protocol: within limits, and counted.
//!
//! Not here: reading the body. The surprise: OTLP in protobuf, which is what nearly all senders
//! speak, goes to the store as it came; it is not decoded here.

use std::sync::Arc;

use axum::{body::Body, http::request::Parts};
use fixpoint::Chain;
use fixpoint_trace::{
    formats::{self, Decoded, FormatError},
    otlp,
    store::{Accepted, Signal, TraceStore},
};

use super::{
    Limits,
    body::{self, Encoding, Held, Room},
    refusal::Refusal,
};
use crate::{
    access::{Access, Need, Scope, Tokens},
    http::{
        App,
        guard::{Refused, admit},
    },
    metrics::Metrics,
};

/// What came, and of whom: a tenant's is stored as that tenant's, whatever it says.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) held: Held,
    whose: Scope,
}

/// One receiver's way into the store. Cheap to clone.
#[derive(Clone)]
pub(super) struct Intake {
    /// In log lines and metrics.
    name: &'static str,
    pub(super) limits: Limits,
    room: Room,
    store: Arc<dyn TraceStore>,
    metrics: Arc<Metrics>,
    /// Who may send; none where somebody else has asked already.
    door: Option<(Access, Tokens)>,
}

impl Intake {
    pub(super) fn new(name: &'static str, limits: Limits, room: Room, app: &App) -> Self {
        let (store, metrics) = (Arc::clone(app.traces.whole()), Arc::clone(&app.metrics));
        Self { name, limits, room, store, metrics, door: None }
    }

    /// Asks every sender for a token, if the server does.
    pub(super) fn guarded(self, app: &App) -> Self {
        Self { door: Some((app.access.clone(), app.tokens.clone())), ..self }
    }

    /// Reads a body as it came. The one way to a body, so that nothing is read of somebody who may
    /// not send.
    pub(super) async fn read(&self, head: &Parts, body: Body) -> Result<Sent, Refusal> {
        let caller = match &self.door {
            Some((access, tokens)) => admit(access, tokens, &head.headers, Need::Send).await?,
            None => head.extensions.get().cloned().ok_or(Refused::NoToken)?,
        };
        let held = body::read(&head.headers, body, self.limits.request, &self.room).await?;
        Ok(Sent { held, whose: caller.scope })
    }

    /// Decompresses a body.
    pub(super) fn decompress(&self, encoding: Encoding, sent: Sent) -> Result<Sent, Refusal> {
        let Sent { held, whose } = sent;
        let held = body::decompress(encoding, held, self.limits.request, &self.room)?;
        Ok(Sent { held, whose })
    }

    /// Stores an OTLP request in protobuf.
    pub(super) async fn otlp(&self, signal: Signal, sent: Sent) -> Result<Accepted, Refusal> {
        let Sent { held, whose } = sent;
        let (request, too_large) = otlp::within(&held.bytes, self.limits.record)?;
        let request = match whose.tenant() {
            Some(tenant) => otlp::given_to(signal, &request, tenant)?,
            None => request,
        };
        let stored = self.store.append_otlp(signal, request).await?;
        Ok(self.count(signal, stored, too_large))
    }

    /// Stores what a request in another format holds.
    pub(super) async fn records(
        &self,
        signal: Signal,
        sent: Sent,
        decode: impl FnOnce(&[u8]) -> Result<Decoded, FormatError>,
    ) -> Result<Accepted, Refusal> {
        let Sent { mut held, whose } = sent;
        let cost = formats::cost(&held.bytes);
        if cost > self.limits.in_flight {
            return Err(Refusal::TooMuch(self.limits.in_flight));
        }
        held.grow(cost, &self.room)?;
        let mut decoded = decode(&held.bytes)?;
        if let Some(tenant) = whose.tenant() {
            decoded.give_to(tenant);
        }
        let before = decoded.records.len();
        // No other format is shorter than protobuf, so most need not be measured.
        if held.bytes.len() > self.limits.record {
            decoded.records.retain(|record| otlp::size(record) <= self.limits.record);
        }
        let too_large = (before - decoded.records.len()) as u64;
        let mut accepted = decoded.accepted;
        accepted.accepted = accepted.accepted.saturating_sub(too_large);
        if !decoded.records.is_empty() {
            self.store.append(&decoded.records).await?;
        }
        Ok(self.count(signal, accepted, too_large))
    }

    /// Counts what became of a request that was taken in, and adds what this receiver left out.
    fn count(&self, signal: Signal, mut stored: Accepted, too_large: u64) -> Accepted {
        let protocol = self.name;
        self.metrics.received(protocol, signal.as_str(), stored.accepted);
        self.metrics.rejected(protocol, "invalid", stored.rejected);
        self.metrics.rejected(protocol, "too-large", too_large);
        if too_large > 0 {
            stored.rejected += too_large;
            if !stored.message.is_empty() {
                stored.message.push_str("; ");
            }
            let limit = self.limits.record;
            stored.message.push_str(&format!("{too_large} of more than {limit} bytes"));
        }
        if stored.rejected > 0 {
            tracing::debug!(protocol, "{} rejected: {}", stored.rejected, stored.message);
        }
        stored
    }

    /// Counts a request that was not taken in. The first is logged, then the second, the fourth,
    /// the eighth: a flood of requests makes no flood of log lines.
    pub(super) fn refused(&self, refusal: &Refusal) {
        let (protocol, reason) = (self.name, refusal.reason());
        let count = self.metrics.refused(protocol, reason);
        if count.is_power_of_two() {
            tracing::warn!(protocol, reason, count, "spans were refused: {}", Chain(refusal));
        }
    }
}
