//! The limits as a caller meets them, through the real clients.

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fixpoint::Chain;
use tokio::time::Instant;

use super::*;
use crate::ec2::{DescribeVpcs, RunInstances};
use crate::testing::{Attempt, Captured, Script};
use crate::{Aws, AwsOptions, is_ambiguous};

const EMPTY: &str = "<DescribeTagsResponse><DescribeTagsResult/></DescribeTagsResponse>";

async fn aws(attempts: impl IntoIterator<Item = Attempt>) -> (Aws, Script) {
    let script = Script::new(attempts);
    let http_client = Some(SharedHttpClient::new(script.clone()));
    (Aws::connect(AwsOptions { http_client, ..AwsOptions::default() }).await, script)
}

fn queued(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split_once("queued: ").map(|(_, why)| why)).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_what_aws_allows_wait_for_their_turn_and_say_so() {
    let (aws, script) = aws(vec![Attempt::ok(""); 8]).await;
    let (captured, _guard) = Captured::start();
    let start = Instant::now();
    let calls = (0..7).map(|_| aws.ec2.send(RunInstances::default()));
    for made in futures_util::future::join_all(calls).await {
        made.unwrap();
    }
    assert_eq!(start.elapsed().as_millis() / 10, 100, "five at once, two a second after that");
    assert_eq!(
        queued(&captured.lines()),
        [
            "next, waits for the run bucket of EC2 in eu-west-1 to fill",
            "1 before it wait for the run bucket of EC2 in eu-west-1"
        ]
    );
    // Reads have a bucket of their own.
    aws.ec2.send(DescribeVpcs::default()).await.unwrap();
    assert_eq!((start.elapsed().as_millis() / 10, script.seen().len()), (100, 8));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_empties_the_bucket_for_all() {
    let throttled = Attempt::refused(503, "RequestLimitExceeded");
    let (aws, _) = aws([throttled, Attempt::ok(""), Attempt::ok("")]).await;
    let (captured, _guard) = Captured::start();
    aws.ec2.send(RunInstances::default()).await.unwrap();
    assert!(captured.lines().iter().any(|line| line.contains("throttled")));
    let bucket = aws.limits().of(&Addressee {
        service: "EC2",
        region: "eu-west-1".into(),
        action: "RunInstances".into(),
    });
    bucket.1.drain();
    aws.ec2.send(RunInstances::default()).await.unwrap();
    assert_eq!(queued(&captured.lines()).last().unwrap().split(',').next(), Some("next"));
}

#[tokio::test(start_paused = true)]
async fn an_api_that_does_not_answer_is_left_alone_and_then_asked_once() {
    let lost = vec![Attempt::Lost; 8];
    let answers = [Attempt::Answer(200, EMPTY.into()), Attempt::ok(""), Attempt::ok("")];
    let (aws, script) = aws(lost.into_iter().chain(answers)).await;
    let (captured, _guard) = Captured::start();
    for _ in 0..2 {
        let error = aws.ec2.send(DescribeVpcs::default()).await.unwrap_err();
        assert!(Chain(&error).to_string().contains("connection reset"), "{error:?}");
    }
    let state = aws.limits().state();
    assert_eq!((state[0].api.as_str(), state[0].circuit), ("EC2 in eu-west-1", Circuit::Open));
    assert_eq!(state[0].unanswered, 8);

    let start = Instant::now();
    // Another API answers meanwhile.
    aws.elb.describe_tags().resource_arns("arn").send().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 0);
    let (one, other) =
        tokio::join!(aws.ec2.send(DescribeVpcs::default()), aws.ec2.send(DescribeVpcs::default()));
    one.unwrap();
    other.unwrap();
    assert_eq!((start.elapsed().as_secs(), script.seen().len()), (5, 11));
    assert_eq!(aws.limits().state()[0].circuit, Circuit::Closed);
    let lines = captured.lines().join("\n");
    assert!(lines.contains("EC2 in eu-west-1 does not answer (connection)"), "{lines}");
    assert!(lines.contains("held back: EC2 in eu-west-1 has not answered 8 attempts"), "{lines}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_held_back_too_long_certainly_had_no_effect() {
    let (aws, script) = aws(vec![Attempt::Lost; 8]).await;
    for _ in 0..2 {
        aws.ec2.send(DescribeVpcs::default()).await.unwrap_err();
    }
    // Somebody's trial, of which nothing is heard, again and again.
    let (api, _) = aws.limits().of(&Addressee {
        service: "EC2",
        region: "eu-west-1".into(),
        action: "DescribeVpcs".into(),
    });
    let others = async {
        loop {
            api.breaker.pass("EC2", Pace::REAL, PATIENCE, |_| {}).await.ok();
        }
    };
    let call = async {
        // The other one comes first each time.
        tokio::task::yield_now().await;
        aws.ec2.send(RunInstances::default()).await.unwrap_err()
    };
    let error = tokio::select! {
        biased;
        () = others => unreachable!(),
        error = call => error,
    };
    let text = Chain(&error).to_string();
    assert!(text.contains("got no answer from EC2 in eu-west-1 for"), "{text}");
    assert!(!is_ambiguous(&error), "{text}");
    assert_eq!(script.seen().len(), 8);
}

#[test]
fn a_share_is_a_positive_number() {
    assert_eq!("0.5".parse(), Ok(Share(0.5)));
    for wrong in ["0", "-1", "half", "inf", ""] {
        assert_eq!(wrong.parse::<Share>(), Err(NotAShare(wrong.to_owned())));
    }
}
