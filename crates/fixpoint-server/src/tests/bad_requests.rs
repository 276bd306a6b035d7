//! A table of requests that are refused, with what each is told; none of them changes anything.

use axum::{body::Body, http::Request};
use fixpoint_client::Problem;
use serde_json::json;

use super::Harness;

/// A request and its answer.
struct Case {
    what: &'static str,
    request: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    status: u16,
    title: &'static str,
    /// The pointer of the first field at fault, if the answer has one.
    pointer: Option<&'static str>,
    /// A part of the detail, or of what is said of that field.
    says: &'static str,
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

macro_rules! case {
    ($what:literal: $request:literal $headers:expr, $body:expr =>
     $status:literal $title:literal $(at $pointer:literal)?, $says:literal) => {{
        let pointers: &[&str] = &[$($pointer)?];
        Case {
            what: $what, request: $request, headers: $headers, body: $body,
            status: $status, title: $title, pointer: pointers.first().copied(), says: $says,
        }
    }};
}

#[rustfmt::skip]
fn table() -> Vec<Case> {
    vec![
        // Bodies that are none.
        case!("no body": "POST /v1/toys" JSON, "" => 400 "No body", "empty"),
        case!("no JSON": "POST /v1/toys" JSON, "{name: car}" => 400 "Not JSON", "line 1 column 2"),
        case!("half a body": "POST /v1/toys" JSON, r#"{"name": "car""# => 400 "Not JSON", "EOF"),
        case!("two bodies": "POST /v1/toys" JSON, r#"{"name": "car"} {}"# => 400 "Not JSON", "trailing"),
        case!("not UTF-8 escapes": "POST /v1/toys" JSON, r#"{"name": "\ud800"}"# => 400 "Not JSON", "column"),
        case!("an array": "POST /v1/toys" JSON, r#"[{"name": "car"}]"# => 400 "Not a JSON object", "an array"),
        case!("a text": "POST /v1/toys" JSON, r#""car""# => 400 "Not a JSON object", "a text"),
        case!("null": "PATCH /v1/toys/ada" JSON, "null" => 400 "Not a JSON object", "null"),
        // Bodies that are not said to be JSON.
        case!("no content type": "POST /v1/toys" &[], r#"{"name": "car"}"# => 415 "Not said to be JSON", "no content type"),
        case!("a form": "POST /v1/toys" &[("content-type", "application/x-www-form-urlencoded")], "name=car" => 415 "Not said to be JSON", "urlencoded"),
        case!("plain text": "POST /v1/toys" &[("content-type", "text/plain")], r#"{"name": "car"}"# => 415 "Not said to be JSON", "text/plain"),
        case!("latin-1": "POST /v1/toys" &[("content-type", "application/json; charset=iso-8859-1")], r#"{"name": "car"}"# => 415 "Not said to be JSON", "8859"),
        case!("gzip": "POST /v1/toys" &[("content-type", "application/json"), ("content-encoding", "gzip")], "x" => 415 "Not said to be JSON", "Encoded"),
        case!("a patch of a kind not known": "PATCH /v1/toys/ada" &[("content-type", "application/json-patch+json")], "{}" => 415 "Not said to be JSON", "json-patch"),
        case!("a merge patch to POST": "POST /v1/toys" &[("content-type", "application/merge-patch+json")], r#"{"name": "car"}"# => 415 "Not said to be JSON", "merge-patch"),
        case!("a length too large": "POST /v1/toys" &[("content-type", "application/json"), ("content-length", "9999999")], "{}" => 413 "Body too large", "256 KiB"),
        // Names.
        case!("no name": "POST /v1/toys" JSON, r#"{"bricks": 2}"# => 422 "Not a valid resource" at "/name", "a name is wanted"),
        case!("a name that is a number": "POST /v1/toys" JSON, r#"{"name": 7}"# => 422 "Not a valid resource" at "/name", "a text"),
        case!("an empty name": "POST /v1/toys" JSON, r#"{"name": ""}"# => 422 "Not a valid resource" at "/name", "wanted"),
        case!("capitals": "POST /v1/toys" JSON, r#"{"name": "Car"}"# => 422 "Not a valid resource" at "/name", "lower-case"),
        case!("a path": "POST /v1/toys" JSON, r#"{"name": "../etc"}"# => 422 "Not a valid resource" at "/name", "lower-case"),
        case!("a long name": "POST /v1/toys" JSON, r#"{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}"# => 422 "Not a valid resource" at "/name", "at most 40"),
        case!("a name taken": "POST /v1/toys" JSON, r#"{"name": "ada"}"# => 409 "Exists already", "toys/ada"),
        case!("a new name by PATCH": "PATCH /v1/toys/ada" JSON, r#"{"name": "bob"}"# => 422 "Not a valid resource" at "/name", "renamed"),
        // Specs.
        case!("an unknown field": "POST /v1/toys" JSON, r#"{"name": "car", "brics": 2}"# => 422 "Not a valid resource" at "/brics", "unknown field"),
        case!("a wrong type": "POST /v1/toys" JSON, r#"{"name": "car", "bricks": "two"}"# => 422 "Not a valid resource" at "/bricks", "invalid type"),
        case!("less than none": "POST /v1/toys" JSON, r#"{"name": "car", "bricks": -1}"# => 422 "Not a valid resource" at "/bricks", "-1"),
        case!("a fraction": "POST /v1/toys" JSON, r#"{"name": "car", "bricks": 1.5}"# => 422 "Not a valid resource" at "/bricks", "1.5"),
        case!("an absurd number": "POST /v1/toys" JSON, r#"{"name": "car", "bricks": 99999999999}"# => 422 "Not a valid resource" at "/bricks", "99999999999"),
        case!("too many": "POST /v1/toys" JSON, r#"{"name": "car", "bricks": 11}"# => 422 "Not a valid resource" at "/bricks", "at most 10"),
        case!("an unknown variant": "POST /v1/toys" JSON, r#"{"name": "car", "color": "green"}"# => 422 "Not a valid resource" at "/color", "unknown variant"),
        case!("a wrong item": "POST /v1/toys" JSON, r#"{"name": "car", "words": ["a", 2]}"# => 422 "Not a valid resource" at "/words/1", "invalid type"),
        case!("name and spec at once": "POST /v1/toys" JSON, r#"{"name": "C", "bricks": 11}"# => 422 "Not a valid resource" at "/name", "2 mistakes, at /name, /bricks"),
        case!("all at once": "POST /v1/toys" JSON, r#"{"name": "car", "brics": 2, "wheels": {}, "bricks": 11}"# => 422 "Not a valid resource" at "/brics", "3 mistakes, at /brics, /wheels, /bricks"),
        case!("a patch to nonsense": "PATCH /v1/toys/ada" JSON, r#"{"bricks": []}"# => 422 "Not a valid resource" at "/bricks", "invalid type"),
        case!("a change that cannot be": "PATCH /v1/toys/ada" JSON, r#"{"color": null}"# => 422 "Not a valid resource" at "/color", "come off"),
        case!("a dry run of nonsense": "POST /v1/toys?dry_run=true" JSON, r#"{"name": "car", "bricks": 11}"# => 422 "Not a valid resource" at "/bricks", "at most 10"),
        // Preconditions and keys.
        case!("a stale tag": "PATCH /v1/toys/ada" &[("content-type", "application/json"), ("if-match", "\"9\"")], r#"{"bricks": 4}"# => 412 "Changed meanwhile", "generation 1"),
        case!("a stale tag to DELETE": "DELETE /v1/toys/ada" &[("if-match", "\"9\"")], "" => 412 "Changed meanwhile", "generation 1"),
        case!("a tag without quotes": "PATCH /v1/toys/ada" &[("content-type", "application/json"), ("if-match", "1")], r#"{"bricks": 4}"# => 400 "Bad If-Match", "quotes"),
        case!("an empty key": "POST /v1/toys" &[("content-type", "application/json"), ("idempotency-key", "")], r#"{"name": "car"}"# => 400 "Bad Idempotency-Key", "1 to 200"),
        case!("a key with spaces": "POST /v1/toys" &[("content-type", "application/json"), ("idempotency-key", "a b")], r#"{"name": "car"}"# => 400 "Bad Idempotency-Key", "no spaces"),
        case!("a page of another site": "DELETE /v1/toys/ada" &[("sec-fetch-site", "cross-site")], "" => 403 "Request of another site", "cross-site"),
        // What is not there.
        case!("an unknown kind": "POST /v1/trains" JSON, r#"{"name": "car"}"# => 404 "Not found", "/v1/trains"),
        case!("an unknown path": "GET /v1/toys/ada/wheels/left" &[], "" => 404 "Not found", "/v1/toys/ada/wheels/left"),
        case!("an unknown toy": "GET /v1/toys/bob" &[], "" => 404 "Not found", "toys/bob"),
        case!("an unknown toy to PATCH": "PATCH /v1/toys/bob" JSON, "{}" => 404 "Not found", "toys/bob"),
        case!("an unknown toy to DELETE": "DELETE /v1/toys/bob" &[], "" => 404 "Not found", "toys/bob"),
        case!("an unknown toy to plan": "GET /v1/toys/bob/plan" &[], "" => 404 "Not found", "toys/bob"),
        case!("an unknown run": "GET /v1/runs/run-7" &[], "" => 404 "Not found", "run run-7"),
        case!("an unknown run to follow": "GET /v1/runs/run-7/events" &[], "" => 404 "Not found", "run run-7"),
        case!("an unknown run to cancel": "POST /v1/runs/run-7/cancel" &[], "" => 404 "Not found", "run run-7"),
        case!("an unknown trace": "GET /v1/traces/11111111111111111111111111111111" &[], "" => 404 "Not found", "trace 1111"),
        case!("an unknown trace to follow": "GET /v1/traces/11111111111111111111111111111111/events" &[], "" => 404 "Not found", "trace 1111"),
        // Methods and parameters.
        case!("PUT of a toy": "PUT /v1/toys/ada" JSON, "{}" => 405 "Method not allowed", "PUT"),
        case!("DELETE of all toys": "DELETE /v1/toys" &[], "" => 405 "Method not allowed", "DELETE"),
        case!("a method nobody knows": "BREW /v1/toys" &[], "" => 405 "Method not allowed", "BREW"),
        case!("half a trace id": "GET /v1/traces/1234" &[], "" => 400 "Not a trace id", "32 hex digits"),
        case!("a trace id of zeros": "GET /v1/traces/00000000000000000000000000000000" &[], "" => 400 "Not a trace id", "0000"),
        case!("an unknown parameter": "GET /v1/runs?status=failed" &[], "" => 400 "Bad query parameter", "status"),
        case!("an unknown state": "GET /v1/runs?state=lost" &[], "" => 400 "Bad query parameter", "lost"),
        case!("a resource without a kind": "GET /v1/runs?resource=ada" &[], "" => 400 "Bad query parameter", "kind/name"),
        case!("a limit of none": "GET /v1/toys?limit=0" &[], "" => 400 "Bad query parameter", "1 to 200"),
        case!("a limit of too many": "GET /v1/runs?limit=100000" &[], "" => 400 "Bad query parameter", "1 to 200"),
        case!("a limit that is no number": "GET /v1/toys?limit=ten" &[], "" => 400 "Bad query parameter", "limit"),
        case!("a made-up token": "GET /v1/toys?page_token=zz" &[], "" => 400 "Bad query parameter", "page_token"),
        case!("a time that is none": "GET /v1/traces?since=yesterday" &[], "" => 400 "Bad query parameter", "since"),
        case!("log lines of no trace": "GET /v1/logs?trace_id=7" &[], "" => 400 "Bad query parameter", "7 is not a trace id"),
        case!("a query that is none": "GET /v1/traces?q=kind%20%3D%20serer" &[], "" => 400 "Not a query", "there is no kind `serer`"),
        case!("the parameters of old": "GET /v1/traces?service=api" &[], "" => 400 "Bad query parameter", "service"),
        case!("a while that ends before it begins": "GET /v1/traces?since=1h&until=2h" &[], "" => 400 "Bad query parameter", "since is after until"),
        case!("a step that is none": "GET /v1/rates?step=5" &[], "" => 400 "Bad query parameter", "step is 5"),
        case!("too many buckets": "GET /v1/rates?since=7d&step=1m" &[], "" => 400 "Bad query parameter", "10080 buckets"),
        case!("more operations than there may be": "GET /v1/operations?limit=9999" &[], "" => 400 "Bad query parameter", "1 to 2000"),
        case!("a pin on an unknown trace": "PUT /v1/traces/11111111111111111111111111111111/pin" &[], "" => 404 "Not found", "trace 1111"),
        case!("a find of nothing": "GET /v1/find?q=%20" &[], "" => 400 "Bad query parameter", "q wants"),
        case!("a find without a question": "GET /v1/find" &[], "" => 400 "Bad query parameter", "q"),
        case!("a dry run that is no boolean": "DELETE /v1/toys/ada?dry_run=maybe" &[], "" => 400 "Bad query parameter", "dry_run"),
    ]
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong_and_change_nothing() {
    let server = Harness::new();
    server.make(json!({"name": "ada", "bricks": 2, "color": "red"})).await;
    let before = everything(&server).await;
    let mut wrong = Vec::new();
    for case in table() {
        let (method, path) = case.request.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in case.headers {
            request = request.header(*name, *value);
        }
        let answer = server.send(request.body(Body::from(case.body)).unwrap()).await;
        let status = answer.status.as_u16();
        let Ok(problem) = serde_json::from_str::<Problem>(&answer.text) else {
            wrong.push(format!("{}: no problem but {answer:#?}", case.what));
            continue;
        };
        let pointer = problem.errors.first().map(|error| error.pointer.as_str());
        let as_wanted = status == case.status
            && problem.status == case.status
            && problem.title == case.title
            && pointer == case.pointer
            && [Some(&problem.detail), problem.errors.first().map(|error| &error.detail)]
                .iter()
                .flatten()
                .any(|said| said.contains(case.says))
            && problem.trace_id == answer.header("x-trace-id");
        if !as_wanted {
            wrong.push(format!("{}: {status} {problem:#?}", case.what));
        }
        if everything(&server).await != before {
            wrong.push(format!("{} changed something", case.what));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_body_nested_without_end_is_refused() {
    let server = Harness::new();
    let body = format!("{{\"name\":{}", "[".repeat(100_000));
    let request = Request::post("/v1/toys").header("content-type", "application/json");
    let answer = server.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text.contains("recursion limit"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Harness::new();
    let body = Body::from_stream(futures_util::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::post("/v1/toys").header("content-type", "application/json");
    let answer = server.send(request.body(body).unwrap()).await;
    assert_eq!(answer.status, 408, "{answer:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let server = Harness::new();
    let chunks = [Ok("{\"name\":"), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let request = Request::post("/v1/toys").header("content-type", "application/json");
    let answer = server.send(request.body(body).unwrap()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.value()["title"].as_str()),
        (400, Some("Broken body"))
    );
}

/// All that a bad request might have changed.
async fn everything(server: &Harness) -> (String, String, u32) {
    let toys = server.get("/v1/toys").await.text;
    (toys, server.get("/v1/runs").await.text, server.world.state().made)
}
