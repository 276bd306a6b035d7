//! The query language: what its text means, and what it says of a text that means nothing.

use std::fmt::Write;

use fixpoint_trace::query::{
    Alternative, Condition, Field, Length, Literal, MAX_CONDITIONS, MAX_LENGTH, Op, Query,
    QueryError, SpanFilter, TraceCondition,
};
use proptest::{collection::vec, option, prelude::*};

fn read(text: &str) -> Query {
    text.parse().unwrap_or_else(|error: QueryError| {
        panic!("{error}\n{}\n{}", error.excerpt(), error.hint())
    })
}

/// A query as written, and as the language writes it itself.
const GOOD: [(&str, &str); 43] = [
    ("", ""),
    ("  \n ", ""),
    (
        r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#,
        r#"missing("ELBv2.RegisterTargets") after "ELBv2.DescribeTargetGroups""#,
    ),
    ("missing(ELBv2.RegisterTargets)", r#"missing("ELBv2.RegisterTargets")"#),
    (r#"missing(name = "X" and region = "y")"#, r#"missing(name = "X" and region = "y")"#),
    (
        r#"missing(X) after (name = Y and error)"#,
        r#"missing("X") after (name = "Y" and status = error)"#,
    ),
    ("missing(error) after (Y)", r#"missing(status = error) after "Y""#),
    (r#"has("X") and has(error)"#, r#"has("X") and has(status = error)"#),
    ("has(customer missing)", "has(customer missing)"),
    ("error", "status = error"),
    ("ERROR AND Open", "status = error and trace.open"),
    ("open and error", "status = error and trace.open"),
    ("ELBv2.RegisterTargets", r#"name = "ELBv2.RegisterTargets""#),
    (r#""create node""#, r#"name = "create node""#),
    (r#""error""#, r#"name = "error""#),
    ("a or b and c or d", r#"name = "a" or name = "b" and name = "c" or name = "d""#),
    ("service = api", r#"service = "api""#),
    ("Service!=api", r#"service != "api""#),
    ("name ~ target", r#"name ~ "target""#),
    ("name !~ 500", r#"name !~ "500""#),
    ("name = 500", r#"name = "500""#),
    ("service exists", "service exists"),
    ("kind = CLIENT", "kind = client"),
    ("status != Open", "status != open"),
    ("status.message ~ timeout", r#"status.message ~ "timeout""#),
    ("scope = hyper", r#"scope = "hyper""#),
    ("duration > 1.5s and duration<=90m", "duration > 1.5s and duration <= 1h30m"),
    ("duration missing", "duration missing"),
    (r#"root = "run clusters""#, r#"root = "run clusters""#),
    ("trace.duration >= 200ms", "trace.duration >= 200ms"),
    ("trace.spans > 100 and trace.errors = 0", "trace.spans > 100 and trace.errors = 0"),
    ("trace.open = false", "trace.open = false"),
    ("trace.open != false", "trace.open"),
    (r#"log ~ "target group""#, r#"log ~ "target group""#),
    ("log !~ registered", r#"log !~ "registered""#),
    ("region = eu-west-1", r#"region = "eu-west-1""#),
    ("http.response.status_code >= 500", "http.response.status_code >= 500"),
    ("ratio < -0.5", "ratio < -0.5"),
    ("timeout = 10m", "timeout = 10m"),
    ("cached = TRUE", "cached = true"),
    (
        "arn = arn:aws:iam::123456789012:role/x and aws.account.id = 12345678901234567890",
        r#"arn = "arn:aws:iam::123456789012:role/x" and aws.account.id = "12345678901234567890""#,
    ),
    (
        r#"`customer name` = "a \"b\"\n\\" and "odd key" exists and `error` = true"#,
        r#"`customer name` = "a \"b\"\n\\" and `odd key` exists and `error` = true"#,
    ),
    ("service.name = api and names.x = 1", r#"service.name = "api" and names.x = 1"#),
];

#[test]
fn a_query_is_read_and_written_in_one_form() {
    for (text, written) in GOOD {
        assert_eq!(read(text).to_string(), written, "{text}");
        assert_eq!(read(written), read(text), "{text}");
    }
}

#[test]
fn and_binds_tighter_than_or_and_conditions_go_to_the_span_or_to_the_trace() {
    let name = |name: &str| Condition::equal(Field::Name, name);
    let expected = Query {
        any: vec![
            Alternative {
                span: vec![name("a"), Condition::equal(Field::Status, "error")],
                trace: vec![TraceCondition::Spans(Op::More, 5)],
            },
            Alternative {
                span: vec![],
                trace: vec![TraceCondition::Missing {
                    what: vec![name("b")],
                    after: Some(vec![name("c")]),
                }],
            },
        ],
    };
    assert_eq!(read("a and trace.spans > 5 and error or missing(b) after c"), expected);
}

const BAD: [&str; 66] = [
    "kind = serer",
    "kind ~ server",
    "kind = 3",
    "status = failed",
    "status = eror",
    "status > ok",
    r#"duration = "abc""#,
    "duration > 10",
    "duration > 1h30",
    "duration ~ 1s",
    "duration",
    "trace.duration > fast",
    "trace.spans > many",
    "trace.spans ~ 5",
    "trace.errors = -1",
    "trace.open = maybe",
    "trace.foo = 1",
    "status.code = 2",
    "servcie = api",
    "Names = x",
    "trace_id = 4bf92f3577b34da6a3ce929d0e0e4736",
    ".http.method = GET",
    "error = true",
    "not error",
    "not(error)",
    "log = timeout",
    "log",
    "root > 5",
    "name < b",
    "region > eu",
    "cached > true",
    "service =",
    "service = and error",
    "service = or",
    "service = `api`",
    "= api",
    "and error",
    "error and",
    "error or or open",
    "error and and open",
    "create node",
    "name = create node group and error",
    "service = api error",
    "error duration > 1s",
    "service = a = b",
    "name contains target",
    "service is api",
    "service in (a, b)",
    "service:api",
    "name == x",
    r#"name =~ "x""#,
    "error && open",
    "error || open",
    "error, open",
    r#"{ name = "x" }"#,
    "name = 'x'",
    "name = “x”",
    r#"name = "x"#,
    r#"name = "a\d""#,
    "(a or b) and c",
    "missing()",
    r#"missing("a""#,
    r#"missing("a" or "b")"#,
    "missing(trace.spans > 5)",
    r#"has("a") after "b""#,
    r#"missing("a") after"#,
];

/// More of them, which are easier to read apart.
const BAD_TOO: [&str; 15] = [
    r#"missing("a") after trace.open"#,
    r#"mising("a")"#,
    "missing",
    "error)",
    "has(has(a))",
    "10s",
    "500",
    "!error",
    "`customer`",
    "`` = 1",
    "error\nand knid = server\nor open",
    "a\u{7}b",
    "service missing(x)",
    "error after open",
    "path = C:\\temp",
];

#[test]
fn every_mistake_is_told_with_its_place_what_was_expected_and_a_way_out() {
    let mut said = String::new();
    for text in BAD.iter().chain(&BAD_TOO) {
        let error = text.parse::<Query>().expect_err(text);
        assert!(text.is_char_boundary(error.at().start) && text.is_char_boundary(error.at().end));
        writeln!(said, "{error}\n{}\nhint: {}\n", error.excerpt(), error.hint()).unwrap();
    }
    insta::assert_snapshot!(said);
}

/// A hint that gives an example must not lead to the next mistake.
#[test]
fn what_a_hint_proposes_is_a_query() {
    for text in BAD.iter().chain(&BAD_TOO) {
        let error = text.parse::<Query>().expect_err(text);
        for proposal in error.hint().split("rite `").skip(1) {
            let proposal = proposal.split('`').next().unwrap();
            read(proposal);
        }
    }
}

/// The page that teaches the language is wrong as soon as one of its examples is.
#[test]
fn every_query_of_the_page_about_searching_is_one() {
    let page = include_str!("../../../../docs/search.md");
    let commands = page.lines().filter_map(|line| line.strip_prefix("fixpoint search "));
    let commands = commands.map(|rest| match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap(),
        None => rest.split(' ').next().unwrap(),
    });
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split("` |").next());
    let cells = cells.filter(|cell| cell.contains('('));
    let block = page.split("```").find(|block| block.contains("status = error")).unwrap();
    let lines = block.lines().filter(|line| !line.is_empty());
    let lines = lines.map(|line| line.split("   ").next().unwrap());
    let queries: Vec<_> = commands.chain(cells).chain(lines).collect();
    assert!(queries.len() > 15, "{queries:?}");
    for query in queries {
        assert_ne!(read(query), Query::default(), "{query}");
    }
}

#[test]
fn a_query_is_bounded_in_length_and_conditions() {
    let long = format!("name = \"{}\"", "ä".repeat(MAX_LENGTH));
    let error = long.parse::<Query>().unwrap_err();
    assert_eq!(error.at().end, long.len());
    assert!(error.to_string().contains("at most 4096"), "{error}");
    let fits = format!("name = \"{}\"", "x".repeat(MAX_LENGTH - 9));
    assert_eq!(fits.len(), MAX_LENGTH);
    read(&fits);

    let conditions = |count: usize| vec!["error"; count].join(" and ");
    read(&conditions(MAX_CONDITIONS));
    let error = conditions(MAX_CONDITIONS + 1).parse::<Query>().unwrap_err();
    assert!(error.to_string().contains("at most 64"), "{error}");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z.]{1,12}",
        "\\PC{0,12}",
        any::<String>(),
        Just("and".to_owned()),
        Just("error".to_owned()),
        Just("1h".to_owned())
    ]
}

fn op(ops: &'static [Op]) -> impl Strategy<Value = Op> {
    (0..ops.len()).prop_map(|n| ops[n])
}

const TEXTS: &[Op] = &[Op::Equal, Op::NotEqual, Op::Contains, Op::Lacks];
const ORDERED: &[Op] = &[Op::Equal, Op::NotEqual, Op::Less, Op::AtMost, Op::More, Op::AtLeast];
const SAME: &[Op] = &[Op::Equal, Op::NotEqual];

fn condition() -> impl Strategy<Value = Condition> {
    let texts = prop_oneof![
        Just(Field::Service),
        Just(Field::Name),
        Just(Field::StatusMessage),
        Just(Field::Scope)
    ];
    let attribute = || {
        let name = prop_oneof![text(), "[a-z.]{1,12}"];
        name.prop_filter("a name", |name| !name.is_empty()).prop_map(Field::Attribute)
    };
    let number = || {
        let number = prop_oneof![any::<f64>(), any::<i32>().prop_map(f64::from)];
        number.prop_filter("finite", |it| it.is_finite()).prop_map(Literal::Number)
    };
    let of = |(field, op, value)| Condition { field, op, value };
    prop_oneof![
        (texts, op(TEXTS), text().prop_map(Literal::Text)).prop_map(of),
        (attribute(), op(TEXTS), text().prop_map(Literal::Text)).prop_map(of),
        (attribute(), op(ORDERED), number()).prop_map(of),
        (attribute(), op(ORDERED), any::<u64>().prop_map(Literal::Duration)).prop_map(of),
        (attribute(), op(SAME), any::<bool>().prop_map(Literal::Bool)).prop_map(of),
        (Just(Field::Duration), op(ORDERED), any::<u64>().prop_map(Literal::Duration)).prop_map(of),
        (attribute(), op(&[Op::Exists, Op::Absent]), Just(Literal::Text(String::new())))
            .prop_map(of),
        (op(SAME), prop_oneof![Just("server"), Just("client")])
            .prop_map(|(op, kind)| Condition { op, ..Condition::equal(Field::Kind, kind) }),
        (op(SAME), prop_oneof![Just("error"), Just("open"), Just("unset")])
            .prop_map(|(op, status)| Condition { op, ..Condition::equal(Field::Status, status) }),
    ]
}

fn filter() -> impl Strategy<Value = SpanFilter> {
    vec(condition(), 1..3)
}

fn trace_condition() -> impl Strategy<Value = TraceCondition> {
    prop_oneof![
        (op(TEXTS), text()).prop_map(|(op, name)| TraceCondition::Root(op, name)),
        (op(ORDERED), any::<u64>()).prop_map(|(op, it)| TraceCondition::Duration(op, it)),
        (op(ORDERED), any::<u64>()).prop_map(|(op, it)| TraceCondition::Spans(op, it)),
        (op(ORDERED), any::<u64>()).prop_map(|(op, it)| TraceCondition::Errors(op, it)),
        any::<bool>().prop_map(TraceCondition::Open),
        (op(&[Op::Contains, Op::Lacks]), text())
            .prop_map(|(op, text)| TraceCondition::Log(op, text)),
        filter().prop_map(TraceCondition::Has),
        (filter(), option::of(filter()))
            .prop_map(|(what, after)| TraceCondition::Missing { what, after }),
    ]
}

fn query() -> impl Strategy<Value = Query> {
    let alternative = (vec(condition(), 0..4), vec(trace_condition(), 0..4))
        .prop_filter("not empty", |(span, trace)| !span.is_empty() || !trace.is_empty())
        .prop_map(|(span, trace)| Alternative { span, trace });
    vec(alternative, 0..4).prop_map(|any| Query { any })
}

proptest! {
    #[test]
    fn a_query_that_is_written_is_read_back(query in query()) {
        let text = query.to_string();
        if text.len() <= MAX_LENGTH {
            prop_assert_eq!(text.parse(), Ok(query), "{}", text);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text: String) {
        let _ = text.parse::<Query>();
    }

    #[test]
    fn no_sequence_of_words_makes_it_panic(words in vec(
        prop_oneof![
            "[a-z]{1,3}", Just("and".into()), Just("or".into()), Just("after".into()), Just("has".into()),
            Just("missing".into()), Just("exists".into()), Just("(".into()), Just(")".into()),
            Just("=".into()), Just("!~".into()), Just("duration".into()), Just("log".into()),
            Just("\"a b\"".into()), Just("`c`".into()), Just("1s".into()), Just("trace.open".into()),
        ], 0..12)
    ) {
        let text = words.join(" ");
        if let Err(error) = text.parse::<Query>() {
            prop_assert!(error.at().end <= text.len());
            prop_assert!(!error.hint().is_empty() && !error.expected().is_empty());
        }
    }
}

#[test]
fn a_length_of_time_has_one_text_for_queries_and_parameters() {
    assert_eq!("1h30m".parse(), Ok(Length(5_400_000_000_000)));
    assert!("an hour".parse::<Length>().unwrap_err().to_string().contains("`1h30m`"));
}
