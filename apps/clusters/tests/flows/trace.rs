//! What a creation looks like in its trace.

use std::{collections::HashMap, sync::Arc};

use clusters::addons::Addon;
use fixpoint_aws::sandbox::SandboxOptions;
use fixpoint_trace::{
    layer::RecordLayer,
    model::{Kind, Span, Trace, Value},
    record::Recorder,
    store::{TraceQuery, TraceStore, memory::MemoryStore},
    testing::tree,
};
use tracing::Instrument;
use tracing_subscriber::layer::SubscriberExt;

use crate::world::{World, solve, spec};

/// Creates a cluster without latencies, so that calls made at once come in one order, and gives
/// back what was recorded.
async fn recorded(world: &World, nodes: u32, addons: &[Addon]) -> Trace {
    let store = Arc::new(MemoryStore::default());
    let (recorder, writer) = Recorder::new(store.clone());
    let layer = RecordLayer::new(recorder, Default::default());
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let plan = world.creation(&spec(nodes, addons));
    let _ = solve(&plan).instrument(tracing::info_span!("run clusters")).await;
    drop(guard);
    // The writer starts only now: its own timers must not move the paused clock.
    writer.run(async {}).await;
    let found = store.search(&TraceQuery::default()).await.unwrap();
    assert_eq!(found.items.len(), 1, "one trace");
    store.trace(found.items[0].trace_id).await.unwrap().unwrap()
}

fn world() -> World {
    World::with(SandboxOptions { latency: false, seed: 7, ..SandboxOptions::default() })
}

fn is_call(span: &&Span) -> bool {
    span.kind == Kind::Client && span.name.contains('.')
}

fn children<'a>(trace: &'a Trace, of: &Span) -> Vec<&'a Span> {
    trace.spans.iter().filter(|s| s.parent == Some(of.span_id)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_span_tree_of_a_creation() {
    let trace = recorded(&world(), 3, &[Addon::Grafana]).await;
    let tree = tree(&trace, &["fixpoint.withheld", "fixpoint.wait.reason", "fixpoint.wait.wanted"]);
    // One attempt a call, which would only double the length.
    let lines = tree.lines().filter(|l| l.trim() != "attempt client");
    // A request's id is another in each run.
    let lines: Vec<_> = lines.filter_map(|l| l.split(" (request id ").next()).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_one_trace_of_more_than_forty_calls_each_with_request_and_answer() {
    let trace = recorded(&world(), 3, &[Addon::Grafana]).await;
    assert_eq!(trace.spans.iter().filter(|s| s.parent.is_none()).count(), 1, "one root");
    let ids: HashMap<_, _> = trace.spans.iter().map(|s| (s.span_id, s)).collect();
    assert!(trace.spans.iter().all(|s| s.parent.is_none_or(|p| ids.contains_key(&p))));
    assert!(trace.spans.iter().all(|s| s.end.is_some()), "no span is left open");

    let calls: Vec<_> = trace.spans.iter().filter(is_call).collect();
    let changes = calls
        .iter()
        .filter(|s| !["Describe", "List", "Get"].iter().any(|verb| s.name.contains(verb)));
    assert!(changes.count() >= 40, "{} calls", calls.len());
    for call in calls {
        for name in ["fixpoint.request", "fixpoint.response", "aws.request_id"] {
            let value = call.attributes.get(name);
            assert!(
                matches!(value, Some(Value::String(s)) if !s.is_empty()),
                "{} {name}",
                call.name
            );
        }
        assert!(children(&trace, call).iter().any(|s| s.name == "attempt"), "{}", call.name);
    }
    assert!(!trace.logs.is_empty());
    assert!(trace.logs.iter().all(|l| l.trace_id.is_some() && l.span_id.is_some()));
}

#[tokio::test(start_paused = true)]
async fn registration_makes_two_calls_in_a_good_run_and_one_in_the_bad_one() {
    let calls_of = |trace: &Trace| -> Vec<Vec<String>> {
        let steps = trace.spans.iter().filter(|s| s.name == "register_cluster_node_to_lb");
        let names = |step| children(trace, step).iter().map(|s| s.name.clone()).collect();
        steps.map(names).collect()
    };
    let good = recorded(&world(), 3, &[]).await;
    assert_eq!(calls_of(&good), [["ELBv2.DescribeTargetGroups", "ELBv2.RegisterTargets"]]);

    let bad = world();
    bad.set_faults(serde_json::json!({"rules": [{
        "operation": "ELBv2.DescribeTargetGroups",
        "where": {"LoadBalancerArn": "*idg*"},
        "fault": {"kind": "empty_page"},
    }]}));
    let bad = calls_of(&recorded(&bad, 3, &[]).await);
    assert!(bad.len() >= 2 && bad.iter().all(|c| c == &["ELBv2.DescribeTargetGroups"]), "{bad:?}");
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_a_trace() {
    let trace = format!("{:?}", recorded(&world(), 1, &[Addon::Grafana]).await);
    for secret in ["PRIVATE KEY", "#!/bin/bash", "IyEvYmluL2Jhc2g", "repos.influxdata.com"] {
        assert!(!trace.contains(secret), "{secret}");
    }
}
