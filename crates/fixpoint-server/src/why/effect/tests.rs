//! Zoos, so that nothing can be known of the things by their names.

use fixpoint_trace::model::{
    Kind, Span, SpanContext, SpanId, Status, Trace, TraceId, UnixNanos, Value,
};
use serde_json::{Value as Json, json};

use super::*;
use crate::why::{passing, plan::cause};

/// A run: a look of the plan, and steps, one after the other, each with its calls.
#[derive(Default)]
struct Zoo {
    spans: Vec<Span>,
    step: Option<SpanId>,
}

impl Zoo {
    fn span(&mut self, name: &str, parent: Option<SpanId>) -> &mut Span {
        let now = self.spans.len() as UnixNanos;
        let span_id = SpanId::from_bytes((now + 1).to_be_bytes()).unwrap();
        let trace_id = TraceId::from_bytes(1_u128.to_be_bytes()).unwrap();
        let mut span = Span::new(SpanContext { trace_id, span_id }, name, 10 * now);
        (span.end, span.parent) = (Some(10 * now + 5), parent);
        self.spans.push(span);
        self.spans.last_mut().unwrap()
    }

    fn step(mut self, name: &str) -> Self {
        let span = self.span(name, None);
        if name != CREATE {
            span.attributes.insert(semconv::STEP_KEY.into(), name.into());
        }
        self.step = Some(span.span_id);
        self
    }

    fn call(mut self, method: &str, request: Json, answer: Json) -> Self {
        let step = self.step;
        let id = format!("request-{}", self.spans.len());
        let span = self.span(&format!("Zoo.{method}"), step);
        span.kind = Kind::Client;
        for (name, value) in [
            (semconv::RPC_SERVICE, "Zoo".to_owned()),
            (semconv::RPC_METHOD, method.to_owned()),
            (semconv::REQUEST, request.to_string()),
            (semconv::RESPONSE, answer.to_string()),
            (semconv::AWS_REQUEST_ID, id),
        ] {
            span.attributes.insert(name.into(), Value::String(value));
        }
        self
    }

    fn fails(mut self, error: &str) -> Self {
        let span = self.spans.last_mut().unwrap();
        span.status = Status::Error(error.into());
        span.attributes.shift_remove(semconv::RESPONSE);
        span.attributes.insert(semconv::ERROR_TYPE.into(), error.into());
        self
    }

    /// What is behind the end of the run, if the last span of this name is to blame.
    fn unseen(self, kind: CauseKind, blamed: &str) -> Option<Cause> {
        let trace = Trace { spans: self.spans, ..Trace::default() };
        let view = View::new(&trace);
        let places: Vec<At> = view.all().filter(|&at| view.span(at).name == blamed).collect();
        let span = view.span(*places.last().unwrap());
        let span_id = Some(span.span_id.to_string());
        let first = Cause { span_id, ..cause(kind, blamed, &format!("{blamed} was in vain")) };
        unseen(&view, &first, &places)
    }
}

/// What is named: the call, and what comes first of all that speaks for it.
fn named(cause: Option<Cause>) -> (String, String) {
    let cause = cause.expect("a cause");
    (cause.operation, cause.evidence.into_iter().next().map(|e| e.text).unwrap_or_default())
}

fn called(operation: &str, evidence: &str) -> (String, String) {
    (operation.to_owned(), evidence.to_owned())
}

fn cages(ids: &[&str]) -> Json {
    let cages: Vec<_> = ids.iter().map(|id| json!({"cageId": id, "state": "open"})).collect();
    // As EC2 writes a list without members.
    if cages.is_empty() { json!({"cageSet": ""}) } else { json!({"cageSet": cages}) }
}

fn build_cage() -> Zoo {
    let none = || cages(&[]);
    Zoo::default()
        .step("create")
        .call("DescribeCages", json!({}), none())
        .step("build_cage")
        .call("DescribeCages", json!({}), none())
        .call("CreateCage", json!({"Size": "9"}), json!({"cage": {"cageId": "cage-1"}}))
        .call("ModifyCage", json!({"CageId": "cage-1", "Roof": "true"}), json!({}))
}

