//! A trace as a waterfall for the terminal: the tree on the left, a bar for each span on the right.
//!
//! Not for the page, which has its own, live one. The surprise: most spans are folded. A creation
//! has over a hundred, and whoever reads it in a terminal wants the steps and their calls; what is
//! folded says how much it holds, and how much of that failed and why.

use std::{borrow::Cow, collections::HashMap};

use fixpoint_client::{Span, Trace};

use crate::output::{Paint, counted, duration, truncate};

/// How to draw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// Columns to fill.
    pub(crate) width: usize,
    /// Fold nothing.
    pub(crate) all: bool,
    /// Levels beneath the root to show; none for all of them.
    pub(crate) depth: Option<usize>,
    /// Colours.
    pub(crate) paint: Paint,
}

/// Draws the trace. `now` ends the bars of open spans.
pub(crate) fn draw(trace: &Trace, style: Style, now: u64) -> String {
    let Some(start) = trace.spans.iter().map(|span| span.start).min() else {
        return "no spans".into();
    };
    let end = trace.spans.iter().map(|span| span.end.unwrap_or(now)).max().unwrap_or(now);
    let tree = Tree { children: trace.children(), style, now };
    let mut rows = Vec::new();
    tree.siblings(tree.children.get(&None).map_or(&[][..], Vec::as_slice), "", 0, &mut rows);
    let columns = Columns::fit(&rows, style.width, start, end.max(start + 1));
    let mut lines = header(trace, start, end, style.paint);
    lines.push(columns.ruler(style.paint));
    lines.extend(rows.iter().flat_map(|row| columns.lines(row, style.paint)));
    lines.join("\n")
}

fn header(trace: &Trace, start: u64, end: u64, paint: Paint) -> Vec<String> {
    let first = trace.roots().next().or_else(|| trace.spans.first());
    let at = i64::try_from(start / 1_000_000)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let at = at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let failed = trace.spans.iter().filter(|span| span.error.is_some()).count();
    let open = trace.spans.iter().filter(|span| span.end.is_none()).count();
    let calls = trace.aws_calls().count();
    let mut facts = vec![at, duration(end - start), many(trace.spans.len(), "span")];
    facts.extend((calls > 0).then(|| many(calls, "AWS call")));
    facts.extend((open > 0).then(|| paint.busy(format!("{open} open"))));
    facts.extend((failed > 0).then(|| paint.bad(format!("{failed} failed"))));
    let id = first.map_or("", |span| span.trace_id.as_str());
    let name = first.map_or("", |span| span.name.as_str());
    vec![format!("{}  trace {id}", paint.bold(name)), facts.join(" · "), String::new()]
}

/// `1 span`, `12 spans`.
pub(crate) fn many(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// One line of the waterfall.
struct Row<'a> {
    /// The lines of the tree, left of the name.
    guide: String,
    name: String,
    detail: String,
    span: &'a Span,
    end: u64,
    open: bool,
    error: Option<Cow<'a, str>>,
}

/// Calls repeated this often are one row even if some of them failed, as in the page.
const REPEATS: usize = 4;

struct Tree<'a> {
    children: HashMap<Option<&'a str>, Vec<&'a Span>>,
    style: Style,
    now: u64,
}

impl<'a> Tree<'a> {
    fn children(&self, span: &'a Span) -> &[&'a Span] {
        self.children.get(&Some(span.span_id.as_str())).map_or(&[], Vec::as_slice)
    }

