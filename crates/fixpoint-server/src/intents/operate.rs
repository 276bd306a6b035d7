//! What operators do to a run: cancel, pause, resume, retry, replan, skip a step. Each is audited.
//!
//! Not here: what follows from it (`acts.rs`, `runner/`). The surprise: an act is written on the
//! condition that the run is still unfinished, and touches that mark. So no act is left over on a run
//! that ended meanwhile, acts of one run have an order, and every server hears of them.

use fixpoint_client::{Act, Actor, FieldError, Run, RunState, Verb};
use fixpoint_trace::{layer, model::SpanContext, redact};
use jiff::Timestamp;

use super::{Draft, Intents, Refusal};
use crate::{
    access::Scope,
    acts::Acts,
    kinds::Kinds,
    records::{ResourceKey, Stored, key},
    run::{Cause, RunRecord},
    store::{Precondition, Write},
};

/// Who asks for something, and why.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    by: Actor,
    verb: Verb,
    step: Option<String>,
    reason: String,
    /// The request's span, if requests are traced.
    request: Option<SpanContext>,
}

impl Asked {
    /// Asked by the request at hand.
    pub(crate) fn now(by: Actor, verb: Verb, step: Option<String>, reason: &str) -> Self {
        let reason = redact::text(reason.trim()).into_owned();
        Self { by, verb, step, reason, request: layer::current() }
    }

    fn act(&self) -> Act {
        Act {
            verb: self.verb,
            at: Timestamp::now(),
            step: self.step.clone(),
            by: self.by.clone(),
            reason: self.reason.clone(),
            trace_id: self.request.map(|span| span.trace_id.to_string()),
        }
    }
}

