//! `mutate`: changes one thing of good traces, and counts how often the explanation names it.
//!
//! Nine of ten good traces of each file of a folder make the profile, the others are changed. Prints
//! a table for `docs/diagnosis.md`. The surprise: limits are those that users have, so that what is
//! too small to be told counts as a miss, and what is told of an unchanged trace as a false alarm.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use fastrand::Rng;
use fixpoint_bench::{
    diagnosis::{
        folder::Folder,
        mutation::{Mutation, mutate},
    },
    errors::exit_code,
};
use fixpoint_trace::{
    compare::{
        explain::{Limits, explain},
        profile::Profile,
    },
    model::Trace,
};

/// Change one thing of good traces, and see whether it is found
#[derive(Debug, Parser)]
struct Args {
    /// The folder of cases
    folder: PathBuf,
    /// How many mutants of each kind and file
    #[arg(long, default_value_t = 500)]
    each: usize,
    /// Another seed gives other mutants
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How the explanations of one kind of mutants went.
#[derive(Default)]
struct Score {
    mutants: u32,
    /// How many have a finding.
    told: u32,
    /// How many have the right span and kind in the first one, in the first three, in any.
    first: u32,
    three: u32,
    any: u32,
    /// In how many the first one is of the right kind.
    kind: u32,
}

fn main() -> ExitCode {
    exit_code(run(&Args::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(args: &Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = Folder::new(&args.folder);
    let mut files: Vec<String> = folder.cases()?.into_iter().map(|case| case.normals).collect();
    files.sort();
    files.dedup();
    let mut scores: BTreeMap<Mutation, Score> = BTreeMap::new();
    let mut explaining = 0.0;
    for file in &files {
        let traces = folder.traces(file)?;
        let (held_out, good): (Vec<_>, Vec<_>) =
            traces.into_iter().enumerate().partition(|(at, _)| at % 10 == 9);
        let mut profile = Profile::default();
        let start = Instant::now();
        good.iter().for_each(|(_, trace)| profile.add(trace));
        let took = start.elapsed().as_secs_f64();
        let spans = profile.spans() as f64;
        writeln!(
            io::stderr(),
            "{file}: {} traces, {spans} spans, {} paths, {:.0} ns a span",
            profile.traces(),
            profile.paths().len(),
            took * 1e9 / spans
        )?;
        for mutation in Mutation::ALL {
            let mut rng = Rng::with_seed(args.seed);
            for at in 0..args.each.min(held_out.len() * 4) {
                let (_, trace) = &held_out[at % held_out.len()];
                let score = scores.entry(mutation).or_default();
                explaining += one(mutation, trace, &profile, &mut rng, score);
            }
        }
    }
    print(&scores, explaining)?;
    Ok(())
}

/// Explains one mutant. Tells how many seconds that took.
fn one(
    mutation: Mutation,
    trace: &Trace,
    profile: &Profile,
    rng: &mut Rng,
    score: &mut Score,
) -> f64 {
    let Some(mutant) = mutate(mutation, trace, rng) else { return 0.0 };
    let start = Instant::now();
    let found = explain(profile, std::slice::from_ref(&mutant.trace), Limits::default()).findings;
    let took = start.elapsed().as_secs_f64();
    score.mutants += 1;
    score.told += u32::from(!found.is_empty());
    score.kind += u32::from(found.first().is_some_and(|found| mutation.is_told_by(found)));
    let right = |found: &fixpoint_trace::compare::explain::Finding| {
        mutation.is_told_by(found) && found.span_id == mutant.truth
    };
    let place = found.iter().position(right);
    score.first += u32::from(place == Some(0));
    score.three += u32::from(place.is_some_and(|place| place < 3));
    score.any += u32::from(place.is_some());
    took
}

fn print(scores: &BTreeMap<Mutation, Score>, explaining: f64) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "| change | mutants | told of | AC@1 | AC@3 | any place | kind right |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    let mut mutants = 0;
    for (mutation, score) in scores {
        mutants += score.mutants;
        let share = |count: u32| f64::from(count) / f64::from(score.mutants.max(1));
        write!(out, "| {mutation:?} | {} | {:.3} |", score.mutants, share(score.told))?;
        if mutation.is_null() {
            writeln!(out, " | | | |")?;
            continue;
        }
        let shares = [score.first, score.three, score.any, score.kind].map(share);
        writeln!(
            out,
            " {:.3} | {:.3} | {:.3} | {:.3} |",
            shares[0], shares[1], shares[2], shares[3]
        )?;
    }
    writeln!(out, "\n{:.2} ms an explanation", explaining * 1e3 / f64::from(mutants.max(1)))
}