    fn siblings(&self, spans: &[&'a Span], guide: &str, depth: usize, rows: &mut Vec<Row<'a>>) {
        let mut at = 0;
        while at < spans.len() {
            let alike = self.alike(&spans[at..]);
            let group = &spans[at..at + alike];
            at += alike;
            let (branch, below) = match (depth, at == spans.len()) {
                (0, _) => ("", ""),
                (_, false) => ("├ ", "│ "),
                (_, true) => ("└ ", "  "),
            };
            self.group(group, format!("{guide}{branch}"), &format!("{guide}{below}"), depth, rows);
        }
    }

    /// How many of the first spans fold into one row: the same call again and again. Few of them
    /// fold only if there is nothing to say of any.
    fn alike(&self, spans: &[&'a Span]) -> usize {
        let count = |fits: &dyn Fn(&'a Span) -> bool| {
            let same = |span: &Span| span.name == spans[0].name && span.is_client();
            spans.iter().take_while(|span| same(span) && fits(span)).count()
        };
        let ended = |span: &'a Span| {
            span.end.is_some() && self.children(span).iter().all(|child| child.name == "attempt")
        };
        let plain = |span: &'a Span| self.shown(span).is_empty() && !self.failed(span);
        match count(&ended) {
            _ if self.style.all => 1,
            many if many >= REPEATS => many,
            _ => count(&plain).max(1),
        }
    }

    fn group(
        &self,
        group: &[&'a Span],
        guide: String,
        below: &str,
        depth: usize,
        rows: &mut Vec<Row<'a>>,
    ) {
        let span = group[0];
        let times = group.len();
        let shown = if times > 1 { Vec::new() } else { self.shown(span) };
        let cut = self.style.depth.is_some_and(|most| depth >= most);
        let mut detail = detail(span);
        if cut && detail.is_empty() {
            let steps = self.children(span).iter().filter(|child| child.is_step());
            detail = counted(steps.map(|step| step.name.as_str()));
        }
        if times == 1 && (shown.is_empty() || cut) {
            let beneath = self.calls_beneath(span);
            if beneath > 0 && !span.is_client() {
                let calls = many(beneath, "call");
                detail = if detail.is_empty() { calls } else { format!("{detail} · {calls}") };
            }
        }
        rows.push(Row {
            guide,
            name: if times > 1 { format!("{times} × {}", span.name) } else { span.name.clone() },
            detail,
            span,
            end: group.iter().map(|span| span.end.unwrap_or(self.now)).max().unwrap_or(self.now),
            open: group.iter().any(|span| span.end.is_none()),
            error: errors(group),
        });
        if !cut {
            self.siblings(&shown, below, depth + 1, rows);
        }
    }

    /// The children that get rows of their own.
    fn shown(&self, span: &'a Span) -> Vec<&'a Span> {
        let children = self.children(span);
        let quiet = || !children.iter().any(|child| self.failed(child));
        // One attempt says nothing that its call does not; a look at the world is one row.
        let folded =
            (children.len() == 1 && children[0].name == "attempt") || span.name == "create";
        if !self.style.all && folded && quiet() { Vec::new() } else { children.to_vec() }
    }

    fn failed(&self, span: &'a Span) -> bool {
        span.error.is_some() || self.children(span).iter().any(|child| self.failed(child))
    }

    fn calls_beneath(&self, span: &'a Span) -> usize {
        let children = self.children(span).iter();
        children.map(|child| usize::from(child.is_aws_call()) + self.calls_beneath(child)).sum()
    }
}

/// Why the span failed; of several, how many did and why the first.
fn errors<'a>(group: &[&'a Span]) -> Option<Cow<'a, str>> {
    let mut failed = group.iter().filter_map(|span| span.error.as_deref());
    let first = failed.next()?;
    Some(match (group.len(), failed.count() + 1) {
        (1, _) => first.into(),
        (all, failed) if first.is_empty() => format!("{failed} of {all} failed").into(),
        (all, failed) => format!("{failed} of {all} failed: {first}").into(),
    })
}

/// What a span's name leaves out and a reader wants first.
fn detail(span: &Span) -> String {
    if let Some(reason) = span.text("fixpoint.wait.reason") {
        return reason.to_owned();
    }
    if span.name == "create" {
        return match span.text("fixpoint.steps").filter(|steps| !steps.is_empty()) {
            Some(steps) => format!("→ {}", counted(steps.split(", "))),
            None if span.error.is_some() || span.end.is_none() => String::new(),
            None => "→ nothing left".into(),
        };
    }
    if let Some(resource) = span.text("fixpoint.resource") {
        return resource.to_owned();
    }
    if let Some(attempt) = span.attributes.get("fixpoint.attempt") {
        return format!("{attempt}");
    }
    String::new()
}

/// Where things stand on a line, and the time that the bars span.
struct Columns {
    name: usize,
    bar: usize,
    start: u64,
    length: u64,
}

/// Room for a duration and the blanks around it.
const DURATION: usize = 9;

impl Columns {
    fn fit(rows: &[Row<'_>], width: usize, start: u64, end: u64) -> Self {
        let label = |row: &Row<'_>| {
            let detail = if row.detail.is_empty() { 0 } else { row.detail.chars().count() + 1 };
            row.guide.chars().count() + row.name.chars().count() + detail
        };
        let longest = rows.iter().map(label).max().unwrap_or(0);
        let name = longest.min(width * 55 / 100);
        Self { name, bar: width.saturating_sub(name + DURATION + 1), start, length: end - start }
    }

