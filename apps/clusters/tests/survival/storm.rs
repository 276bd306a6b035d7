//! Storms: a share of all calls fails, an API throttles everything, AWS cannot be reached, the disk
//! is full.
//!
//! While it lasts a run may converge all the same or fail; if it fails it says why. Once it is over
//! the server itself brings the flow to its end. The surprise: the calls are counted, too. Whoever
//! answers a storm by asking more makes it worse.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use fixpoint_aws::sandbox::Faults;
use fixpoint_client::{Client, Run, RunState};
use serde_json::{Value, json};

use crate::{
    evidence,
    flow::{self, Flow, PATIENCE},
    life::World,
    moments::Moments,
};

/// However often runs are tried again, a storm may not cost more than so many times the calls of a
/// quiet day.
const AT_MOST: usize = 3;

/// Longer than anything that was under way goes on: five minutes of the world's time.
const QUIET: Duration = Duration::from_millis(300);

/// When a storm is over.
#[derive(Debug, Clone, Copy)]
enum Until {
    /// The first run has ended, however.
    RunEnded,
    /// So many runs have failed.
    Failed(usize),
}

#[test]
fn a_share_of_all_calls_fails() {
    for (share, seed) in [(0.01, 1), (0.05, 2), (0.2, 3)] {
        let rule = |fault: Value| {
            // Three rules, of which each call meets each.
            json!({"operation": "*", "probability": share / 3.0, "fault": fault})
        };
        let rules = json!({"seed": seed, "rules": [
            rule(json!({"kind": "error", "code": "InternalError", "status": 500})),
            rule(json!({"kind": "lost_answer"})),
            rule(json!({"kind": "throttle"})),
        ]});
        for flow in [&Flow::CREATION, &Flow::TERMINATION] {
            weather(&format!("{share} of all calls"), flow, &rules, Until::RunEnded);
        }
    }
}

#[test]
fn an_api_throttles_everything_for_a_while() {
    for api in ["EC2.*", "ELBv2.*", "IAM.*"] {
        let throttle = json!({"operation": api, "every": true, "fault": {"kind": "throttle"}});
        let rules = json!({"rules": [throttle]});
        weather(&format!("{api} throttled"), &Flow::CREATION, &rules, Until::Failed(2));
    }
}

#[test]
fn aws_breaks_every_connection_for_a_while() {
    let lost = json!({"operation": "*", "every": true, "fault": {"kind": "lost_answer"}});
    for flow in [&Flow::CREATION, &Flow::TERMINATION] {
        weather("no answers", flow, &json!({"rules": [lost]}), Until::Failed(2));
    }
}

#[test]
fn the_disk_is_full_for_a_while() {
    for flow in [&Flow::CREATION, &Flow::TERMINATION] {
        full_disk(flow);
    }
}

/// Goes through a flow whose server cannot write anything down for a while, in the midst of it.
fn full_disk(flow: &'static Flow) {
    let quiet = calls_of(flow);
    let world = prepared(flow);
    let before = world.arrived().len();
    let calls = || world.arrived().len() - before;
    let moments = Arc::new(Moments::count());
    let endured = world.live(&moments, async |client| {
        flow::ask(&client, flow).await?;
        wait(&client, 0, |_| calls() > quiet / 3).await?;
        moments.full.store(true, Relaxed);
        // What was under way may still be sent; what is not written down is not.
        settle(calls).await;
        let sent = calls();
        settle(calls).await;
        let held = calls() == sent;
        moments.full.store(false, Relaxed);
        let runs = wait(&client, flow.runs() - 1, |runs| {
            runs.first().is_some_and(|run| run.state == RunState::Converged)
        });
        Ok::<_, String>((runs.await?, held))
    });
    let (runs, held) =
        endured.unwrap().unwrap_or_else(|why| panic!("full disk, {}: {why}", flow.name));
    println!(
        "full disk, {}: {} runs, {} requests ({quiet} on a quiet day)",
        flow.name,
        runs.len(),
        calls()
    );
    assert!(held, "{}: calls were made that could not be written down", flow.name);
    assert!(calls() <= AT_MOST * quiet, "{}: {} requests, else {quiet}", flow.name, calls());
    for run in &runs[1..] {
        assert!(run.error.is_some(), "{}: no cause: {run:#?}", flow.name);
    }
    evidence::check_made(&world, flow).unwrap_or_else(|why| panic!("full disk: {why}"));
}

