//! What a comparison with the good ones found, in words an operator understands.
//!
//! Not here: the comparison (`fixpoint_trace::compare::explain`). The surprise: one and the same
//! difference is said in other words of a call that a step makes and of a step that a run takes.

use std::borrow::Cow;

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{
    compare::{
        explain::{Count, Explanation, Finding, What},
        tree::At,
    },
    semconv,
};
use jiff::SignedDuration;

use super::{
    plan::{at_place, attempts_of, cause},
    view::{CREATE, View, text, with_request},
};
use crate::ui::text::duration;

/// A difference, and where it is.
pub(super) struct Found {
    pub(super) cause: Cause,
    /// Of something missing, the place that it is missing in.
    pub(super) place: Option<At>,
    /// Whether what is other is a call of something remote.
    pub(super) call: bool,
    /// How surprising it is, in bits.
    pub(super) bits: f64,
    pub(super) score: f64,
    /// How often it is so, here and in good ones.
    pub(super) counted: String,
    /// Of what is slow, or has not ended, how much longer it took than usual, in nanoseconds.
    pub(super) lost: Option<u64>,
    /// What follows from it.
    follows: Vec<Self>,
}

impl Found {
    /// Whether it is a call that failed, is missing or was answered otherwise.
    pub(super) fn tells_of_a_call(&self) -> bool {
        let kinds = [CauseKind::Failed, CauseKind::Missing, CauseKind::Changed];
        self.call && kinds.contains(&self.cause.kind)
    }

    /// As a cause, with all that follows from it beneath it.
    pub(super) fn into_cause(self) -> Cause {
        let mut cause = self.cause;
        cause.consequences = self.follows.into_iter().map(Self::into_cause).collect();
        cause
    }

    /// Leaves out those that are not worth a word, also where they follow from others.
    pub(super) fn keep(found: &mut Vec<Self>, worth: &impl Fn(&Self) -> bool) {
        found.retain(worth);
        found.iter_mut().for_each(|found| Self::keep(&mut found.follows, worth));
    }

    /// All of them, and all that follows from them, most telling first.
    pub(super) fn flat(mut left: Vec<Self>) -> Vec<Self> {
        let mut flat = Vec::new();
        while let Some(mut found) = left.pop() {
            left.append(&mut found.follows);
            flat.push(found);
        }
        flat.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
        flat
    }
}

/// All that was found, most telling first.
pub(super) fn causes(explanation: &Explanation, view: &View, what: &str) -> Vec<Found> {
    let telling = Telling { view, what };
    explanation.findings.iter().map(|finding| telling.found(finding)).collect()
}

/// Says findings of a run or a trace.
struct Telling<'a, 'b> {
    view: &'a View<'b>,
    /// `run` or `trace`
    what: &'a str,
}

impl Telling<'_, '_> {
    fn found(&self, finding: &Finding) -> Found {
        let finding = self.of_call(finding);
        let finding = &*finding;
        let place = finding.span_id.and_then(|id| self.view.place(id));
        let kind = kind(&finding.what);
        let because = finding.because.first();
        let mut sentence = self.sentence(finding);
        if let Some(odd) = because {
            let odd = self.sentence(&self.of_call(odd));
            sentence = format!("{sentence}; before that, {odd}");
        }
        let mut cause = match place {
            Some(at) => at_place(self.view, at, kind, &sentence),
            None => cause(kind, &finding.operation, &sentence),
        };
        cause.operation.clone_from(&finding.operation);
        cause.service.clone_from(&finding.suspect);
        if cause.service.is_empty() {
            cause.service.clone_from(&finding.service);
        }
        // What stands on the span that something is missing in is not of what is missing.
        if matches!(kind, CauseKind::Missing) {
            cause.request_id = None;
            cause.error_type = None;
        }
        let mut evidence: Vec<Evidence> = finding.because.iter().map(|odd| self.odd(odd)).collect();
        evidence.push(Evidence {
            text: self.counted(finding),
            span_id: finding.span_id.map(|id| id.to_string()),
        });
        if let (CauseKind::Failed, Some(at)) = (kind, place) {
            evidence.extend(attempts_of(self.view, at));
        }
        evidence.append(&mut cause.evidence);
        cause.evidence = evidence;
        Found {
            cause,
            place,
            call: self.is_call(finding, place),
            bits: finding.bits,
            score: finding.score,
            counted: self.counted(finding),
            lost: match &finding.what {
                What::Slow(duration) | What::SlowEdge { duration, .. } => {
                    Some(duration.took.saturating_sub(duration.usual))
                }
                What::NeverEnded { open, usual } => Some(open.saturating_sub(usual.unwrap_or(0))),
                _ => None,
            },
            follows: finding.consequences.iter().map(|finding| self.found(finding)).collect(),
        }
    }

