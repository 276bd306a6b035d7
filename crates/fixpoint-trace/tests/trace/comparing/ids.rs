//! What differs between any two runs is no difference; what somebody chose is one.

use super::*;

/// A run of the story for a customer, with ids made from `seed`.
fn story(customer: &str, seed: u32) -> Act {
    let vpc = format!("vpc-0{seed:08x}c1e5f607");
    let arn = format!(
        "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{customer}-nodes/{seed:08x}8f2d4a6e"
    );
    step(
        "run clusters",
        [
            step(
                "create_vpc",
                [aws("EC2.CreateVpc")
                    .asks(&format!(r#"{{"CidrBlock":"10.0.0.0/16","ClientToken":"{seed:08x}-8f2d-4a6e-9d57-0d2f6f3f9a10"}}"#))
                    .gets(&format!(r#"{{"Vpc":{{"VpcId":"{vpc}","State":"pending"}}}}"#))
                    .with("aws.request_id", format!("{seed:08x}-8f2d-4a6e-9d57-0d2f6f3f9a11"))],
            )
            .with(semconv::STEP_KEY, format!("CreateVpc {{ cluster: \"{customer}\" }}")),
            step(
                &format!("register node ip-10-0-{}-17", seed % 200),
                [aws("ELBv2.RegisterTargets")
                    .asks(&format!(r#"{{"TargetGroupArn":"{arn}","Targets":[{{"Id":"i-0{seed:08x}def67890","Port":8086}}]}}"#))
                    .says(&format!("registered i-0{seed:08x}def67890 in {} ms", seed % 90))],
            ),
        ],
    )
    .with(semconv::RESOURCE, format!("clusters/{customer}"))
    .with(semconv::RUN_ID, format!("{seed:08x}"))
}

#[test]
fn another_run_of_the_same_resource() {
    let answer = compared(&story("idg", 0x1a2b_3c4d), &story("idg", 0x5e6f_7081));
    assert_eq!(told(&answer), [""; 0]);
}

#[test]
fn the_same_run_of_another_resource() {
    let answer = compared(&story("idg", 0x1a2b_3c4d), &story("umbrella", 0x5e6f_7081));
    assert_eq!(told(&answer), [""; 0]);
}

#[test]
fn a_resource_that_is_called_by_an_everyday_word() {
    let answer = compared(&story("nodes", 0x1a2b_3c4d), &story("cluster", 0x5e6f_7081));
    assert_eq!(told(&answer), [""; 0]);
}

#[test]
fn a_name_that_only_pairing_can_find() {
    let of = |tenant: &str, size: &str| {
        let call = |n: u32| {
            aws("S3.PutObject")
                .with("bucket.name", format!("{tenant}-data"))
                .with("part", format!("p{n}"))
        };
        step("upload", [call(1), call(2), call(3)])
            .with("tenant", tenant)
            .with("machine.type", size)
    };
    let answer = compared(&of("acme", "t3.large"), &of("initech", "t3.large"));
    assert_eq!(told(&answer), [""; 0]);
    assert_eq!(answer.renamed.len(), 1);
    assert_eq!((&*answer.renamed[0].a, &*answer.renamed[0].b), ("acme", "initech"));

    let answer = compared(&of("acme", "t3.large"), &of("initech", "m5.large"));
    assert_eq!(
        told(&answer),
        ["changed upload, attribute machine.type: \"t3.large\" → \"m5.large\""]
    );
}

#[test]
fn a_name_that_is_not_the_same_everywhere_is_a_change() {
    let of = |names: [&str; 3]| {
        step(
            "upload",
            names.map(|name| {
                aws(&format!("S3.{}", ["Put", "Get", "Head"][name.len() % 3]))
                    .with("bucket.name", name)
            }),
        )
    };
    // Lengths 4, 5 and 6 keep the calls apart; the buckets change in two ways.
    let answer = compared(&of(["acme", "acmes", "acmess"]), &of(["blue", "green", "yellow"]));
    assert_eq!(answer.counts.changed, 3, "{:#?}", told(&answer));
    assert!(answer.renamed.is_empty());
}

#[test]
fn what_somebody_chose_is_a_change() {
    let with = |nodes: u32, port: u32, cidr: &str| {
        step(
            "run",
            [aws("EC2.RunInstances").asks(&format!(
                r#"{{"MaxCount":{nodes},"Rules":[{{"Port":{port},"CidrIp":"{cidr}"}}]}}"#
            ))],
        )
    };
    assert_eq!(
        told(&compared(&with(3, 8086, "10.0.0.0/16"), &with(5, 8087, "0.0.0.0/0"))),
        ["changed run > EC2.RunInstances, request MaxCount: 3 → 5, \
          request Rules[0].Port: 8086 → 8087, \
          request Rules[0].CidrIp: \"10.0.0.0/16\" → \"0.0.0.0/0\""]
    );
}

#[test]
fn an_odd_answer_is_told_by_its_path() {
    let with = |answer: &str| step("run", [aws("ELBv2.DescribeTargetGroups").gets(answer)]);
    let good = with(r#"{"TargetGroups":[{"Port":8086}],"NextMarker":null}"#);
    let bad = with(r#"{"TargetGroups":[],"NextMarker":null}"#);
    assert_eq!(
        told(&compared(&good, &bad)),
        [
            "changed run > ELBv2.DescribeTargetGroups, response TargetGroups[0]: {\"Port\":8086} → nothing"
        ]
    );
}
