//! The story's chapters, and what must be true in each for it to have gone as told.
//!
//! Not here: the server it plays on. The surprise: a chapter that did not go as told does not end
//! the story. It is said at the end, and by the exit code, so that a broken build shows all that
//! is broken.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use fixpoint_client::{CauseKind, Client, Run, RunState, Trace};
use serde_json::json;

use crate::{
    commands::{nanos_between, state, why},
    error::{CliError, Result},
    output::{Output, Paint, duration, wrap},
    progress::{self, Screen},
    waterfall::many,
};

/// The step that the story is about.
const STEP: &str = "register_cluster_node_to_lb";

/// A run and its trace, read when it had ended.
pub(super) struct Told {
    run: Run,
    trace: Trace,
}

/// Tells the story, and remembers what went otherwise.
pub(super) struct Story<'a> {
    client: &'a Client,
    output: Output,
    paint: Paint,
    chapter: u32,
    checks: Vec<(String, bool)>,
}

impl<'a> Story<'a> {
    pub(super) fn new(client: &'a Client, output: Output) -> Self {
        Self { client, output, paint: output.out, chapter: 0, checks: Vec::new() }
    }

    fn say(&self, text: impl AsRef<str>) -> Result {
        Ok(self.output.text(text)?)
    }

    fn chapter(&mut self, title: &str) -> Result {
        self.chapter += 1;
        let number = self.paint.link(self.chapter.to_string());
        self.say(format!("\n{number}  {}", self.paint.bold(title)))?;
        self.say("")
    }

    /// Remembers whether something is as the story has it.
    fn check(&mut self, what: impl Into<String>, holds: bool) {
        self.checks.push((what.into(), holds));
    }

    pub(super) fn opening(&self, log: &Path, times: f64) -> Result {
        let paint = self.paint;
        self.say(
            paint.bold("Fixpoint: what a customer's cluster should be, and how it came to be"),
        )?;
        self.say(format!("\n   page  {}", paint.link(self.client.page("/"))))?;
        self.say(format!("   AWS   a sandbox in this process, {times} times as fast as real"))?;
        self.say(format!("   log   {}", log.display()))
    }

    /// A cluster that comes to its end.
    pub(super) async fn good_cluster(&mut self) -> Result<Told> {
        self.chapter("Create cluster idg: three nodes and Grafana behind a load balancer")?;
        let told = self.create("idg").await?;
        let calls = told.trace.aws_calls().count();
        let roots = told.trace.roots().count();
        let orphans = told.trace.orphans().len();
        self.check("idg converged", told.run.state == RunState::Converged);
        self.check(format!("its trace has 40 AWS calls or more ({calls})"), calls >= 40);
        self.check(
            format!("its trace has one root and no orphan ({roots}, {orphans})"),
            roots == 1 && orphans == 0,
        );
        Ok(told)
    }

    /// The same plan, asked again.
    pub(super) async fn plan_again(&mut self, good: &Told) -> Result {
        self.chapter("Ask the same plan again")?;
        self.say("   GET /v1/clusters/idg/plan")?;
        let preview = self.client.plan("clusters", "idg").await?;
        let left = preview.iteration.steps.len();
        let said = match left {
            0 => self.paint.good("nothing left to do"),
            _ => self.paint.bad(format!("{} left", many(left, "step"))),
        };
        let returned = many(left, "step");
        self.say(format!(
            "\n   {} looked at the world and returned {returned}: {said}",
            preview.plan
        ))?;
        self.check("the same plan has nothing left to do", left == 0);
        self.check("it is the plan that ran", preview.plan == good.run.plan);
        Ok(())
    }

    /// A cluster that does not, because an error was swallowed.
    pub(super) async fn bad_cluster(&mut self) -> Result<Told> {
        self.chapter("Create cluster umbrella, for which AWS hides its target groups")?;
        self.say(
            "   From now on ELBv2.DescribeTargetGroups answers with an empty page where it is",
        )?;
        self.say(
            "   asked by umbrella's load balancer. No error is reported, and none is raised.",
        )?;
        self.say("")?;
        self.client
            .set_control(
                "faults",
                &json!({"rules": [{
                    "operation": "ELBv2.DescribeTargetGroups",
                    "where": {"LoadBalancerArn": "*umbrella*"},
                    "every": true,
                    "fault": {"kind": "empty_page"},
                }]}),
            )
            .await?;
        let told = self.create("umbrella").await?;
        let last = told.run.plan_history.last();
        let steps: Vec<&str> =
            last.iter().flat_map(|last| &last.steps).map(|step| step.name.as_str()).collect();
        for line in told.run.error.iter().flat_map(|error| wrap(&error.message, 74)) {
            self.say(format!("   {}", self.paint.bad(line)))?;
        }
        self.check("umbrella does not converge", told.run.state == RunState::NotConverging);
        self.check(format!("{STEP} is what it kept planning"), steps.contains(&STEP));
        Ok(told)
    }

