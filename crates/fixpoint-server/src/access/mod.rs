//! Who may ask the server for what: tokens, roles, and what each role may do.
//!
//! Not here: HTTP (`http/guard.rs` asks this module about every request). The surprise: what a
//! request needs goes by its method and its route in one place ([`Need::of`]), and a route that
//! is not named there is not open but closed: reading wants a viewer, changing an operator.

mod first;
mod hosts;
mod need;
mod secret;
mod tokens;

use std::sync::Arc;

use fixpoint_client::Role;

pub use self::{
    first::{FirstTokenError, first_token},
    hosts::Hosts,
};
pub(crate) use self::{
    need::Need,
    secret::Secret,
    tokens::{NotMade, Tokens, Wrong},
};

/// Who may ask a server.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever has a token, as much as its role allows.
    Tokens,
    /// Whoever reaches the address, for everything. A page of another site must not reach it
    /// through its reader's browser, so the request must name one of these hosts.
    Anyone(Hosts),
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The token that was shown; none where nobody has to show one.
    pub(crate) token: Option<Arc<str>>,
    role: Role,
}

impl Caller {
    /// Somebody whom nobody asked for a token.
    pub(crate) fn anyone() -> Self {
        Self { token: None, role: Role::Admin }
    }

    /// Somebody of whom nothing is known, who may see what is public.
    pub(crate) fn nobody() -> Self {
        Self { token: None, role: Role::Ingest }
    }

    pub(crate) fn new(token: &str, role: Role) -> Self {
        Self { token: Some(token.into()), role }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Whether the role allows what the request needs.
    pub(crate) fn may(&self, need: Need) -> bool {
        need.is_met_by(self.role)
    }
}
