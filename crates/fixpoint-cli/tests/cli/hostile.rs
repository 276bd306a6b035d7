//! Bodies that are made to take memory: many small values, many keys, deep nesting.
//!
//! The surprise: what counts is the most that the server's process had since the body before, as the
//! kernel keeps it, so nothing that is given back in time goes unseen; and what is given back later
//! is not counted twice.

use crate::support::Dev;

/// How large the bodies are: a quarter of what may come.
const SIZE: usize = 4 << 20;

/// How much more memory than a body takes its sender may make the server use.
const TIMES: usize = 32;

const SPAN: &str = r#""traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331""#;

/// Where it is sent, how it begins, and the body: the middle is filled up with something small.
fn bodies() -> Vec<(&'static str, String, String)> {
    let otlp = |inside: &str| {
        let (before, after) = inside.split_once("...").unwrap();
        let spans = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"#;
        (format!("{spans}{SPAN},{before}"), format!("{after}}}]}}]}}]}}"))
    };
    let plain = |all: &str| {
        let (before, after) = all.split_once("...").unwrap();
        (before.to_owned(), after.to_owned())
    };
    let zipkin = r#"[{"traceId":"1","id":"1","#;
    [
        ("api", plain(r#"{"name":"a","x":[...0]}"#), "0,"),
        ("api", plain(r#"{"name":"a","x":[...{}]}"#), r#"{"":0},"#),
        ("otlp", otlp(r#""events":[...{}]"#), "{},"),
        ("otlp", otlp(r#""links":[...{}]"#), "{},"),
        ("otlp", otlp(r#""attributes":[...{}]"#), "{},"),
        ("otlp", otlp(r#""x":[...0]"#), "0,"),
        ("otlp", plain(r#"{"resourceSpans":[...{}]}"#), "{},"),
        ("otlp", plain(r#"{"resourceSpans":[{"resource":{"attributes":[...{}]}}]}"#), "{},"),
        ("otlp", plain(r#"{"x":...0}"#), "["),
        ("upload", plain(&format!(r#"{zipkin}"annotations":[...{{}}]}}]"#)), "{},"),
        ("upload", plain(r#"[...0]"#), "0,"),
        (
            "upload",
            plain(r#"{"data":[{"spans":[{"traceID":"1","spanID":"1","logs":[...{}]}]}]}"#),
            "{},",
        ),
        ("upload", plain(r#"{"resourceSpans":[...]}"#), "[["),
    ]
    .into_iter()
    .map(|(to, (before, after), little)| {
        // The largest that the API takes is a sixteenth of the others.
        let size = if to == "api" { 255 << 10 } else { SIZE };
        let body = before.clone() + &little.repeat(size / little.len()) + &after;
        (to, format!("{before}{little}…"), body)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_takes_memory_out_of_proportion() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let http = reqwest::Client::new();
    for (to, what, body) in bodies() {
        let url = match to {
            "otlp" => format!("{}/v1/traces", dev.otlp_http),
            "upload" => format!("{}/v1/traces", dev.url),
            _ => format!("{}/v1/clusters?dry_run=true", dev.url),
        };
        let limit = TIMES * body.len() + (32 << 20);
        // From now on the most is what it has now.
        std::fs::write(format!("/proc/{}/clear_refs", dev.id()), "5").unwrap();
        let before = peak(&dev);
        let sent = http.post(url).header("content-type", "application/json").body(body);
        let answer = sent.send().await.unwrap();
        assert!(answer.status().as_u16() < 500, "{what}: {}", answer.status());
        let more = peak(&dev).saturating_sub(before);
        println!("{to} {what}: {}, {} MiB more", answer.status(), more >> 20);
        assert!(more < limit, "{what}: {} MiB", more >> 20);
    }
    dev.client().control("sandbox").await.unwrap();
}

/// The most memory that the server has had of late, in bytes.
fn peak(dev: &Dev) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", dev.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
