//! The seven cases in which Jaeger's comparison of two traces misleads, run there and described
//! in `docs/compare.md`. In three of them it says that nothing differs.

use super::*;

const CALLS: [&str; 5] = [
    "ELBv2.CreateTargetGroup",
    "ELBv2.CreateLoadBalancer",
    "ELBv2.DescribeLoadBalancers",
    "ELBv2.CreateListener",
    "ELBv2.RegisterTargets",
];

fn run(calls: impl IntoIterator<Item = Act>) -> Act {
    step("run clusters", [step("create_load_balancer", calls)])
}

fn without(names: &[&str], call: fn(&str) -> Act, gone: &str) -> Act {
    run(names.iter().filter(|&&name| name != gone).map(|name| call(name)))
}

#[test]
fn a_missing_call() {
    let good = run(CALLS.map(aws));
    let bad = without(&CALLS, aws, "ELBv2.CreateListener");
    let answer = compared(&good, &bad);
    assert_eq!(
        told(&answer),
        ["missing run clusters > create_load_balancer > ELBv2.CreateListener"]
    );
    let expected = ["create_load_balancer", "ELBv2.DescribeLoadBalancers"];
    assert_eq!(stands(&answer.differences[0], &bad.trace(1)), expected);
}

#[test]
fn a_missing_call_that_wraps_an_http_span() {
    let good = run(CALLS.map(wrapped));
    let bad = without(&CALLS, wrapped, "ELBv2.CreateListener");
    assert_eq!(
        told(&compared(&good, &bad)),
        ["missing run clusters > create_load_balancer > ELBv2.CreateListener (2 spans)"]
    );
}

#[test]
fn a_wrapper_that_only_one_side_has() {
    let good = run(CALLS.map(aws));
    let new = run(CALLS.map(|name| act("aws_call").over([aws(name)])));
    let extra = "extra run clusters > create_load_balancer > aws_call (only itself)";
    assert_eq!(told(&compared(&good, &new)), [extra; 5]);

    let calls = CALLS.into_iter().filter(|&name| name != "ELBv2.CreateListener");
    let bad = run(calls.map(|name| act("aws_call").over([act("retry").over([aws(name)])])));
    let lines = told(&compared(&good, &bad));
    let missing = "missing run clusters > create_load_balancer > ELBv2.CreateListener";
    assert_eq!(lines.iter().filter(|line| *line == missing).count(), 1, "{lines:#?}");
    assert_eq!(lines.len(), 9, "four calls in two wrappers each: {lines:#?}");
}

#[test]
fn a_missing_call_that_was_the_only_one_of_its_step() {
    let good = step("run clusters", [step("create_listener", [aws("ELBv2.CreateListener")])]);
    let bad = step("run clusters", [step("create_listener", [])]);
    let answer = compared(&good, &bad);
    assert_eq!(told(&answer), ["missing run clusters > create_listener > ELBv2.CreateListener"]);
    assert_eq!(stands(&answer.differences[0], &bad.trace(1)), ["create_listener", ""]);
}

#[test]
fn an_id_in_the_name_of_a_step() {
    let with =
        |id: &str| step("run clusters", [step(&format!("register node {id}"), CALLS.map(wrapped))]);
    let answer = compared(&with("i-0abc12345def67890"), &with("i-0fed12345cba67890"));
    assert_eq!(told(&answer), [""; 0]);
    assert_eq!(told(&compared(&with("17"), &with("4711"))), [""; 0]);
}

#[test]
fn a_call_that_failed() {
    let good = run(CALLS.map(aws));
    let bad = run(CALLS.map(|name| match name {
        "ELBv2.RegisterTargets" => aws(name).fails("TargetGroupNotFound"),
        _ => aws(name),
    }));
    assert_eq!(
        told(&compared(&good, &bad)),
        ["failed run clusters > create_load_balancer > ELBv2.RegisterTargets, \
          status : \"ok\" → \"TargetGroupNotFound\""]
    );
    assert_eq!(compared(&bad, &good).differences[0].kind, Kind::Recovered);
}

#[test]
fn a_call_that_failed_and_what_followed() {
    let good = run([aws("ELBv2.RegisterTargets")]);
    let mut bad = run([aws("ELBv2.RegisterTargets").fails("TargetGroupNotFound")]).fails("a step");
    bad.below[0].error = Some("a call".into());
    let answer = compared(&good, &bad);
    assert_eq!(
        told(&answer),
        [
            "failed run clusters (follows), status : \"ok\" → \"a step\"",
            "failed run clusters > create_load_balancer (follows), status : \"ok\" → \"a call\"",
            "failed run clusters > create_load_balancer > ELBv2.RegisterTargets, \
             status : \"ok\" → \"TargetGroupNotFound\"",
        ]
    );
    assert_eq!(answer.counts.failed, 1, "what follows is not counted");
}

#[test]
fn calls_in_reverse_order() {
    let good = run(CALLS.map(aws));
    let mut reversed = CALLS;
    reversed.reverse();
    let answer = compared(&good, &run(reversed.map(aws)));
    assert_eq!(answer.counts.reordered, 4, "one stands, four go round it");
    assert_eq!(answer.differences.len(), 4, "{:#?}", told(&answer));
}

#[test]
fn one_call_in_another_place() {
    let good = run(CALLS.map(aws));
    let mut moved = CALLS;
    moved[1..].rotate_left(1);
    assert_eq!(
        told(&compared(&good, &run(moved.map(aws)))),
        ["reordered run clusters > create_load_balancer > ELBv2.CreateLoadBalancer"]
    );
}

#[test]
fn calls_at_the_same_time_have_no_order() {
    let good = step("together", CALLS.map(aws)).at_once();
    let mut reversed = CALLS;
    reversed.reverse();
    let other = step("together", reversed.map(aws)).at_once();
    assert_eq!(told(&compared(&good, &other)), [""; 0]);
}

#[test]
fn a_call_that_was_retried_once() {
    let good = run(CALLS.map(wrapped));
    let failed = |name: &str| {
        let answer = aws("POST").with("http.response.status_code", 503_i64).fails("503");
        aws(name).with("error.type", "Throttling").fails("Throttling").over([answer])
    };
    let retried = run(CALLS.into_iter().flat_map(|name| match name {
        "ELBv2.CreateListener" => vec![failed(name), wrapped(name)],
        _ => vec![wrapped(name)],
    }));
    let answer = compared(&good, &retried);
    assert_eq!(
        told(&answer),
        ["retried run clusters > create_load_balancer > ELBv2.CreateListener 1 → 2"]
    );
    let retried = retried.trace(1);
    let first = retried.spans.iter().find(|span| span.name == "ELBv2.CreateListener").unwrap();
    assert_eq!(answer.differences[0].b.span, Some(first.span_id), "the try that failed is extra");
}

#[test]
fn nothing_differs() {
    let run = run(CALLS.map(wrapped));
    let answer = compared(&run, &run);
    assert!(answer.is_same());
    assert_eq!(answer.rows.len(), 12);
    assert!(answer.rows.iter().all(|row| row.a.is_some() && row.b.is_some()));
}
