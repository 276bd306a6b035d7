//! Two traces compared, over HTTP and as a page.

use fixpoint_client::{DifferenceKind, TraceDiff};
use serde_json::json;

use super::Harness;

#[tokio::test]
async fn two_runs_are_compared_by_any_of_their_ids() {
    let server = Harness::new();
    let car = server.make(json!({"name": "car", "bricks": 2})).await;
    let bus = server.make(json!({"name": "bus", "bricks": 1})).await;
    server.recorder.flush().await.unwrap();
    let by_trace = format!("/v1/traces/{}/diff/{}", car.trace_id, bus.trace_id);
    let diff: TraceDiff = server.get(&by_trace).await.json();
    assert_eq!(
        (diff.a.trace_id.clone(), diff.b.trace_id.clone()),
        (car.trace_id.clone(), bus.trace_id.clone())
    );
    assert!(!diff.same);
    assert!(diff.rows.is_empty(), "they were not asked for");
    let gone = |diff: &TraceDiff| {
        diff.differences.iter().any(|difference| {
            difference.name == "lay_brick"
                && [DifferenceKind::Missing, DifferenceKind::Repeated].contains(&difference.kind)
        })
    };
    assert!(gone(&diff), "{:#?}", diff.differences);

    let mixed = format!("/v1/traces/car/diff/{}?rows=true", bus.id);
    let diff: TraceDiff = server.get(&mixed).await.json();
    assert_eq!((&diff.a.trace_id, &diff.b.trace_id), (&car.trace_id, &bus.trace_id));
    assert!(diff.rows.len() >= diff.a.spans.max(diff.b.spans));
    assert!(diff.differences.iter().flat_map(|of| &of.rows).all(|&row| row < diff.rows.len()));

    let same = format!("/v1/traces/{}/diff/{}", car.trace_id, car.trace_id);
    let diff: TraceDiff = server.get(&same).await.json();
    assert!(diff.same && diff.differences.is_empty());
}

#[tokio::test]
async fn a_trace_that_is_not_known_is_not_found() {
    let server = Harness::new();
    let car = server.make(json!({"name": "car"})).await;
    for id in ["none", "4bf92f3577b34da6a3ce929d0e0e4736"] {
        let answer = server.get(&format!("/v1/traces/{}/diff/{id}", car.trace_id)).await;
        assert_eq!(answer.status, 404, "{id}");
    }
}

#[tokio::test]
async fn the_page_of_a_comparison_has_the_addresses_of_both_traces() {
    let server = Harness::new();
    let car = server.make(json!({"name": "car", "bricks": 2})).await;
    let bus = server.make(json!({"name": "bus", "bricks": 1})).await;
    server.recorder.flush().await.unwrap();
    let address = format!("/traces/{}/diff/{}", car.trace_id, bus.trace_id);
    for other in ["/traces/car/diff/bus", "/compare?a=toys/car&b=bus"] {
        assert_eq!(server.get(other).await.header("location"), address, "{other}");
    }
    let page = server.get(&address).await.text;
    assert!(page.contains(&format!("data-a=\"{}\" data-b=\"{}\"", car.trace_id, bus.trace_id)));
    let swapped = format!("/traces/{}/diff/{}", bus.trace_id, car.trace_id);
    assert!(page.contains(&swapped), "swap");
    let run = server.get(&format!("/runs/{}", bus.id)).await.text;
    assert!(run.contains(&address), "the way there, to the last good run");
}
