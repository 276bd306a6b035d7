//! Tenants beside each other: what each has planted, and who finds it.
//!
//! `walk.rs` goes through every route of the OpenAPI document. Here: who may make what, under which
//! name. The surprise: to each tenant the other is not refused but not there, and so the answers
//! are compared with those about what never was.

mod sent;
mod walk;

use axum::http::{Method, StatusCode};
use fixpoint_client::{Resource, ResourcePage, Role, Run, RunPage, RunState};
use serde_json::{Value, json};

use super::{access::Guarded, *};

/// A tenant, its token, and what it has made.
struct Tenant {
    name: &'static str,
    secret: String,
    /// What its one toy is called, which occurs nowhere else.
    gem: &'static str,
    run: Run,
}

/// Two tenants and a toy of each, and one that is nobody's.
struct Town {
    server: Guarded,
    initech: Tenant,
    globex: Tenant,
}

impl Town {
    async fn new() -> Self {
        let server = Guarded::new().await;
        let initech = Tenant::settle(&server, "initech", "ruby").await;
        let globex = Tenant::settle(&server, "globex", "topaz").await;
        let nobodys = json!({"name": "quartz", "words": ["quartz-word"]});
        let made = server.send(Method::POST, "/v1/toys", Some(&server.admin), Some(nobodys)).await;
        ended(&server, &server.admin, &made.run_id()).await;
        server.harness.recorder.flush().await.unwrap();
        Self { server, initech, globex }
    }

    async fn ask(&self, who: &Tenant, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.server.send(method, path, Some(&who.secret), body).await
    }

    async fn get(&self, who: &Tenant, path: &str) -> Answer {
        self.ask(who, Method::GET, path, None).await
    }
}

impl Tenant {
    async fn settle(server: &Guarded, name: &'static str, gem: &'static str) -> Self {
        let body = json!({"role": Role::Operator, "tenant": name, "name": format!("for {gem}")});
        let secret = server.token_of(body).await.secret;
        let toy = json!({"name": gem, "words": [format!("{gem}-word")]});
        let made = server.send(Method::POST, "/v1/toys", Some(&secret), Some(toy)).await;
        let run = ended(server, &secret, &made.run_id()).await;
        assert_eq!(run.state, RunState::Converged, "{run:#?}");
        Self { name, secret, gem, run }
    }

    /// The whole name of what it has made.
    fn toy(&self) -> String {
        format!("{}--{}", self.name, self.gem)
    }
}

async fn ended(server: &Guarded, token: &str, run: &str) -> Run {
    let path = format!("/v1/runs/{run}");
    let polling = async {
        loop {
            let run: Run = server.send(Method::GET, &path, Some(token), None).await.json();
            if run.state.is_final() {
                return run;
            }
            pause().await;
        }
    };
    time::timeout(PATIENCE, polling).await.expect("an end in time")
}

