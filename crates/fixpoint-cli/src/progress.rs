//! Shows runs while they happen: a spinner for each step that runs, a line for each that ended.
//!
//! Not here: what the end of a run means to a command. The surprise: steps are told from the
//! trace, not from the run's record. The record is saved a few times a second; spans know to the
//! microsecond when a step began and ended, and why it failed. Where there is no terminal the same
//! comes as plain lines, so a CI log reads as the screen would have looked.

use std::{cell::RefCell, collections::HashMap, pin::pin, time::Duration};

use fixpoint_client::{Client, Run, Span};
use futures_util::{StreamExt, future::try_join_all, stream};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    error::{CliError, Result},
    output::{Output, Paint, counted, duration, truncate, wrap},
};

/// The name of steps that only run others at once: no work of their own, so they get no line.
const GROUP: &str = "together";

/// How long the last spans of a run may come after its end.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Follows runs until all have ended or rest, and returns them as they then are, in the order given.
pub(crate) async fn follow(
    client: &Client,
    screen: Screen,
    run_ids: &[String],
) -> Result<Vec<Run>> {
    let screen = RefCell::new(screen);
    try_join_all(run_ids.iter().map(|id| follow_one(client, &screen, id))).await
}

enum News {
    Run(Box<Run>),
    Spans(Vec<Span>),
}

async fn follow_one(client: &Client, screen: &RefCell<Screen>, id: &str) -> Result<Run> {
    let mut runs = client.follow(id);
    let first = runs.next().await.transpose()?;
    let mut run = first.ok_or_else(|| CliError::failed(format!("run {id} was not told")))?;
    let spans = client.follow_trace(&run.trace_id);
    let runs = stream::unfold(runs, async |mut runs| {
        let run = runs.next().await?;
        Some((run.map(|run| News::Run(Box::new(run))), runs))
    });
    let spans = stream::unfold(spans, async |mut spans| {
        let changed = spans.next().await;
        Some((changed.map(News::Spans), spans))
    });
    let mut news = pin!(stream::select(runs, spans));
    let mut whole = false;
    while !(whole && run.state.is_at_rest()) {
        let next = if run.state.is_at_rest() {
            match tokio::time::timeout(LAST_SPANS, news.next()).await {
                Ok(next) => next,
                Err(_) => break,
            }
        } else {
            news.next().await
        };
        match next.transpose()? {
            Some(News::Run(newer)) => run = *newer,
            Some(News::Spans(spans)) => {
                for span in &spans {
                    screen.borrow_mut().show(&run, span);
                    whole |= span.span_id == run.span_id && span.end.is_some();
                }
            }
            None => break,
        }
    }
    Ok(run)
}

/// Where progress is shown.
pub(crate) struct Screen {
    bars: MultiProgress,
    steps: HashMap<String, Shown>,
    live: bool,
    paint: Paint,
    /// The resource's name stands before each line.
    named: bool,
    write: Box<dyn Fn(&str)>,
}

/// What has been shown of a span.
#[derive(Default)]
struct Shown {
    bar: Option<ProgressBar>,
    seen: String,
    ended: bool,
}

impl Screen {
    /// On stderr, as fits news that are no data.
    pub(crate) fn on_stderr(output: Output, named: bool) -> Self {
        let write = Box::new(move |line: &str| output.note(line));
        Self::on(ProgressDrawTarget::stderr(), output.err, named, write)
    }

    /// On stdout, for a command whose output is a story.
    pub(crate) fn on_stdout(output: Output) -> Self {
        // A story nobody reads any more goes on silently.
        let write = Box::new(move |line: &str| drop(output.text(line)));
        Self::on(ProgressDrawTarget::stdout(), output.out, false, write)
    }

