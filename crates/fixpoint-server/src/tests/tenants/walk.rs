//! Every route of the OpenAPI document, with each of two tenants' tokens.
//!
//! Each asks for what is its own and has to find what it planted; for what is the other's, and has
//! to be told the same as about what never was; and in nothing of it may be a word of the other's.
//! The surprise: nothing here lists the routes. One that is added is walked, and refused until it
//! is said to be a tenant's (`access/reach.rs`) and shows its owner something.

use std::collections::BTreeSet;

use axum::body::BodyDataStream;
use futures_util::StreamExt;

use super::*;

/// Routes that show nothing of anybody's, also to its owner.
const SILENT: &[(&str, &str)] = &[
    ("get", "/healthz"),
    ("get", "/v1/openapi.json"),
    // Of what is as wanted, no step is left.
    ("get", "/v1/toys/{name}/plan"),
    // Refused for want of a body.
    ("post", "/v1/toys"),
    ("post", "/v1/traces"),
];

#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    /// As the document has it.
    path: String,
    /// Whether a tenant's token may, by the document.
    tenants: bool,
}

/// Ids of somebody's things.
struct Ids {
    toy: String,
    run: String,
    trace: String,
    span: String,
}

impl Ids {
    fn of(tenant: &Tenant) -> Self {
        let run = &tenant.run;
        let (trace, span) = (run.trace_id.clone(), run.span_id.clone());
        Self { toy: tenant.toy(), run: run.id.clone(), trace, span }
    }

    /// Of nothing that is or was, looking like those of somebody.
    fn of_nothing(like: &Self) -> Self {
        let turned = |text: &str| -> String {
            let turn = |c: char| match c {
                '0'..='8' => char::from(c as u8 + 1),
                '9' => '0',
                c => c,
            };
            text.chars().map(turn).collect()
        };
        let (tenant, _) = like.toy.split_once("--").unwrap();
        let toy = format!("{tenant}--nonesuch");
        Self { toy, run: turned(&like.run), trace: turned(&like.trace), span: turned(&like.span) }
    }

    fn all(&self) -> [&str; 4] {
        [&self.toy, &self.run, &self.trace, &self.span]
    }

    /// A path of the document for these; what a parameter stands for goes by where it is.
    fn path(&self, template: &str) -> String {
        let id = if template.starts_with("/v1/runs") { &self.run } else { &self.trace };
        let path = template
            .replace("{name}", &self.toy)
            .replace("{span_id}", &self.span)
            .replace("{id}", id)
            .replace("{a}", &self.trace)
            .replace("{b}", &self.run);
        match template {
            "/v1/find" => format!("{path}?q={}", self.toy),
            "/v1/logs" => format!("{path}?trace_id={}", self.trace),
            "/v1/runs" => format!("{path}?resource=toys/{}", self.toy),
            // Each request leaves a trace, and there are many.
            "/v1/traces" => format!("{path}?limit=200"),
            "/v1/traces/{id}/matches" => format!("{path}?q=toys"),
            "/v1/traces/{id}/rows" => format!("{path}?attributes=fixpoint.resource"),
            "/v1/traces/{a}/diff/{b}" => format!("{path}?rows=true"),
            _ => path,
        }
    }
}

impl Town {
    async fn operations(&self) -> Vec<Operation> {
        let document =
            self.server.send(Method::GET, "/v1/openapi.json", Some(&self.server.admin), None);
        let document = document.await.value();
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                operations.push(Operation {
                    method: method.to_ascii_uppercase().parse().unwrap(),
                    path: path.clone(),
                    tenants: operation["x-tenants"].as_bool().unwrap(),
                });
            }
        }
        assert!(operations.len() > 30, "{operations:#?}");
        operations
    }

    /// The answer; of a stream of events, as much as comes at once.
    async fn answer(&self, who: &Tenant, method: &Method, path: &str) -> (StatusCode, String) {
        let body = match path.ends_with("/skip") {
            true => json!({"step": "lay_brick", "reason": "a test"}),
            false => json!({}),
        };
        let body = matches!(*method, Method::POST | Method::PATCH).then_some(body);
        let request = access::request(method.clone(), path, Some(&who.secret), body);
        let response = self.server.harness.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let mut chunks: BodyDataStream = response.into_body().into_data_stream();
        let mut text = String::new();
        let a_while = Duration::from_millis(if status.is_success() { 100 } else { 5_000 });
        while let Ok(Some(chunk)) = time::timeout(a_while, chunks.next()).await {
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap()));
        }
        (status, text)
    }
}

