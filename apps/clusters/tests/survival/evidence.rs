//! What there must be once a flow has ended: in the cloud, in the run store, and in the trace.

use std::collections::{BTreeMap, HashSet};

use fixpoint_client::Run;
use fixpoint_trace::{
    model::{Span, Trace, Value},
    semconv,
    store::TraceStore,
};
use futures_util::FutureExt;

use crate::{
    flow::{Flow, NAME},
    life::World,
    moments::Arrived,
    whole::whole,
};

/// Checks all of it. `before` requests had arrived when the flow began. How many spans were closed
/// since their server had died.
pub(crate) fn check(world: &World, flow: &Flow, run: &Run, before: usize) -> Result<usize, String> {
    check_made(world, flow)?;
    let id = run.trace_id.parse().map_err(|_| "the run has no trace")?;
    // The store is in memory: nothing of it waits.
    let trace = world.traces.trace(id).now_or_never().and_then(Result::ok).flatten();
    let trace = trace.ok_or("its trace is not stored")?;
    is_whole(&trace, run)?;
    shows_all(&trace, &world.arrived()[before..])?;
    Ok(trace.spans.iter().filter(|span| is_lost(span)).count())
}

/// Checks that there is what is wanted, no more and no less.
pub(crate) fn check_made(world: &World, flow: &Flow) -> Result<(), String> {
    let there = made(world);
    let wanted = flow.wanted.map(|wanted| whole(wanted.nodes, wanted.addons.len()));
    let wanted = wanted.unwrap_or_default();
    if there != wanted {
        return Err(format!("in the cloud there is {there:?}, wanted {wanted:?}"));
    }
    Ok(())
}

/// How many live things of each kind the cluster has.
fn made(world: &World) -> BTreeMap<String, usize> {
    let inventory = world.sandbox.inventory();
    let kinds = inventory["clusters"][NAME].as_object().cloned().unwrap_or_default();
    let count = |ids: serde_json::Value| ids.as_array().map_or(0, Vec::len);
    kinds.into_iter().map(|(kind, ids)| (kind, count(ids))).collect()
}

/// One root, no orphan, nothing open, and one span of the run, which has not failed.
fn is_whole(trace: &Trace, run: &Run) -> Result<(), String> {
    let ids: HashSet<_> = trace.spans.iter().map(|span| span.span_id).collect();
    let names = |wrong: &dyn Fn(&Span) -> bool| {
        let names = trace.spans.iter().filter(|span| wrong(span)).map(|span| span.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let roots = names(&|span| span.parent.is_none());
    if roots.is_empty() || roots.contains(',') {
        return Err(format!("roots of the trace: {roots}"));
    }
    let orphans = names(&|span| span.parent.is_some_and(|parent| !ids.contains(&parent)));
    if !orphans.is_empty() {
        return Err(format!("spans without their parent: {orphans}"));
    }
    let open = names(&|span| span.end.is_none());
    if !open.is_empty() {
        return Err(format!("still open: {open}"));
    }
    let own: Vec<_> =
        trace.spans.iter().filter(|span| span.span_id.to_string() == run.span_id).collect();
    match own[..] {
        [own] if !own.failed() && !is_lost(own) => Ok(()),
        [own] => Err(format!("the run's span failed: {:?}", own.status)),
        _ => Err(format!("the run has {} spans", own.len())),
    }
}

/// Each call that reached the cloud, whether it was answered or not.
fn shows_all(trace: &Trace, arrived: &[Arrived]) -> Result<(), String> {
    let mut unseen: BTreeMap<&str, i64> = BTreeMap::new();
    let calls: HashSet<_> =
        arrived.iter().map(|arrived| (&*arrived.action, &*arrived.invocation)).collect();
    for (action, _) in calls {
        *unseen.entry(action).or_insert(0) += 1;
    }
    for span in &trace.spans {
        let method = span.attributes.get(semconv::RPC_METHOD).and_then(Value::as_str);
        if let Some(count) = method.and_then(|method| unseen.get_mut(method)) {
            *count -= 1;
        }
    }
    unseen.retain(|_, count| *count > 0);
    if unseen.is_empty() { Ok(()) } else { Err(format!("calls without a span: {unseen:?}")) }
}

fn is_lost(span: &Span) -> bool {
    let error = span.attributes.get(semconv::ERROR_TYPE).and_then(Value::as_str);
    error == Some(semconv::WORKER_LOST)
}
