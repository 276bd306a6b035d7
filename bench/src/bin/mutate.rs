//! `mutate`: changes one thing of good traces, and counts how often the explanation names it.
//!
//! Nine of ten good traces of each file of a folder make the profile, the others are changed. Prints
//! the table of `docs/diagnosis.md`. The surprise: limits are those that users have, so that what is
//! too small to be told counts as a miss, and what is told of an unchanged trace as a false alarm.

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use fastrand::Rng;
use fixpoint_bench::{
    diagnosis::{
        dress::dress,
        folder::Folder,
        mutation::{Mutant, Mutation, mutate},
    },
    errors::exit_code,
};
use fixpoint_trace::{
    compare::{
        explain::{Finding, Limits, explain},
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
    /// Write what was said of each mutant that was not told of rightly, a line of JSON each
    #[arg(long)]
    missed: Option<PathBuf>,
}

/// How the explanations of one kind of mutants went.
#[derive(Default)]
struct Score {
    mutants: u32,
    /// How many have a finding.
    told: u32,
    /// How many have the right span and kind in the first one, in the first three.
    first: u32,
    three: u32,
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
    let mut missed = args.missed.as_ref().map(File::create).transpose()?.map(BufWriter::new);
    for file in &files {
        let mut traces = folder.traces(file)?;
        traces.iter_mut().for_each(dress);
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
                let Some(mutant) = mutate(mutation, trace, &mut rng) else { continue };
                let start = Instant::now();
                let traces = std::slice::from_ref(&mutant.trace);
                let found = explain(&profile, traces, Limits::default()).findings;
                explaining += start.elapsed().as_secs_f64();
                let right = scores.entry(mutation).or_default().count(mutation, &mutant, &found);
                if let Some(missed) = missed.as_mut().filter(|_| !right) {
                    let said = serde_json::json!({
                        "file": file, "change": mutation.as_str(), "trace": trace_id(&mutant.trace),
                        "span": mutant.truth.map(|span| span.to_string()), "said": found,
                    });
                    writeln!(missed, "{said}")?;
                }
            }
        }
    }
    print(&scores, explaining)?;
    Ok(())
}

impl Score {
    /// Counts what was found in a mutant. Tells whether that is what was changed, or nothing if
    /// nothing was.
    fn count(&mut self, mutation: Mutation, mutant: &Mutant, found: &[Finding]) -> bool {
        self.mutants += 1;
        self.told += u32::from(!found.is_empty());
        self.kind += u32::from(found.first().is_some_and(|found| mutation.is_told_by(found)));
        let right = |found: &Finding| mutation.is_told_by(found) && found.span_id == mutant.truth;
        let place = found.iter().position(right);
        self.first += u32::from(place == Some(0));
        self.three += u32::from(place.is_some_and(|place| place < 3));
        if mutation.is_null() { found.is_empty() } else { place == Some(0) }
    }
}

fn trace_id(trace: &Trace) -> Option<String> {
    trace.spans.first().map(|span| span.trace_id.to_string())
}

fn print(scores: &BTreeMap<Mutation, Score>, explaining: f64) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "| change | mutants | told of | AC@1 | AC@3 | kind right in the first |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
    let mut mutants = 0;
    for (mutation, score) in scores {
        mutants += score.mutants;
        let share = |count: u32| {
            let share = format!("{:.3}", f64::from(count) / f64::from(score.mutants.max(1)));
            share.strip_prefix('0').unwrap_or(&share).to_owned()
        };
        let told = share(score.told);
        write!(out, "| {} | {} | {told} |", mutation.as_str(), thousands(score.mutants))?;
        if mutation.is_null() {
            writeln!(out, " | | |")?;
        } else {
            let [first, three, kind] = [score.first, score.three, score.kind].map(share);
            writeln!(out, " {first} | {three} | {kind} |")?;
        }
    }
    writeln!(out, "\n{:.2} ms an explanation", explaining * 1e3 / f64::from(mutants.max(1)))
}

fn thousands(count: u32) -> String {
    if count < 1000 { count.to_string() } else { format!("{},{:03}", count / 1000, count % 1000) }
}
