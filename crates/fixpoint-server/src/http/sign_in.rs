//! `/sign-in` and `/sign-out`: a token is pasted once, and a cookie stands for it from then on.
//!
//! Not here: what a session is (`access/sessions.rs`). The surprise: the cookie is not sent along
//! when somebody follows a link from another site, so that no other site can ask for anything in
//! their name. [`once_more`] then has the browser come again by itself, from our own page.

use axum::{
    Router,
    body::to_bytes,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use fixpoint_client::Role;
use serde::Deserialize;

use super::{App, Problem, guard::Refused, pages::draw};
use crate::{
    access::{Access, Caller, NotSignedIn, SESSION, Wrong},
    ui::{Chrome, OnceMorePage, SignInPage},
};

/// A token, and where to go then.
const MAX_FORM: usize = 8 << 10;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/sign-in", get(form).post(sign_in)).route("/sign-out", post(sign_out))
}

#[derive(Deserialize)]
struct FormParams {
    #[serde(default)]
    to: String,
}

async fn form(
    State(app): State<App>,
    Query(FormParams { to }): Query<FormParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let caller = match cookie(&app, &headers) {
        Some(session) => app.sessions.caller(&session).await.ok(),
        None => None,
    };
    draw(&page(&app, to, None, caller.as_ref()))
}

async fn sign_in(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_FORM).await else {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        let detail = "The form is larger than a token.";
        return Err(Problem::new(status, "too-large", "Body too large", detail));
    };
    let (mut token, mut to) = (String::new(), String::new());
    for (name, value) in form_urlencoded::parse(&body) {
        match &*name {
            "token" => value.trim().clone_into(&mut token),
            "to" => to = value.into_owned(),
            _ => {}
        }
    }
    let why = match app.sessions.begin(&token).await {
        Ok((session, caller)) if caller.role() == Role::Ingest => {
            app.sessions.end(&session.reveal()).await?;
            "This token sends spans and sees nothing.".to_owned()
        }
        Ok((session, caller)) => {
            let id = caller.token.as_deref();
            tracing::info!(token.id = id, role = caller.role().as_str(), "signed in");
            let mut answer = Redirect::to(own_path(&to)).into_response();
            let set = set_cookie(&app, &head.headers, &session.reveal(), SESSION.as_secs());
            answer.headers_mut().insert(header::SET_COOKIE, set?);
            return Ok(answer);
        }
        Err(NotSignedIn::Wrong(Wrong::Store(error))) => return Err(error.into()),
        Err(NotSignedIn::Random(error)) => return Err(Problem::internal(&error)),
        Err(NotSignedIn::Wrong(Wrong::Unknown)) => Refused::Unknown.sentence(),
        Err(NotSignedIn::Wrong(Wrong::Expired(id))) => Refused::Expired(id).sentence(),
    };
    tracing::warn!("refused to sign somebody in: {why}");
    let mut answer = draw(&page(&app, to, Some(why), None))?;
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(answer)
}

async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(session) = cookie(&app, &headers) {
        let caller = app.sessions.caller(&session).await.ok();
        app.sessions.end(&session).await?;
        tracing::info!(token.id = caller.and_then(|c| c.token).as_deref(), "signed out");
    }
    let mut answer = Redirect::to("/sign-in").into_response();
    answer.headers_mut().insert(header::SET_COOKIE, set_cookie(&app, &headers, "", 0)?);
    Ok(answer)
}

fn page(app: &App, to: String, why: Option<String>, caller: Option<&Caller>) -> SignInPage {
    SignInPage {
        chrome: Chrome::new("Sign in"),
        wanted: matches!(app.access, Access::Tokens),
        to: own_path(&to).to_owned(),
        why,
        signed_in: caller.and_then(|caller| {
            let role = caller.role();
            let role = match caller.scope.tenant() {
                Some(tenant) => format!("{role} for tenant {tenant}"),
                None => role.to_string(),
            };
            Some((caller.token.as_deref()?.to_owned(), role))
        }),
    }
}

/// Where to go after signing in: a path of ours, or the first page. Two slashes, or a slash and a
/// backslash, lead to another host.
fn own_path(to: &str) -> &str {
    let inside = to.starts_with('/') && !to[1..].starts_with(['/', '\\']);
    if inside && !to.chars().any(char::is_control) { to } else { "/" }
}

/// Sends a browser that wants a page to where it can sign in; none if what asks is no browser, or a
/// script of a page.
pub(super) fn instead(
    app: &App,
    method: &Method,
    uri: &http::Uri,
    headers: &HeaderMap,
) -> Option<Response> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let page = text("accept").is_some_and(|accept| accept.contains("text/html"))
        && text("x-fixpoint-refresh").is_none()
        && !uri.path().starts_with("/v1/");
    if !page || *method != Method::GET {
        return None;
    }
    let from_elsewhere =
        text("sec-fetch-site").is_some_and(|s| !matches!(s, "same-origin" | "none"));
    let wanted = uri.path_and_query().map_or("/", |path| path.as_str());
    if from_elsewhere && cookie(app, headers).is_none() {
        return once_more(wanted).ok();
    }
    let to: String = form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    Some(Redirect::to(&format!("/sign-in?to={to}")).into_response())
}

/// A page that leads to the same address, from where the browser sends its cookie along.
fn once_more(path: &str) -> Result<Response, Problem> {
    let path = own_path(path).to_owned();
    let refresh = HeaderValue::try_from(format!("0; url={path}"));
    let mut answer = draw(&OnceMorePage { chrome: Chrome::new("One moment"), path })?;
    if let Ok(refresh) = refresh {
        answer.headers_mut().insert("refresh", refresh);
    }
    Ok(answer)
}

/// The session that a browser shows.
pub(super) fn cookie(app: &App, headers: &HeaderMap) -> Option<String> {
    let wanted = cookie_name(is_secure(app, headers));
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        pairs.flat_map(|pairs| pairs.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim().to_owned())
}

fn set_cookie(
    app: &App,
    headers: &HeaderMap,
    session: &str,
    seconds: i64,
) -> Result<HeaderValue, Problem> {
    let secure = is_secure(app, headers);
    let (name, end) = (cookie_name(secure), if secure { "; Secure" } else { "" });
    let text =
        format!("{name}={session}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{end}");
    let mut value = HeaderValue::try_from(text).map_err(|error| Problem::internal(&error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// With this prefix a browser takes a cookie only over TLS, and from no other host of the domain.
fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-fixpoint-session" } else { "fixpoint-session" }
}

/// Whether the browser speaks TLS, with us or with a proxy before us. Who lies about that keeps
/// only themselves out.
fn is_secure(app: &App, headers: &HeaderMap) -> bool {
    app.tls.is_some() || headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_no_other_host() {
        for own in ["/", "/runs/1", "/traces?q=a//b"] {
            assert_eq!(own_path(own), own);
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "runs",
            "/a\nb",
            "/\t/x",
        ] {
            assert_eq!(own_path(other), "/", "{other}");
        }
    }
}
