//! Whoever is to be told what went wrong for good is told: signed, until it is taken, and once.
//!
//! The receiver is a server of the test's own, which answers as it is told to. The surprise:
//! signatures are checked by an HMAC that is written down here, and not by the crate under test.

use std::collections::VecDeque;

use axum::{
    body::Body,
    extract::State,
    http::{Method, Request},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use fixpoint_client::{
    Notification, NotificationState, OnFailure, Verb, WebhookData, WebhookEvent, WebhookMessage,
    WebhookTest,
};
use fixpoint_trace::model::{Kind, Span, Status};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, MutexGuard};

use super::{access, restart::crash, *};

const KEY: &[u8] = b"thirty-two bytes, as one has it.";

fn secret() -> String {
    format!("whsec_{}", STANDARD.encode(KEY))
}

/// What the receiver was sent.
#[derive(Debug, Clone)]
struct Got {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).to_str().unwrap()
    }

    fn message(&self) -> WebhookMessage {
        serde_json::from_str(&self.body).unwrap()
    }

    fn data(&self) -> WebhookData {
        self.message().data.unwrap()
    }

    fn is_signed(&self) -> bool {
        let (id, at) = (self.header("webhook-id"), self.header("webhook-timestamp"));
        let age = jiff::Timestamp::now().as_second() - at.parse::<i64>().unwrap();
        let signed = hmac(format!("{id}.{at}.{}", self.body).as_bytes());
        age < 60 && self.header("webhook-signature") == format!("v1,{}", STANDARD.encode(signed))
    }
}

/// RFC 2104, for keys of up to 64 bytes.
fn hmac(text: &[u8]) -> Vec<u8> {
    let mut key = KEY.to_vec();
    key.resize(64, 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<_>>();
    let inner = Sha256::digest([padded(0x36), text.to_vec()].concat());
    Sha256::digest([padded(0x5c), inner.to_vec()].concat()).to_vec()
}

#[derive(Debug, Default)]
struct Inbox {
    got: Vec<Got>,
    /// How it answers next, with what beside; 204 once there is nothing more.
    answers: VecDeque<(u16, &'static str, &'static str)>,
    /// It does not answer at all.
    hangs: bool,
}

#[derive(Debug)]
struct Receiver {
    url: String,
    inbox: Arc<Mutex<Inbox>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn new() -> Self {
        let inbox: Arc<Mutex<Inbox>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inbox));
        let task = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, inbox, task }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap()
    }

    fn answers(&self, status: u16, name: &'static str, value: &'static str) {
        self.inbox().answers.push_back((status, name, value));
    }

    fn webhook(&self) -> Webhook {
        let pages = Some("https://fixpoint.example/");
        Webhook::new(&self.url, &secret(), &WebhookEvent::ALL, pages).unwrap()
    }

    /// What it got, once it is so much.
    async fn got(&self, count: usize) -> Vec<Got> {
        let polling = async {
            while self.inbox().got.len() < count {
                pause().await;
            }
        };
        time::timeout(PATIENCE, polling).await.expect("a request in time");
        let got = self.inbox().got.clone();
        assert_eq!(got.len(), count, "{got:#?}");
        got
    }
}

