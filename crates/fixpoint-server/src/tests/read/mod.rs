//! Clients of Zipkin, Jaeger and Tempo read what is stored: one table of their requests, as their
//! documentation has them, and of what the answers must hold.
//!
//! The table is the documentation, too: a test writes it into `docs/read-interfaces.md` if
//! `FIXPOINT_WRITE_DOCS` is set, and otherwise checks that it stands there.

mod table;

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use fixpoint_trace::{
    model::{Event, Kind, Record, Span, SpanContext, Status, Value},
    store::{TraceStore, memory::MemoryStore},
};
use serde_json::Value as Json;
use tower::ServiceExt;

use self::table::{JAEGER, JAEGER_3, Row, TABLE, TEMPO, ZIPKIN};
use super::Harness;
use crate::{Limits, Protocol, http, store};

/// 2023-11-14T22:13:20Z
const START: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;

/// A trace of three spans and two services, and another of one span ten seconds later. Their ids
/// have 64 bits, which Zipkin and Jaeger write in 16 digits and OTLP in 32.
fn spans() -> Vec<Record> {
    let span = |trace: &str, id: &str, parent: &str, service: &str, name: &str| {
        let context =
            SpanContext { trace_id: trace.parse().unwrap(), span_id: id.parse().unwrap() };
        let resource = [("service.name".to_owned(), Value::from(service))];
        Span {
            parent: parent.parse().ok(),
            resource: Arc::new(resource.into_iter().collect()),
            ..Span::new(context, name, START)
        }
    };
    let (cart, tick) = ("0000000000000000000000000000ca27", "000000000000000000000000000071c4");
    let mut root = span(cart, "00000000000000a1", "", "shop", "get /cart");
    root.kind = Kind::Server;
    root.end = Some(START + 300 * MS);
    root.attributes.insert("http.request.method".into(), "GET".into());
    root.attributes.insert("http.response.status_code".into(), Value::Int(500));
    let mut select = span(cart, "00000000000000a2", "00000000000000a1", "shop", "select cart");
    select.kind = Kind::Client;
    (select.start, select.end) = (START + 10 * MS, Some(START + 110 * MS));
    select.attributes.insert("peer.service".into(), "postgres".into());
    select.events.push(Event {
        time: START + 20 * MS,
        name: "cache miss".into(),
        ..Event::default()
    });
    let mut reserve = span(cart, "00000000000000a3", "00000000000000a1", "stock", "reserve");
    reserve.kind = Kind::Server;
    (reserve.start, reserve.end) = (START + 200 * MS, Some(START + 250 * MS));
    reserve.status = Status::Error("sold out".into());
    let mut count = span(tick, "00000000000000b1", "", "stock", "count");
    (count.start, count.end) = (START + 10_000 * MS, Some(START + 10_001 * MS));
    [root, select, reserve, count].into_iter().map(Record::Span).collect()
}

async fn server() -> Harness {
    let traces = Arc::new(MemoryStore::default());
    traces.append(&spans()).await.unwrap();
    Harness::with(Arc::new(store::MemoryStore::new()), traces, Arc::default())
}

/// The path and query as a client encodes it.
fn encoded(path: &str) -> String {
    let encode = |c: char| match c {
        ' ' => "%20".to_owned(),
        '"' | '{' | '}' | '<' | '>' | '`' => format!("%{:02X}", c as u32),
        c => c.to_string(),
    };
    // Between `&` and `&` only what is a separator stays one.
    path.replace(" && ", " %26%26 ").chars().map(encode).collect()
}

/// What is wrong with an answer.
fn fault(row: &Row, status: u16, text: &str) -> Option<String> {
    if status != 200 {
        return Some(format!("{status}: {text}"));
    }
    let json: Json = serde_json::from_str(text).unwrap_or(Json::String(text.to_owned()));
    row.holds.iter().find_map(|(pointer, wanted)| {
        let found = json.pointer(pointer);
        let right = match *wanted {
            "" => found.is_none(),
            wanted => {
                let wanted =
                    serde_json::from_str(wanted).unwrap_or(Json::String(wanted.to_owned()));
                found == Some(&wanted)
            }
        };
        (!right).then(|| format!("{pointer:?} is {found:?}, wanted {wanted}, in {text}"))
    })
}

