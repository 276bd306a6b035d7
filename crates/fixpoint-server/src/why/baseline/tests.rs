use std::sync::Arc;

use fixpoint_trace::{
    model::{Record, Span, SpanContext, SpanId, Status, TraceId},
    semconv,
    store::engine::Engine,
};
use tempfile::TempDir;

use super::*;
use crate::store;

/// The folder must be kept as long as the store.
fn baselines() -> (Baselines, Engine, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let traces = Engine::open(folder.path(), Default::default()).unwrap();
    let records = Records::new(Arc::new(store::MemoryStore::new()));
    let (baselines, _learner) = Baselines::new(records, Arc::new(traces.clone()));
    (baselines, traces, folder)
}

/// A trace of a shop, of so many spans.
fn shop(number: u64, spans: u64, status: Status) -> Vec<Span> {
    let trace_id = TraceId::from_bytes(u128::from(number).to_be_bytes()).unwrap();
    let id = |id: u64| SpanId::from_bytes(id.to_be_bytes()).unwrap();
    let resource = [(semconv::SERVICE_NAME.to_owned(), "shop".into())];
    let start = number * 1_000_000_000;
    let span = |at: u64| Span {
        parent: (at > 1).then(|| id(1)),
        end: Some(start + at + 10),
        status: if at == 1 { status.clone() } else { Status::Unset },
        resource: Arc::new(resource.clone().into_iter().collect()),
        ..Span::new(
            SpanContext { trace_id, span_id: id(at) },
            if at == 1 { "checkout" } else { "call" },
            start + at,
        )
    };
    (1..=spans).map(span).collect()
}

async fn append(traces: &Engine, spans: Vec<Span>) {
    traces.append(&spans.into_iter().map(Record::Span).collect::<Vec<_>>()).await.unwrap();
}

/// What is learned of the shop's operation: how many traces, and how many spans.
fn learned(baselines: &Baselines) -> (u64, u64) {
    let of = Of::named("shop", "checkout");
    let profile = &baselines.kept.slot(&of).held().good.profile;
    (profile.traces(), profile.spans())
}

#[tokio::test]
async fn a_trace_is_learned_from_once_nothing_comes_to_it_any_more() {
    let (baselines, traces, _folder) = baselines();
    let mut resting = rest::Resting::default();
    let mut now = Instant::now();
    let mut look = async |resting: &mut rest::Resting| {
        resting.look(&baselines, now).await.unwrap();
        now += Duration::from_secs(10);
        learned(&baselines)
    };
    let whole = shop(1, 5, Status::Ok);
    append(&traces, whole[..3].to_vec()).await;
    assert_eq!(look(&mut resting).await, (0, 0), "it may go on");
    append(&traces, whole[3..].to_vec()).await;
    assert_eq!(look(&mut resting).await, (0, 0), "it went on");
    assert_eq!(look(&mut resting).await, (1, 5));
    assert_eq!(look(&mut resting).await, (1, 5), "once");
    append(&traces, shop(2, 5, Status::Error("sold out".to_owned()))).await;
    let mut open = shop(3, 5, Status::Ok);
    open[4].end = None;
    append(&traces, open).await;
    for _ in 0..3 {
        assert_eq!(look(&mut resting).await, (1, 5), "neither is a good one");
    }
}

#[tokio::test]
async fn of_many_traces_some_are_learned_from() {
    let (baselines, traces, _folder) = baselines();
    for number in 1..=100 {
        append(&traces, shop(number, 100, Status::Ok)).await;
    }
    let mut resting = rest::Resting::default();
    let mut now = Instant::now();
    for _ in 0..20 {
        resting.look(&baselines, now).await.unwrap();
        now += rest::EVERY;
    }
    // 250 spans at each of twenty looks, in traces of a hundred; at each look two are noted.
    let (traces, spans) = learned(&baselines);
    assert!((10..=40).contains(&traces), "{traces}");
    assert!(spans <= 20 * 250, "{spans}");
}

#[tokio::test]
async fn a_trace_that_is_too_large_to_be_learned_from_stops_no_other() {
    let (baselines, traces, _folder) = baselines();
    append(&traces, shop(2, 20_001, Status::Ok)).await;
    append(&traces, shop(1, 5, Status::Ok)).await;
    let mut resting = rest::Resting::default();
    let now = Instant::now();
    resting.look(&baselines, now).await.unwrap();
    resting.look(&baselines, now + Duration::from_secs(10)).await.unwrap();
    assert_eq!(learned(&baselines), (1, 5));
}

/// Good ones that were read, with numbers for names.
fn good(numbers: std::ops::Range<u64>) -> Good {
    let mut good = Good::default();
    for number in numbers {
        let spans = shop(number, 2, Status::Ok);
        let summary = TraceSummary::of(
            spans[0].trace_id,
            &Trace { spans: spans.clone(), ..Trace::default() },
        );
        let one = GoodOne {
            trace_id: summary.trace_id.to_string(),
            run_id: Some(number.to_string()),
            resource: None,
            ended_at: crate::http::timestamp(summary.start),
        };
        good.add(one, Some(&Trace { spans, ..Trace::default() }));
    }
    good
}

#[test]
fn a_profile_that_has_become_old_makes_way_for_its_last_good_ones() {
    let mut kept = Good::default();
    let step = FIRST as u64 / 2;
    for start in (1..).step_by(FIRST / 2).take((MOST / step) as usize - 1) {
        kept.take_up(&good(start..start + step));
        assert!(kept.profile.traces() >= step);
    }
    assert_eq!(kept.profile.traces(), MOST - step);
    kept.take_up(&good(MOST - step + 1..MOST + 1));
    assert_eq!(kept.profile.traces(), FIRST as u64);
    assert!(kept.knows(&MOST.to_string()) && !kept.knows("1"));
    assert_eq!(kept.last().and_then(|last| last.run_id.clone()), Some(MOST.to_string()));
    assert!(kept.next.is_none());
}

#[test]
fn one_that_is_left_out_is_neither_counted_nor_the_last() {
    let mut all = good(1..10);
    let spans = shop(9, 2, Status::Ok);
    all.leave_out("9", &Trace { spans, ..Trace::default() });
    assert_eq!(all.profile.traces(), 8);
    assert_eq!(all.last().and_then(|last| last.run_id.as_deref()), Some("8"));
}
