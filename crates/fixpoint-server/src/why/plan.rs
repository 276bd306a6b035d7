//! The plan against its trace: what a run alone says of why it went as it did.
//!
//! Needs no good run. Not here: what good runs do otherwise (`compared.rs`). The surprise: what
//! is blamed here is mostly a step; which of its calls is to blame, others may have to say.

use std::collections::HashSet;

use fixpoint_client::{Cause, CauseKind, Evidence, Iteration, Run, RunState, Verb};
use fixpoint_trace::{compare::tree::At, semconv};

use super::{
    repeats,
    view::{CREATE, View, description, number, text},
};

/// Most log lines that are told as evidence.
const LINES: usize = 3;

/// What the end of a run, or where it stands, is blamed on.
#[derive(Debug, Default)]
pub(super) struct Blame {
    /// First what came first.
    pub(super) causes: Vec<Cause>,
    /// The spans in which the cause is to be looked for.
    pub(super) places: Vec<At>,
}

/// Asks a run and its trace.
pub(super) fn blame(run: &Run, view: &View) -> Blame {
    match run.outcome() {
        RunState::Failed => failed(run, view),
        RunState::NotConverging => without_effect(run, view),
        RunState::Waiting | RunState::Running => waits(run, view),
        RunState::Cancelled => stopped(run, view),
        RunState::Paused | RunState::Pending | RunState::Converged => Blame::default(),
    }
}

fn failed(run: &Run, view: &View) -> Blame {
    let mut places: Vec<At> = view
        .all()
        .filter(|&at| view.step(at) == Some(at) && view.span(at).failed())
        // A step that holds others fails because of them.
        .filter(|&at| {
            !view.tree.below(at).any(|at| view.step(at) == Some(at) && view.span(at).failed())
        })
        .collect();
    // An earlier try of the same step may have failed too. What ended the run came last, and of
    // several at once the first.
    let mut looks: Vec<_> = view
        .all()
        .filter(|&at| view.span(at).name == CREATE)
        .map(|at| view.span(at).start)
        .collect();
    looks.sort_unstable();
    let iteration = |&at: &At| looks.partition_point(|&look| look <= view.span(at).start);
    let last = places.iter().map(iteration).max();
    places.retain(|at| Some(iteration(at)) == last);
    places.sort_by_key(|&at| (view.span(at).end, at));
    let mut causes: Vec<_> = places.iter().map(|&at| failure(view, at)).collect();
    if causes.is_empty() {
        causes.extend(run.error.as_ref().map(|error| {
            let step = error.step.as_ref().map_or(&*run.plan, |step| &step.name);
            cause(CauseKind::Failed, step, &error.message)
        }));
    }
    Blame { causes, places }
}

/// A failed step: the call that failed in it, or the step itself.
fn failure(view: &View, step: At) -> Cause {
    let origin = view.origin(step);
    let span = view.span(origin);
    let why = description(span);
    let name = &*view.span(step).name;
    let during = if name == CREATE { "while the plan looked at the world" } else { name };
    if origin != step && view.is_call(origin) {
        return call_failure(view, origin, during);
    }
    if let Some(wanted) = text(span, semconv::WAIT_WANTED) {
        let seen = text(span, semconv::WAIT_SEEN).unwrap_or("nothing");
        let reason = text(span, semconv::WAIT_REASON).unwrap_or(name);
        let polls = number(span, semconv::WAIT_POLLS).unwrap_or(0);
        let sentence = format!(
            "{name} gave up: {reason} was to be {wanted}, and after {polls} looks still was {seen}"
        );
        let mut cause = at_place(view, origin, CauseKind::NotMoving, &sentence);
        if !why.is_empty() {
            cause.evidence.push(Evidence { text: why.to_owned(), span_id: cause.span_id.clone() });
        }
        return cause;
    }
    let sentence =
        if why.is_empty() { format!("{during} failed") } else { format!("{during} failed: {why}") };
    at_place(view, origin, CauseKind::Failed, &sentence)
}