async fn receive(State(inbox): State<Arc<Mutex<Inbox>>>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let path = head.uri.path().to_owned();
    let (answer, hangs) = {
        let mut inbox = inbox.lock().unwrap();
        inbox.got.push(Got { path, headers: head.headers, body });
        (inbox.answers.pop_front(), inbox.hangs)
    };
    if hangs {
        std::future::pending::<()>().await;
    }
    match answer {
        None => StatusCode::NO_CONTENT.into_response(),
        Some((status, name, value)) => {
            (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response()
        }
    }
}

fn with(webhook: Webhook, name: &str, world: &Arc<World>) -> Setup {
    Setup { webhook: Some(webhook), ..Setup::new(name, Arc::clone(world)) }
}

/// A server that tells the receiver, and forgets everything.
fn telling(receiver: &Receiver) -> Harness {
    whole(with(receiver.webhook(), "first", &Arc::default()))
}

fn whole(setup: Setup) -> Harness {
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    Harness::whole(setup, Arc::new(store::MemoryStore::new()), traces)
}

impl Harness {
    /// A run that fails for good.
    async fn fails_for_good(&self, name: &str) -> Run {
        {
            let mut world = self.world.state();
            (world.failing, world.for_good) = (1, true);
        }
        let run = self.ended(&self.post("/v1/toys", json!({"name": name})).await.run_id()).await;
        assert_eq!(run.state, RunState::Failed, "{run:#?}");
        run
    }

    /// The only notification of a run, once it is as wanted.
    async fn told(&self, run: &str, ready: impl Fn(&Notification) -> bool) -> Notification {
        let run = self.run_when(run, |run| run.notifications.iter().any(&ready)).await;
        assert_eq!(run.notifications.len(), 1, "{run:#?}");
        run.notifications[0].clone()
    }

    async fn delivered(&self, run: &str) -> Notification {
        self.told(run, |told| told.state == NotificationState::Delivered).await
    }

    /// The spans of a trace.
    async fn spans_of(&self, trace: &str) -> Vec<Span> {
        self.recorder.flush().await.unwrap();
        self.app.traces.whole().trace(trace.parse().unwrap()).await.unwrap().unwrap().spans
    }
}

fn text(span: &Span, name: &str) -> String {
    span.attributes.get(name).map(|value| value.to_text().into_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_run_that_fails_for_good_is_told_signed_and_shown_with_its_run() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    let run = server.fails_for_good("car").await;
    let got = receiver.got(1).await.remove(0);
    assert!(got.is_signed(), "{got:?}");
    assert_eq!((&*got.path, got.header("content-type")), ("/hook", "application/json"));
    let message = got.message();
    assert_eq!(message.event, WebhookEvent::RunFailed);
    let data = message.data.unwrap();
    assert_eq!((&*data.kind, &*data.name, data.tenant), ("toys", "car", None));
    assert_eq!(
        (&*data.run_id, &*data.trace_id, &*data.plan),
        (&*run.id, &*run.trace_id, "build_toy")
    );
    assert_eq!((data.state, data.error), (RunState::Failed, run.error));
    assert_eq!(data.url.unwrap(), format!("https://fixpoint.example/runs/{}", run.id));

    let told = server.delivered(&run.id).await;
    assert_eq!((&*told.id, told.attempts), (got.header("webhook-id"), 1));
    assert_eq!((told.error, told.next_attempt_at), (None, None));
    // The attempt has a trace of its own, which goes on at the receiver.
    let trace = told.trace_id.unwrap();
    let span = server.spans_of(&trace).await.remove(0);
    let parent = format!("00-{trace}-{}-01", span.span_id);
    assert_eq!(got.header("traceparent"), parent);
    assert_eq!((&*span.name, span.kind), ("webhook run.failed", Kind::Client));
    assert_eq!(span.links[0].to.span_id.to_string(), run.span_id);
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "204"),
        ("server.address", "127.0.0.1"),
        ("fixpoint.run.id", &*run.id),
        ("fixpoint.resource", "toys/car"),
        ("fixpoint.webhook.id", &*told.id),
        ("fixpoint.webhook.event", "run.failed"),
    ] {
        assert_eq!(text(&span, name), value, "{name}");
    }
    let page = server.get(&format!("/runs/{}", run.id)).await.text;
    assert!(page.contains("webhook: run.failed delivered, 1 attempt"), "{page}");
    let metrics = server.get("/metrics").await.text;
    for line in
        ["fixpoint_webhook_deliveries_total{result=\"delivered\"} 1", "fixpoint_webhook_waiting 0"]
    {
        assert!(metrics.lines().any(|it| it == line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_with_the_same_id_and_nowhere_else() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    receiver.answers(500, "x-word", "x");
    receiver.answers(307, "location", "/elsewhere");
    let run = server.fails_for_good("car").await;
    let got = receiver.got(3).await;
    for again in &got {
        assert!(again.is_signed(), "{again:?}");
        assert_eq!(again.path, "/hook", "no redirect is followed");
        assert_eq!(
            (again.header("webhook-id"), &again.body),
            (got[0].header("webhook-id"), &got[0].body)
        );
    }
    let told = server.delivered(&run.id).await;
    assert_eq!((told.attempts, told.error), (3, None));
    let parent = got[0].header("traceparent").to_owned();
    let first = server.spans_of(&parent[3..35]).await.remove(0);
    assert_eq!(first.status, Status::Error("it answered 500 Internal Server Error".to_owned()));
    assert_eq!(text(&first, "error.type"), "500");
    let last = server.spans_of(&told.trace_id.unwrap()).await.remove(0);
    assert_eq!(text(&last, "http.request.resend_count"), "2");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_and_one_that_asks_for_time_gets_it() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    receiver.answers(410, "x-word", "x");
    receiver.answers(503, "retry-after", "60");
    let gone = server.fails_for_good("car").await;
    let told = server.told(&gone.id, |told| told.state != NotificationState::Waiting).await;
    assert_eq!((told.state, told.attempts), (NotificationState::Failed, 1));
    assert_eq!(told.error.as_deref(), Some("it answered 410 Gone"));
    let busy = server.fails_for_good("ship").await;
    let told = server.told(&busy.id, |told| told.error.is_some()).await;
    let wait = told.next_attempt_at.unwrap().duration_since(told.attempted_at.unwrap());
    assert!((60..62).contains(&wait.as_secs()), "{told:#?}");
    let page = server.get(&format!("/runs/{}", busy.id)).await.text;
    assert!(page.contains("not delivered yet after 1 attempt: it answered 503"), "{page}");
    assert!(page.contains("; again at "), "{page}");
    let metrics = server.get("/metrics").await.text;
    for line in [
        "fixpoint_webhook_deliveries_total{result=\"again\"} 1",
        "fixpoint_webhook_deliveries_total{result=\"failed\"} 1",
        "fixpoint_webhook_waiting 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line} is not in {metrics}");
    }
    receiver.got(2).await;
}

#[tokio::test]
async fn what_nobody_takes_in_a_day_is_given_up() {
    let receiver = Receiver::new().await;
    for _ in 0..1000 {
        receiver.answers(500, "x-word", "x");
    }
    let setup = with(receiver.webhook(), "first", &Arc::default());
    // A day is a second and a half.
    let server = whole(Setup { pace: Pace::times(60_000.0), ..setup });
    let run = server.fails_for_good("car").await;
    let told = server.told(&run.id, |told| told.state == NotificationState::Failed).await;
    assert!((20..80).contains(&told.attempts), "{told:#?}");
    assert_eq!(told.next_attempt_at, None);
    assert_eq!(receiver.inbox().got.len(), told.attempts as usize);
}

#[tokio::test]
async fn what_a_server_died_at_is_told_by_the_next_and_known_by_its_id() {
    let receiver = Receiver::new().await;
    let directory = tempfile::tempdir().unwrap();
    let webhook = receiver.webhook().with_patience(Duration::from_millis(200));
    let world: Arc<World> = Arc::default();
    let server = Harness::open_with(directory.path(), with(webhook.clone(), "first", &world));
    receiver.inbox().hangs = true;
    let run = server.fails_for_good("car").await;
    receiver.got(1).await;
    crash(server).await;

    receiver.inbox().hangs = false;
    let server = Harness::open_with(directory.path(), with(webhook, "second", &world));
    let told = server.delivered(&run.id).await;
    let got = receiver.got(2).await;
    assert_eq!(told.attempts, 2);
    assert!(got.iter().all(|got| got.header("webhook-id") == told.id && got.is_signed()));
}

/// Two servers fail, and tell.
async fn told_once(runs: Arc<dyn store::RunStore>) {
    let receiver = Receiver::new().await;
    let traces = Arc::new(trace_store::memory::MemoryStore::default());
    let setup = with(receiver.webhook(), "first", &Arc::default());
    let first = Harness::whole(setup, Arc::clone(&runs), traces);
    let second = first.beside(runs);
    {
        let mut world = first.world.state();
        (world.failing, world.for_good) = (12, true);
    }
    let mut ids = Vec::new();
    for n in 0..12 {
        let server = if n % 2 == 0 { &first } else { &second };
        let id = server.post("/v1/toys", json!({"name": format!("toy-{n}"), "bricks": 1})).await;
        ids.push(id.run_id());
    }
    for id in &ids {
        assert_eq!(second.delivered(id).await.attempts, 1);
    }
    let mut told: Vec<_> = receiver.got(12).await.iter().map(|got| got.data().run_id).collect();
    told.sort_unstable();
    assert_eq!(told, ids);
    drop(second);
}

#[tokio::test]
async fn two_servers_tell_each_thing_once() {
    told_once(Arc::new(store::MemoryStore::new())).await;
}

#[cfg(feature = "etcd")]
#[tokio::test]
async fn two_servers_on_etcd_tell_each_thing_once() {
    let etcd = store::testing::Etcd::start(1).unwrap();
    told_once(Arc::new(store::EtcdStore::open(etcd.options("told")).await.unwrap())).await;
}

#[tokio::test]
async fn a_run_that_its_policy_pauses_is_told_and_one_that_an_operator_pauses_is_not() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "ship"})).await.run_id();
    server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.act(&id, Verb::Pause, "no paint").await.run_id();
    server.run_when(&id, |run| run.state == RunState::Paused).await;

    {
        let mut world = server.world.state();
        (world.no_paint, world.swallowed) = (false, true);
    }
    let body = json!({"name": "car", "on_failure": OnFailure::Pause});
    let id = server.post("/v1/toys", body).await.run_id();
    let told = server.delivered(&id).await;
    assert_eq!(told.event, WebhookEvent::RunPaused);
    let data = receiver.got(1).await[0].data();
    assert_eq!((&*data.run_id, data.state), (&*id, RunState::NotConverging));
    assert!(data.error.unwrap().message.contains("does not converge"));
}