#[tokio::test]
async fn a_name_is_a_tenants_own_and_says_so_to_everybody() {
    let town = Town::new().await;
    let (initech, globex) = (&town.initech, &town.globex);
    // The same name, and the same idempotency key, twice.
    for who in [initech, globex] {
        let mut request = access::request(
            Method::POST,
            "/v1/toys",
            Some(&who.secret),
            Some(json!({"name": "car", "bricks": who.name.len() - 3})),
        );
        request.headers_mut().insert("idempotency-key", "once".parse().unwrap());
        let answer = town.server.harness.send(request).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:#?}");
        let made: Resource = answer.json();
        assert_eq!(made.name, format!("{}--car", who.name));
        assert_eq!(made.tenant.as_deref(), Some(who.name));
        ended(&town.server, &who.secret, &answer.run_id()).await;
    }
    // With and without its own name in front.
    for path in ["/v1/toys/car", "/v1/toys/initech--car"] {
        let found: Resource = town.get(initech, path).await.json();
        assert_eq!((&*found.name, &found.spec["bricks"]), ("initech--car", &json!(4)), "{path}");
    }
    for (who, expected) in
        [(initech, ["initech--car", "initech--ruby"]), (globex, ["globex--car", "globex--topaz"])]
    {
        let page: ResourcePage = town.get(who, "/v1/toys").await.json();
        let names: Vec<_> = page.items.iter().map(|toy| &*toy.name).collect();
        assert_eq!(names, expected);
        let page: RunPage = town.get(who, "/v1/runs").await.json();
        assert_eq!(page.items.len(), 2, "{page:#?}");
    }
    // Whoever runs the server sees all, and says whose it is by the name.
    let server = &town.server;
    let page: ResourcePage =
        server.send(Method::GET, "/v1/toys", Some(&server.admin), None).await.json();
    let whose: Vec<_> = page.items.iter().map(|toy| toy.tenant.as_deref()).collect();
    let (a, g) = (Some("initech"), Some("globex"));
    assert_eq!(whose, [g, g, a, a, None]);
    let body = json!({"name": "initech--gift"});
    let made = server.send(Method::POST, "/v1/toys", Some(&server.admin), Some(body)).await;
    assert_eq!(made.status, StatusCode::ACCEPTED);
    assert_eq!(town.get(initech, "/v1/toys/gift").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tenant_can_name_nothing_as_anothers() {
    let town = Town::new().await;
    let taken = json!({"name": town.globex.toy()});
    let free = json!({"name": "globex--nothing"});
    let other = json!({"name": "nobody--nothing"});
    let mut said = Vec::new();
    for body in [taken, free, other] {
        for path in ["/v1/toys", "/v1/toys?dry_run=true"] {
            let answer = town.ask(&town.initech, Method::POST, path, Some(body.clone())).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{answer:#?}");
            said.push(answer.value()["errors"].clone());
        }
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0][0]["detail"].as_str().unwrap().ends_with("begin with initech--"), "{said:#?}");

    // Nor move something there, while its own name may be sent back in either form.
    for (name, status) in [
        ("globex--ruby", StatusCode::UNPROCESSABLE_ENTITY),
        ("topaz", StatusCode::UNPROCESSABLE_ENTITY),
        ("ruby", StatusCode::OK),
        ("initech--ruby", StatusCode::OK),
    ] {
        let body = json!({"name": name});
        let answer = town.ask(&town.initech, Method::PATCH, "/v1/toys/ruby", Some(body)).await;
        assert_eq!(answer.status, status, "{name}: {answer:#?}");
    }
    for name in ["a--b--c", "initech---x", "initech--"] {
        let body = json!({"name": name});
        let admin = Some(&*town.server.admin);
        let answer = town.server.send(Method::POST, "/v1/toys", admin, Some(body)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {answer:#?}");
    }
}

#[tokio::test]
async fn pages_of_a_list_hold_as_many_as_they_would_without_others() {
    let town = Town::new().await;
    for name in ["a", "b", "c"] {
        for who in [&town.initech, &town.globex] {
            let body = json!({"name": name, "bricks": 1});
            let made = town.ask(who, Method::POST, "/v1/toys", Some(body)).await;
            ended(&town.server, &who.secret, &made.run_id()).await;
        }
    }
    for list in ["toys", "runs"] {
        let (mut path, mut pages) = (format!("/v1/{list}?limit=2"), Vec::new());
        loop {
            let page = town.get(&town.initech, &path).await.value();
            assert!(!page.to_string().contains("globex"), "{page:#}");
            pages.push(page["items"].as_array().unwrap().len());
            let Some(next) = page["next_page_token"].as_str() else { break };
            path = format!("/v1/{list}?limit=2&page_token={next}");
        }
        assert_eq!(pages, [2, 2], "{list}");
    }
    // A filter that names another's says no more than one that names nothing.
    for resource in ["toys/globex--topaz", "toys/globex--nothing"] {
        let page = town.get(&town.initech, &format!("/v1/runs?resource={resource}")).await.value();
        assert_eq!(page, json!({"items": []}), "{resource}");
    }
}

#[tokio::test]
async fn a_session_is_of_its_tokens_tenant() {
    let town = Town::new().await;
    let body = format!("token={}", town.initech.secret);
    let request = Request::post("/sign-in")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin")
        .body(Body::from(body))
        .unwrap();
    let answer = town.server.harness.send(request).await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    let ask = async |path: &str| {
        let request = Request::get(path).header("cookie", &cookie).body(Body::empty()).unwrap();
        town.server.harness.send(request).await
    };
    let page = ask("/v1/toys").await.text;
    assert!(page.contains("ruby") && !page.contains("topaz") && !page.contains("quartz"), "{page}");
    assert_eq!(ask("/v1/toys/globex--topaz").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask("/metrics").await.status, StatusCode::FORBIDDEN);
    let signed_in = ask("/sign-in").await.text;
    assert!(signed_in.contains("initech"), "{signed_in}");
}

/// Who sends a request chooses its trace, and may choose another's.
#[tokio::test]
async fn whoever_moves_into_anothers_trace_sees_nothing_of_it_there() {
    let town = Town::new().await;
    let (initech, globex) = (&town.initech, &town.globex);
    let (trace, span) = (&initech.run.trace_id, &initech.run.span_id);
    let into = async |who: &Tenant, path: &str, body: Option<Value>| {
        let mut request = access::request(Method::POST, path, Some(&who.secret), body);
        let parent = format!("00-{trace}-{span}-01").parse().unwrap();
        request.headers_mut().insert("traceparent", parent);
        town.server.harness.send(request).await
    };
    let follow = access::request(
        Method::GET,
        &format!("/v1/traces/{trace}/events?from=now"),
        Some(&initech.secret),
        None,
    );
    let followed = town.server.harness.router.clone().oneshot(follow).await.unwrap();

    let made = into(globex, "/v1/toys", Some(json!({"name": "opal"}))).await;
    let run = ended(&town.server, &globex.secret, &made.run_id()).await;
    assert_eq!(run.trace_id, *trace);
    let again = into(initech, "/v1/toys/ruby/runs", None).await;
    ended(&town.server, &initech.secret, &again.run_id()).await;
    town.server.harness.recorder.flush().await.unwrap();

    let mut seen = followed.into_body().into_data_stream();
    let mut heard = String::new();
    let a_while = Duration::from_millis(200);
    while let Ok(Some(chunk)) =
        time::timeout(a_while, futures_util::StreamExt::next(&mut seen)).await
    {
        heard.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
    }
    assert!(heard.contains("toys/initech--ruby") && !heard.contains("globex"), "{heard}");

    for path in [
        format!("/v1/traces/{trace}"),
        format!("/v1/traces/{trace}/rows?attributes=fixpoint.resource"),
        format!("/v1/traces/{trace}/why"),
        format!("/v1/traces/{trace}/diff/{trace}?rows=true"),
        format!("/v1/logs?trace_id={trace}"),
        format!("/v1/find?q={trace}"),
        format!("/traces/{trace}"),
        format!("/tempo/api/traces/{trace}"),
    ] {
        let (theirs, ours) = (town.get(initech, &path).await, town.get(globex, &path).await);
        assert_eq!((theirs.status, ours.status), (StatusCode::OK, StatusCode::OK), "{path}");
        for word in ["opal", "globex", &*run.id] {
            assert!(!theirs.text.contains(word), "{path} shows {word}: {}", theirs.text);
        }
        for word in ["ruby", "initech", &*initech.run.id] {
            assert!(!ours.text.contains(word), "{path} shows {word}: {}", ours.text);
        }
    }
    let searched =
        format!("/v1/traces?q=missing(fixpoint.resource%20=%20%22toys/{}%22)", initech.toy());
    let found = town.get(globex, &searched).await.text;
    assert!(
        found.contains(&**trace),
        "what is not theirs is missing, as far as they know: {found}"
    );
}

#[tokio::test]
async fn a_tenants_run_is_held_against_that_tenants_good_ones() {
    let town = Town::new().await;
    let (initech, globex) = (&town.initech, &town.globex);
    for name in ["one", "two", "three"] {
        let made = town.ask(globex, Method::POST, "/v1/toys", Some(json!({"name": name}))).await;
        ended(&town.server, &globex.secret, &made.run_id()).await;
    }
    {
        let mut world = town.server.harness.world.state();
        (world.failing, world.for_good) = (1, true);
    }
    let made = town.ask(initech, Method::POST, "/v1/toys", Some(json!({"name": "bad"}))).await;
    let run = ended(&town.server, &initech.secret, &made.run_id()).await;
    assert_eq!(run.state, RunState::Failed);
    let path = format!("/v1/runs/{}/why", run.id);
    let theirs = town.get(initech, &path).await;
    let why: fixpoint_client::Why = theirs.json();
    assert_eq!(why.baseline.good, 1, "{why:#?}");
    assert!(why.sentence.contains("lay_brick"), "{why:#?}");
    for word in ["globex", "topaz", "quartz"] {
        assert!(!theirs.text.contains(word), "{}", theirs.text);
    }
    // Whoever runs the server learns from all.
    let all = town.server.send(Method::GET, &path, Some(&town.server.admin), None).await;
    assert_eq!(all.json::<fixpoint_client::Why>().baseline.good, 6, "{all:#?}");
    let page = town.get(initech, &format!("/runs/{}", run.id)).await.text;
    assert!(
        page.contains("ruby") && !page.contains("globex") && !page.contains("quartz"),
        "{page}"
    );
}