/// A call that failed, as a cause.
pub(super) fn call_failure(view: &View, call: At, during: &str) -> Cause {
    let span = view.span(call);
    let code = text(span, semconv::ERROR_TYPE).unwrap_or("an error");
    let attempts = number(span, semconv::AWS_ATTEMPTS).unwrap_or(1);
    let tries = if attempts > 1 { format!(" after {attempts} attempts") } else { String::new() };
    let why = description(span);
    let message = if why.is_empty() || why == code { String::new() } else { format!(": {why}") };
    let sentence = format!("{} failed in {during}{tries} with {code}{message}", span.name);
    let mut cause = at_place(view, call, CauseKind::Failed, &sentence);
    cause.evidence.extend(attempts_of(view, call));
    cause
}

/// What each attempt of a call met, if there were several.
pub(super) fn attempts_of(view: &View, call: At) -> Vec<Evidence> {
    let attempts: Vec<At> = view
        .tree
        .children(call)
        .filter(|&at| view.span(at).attributes.contains_key(semconv::ATTEMPT))
        .collect();
    if attempts.len() < 2 {
        return Vec::new();
    }
    let met = |at: &At| {
        let span = view.span(*at);
        text(span, semconv::ERROR_TYPE).map_or("ok", |code| code).to_owned()
    };
    let met: Vec<String> = attempts.iter().map(met).collect();
    let span_id = Some(view.span(call).span_id.to_string());
    vec![Evidence { text: format!("{} attempts: {}", met.len(), met.join(", ")), span_id }]
}

fn without_effect(run: &Run, view: &View) -> Blame {
    let Some(last) = run.plan_history.last() else { return Blame::default() };
    let mut names: Vec<&str> = last.steps.iter().map(|step| &*step.name).collect();
    let mut known = HashSet::new();
    names.retain(|name| known.insert(*name));
    let mut blame = Blame::default();
    for name in names {
        let places: Vec<At> =
            view.all().filter(|&at| view.is_step(at) && view.span(at).name == name).collect();
        let times = places.len();
        let ran = match times {
            0 => format!("{name} was planned again and again"),
            1 => format!("{name} ran once, without effect"),
            _ => format!("{name} ran {times} times, without effect"),
        };
        let seen = kept_seeing(&run.plan_history);
        let sentence =
            if seen.is_empty() { ran } else { format!("{ran}: the plan kept seeing {seen}") };
        let mut cause = match places.last() {
            Some(&at) => at_place(view, at, CauseKind::WithoutEffect, &sentence),
            None => cause(CauseKind::WithoutEffect, name, &sentence),
        };
        cause.evidence.extend(since(&run.plan_history));
        blame.causes.push(cause);
        blame.places.extend(places);
    }
    if blame.causes.is_empty()
        && let Some(error) = &run.error
    {
        blame.causes.push(cause(CauseKind::WithoutEffect, &run.plan, &error.message));
    }
    blame
}

/// The facts that did not change over the last iterations and are not yet as they should be: "3 of
/// 3" is, "0 of 3" is not. All of them if that cannot be told.
fn kept_seeing(history: &[Iteration]) -> String {
    let Some(last) = history.last() else { return String::new() };
    let reached = |value: &str| {
        value.split_once(" of ").is_some_and(|(have, wanted)| have.trim() == wanted.trim())
    };
    let told = |all: bool| {
        let facts = last.seen.iter().filter(|fact| all || !reached(&fact.value));
        facts.map(|fact| format!("{}: {}", fact.what, fact.value)).collect::<Vec<_>>().join(", ")
    };
    let left = told(false);
    if left.is_empty() { told(true) } else { left }
}

/// What has changed for the plan since it first chose what it chose last.
fn since(history: &[Iteration]) -> Option<Evidence> {
    let last = history.last()?;
    let same = history.iter().rev().take_while(|iteration| iteration.steps == last.steps).count();
    let first = history.len().checked_sub(same)?;
    let first = history.get(first)?;
    let before = |what: &str| first.seen.iter().find(|fact| fact.what == what);
    let changed: Vec<String> = last
        .seen
        .iter()
        .filter_map(|fact| {
            let was = before(&fact.what)?;
            (was.value != fact.value)
                .then(|| format!("{}: {} → {}", fact.what, was.value, fact.value))
        })
        .collect();
    let since = if changed.is_empty() {
        "nothing that it sees has changed since".to_owned()
    } else {
        format!("changed since: {}", changed.join(", "))
    };
    let text = format!(
        "it chose the same {} since iteration {}; {since}",
        if same == 1 { "steps".to_owned() } else { format!("{same} times in a row") },
        first.iteration
    );
    Some(Evidence { text, span_id: None })
}

