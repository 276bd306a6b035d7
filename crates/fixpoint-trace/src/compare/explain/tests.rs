use std::sync::Arc;

use super::*;
use crate::{
    model::{Kind, Level, LogRecord, Resource, Span, SpanContext, Status},
    semconv::{RESPONSE, SERVICE_NAME},
};

/// Builds a trace, span after span.
struct Story {
    trace: Trace,
    number: u64,
    clock: u64,
}

const MS: u64 = 1_000_000;

impl Story {
    fn new(number: u64) -> Self {
        // Durations vary a little, as they do.
        Self { trace: Trace::default(), number, clock: number * 1_000_000 * MS }
    }

    /// A span below another one, open.
    fn open(&mut self, parent: Option<usize>, service: &str, name: &str) -> usize {
        let at = self.trace.spans.len();
        let context = SpanContext {
            trace_id: TraceId::from_bytes(u128::from(self.number + 1).to_be_bytes()).unwrap(),
            span_id: SpanId::from_bytes((at as u64 + 1).to_be_bytes()).unwrap(),
        };
        self.clock += MS;
        let mut span = Span::new(context, name, self.clock);
        span.parent = parent.map(|parent| self.trace.spans[parent].span_id);
        span.resource = Arc::new(Resource::from_iter([(SERVICE_NAME.to_owned(), service.into())]));
        self.trace.spans.push(span);
        at
    }

