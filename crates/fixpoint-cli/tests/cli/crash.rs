//! `kill -9` at random moments of a creation: the next server goes on where it was left.

use std::{path::Path, time::Duration};

use fixpoint_client::{Client, Run, RunState};
use serde_json::{Value, json};

use crate::support::{Dev, pause};

/// How often the server is killed, as the issue asks.
const KILLS: u32 = 10;

/// A creation takes seconds, and most of them are spent in steps rather than in waits.
const TIME_SCALE: [&str; 2] = ["--time-scale", "100"];

async fn create(client: &Client) -> String {
    let body = json!({"name": "idg", "nodes": 3, "addons": ["grafana"]});
    client.create("clusters", &body).await.unwrap().run_id.unwrap()
}

async fn end(client: &Client, run: &str) -> Run {
    let mut follower = client.follow(run);
    let mut last = None;
    while let Some(run) = follower.next().await {
        last = Some(run.unwrap());
    }
    last.unwrap()
}

/// How many resources of each kind belong to the cluster.
async fn counts(client: &Client) -> Vec<(String, usize)> {
    let inventory = client.control("sandbox").await.unwrap();
    let kinds = inventory["clusters"]["idg"].as_object().cloned().unwrap_or_default();
    kinds
        .into_iter()
        .map(|(kind, ids): (String, Value)| (kind, ids.as_array().map_or(0, Vec::len)))
        .collect()
}

/// Creates a cluster on a server of its own, undisturbed: how long it took, and what there is.
async fn undisturbed(folder: &Path) -> (Duration, Vec<(String, usize)>) {
    let dev = Dev::start(folder, &TIME_SCALE);
    let client = dev.client();
    let started = std::time::Instant::now();
    let run = create(&client).await;
    assert_eq!(end(&client, &run).await.state, RunState::Converged);
    (started.elapsed(), counts(&client).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_killed_at_any_moment_goes_on_in_its_own_trace_and_makes_nothing_twice()
{
    let seed = std::env::var("FIXPOINT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; FIXPOINT_SEED={seed} repeats these moments");
    let mut random = fastrand::Rng::with_seed(seed);

    let folder = tempfile::tempdir().unwrap();
    let (usual, expected) = undisturbed(folder.path()).await;
    assert!(expected.contains(&("instance".to_owned(), 4)), "{expected:?}");

    for number in 1..=KILLS {
        let moment = usual.mul_f64(random.f64());
        let folder = tempfile::tempdir().unwrap();
        let dev = Dev::start(folder.path(), &TIME_SCALE);
        let run = create(&dev.client()).await;
        pause(moment).await;
        dev.kill();

        let dev = Dev::start(folder.path(), &TIME_SCALE);
        let client = dev.client();
        let run = end(&client, &run).await;
        let when = format!("kill {number} of {KILLS} after {moment:?} of {usual:?}, seed {seed}");
        println!("{when}: {} in {} attempts", run.state, run.attempts);
        assert_eq!(run.state, RunState::Converged, "{when}: {:#?}", run.error);
        assert_eq!(counts(&client).await, expected, "{when}: the cloud differs");

        let trace = ended_trace(&client, &run.trace_id).await;
        let roots: Vec<&str> = trace.roots().map(|span| span.name.as_str()).collect();
        assert_eq!(roots, ["POST /v1/clusters"], "{when}");
        let orphans: Vec<&str> = trace.orphans().iter().map(|span| span.name.as_str()).collect();
        assert!(orphans.is_empty(), "{when}: {orphans:?}");
        let open: Vec<&str> =
            trace.spans.iter().filter(|s| s.end.is_none()).map(|s| s.name.as_str()).collect();
        assert!(open.is_empty(), "{when}: still open: {open:?}");
        assert!(trace.spans.iter().any(|span| span.span_id == run.span_id), "{when}");
        let runs = client.runs(&fixpoint_client::RunQuery::default()).await.unwrap();
        assert_eq!(runs.items.len(), 1, "{when}: more than one run");
    }
}

/// A run's end is known a moment before the last of its spans is stored.
async fn ended_trace(client: &Client, id: &str) -> fixpoint_client::Trace {
    for _ in 0..50 {
        let trace = client.trace(id).await.unwrap();
        if trace.spans.iter().all(|span| span.end.is_some()) {
            return trace;
        }
        pause(Duration::from_millis(100)).await;
    }
    client.trace(id).await.unwrap()
}