fn waits(run: &Run, view: &View) -> Blame {
    let mut blame = Blame::default();
    for active in &run.active {
        let Some(waiting) = &active.waiting else { continue };
        let place = view
            .all()
            .rev()
            .find(|&at| view.span(at).end.is_none() && view.span(at).name == active.name);
        let seen = if waiting.seen.is_empty() { "nothing yet" } else { &waiting.seen };
        let sentence = format!(
            "{} waits for {} to be {}; it has looked {} times and sees {seen}",
            active.name, waiting.reason, waiting.wanted, waiting.polls
        );
        blame.causes.push(match place {
            Some(at) => at_place(view, at, CauseKind::NotMoving, &sentence),
            None => cause(CauseKind::NotMoving, &active.name, &sentence),
        });
        blame.places.extend(place);
    }
    blame
}

fn stopped(run: &Run, view: &View) -> Blame {
    let act = run.acts.iter().rev().find(|act| act.verb == Verb::Cancel);
    let message =
        act.map(ToString::to_string).or_else(|| Some(run.error.as_ref()?.message.clone()));
    let message = message.unwrap_or_else(|| "it was cancelled".to_owned());
    let at_work: Vec<_> = run.active.iter().map(|step| &*step.name).collect();
    let mut cause = cause(
        CauseKind::Stopped,
        &run.plan,
        &format!("the run was ended before its plan was solved: {message}"),
    );
    if !at_work.is_empty() {
        let text = format!("it was at {}", at_work.join(", "));
        cause.evidence.push(Evidence { text, span_id: None });
    }
    cause.span_id = view.all().next().map(|at| view.span(at).span_id.to_string());
    Blame { causes: vec![cause], places: Vec::new() }
}

/// What an operator decided, of which no comparison knows better: that the run is paused, that a step
/// is left out.
pub(super) fn decided(run: &Run) -> Vec<Cause> {
    let paused = run.acts.iter().rev().find(|act| act.verb == Verb::Pause);
    let paused = paused.filter(|_| run.state == RunState::Paused);
    let paused =
        paused.map(|act| cause(CauseKind::Stopped, &run.plan, &format!("the run was {act}")));
    let skipped = run.skipped.iter().map(|step| {
        let sentence = format!("{} was not run: skipped by {}", step.name, step.why);
        cause(CauseKind::Skipped, &step.name, &sentence)
    });
    paused.into_iter().chain(skipped).collect()
}

/// A cause of which only this is known.
pub(super) fn cause(kind: CauseKind, operation: &str, sentence: &str) -> Cause {
    Cause {
        kind,
        sentence: sentence.to_owned(),
        service: String::new(),
        operation: operation.to_owned(),
        step: None,
        span_id: None,
        request_id: None,
        error_type: None,
        hint: None,
        evidence: Vec::new(),
        consequences: Vec::new(),
    }
}

/// A cause that a span shows, with what the span says of itself.
pub(super) fn at_place(view: &View, at: At, kind: CauseKind, sentence: &str) -> Cause {
    let span = view.span(at);
    let lines = view.complaints(view.step(at).unwrap_or(at));
    let logged = |line: &&fixpoint_trace::model::LogRecord| Evidence {
        text: format!("log: {}", line.body.to_text()),
        span_id: line.span_id.map(|id| id.to_string()),
    };
    let mut logged: Vec<Evidence> = lines.iter().map(logged).collect();
    repeats::once(&mut logged, |it| &mut it.text);
    Cause {
        service: span.service().to_owned(),
        step: view.step(at).map(|step| view.span(step).name.clone()),
        span_id: Some(span.span_id.to_string()),
        request_id: text(span, semconv::AWS_REQUEST_ID).map(str::to_owned),
        error_type: text(span, semconv::ERROR_TYPE).map(str::to_owned),
        evidence: logged.split_off(logged.len().saturating_sub(LINES)),
        ..cause(kind, &span.name, sentence)
    }
}
