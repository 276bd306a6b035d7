//! What a comparison with the good ones found, in words an operator understands.
//!
//! Not here: the comparison (`fixpoint_trace::compare::explain`). The surprise: one and the same
//! difference is said in other words of a call that a step makes and of a step that a run takes.

mod words;

use std::{borrow::Cow, collections::HashSet};

use fixpoint_client::{Cause, CauseKind, Evidence};
use fixpoint_trace::{
    compare::{
        explain::{Count, Explanation, Finding, What},
        tree::At,
    },
    model::SpanId,
    semconv,
};

use self::words::{changed, time, times};
use super::{
    plan::{at_place, attempts_of, cause},
    view::{CREATE, View, with_request},
};

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
    /// Whether that is enough to tell it without its cause.
    stands: bool,
    /// How often it is so, here and in good ones.
    pub(super) counted: String,
    /// Of what is slow, or has not ended, how much longer it took than usual, in nanoseconds.
    pub(super) lost: Option<u64>,
    /// What speaks for it: the odd answer before a missing call.
    because: Vec<Self>,
    /// What follows from it.
    follows: Vec<Self>,
}

impl Found {
    /// Whether it is a call that failed, is missing or was answered otherwise.
    pub(super) fn tells_of_a_call(&self) -> bool {
        let kinds = [CauseKind::Failed, CauseKind::Missing, CauseKind::Changed];
        self.call && kinds.contains(&self.cause.kind)
    }

    /// As a cause, with what speaks for it, and all that follows from it beneath it.
    pub(super) fn into_cause(self) -> Cause {
        let mut cause = self.cause;
        if let Some(odd) = self.because.first() {
            cause.sentence = format!("{}; before that, {}", cause.sentence, odd.cause.sentence);
        }
        cause.evidence.splice(0..0, self.because.iter().map(Self::as_evidence));
        cause.consequences = self.follows.into_iter().map(Self::into_cause).collect();
        cause
    }

    /// As something that speaks for a cause: with its request id, so that one can ask AWS about it.
    fn as_evidence(&self) -> Evidence {
        let Cause { sentence, request_id, span_id, .. } = &self.cause;
        let text = format!("{}: {}", with_request(sentence, request_id.as_deref()), self.counted);
        Evidence { text, span_id: span_id.clone() }
    }

    /// Leaves out those that are not worth a word, also where they follow from others. What follows
    /// from one that is left out takes its place, if it stands for itself.
    pub(super) fn keep(found: &mut Vec<Self>, worth: &impl Fn(&Self) -> bool) {
        for mut one in std::mem::take(found) {
            Self::keep(&mut one.follows, worth);
            if worth(&one) {
                found.push(one);
            } else {
                found.extend(one.follows.into_iter().filter(|follows| follows.stands));
            }
        }
    }

    /// All of them, what speaks for them, and what follows from them, most telling first.
    pub(super) fn flat(mut left: Vec<Self>) -> Vec<Self> {
        let mut flat = Vec::new();
        while let Some(mut found) = left.pop() {
            left.append(&mut found.because);
            left.append(&mut found.follows);
            flat.push(found);
        }
        flat.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.place.cmp(&b.place)));
        flat
    }
}

/// All that was found, most telling first.
pub(super) fn causes(explanation: &Explanation, view: &View, what: &str) -> Vec<Found> {
    let missing = missing(&explanation.findings);
    let telling = Telling { view, what, missing };
    telling.all_found(&explanation.findings)
}

/// Says findings of a run or a trace.
struct Telling<'a, 'b> {
    view: &'a View<'b>,
    /// `run` or `trace`
    what: &'a str,
    /// The calls that are missing, and in which span.
    missing: HashSet<(Option<SpanId>, String)>,
}

fn missing(findings: &[Finding]) -> HashSet<(Option<SpanId>, String)> {
    let mut missing = HashSet::new();
    for finding in findings {
        if matches!(finding.what, What::MissingCall { .. }) {
            missing.insert((finding.span_id, finding.operation.clone()));
        }
        missing.extend(self::missing(&finding.because));
        missing.extend(self::missing(&finding.consequences));
    }
    missing
}

impl Telling<'_, '_> {
    /// All that is news. What follows from something that is none stands for itself.
    fn all_found(&self, findings: &[Finding]) -> Vec<Found> {
        let mut all = Vec::new();
        for finding in findings {
            if self.is_known(finding) {
                let below = [&finding.because, &finding.consequences];
                let below = below.into_iter().flat_map(|findings| self.all_found(findings));
                all.extend(below.filter(|found| found.stands));
            } else {
                all.push(self.found(finding));
            }
        }
        all
    }

