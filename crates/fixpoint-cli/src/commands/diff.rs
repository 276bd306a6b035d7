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
    output::{Paint, duration, indented, truncate, wrap},
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

/// What stands below the first line of a difference stands below its name.
const INDENT: &str = "            ";

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
    let mut lines = side("---", &diff.a, paint);
    lines.extend(side("+++", &diff.b, paint));
    lines.extend(counts(diff, width, paint));
    for renamed in &diff.renamed {
        lines.push(
            paint.dim(format!("{} is {} there, which is no difference", renamed.a, renamed.b)),
        );
    }
    let mut differences: Vec<_> =
        diff.differences.iter().filter(|difference| all || !difference.follows).collect();
    differences.sort_by_key(|difference| rank(difference));
    let mut told: Vec<(Vec<String>, usize)> = Vec::new();
    for difference in differences {
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

/// What explains most comes first; a span that only wraps others explains nothing.
fn rank(difference: &Difference) -> (bool, usize) {
    use DifferenceKind::{
        Changed, Extra, Failed, Faster, Missing, Recovered, Reordered, Repeated, Retried, Slower,
    };
    let order =
        [Missing, Failed, Extra, Retried, Repeated, Changed, Reordered, Slower, Faster, Recovered];
    let kind = order.iter().position(|kind| *kind == difference.kind);
    (difference.wrapper, kind.unwrap_or(order.len()))
}

/// One of the traces. Its id stands in the first of two lines, where no terminal breaks it.
fn side(sign: &str, side: &DiffSide, paint: Paint) -> Vec<String> {
    let facts = [
        time(side.started_at),
        duration(side.duration_nanos),
        many(side.spans, "span"),
        format!("{} failed", side.errors),
    ];
    let mut about = paint.dim(format!("    {}", facts.join(" · ")));
    if side.open > 0 {
        about.push_str(&paint.busy(format!(" · {} open: it goes on", side.open)));
    }
    if let Some(why) = &side.partial {
        about.push_str(&paint.bad(format!(" · not all of it: {why}")));
    }
    vec![format!("{sign} {}  {}", paint.bold(&side.name), side.trace_id), about]
}

fn counts(diff: &TraceDiff, width: usize, paint: Paint) -> Vec<String> {
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
        0 if diff.same => vec![paint.good("nothing differs")],
        _ => wrap(&said.join(", "), width).iter().map(|line| paint.bold(line)).collect(),
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
    let width = width.saturating_sub(INDENT.len());
    if !difference.path.is_empty() {
        lines.push(format!("{INDENT}in {}", paint.dim(way(&difference.path, width - 3))));
    }
    for of in difference.changes.iter().take(CHANGES) {
        lines.extend(change(of, width).into_iter().map(|line| format!("{INDENT}{line}")));
    }
    if difference.changes.len() > CHANGES {
        let rest = difference.changes.len() - CHANGES;
        lines.push(paint.dim(format!("{INDENT}and {}", many(rest, "more change"))));
    }
    lines
}

/// The way to a place, as much of its end as fits.
fn way(path: &[String], width: usize) -> String {
    let whole = path.join(" › ");
    if whole.chars().count() <= width {
        return whole;
    }
    let ends = (1..path.len()).map(|from| format!("… › {}", path[from..].join(" › ")));
    let fitting = ends.into_iter().find(|end| end.chars().count() <= width);
    fitting.unwrap_or_else(|| truncate(path.last().map_or("", String::as_str), width))
}

fn change(change: &Change, width: usize) -> Vec<String> {
    let said = |value: &Option<Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        Some(Value::String(text)) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        Some(other) => other.to_string(),
    };
    let what = match (change.part.as_str(), change.path.as_str()) {
        ("attribute", path) => path.to_owned(),
        (part, "") => part.to_owned(),
        (part, path) => format!("{part} {path}"),
    };
    let (a, b) = (said(&change.a), said(&change.b));
    // What it failed with is read whole.
    if change.part == "status" {
        return indented(&format!("{what}: {a} → {b}"), "", "  ", width);
    }
    let what = truncate(&what, (width * 2 / 3).max(width.saturating_sub(24)));
    let room = width.saturating_sub(what.chars().count() + 5);
    let (a, b) = if a.chars().count() + b.chars().count() > room { apart(&a, &b) } else { (a, b) };
    // What is new matters more than what it was.
    let of_a = truncate(&a, (room / 2).max(room.saturating_sub(b.chars().count())));
    let of_b = truncate(&b, room.saturating_sub(of_a.chars().count()));
    vec![format!("{what}: {of_a} → {of_b}")]
}

/// Two long texts without most of what they begin with both: from one word before they part.
fn apart(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c);
    let same: String = same.collect();
    let words = same.trim_end_matches(|c: char| !c.is_whitespace()).trim_end();
    let from = words.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let cut = |text: &str| format!("… {}", &text[from..]);
    if from < 8 { (a.to_owned(), b.to_owned()) } else { (cut(a), cut(b)) }
}