#[tokio::test]
async fn every_request_of_the_table_is_answered_under_its_prefix_and_beside_the_others() {
    let server = server().await;
    let mut faults = Vec::new();
    for row in TABLE {
        let own = match row.client {
            ZIPKIN => "/zipkin",
            TEMPO => "/tempo",
            _ => "/jaeger",
        };
        // What Jaeger and Tempo both have is Jaeger's where there is no prefix.
        let shared = row.client == TEMPO && row.path.starts_with("/api/traces/");
        for prefix in [own, ""].into_iter().filter(|prefix| !shared || !prefix.is_empty()) {
            let answer = server.get(&format!("{prefix}{}", encoded(row.path))).await;
            let fault = fault(row, answer.status.as_u16(), &answer.text);
            faults.extend(fault.map(|fault| format!("{prefix}{}\n    {fault}", row.path)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn zipkins_requests_are_answered_on_zipkins_own_port() {
    let server = server().await;
    let receiver = http::receiver(Protocol::Zipkin, Limits::default(), &server.app);
    for row in TABLE.iter().filter(|row| row.client == ZIPKIN) {
        let request = Request::get(encoded(row.path)).body(Body::empty()).unwrap();
        let answer = receiver.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(fault(row, status, &text), None, "{}", row.path);
    }
}

#[tokio::test]
async fn tempos_clients_ask_for_protobuf_and_need_no_prefix_for_it() {
    let server = server().await;
    for path in ["/api/traces/ca27", "/tempo/api/traces/ca27", "/api/v2/traces/ca27"] {
        let request = Request::get(path).header("accept", "application/protobuf");
        let answer = server.router.clone().oneshot(request.body(Body::empty()).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/protobuf", "{path}");
        let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("get /cart"), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_right_is_told_by_the_status() {
    let server = server().await;
    for (path, status) in [
        ("/zipkin/api/v2/trace/1", 404),
        ("/jaeger/api/traces/1", 404),
        ("/api/v3/traces/1", 404),
        ("/tempo/api/traces/1", 404),
        ("/api/v2/traces/1", 404),
        ("/zipkin/api/v2/trace/xyz", 400),
        ("/zipkin/api/v2/spans", 400),
        ("/zipkin/api/v2/traces?minDuration=long", 400),
        ("/jaeger/api/traces?minDuration=long", 400),
        ("/jaeger/api/traces?tags=x", 400),
        ("/jaeger/api/traces?tag=x", 400),
        ("/api/v3/traces?query.attributes=x", 400),
        ("/api/v3/traces?query.filter={}", 400),
        ("/tempo/api/search?q=nonsense", 400),
        ("/tempo/api/search?tags=x", 400),
    ] {
        assert_eq!(server.get(&encoded(path)).await.status.as_u16(), status, "{path}");
    }
}

/// The table as it stands in the documentation.
fn table() -> String {
    let mut text = String::new();
    for client in [ZIPKIN, JAEGER, JAEGER_3, TEMPO] {
        let rows: Vec<_> = TABLE.iter().filter(|row| row.client == client).collect();
        text += &format!("\n### {client}\n\n| request | the answer holds |\n| --- | --- |\n");
        for row in rows {
            let holds = row.holds.iter().map(|(pointer, wanted)| match (*pointer, *wanted) {
                (pointer, "") => format!("nothing at `{pointer}`"),
                ("", wanted) => format!("`{wanted}`"),
                (pointer, wanted) => format!("`{pointer}`: `{wanted}`"),
            });
            let holds = holds.collect::<Vec<_>>().join("; ");
            text += &format!("| `GET {}` | {holds} |\n", row.path);
        }
    }
    text
}

#[test]
fn the_table_stands_in_the_documentation() {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/read-interfaces.md");
    const MARK: &str =
        "<!-- From here on written by a test: crates/fixpoint-server/src/tests/read/mod.rs -->\n";
    let text = std::fs::read_to_string(PATH).unwrap();
    let (by_hand, found) = text.split_once(MARK).unwrap();
    if std::env::var_os("FIXPOINT_WRITE_DOCS").is_some() {
        std::fs::write(PATH, format!("{by_hand}{MARK}{}", table())).unwrap();
    } else {
        assert_eq!(found, table(), "run this test with FIXPOINT_WRITE_DOCS=1");
    }
}
