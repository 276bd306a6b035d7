//! Who gets in, route by route: what the OpenAPI document lists is what is tried.
//!
//! The surprise: nothing here lists the API's routes. A new one is tried as soon as it is
//! documented, and the guard closes it before that.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use fixpoint_client::{CreatedToken, Role, TokenPage};
use serde_json::{Value, json};

use super::*;
use crate::{Limits, Protocol, first_token};

/// A server that asks for tokens, and one token of each role.
pub(super) struct Guarded {
    pub(super) harness: Harness,
    pub(super) admin: String,
}

impl Guarded {
    pub(super) async fn new() -> Self {
        Self::with(Setup::new("first", Arc::default())).await
    }

    /// One that is set up so, but for who gets in.
    pub(super) async fn with(setup: Setup) -> Self {
        let runs: Arc<dyn store::RunStore> = Arc::new(store::MemoryStore::new());
        let mut admin = String::new();
        let keep = |secret: &str| {
            secret.clone_into(&mut admin);
            Ok(())
        };
        first_token(&runs, false, keep).await.unwrap().expect("a first token");
        let traces = Arc::new(trace_store::memory::MemoryStore::default());
        let harness = Harness::whole(Setup { access: Access::Tokens, ..setup }, runs, traces);
        Self { harness, admin }
    }

    pub(super) async fn token(&self, role: Role) -> CreatedToken {
        self.token_of(json!({"name": format!("a {role}"), "role": role})).await
    }

    pub(super) async fn token_of(&self, body: Value) -> CreatedToken {
        let answer = self.send(Method::POST, "/v1/tokens", Some(&self.admin), Some(body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:#?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        self.harness.send(request(method, path, token, body)).await
    }

    /// The answer's status alone; of a stream of events, the rest would never end.
    async fn status(&self, method: Method, path: &str, token: Option<&str>) -> StatusCode {
        let request = request(method, path, token, None);
        self.harness.router.clone().oneshot(request).await.unwrap().status()
    }

    /// Everything that is stored of a trace.
    pub(super) async fn trace_text(&self, id: &str) -> String {
        self.harness.recorder.flush().await.unwrap();
        format!("{:?}", self.harness.app.traces.whole().trace(id.parse().unwrap()).await.unwrap())
    }

    /// Every method of every path in the document: its path as it can be asked for, who may, and
    /// whether it changes anything.
    async fn operations(&self) -> Vec<Operation> {
        let document = self.send(Method::GET, "/v1/openapi.json", Some(&self.admin), None).await;
        let document = document.value();
        assert_eq!(document["security"], json!([{"token": []}]));
        let parameter = regex::Regex::new(r"\{\w+\}").unwrap();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let method: Method = method.to_ascii_uppercase().parse().unwrap();
                let roles = &operation["x-roles"];
                let roles = match operation.get("security") {
                    Some(open) => {
                        assert_eq!(open, &json!([]), "{method} {path}");
                        None
                    }
                    None => Some(serde_json::from_value(roles.clone()).unwrap()),
                };
                let path = path.replace("{name}", "a-toy").replace("{span_id}", "00f067aa0ba902b7");
                let path = parameter.replace_all(&path, TRACE);
                operations.push(Operation { method, path: path.into_owned(), roles });
            }
        }
        operations
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[derive(Debug)]
struct Operation {
    method: Method,
    path: String,
    /// None if it is open to everybody.
    roles: Option<Vec<Role>>,
}

pub(super) fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()
}

#[tokio::test]
async fn every_documented_operation_is_closed_to_whoever_has_no_token_or_a_wrong_one() {
    let server = Guarded::new().await;
    let operations = server.operations().await;
    assert!(operations.len() > 30, "{operations:#?}");
    let wrong = format!("fixpoint_{}", "0".repeat(72));
    for Operation { method, path, roles } in operations {
        for token in [None, Some("nonsense"), Some(&*wrong)] {
            let answer =
                server.harness.router.clone().oneshot(request(method.clone(), &path, token, None));
            let answer = answer.await.unwrap();
            let said = format!("{method} {path} with {token:?}");
            match &roles {
                None => assert!(answer.status().is_success(), "{said}: {}", answer.status()),
                Some(_) => {
                    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{said}");
                    assert!(answer.headers().contains_key("www-authenticate"), "{said}");
                    // What is asked all the time leaves no trace.
                    let named = answer.headers().contains_key("x-trace-id");
                    assert!(named || path == "/metrics", "{said}");
                }
            }
        }
    }
}

#[tokio::test]
async fn every_documented_operation_is_open_to_its_roles_and_closed_to_the_others() {
    let server = Guarded::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, server.token(role).await.secret));
    }
    let mut refused = 0;
    for Operation { method, path, roles } in server.operations().await {
        let Some(roles) = roles else { continue };
        assert!(roles.contains(&Role::Admin), "{method} {path}");
        assert!(method.is_safe() || !roles.contains(&Role::Viewer), "{method} {path}");
        for (role, token) in &tokens {
            let status = server.status(method.clone(), &path, Some(token)).await;
            let closed = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED;
            assert_eq!(closed, !roles.contains(role), "{role}: {method} {path}: {status}");
            refused += usize::from(closed);
        }
    }
    assert!(refused > 30, "{refused}");
}