    fn ruler(&self, paint: Paint) -> String {
        let total = duration(self.length);
        let gap = self.bar.saturating_sub(1 + total.chars().count());
        paint.dim(format!("{:name$} 0{:gap$}{total}", "", "", name = self.name))
    }

    fn lines(&self, row: &Row<'_>, paint: Paint) -> Vec<String> {
        let room = self.name.saturating_sub(row.guide.chars().count());
        let name = truncate(&row.name, room);
        let left = room.saturating_sub(name.chars().count() + 1);
        let detail = if left > 1 { truncate(&row.detail, left) } else { String::new() };
        let used =
            name.chars().count() + if detail.is_empty() { 0 } else { 1 + detail.chars().count() };
        let took = duration(row.end.saturating_sub(row.span.start));
        let took = format!("{took:>width$}", width = DURATION - 2);
        let bar = self.bar(row.span.start, row.end);
        let gap = if detail.is_empty() { "" } else { " " };
        let mark = match (&row.error, row.open) {
            (Some(_), _) => paint.bad(" ✗"),
            (None, true) => paint.busy(" …"),
            (None, false) => String::new(),
        };
        let mut lines = vec![format!(
            "{}{}{gap}{}{:pad$} {}{took}{mark}",
            paint.dim(&row.guide),
            name_paint(row, paint, &name),
            paint.dim(&detail),
            "",
            bar_paint(row, paint, &bar),
            pad = room.saturating_sub(used),
        )];
        // Below the name, so that a long message has the whole line.
        if let Some(error) = row.error.as_deref().filter(|error| !error.is_empty()) {
            let guide: String = row.guide.replace('├', "│").replace('└', " ");
            let room = (self.name + self.bar + DURATION).saturating_sub(guide.chars().count() + 2);
            lines.push(format!("{}  {}", paint.dim(&guide), paint.bad(truncate(error, room))));
        }
        lines
    }

    /// Half a cell is the finest the line-drawing characters have; no span is finer than that.
    fn bar(&self, start: u64, end: u64) -> String {
        let halves = 2 * self.bar as u64;
        let at = |time: u64| u128::from(time.saturating_sub(self.start)) * u128::from(halves);
        let length = u128::from(self.length);
        let from = (at(start) / length).min(u128::from(halves.saturating_sub(1)));
        let to = at(end).div_ceil(length).max(from + 1);
        let filled = |half: u128| (from..to).contains(&half);
        (0..self.bar as u128)
            .map(|cell| match (filled(2 * cell), filled(2 * cell + 1)) {
                (true, true) => '━',
                (true, false) => '╸',
                (false, true) => '╺',
                (false, false) => ' ',
            })
            .collect()
    }
}

fn name_paint(row: &Row<'_>, paint: Paint, name: &str) -> String {
    match row.span {
        _ if row.error.is_some() => paint.bad(name),
        span if span.is_step() || span.parent_id.is_none() => paint.bold(name),
        _ => name.to_owned(),
    }
}