    /// Whether a difference only repeats what is told otherwise: that nothing comes where a call is
    /// missing, or how the run ended, which its own span says as well as its record. Nor is it news
    /// which steps a run comes to while it goes on: that depends on the world.
    fn is_known(&self, finding: &Finding) -> bool {
        if let What::Reordered { usual: Some(usual), .. } = &finding.what
            && self.is_end(finding)
        {
            return self.missing.contains(&(finding.span_id, usual.clone()));
        }
        let top = finding.span_id.and_then(|id| self.view.place(id)).filter(|&at| {
            self.view.tree.parent(at).is_none()
                && self.view.span(at).attributes.contains_key(semconv::RUN_ID)
        });
        let Some(run) = top.map(|at| self.view.span(at)) else { return false };
        match &finding.what {
            What::Failed { .. } => true,
            // What it logged last is how it ended, too; while it goes on, that may be news.
            What::ChangedLines { .. } => run.end.is_some(),
            What::ExtraCall { .. } | What::Reordered { .. } => {
                run.end.is_none() && !is_call(&finding.operation)
            }
            What::Changed { attribute, .. } => {
                [semconv::RUN_RESULT, semconv::ERROR_TYPE].contains(&&**attribute)
            }
            _ => false,
        }
    }

    fn found(&self, finding: &Finding) -> Found {
        let finding = self.of_call(finding);
        let finding = &*finding;
        let place = finding.span_id.and_then(|id| self.view.place(id));
        let kind = kind(&finding.what);
        let sentence = self.sentence(finding);
        let mut cause = match place {
            Some(at) => at_place(self.view, at, kind, &sentence),
            None => cause(kind, &finding.operation, &sentence),
        };
        finding.operation.clone_into(&mut cause.operation);
        cause.service.clone_from(&finding.suspect);
        if cause.service.is_empty() {
            cause.service.clone_from(&finding.service);
        }
        // What stands on the span that something is missing in is not of what is missing.
        if matches!(kind, CauseKind::Missing) {
            cause.request_id = None;
            cause.error_type = None;
        }
        let span_id = finding.span_id.map(|id| id.to_string());
        let mut evidence = vec![Evidence { text: self.counted(finding), span_id }];
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
            stands: finding.stands,
            counted: self.counted(finding),
            lost: match &finding.what {
                What::Slow(duration) | What::SlowEdge { duration, .. } => {
                    Some(duration.took.saturating_sub(duration.usual))
                }
                // As long as others have taken as long, it may just not have ended yet.
                What::NeverEnded { open, most: Some(most), .. } if open <= most => Some(0),
                What::NeverEnded { open, usual, .. } => {
                    Some(open.saturating_sub(usual.unwrap_or(0)))
                }
                _ => None,
            },
            because: self.all_found(&finding.because),
            follows: self.all_found(&finding.consequences),
        }
    }

    /// What happened to an attempt, as something that happened to its call.
    fn of_call<'f>(&self, finding: &'f Finding) -> Cow<'f, Finding> {
        let attempt = finding.span_id.and_then(|id| self.view.place(id)).filter(|&at| {
            !matches!(finding.what, What::MissingCall { .. } | What::ExtraCall { .. })
                && self.view.span(at).attributes.contains_key(semconv::ATTEMPT)
                && self.view.span(at).name == finding.operation
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

    /// Whether it happened to an attempt, and the call went well all the same.
    fn is_attempt(&self, finding: &Finding) -> bool {
        let place = finding.span_id.and_then(|id| self.view.place(id));
        place.is_some_and(|at| self.view.span(at).attributes.contains_key(semconv::ATTEMPT))
    }

    fn is_call(&self, finding: &Finding, place: Option<At>) -> bool {
        match finding.what {
            What::MissingCall { .. } => is_call(&finding.operation),
            _ => place.is_some_and(|at| self.view.call(at).is_some()),
        }
    }

    /// Whether another order is that nothing more came: then it is told of the caller.
    fn is_end(&self, finding: &Finding) -> bool {
        let place = finding.span_id.and_then(|id| self.view.place(id));
        let depth = place.map_or(0, |at| self.view.upwards(at).count());
        matches!(finding.what, What::Reordered { .. }) && finding.path.len() == depth
    }

    /// Where it happened, as the subject of a sentence.
    fn within(&self, finding: &Finding) -> String {
        let caller = finding.path.len().checked_sub(2).and_then(|at| finding.path.get(at));
        match caller {
            Some(caller) if caller.operation == CREATE => "the plan".to_owned(),
            Some(caller) => caller.operation.clone(),
            None => format!("the {}", self.what),
        }
    }

    fn sentence(&self, finding: &Finding) -> String {
        let attempt = if self.is_attempt(finding) { "an attempt of " } else { "" };
        let operation = &format!("{attempt}{}", finding.operation);
        let within = self.within(finding);
        let is_call = is_call(operation);
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
                let usual = usual.as_deref().unwrap_or("nothing");
                let after = after.as_ref().map(|place| &*place.operation);
                if self.is_end(finding) {
                    let after = after.unwrap_or("its begin");
                    return format!(
                        "nothing came after {after} in {operation}, where usually {usual} comes"
                    );
                }
                let after = after.map_or_else(|| "at first".to_owned(), |at| format!("after {at}"));
                format!("{within} {did} {operation} {after}, where usually {usual} comes")
            }
            What::Failed { message, error } => {
                let with = error.as_ref().map_or(String::new(), |error| format!(" with {error}"));
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                format!("{operation} failed in {within}{with}{why}")
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
            What::NeverEnded { open, usual, .. } => {
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

/// Whether an operation is a call. Whatever a step makes is one, or another step; steps have no dots.
fn is_call(operation: &str) -> bool {
    operation.contains('.')
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
