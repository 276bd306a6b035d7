//! Every page, drawn from made-up data: complete, escaped, and free of anything inline.

use askama::Template;
use fixpoint_client::{
    ActiveStep, Baseline, Cause, CauseKind, Conclusion, ErrorReport, Evidence, GoodOne, Iteration,
    OnFailure, PlannedStep, Problem, Resource, Run, RunCause, RunState, SeenFact, TraceSummary,
    Waiting, Why, WithheldStep,
};
use fixpoint_trace::{
    model::{Kind, Trace},
    query::Query,
    store,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::*;

const TRACE: &str = "d572232a8fed45fad572232a8fed45fa";
const NASTY: &str = "<script>alert('x')</script>\"&";

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_763_800_000 + seconds)
}

fn step(name: &str) -> PlannedStep {
    PlannedStep { name: name.into(), key: format!("{name} {{ cluster: \"idg\" }}") }
}

fn run(state: RunState) -> RunView {
    let fact = |what: &str, value: &str| SeenFact { what: what.into(), value: value.into() };
    let failed = matches!(state, RunState::Failed | RunState::NotConverging);
    let waiting = Waiting {
        reason: "3 instances to be running".into(),
        wanted: "3 of 3".into(),
        seen: "1 of 3".into(),
        polls: 4,
        deadline: Some(at(600)),
    };
    RunView::new(Run {
        id: "01k9q7m3v0aa".into(),
        resource: "clusters/idg".into(),
        generation: 2,
        plan: "create_cluster".into(),
        state,
        halted: None,
        rolls_back: false,
        trace_id: TRACE.into(),
        span_id: "a000000000000001".into(),
        iterations: 3,
        steps: 9,
        attempts: 2,
        created_at: at(0),
        ended_at: state.is_final().then(|| at(18)),
        active: (state == RunState::Waiting)
            .then(|| ActiveStep {
                name: "wait_for_instances".into(),
                key: "Wait".into(),
                since: at(9),
                waiting: Some(waiting),
            })
            .into_iter()
            .collect(),
        cause: Some(RunCause::Request),
        plan_history: vec![
            Iteration {
                iteration: 1,
                at: at(1),
                steps: vec![
                    step("create_vpc"),
                    step("create_key_pair"),
                    step("create_subnet"),
                    step("create_subnet"),
                ],
                withheld: vec![WithheldStep {
                    what: "add-on grafana".into(),
                    why: "waits for a healthy data node".into(),
                }],
                seen: vec![fact("vpc", "none"), fact("registered nodes", "0 of 3")],
            },
            Iteration {
                iteration: 2,
                at: at(8),
                steps: vec![step("create_instances"), step("wait_for_instances")],
                withheld: vec![WithheldStep { what: "add-on grafana".into(), why: NASTY.into() }],
                seen: vec![
                    fact("vpc", "vpc-0a1b2c3d4e5f60718"),
                    fact("registered nodes", "0 of 3"),
                ],
            },
        ],
        error: failed.then(|| ErrorReport {
            message: "step register_cluster_node_to_lb failed".into(),
            causes: vec![
                "could not register i-0f3a9c2be41d7a003".into(),
                format!("AccessDenied: {NASTY}"),
            ],
            step: Some(step("register_cluster_node_to_lb")),
            permanent: false,
        }),
        acts: vec![],
        notifications: vec![],
        skipped: vec![],
        unusual: None,
        retry_at: failed.then(|| at(48)),
    })
}

fn resource() -> ResourceView {
    ResourceView::new(Resource {
        tenant: None,
        kind: "clusters".into(),
        name: "idg".into(),
        generation: 2,
        observed_generation: 1,
        mend: false,
        verification: None,
        spec: json!({"nodes": 3, "addons": ["grafana"], "tags": {"owner": NASTY}}),
        status: json!({"vpc_id": "vpc-0a1b2c3d4e5f60718", "nodes": [{"instance_id": "i-0f3a9c2be41d7a001"}]}),
        deleting: false,
        on_failure: OnFailure::RollBack,
        rolled_back: true,
        run_id: Some("01k9q7m3v0aa".into()),
        run_state: Some(RunState::Waiting),
        trace_id: Some(TRACE.into()),
        created_at: at(0),
        updated_at: at(9),
    })
}

