//! Crash everywhere: the server dies at each moment of each flow, and the next one ends the work.
//!
//! A moment is when a call of AWS is about to take effect or has taken it and is not answered, and
//! when a write of the run store or the trace store is about to be made or was made and is not
//! answered. The surprise: the whole takes a while, so only some moments are played, drawn by a
//! seed that is printed. All of them:
//!
//! ```text
//! FIXPOINT_CRASH_MOMENTS=all cargo test --release -p clusters --test survival crash -- --nocapture
//! ```

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    evidence,
    flow::{self, Flow},
    life::World,
    moments::Moments,
};

/// How many moments of each flow are played, if not told otherwise.
const SOME: usize = 10;

/// How many are played beside each other: each has a thread, and mostly waits.
const AT_ONCE: usize = 2;

#[test]
fn a_creation_ends_as_wanted_whenever_its_server_dies() {
    play(&Flow::CREATION);
}

#[test]
fn a_scaling_ends_as_wanted_whenever_its_server_dies() {
    play(&Flow::SCALING);
}

#[test]
fn a_change_of_addons_ends_as_wanted_whenever_its_server_dies() {
    play(&Flow::ADDONS);
}

#[test]
fn a_termination_leaves_nothing_whenever_its_server_dies() {
    play(&Flow::TERMINATION);
}

/// What came of the deaths.
#[derive(Debug, Default)]
struct Tally {
    /// How many there were, by what they interrupted.
    died: BTreeMap<&'static str, u64>,
    /// Spans that the next server closed.
    closed: usize,
    /// What ended otherwise than it should.
    wrong: Vec<String>,
}

/// Goes through a flow undisturbed, then once for each moment that is chosen.
fn play(flow: &'static Flow) {
    let undisturbed = Arc::new(Moments::count());
    go_through(flow, &undisturbed).unwrap_or_else(|wrong| panic!("undisturbed: {wrong}"));
    let all = undisturbed.passed();
    let chosen = chosen(all);
    let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&at) =
                    usize::try_from(next.fetch_add(1, Relaxed)).ok().and_then(|n| chosen.get(n))
                {
                    let moments = Arc::new(Moments::die_at(at));
                    let result = go_through(flow, &moments);
                    let died = moments.died();
                    // This run may have had fewer moments than the one that was counted.
                    let Some(died) = died else { continue };
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    *tally.died.entry(died.kind).or_insert(0) += 1;
                    match result {
                        Ok(closed) => tally.closed += closed,
                        Err(wrong) => {
                            tally.wrong.push(format!("died at {at} of {all}, {died}: {wrong}"));
                        }
                    }
                }
            });
        }
    });
    let Tally { died: kinds, closed, wrong } =
        tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let died: u64 = kinds.values().sum();
    println!(
        "{}: died at {died} of {all} moments ({}); {closed} spans closed as lost; {} ended \
         otherwise than wanted",
        flow.name,
        kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>().join(", "),
        wrong.len(),
    );
    assert!(died > 0, "{}: nothing died", flow.name);
    assert!(wrong.is_empty(), "{}: {}", flow.name, wrong.join("\n"));
}

/// Which of so many moments are played.
fn chosen(all: u64) -> Vec<u64> {
    let wanted = std::env::var("FIXPOINT_CRASH_MOMENTS").ok();
    if wanted.as_deref() == Some("all") {
        return (1..=all).collect();
    }
    let seed = std::env::var("FIXPOINT_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}; FIXPOINT_SEED={seed} draws these moments again");
    let some = wanted.and_then(|some| some.parse().ok()).unwrap_or(SOME);
    let mut random = fastrand::Rng::with_seed(seed);
    // One out of each part, so that the whole flow is covered however few there are.
    let part = |n: usize| n as u64 * all / some as u64;
    (0..some).map(|n| random.u64(part(n)..part(n + 1).max(part(n) + 1)) + 1).collect()
}

/// One flow in a world of its own, in which the server dies at most once. How many spans the next
/// server closed, or what is not as it should be.
fn go_through(flow: &'static Flow, moments: &Arc<Moments>) -> Result<usize, String> {
    let world = World::new();
    if flow.begins_with_a_cluster() {
        let prepared = world.live(&Arc::new(Moments::count()), async |client| {
            flow::carry_out(&client, &Flow::FIRST).await
        });
        prepared.unwrap_or_else(|| Err("died while nothing was to kill it".to_owned()))?;
    }
    let before = world.arrived().len();
    let ended = world.live(moments, async |client| flow::carry_out(&client, flow).await);
    let run = match ended {
        Some(run) => run?,
        None => world
            .live(&Arc::new(Moments::count()), async |client| flow::carry_out(&client, flow).await)
            .unwrap_or_else(|| Err("the second server died, too".to_owned()))?,
    };
    evidence::check(&world, flow, &run, before)
}