    fn on(target: ProgressDrawTarget, paint: Paint, named: bool, write: Box<dyn Fn(&str)>) -> Self {
        let live = !target.is_hidden();
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, steps: HashMap::new(), live, paint, named, write }
    }

    /// Shows what is new of a span; the same may be told again.
    fn show(&mut self, run: &Run, span: &Span) {
        if span.name == GROUP || !(span.is_step() || span.name == "create") {
            return;
        }
        let name = run.resource.rsplit('/').next().unwrap_or_default();
        let prefix = if self.named { format!("{name}  ") } else { String::new() };
        let mut shown = self.steps.remove(&span.span_id).unwrap_or_default();
        if !shown.ended && span.is_step() {
            self.step(&prefix, span, &mut shown);
        } else if !shown.ended && span.end.is_some() {
            self.planned(&prefix, span);
        }
        shown.ended |= span.end.is_some();
        self.steps.insert(span.span_id.clone(), shown);
    }

    /// What the plan answered. On a terminal the spinners say it.
    fn planned(&self, prefix: &str, create: &Span) {
        if self.live || create.error.is_some() {
            return;
        }
        let iteration = create.attributes.get("fixpoint.iteration").and_then(|n| n.as_u64());
        let steps = create.text("fixpoint.steps").filter(|steps| !steps.is_empty());
        let (iteration, steps) = (iteration.unwrap_or_default(), steps.unwrap_or("nothing left"));
        let text = format!("{prefix}iteration {iteration}: {}", counted(steps.split(", ")));
        let mut indent = "   ";
        for line in wrap(&text, 74) {
            self.line(format!("{indent}{line}"));
            indent = "     ";
        }
    }

    fn step(&self, prefix: &str, span: &Span, shown: &mut Shown) {
        if let Some(end) = span.end {
            if let Some(bar) = shown.bar.take() {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
            let failed = span.error.is_some();
            let mark = if failed { self.paint.bad("✗") } else { self.paint.good("✓") };
            let took = duration(end.saturating_sub(span.start));
            let name = truncate(&span.name, 40);
            self.line(format!("   {mark} {prefix}{name:<40} {took:>8}"));
            return;
        }
        if shown.bar.is_none() && self.live {
            shown.bar = Some(self.spinner(format!("{prefix}{}", span.name)));
        }
        let seen = span.text("fixpoint.wait.seen").unwrap_or_default();
        if shown.seen != seen {
            seen.clone_into(&mut shown.seen);
            let reason = span.text("fixpoint.wait.reason").unwrap_or_default();
            let said = format!("{reason}: {seen}");
            match &shown.bar {
                Some(bar) => {
                    bar.set_message(format!("{prefix}{:<34} {}", span.name, self.paint.dim(said)));
                }
                None => self.line(format!("     {prefix}{}: {said}", span.name)),
            }
        }
    }

    fn spinner(&self, text: String) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new_spinner());
        // A template that did not parse would only cost the looks.
        if let Ok(style) = ProgressStyle::with_template("   {spinner:.yellow} {wide_msg}") {
            bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        }
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(100));
        bar
    }

    /// A line above the spinners.
    fn line(&self, text: impl AsRef<str>) {
        if self.live {
            self.bars.suspend(|| (self.write)(text.as_ref()));
        } else {
            (self.write)(text.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use serde_json::json;

    use super::*;

    fn span(id: &str, name: &str, end: Option<u64>, attributes: serde_json::Value) -> Span {
        Span {
            span_id: id.into(),
            name: name.into(),
            start: 1_000_000_000,
            end: end.map(|millis| 1_000_000_000 + millis * 1_000_000),
            attributes: attributes.as_object().cloned().unwrap_or_default(),
            ..Span::default()
        }
    }

    fn run() -> Run {
        serde_json::from_value(json!({
            "id": "r1", "resource": "clusters/idg", "generation": 1, "plan": "create_cluster",
            "state": "running", "trace_id": "t", "span_id": "s", "iterations": 1, "steps": 0,
            "attempts": 1, "created_at": "2026-01-01T00:00:00Z"}))
        .unwrap()
    }

    /// What is said of the spans, one after the other, where there is no terminal.
    fn said(named: bool, spans: &[Span]) -> Vec<String> {
        let lines = Rc::new(RefCell::new(Vec::new()));
        let to = Rc::clone(&lines);
        let write = Box::new(move |line: &str| to.borrow_mut().push(line.to_owned()));
        let mut screen = Screen::on(ProgressDrawTarget::hidden(), Paint(false), named, write);
        for span in spans {
            screen.show(&run(), span);
        }
        lines.take()
    }

    #[test]
    fn steps_are_told_when_they_see_something_new_and_when_they_end() {
        let wait = |seen: &str, end| {
            let key = json!({"fixpoint.step.key": "wait", "fixpoint.wait.reason": "nodes",
                             "fixpoint.wait.seen": seen});
            span("2", "wait_for_instances", end, key)
        };
        let plan = json!({"fixpoint.iteration": 1, "fixpoint.steps": "create_rule, wait, wait"});
        let spans = [
            span("1", "create", None, json!({})),
            span("1", "create", Some(20), plan),
            wait("0 of 3", None),
            wait("0 of 3", None),
            wait("1 of 3", None),
            wait("3 of 3", Some(4_200)),
            // After a lost connection all is told again.
            wait("3 of 3", Some(4_200)),
            span("3", "EC2.RunInstances", Some(10), json!({"rpc.system": "aws-api"})),
        ];
        assert_eq!(
            said(false, &spans),
            [
                "   iteration 1: create_rule, wait ×2",
                "     wait_for_instances: nodes: 0 of 3",
                "     wait_for_instances: nodes: 1 of 3",
                "   ✓ wait_for_instances                          4.2 s",
            ]
        );
    }

    #[test]
    fn a_step_that_failed_is_marked_and_groups_get_no_line() {
        let mut failed =
            span("1", "create_vpc", Some(7), json!({"fixpoint.step.key": "CreateVpc"}));
        failed.error = Some("VpcLimitExceeded".into());
        let group = span("2", GROUP, Some(7), json!({"fixpoint.step.key": "Together"}));
        let line = format!("   ✗ idg  {:<40} {:>8}", "create_vpc", "7 ms");
        assert_eq!(said(true, &[failed, group]), [line]);
    }
}