fn schema() -> serde_json::Value {
    json!({
        "type": "object",
        "properties": {
            "nodes": {"type": "integer", "minimum": 1, "maximum": 50, "default": 3, "description": "How many InfluxDB nodes."},
            "addons": {"type": "array", "items": {"oneOf": [{"const": "grafana", "description": "Dashboards."}, {"const": "kapacitor"}, {"const": "chronograf"}]}, "default": []},
            "instance_type": {"type": "string", "default": "m6i.large", "description": "The nodes' size."},
            "region": {"type": "string", "enum": ["eu-central-1", "us-east-1"]},
            "termination_protection": {"type": "boolean", "default": false},
            "tags": {"type": "object", "description": NASTY},
        },
    })
}

/// An answer whose every text is hostile.
fn why() -> Why {
    let evidence = Evidence { text: NASTY.into(), span_id: Some("a000000000000002".into()) };
    let cause = Cause {
        kind: CauseKind::Missing,
        sentence: NASTY.into(),
        service: NASTY.into(),
        operation: NASTY.into(),
        step: Some("register_cluster_node_to_lb".into()),
        span_id: Some("a000000000000001".into()),
        request_id: Some(NASTY.into()),
        error_type: Some(NASTY.into()),
        hint: Some(NASTY.into()),
        evidence: vec![evidence],
        consequences: Vec::new(),
    };
    Why {
        trace_id: TRACE.into(),
        run: None,
        conclusion: Conclusion::Cause,
        sentence: NASTY.into(),
        cause: Some(Cause { consequences: vec![cause.clone()], ..cause.clone() }),
        others: vec![cause],
        baseline: Baseline {
            of: NASTY.into(),
            good: 50,
            last: Some(GoodOne {
                trace_id: TRACE.into(),
                run_id: None,
                resource: Some(NASTY.into()),
                ended_at: at(0),
            }),
        },
        unknown: vec![NASTY.into()],
    }
}

