//! `diagnose`: says of labelled failures of other systems which service is to blame.
//!
//! Reads a folder of cases and writes one file of rankings for each track, as its scorer takes
//! them. `docs/diagnosis.md` has the figures. The surprise: it has no settings. What ranks here is
//! what users get from `fixpoint why`.

use std::{
    collections::HashMap,
    error::Error,
    fs::File,
    io::{BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use fixpoint_bench::{
    diagnosis::{
        folder::{Case, Folder},
        ranking::{Answer, ranking},
    },
    errors::exit_code,
};
use fixpoint_trace::{
    compare::{
        explain::{Explanation, Limits, explain},
        profile::Profile,
    },
    model::{Trace, TraceId},
};

/// Say which service is to blame in each case of a folder
#[derive(Debug, Parser)]
struct Args {
    /// The folder of cases
    folder: PathBuf,
    /// Where the rankings go: I-trace.jsonl, I-event.jsonl, S-trace.jsonl and S-event.jsonl
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Write all findings beside each ranking as well
    #[arg(long)]
    findings: bool,
}

/// Findings are asked for however little they differ: the scorer wants an order of all services.
const ALL: Limits = Limits { bits: 0.0, most: usize::MAX };

fn main() -> ExitCode {
    exit_code(run(&Args::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(args: &Args) -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = Folder::new(&args.folder);
    let cases = folder.cases()?;
    let singles = folder.single_traces()?;
    std::fs::create_dir_all(&args.out)?;
    for (track, events) in [("trace", false), ("event", true)] {
        let mut together = Output::new(args, &format!("I-{track}"))?;
        let mut single = Output::new(args, &format!("S-{track}"))?;
        let mut profiles: HashMap<&str, Profile> = HashMap::new();
        for case in &cases {
            let Some(faults) = &case.faults else { continue };
            if !profiles.contains_key(&*case.normals) {
                let mut profile = Profile::default();
                read(&folder, &case.normals, events)?.iter().for_each(|trace| profile.add(trace));
                profiles.insert(&case.normals, profile);
            }
            let profile = &profiles[&*case.normals];
            let traces = read(&folder, faults, events)?;
            together.answer(case, None, profile, &traces)?;
            for id in singles.get(&case.id).into_iter().flatten() {
                let of = |trace: &&Trace| trace.spans.first().is_some_and(|s| s.trace_id == *id);
                if let Some(trace) = traces.iter().find(of) {
                    single.answer(case, Some(*id), profile, std::slice::from_ref(trace))?;
                }
            }
        }
    }
    Ok(())
}

fn read(
    folder: &Folder,
    file: &str,
    events: bool,
) -> Result<Vec<Trace>, Box<dyn Error + Send + Sync>> {
    let mut traces = folder.traces(file)?;
    if !events {
        traces.iter_mut().flat_map(|trace| &mut trace.spans).for_each(|span| span.events.clear());
    }
    Ok(traces)
}

/// Where the answers of a track go.
struct Output {
    rankings: BufWriter<File>,
    findings: Option<BufWriter<File>>,
}

impl Output {
    fn new(args: &Args, track: &str) -> Result<Self, std::io::Error> {
        let create = |name: String| File::create(args.out.join(name)).map(BufWriter::new);
        let findings = args.findings.then(|| create(format!("{track}.findings.jsonl")));
        Ok(Self { rankings: create(format!("{track}.jsonl"))?, findings: findings.transpose()? })
    }

    fn answer(
        &mut self,
        case: &Case,
        trace: Option<TraceId>,
        profile: &Profile,
        traces: &[Trace],
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let start = Instant::now();
        let explanation: Explanation = explain(profile, traces, ALL);
        let seconds = start.elapsed().as_secs_f64();
        let trace = trace.map(|id| id.to_string());
        let answer = Answer { case: &case.id, trace, ranking: ranking(&explanation), seconds };
        writeln!(self.rankings, "{}", serde_json::to_string(&answer)?)?;
        if let Some(findings) = &mut self.findings {
            let all =
                serde_json::json!({"case": answer.case, "trace": answer.trace, "all": explanation});
            writeln!(findings, "{all}")?;
        }
        Ok(())
    }
}
