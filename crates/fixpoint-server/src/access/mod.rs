//! Who may ask the server for what: tokens, roles, what each role may do, and whose things a token
//! is for.
//!
//! Not here: HTTP (`http/guard.rs` asks this module about every request). The surprise: what a
//! request needs goes by its method and its route in one place ([`Need::of`]), and a route that
//! is not named there is not open but closed: reading wants a viewer, changing an operator, and
//! no tenant gets there at all ([`Reach::of`]).

mod first;
mod hosts;
mod need;
mod reach;
mod scope;
mod secret;
mod sessions;
mod tokens;

use std::{sync::Arc, time::Duration};

use fixpoint_client::Role;
use futures_util::future;
use jiff::Timestamp;
use tokio::time;

pub use self::{
    first::{FirstTokenError, first_token},
    hosts::Hosts,
};
pub(crate) use self::{
    need::Need,
    reach::Reach,
    scope::{Scope, tenant_fault, tenant_of},
    secret::Secret,
    sessions::{NotSignedIn, SESSION, Sessions},
    tokens::{NotMade, Tokens, Wrong},
};
use crate::records::Records;

/// Who may ask a server.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever has a token, as much as its role allows.
    Tokens,
    /// Whoever reaches the address, for everything. A page of another site must not reach it
    /// through its reader's browser, so the request must name one of these hosts.
    Anyone(Hosts),
}

/// Completes when there is no record at the key.
async fn gone(records: Records, key: String) {
    // Before the first look, so that no change falls between the two.
    let mut changes = records.watch(&key);
    while !matches!(records.has(&key).await, Ok(false)) {
        if changes.next().await.is_none() {
            // The store is closed, and the server ends.
            return;
        }
    }
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token that was shown; none where nobody has to show one.
    pub(crate) token: Option<Arc<str>>,
    /// Whose it is or what for, as whoever made it said.
    pub(crate) name: Arc<str>,
    role: Role,
    /// Whose things they may see and change.
    pub(crate) scope: Scope,
    /// The records that they are let in by.
    keys: Vec<String>,
    /// When they are let in no longer.
    ends_at: Option<Timestamp>,
}

impl Caller {
    /// Somebody whom nobody asked for a token.
    pub(crate) fn anyone() -> Self {
        let (token, name) = (None, "".into());
        let (role, scope) = (Role::Admin, Scope::WHOLE);
        Self { token, name, role, scope, keys: Vec::new(), ends_at: None }
    }

    /// Somebody of whom nothing is known, who may see what is public.
    pub(crate) fn nobody() -> Self {
        Self { role: Role::Ingest, ..Self::anyone() }
    }

    /// The bearer of a token.
    pub(crate) fn new(token: &str, name: &str, role: Role, scope: Scope) -> Self {
        Self { token: Some(token.into()), name: name.into(), role, scope, ..Self::anyone() }
    }

    /// The same, as long as there is a record at `key`, and it is before `end`.
    pub(crate) fn while_there_is(mut self, key: String, end: Option<Timestamp>) -> Self {
        self.keys.push(key);
        self.ends_at = self.ends_at.into_iter().chain(end).min();
        self
    }

    /// Completes when the caller is let in no longer: their token was revoked or has expired, or
    /// their session is over. For answers that go on for hours.
    pub(crate) async fn until_out(self, records: Records) {
        let gone = self.keys.into_iter().map(|key| Box::pin(gone(records.clone(), key)));
        let left = self.ends_at.map(|end| end.duration_since(Timestamp::now()));
        let left = left.map_or(Duration::MAX, |left| left.try_into().unwrap_or_default());
        let _either = time::timeout(left, future::select_all(gone)).await;
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether the role allows what the request needs.
    pub(crate) fn may(&self, need: Need) -> bool {
        need.is_met_by(self.role)
    }

    /// Whether a request about that can be theirs. What nobody has thought of is about the server.
    pub(crate) fn reaches(&self, reach: Option<Reach>) -> bool {
        self.scope == Scope::WHOLE || reach == Some(Reach::Scope)
    }
}