#[tokio::test]
async fn a_roll_back_is_told_when_it_begins_and_when_it_is_done() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    {
        let mut world = server.world.state();
        (world.failing, world.for_good) = (1, true);
        world.bricks.insert("car".to_owned(), 1);
    }
    let body = json!({"name": "car", "on_failure": OnFailure::RollBack});
    let id = server.post("/v1/toys", body).await.run_id();
    let [begun, done] = &receiver.got(2).await[..] else { panic!("two are wanted") };
    assert_eq!((begun.message().event, begun.data().run_id), (WebhookEvent::RunFailed, id));
    assert_eq!(done.message().event, WebhookEvent::RolledBack);
    assert_eq!(begun.data().next_run_id, Some(done.data().run_id));
    assert_eq!((done.data().state, done.data().error), (RunState::Converged, None));
}

#[tokio::test]
async fn drift_is_told_when_it_begins_and_not_with_every_look() {
    let receiver = Receiver::new().await;
    let server = telling(&receiver);
    let run = server.make(json!({"name": "car"})).await;
    let look = async |bricks: u32| {
        server.world.state().bricks.insert("car".to_owned(), bricks);
        let answer = server.post("/v1/toys/car/verify", json!({})).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:#?}");
    };
    look(3).await;
    look(1).await;
    look(1).await;
    let first = server.delivered(&run.id).await;
    assert_eq!(first.event, WebhookEvent::Drifted);
    let data = receiver.got(1).await[0].data();
    let steps: Vec<_> = data.steps.iter().map(|step| &*step.key).collect();
    assert_eq!(steps, ["lay brick 1 of car", "lay brick 2 of car"]);
    assert_eq!((data.run_id, data.state), (run.id.clone(), RunState::Converged));
    assert_ne!(data.trace_id, run.trace_id, "the look's trace shows it");
    // It was mended by somebody, and drifts again.
    look(3).await;
    look(2).await;
    let again = |told: &Notification| told.id != first.id && told.attempts == 1;
    server.told(&run.id, again).await;
    assert_eq!(receiver.got(2).await[1].data().steps.len(), 1);
}