impl Intents {
    /// Does to a run what an operator asks for. Answers with the run that goes on because of it: the
    /// same, or a new one.
    pub(crate) async fn operate(
        &self,
        scope: &Scope,
        kinds: &Kinds,
        id: &str,
        asked: &Asked,
    ) -> Result<Run, Refusal> {
        let act = asked.act();
        if let Some(step) = &act.step {
            self.knows(scope, id, step).await?;
        }
        loop {
            let not_found = || Refusal::NotFound(format!("run {id}"));
            let stored = self.records.run_within(scope, id).await?.ok_or_else(not_found)?.record;
            let key = ResourceKey::parse(&stored.run.resource).ok_or_else(not_found)?;
            let done = match self.records.unfinished_since(&key, id).await? {
                Some(version) => {
                    // Read after the mark, whose version then covers what is decided by them.
                    let acts = self.records.acts(id).await?;
                    allowed(&stored.run, &acts, act.verb)?;
                    let touch =
                        Write::put(key::unfinished(&key, id), "", Precondition::Version(version));
                    self.records.commit(vec![acts.add(id, &act)?, touch]).await.map(|_| stored.run)
                }
                None => match self.again(scope, kinds, &key, &stored, &act, asked).await {
                    Ok(run) => Ok(run),
                    Err(Refusal::Store(error)) => Err(error),
                    Err(refusal) => return Err(refusal),
                },
            };
            match done {
                Ok(run) => {
                    told(&run, &act, asked.request);
                    self.wakes.wake(key);
                    return Ok(run);
                }
                // The run has ended, or somebody else acts on it: look again.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A new run after one that has ended, if the verb is one for that.
    async fn again(
        &self,
        scope: &Scope,
        kinds: &Kinds,
        key: &ResourceKey,
        last: &RunRecord,
        act: &Act,
        asked: &Asked,
    ) -> Result<Run, Refusal> {
        let (id, converged) = (&last.run.id, last.run.state == RunState::Converged);
        match act.verb {
            Verb::Retry | Verb::Skip if converged => {
                return Err(not_now(
                    format!("Run {id} has converged; there is nothing to {}.", act.verb),
                    "To have its plan look again, replan it.",
                ));
            }
            Verb::Replan if !converged => {
                return Err(not_now(
                    format!("Run {id} has ended {}.", last.run.state),
                    "To try again at once, retry it.",
                ));
            }
            Verb::Retry | Verb::Replan | Verb::Skip => {}
            Verb::Cancel | Verb::Pause | Verb::Resume => return Err(Refusal::Ended(id.clone())),
        }
        let kind = kinds.get(key.kind.as_str());
        let kind = kind.ok_or_else(|| Refusal::NotFound(key.to_string()))?;
        let Stored { record, version } = self.existing(scope, &**kind, &key.name, None).await?;
        if record.run_id != *id {
            return Err(not_now(
                format!("Run {id} is not the newest of {key}: {} is.", record.run_id),
                "Act on that one.",
            ));
        }
        // What was being taken down is still to go; a new look is for what is wanted.
        let rolls_back = last.run.rolls_back && act.verb != Verb::Replan;
        let draft =
            Draft { record, replaces: Some(version), changes: false, beside: false, rolls_back };
        let cause = Cause::Again(asked.request, last.span());
        // What was left out is left out again, unless the plan is to look afresh.
        let before = match act.verb {
            Verb::Replan => Acts::default(),
            _ => self.records.acts(id).await?.skips(),
        };
        let acts = before.with(act.clone());
        let noted = |_: &_, run: &str| acts.create(run);
        let run_id = self.start(&**kind, draft, cause, noted).await?.run_id.unwrap_or_default();
        let run = self.records.run(&run_id).await?;
        Ok(run.ok_or_else(|| Refusal::NotFound(format!("run {run_id}")))?.record.run)
    }
}

impl Intents {
    /// Refuses what is no step of the run, as far as it has come.
    async fn knows(&self, scope: &Scope, id: &str, step: &str) -> Result<(), Refusal> {
        let run = match self.records.run_within(scope, id).await? {
            Some(_) => self.records.run_with_history(id).await?,
            None => None,
        };
        let run = run.ok_or_else(|| Refusal::NotFound(format!("run {id}")))?;
        let mut known = steps(&run);
        if known.iter().any(|(name, key)| *name == step || *key == step) {
            return Ok(());
        }
        known.sort_unstable();
        known.dedup_by_key(|(name, _)| *name);
        let names: Vec<_> = known.into_iter().map(|(name, _)| name).collect();
        let detail = format!("the run has no step {step}; it has {}", names.join(", "));
        Err(Refusal::Invalid(vec![FieldError { pointer: "/step".to_owned(), detail }]))
    }
}

/// The steps of a run that are known, by name and key: planned, at work, or failed.
fn steps(run: &Run) -> Vec<(&str, &str)> {
    let planned = run.plan_history.iter().flat_map(|iteration| &iteration.steps);
    let failed = run.error.iter().filter_map(|error| error.step.as_ref());
    let planned = planned.chain(failed).map(|step| (&*step.name, &*step.key));
    planned.chain(run.active.iter().map(|step| (&*step.name, &*step.key))).collect()
}

/// Whether the verb is one for an unfinished run as it stands.
fn allowed(run: &Run, acts: &Acts, verb: Verb) -> Result<(), Refusal> {
    let id = &run.id;
    if acts.cancel() && verb != Verb::Cancel {
        return Err(not_now(
            format!("Run {id} is being cancelled."),
            "Once it has ended, retry it.",
        ));
    }
    match (verb, acts.pause().is_some()) {
        (Verb::Cancel | Verb::Skip, _)
        | (Verb::Pause | Verb::Replan, false)
        | (Verb::Resume, true) => Ok(()),
        (Verb::Pause | Verb::Replan | Verb::Retry, true) => Err(paused(id)),
        (Verb::Resume, false) => {
            Err(not_now(format!("Run {id} is not paused."), "It goes on by itself."))
        }
        (Verb::Retry, false) => Err(not_now(
            format!("Run {id} goes on; it has not failed."),
            "To have it look at the world again at once, replan it.",
        )),
    }
}

/// The run is paused, and what was asked for is nothing for a paused run.
pub(super) fn paused(id: &str) -> Refusal {
    not_now(
        format!("Run {id} is paused."),
        "Resume it: it looks at the world again then. Or cancel it.",
    )
}

fn not_now(what: String, hint: &str) -> Refusal {
    Refusal::NotNow { what, hint: hint.to_owned() }
}

/// Tells of an act in the trace of its run, by a short span below the run's.
fn told(run: &Run, act: &Act, request: Option<SpanContext>) {
    let Act { verb, by, .. } = act;
    let link = request.map(|span| format!("{}-{}", span.trace_id, span.span_id));
    let span = tracing::info_span!(
        parent: None,
        "act",
        otel.name = verb.as_str(),
        fixpoint.trace_id = run.trace_id,
        fixpoint.parent_id = run.span_id,
        fixpoint.link = link,
        fixpoint.tenant = ResourceKey::parse(&run.resource).as_ref().and_then(ResourceKey::tenant),
        fixpoint.run.id = run.id,
        fixpoint.act.verb = verb.as_str(),
        fixpoint.act.by = %by,
        fixpoint.act.reason = act.reason,
        fixpoint.act.step = act.step,
        fixpoint.token.id = by.token_id,
    );
    span.in_scope(|| tracing::info!("{act}"));
}
