//! Two servers on one etcd, one AWS and one bucket: what becomes of a run when its server is killed,
//! or stopped for longer than its lease.
//!
//! etcd is started here. AWS and S3 are moto, which `scripts/test` starts; without it these tests
//! have nothing to provision, and are ignored, visibly, unless asked for.

use std::{fs, future::Future, process::Command, time::Duration};

use fixpoint_client::{Run, RunState, Trace};
use fixpoint_server::store::{EtcdStore, RunStore, testing::Etcd};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Dev, fixpoint};

/// Long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the servers of a test share.
struct Place {
    etcd: Etcd,
    runs: EtcdStore,
    moto: String,
    bucket: String,
}

impl Place {
    async fn new() -> Self {
        let moto = std::env::var("FIXPOINT_MOTO_URL").expect("FIXPOINT_MOTO_URL is not set");
        let bucket = format!("several-{:08x}", fastrand::u32(..));
        let made = reqwest::Client::new().put(format!("{moto}/{bucket}")).send().await.unwrap();
        assert!(made.status().is_success(), "{made:?}");
        let etcd = Etcd::start(1).unwrap();
        let runs = EtcdStore::open(etcd.options("/several")).await.unwrap();
        Self { etcd, runs, moto, bucket }
    }

    fn serve(&self, folder: &TempDir) -> Dev {
        let runs = format!("etcd://{}/several", self.etcd.addresses());
        let traces = format!("s3://{}/traces", self.bucket);
        let arguments = [
            ["--auth", "off"],
            ["--region", "eu-west-1"],
            ["--endpoint-url", &self.moto],
            ["--runs", &runs],
            ["--take-over-after", "2s"],
            ["--traces", &traces],
            ["--s3-endpoint", &self.moto],
            ["--traces-seal-after", "1s"],
            ["--time-scale", "20"],
        ];
        let environment = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_REGION", "eu-west-1"),
        ];
        Dev::serve(folder.path(), &arguments.concat(), &environment)
    }

    /// Who drives the cluster's runs, by the name that its log tells.
    async fn owner(&self, cluster: &str) -> Option<String> {
        let entry = self.runs.get(&format!("owners/clusters/{cluster}")).await.unwrap()?;
        let record: Value = serde_json::from_slice(&entry.value).unwrap();
        Some(record["server"].as_str().unwrap().to_owned())
    }
}

/// What a server calls itself.
fn name(folder: &TempDir) -> String {
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut names = lines.filter_map(|line| Some(find(&line, "server")?.to_owned()));
    names.next_back().unwrap()
}

/// A text by its name, however deep it lies.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    let fields = value.as_object()?;
    let here = fields.get(name).and_then(Value::as_str);
    here.or_else(|| fields.values().find_map(|value| find(value, name)))
}