#[tokio::test]
async fn what_is_tried_again_was_cancelled_or_is_not_wanted_is_not_told() {
    let receiver = Receiver::new().await;
    let events = [WebhookEvent::RunFailed];
    let webhook = Webhook::new(&receiver.url, &secret(), &events, None).unwrap();
    let server = whole(with(webhook, "first", &Arc::default()));
    server.world.state().failing = 1;
    server.post("/v1/toys", json!({"name": "car"})).await.run_id();
    assert_eq!(server.converged("toys/car").await.len(), 2);
    server.world.state().bricks.insert("car".to_owned(), 1);
    server.post("/v1/toys/car/verify", json!({})).await;
    server.world.state().no_paint = true;
    let id = server.post("/v1/toys", json!({"name": "ship"})).await.run_id();
    server.run_when(&id, |run| run.state == RunState::Waiting).await;
    server.act(&id, Verb::Cancel, "").await.run_id();
    server.ended(&id).await;
    server.world.state().no_paint = false;
    let failed = server.fails_for_good("kite").await;
    assert_eq!(server.delivered(&failed.id).await.event, WebhookEvent::RunFailed);
    assert_eq!(receiver.got(1).await[0].data().run_id, failed.id);
    assert_eq!(receiver.got(1).await[0].data().url, None);
}