    /// What happened to an attempt, as something that happened to its call.
    fn of_call<'f>(&self, finding: &'f Finding) -> Cow<'f, Finding> {
        let attempt = finding.span_id.and_then(|id| self.view.place(id)).filter(|&at| {
            !matches!(finding.what, What::MissingCall { .. } | What::ExtraCall { .. })
                && self.view.span(at).attributes.contains_key(semconv::ATTEMPT)
        });
        let Some(call) = attempt.and_then(|at| self.view.call(at)) else {
            return Cow::Borrowed(finding);
        };
        let mut finding = finding.clone();
        finding.path.pop();
        let span = self.view.span(call);
        finding.operation.clone_from(&span.name);
        if span.failed() {
            finding.span_id = Some(span.span_id);
        }
        Cow::Owned(finding)
    }

    /// An odd thing that speaks for a cause: with its request id, so that one can ask AWS about it.
    fn odd(&self, odd: &Finding) -> Evidence {
        let odd = self.of_call(odd);
        let odd = &*odd;
        let place = odd.span_id.and_then(|id| self.view.place(id));
        let request = place.and_then(|at| text(self.view.span(at), semconv::AWS_REQUEST_ID));
        Evidence {
            text: format!("{}: {}", with_request(&self.sentence(odd), request), self.counted(odd)),
            span_id: odd.span_id.map(|id| id.to_string()),
        }
    }

    /// Whether it happened to an attempt, and the call went well all the same.
    fn is_attempt(&self, finding: &Finding) -> bool {
        let place = finding.span_id.and_then(|id| self.view.place(id));
        place.is_some_and(|at| self.view.span(at).attributes.contains_key(semconv::ATTEMPT))
    }

    fn is_call(&self, finding: &Finding, place: Option<At>) -> bool {
        match finding.what {
            // Whatever is missing in a step is a call, or another step; steps have no dots.
            What::MissingCall { .. } => finding.operation.contains('.'),
            _ => place.is_some_and(|at| self.view.call(at).is_some()),
        }
    }

    /// Where it happened, as the subject of a sentence.
    fn within(&self, finding: &Finding) -> String {
        let callers = finding.path.len().saturating_sub(2);
        match finding.path.get(callers) {
            Some(caller) if caller.operation == CREATE => "the plan".to_owned(),
            Some(caller) => caller.operation.clone(),
            None => format!("the {}", self.what),
        }
    }

    fn sentence(&self, finding: &Finding) -> String {
        let operation = &finding.operation;
        let within = self.within(finding);
        let is_call = operation.contains('.');
        let did = if is_call { "called" } else { "came to" };
        match &finding.what {
            What::MissingCall { after, usual, calls, .. } => {
                let after =
                    after.as_ref().map_or(String::new(), |p| format!(" after {}", p.operation));
                match (*calls, is_call) {
                    (0, true) => format!("{within} did not call {operation}{after}"),
                    (0, false) => format!("{within} did not come to {operation}{after}"),
                    _ => format!(
                        "{within} {did} {operation} {}, usually {}",
                        times(*calls),
                        times(*usual)
                    ),
                }
            }
            What::ExtraCall { usual: 0, .. } => {
                format!("{within} {did} {operation}, which is not usual")
            }
            What::ExtraCall { usual, calls } => {
                format!("{within} {did} {operation} {}, usually {}", times(*calls), times(*usual))
            }
            What::Reordered { after, usual } => {
                let after = after
                    .as_ref()
                    .map_or_else(|| "at first".to_owned(), |p| format!("after {}", p.operation));
                let usual = usual.as_deref().unwrap_or("nothing");
                format!("{within} {did} {operation} {after}, where usually {usual} comes")
            }
            What::Failed { message, error } => {
                let with = error.as_ref().map_or(String::new(), |error| format!(" with {error}"));
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                let attempt = if self.is_attempt(finding) { "an attempt of " } else { "" };
                format!("{attempt}{operation} failed in {within}{with}{why}")
            }
            What::Slow(took) => {
                format!(
                    "{operation} took {} by itself in {within}, usually {}",
                    time(took.took),
                    time(took.usual)
                )
            }
            What::SlowEdge { callee, duration } => format!(
                "the way from {} to {callee} and back took {}, usually {} ({operation} in {within})",
                finding.service,
                time(duration.took),
                time(duration.usual)
            ),
            What::Changed { attribute, place, usual, value } => {
                changed(operation, attribute, place.as_deref(), usual.as_deref(), value.as_deref())
            }
            What::ChangedLines { after, line, usual } => {
                let line = line
                    .as_deref()
                    .map_or_else(|| "nothing".to_owned(), |line| format!("“{line}”"));
                let after =
                    after.as_deref().map_or(String::new(), |after| format!(" after “{after}”"));
                let usual = usual
                    .as_deref()
                    .map_or_else(|| "nothing".to_owned(), |line| format!("“{line}”"));
                format!("{operation} logged {line}{after}, usually {usual}")
            }
            What::NeverEnded { open, usual } => {
                let usual =
                    usual.map_or(String::new(), |usual| format!(", usually {}", time(usual)));
                format!("{operation} in {within} has not ended after {}{usual}", time(*open))
            }
        }
    }

    /// "50 of 50 good runs have it, this one does not".
    fn counted(&self, finding: &Finding) -> String {
        let Count { with, of } = finding.good;
        let good = format!("good {}s", self.what);
        if of == 0 {
            return format!("no {good} to compare with");
        }
        match &finding.what {
            What::MissingCall { usual_duration, .. } => {
                let took = usual_duration
                    .map_or(String::new(), |t| format!("; it takes {} then", time(t)));
                let here = finding.here.of - finding.here.with.min(finding.here.of);
                format!(
                    "{good} make it {} of {of} times, this one {here} of {}{took}",
                    of - with.min(of),
                    finding.here.of
                )
            }
            What::Slow(took) | What::SlowEdge { duration: took, .. } => {
                format!("99 of 100 in {good} take {} at most", time(took.most))
            }
            _ => format!(
                "{} of {} times here, {with} of {of} times in {good}",
                finding.here.with, finding.here.of
            ),
        }
    }
}

