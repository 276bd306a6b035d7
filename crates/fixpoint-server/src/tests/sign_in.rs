//! The page's sign-in: what a cookie opens, what it does not, and where it ends.

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode},
};
use fixpoint_client::Role;
use serde_json::json;

use super::{access::Guarded, *};

const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

impl Guarded {
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.harness.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Signs in with a token of this role, and returns the cookie as a browser sends it.
    async fn cookie(&self, role: Role) -> (String, String) {
        let token = self.token(role).await;
        let form = format!("token={}&to=%2Fruns", token.secret);
        let answer = self.ask("POST", "/sign-in", &[OWN], &form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:#?}");
        assert_eq!(answer.header("location"), "/runs");
        let set = answer.header("set-cookie").to_owned();
        for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=43200"] {
            assert!(set.contains(part), "{set}");
        }
        assert!(!set.contains("Secure"), "{set}");
        assert!(!set.contains(&token.secret), "the cookie is not the token");
        (set.split(';').next().unwrap().to_owned(), token.token.id)
    }
}

#[tokio::test]
async fn a_browser_without_a_session_is_shown_where_to_sign_in_and_a_script_is_told() {
    let server = Guarded::new().await;
    let html = ("accept", "text/html,*/*");
    let answer = server.ask("GET", "/traces?q=a%20b", &[html], "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/sign-in?to=%2Ftraces%3Fq%3Da%2520b");
    let answer = server.ask("GET", answer.header("location"), &[html], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains(r#"name="to" value="/traces?q=a%20b""#), "{}", answer.text);

    for headers in [[html, ("x-fixpoint-refresh", "1")], [("accept", "*/*"), OWN]] {
        let answer = server.ask("GET", "/runs", &headers, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    // A link from elsewhere: the browser keeps the cookie back, and comes again from our own page.
    let elsewhere = ("sec-fetch-site", "cross-site");
    let answer = server.ask("GET", "/runs?state=failed", &[html, elsewhere], "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("refresh"), "0; url=/runs?state=failed");
    let answer = server.ask("GET", "/runs?state=failed", &[html, OWN], "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_session_opens_what_its_token_opens_pages_and_streams_included() {
    let server = Guarded::new().await;
    let (cookie, id) = server.cookie(Role::Operator).await;
    let signed_in = ("cookie", &*cookie);
    assert_eq!(server.ask("GET", "/runs", &[signed_in], "").await.status, StatusCode::OK);
    let page = server.ask("GET", "/sign-in", &[signed_in], "").await.text;
    assert!(page.contains(&id) && page.contains("Sign out"), "{page}");
    let json = ("content-type", "application/json");
    let made = server.ask("POST", "/v1/toys", &[signed_in, OWN, json], r#"{"name":"a"}"#).await;
    let run = made.run_id();
    let events = Request::get(format!("/v1/runs/{run}/events")).header("cookie", &cookie);
    let events = server.harness.router.clone().oneshot(events.body(Body::empty()).unwrap());
    assert_eq!(events.await.unwrap().status(), StatusCode::OK);
    let answer = server.ask("POST", "/v1/tokens", &[signed_in, OWN, json], "{}").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let answer = server.ask("POST", "/sign-out", &[signed_in, OWN], "").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    let answer = server.ask("GET", "/v1/runs", &[signed_in], "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn no_other_site_can_ask_in_the_name_of_whoever_is_signed_in() {
    let server = Guarded::new().await;
    let (cookie, _) = server.cookie(Role::Operator).await;
    let signed_in = ("cookie", &*cookie);
    let json = ("content-type", "application/json");
    let host = ("host", "fixpoint.example:7171");
    for (from, expected) in [
        (vec![], StatusCode::FORBIDDEN),
        (vec![("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        (vec![("sec-fetch-site", "same-site")], StatusCode::FORBIDDEN),
        (vec![host, ("origin", "http://evil.example")], StatusCode::FORBIDDEN),
        (vec![host, ("origin", "null")], StatusCode::FORBIDDEN),
        (vec![host, ("origin", "http://fixpoint.example:7171")], StatusCode::UNPROCESSABLE_ENTITY),
        (vec![OWN], StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let headers = [&[signed_in, json][..], &from].concat();
        let answer = server.ask("POST", "/v1/toys", &headers, "{}").await;
        assert_eq!(answer.status, expected, "{from:?}");
    }
    // Nor sign anybody in with a token of its own, or out.
    for path in ["/sign-in", "/sign-out"] {
        let foreign = [("sec-fetch-site", "cross-site")];
        assert_eq!(server.ask("POST", path, &foreign, "token=x").await.status, 403, "{path}");
        assert_eq!(server.ask("POST", path, &[], "token=x").await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_token_signs_nobody_in_and_is_not_repeated() {
    let server = Guarded::new().await;
    let answer = server.ask("POST", "/sign-in", &[OWN], "token=Canary7hunter2&to=//evil").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!answer.headers.contains_key("set-cookie"));
    assert!(answer.text.contains("not known here"), "{}", answer.text);
    assert!(!answer.text.contains("Canary7") && !answer.text.contains("evil"), "{}", answer.text);
    let trace = server.trace_text(answer.header("x-trace-id")).await;
    assert!(trace.contains("refused to sign somebody in") && !trace.contains("Canary7"), "{trace}");

    let form = format!("token={}", server.token(Role::Ingest).await.secret);
    let answer = server.ask("POST", "/sign-in", &[OWN], &form).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.text.contains("sees nothing"), "{}", answer.text);
    let answer = server.ask("POST", "/sign-in", &[OWN], &"x".repeat(10_000)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn over_tls_and_behind_a_proxy_that_speaks_it_the_cookie_is_for_tls_alone() {
    let server = Guarded::new().await;
    let form = format!("token={}", server.token(Role::Viewer).await.secret);
    let tls = ("x-forwarded-proto", "https");
    let answer = server.ask("POST", "/sign-in", &[OWN, tls], &form).await;
    let set = answer.header("set-cookie");
    assert!(set.starts_with("__Host-fixpoint-session=") && set.ends_with("; Secure"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let answer = server.ask("GET", "/runs", &[("cookie", cookie), tls], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_ends_when_its_readers_token_is_revoked() {
    let server = Guarded::new().await;
    let viewer = server.token(Role::Viewer).await;
    let admin = server.admin.clone();
    let made =
        server.send("POST".parse().unwrap(), "/v1/toys", Some(&admin), Some(json!({"name": "a"})));
    let trace = made.await.header("x-trace-id").to_owned();
    server.harness.recorder.flush().await.unwrap();
    let events = Request::get(format!("/v1/traces/{trace}/events?from=now"))
        .header("authorization", format!("Bearer {}", viewer.secret));
    let events = server.harness.router.clone().oneshot(events.body(Body::empty()).unwrap());
    let answer = events.await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let reading = tokio::spawn(axum::body::to_bytes(answer.into_body(), usize::MAX));
    pause().await;
    assert!(!reading.is_finished());
    let path = format!("/v1/tokens/{}", viewer.token.id);
    server.send("DELETE".parse().unwrap(), &path, Some(&admin), None).await;
    time::timeout(PATIENCE, reading).await.expect("an end in time").unwrap().unwrap();
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do_with_it() {
    let harness = Harness::new();
    for path in [
        "/",
        "/runs",
        "/sign-in",
        "/healthz",
        "/metrics",
        "/v1/runs",
        "/v1/nothing",
        "/assets/page.mjs",
    ] {
        let headers: HeaderMap = harness.get(path).await.headers;
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("referrer-policy"), "same-origin", "{path}");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

/// The policy forbids what is inline, and a page that has some is broken in silence.
#[test]
fn no_template_has_a_script_a_style_or_a_handler_in_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let inline =
        regex::Regex::new(r#"(?i)<style|<script(?:>|[^>]*[^"]>)|\sstyle=|\son[a-z]+=|javascript:"#);
    let inline = inline.unwrap();
    let mut looked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let found = inline.find(&text).map(|found| found.as_str());
        assert_eq!(found, None, "{}", path.display());
        looked += 1;
    }
    assert!(looked > 10, "{looked}");
}
