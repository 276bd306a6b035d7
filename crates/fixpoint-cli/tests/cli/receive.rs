//! Other programs' spans, sent to a running server, are shown by the command.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::support::{Dev, command, run};

const SPANS: &str = r#"{"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
    "scopeSpans": [{"spans": [
        {"traceId": "5af7183fb1d4cf5f5af7183fb1d4cf5f", "spanId": "00000000000000a1",
         "name": "GET /cart", "kind": 2,
         "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000300000000"},
        {"traceId": "5af7183fb1d4cf5f5af7183fb1d4cf5f", "spanId": "00000000000000a2",
         "parentSpanId": "00000000000000a1", "name": "select cart", "kind": 3,
         "startTimeUnixNano": "1700000000100000000", "endTimeUnixNano": "1700000000200000000",
         "status": {"code": 2, "message": "no such table"}}
    ]}]
}]}"#;

/// Sends spans as OTLP in JSON; returns the first line of the answer.
fn send(url: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /v1/traces HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{SPANS}",
        SPANS.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn spans_that_were_acknowledged_are_shown_also_after_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    assert_eq!(send(&dev.otlp_http), "HTTP/1.1 200 OK");
    dev.kill();
    let dev = Dev::start(folder.path(), &[]);
    let shown = dev.fixpoint(&["trace", "5af7183fb1d4cf5f5af7183fb1d4cf5f"]);
    for wanted in ["exit 0", "GET /cart", "select cart", "no such table"] {
        assert!(shown.contains(wanted), "{wanted} is not in\n{shown}");
    }
}

#[test]
fn a_receivers_port_that_was_asked_for_and_is_taken_is_an_error_with_a_hint() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let args = ["dev", "--listen", "127.0.0.1:0", "--otlp-grpc", "off", "--otlp-http", "off"];
    let said = run(command().args(args).args(["--zipkin", &taken, "--data"]).arg(folder.path()));
    let said = said.replace(&taken, "ADDRESS");
    assert!(said.contains("cannot listen on ADDRESS for zipkin"), "{said}");
    assert!(said.contains("--zipkin; port 0 takes a free one"), "{said}");
    assert!(!said.starts_with("exit 0"), "{said}");
}

#[test]
fn a_receiver_that_others_can_reach_must_be_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["dev", "--listen", "127.0.0.1:0", "--otlp-grpc", "0.0.0.0:0", "--data"];
    let said = run(command().args(args).arg(folder.path()));
    assert!(said.contains("0.0.0.0:0 can be reached by others"), "{said}");
    assert!(said.contains("--allow-remote-without-auth"), "{said}");
}

#[test]
fn a_trace_is_downloaded_in_every_format_and_uploaded_to_another_server() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    for data in [&here, &there] {
        std::fs::create_dir(data).unwrap();
    }
    let dev = Dev::start(&here, &[]);
    assert_eq!(send(&dev.otlp_http), "HTTP/1.1 200 OK");
    const ID: &str = "5af7183fb1d4cf5f5af7183fb1d4cf5f";
    for format in ["otlp", "otlp-protobuf", "jaeger", "zipkin"] {
        let file = folder.path().join(format);
        let mut download = command();
        download.env("FIXPOINT_URL", &dev.url).args(["trace", ID, "--format", format]);
        let output = download.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::write(&file, output.stdout).unwrap();

        let data = there.join(format);
        std::fs::create_dir(&data).unwrap();
        let other = Dev::start(&data, &[]);
        let said = other.fixpoint(&["upload", file.to_str().unwrap()]);
        let wanted =
            format!("exit 0\n-- stdout\n{ID}\n-- stderr\n2 spans and log lines of 1 trace\n");
        assert_eq!(said, wanted, "{format}");
        let shown = other.fixpoint(&["trace", ID]);
        for wanted in ["GET /cart", "select cart", "no such table"] {
            assert!(shown.contains(wanted), "{format}: {wanted} is not in\n{shown}");
        }
    }
    let said = dev.fixpoint(&["trace", ID, "--format", "xml"]);
    assert!(said.contains("format is xml"), "{said}");
    let said = dev.fixpoint(&["upload", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    assert!(said.contains("could not read a file of traces"), "{said}");
}