    fn close(&mut self, at: usize, after: u64) {
        let dice = (self.clock ^ self.number << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        self.clock += after + dice % (after / 10 + 1);
        self.trace.spans[at].end = Some(self.clock);
    }

    fn call(&mut self, parent: usize, name: &str, answer: &str) -> usize {
        let at = self.open(Some(parent), "fixpoint", name);
        self.trace.spans[at].kind = Kind::Client;
        self.trace.spans[at].attributes.insert(RESPONSE.into(), answer.into());
        self.close(at, 10 * MS);
        at
    }

    fn line(&mut self, at: usize, text: &str) {
        let mut line = LogRecord::new(self.clock, Level::Info, text);
        line.span_id = Some(self.trace.spans[at].span_id);
        self.trace.logs.push(line);
    }
}

const ONE_GROUP: &str = r#"{"TargetGroups":[{"TargetGroupArn":"arn:aws:elasticloadbalancing:x"}]}"#;
const NO_GROUP: &str = r#"{"TargetGroups":[]}"#;

/// A run that creates a cluster, whose step finds `groups` and registers a node if there is one.
fn run(number: u64, groups: &str, registers: bool) -> Trace {
    let mut story = Story::new(number);
    let run = story.open(None, "fixpoint", "run clusters");
    let create = story.open(Some(run), "fixpoint", "create");
    story.call(create, "EC2.DescribeInstances", r#"{"Reservations":[]}"#);
    story.close(create, MS);
    let step = story.open(Some(run), "fixpoint", "run_instances");
    story.call(step, "EC2.RunInstances", r#"{"Instances":[{"InstanceId":"i-0abc12345def67890"}]}"#);
    // The wait looks as often as it must.
    for _ in 0..2 + number % 5 {
        story.call(step, "EC2.DescribeInstances", r#"{"Reservations":[{}]}"#);
    }
    story.close(step, MS);
    let step = story.open(Some(run), "fixpoint", "register_cluster_node_to_lb");
    story.line(step, "looking for the target group");
    story.call(step, "ELBv2.DescribeTargetGroups", groups);
    if registers {
        story.call(step, "ELBv2.RegisterTargets", "{}");
    }
    story.line(step, "done");
    story.close(step, MS);
    let create = story.open(Some(run), "fixpoint", "create");
    story.call(create, "EC2.DescribeInstances", r#"{"Reservations":[{}]}"#);
    story.close(create, MS);
    story.close(run, MS);
    story.trace
}

fn good_runs(count: u64) -> Profile {
    let mut profile = Profile::default();
    for number in 0..count {
        profile.add(&run(number, ONE_GROUP, true));
    }
    profile
}

fn why(profile: &Profile, trace: &Trace) -> Vec<Finding> {
    explain(profile, std::slice::from_ref(trace), Limits::default()).findings
}

fn first(profile: &Profile, trace: &Trace) -> Finding {
    let findings = why(profile, trace);
    findings.first().cloned().unwrap_or_else(|| panic!("nothing found"))
}

/// A good run as it is in the middle of a call, when the step has logged its first line.
fn under_way(number: u64) -> Trace {
    let mut trace = run(number, ONE_GROUP, true);
    let step = trace.spans.iter().position(|span| span.name == "register_cluster_node_to_lb");
    let step = step.unwrap();
    trace.spans.truncate(step + 2);
    trace.logs.truncate(1);
    let call = &mut trace.spans[step + 1];
    call.end = None;
    call.attributes.clear();
    trace.spans[step].end = None;
    trace.spans[0].end = None;
    trace
}

#[test]
fn what_an_open_span_has_not_said_or_answered_yet_is_not_missing() {
    for good in [2, 8, 50] {
        let findings = why(&good_runs(good), &under_way(90));
        let mut all: Vec<&Finding> = findings.iter().collect();
        while let Some(finding) = all.pop() {
            assert!(matches!(finding.what, What::NeverEnded { .. }), "{good}: {finding:#?}");
            all.extend(finding.consequences.iter().chain(&finding.because));
        }
    }
}

#[test]
fn the_missing_call_is_found_with_the_odd_answer_before_it() {
    for good in [1, 2, 5, 50] {
        let bad = run(90, NO_GROUP, false);
        let found = first(&good_runs(good), &bad);
        let What::MissingCall { after: Some(after), usual: 1, calls: 0, usual_duration: Some(_) } =
            &found.what
        else {
            panic!("{good} good runs: {found:#?}");
        };
        assert_eq!(after.operation, "ELBv2.DescribeTargetGroups");
        assert_eq!(found.operation, "ELBv2.RegisterTargets");
        let path: Vec<&str> = found.path.iter().map(|call| &*call.operation).collect();
        assert_eq!(path, ["run clusters", "register_cluster_node_to_lb", "ELBv2.RegisterTargets"]);
        assert_eq!(found.good.without(), Count { with: good, of: good });
        assert_eq!(found.here, Count { with: 1, of: 1 });
        let because: Vec<_> = found.because.iter().map(|found| &found.what).collect();
        let Some(What::Changed { attribute, place, usual, value }) = because.first() else {
            panic!("{good} good runs: {because:#?}");
        };
        assert_eq!((&**attribute, place.as_deref()), (RESPONSE, Some("TargetGroups")));
        assert_eq!((usual.as_deref(), value.as_deref()), (Some("1 item"), Some("0 items")));
        assert_eq!(found.because[0].span_id, Some(after.span_id));
    }
}

#[test]
fn a_good_run_differs_in_nothing() {
    for good in [1, 5, 50] {
        let profile = good_runs(good);
        for number in 100..150 {
            assert_eq!(why(&profile, &run(number, ONE_GROUP, true)), [], "{good} good runs");
        }
    }
}

#[test]
fn the_deepest_failed_call_is_the_cause_and_its_callers_are_not() {
    for good in [0, 1, 50] {
        let mut bad = run(90, ONE_GROUP, true);
        let mut failed = |name: &str| {
            let span = bad.spans.iter_mut().find(|span| span.name == name).unwrap();
            span.status = Status::Error(format!("{name} failed"));
            span.attributes.insert("error.type".into(), "TooMany".into());
        };
        failed("ELBv2.RegisterTargets");
        failed("register_cluster_node_to_lb");
        failed("run clusters");
        let found = first(&good_runs(good), &bad);
        let error = Some("TooMany".to_owned());
        let message = "ELBv2.RegisterTargets failed".to_owned();
        assert_eq!(found.what, What::Failed { message, error }, "{good} good runs");
        assert_eq!(found.operation, "ELBv2.RegisterTargets");
    }
}

#[test]
fn a_slow_call_is_found_and_not_those_that_waited_for_it() {
    let mut bad = run(90, ONE_GROUP, true);
    let at = bad.spans.iter().position(|span| span.name == "ELBv2.RegisterTargets").unwrap();
    let end = bad.spans[at].end.unwrap();
    for span in &mut bad.spans {
        if span.start >= end {
            span.start += 900 * MS;
        }
        span.end = span.end.map(|other| if other >= end { other + 900 * MS } else { other });
    }
    let findings = why(&good_runs(50), &bad);
    let [found] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(found.operation, "ELBv2.RegisterTargets");
    assert!(
        matches!(found.what, What::Slow(Duration { took, .. }) if took > 900 * MS),
        "{found:?}"
    );
}

#[test]
fn a_delay_is_weighed_against_the_whole_trace_and_not_a_root_that_ended_early() {
    // The root only sets off the run, and a step waits for a minute.
    let run = |number: u64| {
        let mut trace = run(number, ONE_GROUP, true);
        trace.spans[0].end = Some(trace.spans[0].start + MS);
        let step = trace.spans.iter_mut().find(|span| span.name == "run_instances").unwrap();
        step.end = step.end.map(|end| end + 60_000 * MS);
        trace
    };
    let mut profile = Profile::default();
    for number in 0..50 {
        profile.add(&run(number));
    }
    let mut late = run(90);
    let call = late.spans.iter_mut().find(|span| span.name == "ELBv2.RegisterTargets").unwrap();
    call.end = call.end.map(|end| end + 100 * MS);
    assert_eq!(why(&profile, &late), []);
    let call = late.spans.iter_mut().find(|span| span.name == "ELBv2.RegisterTargets").unwrap();
    call.end = call.end.map(|end| end + 20_000 * MS);
    assert!(matches!(first(&profile, &late).what, What::Slow(_)));
}

#[test]
fn a_call_that_is_never_made_otherwise_is_found() {
    let mut bad = run(90, ONE_GROUP, true);
    let step = bad.spans.iter().position(|span| span.name == "run_instances").unwrap();
    let mut extra = bad.spans[step].clone();
    extra.parent = Some(extra.span_id);
    extra.span_id = SpanId::from_bytes([9; 8]).unwrap();
    extra.name = "EC2.TerminateInstances".into();
    bad.spans.push(extra);
    let found = first(&good_runs(50), &bad);
    assert_eq!(found.operation, "EC2.TerminateInstances");
    assert_eq!(found.what, What::ExtraCall { usual: 0, calls: 1 });
}

#[test]
fn a_call_too_many_is_one_before_its_caller_has_ended() {
    let mut goes_on = under_way(90);
    let mut extra = goes_on.spans[0].clone();
    extra.parent = Some(extra.span_id);
    extra.span_id = SpanId::from_bytes([9; 8]).unwrap();
    extra.name = "raise_quota".into();
    extra.end = Some(extra.start + MS);
    goes_on.spans.push(extra);
    let found = first(&good_runs(50), &goes_on);
    assert_eq!(found.operation, "raise_quota");
    assert_eq!(found.what, What::ExtraCall { usual: 0, calls: 1 });
}

#[test]
fn what_is_open_is_told_with_how_long_hardly_any_takes() {
    let open_for = |waited: u64| {
        let mut goes_on = under_way(90);
        let since = goes_on.spans.last().unwrap().start;
        goes_on.logs.push(LogRecord::new(since + waited, Level::Info, "still here"));
        match first(&good_runs(50), &goes_on).what {
            What::NeverEnded { usual: Some(usual), most: Some(most), open } => {
                assert!(usual < most, "{usual} {most}");
                open <= most
            }
            other => panic!("{other:?}"),
        }
    };
    // Each such call takes 10 to 11 ms.
    assert!(open_for(12 * MS));
    assert!(!open_for(40 * MS));
}

#[test]
fn a_span_that_never_ended_is_found_without_a_good_trace() {
    let mut bad = run(90, ONE_GROUP, true);
    let at = bad.spans.iter().position(|span| span.name == "run_instances").unwrap();
    bad.spans[at].end = None;
    bad.spans[0].end = None;
    let found = first(&Profile::default(), &bad);
    assert_eq!(found.operation, "run_instances");
    assert!(matches!(found.what, What::NeverEnded { usual: None, .. }));
}

#[test]
fn another_log_line_is_found() {
    let mut bad = run(90, ONE_GROUP, true);
    bad.logs[0].body = "giving up on it".into();
    bad.logs[0].severity = Level::Error.severity();
    let found = first(&good_runs(50), &bad);
    let What::ChangedLines { after: None, line, usual } = &found.what else { panic!("{found:?}") };
    assert_eq!(line.as_deref(), Some("ERROR giving up on it"));
    assert_eq!(usual.as_deref(), Some("INFO looking for the target group"));
}

/// A shop that calls two services, whose ways there take so long.
fn order(number: u64, slow: [bool; 2]) -> Trace {
    let mut story = Story::new(number);
    let shop = story.open(None, "shop", "order");
    for (service, slow) in ["stock", "pay"].into_iter().zip(slow) {
        let client = story.open(Some(shop), "shop", service);
        story.clock += if slow { 250 * MS } else { 0 };
        let server = story.open(Some(client), service, "answer");
        story.close(server, 10 * MS);
        story.close(client, 2 * MS);
    }
    story.close(shop, MS);
    story.trace
}

#[test]
fn a_slow_way_speaks_against_its_end_and_two_against_their_begin() {
    let mut profile = Profile::default();
    for number in 0..50 {
        profile.add(&order(number, [false, false]));
    }
    let found = first(&profile, &order(90, [false, true]));
    assert!(matches!(found.what, What::SlowEdge { .. }), "{found:?}");
    assert_eq!((&*found.service, &*found.suspect), ("shop", "pay"));
    let found = first(&profile, &order(90, [true, true]));
    assert_eq!((&*found.service, &*found.suspect), ("shop", "shop"));
}

#[test]
fn many_traces_are_explained_together() {
    let mut profile = Profile::default();
    for number in 0..200 {
        profile.add(&order(number, [false, false]));
    }
    let some: Vec<Trace> =
        (500..540).map(|number| order(number, [false, number % 4 == 0])).collect();
    let explanation = explain(&profile, &some, Limits::default());
    assert_eq!((explanation.good, explanation.traces), (200, 40));
    let found = &explanation.findings[0];
    assert_eq!(found.suspect, "pay");
    assert_eq!(found.here, Count { with: 10, of: 40 });
    assert!(some.iter().any(|trace| trace.spans[0].trace_id == found.trace_id));
    assert_eq!(explain(&profile, &some, Limits::default()), explanation);
}

#[test]
fn nothing_is_found_in_nothing() {
    assert_eq!(why(&Profile::default(), &Trace::default()), []);
    assert_eq!(explain(&good_runs(5), &[], Limits::default()).findings, []);
}

/// A buyer asks for the price and the stock, the price first, and then pays; asked `together`, or one
/// after the other.
fn bought(number: u64, first: &str, second: &str, together: bool) -> Trace {
    let mut story = Story::new(number);
    let buy = story.open(None, "shop", "buy");
    let one = story.open(Some(buy), "shop", first);
    if !together {
        story.close(one, 10 * MS);
    }
    let other = story.open(Some(buy), "shop", second);
    story.close(other, 10 * MS);
    if together {
        story.close(one, 10 * MS);
    }
    let pay = story.open(Some(buy), "shop", "pay");
    story.close(pay, 10 * MS);
    story.close(buy, MS);
    story.trace
}

#[test]
fn of_calls_side_by_side_either_may_come_first() {
    let profile_of = |together: bool| {
        let mut profile = Profile::default();
        (0..200).for_each(|n| profile.add(&bought(n, "price", "stock", together)));
        profile
    };
    let reordered = |profile: &Profile, together: bool| {
        let here = bought(5_000, "stock", "price", together);
        // So few calls say little.
        let limits = Limits { bits: 4.0, ..Limits::default() };
        let found = explain(profile, std::slice::from_ref(&here), limits).findings;
        found.iter().any(|it| it.stands && matches!(it.what, What::Reordered { .. }))
    };
    let (waits, together) = (profile_of(false), profile_of(true));
    assert!(reordered(&waits, false));
    assert!(!reordered(&together, true));
    assert!(!reordered(&together, false), "one was over before the other began, by chance");
}
