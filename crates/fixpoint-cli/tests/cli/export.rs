//! A server copies its traces to another, and never to itself.

use std::time::Duration;

use serde_json::json;

use crate::support::{Dev, command, run};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACE: &str = "5b8efff798038103d269b633813fc60c";

#[test]
fn a_trace_stored_before_kill_9_reaches_the_other_server_after_it() {
    let (folder, other_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let span = json!({
        "traceId": TRACE, "spanId": "eee19b7ec3c1b174", "name": "I'm a server span", "kind": 2,
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": "1544712661000000000",
    });
    let file = folder.path().join("trace.json");
    let document = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]});
    std::fs::write(&file, document.to_string()).unwrap();

    // Port 9 is the discard service's; nothing listens there.
    let dev = Dev::start_in(folder.path(), &[], &[(ENDPOINT, "http://127.0.0.1:9")]);
    let uploaded = dev.fixpoint(&["upload", file.to_str().unwrap()]);
    assert!(uploaded.starts_with("exit 0"), "{uploaded}");
    dev.kill();

    let other = Dev::start(other_folder.path(), &[]);
    let dev = Dev::start_in(folder.path(), &[], &[(ENDPOINT, &other.otlp_http)]);
    let copied = loop {
        let shown = other.fixpoint(&["trace", TRACE]);
        if shown.starts_with("exit 0") {
            break shown;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(copied.contains("I'm a server span"), "{copied}");
    assert!(dev.terminate().contains("exit status: 0"));
}

#[test]
fn a_server_that_would_copy_to_itself_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let said = run(command()
        .args(["dev", "--listen", "127.0.0.1:0", "--otlp-grpc", "off", "--zipkin", "off"])
        .args(["--otlp-http", &address, "--data"])
        .arg(folder.path())
        .env(ENDPOINT, format!("http://{address}")));
    insta::assert_snapshot!(said.replace(&address, "ADDRESS"), @r"
    exit 2
    -- stderr
    error: traces cannot be exported to ADDRESS, which is this server itself
    Hint: OTEL_EXPORTER_OTLP_ENDPOINT names where this server copies to; unset it, or move the receiver with --otlp-grpc or --otlp-http
    ");
}