    /// Why the second one does not converge, as anybody would ask.
    pub(super) async fn what_happened(&mut self, good: &Told, bad: &Told) -> Result {
        self.chapter("What just happened?")?;
        let failed = bad.trace.aws_calls().filter(|call| call.error.is_some()).count();
        let failed = if failed == 0 { "None".to_owned() } else { failed.to_string() };
        let all = bad.trace.aws_calls().count();
        self.say(format!(
            "   {failed} of umbrella's {all} AWS calls failed, and every resource is there. Yet no"
        ))?;
        self.say("   node is behind the load balancer.")?;
        self.say(format!("\n   {}", self.paint.bold("fixpoint why umbrella")))?;
        self.say("")?;
        let asked = Instant::now();
        let why = self.client.run_why(&bad.run.id).await?;
        let took = asked.elapsed();
        for line in why::tell(&why, self.paint, self.output.width().min(90), 0) {
            self.say(format!(" {line}"))?;
        }
        self.say("")?;
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.say(self.paint.dim(format!("   answered in {}", duration(nanos))))?;
        self.say("")?;
        let beside = format!("/traces/{}/diff/{}", good.run.trace_id, bad.run.trace_id);
        let pages = [
            ("umbrella", format!("/runs/{}", bad.run.id)),
            ("idg", format!("/runs/{}", good.run.id)),
            ("both", beside),
        ];
        for (name, page) in pages {
            self.say(format!("   {name:<9} {}", self.paint.link(self.client.page(&page))))?;
        }
        let cause = why.cause.as_ref();
        let is_missing = cause.is_some_and(|cause| {
            cause.kind == CauseKind::Missing && cause.operation == "ELBv2.RegisterTargets"
        });
        let in_step = cause.and_then(|cause| cause.step.as_deref()) == Some(STEP);
        let odd = cause.and_then(|cause| cause.evidence.first());
        let odd = odd.is_some_and(|odd| odd.text.contains("ELBv2.DescribeTargetGroups"));
        self.check(format!("why names {STEP}"), in_step);
        self.check("and the missing ELBv2.RegisterTargets", is_missing);
        self.check("and the odd answer of ELBv2.DescribeTargetGroups before it", odd);
        self.check("in under a second", took < Duration::from_secs(1));
        Ok(())
    }

    /// Whether it all went as told.
    pub(super) fn ending(&self, exit: bool) -> Result {
        let wrong: Vec<&str> =
            self.checks.iter().filter(|(_, holds)| !holds).map(|(what, _)| what.as_str()).collect();
        if exit || !wrong.is_empty() {
            self.say("")?;
            for (what, holds) in &self.checks {
                let mark = if *holds { self.paint.good("✓") } else { self.paint.bad("✗") };
                self.say(format!("   {mark} {what}"))?;
            }
        }
        if !wrong.is_empty() {
            let error = CliError::failed("the story did not go as told");
            return Err(wrong
                .into_iter()
                .fold(error, |error, what| error.detail(format!("not so: {what}"))));
        }
        if !exit {
            let url = self.client.base();
            self.say("\nIt stays up until Ctrl-C. Open the page, or look from another terminal:")?;
            self.say("")?;
            self.say(format!("   export FIXPOINT_URL={url}"))?;
            self.say(
                "   fixpoint why umbrella       fixpoint trace umbrella       fixpoint get clusters idg",
            )?;
        }
        Ok(())
    }

    /// Creates a cluster with live progress, and reads its trace when it has ended.
    async fn create(&self, name: &str) -> Result<Told> {
        let body = json!({"name": name, "nodes": 3, "addons": ["grafana"]});
        self.say(format!("   POST /v1/clusters {body}"))?;
        let accepted = self.client.create("clusters", &body).await?;
        let run_id = accepted
            .run_id
            .ok_or_else(|| CliError::failed(format!("creating {name} started no run")))?;
        self.say(self.paint.dim(format!("   {}", self.client.page(&format!("/runs/{run_id}")))))?;
        self.say("")?;
        let screen = Screen::on_stdout(self.output);
        let runs = progress::follow(self.client, screen, std::slice::from_ref(&run_id)).await?;
        let run = runs
            .into_iter()
            .next()
            .ok_or_else(|| CliError::failed(format!("run {run_id} did not end")))?;
        let trace = self.ended_trace(&run.trace_id).await?;
        self.say(format!(
            "\n   {} in {}: {}, {}, {}",
            state(run.state, self.paint),
            duration(nanos_between(run.created_at, run.ended_at)),
            many(run.iterations as usize, "iteration"),
            many(run.steps as usize, "step"),
            many(trace.aws_calls().count(), "AWS call"),
        ))?;
        Ok(Told { run, trace })
    }

    /// A run's end is known a moment before the last of its spans is stored.
    async fn ended_trace(&self, id: &str) -> Result<Trace> {
        let mut trace = self.client.trace(id).await?;
        for _ in 0..50 {
            if trace.spans.iter().all(|span| span.end.is_some()) {
                break;
            }
            pause(Duration::from_millis(100)).await;
            trace = self.client.trace(id).await?;
        }
        Ok(trace)
    }
}

#[expect(clippy::disallowed_methods, reason = "no run is involved")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}
