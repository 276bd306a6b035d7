//! `fixpoint diff`: what differs between two traces.
//!
//! Not here: when something counts as different, which the server decides. The surprise: it ends
//! like diff(1), with 0 for the same and 1 for different, so that a script can ask.

use fixpoint_client::{
    Change, DiffSide, Difference, DifferenceKind, RunQuery, RunState, TraceDiff,
};
use serde_json::Value;

use super::{time, trace_id};
use crate::{
    Session,
    error::{CliError, Result},
    output::{Paint, duration, truncate},
    waterfall::many,
};

/// Compare two traces: what is missing, extra, failed, changed or slow
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The one to go by: a trace, a run, a cluster's name, or any id that occurs in a trace
    a: String,
    /// The one looked at; without it, A is looked at, and the last good run is gone by
    b: Option<String>,
    /// Tell also what only follows from other differences
    #[arg(long)]
    all: bool,
    /// Leave out what is only slower or faster
    #[arg(long)]
    ignore_times: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint diff idg umbrella
  fixpoint diff umbrella                        against the last good run of its kind
  fixpoint diff d572232a 01k9q7m3v0aa --ignore-times
  fixpoint diff idg umbrella -o json | jq '.differences[] | select(.kind == \"missing\")'

Exit codes: 0 the same, 1 different, 2 wrong use or trouble, 3 the server cannot be reached";

/// How many of the changes of one span are told; `-o json` has all.
const CHANGES: usize = 6;

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        match self.compare(session).await.map_err(CliError::trouble)? {
            true => Ok(()),
            false => Err(CliError::said()),
        }
    }

    /// Tells what differs; true if nothing does.
    async fn compare(self, session: &Session) -> Result<bool> {
        let output = &session.output;
        let (a, b) = match &self.b {
            Some(b) => (trace_id(session, &self.a).await?, trace_id(session, b).await?),
            None => {
                let b = trace_id(session, &self.a).await?;
                (last_good(session, &b).await?, b)
            }
        };
        let mut diff = session.client.diff(&a, &b).await?;
        if self.ignore_times {
            let time = [DifferenceKind::Slower, DifferenceKind::Faster];
            diff.differences.retain(|difference| !time.contains(&difference.kind));
            (diff.counts.slower, diff.counts.faster) = (0, 0);
            diff.same = diff.differences.is_empty();
        }
        if output.is_json() {
            output.json(&diff)?;
        } else {
            let width = output.width();
            output.text(told(&diff, self.all, width, output.out).join("\n"))?;
            output.note(output.err.dim(format!(
                "look at it: {}",
                session.client.page(&format!("/traces/{a}/diff/{b}"))
            )));
        }
        Ok(diff.same)
    }
}

/// The trace of the newest run that converged, of the kind that a trace is of.
async fn last_good(session: &Session, trace: &str) -> Result<String> {
    let none = || {
        CliError::usage(format!("there is no good run to compare trace {trace} with"))
            .hint("name the trace to go by: `fixpoint diff GOOD BAD`")
    };
    let found = session.client.find(trace).await?;
    let run = found.hits.iter().find_map(|hit| match hit {
        fixpoint_client::Hit::Run(run) => Some(run),
        _ => None,
    });
    let run = run.ok_or_else(none)?;
    let query = RunQuery { state: Some(RunState::Converged), ..RunQuery::default() };
    let good = session.client.runs(&query).await?;
    let fits = |good: &&fixpoint_client::Run| good.is_example_for(run) && good.trace_id != trace;
    good.items.iter().find(fits).map(|good| good.trace_id.clone()).ok_or_else(none)
}

/// The whole answer, in lines.
fn told(diff: &TraceDiff, all: bool, width: usize, paint: Paint) -> Vec<String> {
    let mut lines =
        vec![side("---", &diff.a, paint), side("+++", &diff.b, paint), counts(diff, paint)];
    for renamed in &diff.renamed {
        lines.push(
            paint.dim(format!("{} is {} there, which is no difference", renamed.a, renamed.b)),
        );
    }
    let mut told: Vec<(Vec<String>, usize)> = Vec::new();
    for difference in diff.differences.iter().filter(|difference| all || !difference.follows) {
        let block = block(difference, width, paint);
        match told.iter_mut().find(|(known, _)| *known == block) {
            Some((_, times)) => *times += 1,
            None => told.push((block, 1)),
        }
    }
    for (mut block, times) in told {
        if times > 1 {
            block[0].push_str(&paint.dim(format!("  {times} times")));
        }
        lines.push(String::new());
        lines.extend(block);
    }
    lines
}

