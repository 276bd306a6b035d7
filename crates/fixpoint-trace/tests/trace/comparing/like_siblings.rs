//! Tempo's cases: one of many like siblings is gone, and traces too large for a limit.

use std::time::Instant;

use super::*;

fn subnet(n: usize) -> Act {
    aws("EC2.CreateSubnet")
        .asks(&format!(r#"{{"CidrBlock":"10.0.{n}.0/24","VpcId":"vpc-0a1b2c3d4e5f60718"}}"#))
        .with("aws.request_id", format!("6f1c0b52-8f2d-4a6e-9d57-0d2f6f3f9a{n:02}"))
}

/// Twelve subnets, of which some are left out.
fn subnets(gone: &[usize], call: impl Fn(usize) -> Act) -> Act {
    let calls = (1..=12).filter(|n| !gone.contains(n)).map(call);
    step("run clusters", [step("create_subnets", calls)])
}

#[test]
fn the_third_of_twelve_is_missing_and_no_other() {
    let good = subnets(&[], subnet);
    for gone in 1..=12 {
        let answer = compared(&good, &subnets(&[gone], subnet));
        assert_eq!(told(&answer), ["missing run clusters > create_subnets > EC2.CreateSubnet"]);
        let span = answer.differences[0].a.span;
        let trace = good.trace(0);
        let calls = trace.spans.iter().filter(|span| span.name == "EC2.CreateSubnet");
        let place = calls.map(|span| Some(span.span_id)).position(|id| id == span);
        assert_eq!(place, Some(gone - 1));
    }
}

#[test]
fn steps_are_told_apart_by_what_is_below_them() {
    let nested = |n| step("create_subnet", [subnet(n), aws("EC2.ModifySubnetAttribute")]);
    let answer = compared(&subnets(&[], nested), &subnets(&[3, 7], nested));
    let missing = "missing run clusters > create_subnets > create_subnet (3 spans)";
    assert_eq!(told(&answer), [missing; 2]);
    let trace = subnets(&[], nested).trace(0);
    let steps: Vec<_> = trace.spans.iter().filter(|span| span.name == "create_subnet").collect();
    let gone: Vec<_> = answer.differences.iter().map(|difference| difference.a.span).collect();
    assert_eq!(gone, [Some(steps[2].span_id), Some(steps[6].span_id)]);
}

#[test]
fn of_calls_that_are_all_the_same_one_less_is_told_by_number() {
    let same = |_| aws("EC2.CreateSubnet");
    assert_eq!(
        told(&compared(&subnets(&[], same), &subnets(&[3], same))),
        ["repeated run clusters > create_subnets > EC2.CreateSubnet 12 → 11"]
    );
}

#[test]
fn what_is_answered_to_each_differs_from_run_to_run() {
    let answered = |n, run: &str| {
        subnet(n).gets(&format!(r#"{{"SubnetId":"subnet-0a1b2c3d4e5f{run}{n:02}0"}}"#))
    };
    let good = subnets(&[], |n| answered(n, "6"));
    let bad = subnets(&[3], |n| answered(n, "7"));
    assert_eq!(
        told(&compared(&good, &bad)),
        ["missing run clusters > create_subnets > EC2.CreateSubnet"]
    );
}

#[test]
fn events_and_log_lines_are_compared() {
    let good =
        step("run", [act("register").event("registered", &[("node", "1")]).says("found 3 groups")]);
    let bad =
        step("run", [act("register").event("registered", &[("node", "2")]).says("found 0 groups")]);
    assert_eq!(
        told(&compared(&good, &bad)),
        ["changed run > register, event registered: node: \"1\" → \"2\", \
          log found 3 groups: \"once\" → nothing, log found 0 groups: nothing → \"once\""]
    );
}

#[test]
fn each_line_is_told_once_however_often_it_was_written() {
    let good = step("run", [act("poll").says("not yet")]);
    let bad = step("run", [act("poll").says("not yet").says("not yet").says("not yet")]);
    assert_eq!(
        told(&compared(&good, &bad)),
        ["changed run > poll, log not yet: \"once\" → \"3 times\""]
    );
}

/// 100,000 spans with requests, of which one is left out.
fn large(gone: Option<usize>) -> Act {
    let steps = (0..1_000).map(|s| {
        let calls = (0..98).map(move |c| (s * 98 + c, c)).filter(move |&(n, _)| Some(n) != gone);
        step(
            &format!("step_{}", s % 37),
            calls.map(|(n, c)| {
                aws(["EC2.CreateTags", "EC2.DescribeInstances"][c % 2])
                    .asks(&format!(r#"{{"Resource":"node-{n}"}}"#))
            }),
        )
    });
    step("run", steps)
}

#[test]
fn large_traces_are_compared_like_small_ones() {
    let gone = 77_777;
    let (good, bad) = (large(None).trace(0), large(Some(gone)).trace(1));
    assert!(good.spans.len() > 99_000);
    let began = Instant::now();
    let answer = diff(&good, &bad);
    assert_eq!(answer.differences.len(), 1, "{:#?}", told(&answer));
    let missing = &answer.differences[0];
    assert_eq!(missing.kind, Kind::Missing);
    let span = good.spans.iter().find(|span| Some(span.span_id) == missing.a.span).unwrap();
    let asked = span.attributes[semconv::REQUEST].as_str().unwrap();
    assert_eq!(asked, format!(r#"{{"Resource":"node-{gone}"}}"#));
    // A fiftieth of what a quadratic comparison would take, in a build without optimisation.
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn a_chain_of_spans_takes_no_stack() {
    let chain = |number: u8, deep: u64| {
        let mut trace = act("top").trace(number);
        let first = trace.spans[0].clone();
        for n in 1..deep {
            let mut span = first.clone();
            let id = |n: u64| {
                SpanId::from_bytes(((u64::from(number) + 1) << 32 | (n + 1)).to_be_bytes())
            };
            (span.span_id, span.parent) = (id(n).unwrap(), id(n - 1));
            (span.name, span.end) = ("deeper".into(), Some(span.start));
            trace.spans.push(span);
        }
        trace
    };
    let answer = diff(&chain(0, 50_000), &chain(1, 49_999));
    assert_eq!(answer.differences.len(), 1);
    assert_eq!(answer.differences[0].path.len(), 32);
}