fn bar_paint(row: &Row<'_>, paint: Paint, bar: &str) -> String {
    match row.span {
        _ if row.error.is_some() => paint.bad(bar),
        _ if row.open => paint.busy(bar),
        span if span.text("fixpoint.wait.reason").is_some() => paint.busy(bar),
        span if span.is_client() => paint.link(bar),
        span if span.is_step() => paint.good(bar),
        _ => paint.dim(bar),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    const MS: u64 = 1_000_000;

    fn span(id: &str, parent: &str, name: &str, from: u64, to: u64, attributes: Value) -> Span {
        Span {
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            span_id: id.into(),
            parent_id: Some(parent.to_owned()).filter(|id| !id.is_empty()),
            name: name.into(),
            kind: if name.contains('.') { 3 } else { 1 },
            start: 1_767_225_600_000 * MS + from * MS,
            end: Some(1_767_225_600_000 * MS + to * MS),
            error: None,
            attributes: match attributes {
                Value::Object(map) => map,
                _ => Map::new(),
            },
        }
    }

    fn sample() -> Trace {
        let aws = || json!({"rpc.system": "aws-api", "rpc.method": "x"});
        let mut spans = vec![
            span("1", "", "POST /v1/clusters", 0, 4000, json!({})),
            span("2", "1", "run clusters", 0, 4000, json!({"fixpoint.resource": "clusters/idg"})),
            span("3", "2", "create", 0, 1000, json!({"fixpoint.steps": "create_vpc, wait"})),
            span("4", "3", "EC2.DescribeVpcs", 0, 1000, aws()),
            span("5", "2", "create_vpc", 1000, 2000, json!({"fixpoint.step.key": "CreateVpc"})),
            span("6", "5", "EC2.CreateVpc", 1000, 2000, aws()),
            span("7", "6", "attempt", 1000, 2000, json!({"fixpoint.attempt": 1})),
            span("8", "2", "wait", 2000, 3900, json!({"fixpoint.wait.reason": "the VPC"})),
            span("9", "8", "EC2.DescribeVpcs", 2000, 2100, aws()),
            span("10", "8", "EC2.DescribeVpcs", 3000, 3100, aws()),
        ];
        let mut failed = span("11", "2", "register", 3900, 4000, json!({}));
        failed.error = Some("AccessDenied".into());
        spans.push(failed);
        Trace { spans }
    }

    fn drawn(trace: &Trace, all: bool, depth: Option<usize>) -> Vec<String> {
        let style = Style { width: 64, all, depth, paint: Paint(false) };
        let text = draw(trace, style, 0);
        assert!(text.lines().skip(2).all(|line| line.chars().count() <= 64), "{text}");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn steps_and_calls_are_shown_and_repeats_and_looks_are_folded() {
        insta::assert_snapshot!(drawn(&sample(), false, None).join("\n"), @r"
        POST /v1/clusters  trace 4bf92f3577b34da6a3ce929d0e0e4736
        2026-01-01 00:00:00 UTC · 4.0 s · 11 spans · 4 AWS calls · 1 failed

                                            0             4.0 s
        POST /v1/clusters                   ━━━━━━━━━━━━━━━━━━━  4.0 s
        └ run clusters clusters/idg         ━━━━━━━━━━━━━━━━━━━  4.0 s
          ├ create → create_vpc, wait · 1 … ━━━━━                1.0 s
          ├ create_vpc                          ╺━━━━╸           1.0 s
          │ └ EC2.CreateVpc                     ╺━━━━╸           1.0 s
          ├ wait the VPC                             ╺━━━━━━━━━  1.9 s
          │ └ 2 × EC2.DescribeVpcs                   ╺━━━━━      1.1 s
          └ register                                          ╺ 100 ms ✗
              AccessDenied
        ");
    }

    #[test]
    fn with_all_nothing_is_folded_and_a_depth_cuts() {
        let all = drawn(&sample(), true, None);
        assert!(all.iter().any(|line| line.contains("attempt 1")));
        assert_eq!(all.iter().filter(|line| line.contains("EC2.DescribeVpcs")).count(), 3);
        let cut = drawn(&sample(), false, Some(1));
        assert!(cut.iter().any(|line| line.contains("clusters/idg · 4 ca…")), "{cut:#?}");
        assert!(!cut.iter().any(|line| line.contains("create_vpc")));
    }

    #[test]
    fn repeats_are_one_row_that_tells_how_many_failed_and_why() {
        let mut trace = sample();
        for poll in 0..410 {
            let id = format!("p{poll}");
            let mut span = span(&id, "8", "EC2.DescribeVpcs", 3200, 3201, json!({}));
            span.error = (poll == 200).then(|| "Throttling".into());
            trace.spans.push(span);
        }
        let lines = drawn(&trace, false, None);
        let group = lines.iter().position(|line| line.contains("412 × EC2.DescribeVpcs")).unwrap();
        assert!(lines[group].ends_with('✗'), "{lines:#?}");
        assert!(lines[group + 1].contains("1 of 412 failed: Throttling"), "{lines:#?}");
        assert_eq!(
            drawn(&trace, true, None).iter().filter(|l| l.contains("DescribeVpcs")).count(),
            413
        );
    }

    #[test]
    fn a_failed_attempt_is_never_folded_away() {
        let mut trace = sample();
        trace.spans[6].error = Some("RequestLimitExceeded".into());
        let lines = drawn(&trace, false, None);
        assert!(lines.iter().any(|line| line.ends_with('✗') && line.contains("attempt 1")));
        assert!(lines.iter().any(|line| line.contains("RequestLimitExceeded")));
    }

    #[test]
    fn a_span_that_is_open_ends_now() {
        let mut trace = sample();
        trace.spans[0].end = None;
        let style = Style { width: 64, all: false, depth: None, paint: Paint(false) };
        let text = draw(&trace, style, trace.spans[0].start + 8000 * MS);
        assert!(text.contains("1 open"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("POST") && line.ends_with("8.0 s …")));
    }
}