/// A world in which the flow can begin.
fn prepared(flow: &Flow) -> World {
    let world = World::new();
    if flow.begins_with_a_cluster() {
        let first = async |client: Client| flow::carry_out(&client, &Flow::FIRST).await;
        world.live(&Arc::new(Moments::count()), first).unwrap().unwrap();
    }
    world
}

/// Returns when no call has come for a while.
async fn settle(calls: impl Fn() -> usize) {
    let (mut since, mut last) = (Instant::now(), calls());
    while since.elapsed() < QUIET {
        flow::pause().await;
        if calls() != last {
            (since, last) = (Instant::now(), calls());
        }
    }
}

/// Goes through a flow while calls fail, and on when they do not any more.
fn weather(name: &str, flow: &'static Flow, rules: &Value, until: Until) {
    let quiet = calls_of(flow);
    let world = prepared(flow);
    let before = world.arrived().len();
    world.sandbox.set_faults(serde_json::from_value::<Faults>(rules.clone()).unwrap());
    let sandbox = world.sandbox.clone();
    let endured = world.live(&Arc::new(Moments::count()), async |client| {
        flow::ask(&client, flow).await?;
        let others = flow.runs() - 1;
        let mut fired = None;
        wait(&client, others, |runs| {
            let failed = runs.iter().filter(|run| run.state == RunState::Failed).count();
            if fired.is_none() && is_over(until, runs, failed) {
                fired = Some(sandbox.fired().len());
                sandbox.set_faults(Faults::default());
            }
            fired.is_some() && runs.first().is_some_and(|run| run.state == RunState::Converged)
        })
        .await
        .map(|runs| (runs, fired.unwrap_or_default()))
    });
    let (runs, fired) =
        endured.unwrap().unwrap_or_else(|why| panic!("{name}, {}: {why}", flow.name));
    let calls = world.arrived().len() - before;
    println!(
        "{name}, {}: {fired} calls hit, {} runs, {calls} requests ({quiet} on a quiet day)",
        flow.name,
        runs.len()
    );
    assert!(fired > 0, "{name}, {}: no call was hit", flow.name);
    for run in &runs[1..] {
        let error = run.error.as_ref().unwrap_or_else(|| panic!("no cause: {run:#?}"));
        assert!(error.causes.iter().any(|cause| !cause.is_empty()), "{name}: {error:?}");
        assert_eq!(run.state, RunState::Failed, "{name}: {run:#?}");
    }
    assert!(calls <= AT_MOST * quiet, "{name}, {}: {calls} requests, else {quiet}", flow.name);
    evidence::check_made(&world, flow).unwrap_or_else(|why| panic!("{name}: {why}"));
}

fn is_over(until: Until, runs: &[Run], failed: usize) -> bool {
    match until {
        Until::RunEnded => runs.last().is_some_and(|run| run.state.is_final()),
        Until::Failed(enough) => failed >= enough,
    }
}

/// How many requests the flow takes when nothing fails.
fn calls_of(flow: &'static Flow) -> usize {
    let world = World::new();
    let quiet = |flow: &'static Flow| {
        let job = async |client: Client| flow::carry_out(&client, flow).await;
        world.live(&Arc::new(Moments::count()), job).unwrap().unwrap();
        world.arrived().len()
    };
    let before = if flow.begins_with_a_cluster() { quiet(&Flow::FIRST) } else { 0 };
    quiet(flow) - before
}

/// The flow's runs, newest first, once they are as wanted. The `others` are of what was before.
async fn wait(
    client: &Client,
    others: usize,
    mut wanted: impl FnMut(&[Run]) -> bool,
) -> Result<Vec<Run>, String> {
    let since = Instant::now();
    loop {
        let mut runs = flow::runs(client).await?;
        runs.truncate(runs.len().saturating_sub(others));
        if wanted(&runs) {
            return Ok(runs);
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("it hangs: {runs:#?}"));
        }
        flow::pause().await;
    }
}
