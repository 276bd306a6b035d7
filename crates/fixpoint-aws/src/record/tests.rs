//! What a call leaves behind, seen as the recording layer would see it.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use fixpoint::{Chain, Pace};
use tracing::Instrument;

use crate::ec2::{
    CreateKeyPair, CreateVpc, DescribeImages, DescribeInstanceAttribute, DescribeVpcs, RunInstances,
};
use crate::testing::{Attempt, Captured, Script, Seen};
use crate::{Aws, AwsOptions, is_ambiguous};

const VPCS: &str = "<vpcSet><item><vpcId>vpc-1</vpcId><state>available</state></item></vpcSet>";

fn field<'a>(span: &'a Seen, name: &str) -> &'a str {
    span.fields.get(name).map_or("", String::as_str)
}

#[tokio::test]
async fn a_call_is_a_client_span_under_the_callers_with_request_answer_and_one_attempt() {
    let aws = Script::new([Attempt::ok(VPCS)]).aws().await;
    let (captured, _guard) = Captured::start();
    let step = tracing::info_span!("step");
    let operation = DescribeVpcs { vpc_ids: vec!["vpc-1".into()], ..Default::default() };
    aws.ec2.send(operation).instrument(step).await.unwrap();

    let spans = captured.spans();
    let [step, call, attempt] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!((call.parent, attempt.parent), (step.id, call.id));
    for (name, value) in [
        ("otel.name", "EC2.DescribeVpcs"),
        ("otel.kind", "client"),
        ("otel.status_code", ""),
        ("rpc.system", "aws-api"),
        ("rpc.service", "EC2"),
        ("rpc.method", "DescribeVpcs"),
        ("cloud.region", "eu-west-1"),
        ("aws.request_id", "r-ok"),
        ("http.response.status_code", "200"),
        ("error.type", ""),
        ("fixpoint.aws.attempts", "1"),
        ("fixpoint.request", r#"{"VpcId":["vpc-1"]}"#),
        ("fixpoint.response", r#"{"vpcSet":[{"vpcId":"vpc-1","state":"available"}]}"#),
        ("fixpoint.outcome", ""),
    ] {
        assert_eq!(field(call, name), value, "{name}");
    }
    assert_eq!((attempt.name.as_str(), field(attempt, "fixpoint.attempt")), ("attempt", "1"));
    assert_eq!(field(attempt, "http.response.status_code"), "200");
    assert!(spans.iter().all(|span| !span.open), "all spans are closed");
    assert!(captured.lines().is_empty());
}

#[tokio::test]
async fn a_call_that_succeeds_at_last_is_no_error_but_its_failed_attempts_are() {
    let script = Script::new([
        Attempt::refused(503, "RequestLimitExceeded"),
        Attempt::Lost,
        Attempt::ok(VPCS),
    ]);
    let aws = script.aws().await;
    let (captured, _guard) = Captured::start();
    aws.ec2.send(DescribeVpcs::default()).await.unwrap();

    let spans = captured.spans();
    let [call, first, second, third] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(field(call, "otel.status_code"), "");
    assert_eq!(field(call, "error.type"), "");
    assert_eq!(field(call, "fixpoint.aws.attempts"), "3");
    assert_eq!(field(first, "otel.status_code"), "ERROR");
    assert_eq!(field(first, "error.type"), "RequestLimitExceeded");
    assert_eq!(field(first, "fixpoint.throttled"), "true");
    assert_eq!(field(first, "aws.request_id"), "r-RequestLimitExceeded");
    assert_eq!(field(second, "error.type"), "connection");
    assert_eq!(field(second, "fixpoint.throttled"), "false");
    assert_eq!(field(third, "otel.status_code"), "");
    assert_eq!(
        captured.lines(),
        [
            "WARN EC2.DescribeVpcs throttled (RequestLimitExceeded), attempt 2",
            "WARN EC2.DescribeVpcs failed (connection), attempt 3",
        ]
    );
}

#[tokio::test]
async fn a_call_that_fails_says_so_once_with_its_request_id() {
    let aws = Script::new([Attempt::refused(400, "VpcLimitExceeded")]).aws().await;
    let (captured, _guard) = Captured::start();
    aws.ec2.send(CreateVpc::default()).await.unwrap_err();

    let spans = captured.spans();
    let call = &spans[0];
    assert_eq!(field(call, "otel.status_code"), "ERROR");
    let text = "VpcLimitExceeded: said VpcLimitExceeded (request id r-VpcLimitExceeded)";
    for span in &spans {
        assert_eq!(field(span, "otel.status_description"), format!("EC2.CreateVpc: {text}"));
    }
    assert_eq!(field(call, "error.type"), "VpcLimitExceeded");
    assert_eq!(field(call, "aws.request_id"), "r-VpcLimitExceeded");
    assert!(field(call, "fixpoint.response").contains(r#""Code":"VpcLimitExceeded""#));
    assert_eq!(captured.lines(), [format!("ERROR EC2.CreateVpc failed: {text}")]);
}

#[tokio::test]
async fn a_lost_answer_and_a_strangers_answer_are_told_in_plain_words() {
    let script = Script::new([
        Attempt::Lost,
        Attempt::Answer(403, "<html>Blocked</html>".into()),
        Attempt::Answer(200, "<html>Log in".into()),
    ]);
    let aws = script.aws().await;
    let (captured, _guard) = Captured::start();
    let lost = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
    let blocked = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
    let login = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
    assert!(is_ambiguous(&lost) && !is_ambiguous(&blocked) && is_ambiguous(&login));

    let said: Vec<_> = captured
        .spans()
        .iter()
        .map(|span| field(span, "otel.status_description").to_owned())
        .collect();
    let [call, attempt, blocked, _, login, _] = &said[..] else { panic!("{said:#?}") };
    assert_eq!(call, "connection reset before an answer came");
    assert_eq!(attempt, call);
    assert_eq!(blocked, "HTTP 403 without a reason");
    assert!(login.starts_with("the answer makes no sense: "), "{login}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_says_how_long_nobody_answered() {
    let options = || AwsOptions {
        http_client: Some(SharedHttpClient::new(Script::new([
            Attempt::Hangs,
            Attempt::Hangs,
            Attempt::Hangs,
            Attempt::Hangs,
        ]))),
        ..AwsOptions::default()
    };
    let (captured, _guard) = Captured::start();
    let made = Aws::connect(options()).await.ec2.send(CreateVpc::default()).await.unwrap_err();
    let read = Aws::connect(options()).await.ec2.send(DescribeVpcs::default()).await.unwrap_err();
    assert_eq!(
        Chain(&made).to_string(),
        "EC2.CreateVpc got no clear answer from AWS: no answer in 30 s"
    );
    assert_eq!(
        Chain(&read).to_string(),
        "EC2.DescribeVpcs: AWS is not reachable: no answer in 30 s"
    );
    let spans = captured.spans();
    let said = |n: usize| field(&spans[n], "otel.status_description");
    assert_eq!((said(0), said(1)), ("no answer in 30 s", "no answer in 30 s"));
    assert_eq!((said(2), said(3)), ("no answer in 30 s", "no answer in 30 s"));
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_not_reachable_and_one_that_hangs_up_loses_the_answer() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap();
    let aws = Aws::connect(AwsOptions {
        region: Some("eu-west-1".into()),
        endpoint_url: Some(format!("http://{port}")),
        credentials: Some(Credentials::from_keys("key", "secret", None)),
        pace: Pace::times(1000.0),
        ..AwsOptions::default()
    })
    .await;
    let (captured, _guard) = Captured::start();
    let hanging_up = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        std::io::Read::read(&mut stream, &mut [0; 64 * 1024]).unwrap();
    });
    let error = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
    hanging_up.join().unwrap();
    assert!(is_ambiguous(&error));
    assert_eq!(
        Chain(&error).to_string(),
        "EC2.CreateVpc got no clear answer from AWS: connection closed before an answer came"
    );

    let error = aws.ec2.send(CreateVpc::default()).await.unwrap_err();
    assert!(!is_ambiguous(&error));
    let text = "AWS is not reachable: connection refused";
    assert_eq!(Chain(&error).to_string(), format!("EC2.CreateVpc: {text}"));
    let last = captured.spans().pop().unwrap();
    assert_eq!(field(&last, "otel.status_description"), text);
}

#[tokio::test]
async fn official_clients_are_recorded_as_ours() {
    let target = "<DescribeTargetHealthResponse><DescribeTargetHealthResult>\
        <TargetHealthDescriptions><member><Target><Id>i-1</Id></Target></member>\
        </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>";
    let missing = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
        <Message>no role</Message></Error><RequestId>r-9</RequestId></ErrorResponse>";
    let script =
        Script::new([Attempt::Answer(200, target.into()), Attempt::Answer(404, missing.into())]);
    let aws = script.aws().await;
    let (captured, _guard) = Captured::start();
    aws.elb.describe_target_health().target_group_arn("tg").send().await.unwrap();
    let error = aws.iam.get_role().role_name("node").send().await.unwrap_err();
    assert!(crate::is_not_found(&error));

    let spans = captured.spans();
    let [elb, _, iam, _] = &spans[..] else { panic!("{spans:#?}") };
    assert_eq!(field(elb, "otel.name"), "ELBv2.DescribeTargetHealth");
    assert_eq!(field(elb, "fixpoint.request"), r#"{"TargetGroupArn":"tg"}"#);
    assert_eq!(
        field(elb, "fixpoint.response"),
        r#"{"TargetHealthDescriptions":[{"Target":{"Id":"i-1"}}]}"#
    );
    assert_eq!(field(iam, "otel.name"), "IAM.GetRole");
    assert_eq!(field(iam, "error.type"), "NoSuchEntity");
    assert_eq!(field(iam, "aws.request_id"), "r-9");
    assert_eq!(
        captured.lines(),
        ["INFO IAM.GetRole found nothing: NoSuchEntity: no role (request id r-9)"]
    );
}

#[tokio::test]
async fn a_call_that_its_caller_drops_is_cancelled_and_not_an_error() {
    let aws = Script::new([Attempt::Hangs]).aws().await;
    let (captured, _guard) = Captured::start();
    let short = Duration::from_millis(20);
    tokio::time::timeout(short, aws.ec2.send(DescribeVpcs::default())).await.unwrap_err();

    let spans = captured.spans();
    let [call, attempt] = &spans[..] else { panic!("{spans:#?}") };
    for span in [call, attempt] {
        assert_eq!(field(span, "fixpoint.outcome"), "cancelled");
        assert_eq!(field(span, "otel.status_code"), "");
        assert!(!span.open);
    }
}

#[tokio::test]
async fn a_dry_run_that_would_succeed_is_no_error() {
    let aws = Script::new([Attempt::refused(412, "DryRunOperation")]).aws().await;
    let (captured, _guard) = Captured::start();
    aws.ec2.dry_run(&CreateVpc::default()).await.unwrap();
    assert!(captured.spans().iter().all(|span| field(span, "otel.status_code").is_empty()));
    assert!(captured.lines().is_empty());
}

#[tokio::test]
async fn planted_secrets_are_nowhere_in_what_is_recorded() {
    // What is sent or answered in base64 is looked for in both forms.
    let (plain, coded) = ("canary-hunter2", "Y2FuYXJ5LWh1bnRlcjI=");
    let script = Script::new([
        Attempt::ok("<instancesSet/>"),
        Attempt::ok(&format!("<keyName>k</keyName><keyMaterial>{plain}</keyMaterial>")),
        Attempt::ok(&format!("<userData><value>{coded}</value></userData>")),
        Attempt::Answer(400, format!("<html>password={plain}</html>")),
    ]);
    let aws = script.aws().await;
    let (captured, _guard) = Captured::start();
    let run = RunInstances { user_data: Some(plain.into()), ..Default::default() };
    aws.ec2.send(run).await.unwrap();
    let pair = aws.ec2.send(CreateKeyPair::default()).await.unwrap();
    assert_eq!(pair.key_material.reveal(), plain);
    let data = aws.ec2.send(DescribeInstanceAttribute::default()).await.unwrap().user_data.unwrap();
    assert_eq!(data.reveal(), plain);
    aws.ec2.send(DescribeVpcs::default()).await.unwrap_err();

    assert!(script.seen()[0].contains("UserData=Y2FuYXJ5LWh1bnRlcjI%3D"), "it was really sent");
    let recorded = captured.text();
    assert!(!recorded.contains("hunter2") && !recorded.contains("Y2FuYXJ5"), "{recorded}");
    assert!(!recorded.to_lowercase().contains("authorization"));
    assert!(recorded.contains("[redacted]"));
}

#[tokio::test]
async fn a_huge_answer_is_recorded_as_valid_json_of_bounded_size() {
    let images = "<item><imageId>ami-1</imageId><name>al2023</name></item>".repeat(5000);
    let aws = Script::new([Attempt::ok(&format!("<imagesSet>{images}</imagesSet>"))]).aws().await;
    let (captured, _guard) = Captured::start();
    let all = aws.ec2.all(DescribeImages::default()).await.unwrap();
    assert_eq!(all.len(), 5000, "the caller gets all of it");

    let spans = captured.spans();
    let response = field(&spans[0], "fixpoint.response");
    assert!(response.len() <= 16 * 1024);
    let json: serde_json::Value = serde_json::from_str(response).unwrap();
    assert!(json["truncated"].is_string());
}
