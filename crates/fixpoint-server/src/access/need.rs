//! What a request needs of whoever sends it.
//!
//! The surprise: nothing has to be written here for a new route to be protected; only what is
//! easier or harder to get at than its method says.

use fixpoint_client::Role;
use http::Method;

/// What a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// No token: it says nothing that is not public.
    Nothing,
    /// To send spans and log lines.
    Send,
    /// To see what there is.
    Read,
    /// To act on resources and runs.
    Act,
    /// To manage tokens, what is kept, and who is told.
    Administer,
}

impl Need {
    /// What a request of this method for this route needs. A path without a route is answered with
    /// 404, which nobody without a token is told.
    pub(crate) fn of(method: &Method, route: Option<&str>) -> Self {
        let reads = method.is_safe();
        match route.unwrap_or_default() {
            "/healthz" | "/assets/{name}" if reads => Self::Nothing,
            "/sign-in" | "/sign-out" => Self::Nothing,
            "/v1/tokens" | "/v1/tokens/{id}" | "/v1/webhook/test" => Self::Administer,
            "/v1/traces" if *method == Method::POST => Self::Send,
            "/v1/traces/{id}/pin" if !reads => Self::Administer,
            route if route.starts_with("/dev/") && !reads => Self::Administer,
            _ if reads => Self::Read,
            _ => Self::Act,
        }
    }

    /// The roles that may, the least first.
    pub(crate) fn roles(self) -> Vec<Role> {
        Role::ALL.into_iter().filter(|role| self.is_met_by(*role)).collect()
    }

    /// Whether the role may.
    pub(crate) fn is_met_by(self, role: Role) -> bool {
        match self {
            Self::Nothing => true,
            Self::Send => role != Role::Viewer,
            Self::Read => role != Role::Ingest,
            Self::Act => matches!(role, Role::Operator | Role::Admin),
            Self::Administer => role == Role::Admin,
        }
    }

    /// Completes "a token to …".
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Nothing => "do anything",
            Self::Send => "send spans",
            Self::Read => "look at anything",
            Self::Act => "act on resources and runs",
            Self::Administer => "manage tokens and what is kept",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_it_is_for_and_no_more() {
        let needs = [Need::Nothing, Need::Send, Need::Read, Need::Act, Need::Administer];
        let allowed = |role| needs.map(|need| need.is_met_by(role));
        assert_eq!(allowed(Role::Ingest), [true, true, false, false, false]);
        assert_eq!(allowed(Role::Viewer), [true, false, true, false, false]);
        assert_eq!(allowed(Role::Operator), [true, true, true, true, false]);
        assert_eq!(allowed(Role::Admin), [true; 5]);
        assert_eq!(Need::Send.roles(), [Role::Ingest, Role::Operator, Role::Admin]);
    }

    #[test]
    fn a_route_that_nobody_thought_of_is_not_open() {
        let of = |method: Method, route| Need::of(&method, route);
        assert_eq!(of(Method::GET, Some("/v2/new")), Need::Read);
        assert_eq!(of(Method::POST, Some("/v2/new")), Need::Act);
        assert_eq!(of(Method::GET, None), Need::Read);
        assert_eq!(of(Method::from_bytes(b"BREW").unwrap(), None), Need::Act);
        assert_eq!(of(Method::POST, Some("/healthz")), Need::Act);
    }
}
