//! Lets a request in, or says why not: who sends it, whether they may, and that no page of another
//! site made them.
//!
//! Not here: what each request needs and what each role may (`access/`). The surprise: this layer
//! is around every route, so whoever adds one need not think of it.

use std::fmt::Display;

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use fixpoint_trace::semconv;
use futures_util::StreamExt;

use super::{App, Problem, sign_in};
use crate::access::{Access, Caller, Need, Reach, Tokens, Wrong};

/// The middleware around every route, within the request's span.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let entered = enter(&app, request.method(), request.headers(), route.as_deref()).await;
    let reach = Reach::of(route.as_deref(), |name| app.kinds.contains_key(name));
    let caller = match entered.inspect(sign).and_then(|caller| within(caller, reach)) {
        Ok(caller) => caller,
        Err(refused) => return refused.told(&app, &request),
    };
    request.extensions_mut().insert(caller.clone());
    let answer = next.run(request).await;
    let goes_on =
        answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
    match goes_on && caller.token.is_some() {
        // What is told for hours is told no longer than its reader may hear it.
        true => answer.map(|body| {
            let out = Box::pin(caller.until_out(app.records.whole().clone()));
            Body::from_stream(body.into_data_stream().take_until(out))
        }),
        false => answer,
    }
}

/// Says on the request's span who sent it, and whose it is: what it leads to is that tenant's, too.
fn sign(caller: &Caller) {
    let span = tracing::Span::current();
    if let Some(token) = &caller.token {
        span.record("fixpoint.token.id", &**token);
        span.record("fixpoint.role", caller.role().as_str());
    }
    if let Some(tenant) = caller.scope.tenant() {
        span.record(semconv::TENANT, tenant);
    }
}

/// Lets a tenant's caller in where what is asked about is answered by scope.
fn within(caller: Caller, reach: Option<Reach>) -> Result<Caller, Refused> {
    match caller.reaches(reach) {
        true => Ok(caller),
        false => Err(Refused::Whole(caller.into())),
    }
}

/// Who sends the request, if they may: by a token, or by the session of a page.
async fn enter(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    route: Option<&str>,
) -> Result<Caller, Refused> {
    let need = Need::of(method, route);
    let session = match headers.contains_key(header::AUTHORIZATION) {
        true => None,
        false => sign_in::cookie(app, headers),
    };
    let signs = matches!(route, Some("/sign-in" | "/sign-out"));
    own_page(method, headers, session.is_some() || signs)?;
    match (&app.access, session) {
        (Access::Tokens, Some(session)) if need != Need::Nothing => {
            app.sessions.caller(&session).await?.allowed(need)
        }
        _ => admit(&app.access, &app.tokens, headers, need).await,
    }
}

/// Who sends a request with these headers, if they may do what it needs.
pub(super) async fn admit(
    access: &Access,
    tokens: &Tokens,
    headers: &HeaderMap,
    need: Need,
) -> Result<Caller, Refused> {
    match access {
        Access::Anyone(hosts) => {
            let host = headers.get(header::HOST);
            match host.map(|host| host.to_str().unwrap_or("?")) {
                Some(host) if !hosts.hold(host) => Err(Refused::Host(host.to_owned())),
                // HTTP/1.0 and HTTP/2 name no host here, and no browser speaks those in clear.
                _ => Ok(Caller::anyone()),
            }
        }
        Access::Tokens if need == Need::Nothing => Ok(Caller::nobody()),
        Access::Tokens => tokens.caller(bearer(headers)?).await?.allowed(need),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750), and nowhere else: what stands in an address
/// is written down by everybody whom the request passes.
fn bearer(headers: &HeaderMap) -> Result<&str, Refused> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refused::NoToken)?;
    let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).unwrap_or_default();
    match scheme.eq_ignore_ascii_case("bearer") {
        true => Ok(token.trim()),
        false => Err(Refused::NoToken),
    }
}

/// Refuses changes that a page of another site has a browser make: a server on loopback is in
/// reach of every page that its user looks at. Browsers say by themselves where a request comes
/// from, and pages cannot change that; what is no browser says nothing. `Sec-Fetch-Site` comes with
/// TLS and from loopback, and knows more than we do behind a proxy; `Origin` comes with the rest.
/// Where a browser sends a cookie by itself (`strict`), it has to say one of the two.
fn own_page(method: &Method, headers: &HeaderMap, strict: bool) -> Result<(), Refused> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return match site {
            "same-origin" | "none" => Ok(()),
            _ => Err(Refused::Foreign(site.to_owned())),
        };
    }
    let Some(origin) = text(header::ORIGIN) else {
        return match strict {
            true => Err(Refused::Foreign("it does not say which".to_owned())),
            false => Ok(()),
        };
    };
    let from = origin.split_once("://").map(|(_, host)| host);
    match from.is_some() && from == text(header::HOST) {
        true => Ok(()),
        false => Err(Refused::Foreign(origin.to_owned())),
    }
}

impl Caller {
    fn allowed(self, need: Need) -> Result<Self, Refused> {
        match self.may(need) {
            true => Ok(self),
            false => Err(Refused::Forbidden(self.into(), need)),
        }
    }
}

