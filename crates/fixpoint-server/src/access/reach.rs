//! What a request is about: what one tenant has, or the server as a whole.
//!
//! A tenant's token is for the former alone. The surprise: a route that is not named here is for
//! nobody with a tenant, so whoever adds one and forgets this has shown nothing to anybody.

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What the caller's scope holds, or nothing that is anybody's.
    Scope,
    /// The server, or what is counted over all that it stores.
    Whole,
}

/// Routes that read and change through a scope. `{kind}` stands for each kind by its name.
const SCOPED: &[&str] = &[
    // Nobody's.
    "/healthz",
    "/assets/{name}",
    "/sign-in",
    "/sign-out",
    "/v1/openapi.json",
    "/v1/{*path}",
    // Resources and runs.
    "/v1/{kind}",
    "/v1/{kind}/{name}",
    "/v1/{kind}/{name}/plan",
    "/v1/{kind}/{name}/runs",
    "/v1/{kind}/{name}/verify",
    "/v1/runs",
    "/v1/runs/{id}",
    "/v1/runs/{id}/cancel",
    "/v1/runs/{id}/events",
    "/v1/runs/{id}/pause",
    "/v1/runs/{id}/replan",
    "/v1/runs/{id}/resume",
    "/v1/runs/{id}/retry",
    "/v1/runs/{id}/skip",
    "/v1/runs/{id}/why",
    // Traces and log lines.
    "/v1/traces",
    "/v1/traces/{id}",
    "/v1/traces/{id}/events",
    "/v1/traces/{id}/matches",
    "/v1/traces/{id}/rows",
    "/v1/traces/{id}/spans/{span_id}",
    "/v1/traces/{id}/why",
    "/v1/traces/{a}/diff/{b}",
    "/v1/logs",
    "/v1/find",
    // Pages.
    "/",
    "/runs",
    "/runs/{id}",
    "/runs/{id}/why",
    "/traces",
    "/traces/{id}",
    "/traces/{id}/why",
    "/traces/{a}/diff/{b}",
    "/compare",
    "/search",
    "/{kind}/{name}",
];

/// Likewise, as clients of other systems read, below any of [`INTERFACES`] and beside them.
const READ: &[&str] = &[
    "/health",
    "/api/dependencies",
    "/api/echo",
    "/api/operations",
    "/api/search",
    "/api/search/tag/{tag}/values",
    "/api/search/tags",
    "/api/services",
    "/api/services/{service}/operations",
    "/api/status/buildinfo",
    "/api/traces",
    "/api/traces/{id}",
    "/api/v2/autocompleteKeys",
    "/api/v2/autocompleteValues",
    "/api/v2/dependencies",
    "/api/v2/remoteServices",
    "/api/v2/search/tag/{tag}/values",
    "/api/v2/search/tags",
    "/api/v2/services",
    "/api/v2/spans",
    "/api/v2/trace/{id}",
    "/api/v2/traceMany",
    "/api/v2/traces",
    "/api/v2/traces/{id}",
    "/api/v3/dependencies",
    "/api/v3/operations",
    "/api/v3/services",
    "/api/v3/trace-summaries",
    "/api/v3/traces",
    "/api/v3/traces/{id}",
];

const INTERFACES: [&str; 3] = ["/zipkin", "/jaeger", "/tempo"];

/// Routes that are of the whole server, whatever their methods.
const WHOLE: &[&str] = &[
    "/v1/tokens",
    "/v1/tokens/{id}",
    "/v1/apis",
    "/v1/store",
    "/v1/services",
    "/v1/operations",
    "/v1/rates",
    "/v1/attributes",
    "/v1/pins",
    "/v1/webhook/test",
    "/v1/traces/{id}/pin",
    "/metrics",
    "/operations",
];

impl Reach {
    /// What a request of this route is about, if anybody has said so. A path without a route is
    /// nobody's: it is answered with 404.
    pub(crate) fn of(route: Option<&str>, is_kind: impl Fn(&str) -> bool) -> Option<Self> {
        let Some(route) = route else { return Some(Self::Scope) };
        let route = of_any_kind(route, is_kind);
        match &*route {
            route if SCOPED.contains(&route) => Some(Self::Scope),
            route if READ.contains(&below(route)) => Some(Self::Scope),
            route if WHOLE.contains(&route) || route.starts_with("/dev/") => Some(Self::Whole),
            _ => None,
        }
    }
}

/// `/zipkin/api/v2/spans` as `/api/v2/spans`.
fn below(route: &str) -> &str {
    INTERFACES.iter().find_map(|prefix| route.strip_prefix(prefix)).unwrap_or(route)
}

/// `/v1/clusters/{name}` as `/v1/{kind}/{name}`.
fn of_any_kind(route: &str, is_kind: impl Fn(&str) -> bool) -> String {
    let Some(rest) = route.strip_prefix("/v1/") else { return route.to_owned() };
    let (first, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match is_kind(first) {
        true => format!("/v1/{{kind}}{rest}"),
        false => route.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_nobody_thought_of_is_for_no_tenant() {
        let of = |route| Reach::of(Some(route), |kind| kind == "toys");
        assert_eq!(of("/v1/toys/{name}/plan"), Some(Reach::Scope));
        assert_eq!(of("/v1/toys/{name}/secrets"), None);
        assert_eq!(of("/v1/boats/{name}"), None);
        assert_eq!(of("/v2/new"), None);
        assert_eq!(of("/jaeger/api/services"), Some(Reach::Scope));
        assert_eq!(of("/jaeger/api/secrets"), None);
        assert_eq!(of("/jaeger/v1/logs"), None);
        assert_eq!(of("/dev/world"), Some(Reach::Whole));
        assert_eq!(Reach::of(None, |_| false), Some(Reach::Scope));
    }
}
