//! The store against real etcds: one, three of which one dies, and one whose answers get lost.

mod guarded;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};

use super::{
    super::{Precondition, RunStore, Scan, StoreError, Watch, Watched, Write, testing::Etcd},
    EtcdOptions, EtcdStore,
};

/// Long enough for a loaded machine, short enough that a hung test is noticed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(etcd: &Etcd, prefix: &str) -> EtcdStore {
    EtcdStore::open(etcd.options(prefix)).await.unwrap()
}

fn put(key: &str, value: &str) -> Vec<Write> {
    vec![Write::put(key, value.to_owned(), Precondition::Any)]
}

/// The next change's key, or none if some were missed.
async fn heard(watch: &mut Watch) -> Option<String> {
    match time::timeout(PATIENCE, watch.next()).await.expect("in time").expect("an open store") {
        Watched::Changed(change) => Some(change.key),
        Watched::Lagged => None,
    }
}

#[tokio::test]
async fn one_etcd_keeps_the_contract_and_prefixes_keep_stores_apart() {
    let etcd = Etcd::start(1).unwrap();
    let neighbour = open(&etcd, "fix").await;
    neighbour.commit(put("p/key", "theirs")).await.unwrap();
    crate::store::contract(Arc::new(open(&etcd, "fixpoint").await)).await;
    let entries = neighbour.list(&Scan::prefix("")).await.unwrap().entries;
    assert_eq!(entries.len(), 1, "{entries:?}");
}

#[tokio::test]
async fn three_etcds_keep_the_contract_and_when_one_dies_everything_goes_on() {
    let mut etcd = Etcd::start(3).unwrap();
    crate::store::contract(Arc::new(open(&etcd, "contract").await)).await;

    let store = open(&etcd, "fixpoint").await;
    let lease = store.lease(Duration::from_secs(5)).await.unwrap();
    let mine = Write::put("mine", "1", Precondition::Absent).with_lease(lease.id());
    store.commit(vec![mine]).await.unwrap();
    let (mut watch, count) = (store.watch("w/"), 40);
    let writing = async {
        for n in 0..count {
            // Each member is the one that is asked at some time; the last to die is the second.
            if n == 10 {
                etcd.kill(0).unwrap();
            }
            if n == 20 {
                etcd.restart(0).unwrap();
                etcd.kill(1).unwrap();
            }
            store.commit(put(&format!("w/{n:02}"), "")).await.unwrap();
        }
    };
    let hearing = async {
        let mut keys = Vec::new();
        while keys.len() < count {
            keys.extend(heard(&mut watch).await);
        }
        keys
    };
    let ((), keys) = tokio::select! {
        done = async { tokio::join!(writing, hearing) } => done,
        why = lease.keep() => panic!("the lease was lost with one of three members: {why}"),
    };
    let wanted: Vec<_> = (0..count).map(|n| format!("w/{n:02}")).collect();
    assert_eq!(keys, wanted, "each change once, in order");
    let listed = store.list(&Scan::prefix("w/")).await.unwrap();
    assert_eq!(listed.entries.len(), count);
    assert!(store.get("mine").await.unwrap().is_some());
}

#[tokio::test]
async fn pages_of_many_pieces_are_whole_in_both_directions() {
    let etcd = Etcd::start(1).unwrap();
    let store = open(&etcd, "fixpoint").await;
    let key = |n: u64| format!("runs/run-{:012x}{n:012x}", 1_700_000_000_000 + n * n);
    let mut keys: Vec<_> = (0..1500).map(key).collect();
    for some in keys.chunks(128) {
        let writes = some.iter().map(|key| Write::put(key, "x".repeat(4000), Precondition::Any));
        store.commit(writes.collect()).await.unwrap();
    }
    for scan in [Scan::prefix("runs/"), Scan::prefix("runs/").descending()] {
        for limit in [1, 20, 199, 200, 201, 1500, 2000] {
            let page = store.list(&scan.clone().limit(limit)).await.unwrap();
            let found: Vec<_> = page.entries.into_iter().map(|entry| entry.key).collect();
            assert_eq!(
                (&found[..], page.more),
                (&keys[..limit.min(1500)], limit < 1500),
                "{limit}"
            );
        }
        let (mut after, mut paged) = (None, Vec::new());
        while paged.len() < 300 {
            let page = store.list(&scan.clone().limit(20).after(after)).await.unwrap();
            paged.extend(page.entries.into_iter().map(|entry| entry.key));
            after = paged.last().cloned();
        }
        assert_eq!(paged, keys[..300]);
        keys.reverse();
    }
    // Of the whole range, only some hundred keys are read and sorted for the newest page.
    let (start, end) = (store.members.key("runs/"), store.members.key("runs0"));
    for hint in ["none", "that of before"] {
        let from = store.last(&start, &end, 20).await.unwrap();
        let after = |key: &&String| store.members.key(key) >= from;
        let count = keys.iter().filter(after).count();
        assert!((20..=400).contains(&count), "{count} keys, hint {hint}");
    }
}