#[test]
fn what_was_made_and_is_not_shown_is_named_with_the_look_that_does_not_show_it() {
    let zoo = build_cage().call("DescribeCages", json!({}), cages(&[])).call(
        "DescribeCages",
        json!({}),
        cages(&["cage-9"]),
    );
    let cause = zoo.unseen(CauseKind::NotMoving, "build_cage").unwrap();
    assert_eq!(
        cause.sentence,
        "Zoo.CreateCage reported success, but its effect does not show in Zoo.DescribeCages: \
         build_cage was in vain"
    );
    assert_eq!(cause.kind, CauseKind::WithoutEffect);
    assert_eq!(cause.request_id.as_deref(), Some("request-4"));
    assert_eq!(cause.consequences[0].operation, "build_cage");
    let look = "Zoo.DescribeCages, asked 2 times since, does not show it (request id request-7)";
    assert_eq!(named(Some(cause)), called("Zoo.CreateCage", look));
}

#[test]
fn what_was_made_and_is_shown_is_not_why_a_step_gave_up() {
    let zoo = build_cage().call(
        "DescribeCages",
        json!({}),
        json!({"cageSet": [{"cageId": "cage-1", "roof": "true"}]}),
    );
    assert_eq!(zoo.unseen(CauseKind::NotMoving, "build_cage"), None);
    // Nothing was looked at after the change, so nothing speaks against it.
    assert_eq!(build_cage().unseen(CauseKind::NotMoving, "build_cage"), None);
}

#[test]
fn what_is_not_found_and_was_never_seen_is_blamed_on_the_call_that_said_it_made_it() {
    let feed = |zoo: Zoo, error| {
        zoo.step("feed").call("Feed", json!({"CageId": "cage-1"}), json!({})).fails(error)
    };
    let made = || {
        let made = json!({"cage": {"cageId": "cage-1"}});
        Zoo::default().step("build_cage").call("CreateCage", json!({"Size": "9"}), made)
    };
    let why = "Zoo.Feed was in vain";
    let found = feed(made(), "CageNotFound").unseen(CauseKind::Failed, "Zoo.Feed");
    assert_eq!(named(found), called("Zoo.CreateCage", why));
    let itself = |zoo: Zoo| assert_eq!(zoo.unseen(CauseKind::Failed, "Zoo.Feed"), None);
    // That is not what it failed for.
    itself(feed(made(), "AccessDenied"));
    // A look has shown it.
    itself(feed(made().call("DescribeCages", json!({}), cages(&["cage-1"])), "CageNotFound"));
    // Another change of it was made.
    itself(feed(build_cage(), "CageNotFound"));
}

/// A step that sets something, and the plan's look after it.
fn set(method: &str, request: Json, look: &str, asked: Json, answer: Json) -> Zoo {
    Zoo::default()
        .step("set_it")
        .call(method, request, json!({"return": "true"}))
        .step("create")
        .call("ListKeepers", json!({}), json!({"Keepers": [{"KeeperName": "ann"}]}))
        .call(look, asked, answer)
}

#[test]
fn a_setting_is_looked_for_in_the_thing_that_it_was_made_for() {
    let modify = |roofs: [&str; 2]| {
        let cage = |id: &str, roof: &str| json!({"cageId": id, "roof": roof});
        let answer = json!({"cageSet": [cage("cage-1", roofs[0]), cage("cage-2", roofs[1])]});
        let request = json!({"CageId": "cage-1", "Roof": {"Value": "true"}});
        set("ModifyCageAttribute", request, "DescribeCages", json!({}), answer)
            .unseen(CauseKind::WithoutEffect, "set_it")
    };
    // That another cage has a roof says nothing of this one.
    let why = "Zoo.DescribeCages does not show it (request id request-4)";
    assert_eq!(named(modify(["false", "true"])), called("Zoo.ModifyCageAttribute", why));
    assert_eq!(modify(["true", "false"]), None);
}

#[test]
fn what_was_to_be_taken_away_and_is_still_there_is_named() {
    let revoke = |answer: Json| {
        let request = json!({"CageId": "cage-1", "Keys": [{"KeyName": "old"}]});
        set("RevokeCageKeys", request, "DescribeCages", json!({}), answer)
            .unseen(CauseKind::WithoutEffect, "set_it")
    };
    let with = json!({"cageSet": [{"cageId": "cage-1", "keys": [{"keyName": "old"}]}]});
    let why = "Zoo.DescribeCages does not show it (request id request-4)";
    assert_eq!(named(revoke(with)), called("Zoo.RevokeCageKeys", why));
    assert_eq!(revoke(json!({"cageSet": [{"cageId": "cage-1", "keys": ""}]})), None);
}