/// All pages, by the name under which a browser asks for them.
fn pages() -> Vec<(&'static str, String)> {
    let states =
        [RunState::Waiting, RunState::Failed, RunState::NotConverging, RunState::Converged];
    let form = || Form::create("clusters", &schema());
    let section =
        |resources| KindSection { kind: "clusters".into(), resources, more: false, form: form() };
    let change =
        Form::change("clusters", "idg", "\"2\"".into(), &schema(), &resource().resource.spec);
    let run_page = |state| {
        let run = run(state);
        let chrome = Chrome::new("create_cluster").section("runs").follow(&run.run);
        let good = Some(self::run(RunState::Converged));
        RunPage { chrome, run, verbs: VerbView::of(state), good }.render()
    };
    let hit = |query: &str| HitView::new(&Hit::Run(Box::new(run(RunState::Failed).run)), query);
    let problem = Problem {
        kind: "about:blank".into(),
        title: "Not found".into(),
        status: 404,
        detail: format!("there is no page {NASTY}"),
        hint: Some("the search box finds ids".into()),
        errors: vec![],
        place: None,
        trace_id: TRACE.into(),
    };
    let drawn = [
        (
            "home",
            HomePage {
                chrome: Chrome::new("Resources").section("resources").refresh(2),
                kinds: vec![section(vec![resource()])],
                runs: states.map(run).to_vec(),
            }
            .render(),
        ),
        (
            "first",
            HomePage {
                chrome: Chrome::new("Resources").section("resources"),
                kinds: vec![section(vec![])],
                runs: vec![],
            }
            .render(),
        ),
        (
            "runs",
            RunsPage {
                chrome: Chrome::new("Runs").section("runs"),
                runs: states.map(run).to_vec(),
                next: Some("/runs?page_token=x".into()),
                state: Some(RunState::Failed),
            }
            .render(),
        ),
        ("run", run_page(RunState::Waiting)),
        ("failed", run_page(RunState::Failed)),
        ("converged", run_page(RunState::Converged)),
        (
            "trace",
            TracePage {
                chrome: Chrome::new("Trace"),
                trace_id: TRACE.into(),
                base: format!("/traces/{TRACE}"),
                went_wrong: true,
                runs: vec![run(RunState::Failed)],
                good: None,
            }
            .render(),
        ),
        (
            "why",
            WhyPage {
                chrome: Chrome::new("Why"),
                base: format!("/traces/{TRACE}"),
                what: NASTY.into(),
                why: WhyView::new(why()),
            }
            .render(),
        ),
        (
            "diff",
            DiffPage {
                chrome: [RunState::Waiting, RunState::Converged]
                    .iter()
                    .fold(Chrome::new(NASTY), |chrome, &state| chrome.follow(&run(state).run)),
                a: DiffSide { trace_id: TRACE.into(), run: None },
                b: DiffSide { trace_id: TRACE.into(), run: Some(run(RunState::Waiting)) },
            }
            .render(),
        ),
        (
            "resource",
            ResourcePage {
                chrome: Chrome::new("clusters/idg"),
                resource: resource(),
                runs: states.map(run).to_vec(),
                form: change,
            }
            .render(),
        ),
        (
            "search",
            SearchPage {
                chrome: Chrome { query: NASTY.into(), ..Chrome::new("Search") },
                hits: vec![hit("idg")],
                as_query: Some("/traces?q=idg".into()),
            }
            .render(),
        ),
        (
            "nothing",
            SearchPage {
                chrome: Chrome { query: "i-0".into(), ..Chrome::new("Search") },
                hits: vec![],
                as_query: None,
            }
            .render(),
        ),
        ("traces", traces_page("error").render()),
        ("mistake", traces_page("error and <script>alert('x')</script>").render()),
        ("operations", operations_page().render()),
        ("error", ErrorPage { chrome: Chrome::new("Not found"), problem }.render()),
    ];
    drawn
        .into_iter()
        .map(|(name, html)| (name, html.unwrap_or_else(|e| panic!("{name}: {e}"))))
        .collect()
}

/// A page of one trace, or of a mistake.
fn traces_page(q: &str) -> TracesPage {
    let parsed = q.parse::<Query>();
    let now = at(60);
    let traces =
        [trace_summary(NASTY), TraceSummary { open: 1, ended_at: None, ..trace_summary("") }];
    let shape = Shape::new(&Trace::default(), 0);
    let row = TraceRow::new(traces[0].clone(), Some(shape), now);
    TracesPage {
        chrome: Chrome::new("Traces").section("traces"),
        asked: Asked { q: q.into(), since: "1h".into(), until: String::new() },
        mistake: parsed.as_ref().err().map(Mistake::from),
        query: parsed.unwrap_or_default(),
        found: Found {
            rows: vec![row],
            scatter: Scatter::new(&traces, (None, None), now),
            drawn: 2,
            more: true,
            before: Some(at(60)),
            next: Some("/traces?page_token=x".into()),
            partial: Some(NASTY.into()),
        },
    }
}

fn operations_page() -> OperationsPage {
    let mut bucket = store::RateBucket { time: 0, spans: 3, errors: 1, ..Default::default() };
    bucket.durations.add(1_500_000);
    let rates = store::Rates {
        service: NASTY.into(),
        name: NASTY.into(),
        kind: Kind::Client,
        buckets: vec![bucket],
    };
    let window = Window { from: 0, to: 60_000_000_000, step: 60_000_000_000 };
    let page = OperationsPage {
        chrome: Chrome::new("Operations").section("operations"),
        service: String::new(),
        since: "1m".into(),
        until: String::new(),
        window,
        sort: Sort::default(),
        services: vec![NASTY.into()],
        rows: vec![OperationRow::new(rates, window, &Asked::default())],
        total: 0,
        failing: 0,
        scale: None,
    };
    page.arranged(10)
}

