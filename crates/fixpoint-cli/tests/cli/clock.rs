//! A wall clock that is set back by an hour and forward by a day, while a run goes on and while it
//! waits to be tried again.
//!
//! Not here: what a record of another time says (`fixpoint-server`). The surprise: the clock is set
//! for the server alone, by `libfaketime`; the clock that only goes forward is the real one, as it
//! is when somebody sets the time of a machine.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use fixpoint_client::{Client, Run, RunQuery, RunState};
use serde_json::json;

use crate::support::{Dev, until};

/// No span lasts that long, unless a jump is part of it.
const LONGEST: Duration = Duration::from_secs(120);

/// A server whose clock can be set.
struct Adrift {
    dev: Dev,
    offset: PathBuf,
}

impl Adrift {
    fn start(folder: &Path) -> Self {
        let offset = folder.join("clock");
        std::fs::write(&offset, "+0").unwrap();
        let environment = [
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", offset.to_str().unwrap().to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let environment: Vec<_> = environment.iter().map(|(name, it)| (*name, &**it)).collect();
        let dev = Dev::start_in(folder, &["--time-scale", "20"], &environment);
        Self { dev, offset }
    }

    /// Sets the clock to so much from the real one.
    fn set(&self, offset: &str) {
        // In one go: a file that is half written would be no time at all.
        let next = self.offset.with_extension("next");
        std::fs::write(&next, offset).unwrap();
        std::fs::rename(next, &self.offset).unwrap();
    }
}

/// Debian puts it below the name of the machine's architecture.
fn library() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let found = folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists());
    found.expect("libfaketime: apt-get install faketime").to_str().unwrap().to_owned()
}

async fn create(client: &Client) -> String {
    let body = json!({"name": "idg", "nodes": 3});
    client.create("clusters", &body).await.unwrap().run_id.unwrap()
}

/// The resource's runs.
async fn runs(client: &Client) -> Vec<Run> {
    client.runs(&RunQuery::default()).await.unwrap().items
}

async fn calls(client: &Client) -> u64 {
    let sandbox = client.control("sandbox").await.unwrap();
    sandbox["calls"].as_object().unwrap().values().filter_map(|count| count.as_u64()).sum()
}

/// Holds that no time of the run's trace tells of the jumps as if they had lasted.
async fn has_plausible_times(client: &Client, run: &Run) {
    let trace = async || client.trace(&run.trace_id).await.unwrap();
    until("the trace has ended", async || trace().await.spans.iter().all(|s| s.end.is_some()))
        .await;
    for span in trace().await.spans {
        let took = span.end.unwrap().checked_sub(span.start).map(Duration::from_nanos);
        assert!(took.is_some_and(|took| took < LONGEST), "{} took {took:?}", span.name);
    }
    assert!(run.ended_at.unwrap() >= run.created_at, "{run:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_whatever_the_clock_is_set_to() {
    let folder = tempfile::tempdir().unwrap();
    let adrift = Adrift::start(folder.path());
    let client = adrift.dev.client();
    let id = create(&client).await;
    let iterations = async || client.run(&id).await.unwrap().iterations;
    for (at_least, offset) in [(2, "-1h"), (3, "+1d"), (4, "-1h")] {
        until("the next iteration", async || iterations().await >= at_least).await;
        adrift.set(offset);
    }
    until("converged", async || client.run(&id).await.unwrap().state.is_final()).await;
    let [run] = &runs(&client).await[..] else { panic!("more than one run") };
    assert_eq!((run.state, run.attempts), (RunState::Converged, 1), "{run:#?}");
    has_plausible_times(&client, run).await;
    // As many as without a jump, and some more looks.
    assert!((50..300).contains(&calls(&client).await), "{} calls", calls(&client).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_tried_again_is_tried_again_whatever_the_clock_is_set_to() {
    for offset in ["-1h", "+1d"] {
        let folder = tempfile::tempdir().unwrap();
        let adrift = Adrift::start(folder.path());
        let client = adrift.dev.client();
        let error = json!({"kind": "error", "code": "InternalError", "status": 400});
        let rule = json!({"operation": "EC2.CreateVpc", "every": true, "fault": error});
        client.set_control("faults", &json!({"rules": [rule]})).await.unwrap();
        create(&client).await;
        until("failed", async || {
            runs(&client).await.iter().any(|run| run.state == RunState::Failed)
        })
        .await;
        adrift.set(offset);
        let before = calls(&client).await;
        until("tried again", async || runs(&client).await.len() > 2).await;
        // Each attempt looks, and fails at the same call.
        let (tried, asked) = (runs(&client).await.len() as u64, calls(&client).await - before);
        assert!(asked <= 60 * tried, "{offset}: {asked} calls in {tried} runs");
        client.set_control("faults", &json!({})).await.unwrap();
        // Their ids, and so their order, go by the clock, so the last may not stand first.
        let converged =
            async || runs(&client).await.into_iter().find(|run| run.state == RunState::Converged);
        until("converged", async || converged().await.is_some()).await;
        has_plausible_times(&client, &converged().await.unwrap()).await;
    }
}
