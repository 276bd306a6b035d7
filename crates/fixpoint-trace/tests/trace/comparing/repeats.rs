//! Polls and retries: how often a call was made is one difference.

use super::*;

fn look(answer: &str) -> Act {
    aws("EC2.DescribeInstances").asks(r#"{"Filters":["idg"]}"#).gets(answer)
}

fn wait(looks: &[&str]) -> Act {
    step(
        "run",
        [step("wait_for_nodes", looks.iter().map(|answer| look(answer)))
            .with(semconv::WAIT_POLLS, i64::try_from(looks.len()).unwrap())],
    )
}

#[test]
fn more_polls_are_one_difference() {
    let good = wait(&["pending", "pending", "running"]);
    let bad = wait(&["pending", "pending", "pending", "pending", "pending", "pending", "running"]);
    assert_eq!(
        told(&compared(&good, &bad)),
        ["repeated run > wait_for_nodes > EC2.DescribeInstances 3 → 7"]
    );
}

#[test]
fn a_look_before_the_call_is_not_a_look_after_it() {
    let run = |calls: Vec<Act>| step("run", [step("create_vpc", calls)]);
    let create = || aws("EC2.CreateVpc");
    let good = run(vec![look("none"), create(), look("none"), look("one")]);
    let bad = run(vec![create(), look("none"), look("one")]);
    let answer = compared(&good, &bad);
    assert_eq!(told(&answer), ["repeated run > create_vpc > EC2.DescribeInstances 3 → 2"]);
    let trace = good.trace(0);
    let first = trace.spans.iter().find(|span| span.name == "EC2.DescribeInstances").unwrap();
    assert_eq!(answer.differences[0].a.span, Some(first.span_id));
}

#[test]
fn a_wait_whose_looks_are_no_spans() {
    let wait = |polls: i64| step("run", [step("wait", []).with(semconv::WAIT_POLLS, polls)]);
    assert_eq!(told(&compared(&wait(3), &wait(7))), ["repeated run > wait 3 → 7"]);
}

#[test]
fn attempts_within_a_call_are_a_retry() {
    let tried = |failures: usize| {
        let attempts = (1..=failures + 1).map(|n| {
            let attempt = aws("attempt").with(semconv::ATTEMPT, i64::try_from(n).unwrap());
            if n <= failures { attempt.fails("Throttling") } else { attempt }
        });
        let attempts = attempts.collect::<Vec<_>>();
        let count = i64::try_from(attempts.len()).unwrap();
        step("run", [aws("EC2.RunInstances").with(semconv::AWS_ATTEMPTS, count).over(attempts)])
    };
    assert_eq!(
        told(&compared(&tried(0), &tried(2))),
        ["retried run > EC2.RunInstances > attempt 1 → 3"]
    );
}

#[test]
fn calls_that_are_gone_for_good_are_missing_however_many() {
    let good = wait(&["pending", "pending", "running"]);
    let bad = step("run", [step("wait_for_nodes", [])]);
    assert_eq!(
        told(&compared(&good, &bad)),
        ["missing run > wait_for_nodes > EC2.DescribeInstances (3 spans) 3 → 0"]
    );
}

#[test]
fn the_retry_of_a_call_that_answers_something_new() {
    let good = step("run", [look("a")]);
    let bad = step("run", [look("").fails("Unavailable"), look("b")]);
    assert_eq!(
        told(&compared(&good, &bad)),
        [
            "retried run > EC2.DescribeInstances 1 → 2",
            "changed run > EC2.DescribeInstances, response : \"a\" → \"b\"",
        ]
    );
}