impl From<Wrong> for Refused {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Unknown => Self::Unknown,
            Wrong::Expired(id) => Self::Expired(id),
            Wrong::Store(error) => Self::Store(Box::new(error.into())),
        }
    }
}

/// Why a request is not let in.
#[derive(Debug)]
pub(super) enum Refused {
    NoToken,
    Unknown,
    Expired(String),
    Forbidden(Box<Caller>, Need),
    Whole(Box<Caller>),
    Host(String),
    Foreign(String),
    Store(Box<Problem>),
}

impl Refused {
    /// In HTTP's terms.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Unknown | Self::Expired(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(..) | Self::Whole(_) | Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Logs the refusal, and says it; to a browser that looks for a page by showing it the way.
    fn told(self, app: &App, request: &Request) -> Response {
        let (method, uri) = (request.method(), request.uri());
        self.log(method, uri.path());
        if self.status() == StatusCode::UNAUTHORIZED
            && let Some(page) = sign_in::instead(app, method, uri, request.headers())
        {
            return page;
        }
        let challenge = self.challenge();
        let mut answer = self.problem().into_response();
        if let Some(challenge) = challenge {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }

    /// A line in the log for whoever looks who was at the door. It names a token by its id.
    fn log(&self, method: &dyn Display, path: &str) {
        let reason = self.reason();
        match self {
            Self::Forbidden(caller, _) | Self::Whole(caller) => {
                let (id, role) = (caller.token.as_deref(), caller.role().as_str());
                tracing::warn!(reason, token.id = id, role, "refused {method} {path}");
            }
            Self::Expired(id) => {
                tracing::warn!(reason, token.id = id, "refused {method} {path}");
            }
            Self::Host(said) | Self::Foreign(said) => {
                tracing::warn!(reason, said, "refused {method} {path}");
            }
            Self::NoToken | Self::Unknown | Self::Store(_) => {
                tracing::warn!(reason, "refused {method} {path}");
            }
        }
    }

    /// A word for metrics and log lines.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::Unknown => "unknown-token",
            Self::Expired(_) => "expired-token",
            Self::Forbidden(..) => "forbidden",
            Self::Whole(_) => "tenant",
            Self::Host(_) => "host",
            Self::Foreign(_) => "foreign",
            Self::Store(_) => "internal",
        }
    }

    /// How to sign in (RFC 6750 §3).
    pub(super) fn challenge(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::NoToken => r#"Bearer realm="fixpoint""#,
            Self::Unknown | Self::Expired(_) => r#"Bearer realm="fixpoint", error="invalid_token""#,
            Self::Forbidden(..) | Self::Whole(_) => {
                r#"Bearer realm="fixpoint", error="insufficient_scope""#
            }
            Self::Host(_) | Self::Foreign(_) | Self::Store(_) => return None,
        };
        Some(HeaderValue::from_static(text))
    }

    /// In a sentence.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::NoToken => "This wants an API token, and none was sent.".to_owned(),
            Self::Unknown => "The API token is not known here, or was revoked.".to_owned(),
            Self::Expired(id) => format!("The API token {id} has expired."),
            Self::Forbidden(caller, need) => {
                let (role, verb) = (caller.role(), need.verb());
                let roles = need.roles().into_iter().map(|role| role.as_str());
                let roles = roles.collect::<Vec<_>>().join(" or ");
                let token = caller.token.as_deref().unwrap_or_default();
                format!("The API token {token} is of role {role}. To {verb} wants {roles}.")
            }
            Self::Whole(caller) => {
                let token = caller.token.as_deref().unwrap_or_default();
                let tenant = caller.scope.tenant().unwrap_or_default();
                format!("The API token {token} is of tenant {tenant}. This is of the whole server.")
            }
            Self::Host(host) => format!("This server goes by no name such as {host}."),
            Self::Foreign(said) => {
                format!("This request was made by a page of another site ({said}).")
            }
            Self::Store(_) => "Whose token this is cannot be looked up.".to_owned(),
        }
    }

    fn problem(self) -> Problem {
        const SEND: &str = "Send Authorization: Bearer and a token; the fixpoint command does that \
            with FIXPOINT_TOKEN or --token-file.";
        const ASK: &str = "Ask an administrator for another: fixpoint token create.";
        let (status, detail) = (self.status(), self.sentence());
        match self {
            Self::NoToken => Problem::new(status, "no-token", "Not signed in", detail).hint(SEND),
            Self::Unknown | Self::Expired(_) => {
                Problem::new(status, "bad-token", "Not signed in", detail).hint(ASK)
            }
            Self::Forbidden(..) => {
                Problem::new(status, "forbidden", "Not allowed", detail).hint(ASK)
            }
            Self::Whole(_) => Problem::new(status, "tenant", "Not for a tenant", detail)
                .hint("Whoever runs the server has tokens without a tenant."),
            Self::Host(_) => Problem::new(status, "host", "Not this server", detail)
                .hint("Name the server by its address, or start it with --host-name."),
            Self::Foreign(_) => Problem::new(status, "foreign", "Request of another site", detail),
            Self::Store(problem) => *problem,
        }
    }
}