fn signal(server: &Dev, name: &str) {
    let id = server.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// Asks again and again.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            pause(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}

#[expect(clippy::disallowed_methods, reason = "a test has no run that could be cancelled")]
async fn pause(duration: Duration) {
    tokio::time::sleep(duration).await;
}

async fn run_when(server: &Dev, id: &str, ready: impl Fn(&Run) -> bool) -> Run {
    let (client, ready) = (server.client(), &ready);
    until("the run", || {
        let client = client.clone();
        async move { client.run(id).await.ok().filter(ready) }
    })
    .await
}

/// Creates a cluster on one of two servers, and has one of them at work on it: that one first.
async fn begun(
    place: &Place,
    folders: &[TempDir; 2],
    cluster: &str,
) -> ([Dev; 2], [String; 2], String) {
    let mut servers = [place.serve(&folders[0]), place.serve(&folders[1])];
    let mut names = [name(&folders[0]), name(&folders[1])];
    let body = json!({"name": cluster, "nodes": 3});
    let run = servers[0].client().create("clusters", &body).await.unwrap().run_id.unwrap();
    run_when(&servers[0], &run, |run| run.steps >= 3).await;
    let owner = place.owner(cluster).await.expect("somebody drives the run");
    if owner == names[1] {
        servers.reverse();
        names.reverse();
    }
    assert_eq!(owner, names[0]);
    (servers, names, run)
}

/// What there is of the cluster, by its own status.
async fn status(server: &Dev, cluster: &str) -> Value {
    server.client().resource("clusters", cluster).await.unwrap().status
}

/// The trace, once all servers' parts of it have come together.
async fn whole(server: &Dev, id: &str) -> Trace {
    let client = server.client();
    until("the whole trace", || {
        let client = client.clone();
        async move {
            let trace = client.trace(id).await.ok()?;
            let ended = trace.spans.iter().all(|span| span.end.is_some());
            (ended && trace.orphans().is_empty()).then_some(trace)
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn a_cluster_of_a_server_that_is_killed_converges_on_the_other_in_one_trace_with_one_root() {
    let place = Place::new().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let cluster = format!("kill-{:06x}", fastrand::u32(..1 << 24));
    let ([dead, other], [dead_name, other_name], run) = begun(&place, &folders, &cluster).await;
    dead.kill();

    let run = run_when(&other, &run, |run| run.state.is_final()).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2), "{run:#?}");
    assert_eq!(status(&other, &cluster).await["healthy_nodes"], 3);

    // What the dead one had not shared yet comes when it is back.
    let folder = folders.iter().find(|folder| name(folder) == dead_name).unwrap();
    let _back = place.serve(folder);
    let trace = whole(&other, &run.trace_id).await;
    let roots: Vec<_> = trace.roots().map(|span| &*span.name).collect();
    assert_eq!(roots, ["POST /v1/clusters"]);
    let runs: Vec<_> = trace.spans.iter().filter(|span| span.name == "run clusters").collect();
    assert_eq!(runs.len(), 1, "{runs:#?}");
    let take_over = trace.spans.iter().find(|span| span.name == "take_over").unwrap();
    assert_eq!(take_over.text("fixpoint.takeover.from"), Some(&*dead_name));
    assert_eq!(take_over.text("fixpoint.takeover.to"), Some(&*other_name));
    let put = trace.spans.iter().find(|span| span.name == "etcd.put").unwrap();
    let after: Value = serde_json::from_str(put.text("fixpoint.store.after").unwrap()).unwrap();
    assert_eq!(after["resource"], format!("clusters/{cluster}"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs moto server: FIXPOINT_MOTO_URL=http://127.0.0.1:PORT, see scripts/test"]
async fn a_server_that_was_stopped_for_longer_than_its_lease_harms_nothing_when_it_goes_on() {
    let place = Place::new().await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let cluster = format!("stop-{:06x}", fastrand::u32(..1 << 24));
    let ([stopped, other], [stopped_name, _], id) = begun(&place, &folders, &cluster).await;
    signal(&stopped, "-STOP");
    let run = run_when(&other, &id, |run| run.state.is_final()).await;
    assert_eq!((run.state, run.attempts), (RunState::Converged, 2), "{run:#?}");
    let key = format!("runs/{id}");
    let before = place.runs.get(&key).await.unwrap().unwrap();
    signal(&stopped, "-CONT");

    // It takes part again once it has noticed, with a new lease, and so has let go of the old one.
    let at = format!("servers/{stopped_name}");
    until("the server takes part again", || async { place.runs.get(&at).await.unwrap().map(drop) })
        .await;
    assert_eq!(place.runs.get(&key).await.unwrap().unwrap(), before, "nothing was written late");
    assert_eq!(status(&other, &cluster).await["healthy_nodes"], 3);

    // And it does its part: a wish told to the other is done by whoever is first.
    other.kill();
    let body = json!({"nodes": 1});
    let accepted = stopped.client().patch("clusters", &cluster, &body, None).await.unwrap();
    let run = run_when(&stopped, &accepted.run_id.unwrap(), |run| run.state.is_final()).await;
    assert_eq!(run.state, RunState::Converged, "{run:#?}");
}

#[test]
fn an_etcd_that_is_not_there_is_told_with_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let said = fixpoint(&["serve", "--data", data, "--runs", &format!("etcd://{free}/x")]);
    for part in [
        "exit 1",
        "error: etcd cannot be used",
        &format!("because: the run store could not read: etcd at http://{free} did not answer"),
        "Hint: is it running without TLS (with it: etcds://)? `etcdctl endpoint health` says how it is",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}