#[tokio::test]
async fn a_ping_is_sent_on_an_administrators_word_and_its_answer_shown() {
    let server = Harness::new();
    let answer = server.post("/v1/webhook/test", json!({})).await;
    assert_eq!(answer.status, StatusCode::CONFLICT, "{answer:#?}");
    assert!(answer.text.contains("--webhook"), "{}", answer.text);
    drop(server);

    let receiver = Receiver::new().await;
    receiver.answers(401, "x-word", "x");
    let server = telling(&receiver);
    let test: WebhookTest = server.post("/v1/webhook/test", json!({})).await.json();
    assert_eq!((test.delivered, test.status), (false, Some(401)));
    assert_eq!(test.error.as_deref(), Some("it answered 401 Unauthorized"));
    let answer = server.post("/v1/webhook/test", json!({})).await;
    let test: WebhookTest = answer.json();
    assert_eq!((test.delivered, test.status, test.error), (true, Some(204), None));
    assert_eq!(format!("{}/hook", test.to), receiver.url);
    let got = receiver.got(2).await.remove(1);
    assert!(got.is_signed());
    assert_eq!((got.message().event, got.message().data), (WebhookEvent::Ping, None));
    assert_eq!(got.header("webhook-id"), test.id);
    let spans = server.spans_of(answer.header("x-trace-id")).await;
    let ping = spans.iter().find(|span| span.name == "webhook ping").unwrap();
    assert!(ping.parent.is_some() && test.trace_id == answer.header("x-trace-id"));
    // Who cannot be reached is told apart from who refuses.
    let dead = receiver.webhook();
    drop(receiver);
    pause().await;
    let server = whole(with(dead, "first", &Arc::default()));
    let test: WebhookTest = server.post("/v1/webhook/test", json!({})).await.json();
    assert_eq!((test.delivered, test.status), (false, None));
    assert!(test.error.as_ref().unwrap().starts_with("it could not be reached: "), "{test:?}");
}

#[tokio::test]
async fn a_tenants_run_is_told_to_the_operator_and_a_tenant_sees_nothing_of_that() {
    let receiver = Receiver::new().await;
    let setup = with(receiver.webhook(), "first", &Arc::default());
    let server = access::Guarded::with(setup).await;
    let acme = server.token_of(json!({"name": "a", "role": "operator", "tenant": "acme"})).await;
    {
        let mut world = server.harness.world.state();
        (world.failing, world.for_good) = (1, true);
    }
    let body = Some(json!({"name": "car"}));
    let made = server.send(Method::POST, "/v1/toys", Some(&acme.secret), body).await.run_id();
    let data = receiver.got(1).await[0].data();
    assert_eq!((&*data.name, data.tenant.as_deref()), ("acme--car", Some("acme")));
    let path = format!("/v1/runs/{made}");
    let seen = server.send(Method::GET, &path, Some(&server.admin), None).await;
    assert_eq!(seen.json::<Run>().notifications.len(), 1, "{seen:#?}");
    let seen = server.send(Method::GET, &path, Some(&acme.secret), None).await;
    assert_eq!(seen.json::<Run>().notifications, [], "{seen:#?}");
    for who in [&acme.secret, &server.token(fixpoint_client::Role::Operator).await.secret] {
        let answer = server.send(Method::POST, "/v1/webhook/test", Some(who), None).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:#?}");
    }
}