#[tokio::test]
async fn what_is_not_documented_is_closed_too() {
    let server = Guarded::new().await;
    let viewer = server.token(Role::Viewer).await.secret;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/runs"),
        ("GET", "/runs/run-1"),
        ("GET", "/traces"),
        ("GET", "/toys/a-toy"),
        ("GET", "/search?q=a"),
        ("GET", "/no/such/path/at/all"),
        ("GET", "/v1/nothing"),
        ("GET", "/dev/world"),
        ("PUT", "/dev/world"),
        ("GET", "/api/services"),
        ("GET", "/zipkin/api/v2/services"),
        ("GET", "/tempo/api/search"),
        ("GET", "/api/v3/services"),
        ("POST", "/healthz"),
        ("BREW", "/v1/runs"),
    ] {
        let method: Method = method.parse().unwrap();
        let status = server.status(method.clone(), path, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
        let status = server.status(method.clone(), path, Some(&viewer)).await;
        let allowed = method == Method::GET;
        assert_eq!(status != StatusCode::FORBIDDEN, allowed, "{method} {path}: {status}");
    }
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_a_hint_and_leaves_a_line_without_the_token() {
    let server = Guarded::new().await;
    let viewer = server.token(Role::Viewer).await;
    let answer = server.send(Method::POST, "/v1/toys", Some(&viewer.secret), Some(json!({}))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{answer:#?}");
    let problem: fixpoint_client::Problem = answer.json();
    assert_eq!(problem.kind, "/problems/forbidden");
    assert!(problem.detail.contains(&viewer.token.id), "{problem:#?}");
    assert!(problem.detail.ends_with("wants operator or admin."), "{problem:#?}");
    assert!(problem.hint.is_some_and(|hint| hint.contains("fixpoint token create")));

    let trace = server.trace_text(&problem.trace_id).await;
    assert!(trace.contains("refused POST /v1/toys") && trace.contains(&viewer.token.id), "{trace}");
    assert!(trace.contains("insufficient") || trace.contains("forbidden"), "{trace}");
    assert!(!trace.contains(&viewer.secret[9..40]), "{trace}");
}

#[tokio::test]
async fn an_administrator_makes_lists_and_revokes_tokens_and_each_is_a_line_in_a_trace() {
    let server = Guarded::new().await;
    let made = server.token(Role::Operator).await;
    let page: TokenPage =
        server.send(Method::GET, "/v1/tokens", Some(&server.admin), None).await.json();
    let names: Vec<_> = page.items.iter().map(|token| (&*token.name, token.role)).collect();
    assert_eq!(names, [("first", Role::Admin), ("a operator", Role::Operator)]);
    assert_eq!(page.items[1].created_by.as_deref(), Some(&*page.items[0].id));
    assert!(page.items[0].last_used_at.is_some());

    let body = json!({"name": "a"});
    let answer = server.send(Method::POST, "/v1/toys", Some(&made.secret), Some(body)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:#?}");

    let path = format!("/v1/tokens/{}", made.token.id);
    let answer = server.send(Method::DELETE, &path, Some(&server.admin), None).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:#?}");
    let trace = server.trace_text(answer.header("x-trace-id")).await;
    assert!(trace.contains("token revoked") && trace.contains(&made.token.id), "{trace}");
    let answer = server.send(Method::GET, "/v1/toys", Some(&made.secret), None).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("www-authenticate").contains("invalid_token"), "{answer:#?}");
    let answer = server.send(Method::DELETE, &path, Some(&server.admin), None).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    for (body, pointer) in [
        (json!({}), "/role"),
        (json!({"role": "owner"}), "/role"),
        (json!({"role": "viewer", "expires_at": "1999-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"role": "viewer", "tenants": []}), "/tenants"),
        (json!({"role": "viewer", "tenant": "a--b"}), "/tenant"),
        (json!({"role": "admin", "tenant": "acme"}), "/role"),
    ] {
        let answer =
            server.send(Method::POST, "/v1/tokens", Some(&server.admin), Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:#?}");
        assert_eq!(answer.value()["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn a_token_counts_only_where_tokens_belong() {
    let server = Guarded::new().await;
    let admin = &server.admin;
    for path in [format!("/v1/toys?token={admin}"), format!("/v1/toys?access_token={admin}")] {
        assert_eq!(server.status(Method::GET, &path, None).await, StatusCode::UNAUTHORIZED);
    }
    for value in [format!("Basic {admin}"), admin.clone(), "Bearer".to_owned(), String::new()] {
        let request =
            Request::get("/v1/toys").header("authorization", &value).body(Body::empty()).unwrap();
        assert_eq!(server.harness.send(request).await.status, StatusCode::UNAUTHORIZED, "{value}");
    }
    let scheme = Request::get("/v1/toys").header("authorization", format!("bearer {admin}"));
    let answer = server.harness.send(scheme.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn where_nobody_signs_in_a_request_must_name_us_and_no_other_site() {
    let harness = Harness::new();
    let ask = async |method: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri("/v1/toys");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        harness.send(request.body(Body::empty()).unwrap()).await
    };
    for host in ["127.0.0.1:7171", "localhost:7171", "[::1]:7171"] {
        assert_eq!(ask("GET", &[("host", host)]).await.status, StatusCode::OK, "{host}");
    }
    let answer = ask("GET", &[("host", "rebound.example:7171")]).await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(answer.value()["hint"].as_str().unwrap().contains("--host-name"), "{answer:#?}");

    let local = ("host", "localhost:7171");
    for foreign in [
        [local, ("sec-fetch-site", "cross-site")],
        [local, ("sec-fetch-site", "same-site")],
        [local, ("origin", "http://evil.example")],
        [local, ("origin", "http://localhost:8080")],
        [local, ("origin", "null")],
    ] {
        assert_eq!(ask("POST", &foreign).await.status, StatusCode::FORBIDDEN, "{foreign:?}");
        assert_eq!(ask("GET", &foreign).await.status, StatusCode::OK, "{foreign:?}");
    }
    // Without a body: past the guard, and refused for that.
    for own in [
        vec![local],
        vec![local, ("origin", "http://localhost:7171")],
        vec![local, ("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example")],
    ] {
        let status = ask("POST", &own).await.status;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{own:?}");
    }
}

#[tokio::test]
async fn receivers_take_from_whoever_may_send_and_say_no_in_their_own_protocol() {
    let server = Guarded::new().await;
    let (ingest, viewer) = (server.token(Role::Ingest).await, server.token(Role::Viewer).await);
    let ask = async |protocol, mut request: Request<Body>, token: Option<&str>| {
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", value);
        }
        let receiver = http::receiver(protocol, Limits::default(), &server.harness.app);
        let (head, body) = receiver.oneshot(request).await.unwrap().into_parts();
        let body = http_body_util::BodyExt::collect(body).await.unwrap();
        let trailer = body.trailers().and_then(|trailers| trailers.get("grpc-status")).cloned();
        let grpc = head.headers.get("grpc-status").cloned().or(trailer);
        let grpc = grpc.map_or(-1, |status| status.to_str().unwrap().parse::<i32>().unwrap());
        (head.status.as_u16(), grpc, head.headers.contains_key("www-authenticate"))
    };
    let post = |path: &str, kind: &str, body: &'static [u8]| {
        Request::post(path).header("content-type", kind).body(Body::from(body)).unwrap()
    };
    let grpc = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let cases = || {
        [
            (Protocol::OtlpGrpc, post(grpc, "application/grpc", &[0; 5])),
            (Protocol::OtlpHttp, post("/v1/logs", "application/json", b"{}")),
            (Protocol::Zipkin, post("/api/v2/spans", "application/json", b"[]")),
        ]
    };
    let mut said = Vec::new();
    for token in [None, Some("nonsense"), Some(&*viewer.secret), Some(&*ingest.secret)] {
        for (protocol, request) in cases() {
            said.push(ask(protocol, request, token).await);
        }
    }
    assert_eq!(
        said,
        [
            (200, 16, false),
            (401, -1, true),
            (401, -1, true),
            (200, 16, false),
            (401, -1, true),
            (401, -1, true),
            (200, 7, false),
            (403, -1, true),
            (403, -1, true),
            (200, 0, false),
            (200, -1, false),
            (202, -1, false),
        ]
    );
    // What Zipkin's port lets read, it lets viewers read.
    let read = || Request::get("/api/v2/services").body(Body::empty()).unwrap();
    assert_eq!(ask(Protocol::Zipkin, read(), None).await.0, 401);
    assert_eq!(ask(Protocol::Zipkin, read(), Some(&ingest.secret)).await.0, 403);
    assert_eq!(ask(Protocol::Zipkin, read(), Some(&viewer.secret)).await.0, 200);
}
