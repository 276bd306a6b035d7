//! Secrets planted wherever a user, a cloud or a browser could put one are found nowhere: not in the
//! stores, the log, the queue of what is copied, a page, a file of a trace, or an answer.
//!
//! Not here: what other programs send, which is stored as it was sent, and fields that a user wants
//! stored. The surprise: the test also looks for what is beside each secret. Were that not found
//! either, the test would look in the wrong place.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::{Dev, command};

/// In every secret that is planted, whatever else it looks like.
const CANARY: &str = "CANARY7HUNTER2";

/// What an AWS error says, each with a secret in another form and a word that is none.
fn messages() -> Vec<String> {
    let pem = "PRIVATE KEY-----";
    vec![
        format!("beside0: key AKIA{CANARY}AB was refused"),
        format!("beside1: password={CANARY}"),
        format!("beside2: https://admin:{CANARY}@db.example/x"),
        format!("beside3: Authorization: Bearer {CANARY}"),
        format!("beside4: {{\"SecretAccessKey\": \"{CANARY}\"}}"),
        format!("beside5: -----BEGIN RSA {pem}\n{CANARY}\n-----END RSA {pem}"),
        format!("beside6: Login {{ user: \"a\", password: Some(\"{CANARY}\") }}"),
        format!("beside7: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{CANARY}"),
        format!("beside8: <userData>{CANARY}</userData>"),
    ]
}

/// One request as a browser or a script could send it, and the whole answer.
fn send(url: &str, head: &str, body: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// A webhook that takes nothing, and repeats in its answer all that it is sent. What it was sent is
/// in the second.
fn parrot() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heard) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(String::new())));
    let hears = Arc::clone(&heard);
    // It ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
            let head = head.join("\n");
            *hears.lock().unwrap() += &head;
            let length = head.len();
            let status = format!("HTTP/1.1 500 {CANARY}\r\ncontent-length: {length}\r\n\r\n");
            let _gone = (&stream).write_all((status + &head).as_bytes());
        }
    });
    (address, heard)
}

/// Every file under the folder, with what is in it.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|w| w == word.as_bytes())
}

