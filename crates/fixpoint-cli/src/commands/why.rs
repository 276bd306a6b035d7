//! `fixpoint why`: what went wrong in a run or a trace, and how one knows.
//!
//! Not here: finding it out, which the server does. The surprise: it answers of a run that went
//! well, too, and then says so.

use fixpoint_client::{Cause, Conclusion, Hit, Why};

use super::{nowhere, state};
use crate::{
    Session,
    error::Result,
    output::{Paint, indented},
    waterfall::many,
};

/// Say what went wrong in a run or a trace, and how one knows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The id of a run or a trace, a cluster's name, or any id that occurs in a trace
    id: String,
    /// Show also all that is unusual and does not follow from the first cause
    #[arg(short, long)]
    all: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint why idg                                   the newest run of cluster idg
  fixpoint why run-01a214ce718a0885969d1824 --all
  fixpoint why d572232a8fed45fa9b3c7d1e5f60718a      a trace of any service
  fixpoint why idg -o json | jq -r .sentence

A failed run is asked which step failed or had no effect, and held against the good runs of the
same plan. It can be asked while the run goes on. Exit code 0 says that there is an answer.";

/// How many unusual things are shown beside the first cause, unless all are asked for.
const OTHERS: usize = 3;

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        let why = ask(session, &self.id).await?;
        if output.is_json() {
            return Ok(output.json(&why)?);
        }
        let width = output.width();
        let others = if self.all { usize::MAX } else { OTHERS };
        let mut lines = head(&why, output.out);
        lines.push(String::new());
        lines.extend(tell(&why, output.out, width, others));
        lines.push(String::new());
        lines.extend(foot(session, &why, width));
        Ok(output.text(lines.join("\n"))?)
    }
}

async fn ask(session: &Session, id: &str) -> Result<Why> {
    let client = &session.client;
    let found = client.find(id).await?;
    for hit in &found.hits {
        match hit {
            Hit::Run(run) => return Ok(client.run_why(&run.id).await?),
            Hit::Resource(resource) => {
                if let Some(run) = &resource.run_id {
                    return Ok(client.run_why(run).await?);
                }
            }
            Hit::Trace(trace) => return Ok(client.trace_why(&trace.trace_id).await?),
        }
    }
    Err(nowhere(id))
}

/// What was asked about. Ids stand on a line of their own, where a narrow terminal does not break
/// them.
fn head(why: &Why, paint: Paint) -> Vec<String> {
    let trace = format!("trace {}", why.trace_id);
    match &why.run {
        Some(run) => vec![
            format!("{} {}  {}", paint.bold(&run.resource), state(run.state, paint), run.plan),
            paint.dim(format!("{}  {trace}", run.id)),
        ],
        None => vec![paint.bold(&why.baseline.of), paint.dim(trace)],
    }
}

/// The answer: the first cause, what it is concluded from, what follows, and the rest.
pub(crate) fn tell(why: &Why, paint: Paint, width: usize, others: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let conclude = |line: String| match why.conclusion {
        Conclusion::Cause => paint.bad(line),
        Conclusion::NothingDiffers => paint.good(line),
        Conclusion::Unknown => paint.busy(line),
    };
    lines.extend(indented(&why.sentence, "  ", "  ", width).into_iter().map(conclude));
    let Some(cause) = &why.cause else { return lines };
    lines.extend(details(cause, paint, width));
    if !cause.consequences.is_empty() {
        lines.push(String::new());
        lines.push(format!("  {}", paint.dim("what follows from it")));
        let most = others.max(OTHERS);
        for follows in cause.consequences.iter().take(most) {
            lines.extend(indented(&follows.sentence, "  → ", "    ", width));
        }
        if let Some(left) = cause.consequences.len().checked_sub(most).filter(|left| *left > 0) {
            lines.push(format!("    {}", paint.dim(format!("and {left} more: --all"))));
        }
    }
    if !why.others.is_empty() && others > 0 {
        lines.push(String::new());
        lines.push(format!("  {}", paint.dim("also unusual")));
        for (at, other) in why.others.iter().take(others).enumerate() {
            lines.extend(indented(&other.sentence, &format!("  {}. ", at + 2), "     ", width));
        }
        if let Some(left) = why.others.len().checked_sub(others).filter(|left| *left > 0) {
            lines.push(format!("     {}", paint.dim(format!("and {left} more: --all"))));
        }
    }
    lines
}

fn details(cause: &Cause, paint: Paint, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for evidence in &cause.evidence {
        lines.extend(indented(&evidence.text, "  · ", "    ", width));
    }
    let is_step = cause.step.as_ref() == Some(&cause.operation);
    let facts = [
        ("step", cause.step.as_deref()),
        ("call", Some(&*cause.operation).filter(|_| !is_step)),
        ("request id", cause.request_id.as_deref()),
        ("span", cause.span_id.as_deref()),
    ];
    lines.push(String::new());
    for (what, value) in facts {
        if let Some(value) = value {
            lines.push(format!("  {}  {value}", paint.dim(format!("{what:<10}"))));
        }
    }
    if let Some(hint) = &cause.hint {
        lines.extend(indented(
            hint,
            &format!("  {}  ", paint.busy("what to do")),
            "              ",
            width,
        ));
    }
    lines
}

/// What it was compared with, what cannot be known, and where to look on.
fn foot(session: &Session, why: &Why, width: usize) -> Vec<String> {
    let paint = session.output.out;
    let mut lines = Vec::new();
    let what = if why.run.is_some() { "good run" } else { "good trace" };
    if let Some(last) = &why.baseline.last {
        let good = many(usize::try_from(why.baseline.good).unwrap_or(usize::MAX), what);
        let name = last.resource.as_ref().unwrap_or(&last.trace_id);
        let compared = format!("compared with {good} of {}; the last: {name}", why.baseline.of);
        lines.extend(indented(&compared, "  ", "  ", width));
        lines.push(match &why.run {
            Some(run) => format!("  fixpoint diff {}", run.id),
            None => format!("  fixpoint diff {} {}", last.trace_id, why.trace_id),
        });
    }
    for unknown in &why.unknown {
        lines.extend(indented(unknown, "  ", "  ", width).into_iter().map(|line| paint.dim(line)));
    }
    let page = match &why.run {
        Some(run) => format!("/runs/{}", run.id),
        None => format!("/traces/{}", why.trace_id),
    };
    lines.push(format!("  {}", paint.link(session.client.page(&page))));
    lines
}
