//! `fixpoint runs`: lists runs, or shows one with what its plan answered.

use fixpoint_client::{Iteration, Run, RunCause, RunQuery, RunState};
use serde_json::json;

use super::{nanos_between, reasons, state, state_word, time, wait};
use crate::{
    Session,
    error::Result,
    output::{Paint, counted, duration, table, wrap},
};

/// List runs, or show one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only this run, with what its plan answered
    id: Option<String>,
    /// Only runs of this resource, as clusters/NAME
    #[arg(long, value_name = "KIND/NAME", conflicts_with = "id")]
    resource: Option<String>,
    /// Only runs in this state: pending, running, waiting, paused, converged, failed,
    /// not_converging or cancelled
    #[arg(long, value_name = "STATE", conflicts_with = "id", value_parser = parse_state)]
    state: Option<RunState>,
    /// At most this many, the newest
    #[arg(long, default_value_t = 20, value_name = "N", conflicts_with = "id")]
    limit: usize,
    /// Stay until the run has ended, and show its steps
    #[arg(long, requires = "id")]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  fixpoint runs --resource clusters/idg
  fixpoint runs --state not_converging -o json
  fixpoint runs RUN --follow";

fn parse_state(word: &str) -> std::result::Result<RunState, String> {
    let known = RunState::ALL.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| format!("one of {}", RunState::ALL.map(RunState::as_str).join(", ")))
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result {
        let output = &session.output;
        match &self.id {
            Some(id) if self.follow => wait(session, std::slice::from_ref(id)).await,
            Some(id) => {
                let run = session.client.run(id).await?;
                match output.is_json() {
                    true => Ok(output.json(&run)?),
                    false => Ok(output.text(whole(&run, output.out))?),
                }
            }
            None => self.list(session).await,
        }
    }

    async fn list(self, session: &Session) -> Result {
        let output = &session.output;
        let mut query =
            RunQuery { resource: self.resource, state: self.state, ..RunQuery::default() };
        let mut runs = Vec::new();
        loop {
            query.limit = Some((self.limit - runs.len()).min(100));
            let page = session.client.runs(&query).await?;
            runs.extend(page.items);
            query.page_token = page.next_page_token;
            if query.page_token.is_none() || runs.len() >= self.limit {
                break;
            }
        }
        if output.is_json() {
            return Ok(output.json(&json!({ "items": runs }))?);
        }
        if runs.is_empty() {
            output.note("no such runs");
            return Ok(());
        }
        let mut rows: Vec<Vec<String>> = runs.iter().map(row).collect();
        let mut head = vec!["RUN", "RESOURCE", "STATE", "STEPS", "STARTED", "TOOK", "TRACE"];
        if runs.iter().any(|run| run.cause != Some(RunCause::Request)) {
            head.push("CAUSE");
            let causes = runs.iter().map(|run| run.cause.map_or("not known", RunCause::as_str));
            rows.iter_mut().zip(causes).for_each(|(row, cause)| row.push(cause.to_owned()));
        }
        if runs.iter().any(|run| run.unusual.is_some()) {
            head.push("UNUSUAL");
            let unusual = runs.iter().map(|run| run.unusual.clone().unwrap_or_default());
            rows.iter_mut().zip(unusual).for_each(|(row, unusual)| row.push(unusual));
        }
        Ok(output.text(table(&head, &rows, |row, column, cell| match (row, column) {
            (0, _) => output.out.dim(cell),
            (_, 2) => state_word(cell, output.out),
            _ => cell.to_owned(),
        }))?)
    }
}

fn row(run: &Run) -> Vec<String> {
    vec![
        run.id.clone(),
        run.resource.clone(),
        run.state.to_string(),
        run.steps.to_string(),
        time(run.created_at),
        duration(nanos_between(run.created_at, run.ended_at)),
        run.trace_id.clone(),
    ]
}

fn whole(run: &Run, paint: Paint) -> String {
    let mut lines = vec![
        format!("{}  {}", paint.bold(&run.resource), state(run.state, paint)),
        format!("run         {}", run.id),
        format!("trace       {}", run.trace_id),
        format!("plan        {} for generation {}", run.plan, run.generation),
        format!("started     {} UTC", time(run.created_at)),
        format!("took        {}", duration(nanos_between(run.created_at, run.ended_at))),
        format!("cause       {}", run.cause.map_or("not known", RunCause::as_str)),
        format!("progress    {} iterations, {} steps", run.iterations, run.steps),
    ];
    if run.rolls_back {
        lines.push("rolls back  what an earlier run made, which failed for good".to_owned());
    }
    if run.attempts > 1 {
        lines.push(format!(
            "attempts    {}: it was taken up again after a restart or a pause",
            run.attempts
        ));
    }
    for step in &run.active {
        let waits = step.waiting.as_ref().map(|waiting| {
            let seen = if waiting.seen.is_empty() { "nothing yet" } else { &waiting.seen };
            format!(": {}, wanted {}, seen {seen}", waiting.reason, waiting.wanted)
        });
        let name = paint.busy(&step.name);
        lines.push(format!("running     {name}{}", waits.unwrap_or_default()));
    }
    lines.extend(
        run.skipped
            .iter()
            .map(|step| format!("skipped     {} by {}", paint.busy(&step.name), step.why)),
    );
    lines.extend(run.acts.iter().map(|act| format!("{}  {act}", time(act.at))));
    for told in &run.notifications {
        let at = told.attempted_at.unwrap_or(told.at);
        let next = told.next_attempt_at.map(|at| format!("; again at {}", time(at)));
        lines.push(format!("{}  webhook: {told}{}", time(at), next.unwrap_or_default()));
    }
    if let Some(unusual) = &run.unusual {
        lines.push(format!("unusual     {}", paint.busy(unusual)));
    }
    lines.push(String::new());
    lines.extend(run.plan_history.iter().map(|iteration| answer(iteration, paint)));
    for (at, reason) in run.error.iter().flat_map(reasons).enumerate() {
        lines.push(if at == 0 {
            format!("\n{}", paint.bad(reason))
        } else {
            format!("  {reason}")
        });
    }
    if let Some(at) = run.retry_at {
        lines.push(format!("the server plans it again at {} UTC", time(at)));
    }
    if run.state.is_final() && run.state != RunState::Converged {
        lines.push(format!("  why: {}", paint.link(format!("fixpoint why {}", run.id))));
    }
    lines.join("\n")
}

/// What one `create` answered, wrapped beneath its number.
fn answer(iteration: &Iteration, paint: Paint) -> String {
    let steps = match iteration.steps.is_empty() {
        true => "nothing left".to_owned(),
        false => counted(iteration.steps.iter().map(|step| step.name.as_str())),
    };
    let steps = wrap(&steps, 70).join("\n       ");
    let steps = if iteration.steps.is_empty() { paint.good(steps) } else { steps };
    let mut text = format!("{} → {steps}", paint.dim(format!("#{:<3}", iteration.iteration)));
    let facts: Vec<String> =
        iteration.seen.iter().map(|fact| format!("{}: {}", fact.what, fact.value)).collect();
    let seen = if facts.is_empty() { String::new() } else { format!("saw {}", facts.join(", ")) };
    let withheld = iteration.withheld.iter();
    let withheld = withheld.map(|held| format!("withheld {}: {}", held.what, held.why));
    for line in std::iter::once(seen).chain(withheld).filter(|line| !line.is_empty()) {
        for line in wrap(&line, 70) {
            text += &format!("\n       {}", paint.dim(line));
        }
    }
    text
}
