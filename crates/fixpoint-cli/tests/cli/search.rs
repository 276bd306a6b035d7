//! Searching from the command line, on a server with a few traces in memory.

use std::sync::Arc;

use clusters::Clusters;
use fixpoint_aws::{
    Aws, AwsOptions,
    sandbox::{Sandbox, SandboxOptions},
};
use fixpoint_server::{Access, Hosts, Server, store::MemoryStore};
use fixpoint_trace::{
    model::{Record, Resource, Span, SpanContext, SpanId, Status, TraceId},
    record::Recorder,
    store::{TraceStore, memory},
};
use tokio::net::TcpListener;

use crate::support::{command, run, same};

const MINUTE: u64 = 60_000_000_000;

/// A day in the year 2001, at a whole hour.
const DAY: u64 = 1_000_000_800 * 1_000_000_000;

/// Three traces: the second has an error, the last lacks the call that the others have. None is
/// open: a server that starts ends what an earlier one left so.
fn records() -> Vec<Record> {
    let resource: Resource = [("service.name".to_owned(), "clusters".into())].into_iter().collect();
    let resource = Arc::new(resource);
    let mut records = Vec::new();
    for n in 0..3 {
        let trace_id = TraceId::from_bytes([0xa0 + n as u8; 16]).unwrap();
        let mut root = None;
        for (at, name) in ["run clusters", "ELBv2.DescribeTargetGroups", "ELBv2.RegisterTargets"]
            .into_iter()
            .take(if n == 2 { 2 } else { 3 })
            .enumerate()
        {
            let span_id = SpanId::from_bytes([16 * n as u8 + at as u8 + 1; 8]).unwrap();
            let start = DAY + n * MINUTE + at as u64;
            let mut span = Span::new(SpanContext { trace_id, span_id }, name, start);
            span.parent = root;
            span.resource = Arc::clone(&resource);
            span.end = Some(start + 4_000_000);
            if n == 1 && at == 2 {
                span.status = Status::Error("throttled".into());
            }
            root = root.or(Some(span_id));
            records.push(Record::Span(span));
        }
    }
    records
}

/// A server that has the traces.
pub(crate) struct Searched {
    url: String,
}

impl Searched {
    pub(crate) async fn new() -> Self {
        let traces = Arc::new(memory::MemoryStore::default());
        traces.append(&records()).await.unwrap();
        let (recorder, writer) = Recorder::new(Arc::clone(&traces) as _);
        tokio::spawn(writer.run(std::future::pending()));
        let sandbox = Some(Sandbox::open(SandboxOptions::default()).unwrap());
        let aws = Aws::connect(AwsOptions { sandbox, ..AwsOptions::default() }).await;
        let server = Server::builder()
            .kind(Clusters::new(aws))
            .access(Access::Anyone(Hosts::default()))
            .runs(Arc::new(MemoryStore::new()))
            .traces(traces, recorder)
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(server.run(listener, std::future::pending()));
        Self { url }
    }

    pub(crate) fn fixpoint(&self, args: &[&str]) -> String {
        run(command().env("FIXPOINT_URL", &self.url).args(args))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_searched_and_more_of_them_is_told() {
    let server = Searched::new().await;
    let absent = r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#;
    insta::assert_snapshot!(same(&server.fixpoint(&["search", absent])), @r"
    exit 0
    -- stdout
    STARTED              SERVICE   ROOT          TOOK  SPANS  ERRORS  TRACE
    TIME  clusters  run clusters  TOOK  2      0       TRACE
    ");
    insta::assert_snapshot!(server.fixpoint(&["search", "--limit", "2"]), @r"
    exit 0
    -- stdout
    STARTED              SERVICE   ROOT          TOOK  SPANS  ERRORS  TRACE
    2001-09-09 02:02:00  clusters  run clusters  4 ms  2      0       a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2
    2001-09-09 02:01:00  clusters  run clusters  4 ms  3      1       a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1
    -- stderr
    there are more: --until 2001-09-09T02:01:00Z, or a higher --limit
    ");
    let json = server.fixpoint(&["search", "error", "--until", "1h", "-o", "json"]);
    let json: serde_json::Value =
        serde_json::from_str(json.split_once("stdout\n").unwrap().1).unwrap();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(1));
    assert_eq!((&json["items"][0]["errors"], &json["truncated"]), (&1.into(), &false.into()));
    let none = server.fixpoint(&["search", "error", "--since", "1h"]);
    assert_eq!(none, "exit 0\n-- stderr\nno trace matches\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_a_query_is_shown_at_its_place() {
    let server = Searched::new().await;
    let said = server.fixpoint(&["search", "error and kind = serer"]);
    insta::assert_snapshot!(same(&said), @r"
    exit 2
    -- stderr
    error: there is no kind `serer`; expected `internal`, `server`, `client`, `producer` or `consumer`.
      error and kind = serer
                       ^^^^^
    Hint: did you mean `kind = server`?
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_operations_are_listed_with_their_figures() {
    let server = Searched::new().await;
    let since = ["--since", "2001-09-09T01:00:00Z", "--until", "2001-09-09T03:00:00Z"];
    let with = |command: &'static str| [&[command][..], &since].concat();
    insta::assert_snapshot!(server.fixpoint(&with("services")), @r"
    exit 0
    -- stdout
    SERVICE   OPERATIONS  RATE   ERRORS      P50   P99
    clusters  3           4.0/h  1 (12.5 %)  4 ms  4 ms
    ");
    insta::assert_snapshot!(server.fixpoint(&with("operations")), @r"
    exit 0
    -- stdout
    SERVICE   OPERATION                   RATE   ERRORS      P50   P99
    clusters  ELBv2.DescribeTargetGroups  1.5/h  0           4 ms  4 ms
    clusters  run clusters                1.5/h  0           4 ms  4 ms
    clusters  ELBv2.RegisterTargets       1.0/h  1 (50.0 %)  4 ms  4 ms
    ");
    let other = server.fixpoint(&["operations", "other"]);
    assert!(other.ends_with("nothing since 1h; look further back with --since 7d\n"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_pinned_by_any_id_and_unpinned() {
    let server = Searched::new().await;
    let id = "a0".repeat(16);
    assert_eq!(server.fixpoint(&["pin"]), "exit 0\n-- stderr\nno trace is pinned\n");
    let pinned = server.fixpoint(&["pin", &id[..12]]);
    assert_eq!(pinned, format!("exit 0\n-- stdout\ntrace {id} pinned\n"));
    assert_eq!(server.fixpoint(&["pin"]), format!("exit 0\n-- stdout\n{id}\n"));
    let unpinned = server.fixpoint(&["unpin", &id]);
    assert_eq!(unpinned, format!("exit 0\n-- stdout\ntrace {id} unpinned\n"));
    assert_eq!(server.fixpoint(&["pin"]), "exit 0\n-- stderr\nno trace is pinned\n");
    let unknown = server.fixpoint(&["pin", &"ff".repeat(16)]);
    assert!(unknown.starts_with("exit 2\n-- stderr\nerror: There is no trace ffff"), "{unknown}");
}