#[test]
fn a_planted_secret_is_found_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // Port 9 is the discard service's: what is to be copied stays in its queue on disk.
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")];
    let (address, heard) = parrot();
    let url = format!("http://{CANARY}a:{CANARY}b@{address}/hooks/{CANARY}c?key={CANARY}d");
    let secret = folder.path().with_extension("webhook-secret");
    // Base64, in which the word is to be found as well.
    fs::write(&secret, format!("whsec_{CANARY}{}", "a".repeat(30))).unwrap();
    let flags = ["--webhook", &url, "--webhook-secret-file", secret.to_str().unwrap()];
    let flags = [&flags[..], &["--time-scale", "600"]].concat();
    let dev = Dev::start_in(data, &flags, &environment);
    fs::remove_file(&secret).unwrap();

    // What AWS says when it refuses: one message after another, on the first call of each creation.
    let mut seen = Vec::new();
    for (n, message) in messages().iter().enumerate() {
        let fault = json!({"kind": "error", "code": "AuthFailure", "message": message});
        let rules =
            json!({"rules": [{"operation": "EC2.CreateVpc", "every": true, "fault": fault}]});
        let head = "PUT /dev/faults HTTP/1.1\r\ncontent-type: application/json";
        assert!(send(&dev.url, head, &rules.to_string()).starts_with("HTTP/1.1 200"));
        let file = data.join("cluster.yaml");
        fs::write(&file, format!("name: plant-{n}\nnodes: 1\n")).unwrap();
        let said = dev.fixpoint(&["apply", "-f", file.to_str().unwrap(), "--wait"]);
        assert!(said.starts_with("exit 1"), "{said}");
        assert!(said.contains(&format!("beside{n}")), "{said}");
        seen.push(("apply".to_owned(), said.into_bytes()));
    }

    // What a request carries: in its address, its headers and a body that is refused.
    let json = "content-type: application/json";
    for (head, body) in [
        (format!("GET /v1/clusters?password={CANARY}&beside=query HTTP/1.1"), String::new()),
        (format!("GET /search?q=secret%3D{CANARY} HTTP/1.1"), String::new()),
        (format!("GET /v1/runs HTTP/1.1\r\nauthorization: Bearer {CANARY}"), String::new()),
        (format!("GET /v1/runs HTTP/1.1\r\ncookie: session={CANARY}"), String::new()),
        (format!("GET /v1/runs HTTP/1.1\r\nx-api-key: {CANARY}"), String::new()),
        (format!("GET /v1/runs HTTP/1.1\r\nuser-agent: a/1 token={CANARY}"), String::new()),
        (format!("GET /v1/runs HTTP/1.1\r\nreferer: http://a:{CANARY}@h/"), String::new()),
        (
            format!("POST /v1/clusters HTTP/1.1\r\n{json}"),
            format!(r#"{{"name": "a", "beside": 1, "password": "{CANARY}"}}"#),
        ),
        (
            format!("POST /v1/clusters HTTP/1.1\r\n{json}"),
            format!(r#"{{"name": "a", "nodes": "password={CANARY}"}}"#),
        ),
        (
            "POST /sign-in HTTP/1.1\r\nsec-fetch-site: same-origin".to_owned(),
            format!("token=fixpoint_{CANARY}&to=/"),
        ),
    ] {
        // The answer to whoever sent it may repeat what was wrong; what stays is looked at below.
        assert!(send(&dev.url, &head, &body).starts_with("HTTP/1.1 "), "{head}");
    }

    // What the webhook was sent and answered.
    let tested = dev.fixpoint(&["webhook", "test"]);
    assert!(tested.contains("did not take the ping\n  it answered 500"), "{tested}");
    assert!(tested.contains("webhook-signature"), "{tested}");
    seen.push(("webhook test".to_owned(), tested.into_bytes()));
    let heard = heard.lock().unwrap().clone();
    assert!(heard.contains(&format!("/hooks/{CANARY}c?key={CANARY}d")), "{heard}");
    assert!(heard.contains("authorization: Basic "), "{heard}");

    // Everything there is to look at, as people and programs do.
    let said = dev.fixpoint(&["runs", "-o", "json", "--limit", "100"]);
    let runs: Value = serde_json::from_str(said.split_once("stdout\n").unwrap().1).unwrap();
    let runs = runs["items"].as_array().unwrap();
    assert!(runs.len() >= messages().len(), "{said}");
    for run in runs {
        let (id, trace) = (run["id"].as_str().unwrap(), run["trace_id"].as_str().unwrap());
        for path in [
            format!("/runs/{id}"),
            format!("/v1/runs/{id}"),
            format!("/v1/runs/{id}/why"),
            format!("/traces/{trace}"),
            format!("/v1/traces/{trace}"),
            format!("/v1/traces/{trace}/rows?attributes=error.message"),
            format!("/v1/traces/{trace}?format=jaeger"),
            format!("/v1/traces/{trace}?format=zipkin"),
            format!("/v1/logs?trace_id={trace}"),
        ] {
            let answer = send(&dev.url, &format!("GET {path} HTTP/1.1\r\naccept: text/html"), "");
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            seen.push((path, answer.into_bytes()));
        }
    }
    for path in [
        "/",
        "/runs",
        "/traces",
        "/operations",
        "/v1/clusters",
        "/v1/logs",
        "/v1/attributes",
        "/metrics",
    ] {
        seen.push((
            path.to_owned(),
            send(&dev.url, &format!("GET {path} HTTP/1.1"), "").into_bytes(),
        ));
    }
    let mut trace = command();
    trace.env("FIXPOINT_URL", &dev.url).args(["trace", "plant-0", "--format", "otlp-protobuf"]);
    seen.push(("a file".to_owned(), trace.output().unwrap().stdout));
    let notified = seen.iter().filter(|(path, _)| path.starts_with("/v1/runs/"));
    let notified = notified.filter(|(_, bytes)| holds(bytes, "\"notifications\""));
    assert!(notified.count() >= messages().len(), "the webhook is told of each");
    assert!(dev.terminate().contains("exit status: 0"));

    let stored = files(data);
    for part in ["runs", "traces", "export", "log.jsonl"] {
        let part = data.join(part).display().to_string();
        assert!(stored.iter().any(|(path, _)| path.starts_with(&part)), "{part}: {stored:?}");
    }
    for (place, bytes) in stored.iter().chain(&seen) {
        assert!(!holds(bytes, CANARY), "{place} holds a planted secret");
    }
    // What stood beside the secrets is there, so the right places were looked at.
    let log = &stored.iter().find(|(path, _)| path.ends_with("log.jsonl")).unwrap().1;
    for n in 0..messages().len() {
        let word = format!("beside{n}");
        assert!(holds(log, &word), "{word} is not in the log");
        assert!(seen.iter().any(|(p, bytes)| p.starts_with("/v1/traces/") && holds(bytes, &word)));
    }
}
