//! The span of a run: how it is opened, what it says of the run's end, and that it is stored.
//!
//! Not here: what ends a run (`ending.rs`). The surprise: one run may open its span several times,
//! on several servers. The ids are in its record, so it is the same span each time.

use fixpoint_client::{Run, RunCause, RunState};
use tracing::{Span, field::Empty};

use super::Shared;
use crate::{records::ResourceKey, run::RunRecord};

/// The run's span, with the ids from its record: a run taken up again goes on in the same span.
pub(super) fn run_span(key: &ResourceKey, run: &RunRecord) -> Span {
    let link = run.link.map(|span| format!("{}-{}", span.trace_id, span.span_id));
    tracing::info_span!(
        parent: None,
        "run",
        otel.name = format!("run {}", key.kind),
        fixpoint.trace_id = run.run.trace_id,
        fixpoint.span_id = run.run.span_id,
        fixpoint.parent_id = run.parent.map(|id| id.to_string()),
        fixpoint.link = link,
        fixpoint.tenant = key.tenant(),
        fixpoint.run.id = run.run.id,
        fixpoint.resource = run.run.resource,
        fixpoint.generation = run.run.generation,
        fixpoint.run.cause = run.run.cause.map(RunCause::as_str),
        fixpoint.run.attempts = run.run.attempts,
        fixpoint.server = run.server,
        fixpoint.run.result = Empty,
        error.r#type = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// Marks the run's span as that of a run which went so.
pub(super) fn tell_failure(run: &Run, outcome: RunState, span: &Span) {
    let why = run.error.as_ref().map_or("", |error| error.message.as_str());
    span.record("error.type", outcome.as_str());
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", why);
}

/// Says on the run's span, and in a log line, how the run ended.
pub(super) fn tell_end(run: &RunRecord, span: &Span) {
    let state = run.run.state;
    span.record("fixpoint.run.result", state.as_str());
    let why = run.run.error.as_ref().map_or("", |error| error.message.as_str());
    if matches!(state, RunState::Failed | RunState::NotConverging) {
        tell_failure(&run.run, state, span);
    }
    span.in_scope(|| match state {
        RunState::Converged if run.run.skipped.is_empty() => {
            tracing::info!("run {} converged", run.run.id);
        }
        RunState::Converged => {
            let left =
                run.run.skipped.iter().map(|step| &*step.name).collect::<Vec<_>>().join(", ");
            tracing::warn!("run {} converged without {left}, skipped", run.run.id);
        }
        RunState::Cancelled => tracing::info!("run {} was cancelled: {why}", run.run.id),
        _ => tracing::error!("run {} ended {state}: {why}", run.run.id),
    });
}

/// Ends the run's span. Whoever then sees what became of the run finds the whole trace. If the
/// traces cannot be stored, it has become so all the same.
pub(super) async fn close(shared: &Shared, run: &RunRecord, span: Span) {
    drop(span);
    if shared.recorder.flush().await.is_err() {
        tracing::error!("the trace of run {} may be incomplete", run.run.id);
    }
}