/// A trace that ended, in a line.
pub(super) fn trace_summary(name: &str) -> TraceSummary {
    TraceSummary {
        trace_id: TRACE.into(),
        name: name.into(),
        service: "fixpoint".into(),
        started_at: at(0),
        ended_at: Some(at(18)),
        failed: false,
        spans: 9,
        open: 0,
        errors: 1,
        logs: 3,
    }
}

#[test]
fn text_from_outside_never_becomes_markup() {
    for (name, html) in pages() {
        assert!(!html.contains("<script>alert"), "{name}");
    }
}

#[test]
fn pages_keep_the_content_security_policy() {
    for (name, html) in pages() {
        for inline in ["style=", "<style", "onclick=", "javascript:", "http://", "https://"] {
            assert!(!html.contains(inline), "{name} holds {inline}");
        }
    }
}

#[test]
fn a_mistake_in_a_query_is_shown_in_place_of_traces() {
    let drawn: std::collections::BTreeMap<_, _> = pages().into_iter().collect();
    let (found, mistake) = (&drawn["traces"], &drawn["mistake"]);
    assert!(mistake.contains("^") && mistake.contains("aria-invalid"), "{mistake}");
    assert!(mistake.contains("What one can ask") && !mistake.contains("data-rows"));
    for part in
        ["This may not be all there is", "more than 2 traces match", "Older traces", "data-dot"]
    {
        assert!(found.contains(part) && !mistake.contains(part), "{part}");
    }
}

#[test]
fn ids_are_unique_within_a_page() {
    for (name, html) in pages() {
        let mut ids: Vec<_> =
            html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{name}: {ids:?}");
    }
}

#[test]
fn a_failed_run_shows_the_chain_and_the_trace() {
    let html = pages().into_iter().find(|(name, _)| *name == "failed").map(|(_, html)| html);
    let html = html.unwrap_or_default();
    for part in
        ["step register_cluster_node_to_lb failed", "could not register", TRACE, "planned again at"]
    {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn a_waiting_run_says_what_it_waits_for_and_what_is_withheld() {
    let html = pages().into_iter().find(|(name, _)| *name == "run").map(|(_, html)| html);
    let html = html.unwrap_or_default();
    for part in ["waits for 3 instances to be running", "1 of 3", "add-on grafana", "none</s> → "]
    {
        assert!(html.contains(part), "{part}");
    }
}

#[test]
fn a_trace_that_was_found_by_an_id_opens_with_that_id_searched_for() {
    let summary = |trace_id: &str| {
        Hit::Trace(TraceSummary {
            trace_id: trace_id.into(),
            failed: true,
            ended_at: None,
            open: 1,
            ..trace_summary("POST /v1/clusters")
        })
    };
    assert_eq!(HitView::new(&summary(TRACE), TRACE).href, format!("/traces/{TRACE}"));
    let found = HitView::new(&summary(TRACE), "i-0f3a 1");
    assert_eq!(found.href, format!("/traces/{TRACE}?find=i-0f3a%201"));
    assert_eq!(found.state, "running");
}

#[test]
fn a_search_leads_straight_to_what_bears_the_name() {
    let run = Hit::Run(Box::new(run(RunState::Failed).run));
    let resource = Hit::Resource(Box::new(resource().resource));
    let hits = [run, resource];
    let hrefs =
        |query| HitView::all(&hits, query).into_iter().map(|hit| hit.href).collect::<Vec<_>>();
    assert_eq!(hrefs("01k9q7m3v0aa"), ["/runs/01k9q7m3v0aa"]);
    assert_eq!(hrefs("idg"), ["/clusters/idg"]);
    assert_eq!(HitView::all(&hits[..1], "i-0f3a9c2be41d7a003").len(), 1);
}
