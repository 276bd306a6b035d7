//! The commands, one file each, and the few things that several of them say in the same words.

use fixpoint_client::{ErrorReport, Run, RunState};
use jiff::Timestamp;

use crate::{
    Session,
    error::{CliError, Result},
    output::{Paint, counted, duration},
    progress::{self, Screen},
};

pub(crate) mod apis;
pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod find;
pub(crate) mod get;
mod keeping;
pub(crate) mod logs;
pub(crate) mod operate;
pub(crate) mod operations;
pub(crate) mod pin;
pub(crate) mod plan;
mod running;
pub(crate) mod runs;
pub(crate) mod search;
pub(crate) mod serve;
mod telling;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod upload;
pub(crate) mod verify;
mod verifying;
pub(crate) mod webhook;
pub(crate) mod why;

/// Follows runs until nothing more happens by itself, and says how each ended; an error if one did not converge.
async fn wait(session: &Session, run_ids: &[String]) -> Result {
    let screen = Screen::on_stderr(session.output, run_ids.len() > 1);
    let runs = progress::follow(&session.client, screen, run_ids).await?;
    for run in &runs {
        if session.output.is_json() {
            session.output.json(run)?;
        } else {
            session.output.text(ending(run, session.output.out))?;
        }
    }
    match runs.iter().find(|run| run.state != RunState::Converged) {
        Some(run) => Err(failure(run)),
        None => Ok(()),
    }
}

/// How a run ended, in a line.
fn ending(run: &Run, paint: Paint) -> String {
    let took = duration(nanos_between(run.created_at, run.ended_at));
    let trace = paint.dim(format!("trace {}", run.trace_id));
    let skipped: Vec<_> = run.skipped.iter().map(|step| step.name.as_str()).collect();
    let without = match skipped.is_empty() {
        true => String::new(),
        false => paint.busy(format!(" without {}", counted(skipped))),
    };
    format!("{} {}{without} in {took}  {trace}", run.resource, state(run.state, paint))
}

/// Why a run did not converge.
fn failure(run: &Run) -> CliError {
    let what = match run.state {
        RunState::Cancelled => format!("{} was cancelled", run.resource),
        RunState::NotConverging => format!("{} does not converge", run.resource),
        RunState::Paused => format!("{} is paused", run.resource),
        _ => format!("{} failed", run.resource),
    };
    let mut error = CliError::failed(what).trace(&run.trace_id);
    for line in run.error.iter().flat_map(reasons) {
        error = error.detail(line);
    }
    if let Some(act) = run.acts.last().filter(|_| run.state != RunState::NotConverging) {
        error = error.detail(act.to_string());
    }
    if run.state == RunState::Paused {
        return error.hint(format!("let it go on with `fixpoint resume {}`", run.id));
    }
    if let Some(at) = run.retry_at {
        error = error.hint(format!("the server plans it again at {}", time(at)));
    }
    error.hint(format!("ask `fixpoint why {}`", run.id))
}

/// An error and its causes, a line each.
fn reasons(error: &ErrorReport) -> Vec<String> {
    let causes = error.causes.iter().map(|cause| format!("because: {cause}"));
    std::iter::once(error.message.clone()).chain(causes).collect()
}

/// A state in its colour.
fn state(state: RunState, paint: Paint) -> String {
    match state {
        RunState::Converged => paint.good(state.as_str()),
        RunState::Failed | RunState::NotConverging => paint.bad(state.as_str()),
        RunState::Pending | RunState::Running | RunState::Waiting | RunState::Paused => {
            paint.busy(state.as_str())
        }
        RunState::Cancelled => paint.dim(state.as_str()),
    }
}

/// A state word in its colour, if it is one.
fn state_word(word: &str, paint: Paint) -> String {
    let known = RunState::ALL.into_iter().find(|known| known.as_str() == word);
    known.map_or_else(|| word.to_owned(), |known| state(known, paint))
}

/// From `start` to `end`, or to now where there is no end yet.
fn nanos_between(start: Timestamp, end: Option<Timestamp>) -> u64 {
    let nanos = end.unwrap_or_else(Timestamp::now).duration_since(start).as_nanos();
    u64::try_from(nanos).unwrap_or(0)
}

/// A moment for people: UTC, to the second.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The trace meant by an id: a trace's own, a run's, a resource's name, or any that occurs in one.
async fn trace_id(session: &Session, id: &str) -> Result<String> {
    if id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(id.to_owned());
    }
    let found = session.client.find(id).await?;
    let trace = |hit: &fixpoint_client::Hit| match hit {
        fixpoint_client::Hit::Run(run) => Some(run.trace_id.clone()),
        fixpoint_client::Hit::Resource(resource) => resource.trace_id.clone(),
        fixpoint_client::Hit::Trace(trace) => Some(trace.trace_id.clone()),
    };
    found.hits.iter().find_map(trace).ok_or_else(|| nowhere(id))
}

/// An id that occurs nowhere.
fn nowhere(id: &str) -> CliError {
    CliError::usage(format!("`{id}` occurs in no trace, run or resource"))
        .hint("ids of traces and spans may be cut to their first 8 digits, others must be whole")
}