#[tokio::test]
async fn a_watcher_hears_what_changed_while_its_etcd_was_away_and_reads_again_after_a_compaction() {
    let mut etcd = Etcd::start(1).unwrap();
    let store = open(&etcd, "fixpoint").await;
    let mut watch = store.watch("w/");
    store.commit(put("w/before", "")).await.unwrap();
    assert_eq!(heard(&mut watch).await.as_deref(), Some("w/before"));

    etcd.kill(0).unwrap();
    etcd.restart(0).unwrap();
    // Perhaps before the watcher is back.
    store.commit(put("w/after", "")).await.unwrap();
    assert_eq!(heard(&mut watch).await.as_deref(), Some("w/after"));

    // A watcher from a revision that etcd has forgotten.
    let forgetful = open(&etcd, "fixpoint").await;
    let mut last = 0;
    for n in 0..5 {
        last = store.commit(put("w/more", &n.to_string())).await.unwrap();
    }
    let last = i64::try_from(last).unwrap();
    let compact =
        |client: etcd_client::Client| async move { client.kv_client().compact(last, None).await };
    store.members.ask("compact", compact).await.unwrap();
    let mut watch = forgetful.watch("w/");
    assert_eq!(heard(&mut watch).await, None, "it is told that it missed something");
    store.commit(put("w/end", "")).await.unwrap();
    loop {
        if heard(&mut watch).await.as_deref() == Some("w/end") {
            break;
        }
    }
}

#[tokio::test]
async fn a_lease_that_nobody_keeps_runs_out_and_its_holder_knows_it_without_asking() {
    let etcd = Etcd::start(1).unwrap();
    let store = open(&etcd, "fixpoint").await;
    let life = Duration::from_secs(2);
    let (kept, left) = (store.lease(life).await.unwrap(), store.lease(life).await.unwrap());
    let mut watch = store.watch("l/");
    let on = |key: &str, lease| Write::put(key, "", Precondition::Absent).with_lease(lease);
    store.commit(vec![on("l/kept", kept.id()), on("l/left", left.id())]).await.unwrap();
    for _ in 0..2 {
        heard(&mut watch).await.unwrap();
    }
    tokio::select! {
        why = kept.keep() => panic!("a lease that is kept is lost: {why}"),
        gone = heard(&mut watch) => assert_eq!(gone.as_deref(), Some("l/left")),
    }
    assert!(left.until().unwrap() < std::time::Instant::now());
    assert!(matches!(left.keep().await, StoreError::LeaseLost));
    assert!(store.get("l/kept").await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_at_the_address_is_told_in_a_sentence_and_may_be_tried_again() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = EtcdOptions {
        endpoints: vec![format!("http://{free}")],
        prefix: "fixpoint".to_owned(),
        user: Some(("root".to_owned(), "hunter2".to_owned())),
        ..EtcdOptions::default()
    };
    assert!(!format!("{options:?}").contains("hunter2"));
    let error = EtcdStore::open(options).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    let said = fixpoint::Chain(&error).to_string();
    let wanted = format!("the run store could not read: etcd at http://{free} did not answer");
    assert!(said.starts_with(&wanted), "{said}");
    assert!(said.contains("refused"), "it says why: {said}");
}

/// Forwards connections to etcd. While it is deaf, requests get there and answers do not come back.
struct Proxy {
    address: std::net::SocketAddr,
    deaf: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let deaf = Arc::new(AtomicBool::new(false));
        let (mut tasks, heard) = (JoinSet::new(), Arc::clone(&deaf));
        tasks.spawn(async move {
            let mut forwards = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (target, deaf) = (target.clone(), Arc::clone(&heard));
                forwards.spawn(async move {
                    let mut far = TcpStream::connect(target).await.unwrap();
                    let ((mut from, mut to), (mut back, mut forth)) = (near.split(), far.split());
                    let answers = async {
                        let mut piece = [0; 4096];
                        loop {
                            let read = back.read(&mut piece).await.unwrap_or(0);
                            // A lost answer is the end of the connection.
                            if read == 0 || deaf.swap(false, SeqCst) {
                                return;
                            }
                            if to.write_all(&piece[..read]).await.is_err() {
                                return;
                            }
                        }
                    };
                    tokio::select! {
                        () = answers => {}
                        _ = tokio::io::copy(&mut from, &mut forth) => {}
                    }
                });
            }
        });
        Self { address, deaf, _tasks: tasks }
    }
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_is_known_to_be_done_and_is_not_done_twice() {
    let etcd = Etcd::start(1).unwrap();
    let proxy = Proxy::to(etcd.addresses()).await;
    let options = EtcdOptions {
        endpoints: vec![format!("http://{}", proxy.address)],
        ..etcd.options("fixpoint")
    };
    let store = EtcdStore::open(options).await.unwrap();
    let direct = open(&etcd, "fixpoint").await;
    let before = direct.commit(put("old", "1")).await.unwrap();

    proxy.deaf.store(true, SeqCst);
    let both = vec![
        Write::put("new", "mine", Precondition::Absent),
        Write::delete("old", Precondition::Version(before)),
    ];
    let done = store.commit(both).await.unwrap();
    assert!(!proxy.deaf.load(SeqCst), "an answer was lost");
    let new = direct.get("new").await.unwrap().unwrap();
    assert_eq!((&new.value[..], new.version), (&b"mine"[..], done));
    assert_eq!(done, before + 1, "it was made once");
    assert_eq!(direct.get("old").await.unwrap(), None);

    // What somebody else did is not taken for one's own.
    proxy.deaf.store(true, SeqCst);
    let refused = store.commit(vec![Write::put("new", "other", Precondition::Absent)]).await;
    assert!(!proxy.deaf.load(SeqCst), "an answer was lost");
    assert!(refused.as_ref().is_err_and(StoreError::is_conflict), "{refused:?}");
}