#[test]
fn of_several_changes_the_one_that_does_not_show_is_named() {
    let zoo = Zoo::default()
        .step("hire")
        .call("PutKeeperPlan", json!({"KeeperName": "ann", "PlanName": "daily"}), json!({}))
        .call("AddKeeperToNightTeam", json!({"TeamName": "ann", "KeeperName": "ann"}), json!({}))
        .step("create")
        .call("ListNightTeams", json!({}), json!({"Teams": [{"TeamName": "ann", "Keepers": ""}]}))
        .call("ListKeeperPlans", json!({"KeeperName": "ann"}), json!({"PlanNames": ["daily"]}));
    let why = "Zoo.ListNightTeams does not show it (request id request-4)";
    let found = zoo.unseen(CauseKind::WithoutEffect, "hire");
    assert_eq!(named(found), called("Zoo.AddKeeperToNightTeam", why));
}

#[test]
fn a_look_that_fails_after_a_change_is_the_cause_and_the_change_is_not() {
    let request = json!({"CageId": "cage-1", "Animals": [{"Id": "lion"}]});
    let zoo = set("RegisterAnimals", request, "DescribeAnimals", json!({}), json!({}));
    let found = zoo.fails("CageNotFound").unseen(CauseKind::WithoutEffect, "set_it").unwrap();
    assert_eq!((found.kind, &*found.operation), (CauseKind::Failed, "Zoo.DescribeAnimals"));
    assert_eq!(found.evidence[0].text, "so the effect of Zoo.RegisterAnimals was not seen");
}

#[test]
fn a_wait_that_only_looks_says_at_what() {
    let wait = |answers: [&str; 2]| {
        let zoo = answers.iter().fold(Zoo::default().step("wait_for_lion"), |zoo, state| {
            zoo.call("DescribeAnimals", json!({}), json!({"state": state}))
        });
        let trace = Trace { spans: zoo.spans, ..Trace::default() };
        let view = View::new(&trace);
        let span_id = Some(view.span(0).span_id.to_string());
        let waited = Cause { span_id, ..cause(CauseKind::NotMoving, "wait_for_lion", "") };
        named(Some(alone(&view, waited, &[0]))).1
    };
    let id = "(request id request-2)";
    assert_eq!(
        wait(["asleep", "asleep"]),
        format!("Zoo.DescribeAnimals was asked 2 times, with the same answer {id}")
    );
    assert_eq!(wait(["asleep", "hungry"]), format!("Zoo.DescribeAnimals was asked 2 times {id}"));
}

/// What went wrong in passing, before the last call of a run that reached its end.
fn in_passing(zoo: Zoo) -> Option<Cause> {
    let trace = Trace { spans: zoo.spans, ..Trace::default() };
    let view = View::new(&trace);
    passing::before(&view, view.all().next_back()?)
}

#[test]
fn a_look_that_for_once_did_not_show_what_is_there_is_why_a_step_was_run_again() {
    let looks = |shown: [&[&str]; 3]| {
        shown.iter().fold(build_cage().step("create"), |zoo, ids| {
            zoo.call("DescribeCages", json!({}), cages(ids))
        })
    };
    let then =
        |zoo: Zoo| in_passing(zoo.step("build_cage").call("CreateCage", json!({}), json!({})));
    let found = then(looks([&["cage-1"], &[], &["cage-1"]])).unwrap();
    assert_eq!((found.kind, &*found.operation), (CauseKind::Changed, "Zoo.DescribeCages"));
    assert!(found.sentence.contains("for once did not show cage-1"), "{}", found.sentence);
    // What is gone for good was no slip of a look, nor is what was not there before.
    assert_eq!(then(looks([&["cage-1"], &[], &[]])), None);
    assert_eq!(then(looks([&[], &["cage-1"], &["cage-1"]])), None);
}

#[test]
fn a_change_that_had_to_be_made_again_is_why_a_step_was_run_again() {
    let roofs = |first: &str| {
        let modify = json!({"CageId": "cage-1", "Roof": {"Value": "true"}});
        let cage = json!({"cageSet": [{"cageId": "cage-1", "roof": first}]});
        let zoo = set("ModifyCage", modify.clone(), "DescribeCages", json!({}), cage);
        zoo.step("set_it").call("ModifyCage", modify, json!({})).call("Feed", json!({}), json!({}))
    };
    let why = "Zoo.DescribeCages does not show it (request id request-4)";
    assert_eq!(named(in_passing(roofs("false"))), called("Zoo.ModifyCage", why));
    assert_eq!(in_passing(roofs("true")), None);
}