fn kind(what: &What) -> CauseKind {
    match what {
        What::MissingCall { .. } => CauseKind::Missing,
        What::ExtraCall { .. } => CauseKind::Extra,
        What::Failed { .. } => CauseKind::Failed,
        What::Slow(_) => CauseKind::Slow,
        What::SlowEdge { .. } => CauseKind::SlowEdge,
        What::Changed { .. } | What::Reordered { .. } => CauseKind::Changed,
        What::ChangedLines { .. } => CauseKind::Logs,
        What::NeverEnded { .. } => CauseKind::Unfinished,
    }
}

fn changed(
    operation: &str,
    attribute: &str,
    place: Option<&str>,
    usual: Option<&str>,
    value: Option<&str>,
) -> String {
    let said = |value: Option<&str>| match value {
        None | Some("") => "nothing".to_owned(),
        Some(value) => value.to_owned(),
    };
    let (value, usual) = (said(value), said(usual));
    let none = value == "nothing" || value == "0 items";
    match (attribute, place) {
        (semconv::RESPONSE, Some(place)) if none => {
            format!("{operation} answered with no {place}, usually {usual}")
        }
        (semconv::RESPONSE, Some(place)) => {
            format!("{operation} answered with {place} {value}, usually {usual}")
        }
        (semconv::REQUEST, Some(place)) => {
            format!("{operation} was asked for {place} {value}, usually {usual}")
        }
        _ => format!("{attribute} of {operation} was {value}, usually {usual}"),
    }
}

fn times(count: u32) -> String {
    match count {
        0 => "not at all".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}

fn time(nanos: u64) -> String {
    duration(SignedDuration::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
}