fn side(sign: &str, side: &DiffSide, paint: Paint) -> String {
    let facts = [
        time(side.started_at),
        duration(side.duration_nanos),
        many(side.spans, "span"),
        format!("{} failed", side.errors),
    ];
    let mut line = format!(
        "{sign} {}  {}  {}",
        paint.bold(&side.name),
        side.trace_id,
        paint.dim(facts.join(" · "))
    );
    if side.open > 0 {
        line.push_str(&paint.busy(format!(" · {} open: it goes on", side.open)));
    }
    if let Some(why) = &side.partial {
        line.push_str(&paint.bad(format!(" · not all of it: {why}")));
    }
    line
}

fn counts(diff: &TraceDiff, paint: Paint) -> String {
    let counts = &diff.counts;
    let kinds = [
        (counts.missing, "missing"),
        (counts.extra, "extra"),
        (counts.failed, "failed"),
        (counts.recovered, "recovered"),
        (counts.retried, "retried"),
        (counts.repeated, "repeated"),
        (counts.reordered, "reordered"),
        (counts.changed, "changed"),
        (counts.slower, "slower"),
        (counts.faster, "faster"),
    ];
    let said: Vec<_> = kinds
        .into_iter()
        .filter(|&(count, _)| count > 0)
        .map(|(count, kind)| format!("{count} {kind}"))
        .collect();
    match said.len() {
        0 if diff.same => paint.good("nothing differs"),
        _ => paint.bold(said.join(", ")),
    }
}

/// One difference: what, where, and what of it.
fn block(difference: &Difference, width: usize, paint: Paint) -> Vec<String> {
    let kind = format!("{:<9}", difference.kind.as_str());
    let kind = match difference.kind {
        DifferenceKind::Missing | DifferenceKind::Failed => paint.bad(format!("- {kind}")),
        DifferenceKind::Extra => paint.busy(format!("+ {kind}")),
        DifferenceKind::Recovered | DifferenceKind::Faster => paint.good(format!("~ {kind}")),
        _ => paint.busy(format!("~ {kind}")),
    };
    let mut line = format!("{kind} {}", paint.bold(&difference.name));
    if let Some(times) = difference.times {
        line.push_str(&format!("  {} → {} times", times.a, times.b));
    }
    if let Some(nanos) = difference.own_nanos {
        line.push_str(&format!("  {} → {} by itself", duration(nanos.a), duration(nanos.b)));
    }
    if difference.spans > 1 && difference.times.is_none() {
        line.push_str(&format!("  with {} below", many(difference.spans - 1, "span")));
    }
    if difference.wrapper {
        line.push_str("  only itself: what is below it is in both");
    }
    let mut lines = vec![line];
    if !difference.path.is_empty() {
        lines.push(format!("            in {}", paint.dim(difference.path.join(" › "))));
    }
    let shown = difference.changes.iter().take(CHANGES);
    lines.extend(shown.map(|of| format!("            {}", change(of, width.saturating_sub(12)))));
    if difference.changes.len() > CHANGES {
        let rest = difference.changes.len() - CHANGES;
        lines.push(paint.dim(format!("            and {rest} more changes")));
    }
    lines
}

fn change(change: &Change, width: usize) -> String {
    let said = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let what = match (change.part.as_str(), change.path.as_str()) {
        ("attribute", path) => path.to_owned(),
        (part, "") => part.to_owned(),
        (part, path) => format!("{part} {path}"),
    };
    let (a, b) = (said(&change.a), said(&change.b));
    // What is new matters more than what it was.
    let room = width.saturating_sub(what.chars().count() + 5).max(24);
    let of_a = truncate(&a, (room / 2).max(room.saturating_sub(b.chars().count())));
    let of_b = truncate(&b, room.saturating_sub(of_a.chars().count()).max(12));
    format!("{what}: {of_a} → {of_b}")
}
