//! A disk that fills up in the midst of a creation, and has room again later.
//!
//! Not here: stores that only say that they are full, which `storm.rs` of the application has. The
//! surprise: the server gets a small file system in memory for its data folder, mounted in
//! namespaces of its own, for which nobody needs to be root. The sandbox's cloud is kept elsewhere.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use fixpoint_client::{Client, RunQuery, RunState};
use serde_json::{Value, json};

use crate::support::{Dev, pause, until};

/// Enough for a creation, some ten times.
const SIZE: &str = "16m";

const NAMESPACES: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Becomes the server, in a folder that is such a file system.
const MOUNT: &str = "mount -t tmpfs -o size=$2 tmpfs \"$0\" && ln -s \"$1\" \"$0/cloud\" && \
                     shift 2 && exec \"$@\"";

/// Long enough to show that nothing is sent: twenty waits of the plan.
const FULL: Duration = Duration::from_secs(3);

/// A server on a disk that can be filled.
struct Small {
    dev: Dev,
    /// The folder, as seen from here.
    data: PathBuf,
}

impl Small {
    /// None where the kernel lets nobody but root have namespaces.
    fn start(folder: &Path) -> Option<Self> {
        let mut allowed = Command::new("unshare");
        if !allowed.args(NAMESPACES).arg("true").status().is_ok_and(|status| status.success()) {
            println!("skipped: this machine allows no user namespaces");
            return None;
        }
        let (data, cloud) = (folder.join("data"), folder.join("cloud"));
        std::fs::create_dir(&data).unwrap();
        std::fs::create_dir(&cloud).unwrap();
        let (at, cloud) = (data.to_str().unwrap(), cloud.to_str().unwrap());
        let mount = ["sh", "-c", MOUNT, at, cloud, SIZE];
        let starter = [&["unshare"], &NAMESPACES[..], &mount].concat();
        let dev = Dev::start_through(&starter, &data, &["--time-scale", "20"]);
        let data = PathBuf::from(format!("/proc/{}/root{at}", dev.id()));
        Some(Self { dev, data })
    }

    fn fill(&self) {
        let mut filler = File::create(self.data.join("filler")).unwrap();
        let full = io::copy(&mut io::repeat(1), &mut filler).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
        while filler.write(&[1]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.data.join("filler")).unwrap();
    }
}

async fn sandbox(client: &Client) -> Value {
    client.control("sandbox").await.unwrap()
}

/// How many requests have come to the cloud, by operation.
async fn calls(client: &Client) -> BTreeMap<String, u64> {
    serde_json::from_value(sandbox(client).await["calls"].take()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_disk_is_full_for_a_while_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::start(folder.path()) else { return };
    let client = small.dev.client();
    let body = json!({"name": "idg", "nodes": 3, "addons": ["grafana"]});
    let id = client.create("clusters", &body).await.unwrap().run_id.unwrap();
    until("machines", async || sandbox(&client).await["counts"]["instance"].is_number()).await;

    small.fill();
    until("nothing more is sent", async || {
        let before = calls(&client).await;
        pause(Duration::from_millis(500)).await;
        calls(&client).await == before
    })
    .await;
    let held = calls(&client).await;
    pause(FULL).await;
    assert_eq!(calls(&client).await, held, "sent, though it could not be written down");
    let run = client.run(&id).await.unwrap();
    assert!(!run.state.is_final(), "{run:#?}");
    let refused = client.create("clusters", &json!({"name": "other", "nodes": 1})).await;
    assert!(refused.is_err(), "nobody could keep it");

    small.make_room();
    until("converged", async || client.run(&id).await.unwrap().state == RunState::Converged).await;
    let runs = client.runs(&RunQuery::default()).await.unwrap();
    assert_eq!(runs.items.len(), 1, "one run, and none of what was refused: {:#?}", runs.items);
    let there = sandbox(&client).await;
    assert_eq!(there["clusters"]["idg"]["instance"].as_array().map(Vec::len), Some(4), "{there}");

    let run = client.run(&id).await.unwrap();
    let trace = async || client.trace(&run.trace_id).await.unwrap();
    until("ended", async || trace().await.spans.iter().all(|span| span.end.is_some())).await;
    let trace = trace().await;
    let roots: Vec<&str> = trace.roots().map(|span| span.name.as_str()).collect();
    assert_eq!(roots, ["POST /v1/clusters"]);
    let orphans: Vec<&str> = trace.orphans().iter().map(|span| span.name.as_str()).collect();
    assert!(orphans.is_empty(), "{orphans:?}");
    for (call, count) in calls(&client).await {
        let shown = trace.spans.iter().filter(|span| span.name == call).count() as u64;
        assert!(shown >= count, "{call} came {count} times, and the trace has {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_refused_does_not_come_about_later() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::start(folder.path()) else { return };
    let url = format!("{}/v1/tokens", small.dev.url);
    let http = reqwest::Client::new();
    let create = async |name: &str| {
        let token = json!({"name": name, "role": "viewer"}).to_string();
        let sent = http.post(&url).header("content-type", "application/json").body(token);
        sent.send().await.unwrap().status().is_success()
    };
    small.fill();
    // What is left of the disk's last block takes some.
    let mut made = 0;
    while create(&made.to_string()).await {
        made += 1;
        assert!(made < 1_000, "the disk takes everything");
    }
    assert!(!create("another").await, "and so it is with whatever comes then");
    small.make_room();
    until("there is room", async || create("last").await).await;
    let tokens = http.get(&url).send().await.unwrap().text().await.unwrap();
    let tokens: Value = serde_json::from_str(&tokens).unwrap();
    let mut names: Vec<_> = tokens["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    let mut wanted: Vec<_> = (0..made).map(|n| n.to_string()).chain(["last".to_owned()]).collect();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
}