/// Without what is another each time: the request's own trace, and the ids that were asked for.
fn plain(text: &str, asked: &Ids) -> String {
    let mut plain = text.to_owned();
    for id in asked.all() {
        plain = plain.replace(id, "ID");
    }
    let trace = regex::Regex::new(r#""trace_id":"[0-9a-f]{32}""#).unwrap();
    trace.replace_all(&plain, "").into_owned()
}

#[tokio::test]
async fn each_finds_its_own_on_every_route_and_nothing_of_the_other() {
    let town = Town::new().await;
    let operations = town.operations().await;
    let mut told = BTreeSet::new();
    for (who, other) in [(&town.initech, &town.globex), (&town.globex, &town.initech)] {
        let (own, others) = (Ids::of(who), Ids::of(other));
        let never = Ids::of_nothing(&others);
        for Operation { method, path: template, tenants } in &operations {
            let said = format!("{} asks {method} {template}", who.name);
            let none_of_the_others = |text: &str, but: &Ids| {
                let text = plain(text, but);
                for word in [other.gem, "quartz", &*others.run, &*others.trace, other.name] {
                    assert!(!text.contains(word), "{said} and reads {word}: {text}");
                }
            };
            // Things that are there must stay there for what is asked next.
            let changes = !matches!(*method, Method::GET);
            if !(changes && template.contains("{name}")) {
                let (status, text) = town.answer(who, method, &own.path(template)).await;
                none_of_the_others(&text, &never);
                if !tenants {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{said}: {text}");
                    assert!(
                        text.contains("/problems/tenant") || text.contains("/problems/forbidden"),
                        "{said}: {text}"
                    );
                    continue;
                }
                assert_ne!(status, StatusCode::FORBIDDEN, "{said}: {text}");
                assert_ne!(status, StatusCode::NOT_FOUND, "{said}: {text}");
                let shows = own.all().iter().any(|id| text.contains(id)) || text.contains(who.gem);
                if shows && (status.is_success() || status.as_u16() == 409) {
                    told.insert((method.as_str().to_ascii_lowercase(), template.clone()));
                }
            } else {
                told.insert((method.as_str().to_ascii_lowercase(), template.clone()));
            }
            if !tenants {
                continue;
            }
            let (status, text) = town.answer(who, method, &others.path(template)).await;
            let (status_never, text_never) = town.answer(who, method, &never.path(template)).await;
            none_of_the_others(&text, &others);
            assert_eq!(status, status_never, "{said}: {text}");
            if others.path(template) != own.path(template) {
                assert_eq!(plain(&text, &others), plain(&text_never, &never), "{said}");
                if template.contains('{') {
                    assert_eq!(status, StatusCode::NOT_FOUND, "{said}: {text}");
                }
            }
        }
    }
    for Operation { method, path, tenants } in &operations {
        let this = (method.as_str().to_ascii_lowercase(), path.clone());
        let silent = SILENT.iter().any(|(method, path)| (*method, *path) == (&*this.0, &*this.1));
        let shown = told.contains(&this);
        assert_eq!(
            shown,
            *tenants && !silent,
            "{method} {path} shows its owner something: {shown}"
        );
    }
    // What was asked for in vain has changed nothing.
    for who in [&town.initech, &town.globex] {
        let page: RunPage = town.get(who, "/v1/runs").await.json();
        // The first, and the one that its owner's replan started.
        assert_eq!(page.items.len(), 2, "{page:#?}");
        let toy: Resource = town.get(who, &format!("/v1/toys/{}", who.gem)).await.json();
        assert_eq!((toy.generation, toy.deleting), (1, false));
    }
}

/// Pages, and what clients of Zipkin, Jaeger and Tempo ask, of which no document tells.
const UNDOCUMENTED: &[&str] = &[
    "/",
    "/runs",
    "/runs?state=converged",
    "/runs/RUN",
    "/runs/RUN/why",
    "/traces",
    "/traces?q=toys",
    "/traces/TRACE",
    "/traces/TRACE/why",
    "/traces/TRACE/diff/TRACE",
    "/compare?a=RUN&b=RUN",
    "/search?q=TOY",
    "/search?q=RUN",
    "/toys/TOY",
    "/api/traces?service=fixpoint",
    "/api/traces?traceID=TRACE",
    "/api/traces/TRACE",
    "/api/services",
    "/api/operations?service=fixpoint",
    "/api/services/fixpoint/operations",
    "/api/dependencies",
    "/api/v3/services",
    "/api/v3/operations?service=fixpoint",
    "/api/v3/traces?query.service_name=fixpoint&query.start_time_min=2020-01-01T00:00:00Z&query.start_time_max=2100-01-01T00:00:00Z",
    "/api/v3/traces/TRACE",
    "/api/v3/trace-summaries?query.service_name=fixpoint",
    "/zipkin/api/v2/services",
    "/zipkin/api/v2/spans?serviceName=fixpoint",
    "/zipkin/api/v2/remoteServices?serviceName=fixpoint",
    "/zipkin/api/v2/traces?limit=100",
    "/zipkin/api/v2/trace/TRACE",
    "/zipkin/api/v2/traceMany?traceIds=TRACE,TRACE",
    "/zipkin/api/v2/autocompleteKeys",
    "/zipkin/api/v2/autocompleteValues?key=fixpoint.resource",
    "/tempo/api/search?limit=100",
    "/tempo/api/search?q={resource.service.name=%22fixpoint%22}",
    "/tempo/api/search/tags",
    "/tempo/api/v2/search/tags",
    "/tempo/api/search/tag/fixpoint.resource/values",
    "/tempo/api/v2/search/tag/span.fixpoint.resource/values",
    "/tempo/api/traces/TRACE",
    "/tempo/api/v2/traces/TRACE",
    "/jaeger/api/traces/TRACE",
    "/v1/traces?q=root%20~%20toys",
    "/v1/traces?q=fixpoint.resource%20%7E%20toys",
    "/v1/traces?q=missing(%22nothing%22)&limit=1",
    "/v1/logs",
    "/v1/logs?limit=3",
    "/v1/find?q=toys",
    "/v1/find?q=fixpoint",
    "/v1/find?q=RUN",
    "/v1/find?q=TRACE",
    "/v1/traces/TRACE?format=otlp",
    "/v1/traces/TRACE?format=jaeger",
    "/v1/traces/TRACE?format=zipkin",
    "/v1/traces/TRACE/events?from=now",
];

#[tokio::test]
async fn what_no_document_tells_of_shows_each_its_own_as_well() {
    let town = Town::new().await;
    for (who, other) in [(&town.initech, &town.globex), (&town.globex, &town.initech)] {
        let (own, others) = (Ids::of(who), Ids::of(other));
        let of = |path: &str, ids: &Ids| {
            path.replace("RUN", &ids.run).replace("TRACE", &ids.trace).replace("TOY", &ids.toy)
        };
        let mut told = 0;
        for path in UNDOCUMENTED {
            let (status, text) = town.answer(who, &Method::GET, &of(path, &own)).await;
            let said = format!("{} asks {path}: {status} {text}", who.name);
            assert!(status.is_success() || status.is_redirection(), "{said}");
            for word in [other.gem, "quartz", &*others.run, &*others.trace, other.name] {
                assert!(!text.contains(word), "{said} and reads {word}");
            }
            told += usize::from(own.all().iter().any(|id| text.contains(id)));
        }
        // Only now: what somebody asks for stands in the traces of their requests, which are theirs.
        let never = Ids::of_nothing(&others);
        for path in UNDOCUMENTED.iter().filter(|path| **path != of(path, &own)) {
            let (status, text) = town.answer(who, &Method::GET, &of(path, &others)).await;
            let (status_never, text_never) =
                town.answer(who, &Method::GET, &of(path, &never)).await;
            let said = format!("{} asks {path}: {status} {text}", who.name);
            assert_eq!(status, status_never, "{said}");
            assert_eq!(plain(&text, &others), plain(&text_never, &never), "{said}");
        }
        assert!(told > 30, "{} finds its own in {told} answers", who.name);
    }
    for path in ["/operations", "/metrics", "/dev/world", "/v1/store", "/v1/rates"] {
        let answer = town.get(&town.globex, path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(!answer.text.contains("initech"), "{path}");
    }
    assert_eq!(town.get(&town.globex, "/v1/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_documented_route_is_said_to_be_a_tenants_or_not() {
    let town = Town::new().await;
    for Operation { method, path, .. } in town.operations().await {
        let reach = crate::access::Reach::of(Some(&path), |kind| kind == "toys");
        assert!(reach.is_some(), "nobody has said of {method} {path} whether it is a tenant's");
    }
}
